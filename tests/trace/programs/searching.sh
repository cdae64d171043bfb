# grep in files and directories, cut, tr, uniq, head, tail, wc.
mkdir directory
printf 'alpha\nbeta\nalpha\n' > directory/words
grep alpha directory/words
grep -c alpha directory/words
grep -r beta directory
grep -q gamma directory/words; echo $?
grep x nothere; echo $?
cut -c 1-2 directory/words
tr a-z A-Z < directory/words
uniq -c directory/words
head -c 3 directory/words
tail -n 1 directory/words
tail -c +12 directory/words
wc directory/words
