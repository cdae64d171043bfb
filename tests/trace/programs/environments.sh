# strace: -v -s 200
# What programs are executed with, in full.
env -i A=1 'B=with space' sh -c 'echo $A $B; exec env C=3 true "" "a b" "quote\"s" back\\slash'
env -i sh -c 'true one two'
