# strace: -e verbose=none -s 5
# Pointers that are not followed.
echo some text > file
cat file nothere
(exit 3)
