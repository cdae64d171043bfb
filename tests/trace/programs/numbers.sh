# strace: -X raw -e raw=openat
# All constants as numbers.
echo x > file
cat file nothere
sleep 0.01
ls nothere
kill -0 $$
trap : USR1
kill -USR1 $$
mkfifo fifo
chmod 600 file
sleep 0.1 | cat
