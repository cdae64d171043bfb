# dd, sync and cat: sizes of reads and writes.
dd if=/dev/zero of=zeros bs=1000 count=3 2> /dev/null
dd if=zeros of=part bs=10 skip=2 count=1 conv=notrunc 2> /dev/null
dd if=/dev/zero of=zeros bs=1 seek=5000 count=0 2> /dev/null
printf abcdef | dd bs=2 count=2 2> /dev/null
printf abcdef > f; printf XY | dd of=f bs=1 seek=2 conv=notrunc 2> /dev/null
cat f
dd if=nothere of=x; echo $?
wc -c zeros part
sync
fsync f
cat zeros | wc -c
cmp -n 10 zeros /dev/zero; echo $?
