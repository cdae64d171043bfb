/* Clocks, sleeps, interval timers. */
#include "t.h"
#include <sys/times.h>

static volatile int alarms;
static void on_alarm(int signo) { (void)signo; alarms++; }

int main(void) {
    struct timespec a, b;
    struct timeval tv;
    int ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
                 CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME};
    for (int i = 0; i < 8; i++) {
        SHOW(clock_gettime(ids[i], &a));
        SHOW(clock_getres(ids[i], &b));
        YES(a.tv_nsec >= 0 && a.tv_nsec < 1000000000 && b.tv_sec == 0 && b.tv_nsec > 0);
    }
    SHOW(syscall(SYS_clock_gettime, 55, &a));
    SHOW(syscall(SYS_clock_gettime, CLOCK_REALTIME, 8));
    SHOW(syscall(SYS_clock_getres, CLOCK_REALTIME, NULL));
    gettimeofday(&tv, NULL);
    clock_gettime(CLOCK_REALTIME, &a);
    YES(labs((long)(a.tv_sec - tv.tv_sec)) <= 1);
    YES(labs((long)(time(NULL) - tv.tv_sec)) <= 1);
    int64_t last = 0;
    int backwards = 0;
    for (int i = 0; i < 1000; i++) {
        clock_gettime(CLOCK_MONOTONIC, &a);
        int64_t now = (int64_t)a.tv_sec * 1000000000 + a.tv_nsec;
        backwards += now < last;
        last = now;
    }
    printf("backwards %d\n", backwards);

    int64_t from = now_ms();
    struct timespec t = {0, 30000000}, left = {9, 9};
    SHOW(nanosleep(&t, &left));
    YES(now_ms() - from >= 30);
    printf("left untouched %ld %ld\n", (long)left.tv_sec, left.tv_nsec);
    t.tv_nsec = 1000000000;
    SHOW(nanosleep(&t, NULL));
    t.tv_nsec = -1;
    SHOW(nanosleep(&t, NULL));
    t.tv_sec = -1;
    t.tv_nsec = 0;
    SHOW(nanosleep(&t, NULL));
    SHOW(syscall(SYS_nanosleep, 8, NULL));
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += 30000000;
    if (t.tv_nsec >= 1000000000) { t.tv_nsec -= 1000000000; t.tv_sec++; }
    from = now_ms();
    SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
    YES(now_ms() - from >= 28);
    SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
    SHOW(syscall(SYS_clock_nanosleep, 55, 0, &t, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL));

    signal(SIGALRM, on_alarm);
    SHOW(alarm(100));
    SHOW(alarm(50));
    struct itimerval it, old;
    SHOW(getitimer(ITIMER_REAL, &it));
    YES(it.it_value.tv_sec >= 48 && it.it_value.tv_sec <= 50);
    memset(&it, 0, sizeof it);
    it.it_value.tv_usec = 20000;
    it.it_interval.tv_usec = 20000;
    SHOW(setitimer(ITIMER_REAL, &it, &old));
    YES(old.it_value.tv_sec >= 48 && old.it_interval.tv_sec == 0);
    from = now_ms();
    while (alarms < 4) pause();
    int64_t took = now_ms() - from;
    YES(took >= 75 && took < 1000);
    SHOW(getitimer(ITIMER_REAL, &it));
    printf("interval %ld\n", (long)it.it_interval.tv_usec);
    memset(&it, 0, sizeof it);
    SHOW(setitimer(ITIMER_REAL, &it, &old));
    alarms = 0;
    pause_ms(50);
    printf("alarms after stopping %d\n", alarms);
    it.it_value.tv_usec = 1000000;
    SHOW(setitimer(ITIMER_REAL, &it, NULL));
    SHOW(setitimer(7, &it, NULL));
    SHOW(getitimer(7, &it));
    SHOW(syscall(SYS_setitimer, ITIMER_REAL, 8, NULL));
    CHILD("timers are not inherited", getitimer(ITIMER_REAL, &it); _exit(it.it_value.tv_sec || it.it_value.tv_usec));
    CHILD("alarm kills", signal(SIGALRM, SIG_DFL); struct itimerval s = {{0, 0}, {0, 10000}}; setitimer(ITIMER_REAL, &s, NULL); for (;;) {});
    struct tms used;
    YES(times(&used) != (clock_t)-1);
    YES(used.tms_utime >= 0 && used.tms_cutime >= 0);
    struct rusage self;
    SHOW(getrusage(RUSAGE_SELF, &self));
    volatile unsigned long n = 0;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    while (n < 3000000) n++;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    YES((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec > 0);
    return 0;
}
