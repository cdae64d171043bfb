# strace: -s 0 -e abbrev=!execve -y
# Strings of no length, structures and arrays in full, but not those of execve.
echo x > file
cat file nothere
ls -l file | wc -l
env -i A=1 true
