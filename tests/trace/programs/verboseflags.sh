# strace: -X verbose
# Constants as numbers with their names.
mkdir directory
echo x > directory/file
cat directory/file nothere
kill -0 $$
