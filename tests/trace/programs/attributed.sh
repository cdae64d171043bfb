# Attributes, locks, room and dates of files.
echo text > file
lsattr -d . | wc -l
chattr +i nothere
setfattr -n user.colour -v blue nothere
flock file echo locked
flock -n file -c 'echo again'
fallocate -l 10000 room
stat -c '%s %F' room
fallocate -o 20000 -l 10 room
truncate -s +5 room
truncate -c -s 5 nothere
stat -c %s room
touch -c nothere
touch -d '2030-01-01 00:00:00' file
stat -c %Y file
shred -n 1 -z -u file
realpath . | wc -l
readlink -f nothere/deeper; echo $?
