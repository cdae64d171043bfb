/* Resource limits and what they forbid. */
#include "t.h"

static int same(int resource, rlim_t soft, rlim_t hard) {
    struct rlimit now;
    return getrlimit(resource, &now) == 0 && now.rlim_cur == soft && now.rlim_max == hard;
}

static volatile int sent_as, sent_by_us;

static void too_big(int signo, siginfo_t *info, void *context) {
    sent_as = info->si_code;
    sent_by_us = info->si_pid == getpid() && info->si_uid == getuid();
}

int main(void) {
    no_core();
    struct rlimit limit, old;
    for (int i = 0; i < 16; i++) SHOW(getrlimit(i, &limit));
    SHOW(getrlimit(16, &limit));
    SHOW(getrlimit(-1, &limit));
    SHOW(syscall(SYS_getrlimit, 0, 8));
    SHOW(getrlimit(RLIMIT_STACK, &limit));
    YES(limit.rlim_cur >= 1 << 20);
    limit = (struct rlimit){20, 30};
    SHOW(setrlimit(RLIMIT_NOFILE, &limit));
    YES(same(RLIMIT_NOFILE, 20, 30));
    limit = (struct rlimit){31, 30};
    SHOW(setrlimit(RLIMIT_NOFILE, &limit));
    int last = -1, fd;
    while ((fd = dup(1)) >= 0) last = fd;
    printf("last %d %s\n", last, errno_text(errno));
    int p[2];
    SHOW(pipe(p));
    SHOW(dup2(1, 20));
    SHOW(fcntl(1, F_DUPFD, 20));
    SHOW(open("/", O_RDONLY));
    SHOW(close(last));
    SHOW(pipe(p));
    SHOW(open("/", O_RDONLY) == last);
    for (int i = 3; i < 20; i++) close(i);
    CHILD("inherited", _exit(same(RLIMIT_NOFILE, 20, 30)));
    SHOW(prlimit(0, RLIMIT_NOFILE, NULL, &old));
    printf("%ld %ld\n", (long)old.rlim_cur, (long)old.rlim_max);
    SHOW(prlimit(getpid(), RLIMIT_CORE, NULL, &old));
    SHOW(prlimit(0x3fffffff, RLIMIT_CORE, NULL, &old));
    SHOW(prlimit(0, 99, NULL, &old));

    limit = (struct rlimit){5000, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &old);
    limit.rlim_max = old.rlim_max;
    SHOW(setrlimit(RLIMIT_FSIZE, &limit));
    static char block[4000];
    fd = MUST(open("big", O_WRONLY | O_CREAT, 0600));
    SHOW(write(fd, block, sizeof block));
    SHOW(write(fd, block, sizeof block));
    CHILD("too big", write(fd, block, 1));
    struct sigaction tell = {.sa_sigaction = too_big, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGXFSZ, &tell, NULL));
    SHOW(write(fd, block, 1));
    printf("SIGXFSZ: code %d, from itself: %d\n", sent_as, sent_by_us);
    signal(SIGXFSZ, SIG_IGN);
    SHOW(write(fd, block, 1));
    SHOW(ftruncate(fd, 6000));
    SHOW(setrlimit(RLIMIT_FSIZE, &old));

    CHILD("address space", {
        limit = (struct rlimit){64 << 20, 64 << 20};
        setrlimit(RLIMIT_AS, &limit);
        errno = 0;
        void *q = mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        _exit(q == MAP_FAILED && errno == ENOMEM ? 1 : 2);
    });
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(setpriority(PRIO_PROCESS, 0, 5));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(setpriority(PRIO_PROCESS, 0, 50));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(getpriority(9, 0));
    SHOW(getpriority(PRIO_PROCESS, 0x3fffffff));
    CHILD("nice is inherited", _exit(getpriority(PRIO_PROCESS, 0)));
    return 0;
}
