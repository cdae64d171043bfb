# A FIFO between two programs.
mkfifo fifo
cat fifo > out &
sleep 0.3
echo through > fifo
sleep 0.3
wait
cat out
