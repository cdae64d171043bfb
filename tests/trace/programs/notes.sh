# strace: -qq -a 60 -e trace=process,brk
# No exit statuses, results in a column of their own.
true
(exit 4)
sh -c 'kill $$'
