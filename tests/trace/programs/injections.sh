# strace: -e inject=mkdir:error=EROFS:when=2+2 -e inject=chmod:retval=5 -e inject=umask:signal=URG -e fault=rmdir:error=ENOTEMPTY:when=1..2 -e inject=link,symlink:error=EMLINK:delay_enter=100
# Calls that are answered by the tracer, some of the times.
sh -c 'mkdir a b c d'
sh -c 'umask 027; umask'
touch file
chmod 600 file
stat -c %a file
rmdir a
ln file hard
ln -s file soft
unlink file
