# Pipes between programs, and what a shell does to set them up.
echo one two three | cat
printf 'b\na\nc\n' | sort | head -n 2
echo text | (sleep 0.3; read word; echo "<$word>")
seq 1 20 | grep 1 | wc -l
{ echo first; echo second; } | (sleep 0.3; sed s/first/FIRST/)
echo done | tee copy | cat
false | sleep 0.1
echo "status $?"
