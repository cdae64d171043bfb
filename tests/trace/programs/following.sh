# tail -f, ended by a signal while the shell waits for something else.
echo first > log
tail -f log &
job=$!
(sleep 0.4; echo second >> log; sleep 1; kill $job) &
sleep 1.9
wait $job
echo "tail: $?"
wait
