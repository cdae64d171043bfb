# id, whoami, nice, env, hostname, uname, printenv, tty, nohup, setsid.
id -u > ids
id > ids
env -i A=1 B=2 env
env -u HOME printenv HOME; echo $?
nice -n 5 nice
nice -n 5 sh -c 'exit 3'; echo $?
uname -s
tty; echo $?
setsid echo own session
nohup echo survives
printenv TZ
ionice -p $$ | wc -l
renice -n 3 -p $$ | wc -l
