# strace: --decode-pids=comm -y
# Which program a process runs, told with each pid.
true | cat
(exit 3)
sh -c 'kill -0 $PPID'
sh -c 'kill -TERM $$'
