/* Calls that fail: what is shown of arguments that strace looks at when a call has ended, and of odd sizes. */
#include "calls.h"

static char b[70000];

static void attributes(void) {
    memset(b, 'x', sizeof b);
    sys(fsetxattr, -1, "user.x", b, 65536, 0);
    sys(fsetxattr, -1, "user.x", b, 65537, 0);
    sys(fsetxattr, -1, "user.x", "val\0", 4, 0);
    sys(fsetxattr, -1, "user.x", "val\0\0", 5, 0);
    sys(fsetxattr, -1, "user.x", "0123456789012345678901234567890\0a", 33, 0);
    sys(fsetxattr, -1, "user.x", "01234567890123456789012345678901\0", 33, 0);
    sys(fsetxattr, -1, "user.x", edge(100), 65536, 0);
    memset(b, 0, sizeof b);
}

static void structures(void) {
    b[0] = 1, b[100] = 7;
    sys(openat2, -1, "x", b, 23);
    sys(openat2, -1, "x", b, 4096);
    sys(openat2, -1, "x", b, 5000);
    sys(openat2, -1, "x", edge(24), 32);
    sys(clone3, b, 63);
    sys(sched_setattr, -1, b, 4096);
    sys(mount, "a", "nothere", "c", 0x20, "d");
    sys(mount, "a", "nothere", "c", 0x1000, "d");
    sys(mount, "a", "nothere", "c", 0x1020, "d");
    sys(mremap, 1, 4096, 4096, 2, 5);
    sys(mremap, 1, 4096, 4096, 3, 5);
    sys(mremap, 0x1000, 4096, 4096, 0x100000001, 5);
    sys(getrlimit, 0x101, b);
    sys(sigaltstack, BAD, b);
    sys(capget, 0, 0);
    sys(syslog, 2, b, -1);
    sys(arch_prctl, 0x1002, -1);
    sys(arch_prctl, 0x9999, b);
    sys(set_robust_list, b, 23);
    sys(ioprio_set, 1, 0, 0xf005);
}

static void times_and_masks(void) {
    long mask = 0x11;
    struct timespec time = {1, 2}, bad = {1, -1}, big = {0, 1000000000};
    struct { void *mask; long size; } set = {&mask, 8}, odd = {&mask, 4};
    sys(epoll_pwait, -1, b, 8, 0, &mask, 8);
    sys(epoll_pwait2, -1, b, 8, &time, &mask, 8);
    sys(epoll_pwait2, -1, b, 8, &big, &mask, 8);
    sys(epoll_ctl, -1, 9, 2, b);
    sys(epoll_ctl, -1, 2, 2, b);
    sys(pselect6, -1, NULL, NULL, NULL, &bad, &set);
    sys(pselect6, 0, NULL, NULL, NULL, &bad, &odd);
    sys(ppoll, NULL, 0, &bad, &mask, 8);
    sys(ppoll, NULL, 0, &bad, &mask, 4);
    sys(rt_sigtimedwait, &mask, b, &time, 7);
    sys(rt_sigtimedwait, &mask, b, &bad, 8);
    sys(waitid, 5, 1, b, 4, b);
    sys(wait4, -2000000, b, 0, b);
    sys(nanosleep, &bad, b);
    sys(clock_nanosleep, 99, 0, &time, b);
    sys(clock_nanosleep, 1, 5, &bad, b);
    sys(setitimer, 4, b, b);
    sys(timer_settime, 99, 0, b, b);
    sys(prlimit64, 0, 99, b, b);
    sys(sched_setaffinity, 0, 8, BAD);
    sys(sched_getaffinity, 0, 1, b);
}

static void files(void) {
    sys(sendfile, -1, -1, b, 3);
    sys(copy_file_range, -1, b, -1, b, 3, 0);
    sys(splice, -1, b, -1, b, 3, 0);
    sys(preadv, -1, b, 3, -1, 5);
    sys(preadv2, -1, b, 1, -1, 5, 99);
    sys(readv, 0, 0x1000, 0x100000001);
    sys(writev, 2, BAD, 1L << 32);
    sys(vmsplice, -1, b, 1L << 63, 0);
    sys(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600);
    sys(readahead, 3, 0, 4096);
    sys(readahead, 3, 0, -1);
    sys(readlink, "/", b, 0);
    sys(readlink, "/proc/self/nothere", b, -1);
    sys(getcwd, b, 1);
    sys(mincore, b + 1, 1, b);
    sys(mincore, b, 0, b);
    sys(mincore, 0x1000, 0, b);
    sys(flistxattr, 3, b, 0);
    sys(flistxattr, 3, b, 5);
    sys(llistxattr, "f", NULL, 0);
    sys(poll, b, -1, 0);
    sys(poll, BAD, 0, 0);
}

int main(void) {
    attributes();
    structures();
    times_and_masks();
    files();
    return 0;
}
