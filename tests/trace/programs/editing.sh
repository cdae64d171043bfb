# sed, with scripts, writing files, reading none.
printf 'one\ntwo\nthree\n' > file
sed -n 2p file
sed 's/o/0/g' file
sed 1d file > other
sed -n 's/t/T/w changed' other
cat changed
sed -e 's/t/T/' -e '/^Th/d' file
sed 2q file
sed '' nothere
