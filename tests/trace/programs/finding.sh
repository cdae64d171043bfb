# find with its tests and actions, and xargs.
mkdir -p top/inner
echo 1 > top/one
echo 22 > top/inner/two
find top -type f | sort
find top -name two
find top -size -2 -type d | sort
find top -type f -exec cat {} \; | sort
find top/inner -type f -exec wc -c {} +
find top -newer top/one | wc -l
find top/inner -type f -print0 | xargs -0 cat
find top -depth -delete
find top
