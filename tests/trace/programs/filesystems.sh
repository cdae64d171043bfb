# df, du, mount, stat -f on what is not there; chroot and pivot refused or failing.
du -s nothere
df nothere
mount -t tmpfs nothing ./nothere; echo $?
umount ./nothere; echo $?
stat -f -c %T nothere
mkdir root
chroot root /bin/true; echo $?
mountpoint root/nothere; echo $?
pwd | wc -l
cd root; cd ..; cd nothere
