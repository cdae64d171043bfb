# strace: -x -s 10
# Strings that are not text in hexadecimal, all of them short.
printf 'plain\n'
printf 'a\001\377\n' > file
cat file
printf 'longer than ten\n'
printf '\303\244\n' > "$(printf 'n\303\244me')"
ls | wc -l
