# strace: -v -y
# Files in full: every field of stat, every name of a directory, descriptors with their paths.
mkdir directory
echo 123456 > directory/file
ls -ln directory | wc -c
touch -d @1000000 directory/file directory
stat -c %Y directory/file
cat directory/file
ls directory
cp -a directory copy
rm -r directory copy
