# Cases for the applets that work on files and directories.
#### mkdir-rmdir
mkdir a; mkdir a; echo $?; mkdir -p b/c/d; ls -R b; rmdir b; echo $?; rmdir -p b/c/d; ls; mkdir -m 700 m; stat -c %a m; mkdir x/y; echo $?; rmdir missing; echo $?
#### touch-stat
touch -d '2020-01-02 03:04:05' f; stat -c '%n %s %F %a %h' f; stat -c '%y %Y' f; touch -r f g; stat -c %Y g; touch -c none; ls none; echo $?; date -u -r f +%s
#### cp
echo a > a; mkdir d; cp a b; cp a d; cp a d/c; cat b d/a d/c; cp missing x; echo $?; cp d e; echo $?; cp -r d e; ls e; cp -p a p; ln -s a l; cp l l1; cp -d l l2; readlink l2; test -L l1; echo $?; cp a a; echo $?; cp -a d f; ls -R f
#### cp-modes
echo x > f; chmod 640 f; cp f g; stat -c %a g; cp -p f h; stat -c %a h; chmod 755 f; cp f g; stat -c %a g; umask 077; cp f i; stat -c %a i
#### mv
echo a > a; mv a b; cat b; mkdir d; mv b d; ls d; mv d/b d/c; ls d; mv missing x; echo $?; mkdir e; mv d e; ls -R e; echo 1 > x; echo 2 > y; mv x y; cat y; ls x; echo $?; mv -n y e; ls e; mv e e/d; echo $?
#### rm
touch a b; rm a; ls; rm a; echo $?; rm -f a; echo $?; mkdir d; rm d; echo $?; touch d/x; rm -r d; ls; rm; echo $?; rm -rf nothing; echo $?; mkdir -p q/w/e; touch q/w/e/r; rm -rf q b; ls -A
#### ln
echo text > f; ln f hard; ln -s f soft; ls -l hard | cut -c1-12; readlink soft; cat soft hard; rm f; cat hard; cat soft; echo $?; ln -s x soft; echo $?; ln -sf y soft; readlink soft; ln missing z; echo $?; ln -s a/b/c deep; readlink deep; readlink -f /; stat -c %h hard
#### symlink-loops
ln -s a b; ln -s b a; cat a; echo $?; ls a; mkdir d; ln -s ../d d/self; ls d/self/self/self; cd d/self/self; basename $(pwd -P); basename "$(readlink -f ../d/self)"
#### realpath-basename
mkdir -p a/b; ln -s a/b l; basename /x/y.txt .txt; basename x/; dirname /x/y z /; realpath l | sed "s|$PWD||"; realpath missing/x; echo $?; readlink -f a/../l/. | sed "s|$PWD||"
#### chmod
touch f; for m in 644 600 755 u+x go-rwx a+r g=u,o= +t u+s 0 4755; do chmod $m f; stat -c '%a %A' f; done; chmod 777 missing; echo $?; mkdir -p d/e; chmod -R 700 d; stat -c %a d/e; chmod 9 f; echo $?
#### ls-forms
mkdir d; echo 12345 > d/five; touch d/.hid; ln -s five d/ln; mkfifo d/p; ls d; ls -a d; ls -A d; ls -F d; ls -1 d; ls -d d; ls d/five d; ls -r d; ls missing; echo $?; ls -l d | awk '{ print $1, $2, $5, $9 }' | tail -n +2; ls -s d/.hid
#### ls-sorting
for i in 1 2 3; do head -c ${i}00 /dev/zero > s$i; touch -d "2020-01-0$i" s$i; done; ls -S; ls -t; ls -rt; ls -lS | awk 'NR > 1 { print $5, $9 }'; touch v1 v10 v2; ls -v v*
#### du-and-size
mkdir d; head -c 10000 /dev/zero > d/f; wc -c d/f; ls -l d/f | awk '{ print $5 }'; truncate -s 5 d/f; wc -c < d/f; truncate -s 1M d/f; stat -c %s d/f; truncate -s +1 d/f; stat -c %s d/f; head -c 3 d/f | od -c
#### dd
dd if=/dev/zero of=f bs=1000 count=3 2> log; tail -n 1 log | cut -d' ' -f1; head -n 2 log; dd if=f bs=100 skip=25 2>/dev/null | wc -c; printf abc | dd of=f bs=1 seek=5 conv=notrunc 2>/dev/null; stat -c %s f; dd if=f bs=1 skip=5 count=3 2>/dev/null; echo; echo abc | dd conv=ucase 2>/dev/null; dd if=missing; echo $?
#### dd-sparse
dd if=/dev/zero of=f bs=1 count=1 seek=100000 2>/dev/null; stat -c %s f; md5sum f; printf x | dd of=g bs=1k seek=10 2>/dev/null; stat -c %s g
#### dev-files
echo x > /dev/null; cat /dev/null; head -c 5 /dev/zero | od -An -tx1; head -c 100 /dev/urandom | wc -c; echo x > /dev/full; echo $?; [ "$(head -c 16 /dev/urandom | md5sum)" != "$(head -c 16 /dev/urandom | md5sum)" ] && echo differ; echo y | cat /dev/stdin; echo out > /dev/stdout; echo e > /dev/stderr; cat < /dev/fd/0 < /dev/null
#### fifo
mkfifo p; stat -c %F p; (echo through > p) & cat p; wait; (cat p > got) & echo second > p; wait; cat got; rm p; (sleep 0.05; echo late) | cat
#### fifo-many
mkfifo p; (seq 1 5000 > p) & wc -l < p; wait; exec 3<> p; echo a >&3; echo b >&3; read x <&3; read y <&3; echo $x $y
#### mktemp
f=$(mktemp ./XXXXXX); test -f $f && stat -c %a $f; d=$(mktemp -d ./dXXXXXX); test -d $d && stat -c %a $d; mktemp ./XX; echo $?; mktemp -u ./aXXXXXX | wc -c
#### tar
mkdir -p t/sub; echo one > t/1; echo two > t/sub/2; ln -s 1 t/l; chmod 600 t/1; tar -cf a.tar t; tar -tf a.tar | sort; mkdir x; tar -xf a.tar -C x; diff -r t x/t && echo same; readlink x/t/l; stat -c %a x/t/1; tar -xOf a.tar t/1; tar -tf missing; echo $?
#### tar-gzip
mkdir t; seq 1 2000 > t/n; head -c 50000 /dev/zero > t/z; tar -czf a.tgz t; mkdir x; tar -xzf a.tgz -C x; diff -r t x/t && echo same; gunzip -c a.tgz | tar -tf - | sort; tar -cf - t | gzip -9 | gunzip | tar -xf - -C x && echo again; cat a.tgz | tar -xz -C x t/n && echo one
#### tar-other
mkdir t; seq 1 500 > t/n; tar -cjf a.tbz t 2>/dev/null || tar -cf - t | bzip2 > a.tbz; bunzip2 -c a.tbz | tar -tf -; mkdir y; tar -cf - -C t n | tar -xvf - -C y; tar -cf b.tar missing; echo $?
#### gzip
seq 1 1000 > f; cp f g; gzip f; ls; gunzip f.gz; cmp f g && echo same; gzip -c f > h.gz; zcat h.gz | cmp - g && echo same; echo notgz > bad.gz; gunzip bad.gz; echo $?; gzip missing; echo $?; gzip -d < h.gz | md5sum; printf '' | gzip | gunzip | wc -c
#### bzip2-xz
seq 1 3000 > f; bzip2 -k f; bunzip2 -c f.bz2 | cmp - f && echo bz; gzip -c f | head -c 100 | gunzip > /dev/null; echo $?; lzop -c f 2>/dev/null | lzop -dc 2>/dev/null | cmp - f; echo $?
#### cpio
mkdir t; echo a > t/a; echo b > t/b; find t | sort | cpio -o -H newc > a.cpio 2>/dev/null; mkdir x; cd x; cpio -i < ../a.cpio 2>/dev/null; find . | sort; cat t/a; cpio -t < ../a.cpio 2>/dev/null
#### ar-unzip
echo one > a; echo two > b; ar -t missing; echo $?; unzip missing; echo $?
#### install
echo x > f; install -m 755 f g; stat -c %a g; install -d p/q; ls -d p/q; install f p; cat p/f
#### file-times
touch -d @1000000 a; touch -d @2000000 b; [ b -nt a ] && echo newer; [ a -ot b ] && echo older; cp -p a c; stat -c %Y c; touch c; [ c -nt b ] && echo now; [ $(stat -c %X a) -gt 1000000000 ] && echo read
#### permission-bits
umask 022; echo x > f; chmod 000 f; stat -c %A f; chmod 6755 f; stat -c %A f; echo y >> f; mkdir d; chmod 1777 d; stat -c %A d; touch a; chmod =rw a; stat -c %a a
#### special-names
touch -- -dash 'new
line' '*' "q'uote" ' lead'; ls -1 | wc -l; rm -- -dash; rm '*'; ls | od -c | head -n 5; for f in *; do echo "<$f>"; done
#### long-names
n=$(printf 'x%.0s' $(seq 1 255)); touch $n; ls | wc -c; touch ${n}x; echo $?; mkdir -p $(printf 'd/%.0s' $(seq 1 100)); find d | wc -l; rm -r d $n; ls -A
#### many-files
i=0; mkdir d; while [ $i -lt 300 ]; do : > d/f$i; i=$((i+1)); done; ls d | wc -l; ls d | head -n 3; rm d/*5; ls d | wc -l; find d -name 'f1*' | wc -l; rm -r d; ls
#### unlinked-open
echo content > f; exec 3< f; rm f; cat <&3; exec 4> g; rm g; echo written >&4; echo $?; ls
#### append-concurrently
for i in 1 2 3 4; do (for j in 1 2 3 4 5; do echo "$i$j" >> log; done) & done; wait; sort log | md5sum; wc -l < log
#### overwrite-in-place
printf 'aaaaaaaaaa' > f; printf 'bbb' 1<> f; cat f; echo; : > f; stat -c %s f; printf x >> f; printf y >> f; cat f; echo
#### rename-over-open
echo old > f; exec 3< f; echo new > g; mv g f; cat <&3 f
#### hidden-and-dots
mkdir d; cd d; touch .a ..b c; ls -A; echo .*; ls -a | head -n 2; cd ..; ls d/.; ls d/..
#### du
mkdir -p a/b; touch a/f; du -a a | awk '{ print $2 }' | sort
#### sync-and-fsync
echo x > f; sync; sync f; echo $?; fallocate -l 1000 g; stat -c %s g; fallocate -l 0 h; echo $?
#### cmp-devices
head -c 3000 /dev/zero > z; cmp z /dev/zero; echo $?; cmp -n 10 z /dev/zero; echo $?
#### flock
touch l; flock l echo locked; flock -n l sh -c 'flock -n l echo inner; echo $?'; (flock 9; echo held) 9> l2
#### run-parts
mkdir d; printf '#!/bin/sh\necho one\n' > d/1; printf '#!/bin/sh\necho two\n' > d/2; chmod +x d/1; run-parts d; run-parts --test d
