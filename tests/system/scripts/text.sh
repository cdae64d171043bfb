# Cases for the applets that work on text.
#### cat
printf 'a\nb\n' > f; cat f - f < f; cat -n f; cat -e f; cat -A f 2>&1 | head -n 3; cat missing f; echo $?
#### head-tail
seq 1 20 > n; head -n 3 n; tail -n 3 n; tail -n +18 n; head -c 5 n; tail -c 5 n; head -n -17 n; head -n 1 n n
#### wc
printf 'one two\nthree\n' > f; wc f; wc -l < f; wc -w f; wc -c f; wc -L f; wc f f; printf 'no newline' | wc
#### sort
printf '10 b\n9 a\n2 c\n10 a\n' > f; sort f; sort -n f; sort -rn f; sort -k2 f; sort -k2,2 -k1,1n f; sort -u -n f; sort -t ' ' -k 1n,1 -s f; printf 'b\nA\na\nB\n' | sort -f
#### sort-large
awk 'BEGIN { x = 1; for (i = 0; i < 5000; i++) { x = (x * 16807) % 2147483647; print x } }' | sort -n | md5sum
#### uniq
printf 'a\na\nb\na\nc\nc\n' > f; uniq f; uniq -c f; uniq -d f; uniq -u f; sort f | uniq -c | sort -rn
#### cut
printf 'a:b:c\nd:e:f\nnosep\n' > f; cut -d: -f2 f; cut -d: -f1,3 f; cut -c1-2 f; cut -d: -s -f2- f; cut -b 2 f
#### paste-join
printf '1 a\n2 b\n3 c\n' > x; printf '1 A\n3 C\n' > y; paste x y; paste -d, x y; paste -s x
#### tr
echo 'Hello World 123' | tr a-z A-Z; echo hello | tr -d l; echo aabbcc | tr -s a-c; echo 'a b' | tr ' ' '\n'; echo hello | tr '[:lower:]' '[:upper:]'; printf 'x\0y' | tr '\0' n; echo; echo abc123 | tr -cd 0-9; echo
#### sed-basic
printf 'one\ntwo\nthree\nfour\n' > f; sed 's/o/0/' f; sed 's/o/0/g;s/t/T/' f; sed -n 2p f; sed 2d f; sed '/two/,/three/d' f; sed '$!d' f; sed -n '/t/p' f; sed '2q' f; sed = f | head -n 4
#### sed-advanced
printf 'key=value\nother=thing\n' > f; sed 's/\(.*\)=\(.*\)/\2=\1/' f; sed -E 's/(.)(.)/\2\1/g' f; sed 'y/abc/xyz/' f; sed '1i\before' f; sed '$a\after' f; sed '1c\changed' f; sed -e '1{h;d}' -e '$G' f; sed 'N;s/\n/ /' f; sed -n 'l' f; sed ':a;s/^.\{1,14\}$/ &/;ta' f
#### sed-in-place
printf 'a\nb\n' > f; sed -i 's/a/X/' f; cat f; sed -i.bak 's/b/Y/' f; cat f f.bak; sed 's/x/y/' missing; echo $?; sed 's/unclosed' f; echo $?
#### sed-case
echo 'hello world' | sed 's/\b\(.\)/\U\1/g'; echo a.b.c | sed 's/\./-/2'; echo aXbXc | sed 's/X/\n/g'; echo abc | sed 's/b*/x/g'; echo path/to | sed 's|/|:|'
#### grep
printf 'apple\nBanana\ncherry\napricot\n' > f; grep ap f; grep -i ban f; grep -v ap f; grep -c ap f; grep -n an f; grep -E '^(a|c)' f; grep -w apple f; grep -o 'p[a-z]' f; grep -q zzz f; echo $?; grep -l apple f f; grep -A1 -B1 cherry f; grep -F . f; echo $?
#### grep-files
mkdir d; echo needle > d/a; echo hay > d/b; grep -r needle d; grep -rl hay d; grep needle missing; echo $?; grep -s x missing; echo $?; printf 'a\nb\n' > pats; printf 'b\nc\n' | grep -f pats; grep -h needle d/*; grep -x need d/a; echo $?
#### grep-regex
printf 'aaa\nab12\n(x)\ntab\there\n' > f; grep 'a\{3\}' f; grep -E 'a{2,}' f; grep '[[:digit:]]' f; grep -E '\(x\)' f; grep '^$' f; echo $?; grep -e aaa -e ab f; grep '\<ab' f
#### awk-basics
printf 'a 1\nb 2\nc 3\n' > f; awk '{ print $2, $1 }' f; awk '{ s += $2 } END { print s, NR }' f; awk 'NR==2' f; awk '/c/ { print NF }' f; awk -F: '{print $1}' /dev/null; awk -v x=5 'BEGIN { print x * 2 }'; awk 'BEGIN { print 1e6, 1/3, 100000000, 2^31, -7 % 3 }'
#### awk-strings
awk 'BEGIN { s = "hello"; print length(s), substr(s, 2, 3), index(s, "l"), toupper(s); n = split("a,b,c", p, ","); print n, p[3]; gsub(/l/, "L", s); print s; print match("foobar", /o+/), RSTART, RLENGTH; printf "%5.2f|%-5s|%c|%x\n", 3.14159, "ab", 65, 255; print "a" "b" 1 + 2 }'
#### awk-arrays
printf 'x 1\ny 2\nx 3\n' | awk '{ t[$1] += $2 } END { for (k in t) print k, t[k] | "sort"; close("sort"); delete t["x"]; n = 0; for (k in t) n++; print n; print ("y" in t), ("x" in t) }'
#### awk-control
awk 'function f(n) { return n < 2 ? n : f(n-1) + f(n-2) } BEGIN { i = 0; do { i++; if (i == 2) continue; if (i > 4) break; printf "%d ", i } while (1); print f(15); while ((getline line < "/etc/nothing") > 0) x++; print x + 0; exit 3 } END { print "end" }'; echo $?
#### awk-io
printf '1\n2\n3\n' > f; awk '{ print > ("out" $1) } END { close("out1"); while ((getline l < "out1") > 0) print "read " l; "echo cmd" | getline c; print c; system("echo sys"); print "err" > "/dev/stderr" }' f; cat out3
#### awk-loop
awk 'BEGIN { for (i = 0; i < 20000; i++) s += i % 7 * 1.5; print s; printf "%.10f\n", atan2(1, 1) * 4; print int(exp(1) * 1000), int(sqrt(2) * 1000), int(log(10) * 1000), int(sin(1) * 1000) }'
#### awk-ranges
seq 1 10 | awk 'NR==3,NR==5'; seq 1 3 | awk 'BEGIN { ORS = "-" } { print } END { printf "\n" }'; echo 'a:b c' | awk -F'[: ]' '{ $2 = "X"; print; print $NF }'; echo 'a b' | awk 'BEGIN { OFS = "," } { $1 = $1 } 1'
#### seq
seq 5; seq 2 4; seq 1 2 9; seq 5 -2 1; seq -w 8 11; seq -s , 1 4; seq 0.5 0.5 2
#### expr
expr 1 + 2 \* 3; expr 10 / 3; expr 10 % 3; expr abc : 'a\(.\)c'; expr length hello; expr substr hello 2 3; expr index hello l; expr 3 \> 2; expr 1 = 2; echo $?; expr 1 / 0; echo $?
#### bc
echo '2^64; scale=5; 1/3; sqrt(2)' | bc; echo '3 4 + p' | dc
#### fold-fmt-nl
printf 'a long line of words here\nshort\n' > f; fold -w 10 f; fold -s -w 10 f; nl f; expand -t 4 f; printf '\tx\n' | expand; printf '        x\n' | unexpand | cat -e; rev f; tac f
#### tee
echo data | tee a b; cat a b; echo more | tee -a a > /dev/null; cat a; echo x | tee /nonexistent/file; echo $?
#### comm-diff
printf 'a\nb\nc\n' > x; printf 'b\nc\nd\n' > y; comm x y; comm -12 x y; diff x y; echo $?; diff -u x x; echo $?; diff -q x y; cmp x y; echo $?; cmp -l x y
#### diff-unified
seq 1 20 > x; sed '5s/.*/five/;15d' x > y; diff -u x y | tail -n +3; diff -u x y > p; patch x < p; cmp x y && echo patched
#### od-hexdump
printf 'hello\0\377world' > f; od -c f; od -x f; od -An -tx1 f; hexdump -C f; xxd f; xxd -p f; hexdump f
#### base64-uu
printf 'hello world\0\1' > f; base64 f; base64 f | base64 -d | cmp - f && echo same; uuencode name < f | uudecode -o - | cmp - f && echo same
#### checksums
printf 'hello\n' > f; md5sum f; sha1sum f; sha256sum f; sha512sum f; sha3sum f; cksum f; sum f; md5sum f > s; md5sum -c s; echo x >> f; md5sum -c s; echo $?; crc32 f
#### checksums-large
dd if=/dev/zero bs=4096 count=500 2>/dev/null | tr '\0' q > f; md5sum f; sha1sum f; sha256sum f
#### strings
printf 'ab\0longer text\1\2another one\n' > f; strings f; strings -n 3 f; strings -t d f
#### split
seq 1 100 > n; split -l 30 n part; wc -l part*; cat part* | cmp - n && echo same; split -b 50 n bytes; ls bytes* | wc -l
#### shuf-fixed
seq 1 50 | shuf | sort -n | md5sum; shuf -i 5-5; echo a | shuf
#### xargs
printf 'a b\nc\n' | xargs echo; seq 1 5 | xargs -n 2 echo; printf 'x\0y z\0' | xargs -0 -n 1 echo; seq 1 3 | xargs -I{} echo 'item {}'; echo | xargs -r echo no; echo 'false' | xargs -n 1 sh -c 'exit 3' x; echo $?; seq 1 4 | xargs -P 2 -n 1 echo | sort
#### find
mkdir -p a/b/c; touch a/1.txt a/b/2.txt a/b/c/3.md; ln -s 1.txt a/link; find a | sort; find a -name '*.txt' | sort; find a -type d | sort; find a -type l; find a -maxdepth 1 | sort; find a -name c -prune -o -type f -print | sort; find a -empty | sort
#### find-actions
mkdir d; echo hello > d/x; echo hi > d/y; find d -type f -exec cat {} \; | sort; find d -type f -exec echo {} + | tr ' ' '\n' | sort; find d -size -2 -name x; find d -newer d/x -name q; find d -type f -exec rm {} \;; ls d; find missing; echo $?
#### find-xargs-md5
mkdir -p t/u; for i in 1 2 3 4 5 6 7 8 9; do echo $i > t/f$i; echo u$i > t/u/g$i; done; find . -type f | sort | xargs md5sum
#### printf-percent
printf '%%|%s|%s\n' a b c; printf '%5s|%-5s|\n' ab ab; printf '%.2s\n' abcdef; printf '\101\x42\n'; printf '%i %u\n' -5 5; printf '%s\n'; printf
#### yes-head
yes | head -n 1000 | md5sum; yes abc def | head -n 2
#### dos2unix
printf 'a\r\nb\r\n' > f; dos2unix f; od -c f; unix2dos f; od -c f
#### factor-and-numbers
factor 12 97 1000003; echo 255 | awk '{ printf "%o %x\n", $1, $1 }'; printf '%d\n' 0x1f 017
#### cal-date-math
cal 2 2024; date -u -d '@0' '+%Y-%m-%d %H:%M:%S'; date -u -d '2024-02-29 12:00' +%s; date -u -d @1700000000 '+%a %b %e %T %Y %j %u'; date -d nonsense; echo $?
#### ed
printf 'a\nline one\nline two\n.\n1s/one/1/\nw f\nq\n' | ed; cat f
#### less-cat
seq 1 5 | more | cat; seq 1 3 | less
#### column-widths
ls -C -w 40 /nothing; printf 'a b c\n' | tr ' ' '\t' | cut -f2; which sh > /dev/null; echo $?
