# Cases for BusyBox's shell itself. Each begins at a line "#### name"; it runs alone in an empty directory.
#### issue-example
for i in 1 2 3; do echo $((i*i)); done | sort -r | tail -n +2
#### echo-forms
echo plain; echo -n no newline; echo; echo -e 'tab\tand\\backslash\x41\0101'; echo "a  b" c
#### printf-forms
printf '%s|%5d|%-5s|%05.1f|%x|%o|%c\n' word 42 left 3.14159 255 8 xyz; printf '%b\n' 'a\nb'; printf '%d\n' notanumber; echo $?
#### arithmetic
echo $((1 + 2 * 3)) $((7 / 2)) $((7 % 3)) $((-7 / 2)) $((1 << 10)) $((0xff & 0x0f)) $((5 > 3 && 2 < 1)) $((5 ? 6 : 7))
x=5; : $((x += 3)); echo $x $((x++)) $x $((--x)) $((x ** 2)); echo $((08)) ; echo after
#### arithmetic-limits
echo $((9223372036854775807)) $((9223372036854775807 + 1)) $((-9223372036854775808))
#### division-by-zero
echo before; echo $((1 / 0)); echo not reached
#### quoting
a='single $x "y"'; b="double $a \$a \`x\`"; echo "$a" "$b"; echo 'it'\''s' "a"'b'c; echo \$HOME \\ \"
#### expansions
v=path/to/file.tar.gz; echo ${v##*/} ${v#*/} ${v%.*} ${v%%.*} ${#v} ${v:-no} ${u:-default} ${u-dash} ${v:+set} "${u:+set}"
echo ${v:5:2} ${v/to/TO} ${v//\//_}; : ${u:=assigned}; echo $u
#### unset-error
echo ${nothing:?is not set}; echo not reached
#### set-u
set -u; echo "$undefined"; echo not reached
#### positional
set -- one 'two words' three; echo $# "$1" "$2"; for w in "$@"; do echo "<$w>"; done; for w in $*; do echo "[$w]"; done; shift; echo $1; shift 5; echo $?
#### ifs
IFS=:; v=a:b::c; for x in $v; do echo "<$x>"; done; set -- x y; echo "$*"; unset IFS; echo $v
#### read-fields
printf 'one two three four\n  spaced   out  \na\\tb\n' | { read a b c; echo "$a|$b|$c"; read x; echo "$x|"; read -r r; echo "$r"; read none; echo $?; }
#### read-options
printf 'abcdef\nrest' | { read -n 3 x; echo "$x"; read -d e y; echo "$y"; read -t 1 z; echo "$z $?"; }
#### subshell
x=1; (x=2; echo inner $x; exit 7); echo $? outer $x; (cd /; pwd); test "$(pwd)" = "$PWD" && echo same; ( ( (echo deep) ) )
#### group
{ echo a; echo b; } | { read x; read y; echo "$y$x"; }; { exit 5; } ; echo not reached
#### command-substitution
echo "$(echo nested $(echo deeper $(echo deepest)))" `echo back \`echo tick\``; x=$(printf 'trailing\n\n\n'); echo "[$x]"; y=$(exit 3); echo $?
#### command-substitution-big
x=$(seq 1 20000); echo ${#x}; echo "$x" | tail -n 1
#### here-document
name=world
cat <<END
hello $name $(echo cmd) $((1+1)) \$escaped
END
cat <<'END'
raw $name $(echo cmd)
END
cat <<-END
	tabs removed
	END
cat <<A; cat <<B
first
A
second
B
#### here-document-large
{ echo 'cat <<END | wc'; seq 1 30000; echo END; } > script; sh script
#### redirections
echo out > f; echo more >> f; cat < f; echo err 1>&2; { echo o; echo e >&2; } > both 2>&1; cat both; ls missing 2> e; echo $?; wc -l < e; cat f f > g; cat g
#### descriptors
exec 3> three 4< /dev/null; echo to three >&3; exec 3>&-; cat three; echo x >&3; echo $?; exec 5<> rw; echo inout >&5; cat rw; exec 9< three; read line <&9; echo "$line"; exec 9<&-
#### descriptor-swap
{ echo out; echo err >&2; } 3>&1 1>&2 2>&3 | sed 's/^/piped: /'
#### noclobber
echo a > f; set -C; echo b > f; echo $?; echo c >| f; cat f
#### redirect-errors
cat < missing; echo $?; echo x > /nonexistent/y; echo $?; echo x > .; echo $?
#### close-stdout
echo x >&-; echo $?; (echo y) 2>&- >&-; echo $?
#### pipe-status
false | true; echo $?; true | false; echo $?; set -o pipefail; false | true; echo $?; exit 3 | exit 4 | true; echo $?
#### long-pipeline
seq 1 100 | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | sort -n | tail -n 1
#### pipe-early-close
seq 1 100000 | head -n 3; yes | head -n 2; echo done
#### pipe-large
dd if=/dev/zero bs=1024 count=300 2>/dev/null | tr '\0' x | md5sum
#### background-wait
for i in 3 1 2; do (sleep 0.0$i; exit $i) & done; wait; echo all; (exit 9) & wait $!; echo $?; wait 999999; echo $?
#### background-order
(sleep 0.05; echo child; sleep 0.02) & echo pid is number $(test $! -gt 0 && echo yes); wait; echo parent; jobs
#### background-stdin
echo input | { cat & wait; }; echo x | { read v & wait; echo "[$v]"; }
#### wait-many
pids=; for i in 1 2 3 4 5; do (exit $i) & pids="$pids $!"; done; for p in $pids; do wait $p; echo $?; done
#### trap-exit
trap 'echo leaving $?' EXIT; echo working; exit 6
#### trap-signal
trap 'echo got USR1' USR1; kill -USR1 $$; echo after; trap - USR1; trap '' TERM; kill -TERM $$; echo survived; trap
#### trap-in-subshell
trap 'echo bye' EXIT; (echo sub; exit 0); echo main
#### trap-int-child
(trap 'echo int; exit 4' INT; kill -INT $(sh -c 'echo $PPID'); echo no); echo $?
#### kill-self
(kill -TERM $(sh -c 'echo $PPID'); sleep 5); echo $?; (kill -KILL $(sh -c 'echo $PPID')); echo $?
#### wait-killed
sleep 30 & kill $!; wait $! 2>/dev/null; echo $?; sleep 30 & kill -9 $!; wait $! 2>/dev/null; echo $?
#### set-e
set -e; echo a; false || echo handled; if false; then :; fi; ! true; echo b; false; echo not reached
#### set-e-subshell
set -e; (echo in; false; echo no) || echo failed; x=$(false; echo yes); echo "$x"; (false); echo not reached
#### set-x
set -x; a=1; echo $a "two words"; b=$(echo sub); [ -n "$b" ] && :; set +x; echo quiet
#### set-n-and-f
set -f; echo *; set +f; echo "*" '?'
#### functions
f() { local x=inner; echo "$x $1 $#"; return 3; }; x=outer; f arg; echo $? $x; g() { g2 "$@"; }; g2() { echo "$# $2"; }; g a 'b c'
#### recursion
fact() { if [ $1 -le 1 ]; then echo 1; else echo $(( $1 * $(fact $(($1 - 1))) )); fi; }; fact 10; deep() { [ $1 -eq 0 ] && return; deep $(($1 - 1)); }; deep 500; echo $?
#### loops
i=0; while [ $i -lt 5 ]; do i=$((i+1)); [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done; until [ $i -eq 0 ]; do i=$((i-1)); done; echo $i; for a in 1 2; do for b in x y; do [ $b = y ] && continue 2; echo $a$b; done; done
#### case
for w in apple banana cherry 42 '' 'a*'; do case $w in a'*') echo star;; a*) echo A $w;; b*|c*) echo BC $w;; [0-9]*) echo number;; '') echo empty;; *) echo other;; esac; done
#### test-command
test -e /; echo $?; [ -d / -a ! -f / ]; echo $?; [ abc = abc ] && [ abc != abd ] && [ 5 -gt 3 ] && [ -n x ] && [ -z "" ]; echo $?; [ 1 -eq x ]; echo $?; [[ abc == a* ]]; echo $?; [ a \< b ]; echo $?
#### test-files
touch f; mkdir d; ln -s f l; ln -s missing dangling; chmod 755 f; for t in e f d h L r w x s; do for n in f d l dangling; do [ -$t $n ] && printf "$t:$n "; done; done; echo; echo x > f; [ -s f ] && echo sized; [ f -ef l ] && echo same
#### glob
touch a.txt b.txt c.md .hidden 'sp ace'; mkdir d; touch d/x.txt; echo *.txt; echo [ab]*; echo ?.md; echo */*.txt; echo none*; echo .h*; echo "*.txt"; ls -d *\ *; echo [!a]*
#### glob-sorted
for i in 10 9 B a A b 1 _; do touch "n$i"; done; echo n*
#### brace-and-tilde
HOME=/somewhere; echo ~ ~/x; echo {a,b}; echo "~"
#### eval-and-source
eval 'x=5; echo $x'; echo 'y=6; echo sourced $1; return 2' > lib; . ./lib arg; echo $? $y; eval "exit 4"
#### exec
echo 'echo replaced $0 $1' > s; exec sh s arg; echo not reached
#### exec-missing
exec nothing-of-this-name; echo not reached
#### not-found
nothing-of-this-name; echo $?; ./nothing; echo $?; touch plain; ./plain; echo $?; mkdir dir; ./dir; echo $?; chmod +x plain; ./plain; echo $?
#### scripts
printf '#!/bin/sh\necho "$0 got $# $1"\nexit 3\n' > s; chmod +x s; ./s 'one arg'; echo $?; printf 'echo no line $1\n' > n; chmod +x n; ./n x; echo $?
#### shebang-options
printf '#!/bin/sh -e\nfalse\necho no\n' > s; chmod +x s; ./s; echo $?; printf '#!/nothing here\n' > b; chmod +x b; ./b; echo $?
#### exit-codes
for c in 0 1 2 127 128 255 256 300; do (exit $c); printf "$? "; done; echo; sh -c 'exit -1'; echo $?
#### variables-export
A=1; export B=2; C=3 sh -c 'echo "$A|$B|$C"'; unset B; sh -c 'echo "$B"'; readonly R=1; (R=2); echo $?; env -i X=y sh -c 'echo $X'
#### local-environment
X=1 true; echo "$X"; f() { echo "$X"; }; X=2 f; echo "$X"; X=3 sh -c 'echo $X'
#### umask
umask; umask 077; touch f; mkdir d; stat -c '%a %n' f d; umask -S; (umask 0; touch g; stat -c %a g); umask
#### cd-and-pwd
top=$(pwd); mkdir -p a/b; cd a/b; cd ..; [ "$(pwd)" = "$top/a" ] && echo right; cd - > /dev/null; [ "$PWD" = "$top/a/b" ] && echo back; cd nowhere; echo $?; ln -s b ../l; cd ../l; basename "$(pwd)"; basename "$(pwd -P)"
#### getopts
f() { while getopts ab:c o; do case $o in a|c) echo $o;; b) echo "b=$OPTARG";; *) echo bad;; esac; done; shift $((OPTIND-1)); echo "rest $*"; }; f -a -b val -c x y; OPTIND=1; f -z
#### alias-and-type
alias ll='echo aliased'; eval ll; type cd | head -n 1; type nothing-here; command -v test; unalias ll
#### hash-and-times
times > t; wc -l < t; hash; echo $?
#### special-parameters
echo $0 $#; echo ${#:-}; set a b; echo "$-" | grep -c s; [ $$ -gt 0 ] && echo pid; (echo $$ > p1); echo $$ | cmp - p1 && echo same pid in a subshell
#### comments-and-lines
echo a \
  b; # comment
echo c # another
if true
then echo d; fi
#### syntax-error
echo before
if then
#### unterminated
echo 'x
#### long-line
x=; for i in 1 2 3 4 5 6 7 8 9 10; do x="$x$x$i"; done; echo ${#x}; echo "$x" | md5sum
#### many-variables
i=0; while [ $i -lt 300 ]; do eval "v$i=$i"; i=$((i+1)); done; s=0; i=0; while [ $i -lt 300 ]; do eval "s=\$((s+v$i))"; i=$((i+1)); done; echo $s
#### nested-shells
sh -c 'sh -c "sh -c \"echo deep; exit 3\"; echo \$?"; echo $?'
#### and-or
true && echo 1 || echo 2; false && echo 3 || echo 4; ! false && echo 5; true || echo 6; { false; true; } && echo 7
#### process-environment
env -i A=1 B='two words' env | sort; env -i PATH="$PATH" printenv PATH > /dev/null && echo has path; printenv NOTHING; echo $?
#### stdin-script
printf 'echo from stdin\nread x\nthis is data\necho "got $x"\n' | sh
#### large-output
seq 1 50000 | md5sum; i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done | md5sum
#### subshell-loop-200
i=0; s=0; while [ $i -lt 200 ]; do s=$((s + $(echo $i))); i=$((i+1)); done; echo $s
