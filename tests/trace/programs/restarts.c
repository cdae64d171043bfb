/* Calls that signals interrupt: those that begin again and those that fail. */
#include "calls.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

static void handler(int signal) { (void)signal; }
static void tick(void) {
    struct itimerval timer = {{0, 0}, {0, 60000}};
    sys(setitimer, ITIMER_REAL, &timer, NULL);
}

int main(void) {
    int ends[2];
    char byte;
    static int word = 5;
    struct timespec time = {0, 150000000}, left;
    struct pollfd fd;
    action(SIGALRM, handler, 0, 0);
    sys(pipe, ends);
    fd = (struct pollfd){ends[0], POLLIN, 0};
    tick(), sys(read, ends[0], &byte, 1);
    tick(), sys(pause);
    tick(), sys(nanosleep, &time, &left);
    tick(), sys(nanosleep, &time, NULL);
    tick(), sys(clock_nanosleep, CLOCK_MONOTONIC, 0, &time, &left);
    tick(), sys(poll, &fd, 1, 1000);
    left = time;
    tick(), sys(ppoll, &fd, 1, &left, NULL, 8);
    struct timeval tv = {0, 150000};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    tick(), sys(select, ends[0] + 1, &set, NULL, NULL, &tv);
    tick(), sys(futex, &word, 0, 5, NULL);
    tick(), sys(futex, &word, 0, 5, &time);
    sys(epoll_create1, 0);
    tick(), sys(epoll_wait, ends[1] + 1, &fd, 1, 1000);
    uint64_t nothing = 0, alarm = BIT(SIGUSR1);
    tick(), sys(rt_sigsuspend, &nothing, 8);
    tick(), sys(rt_sigtimedwait, &alarm, NULL, &time, 8);

    action(SIGALRM, handler, SA_RESTART, 0);
    long child = sys(fork);
    if (child == 0) {
        pause_ms(200);
        sys(write, ends[1], "x", 1);
        pause_ms(200);
        sys(exit_group, 0);
    }
    tick(), sys(read, ends[0], &byte, 1);
    tick(), sys(wait4, child, NULL, 0, NULL);
    tick(), sys(poll, &fd, 1, 150);
    tick(), sys(nanosleep, &time, NULL);
    tick(), sys(futex, &word, 0, 5, &time);

    action(SIGCHLD, SIG_DFL, SA_NOCLDSTOP, 0);
    /* Stopped and continued without a handler: the rest of the time is waited for. */
    child = sys(fork);
    if (child == 0) {
        time = (struct timespec){0, 500000000};
        sys(nanosleep, &time, &left);
        sys(poll, NULL, 0, 500);
        sys(clock_nanosleep, CLOCK_REALTIME, 0, &time, &left);
        sys(read, ends[0], &byte, 1);
        sys(exit_group, 0);
    }
    for (int i = 0; i < 3; i++) {
        pause_ms(i ? 500 : 200);
        sys(kill, child, SIGSTOP);
        sys(wait4, child, &status_, WUNTRACED, NULL);
        sys(kill, child, SIGCONT);
        sys(wait4, child, &status_, WCONTINUED, NULL);
    }
    sys(write, ends[1], "y", 1);
    sys(wait4, child, &status_, 0, NULL);
    return 0;
}
