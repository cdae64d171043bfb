# strace: -e inject=unlink:error=EPERM -e inject=mkdir:retval=0:when=2 -e fault=readlink:when=1+2
# Calls that strace does not let through.
echo x > file
rm file
mkdir one
mkdir two
rmdir two
ln -s file link
readlink link; echo $?
rmdir one
