# Patterns: what a shell reads of directories.
touch b.txt a.txt c.dat
mkdir sub
touch sub/inner.txt
echo *.txt
echo */*
echo no*such
cd sub
echo *
cd ..
rm -r sub
echo [ab].*
