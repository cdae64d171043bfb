/* Mounting, which never succeeds here, and what file systems say. */
#include "calls.h"
#include <sys/mount.h>
#include <sys/statfs.h>

int main(void) {
    struct statfs st;
    sys(mount, "source", "nothere", "tmpfs", 0, "size=1m");
    sys(mount, "source", "nothere", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    sys(mount, NULL, "nothere", NULL, MS_REMOUNT | MS_BIND | MS_RELATIME, NULL);
    sys(mount, "/", "nothere", NULL, MS_BIND | MS_REC, NULL);
    sys(mount, "none", "nothere", NULL, MS_PRIVATE | MS_REC, NULL);
    sys(mount, "none", "nothere", NULL, MS_MOVE, "data");
    sys(mount, "a", "nothere", "proc", MS_SYNCHRONOUS | MS_MANDLOCK | MS_DIRSYNC | MS_NOATIME | MS_NODIRATIME | MS_SILENT, BAD);
    sys(mount, "a", "nothere", "ext4", 0xc0ed0000 | MS_STRICTATIME | MS_LAZYTIME, "x");
    sys(mount, "a", "nothere", "x", 0x8000000000000000, NULL);
    sys(umount2, "nothere", 0);
    sys(umount2, "nothere", MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW);
    sys(umount2, "nothere", 0x100);
    sys(pivot_root, "nothere", "nowhere");
    sys(statfs, "nothere", &st);
    sys(statfs, "/proc", &st);
    sys(fstatfs, -1, &st);
    sys(sync);
    sys(swapoff, "nothere");
    sys(acct, "nothere/file");
    sys(ustat, -1, NULL);
    return 0;
}
