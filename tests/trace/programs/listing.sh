# ls in its forms; a name in each directory, because file systems have them in any order.
umask 022
mkdir -p directory/inner
cd directory
ls
ls -A
ls -F
echo content > inner/file
chmod 4751 inner/file
touch -d @1000000 inner/file
ls inner
ls -l inner
ls -ln inner/file
ls -R
ls -1 -t inner
ls -s inner
ln -s file link
ls -l link
readlink link
readlink -f inner/file | wc -l
ls nothere
