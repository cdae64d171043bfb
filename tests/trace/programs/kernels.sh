# What the kernel tells of itself and lets nobody change.
sysctl -n kernel.ostype
sysctl kernel.nothere
cat /proc/sys/kernel/ostype
insmod nothere.ko
chrt -m
setarch linux64 uname -s
users
mesg
cat /proc/self/comm
ls /proc/self/nothere
readlink /proc/self/cwd | wc -l
: > /proc/self/comm; echo $?
echo x > /proc/version; echo $?
