# Command substitution, subshells, functions, loops and arithmetic.
name=$(echo value)
echo "<$name>"
echo "<$(printf 'a\nb\n')>"
error=$(ls nothere 2>&1)
echo "$error"
lines=$(seq 1 300)
echo "${#lines}"
greet() { echo "hello $1"; return 2; }
greet you; echo $?
for i in 1 2 3; do echo "$i"; done
i=0; while [ $i -lt 3 ]; do i=$((i + 1)); done; echo $i
case $name in v*) echo matches;; esac
(cd /; pwd)
eval 'echo evaluated'
. ./nothere
