# cp, mv, ln, rm and mkdir, with their refusals; a name in each directory, because file systems have them in any order.
echo text > a
touch -d @1000000 a
cp a b
cp -p a c
mv b d
mv d nodir/d
ln a hard
ln -s a soft
ln a hard
mkdir one two
cp -r one/. one/sub
cp -d soft one/sub
cp -r one two/three
mkdir -p x/y/z
rmdir x/y/z
touch -d @1000000 x/y x
rmdir x
cp -a x copy
cp nothere e
rm hard soft
rm nothere
rm -f nothere
rm -r x copy one two
mv a c
cat c
unlink c
