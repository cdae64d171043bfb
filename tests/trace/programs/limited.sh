# Limits, priorities and roots: what is refused, and what a limit does.
chroot . ./nothere; echo $?
chroot nothere true; echo $?
unshare -x; echo $?
setpriv --nothere; echo $?
nice -n 19 true
ulimit -f 1
dd if=/dev/zero of=big bs=1000 count=3; echo $?
ulimit -t 100
ulimit -t
umask -S
renice 5 -p 999999; echo $?
