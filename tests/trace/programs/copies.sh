# cp, mv, ln, rm and mkdir, with their refusals.
echo text > a
touch -d @1000000 a
cp a b
cp -p a c
mv b d
mv d nodir/d
ln a hard
ln -s a soft
ln a hard
cp -r . ../work/sub
mkdir -p x/y/z
rmdir x/y/z
touch -d @1000000 x/y x
rmdir x
cp -a x copy
cp nothere e
rm hard soft
rm nothere
rm -f nothere
rm -r x copy sub
mv a c
cat c
unlink c
