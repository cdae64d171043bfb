/* strace: -e raw=all */
/* Arguments and results as the registers have them. */
#include "calls.h"
#include <poll.h>

int main(void) {
    struct timespec none = {0, 1};
    static char buffer[512];
    sys(umask, 022);
    sys(umask, 0);
    sys(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600);
    sys(write, 3, "text", 4);
    sys(dup3, 3, 100, O_CLOEXEC);
    sys(fcntl, 100, F_GETFD);
    sys(fcntl, 100, F_GETFL);
    sys(fcntl, 3, F_SETFL, -1);
    sys(lseek, 3, 0x123456789, SEEK_SET);
    sys(preadv, 3, NULL, 0, 5, 6);
    sys(pwritev2, 3, NULL, 0, -1, 7, 0);
    sys(personality, 0xffffffff);
    sys(sched_get_priority_max, 1);
    sys(sched_getscheduler, 0);
    sys(sched_getaffinity, 0, 8, buffer);
    sys(getpriority, 0, 0);
    sys(prctl, 3);
    sys(nanosleep, &none, NULL);
    sys(poll, NULL, 0, 1);
    sys(select, 0, NULL, NULL, NULL, &none);
    sys(futex, buffer, 1, 0x100000001, -1, -2, -3);
    sys(mremap, -1, -1, -1, 0x100000001, -1);
    sys(stat, "f", BAD);
    sys(stat, "nothere", buffer);
    number(600, -1, -2, -3, -4, -5, -6);
    number(-1);
    return 255;
}
