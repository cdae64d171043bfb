/* Modes, owners, times and extended attributes. */
#include "calls.h"
#include <sys/xattr.h>
#include <utime.h>

int main(void) {
    char buffer[64];
    sys(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0644);
    sys(chmod, "f", 0600);
    sys(chmod, "f", 07777);
    sys(chmod, "f", 0100644);
    sys(chmod, "f", 0x10000);
    sys(fchmod, 3, 0444);
    sys(fchmod, -1, 0444);
    sys(fchmodat, AT_FDCWD, "f", 0755);
    sys(chown, "f", -1, -1);
    sys(chown, "f", own_uid(), own_gid());
    sys(lchown, "nothere", 1, 2);
    sys(fchown, 3, -1, -1);
    sys(fchown, -1, 5, 6);
    sys(fchownat, AT_FDCWD, "f", -1, -1, AT_SYMLINK_NOFOLLOW);
    sys(fchownat, 3, "", -1, -1, AT_EMPTY_PATH);
    sys(fchownat, AT_FDCWD, "f", -1, -1, 1);

    struct utimbuf old = {86400, 172800};
    sys(utime, "f", &old);
    sys(utime, "f", NULL);
    sys(utime, "f", BAD);
    struct timeval tv[2] = {{1, 2}, {3, 999999}}, wrong[2] = {{0, -1}, {0, 1000000}};
    sys(utimes, "f", tv);
    sys(utimes, "f", wrong);
    sys(utimes, "f", NULL);
    sys(utimes, "f", BAD);
    sys(futimesat, AT_FDCWD, "f", tv);
    sys(futimesat, 3, NULL, tv);
    struct timespec ts[2] = {{1, 2}, {3, 999999999}};
    sys(utimensat, AT_FDCWD, "f", ts, 0);
    sys(utimensat, 3, NULL, ts, 0);
    struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    sys(utimensat, AT_FDCWD, "f", now, AT_SYMLINK_NOFOLLOW);
    struct timespec omit[2] = {{5, UTIME_OMIT}, {5, UTIME_OMIT}}, both[2] = {{1, UTIME_NOW}, {2, UTIME_NOW}};
    sys(utimensat, AT_FDCWD, "f", omit, 0);
    sys(utimensat, AT_FDCWD, "f", both, 0);
    struct timespec bad[2] = {{0, -1}, {-5, 1000000000}};
    sys(utimensat, AT_FDCWD, "f", bad, 0);
    sys(utimensat, AT_FDCWD, "f", NULL, 0);
    sys(utimensat, AT_FDCWD, "f", ts, 0x1234);
    sys(utimensat, AT_FDCWD, "f", edge(16), 0);

    sys(getxattr, "f", "user.nothing", buffer, 64);
    sys(setxattr, "f", "user.name", "value", 5, XATTR_CREATE);
    sys(setxattr, "f", "user.name", "value", 5, XATTR_CREATE);
    sys(getxattr, "f", "user.name", buffer, 64);
    sys(getxattr, "f", "user.name", buffer, 4);
    sys(lgetxattr, "f", "user.name", NULL, 0);
    sys(listxattr, "f", buffer, 64);
    sys(listxattr, "f", buffer, 4);
    sys(removexattr, "f", "user.name");
    sys(lgetxattr, "nothere", "user.nothing", buffer, 64);
    sys(fgetxattr, -1, "user.nothing", NULL, 0);
    sys(setxattr, "nothere", "user.name", "value", 5, 0);
    sys(setxattr, "nothere", "user.name", "va\0ue", 5, XATTR_CREATE);
    sys(setxattr, "nothere", "user.name", "value", 6, XATTR_REPLACE);
    sys(lsetxattr, "nothere", "user.name", "value", 5, 3);
    sys(lsetxattr, "nothere", "user.name", NULL, 0, 4);
    sys(fsetxattr, -1, "user.name", BAD, 5, 0);
    sys(listxattr, "nothere", buffer, 64);
    sys(llistxattr, "nothere", NULL, 0);
    sys(flistxattr, -1, buffer, 64);
    sys(removexattr, "nothere", "user.name");
    sys(lremovexattr, "nothere", "user.name");
    sys(fremovexattr, -1, "user.name");
    return 0;
}
