# Here-documents, small and larger than what fits into a pipe at once.
cat <<END
one $((1 + 1)) line
END
cat <<'END'
nothing $is expanded
END
cat <<-END
	tabs go
END
read a b <<END
first second
END
echo "$b $a"
wc -c <<END
$(seq 1 1500)
END
