# xargs: programs with many arguments.
seq 1 40 | xargs echo
seq 1 5 | xargs -n 2 echo
echo a b | xargs -I {} echo '<{}>'
echo x | xargs sh -c 'exit 3'; echo $?
echo x | xargs nothere; echo $?
seq 1 100 | xargs true
