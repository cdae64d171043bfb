# tail -f, ended by a signal.
echo first > log
tail -f log &
job=$!
sleep 0.5
echo second >> log
sleep 1.2
kill $job
sleep 0.3
wait $job
echo "tail: $?"
