# Jobs in the background, one after another, and waiting for them.
sleep 0.3 &
wait
echo "all: $?"
(sleep 0.2; exit 3) &
wait $!
echo "one: $?"
(sleep 0.1) &
sleep 0.4
wait $!
echo "gone: $?"
wait 999999
echo "nobody: $?"
