/* What is known of files: the stat family in short and in full. */
#include "calls.h"
#include <linux/stat.h>
#include <sys/sysmacros.h>
/* Some file systems tell these only if they are asked. */
#define TIMES (STATX_CTIME | STATX_MTIME)

int main(void) {
    struct stat st;
    struct timespec set[2] = {{1000000, 0}, {1000001, 5000}};
    static char buffer[256] __attribute__((aligned(8)));
    sys(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0644);
    sys(write, 3, "content\n", 8);
    sys(utimensat, AT_FDCWD, "f", set, 0);
    sys(symlink, "f", "link");
    sys(mkdir, "directory", 01777);
    sys(chmod, "directory", 01777);
    sys(mknod, "fifo", S_IFIFO | 0600, 0);
    sys(chmod, "f", 04755);
    sys(stat, "f", &st);
    sys(lstat, "link", &st);
    sys(stat, "link", &st);
    sys(fstat, 3, &st);
    sys(stat, "fifo", &st);
    sys(stat, "/dev/null", &st);
    sys(stat, "nothere", &st);
    sys(stat, "f", NULL);
    sys(stat, "f", BAD);
    sys(fstat, -1, &st);
    sys(fstat, 3, edge(8));
    sys(newfstatat, AT_FDCWD, "f", &st, 0);
    sys(newfstatat, AT_FDCWD, "link", &st, AT_SYMLINK_NOFOLLOW);
    sys(newfstatat, 3, "", &st, AT_EMPTY_PATH);
    sys(newfstatat, AT_FDCWD, "f", &st, AT_NO_AUTOMOUNT);
    sys(newfstatat, AT_FDCWD, "f", &st, 1);
    sys(statx, AT_FDCWD, "f", 0, STATX_BASIC_STATS, buffer);
    sys(statx, AT_FDCWD, "f", AT_STATX_SYNC_AS_STAT, STATX_MODE | STATX_SIZE | TIMES, buffer);
    sys(statx, AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_TYPE | TIMES, buffer);
    sys(statx, 3, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, buffer);
    sys(statx, AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, buffer);
    sys(statx, AT_FDCWD, "f", 0x10000, STATX_BASIC_STATS, buffer);
    sys(statx, AT_FDCWD, "f", 0, 0x80000000, buffer);
    sys(statx, AT_FDCWD, "nothere", 0, STATX_BASIC_STATS, buffer);
    sys(statx, AT_FDCWD, "f", 0, STATX_BASIC_STATS, NULL);
    sys(statx, AT_FDCWD, NULL, 0, STATX_BASIC_STATS, buffer);
    return 0;
}
