# strace: -y
# Files as standard descriptors, opened in every way that a shell has.
echo new > file
echo more >> file
cat < file
cat file nothere > both 2>&1
wc -l < both
exec 3> third
echo to three >&3
exec 3>&-
exec 4< file
read line <&4
echo "read: $line"
exec 4<&-
: > empty
set -C
echo no > file
echo "clobber: $?"
set +C
echo yes >| file
echo in out 1<> file
cat file
echo nobody 2> /dev/null > /dev/null
cat < nothere
echo "status $?"
