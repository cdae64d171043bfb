# Signals that a shell catches, ignores, and that end it.
trap 'echo got USR1' USR1
trap '' USR2
trap 'echo bye' EXIT
kill -USR1 $$
kill -USR2 $$
trap - USR2
trap 'echo got TERM' TERM
kill $$
sh -c 'kill -TERM $$'
echo "child: $?"
kill -0 $$
kill -s WINCH $$
kill -URG $$
kill -1 999999
