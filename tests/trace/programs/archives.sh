# tar, gzip and bzip2: making, listing and unpacking.
mkdir directory
echo one > directory/one
ln -s one directory/link
touch -d @1000000 directory/one
touch -h -d @1000000 directory/link
tar cf archive.tar directory/one directory/link
tar tf archive.tar
mkdir out
tar xf archive.tar -C out
cat out/directory/link
gzip archive.tar
gunzip -c archive.tar.gz | wc -c
tar xzf nothere.tgz; echo $?
echo text | gzip | zcat
bzip2 < directory/one | bunzip2
