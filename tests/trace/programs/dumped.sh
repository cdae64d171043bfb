# strace: -e trace=read,write,readv,writev,pread64,pwrite64 -e read=3 -e write=1,2
# Data that is read and written, dumped.
printf 'one line\001\377\n' > file
cat < file
sed -n 1p file
echo 'twenty bytes and some more of them'
ls nothere
