# A job that is stopped and continued while the shell waits for it.
sh -c 'sleep 0.2; kill -STOP $$; sleep 0.3; exit 4' &
job=$!
(sleep 0.6; kill -CONT $job; sleep 0.6) &
wait $job
echo "ended: $?"
wait
