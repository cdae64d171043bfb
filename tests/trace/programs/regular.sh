# strace: -e trace=/^(get|open)|id$,?nothere,%process,brk -e signal=!CHLD,URG
# Calls chosen by an expression.
id -u
cat nothere
(exit 3)
kill -URG $$
kill -WINCH $$
sh -c 'kill $$'
