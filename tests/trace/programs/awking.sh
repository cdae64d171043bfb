# awk: fields, files and output to files.
printf 'a 1\nb 2\nc 3\n' > data
awk '{ sum += $2 } END { print sum }' data
awk '{ print $1 > "firsts" } END { close("firsts") }' data
cat firsts
awk '{ print $2 > $1 }' data
cat a b
awk 'BEGIN { while ((getline line < "data") > 0) n++; print n }'
awk -F: '{ print $1 }' /etc/nothere
awk 'BEGIN { exit 3 }'; echo $?
