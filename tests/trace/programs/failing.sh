# strace: -Z
# Calls that fail only.
cat nothere
ls -l nothere
mkdir a/b
rmdir nothere
