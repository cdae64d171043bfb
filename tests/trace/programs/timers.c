/* POSIX timers, and the signals of timers. */
#include "calls.h"

static void handler(int signal) { (void)signal; }

int main(void) {
    struct sigevent event;
    struct itimerspec spec = {{0, 0}, {100, 0}}, old, soon = {{0, 0}, {0, 30000000}};
    int id;
    uint64_t set = BIT(SIGALRM) | BIT(40) | BIT(SIGVTALRM);
    siginfo_t info;
    memset(&event, 0, sizeof event);
    sys(timer_create, CLOCK_REALTIME, NULL, &id);
    sys(timer_settime, id, 0, &spec, NULL);
    sys(timer_settime, id, 0, &spec, &old);
    sys(timer_gettime, id, &old);
    sys(timer_getoverrun, id);
    spec.it_value = (struct timespec){0, 0};
    sys(timer_settime, id, TIMER_ABSTIME, &spec, NULL);
    sys(timer_gettime, id, &old);
    spec.it_value.tv_nsec = -1;
    sys(timer_settime, id, 0, &spec, NULL);
    sys(timer_settime, id, 0, NULL, NULL);
    sys(timer_settime, id, 9, &spec, BAD);
    sys(timer_settime, 99, 0, &spec, NULL);
    sys(timer_gettime, 99, &old);
    sys(timer_gettime, id, BAD);
    sys(timer_delete, id);
    sys(timer_delete, 99);
    sys(timer_getoverrun, -1);
    event.sigev_notify = SIGEV_NONE;
    event.sigev_value.sival_ptr = (void *)0x1234;
    sys(timer_create, CLOCK_MONOTONIC, &event, &id);
    sys(timer_delete, id);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = 40;
    event.sigev_value.sival_int = 77;
    sys(timer_create, CLOCK_BOOTTIME, &event, &id);
    sys(rt_sigprocmask, SIG_BLOCK, &set, NULL, 8);
    sys(timer_settime, id, 0, &soon, NULL);
    sys(rt_sigtimedwait, &set, &info, NULL, 8);
    sys(timer_delete, id);
    event.sigev_notify = SIGEV_THREAD_ID;
    event._sigev_un._tid = sys(gettid);
    event.sigev_signo = SIGUSR1;
    action(SIGUSR1, handler, 0, 0);
    sys(timer_create, CLOCK_MONOTONIC, &event, &id);
    sys(timer_settime, id, 0, &soon, NULL);
    sys(pause);
    sys(timer_delete, id);
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD;
    sys(timer_create, CLOCK_MONOTONIC, &event, &id);
    event.sigev_notify = 99;
    event.sigev_signo = 99;
    sys(timer_create, CLOCK_MONOTONIC, &event, &id);
    sys(timer_create, 99, NULL, &id);
    sys(timer_create, CLOCK_REALTIME, BAD, &id);
    sys(timer_create, CLOCK_REALTIME, NULL, NULL);
    struct itimerval alarm = {{0, 0}, {0, 30000}};
    sys(setitimer, ITIMER_REAL, &alarm, NULL);
    sys(rt_sigtimedwait, &set, &info, NULL, 8);
    set = 0;
    action(SIGALRM, handler, 0, 0);
    sys(rt_sigprocmask, SIG_SETMASK, &set, NULL, 8);
    sys(setitimer, ITIMER_REAL, &alarm, NULL);
    sys(pause);
    return 0;
}
