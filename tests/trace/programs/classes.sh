# strace: -e trace=%file,%process,brk,mmap -e signal=none
# Two classes of calls only, no signals.
echo text > file
cat file
ls nothere
sh -c 'kill $$'
sleep 0.01
