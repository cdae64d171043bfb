/* Clocks, sleeping, interval timers. */
#include "calls.h"
#include <sys/timex.h>

int main(void) {
    struct timespec ts, short_ = {0, 1000}, wrong = {0, 1000000000}, negative = {-1, 5}, past = {5, 0};
    struct timeval tv;
    struct timezone zone;
    struct itimerval timer = {{0, 0}, {100, 5}}, old;
    time_t now;
    for (int clock = 0; clock < 13; clock++) sys(clock_gettime, clock, &ts);
    sys(clock_gettime, 99, &ts);
    sys(clock_gettime, ~999999 << 3 | 2, &ts);
    sys(clock_gettime, -6, &ts);
    sys(clock_gettime, CLOCK_REALTIME, NULL);
    sys(clock_gettime, CLOCK_REALTIME, BAD);
    sys(clock_getres, CLOCK_MONOTONIC, &ts);
    sys(clock_getres, CLOCK_REALTIME, NULL);
    sys(clock_getres, 99, &ts);
    sys(clock_settime, CLOCK_MONOTONIC, &past);
    sys(clock_settime, CLOCK_REALTIME, &wrong);
    sys(clock_settime, CLOCK_REALTIME, BAD);
    sys(gettimeofday, &tv, NULL);
    sys(gettimeofday, NULL, &zone);
    sys(gettimeofday, NULL, NULL);
    sys(gettimeofday, BAD, NULL);
    struct timeval wrong_tv = {1, -1};
    sys(settimeofday, &wrong_tv, NULL);
    sys(settimeofday, BAD, BAD);
    sys(time, NULL);
    sys(time, &now);
    sys(time, BAD);
    sys(nanosleep, &short_, NULL);
    sys(nanosleep, &short_, &ts);
    sys(nanosleep, &wrong, NULL);
    sys(nanosleep, &negative, NULL);
    sys(nanosleep, NULL, NULL);
    sys(nanosleep, BAD, &ts);
    sys(clock_nanosleep, CLOCK_MONOTONIC, 0, &short_, NULL);
    sys(clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &past, &ts);
    sys(clock_nanosleep, CLOCK_BOOTTIME, 9, &short_, NULL);
    sys(clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &short_, NULL);
    sys(clock_nanosleep, 99, 0, &short_, NULL);
    sys(clock_nanosleep, CLOCK_REALTIME, 0, &wrong, NULL);
    sys(alarm, 100);
    sys(alarm, 0);
    sys(setitimer, ITIMER_REAL, &timer, &old);
    sys(getitimer, ITIMER_REAL, &old);
    timer = (struct itimerval){{5, 7}, {0, 0}};
    sys(setitimer, ITIMER_REAL, &timer, &old);
    sys(getitimer, ITIMER_REAL, &old);
    timer = (struct itimerval){{1, 2}, {1000, 0}};
    sys(setitimer, ITIMER_VIRTUAL, &timer, NULL);
    sys(setitimer, ITIMER_PROF, &timer, &old);
    sys(setitimer, 9, &timer, NULL);
    sys(getitimer, 9, &old);
    sys(setitimer, ITIMER_REAL, NULL, NULL);
    sys(setitimer, ITIMER_REAL, BAD, NULL);
    sys(getitimer, ITIMER_REAL, BAD);
    timer.it_value.tv_usec = 1000000;
    sys(setitimer, ITIMER_REAL, &timer, NULL);
    struct timex adjust = {.modes = 0x9000};
    sys(adjtimex, BAD);
    sys(adjtimex, NULL);
    sys(clock_adjtime, 99, &adjust);
    sys(clock_adjtime, CLOCK_REALTIME, BAD);
    return 0;
}
