# strace: -yy
# Descriptors with all that is known of them.
echo x > file
cat file < /dev/null > /dev/null
head -c 10 /dev/zero | wc -c
head -c 5 /dev/full > /dev/full; echo $?
read line < /dev/tty
exec 3<> file 4< .
ls -d . <&4
exec 3>&- 4>&-
