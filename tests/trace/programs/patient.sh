# strace: -P file
# Calls about one path.
echo x > file
cat file other
rm file
