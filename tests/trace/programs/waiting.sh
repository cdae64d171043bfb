# date, sleep, timeout, usleep.
date -u -d @86400 +%F
date +%Y | wc -c
sleep 0.05
usleep 1000
timeout 5 true; echo $?
timeout 0.3 sleep 100; echo $?
timeout -s KILL 0.3 sleep 100; echo $?
cal 1 2001 | head -n 1
