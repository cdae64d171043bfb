# A FIFO between two programs.
mkfifo fifo
(sleep 0.3; echo through > fifo; sleep 0.3) &
cat fifo > out
wait
cat out
