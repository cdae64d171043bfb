# chmod, chown, touch, mkfifo, mknod, umask, truncate, install, mktemp.
umask 027
touch file
chmod 640 file
chmod u+x,g-r file
chmod +s nothere
chown $(id -u):$(id -g) file
touch -d '2001-02-03 04:05:06' file
touch -r file other
mkfifo fifo
mkfifo fifo
mknod pipe p
truncate -s 10000 file
truncate -s 5 file
ln -s file link
chmod 600 link
touch -h link
install -m 700 file installed
test -p fifo && test -x installed && echo kinds
stat -c '%a %s %F' file installed fifo link
umask
