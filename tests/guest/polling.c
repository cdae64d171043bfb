/* poll, ppoll, select, pselect: readiness, time, interruption. */
#include "t.h"
#include <poll.h>
#include <sys/select.h>

static volatile int alarms;
static void on_alarm(int signo) { (void)signo; alarms++; }

static void in(long ms) {
    struct itimerval t = {{0, 0}, {ms / 1000, ms % 1000 * 1000}};
    setitimer(ITIMER_REAL, &t, NULL);
}

#define TIMED(low, expression)                                                                                \
    do {                                                                                                      \
        int64_t from_ = now_ms();                                                                             \
        SHOW(expression);                                                                                     \
        int64_t took_ = now_ms() - from_;                                                                     \
        printf("   took %s\n", took_ >= (low) && took_ < (low) + 1000 ? "the right time" : "another time");   \
    } while (0)

int main(void) {
    int p[2], q[2];
    MUST(pipe(p));
    MUST(pipe(q));
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct pollfd fds[4] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}, {-1, POLLIN, 9}, {99, POLLIN, 0}};
    TIMED(0, poll(fds, 4, 0));
    for (int i = 0; i < 4; i++) printf("revents %x\n", fds[i].revents);
    TIMED(50, poll(fds, 1, 50));
    TIMED(50, poll(NULL, 0, 50));
    MUST(write(p[1], "x", 1));
    TIMED(0, poll(fds, 1, -1));
    printf("revents %x\n", fds[0].revents);
    char c;
    MUST(read(p[0], &c, 1));
    in(50);
    TIMED(50, poll(fds, 1, -1));
    in(50);
    TIMED(50, poll(fds, 1, 5000));
    SHOW(poll((struct pollfd *)8, 1, 0));
    SHOW(poll(fds, 1u << 30, 0));
    struct timespec some = {0, 30000000}, bad = {0, -1};
    TIMED(30, ppoll(fds, 1, &some, NULL));
    SHOW(ppoll(fds, 1, &bad, NULL));
    sigset_t block, unblock;
    sigemptyset(&unblock);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGALRM);
    int before = alarms;
    SHOW(ppoll(fds, 1, NULL, &unblock));
    printf("delivered %d\n", alarms - before);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    printf("blocked again %d\n", sigismember(&now, SIGALRM));
    raise(SIGALRM);
    MUST(write(p[1], "x", 1));
    SHOW(poll(fds, 1, 1000));
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    MUST(read(p[0], &c, 1));

    fd_set r, w, e;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_ZERO(&e);
    FD_SET(p[0], &r);
    FD_SET(p[1], &w);
    struct timeval tv = {0, 0};
    SHOW(select(p[1] + 1, &r, &w, &e, &tv));
    printf("%d %d\n", !!FD_ISSET(p[0], &r), !!FD_ISSET(p[1], &w));
    FD_SET(p[0], &r);
    tv.tv_usec = 40000;
    TIMED(40, select(p[0] + 1, &r, NULL, NULL, &tv));
    printf("left %ld %ld, set %d\n", (long)tv.tv_sec, (long)tv.tv_usec, !!FD_ISSET(p[0], &r));
    FD_SET(p[0], &r);
    in(30);
    TIMED(30, select(p[0] + 1, &r, NULL, NULL, NULL));
    FD_ZERO(&r);
    FD_SET(40, &r); // below the smallest table: what is beyond the table is ignored, and its size depends on the parent
    SHOW(select(41, &r, NULL, NULL, &tv));
    SHOW(select(-1, NULL, NULL, NULL, &tv));
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    struct timespec ts = {0, 20000000};
    TIMED(20, pselect(p[0] + 1, &r, NULL, NULL, &ts, NULL));
    FD_SET(p[0], &r);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGALRM);
    SHOW(pselect(p[0] + 1, &r, NULL, NULL, NULL, &unblock));
    sigprocmask(SIG_UNBLOCK, &block, NULL);

    /* Two writers wake one poller in turn; then both ends go. */
    if (fork() == 0) {
        pause_ms(30);
        MUST(write(q[1], "q", 1));
        pause_ms(60);
        MUST(write(p[1], "p", 1));
        pause_ms(60);
        _exit(0);
    }
    close(p[1]);
    close(q[1]);
    struct pollfd two[2] = {{p[0], POLLIN, 0}, {q[0], POLLIN, 0}};
    int ends[2] = {0, 0};
    for (int left = 2; left;) {
        int n = poll(two, 2, 5000);
        for (int i = 0; i < 2; i++)
            if (two[i].revents & POLLIN) {
                ssize_t got = read(two[i].fd, &c, 1);
                printf("%d ready: end %d read %zd %c\n", n, i, got, c);
            } else if (two[i].revents) {
                ends[i] = two[i].revents;  // which one comes first is chance
                two[i].fd = -1;
                left--;
            }
        if (two[0].fd >= 0 && two[1].fd >= 0 && n == 2) left = 2;
    }
    printf("ends %x %x\n", ends[0], ends[1]);
    wait(NULL);
    int file = MUST(open("f", O_RDWR | O_CREAT, 0600));
    int null = MUST(open("/dev/null", O_RDWR)), zero = MUST(open("/dev/zero", O_RDWR));
    struct pollfd always[3] = {{file, POLLIN | POLLOUT, 0}, {null, POLLIN | POLLOUT, 0}, {zero, POLLIN | POLLOUT | POLLPRI, 0}};
    SHOW(poll(always, 3, 0));
    printf("%x %x %x\n", always[0].revents, always[1].revents, always[2].revents);
    return 0;
}
