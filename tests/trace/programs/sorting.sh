# sort, comm, diff, cmp, paste, rev, tac, nl, fold, split, md5sum, od, base64.
printf '3\n1\n2\n' > a
sort -n a
sort -r a -o b
cat b
diff a b; echo $?
cmp a b; echo $?
paste a b
tac a
rev a
nl a
fold -w 1 a
split -l 1 a part
cat partaa partac
md5sum a
sha1sum a | md5sum
od -c a
base64 a
hexdump -C a
