# find with its tests and actions, and xargs; a name in each directory, because file systems have them in any order.
mkdir -p top/inner
echo 1 > one
touch -d @1000000 one
echo 22 > top/inner/two
find top
find top -type f
find top -name two
find top -type f -size -2
find top -type f -exec cat {} \;
find top/inner -type f -exec wc -c {} +
find top -newer one | wc -l
find top/inner -type f -print0 | xargs -0 cat
find top -type f -perm 644 -user $(id -u)
find top -maxdepth 1 -type d -name 'in*'
find top -depth -delete
find top
