# Exit statuses, programs that are not there or cannot be executed.
true; echo $?
false; echo $?
(exit 255); echo $?
nothere; echo $?
./nothere; echo $?
mkdir directory; ./directory; echo $?
echo 'echo script' > script
./script; echo $?
chmod 755 script
./script; echo $?
printf '#!/nothere\n' > bad; chmod 755 bad
./bad; echo $?
test -f script && echo file
[ -d script ] || echo no directory
touch -d @1000000 script
test script -nt directory; echo $?
test directory -nt script; echo $?
! true; echo $?
exit 7
