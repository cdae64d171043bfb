# Cases for processes, time, users and what the system tells.
#### timeout
timeout 1 sleep 0.01; echo $?; timeout 0.1 sleep 5; echo $?; timeout -s KILL 0.1 sleep 5; echo $?; timeout 5 sh -c 'exit 3'; echo $?; timeout 1 nothing-there; echo $?
#### timeout-issue
timeout 1 sleep 5; echo $?
#### sleep
sleep 0; echo $?; sleep 0.02 && echo short; sleep x; echo $?; sleep; echo $?; sleep 0.01 0.01; echo $?
#### kill-forms
sleep 20 & kill -0 $! && echo alive; kill -s TERM $!; wait $! 2>/dev/null; echo $?; kill -0 $! 2>/dev/null; echo $?; kill -l | head -n 3; kill -l 15; kill -l 143; kill -BAD 1; echo $?
#### killall-none
killall nothing-of-this-name; echo $?; pidof nothing-of-this-name; echo $?; pgrep -x nothing-of-this-name; echo $?
#### nohup-and-setsid
nohup echo kept 2>/dev/null; setsid sh -c 'echo own session'; (trap '' HUP; kill -HUP $(sh -c 'echo $PPID'); echo still); nice -n 5 nice; nice
#### signals-to-pipeline
yes > /dev/null & p=$!; sleep 0.05; kill $p; wait $p 2>/dev/null; echo $?; (sleep 0.3 | cat) & sleep 0.05; kill $!; wait 2>/dev/null; echo done
#### stop-and-continue
sh -c 'echo start; kill -STOP $$; echo end' & p=$!; sleep 0.1; kill -CONT $p; wait $p; echo $?
#### orphan
sh -c '(sleep 0.05; echo orphan >> log) &'; sleep 0.2; cat log
#### zombies-reaped
for i in 1 2 3 4 5 6 7 8 9 10; do true & done; wait; jobs | wc -l; echo reaped
#### exit-status-of-signals
for s in HUP INT QUIT TERM KILL USR1 USR2 PIPE ALRM; do sh -c "kill -$s \$\$" 2>/dev/null; echo $s $?; done
#### sigpipe
sh -c 'yes; echo $? >&2' | head -n 1; (trap '' PIPE; yes 2>/dev/null; echo $? >&2) | head -n 1
#### xargs-signal
echo x | xargs sh -c 'kill -9 $$' 2>/dev/null; echo $?
#### time-command
time true 2> t; { time -p true; } 2> t; wc -l < t; cut -d' ' -f1 t
#### usleep
usleep 1000; echo $?
#### date-now
[ "$(date +%Y)" -ge 2024 ] && echo recent; a=$(date +%s); sleep 1; b=$(date +%s); [ $((b - a)) -ge 1 ] && [ $((b - a)) -le 2 ] && echo a second; date +%Z; TZ=EST5EDT date -d @0 +%H
#### id-whoami
[ "$(id -u)" = "$(id -ru)" ] && echo same; id -g | grep -c '^[0-9]'; [ -n "$(id)" ] && echo yes
#### uname
uname -s; uname -m; uname -o; uname -r | grep -c '^[0-9]'; uname -x; echo $?
#### hostname-arch
hostname | wc -l; arch; nproc | grep -c '^[1-9]'; uptime | grep -c up; free | head -n 1 | wc -w; tty; echo $?
#### proc-self
cat /proc/self/comm; tr '\0' ' ' < /proc/self/cmdline; echo; readlink /proc/self/fd/0 > /dev/null && echo has fd; ls /proc/self/fd | head -n 3; grep -c '^Pid:' /proc/self/status; awk '{ print NF }' /proc/self/stat; [ "$(cut -d' ' -f1 /proc/self/stat)" -gt 1 ] && echo number
#### proc-exe
basename "$(readlink /proc/self/exe)"; [ "$(readlink /proc/self/cwd)" = "$(pwd -P)" ] && echo cwd; readlink /proc/self/root; sh -c 'readlink /proc/$PPID/exe' | grep -c busybox
#### proc-files
for f in meminfo cpuinfo uptime loadavg version mounts stat filesystems; do [ -s /proc/$f ] && cat /proc/$f > /dev/null && echo $f; done; grep -c '^MemTotal:' /proc/meminfo; awk '{ print NF }' /proc/uptime /proc/loadavg; cut -d' ' -f1 /proc/version
#### proc-maps
grep -c '\[stack\]' /proc/self/maps; grep -c r-xp /proc/self/maps | grep -c '^[1-9]'; awk '{ if ($1 !~ /^[0-9a-f]+-[0-9a-f]+$/) print "bad", $0 }' /proc/self/maps; cat /proc/nothing; echo $?; cat /proc/99999999/stat; echo $?
#### proc-environ
A=1 B=2 sh -c 'cat /proc/self/environ | tr "\0" "\n" | grep "^[AB]=" | sort'; sh -c 'tr "\0" " " < /proc/$$/cmdline' name arg; echo
#### proc-write
echo x > /proc/version; echo $?; mkdir /proc/x; echo $?; touch /proc/x; echo $?
#### fd-inheritance
exec 7> f; sh -c 'echo through >&7'; cat f; sh -c 'ls /proc/self/fd' | grep -c '^7$'; exec 7>&-; sh -c 'echo x >&7'; echo $?
#### env-big
x=$(head -c 100000 /dev/zero | tr '\0' y); X=$x sh -c 'echo ${#X}'; X=$x$x sh -c 'echo ${#X}'; echo $?
#### args-many
set -- $(seq 1 5000); sh -c 'echo $# ${5000}' x "$@"; echo "$@" | md5sum; /bin/echo "$@" | wc -w
#### background-pipeline
(seq 1 1000 | sort -rn | head -n 1) & (seq 1 500 | wc -l) > w & wait; cat w
#### concurrent-writers
for i in 1 2 3 4 5 6 7 8; do (echo "line $i from a writer") & done | sort
#### concurrent-30
i=0; while [ $i -lt 30 ]; do (sleep 0.05; echo $i > out$i) & i=$((i+1)); done; wait; cat out* | sort -n | tr '\n' ' '; echo
#### forks-100
i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i+1)); done; echo $i; i=0; while [ $i -lt 50 ]; do (:); i=$((i+1)); done; echo $i
#### read-timeout
sleep 1 | { read -t 0.05 x; echo $?; }; echo now | { read -t 5 x; echo $x; }
#### ulimit
ulimit -n 20; ulimit -n; (exec 25> f); echo $?; ulimit -c 0; ulimit -c; (ulimit -f 1; head -c 5000 /dev/zero > big; echo $?); stat -c %s big; ulimit -v 2>/dev/null | wc -l
#### watch-like-loop
for i in 1 2 3; do date +%s > stamp; sleep 0.01; done; wc -l < stamp
#### script-exit-trap-order
trap 'echo outer' EXIT; sh -c 'trap "echo inner" EXIT; exit 2'; echo $?
#### exec-fd-leak
for i in 1 2 3 4 5; do exec 8> f$i; done; ls /proc/self/fd | wc -l; exec 8>&-
#### ps-self
ps | grep -c '[p]s$' | grep -c '^[0-9]'; ps -o pid,comm | head -n 1
#### su-chroot-denied
chroot /nonexistent sh; echo $?; mount -t nothing none /nonexistent; echo $?
#### cttyhack-stty
stty < /dev/null; echo $?; tty -s; echo $?
#### random-data
head -c 1000 /dev/random | wc -c; dd if=/dev/urandom bs=100 count=2 2>/dev/null | wc -c; [ $RANDOM != "$RANDOM$RANDOM" ] && echo random
#### crypt
echo secret | cryptpw -m sha512 -S saltsalt 2>/dev/null || mkpasswd -m sha512 -S saltsalt secret; echo -n abc | sha1sum
#### pipe-progress
seq 1 1000 | pipe_progress 2>/dev/null | md5sum
