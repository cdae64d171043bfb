# ed, diff -u, uuencode, split: files by other means.
printf 'a\nb\nc\n' > file
printf 's/a/A/\nw\nq\n' | ed file
cp file new
echo d >> new
diff -u file new
uuencode file < file > coded
uudecode -o plain coded
cmp plain file; echo $?
unix2dos < new | dos2unix | md5sum
sha256sum new
split -b 3 new part
cat partaa
tee one two < file | wc -l
sort -u -o sorted file file
strings file
xxd file
ar t coded; echo $?
