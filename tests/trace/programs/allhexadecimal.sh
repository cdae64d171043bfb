# strace: -xx
# Every string in hexadecimal.
echo text > file
cat file nothere
true a b
