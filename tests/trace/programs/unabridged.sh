# strace: -e abbrev=none -e verbose=!rt_sigaction -s 10000
# Everything in full but one call, the pointers of which are not followed.
echo x > file
stat -c %s file
ls nothere
env -i A=1 true
uname -s
