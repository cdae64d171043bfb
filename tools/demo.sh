# What tools/run shows: an ordinary BusyBox shell script. Nothing in it knows that it is not on Linux.
echo "Hello from $(uname -s) on $(uname -m), process $$"

echo "Squares, the largest first:"
for i in 1 2 3 4; do echo $((i * i)); done | sort -rn

cd "$(mktemp -d)"
for name in ant bee cow; do
    echo "the $name" > "$name.txt"
done
tar -czf animals.tgz ./*.txt
mkdir copy
tar -xzf animals.tgz -C copy
echo "Packed, unpacked, compared:"
find copy -name '*.txt' | sort | while read -r file; do
    cmp "$file" "$(basename "$file")" && echo "  $file is the same"
done

sleep 1 &
sleeper=$!
trap 'echo "  told to stop"' TERM
kill -TERM $$
kill "$sleeper"
wait "$sleeper" 2>/dev/null
echo "The sleeper ended with status $?"

echo "Words per first letter:"
printf '%s\n' apple avocado banana cherry coconut cranberry |
    awk '{ n[substr($0, 1, 1)]++ } END { for (c in n) print "  " c, n[c] }' | sort
