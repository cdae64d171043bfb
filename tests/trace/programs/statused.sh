# strace: -e status=failed,unavailable -e trace=file,process,brk -e signal=none
# Calls that fail or do not return.
cat nothere
mkdir nothere/a
true
