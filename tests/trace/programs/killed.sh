# Programs that signals end, and what a shell makes of them.
sh -c 'kill -TERM $$'
echo "TERM: $?"
sh -c 'kill -KILL $$'
echo "KILL: $?"
ulimit -c 0
sh -c 'kill -SEGV $$'
echo "SEGV: $?"
sh -c 'kill -PIPE $$'
echo "PIPE: $?"
sleep 100 &
job=$!
(sleep 0.2; kill $job) &
sleep 0.5
wait $job
echo "killed job: $?"
sh -c 'ulimit -c 0; kill -QUIT $$'
echo "QUIT: $?"
