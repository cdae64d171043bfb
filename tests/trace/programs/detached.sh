# strace: -b execve -e trace=!getuid
# Programs are left alone once they run another one.
true
sh -c 'exit 3'
(exit 4)
