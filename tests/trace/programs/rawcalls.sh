# strace: -X raw -e trace=clone,execve,brk,openat,mkdir,fcntl,wait4,dup2,access,newfstatat -e raw=access
# Constants as numbers.
mkdir directory
echo x > directory/file
cat directory/file nothere
(exit 3)
