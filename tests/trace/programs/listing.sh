# ls in its forms, by names and in directories.
umask 022
echo content > file
ln -s file link
mkdir directory
chmod 4751 file
ls
ls -l file
ls -ld directory link
ls -la directory | wc -l
ls -R | head -n 3
ls -i file | wc -w
ls nothere
readlink link
readlink -f link | wc -l
