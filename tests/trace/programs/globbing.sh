# Patterns: what a shell reads of directories.
mkdir sub
touch sub/inner.txt
echo */*
cd sub
echo *
cd ..
rm -r sub
touch b.txt a.txt c.dat
echo *.txt
echo no*such
echo [ab].*
