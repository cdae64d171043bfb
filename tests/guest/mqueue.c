/* POSIX message queues: names, order, waiting, notification, and what else a descriptor of one can do. */
#include "t.h"
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/statfs.h>

#define OPEN(name, flags, mode, attr) ((int)syscall(SYS_mq_open, name, flags, mode, attr))
#define UNLINK(name) syscall(SYS_mq_unlink, name)
#define SEND(queue, data, length, priority, until) syscall(SYS_mq_timedsend, queue, data, length, priority, until)
#define RECEIVE(queue, data, length, priority, until) syscall(SYS_mq_timedreceive, queue, data, length, priority, until)
#define NOTIFY(queue, event) syscall(SYS_mq_notify, queue, event)
#define ATTR(queue, new, old) syscall(SYS_mq_getsetattr, queue, new, old)
#define NOWHERE ((void *)8)

static char name[40], text[9000];
static volatile sig_atomic_t got;
static siginfo_t last;

static void on_signal(int signo, siginfo_t *info, void *context) {
    (void)signo, (void)context;
    got++;
    last = *info;
}

static void catch(int signo, int flags) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};
    MUST(sigaction(signo, &action, NULL));
}

static int fresh(int flags, long maxmsg, long msgsize) {
    struct mq_attr attr = {.mq_maxmsg = maxmsg, .mq_msgsize = msgsize};
    UNLINK(name);
    return MUST(OPEN(name, O_CREAT | O_EXCL | flags, 0600, &attr));
}

static void show_next(int queue) {
    unsigned priority = 77;
    memset(text, 0, sizeof text);
    long length = RECEIVE(queue, text, sizeof text, &priority, NULL);
    if (length < 0) printf("nothing: %s\n", errno_text(errno));
    else printf("%ld bytes of priority %u: %s\n", length, priority, text);
}

static void show_attributes(int queue) {
    struct mq_attr attr;
    memset(&attr, 0x55, sizeof attr);
    MUST(ATTR(queue, NULL, &attr));
    printf("flags %#lx, %ld of %ld messages of %ld\n", attr.mq_flags, attr.mq_curmsgs, attr.mq_maxmsg, attr.mq_msgsize);
}

static void show_state(int queue) {
    char state[100] = "", *pid;
    long length = pread(queue, state, sizeof state - 1, 0);
    pid = strstr(state, "NOTIFY_PID:");
    printf("%ld bytes: %.*s", length, pid ? (int)(pid - state) : 0, state);
    printf("pid %s\n", !pid ? "?" : atoi(pid + 11) == getpid() ? "mine" : atoi(pid + 11) ? "another's" : "none");
}

static void until_asleep(pid_t pid) {
    char path[40], stat[200], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    while (state != 'S') {
        int fd = MUST(open(path, O_RDONLY));
        long length = read(fd, stat, sizeof stat - 1);
        stat[length < 0 ? 0 : length] = 0;
        state = strrchr(stat, ')')[2];
        close(fd);
    }
}

static void names(void) {
    struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 10};
    int queue;
    SHOW(OPEN("", O_RDWR | O_CREAT, 0600, NULL));
    SHOW(OPEN("/x", O_RDWR | O_CREAT, 0600, NULL));
    SHOW(OPEN(".", O_RDWR | O_CREAT, 0600, NULL));
    SHOW(OPEN("..", O_RDWR, 0600, NULL));
    SHOW(OPEN(NOWHERE, O_RDWR, 0600, NULL));
    SHOW(OPEN(name, O_RDWR, 0600, NULL));
    SHOW(OPEN(name, O_RDWR, 0600, NOWHERE));
    SHOW(OPEN(name, O_RDWR | O_CREAT, 0600, NOWHERE));
    memset(text, 'n', sizeof text);
    text[256] = 0;
    SHOW(OPEN(text, O_RDWR | O_CREAT, 0600, NULL));
    text[256] = 'n', text[4095] = 0;
    SHOW(OPEN(text, O_RDWR, 0600, NULL));
    text[4095] = 'n', text[4096] = 0;
    SHOW(OPEN(text, O_RDWR, 0600, NULL));
    text[299] = '/';
    SHOW(UNLINK(text) < 0);
    text[300] = 0;
    SHOW(UNLINK(text));
    SHOW(UNLINK(""));
    SHOW(UNLINK("a/b"));
    SHOW(UNLINK("."));
    SHOW(UNLINK(name));
    SHOW(UNLINK(NULL));
    queue = MUST(OPEN(name, O_RDWR | O_CREAT | O_EXCL | O_TRUNC | O_APPEND, 06777, &attr));
    SHOW(fcntl(queue, F_GETFD));
    SHOW(fcntl(queue, F_GETFL));
    SHOW(OPEN(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL));
    SHOW(OPEN(name, O_ACCMODE, 0, NULL));
    SHOW(OPEN(name, O_RDWR | O_DIRECT, 0, NULL));
    close(queue);
    queue = MUST(OPEN(name, O_PATH, 0, NULL));
    SHOW(SEND(queue, "x", 1, 0, NULL));
    SHOW(ATTR(queue, NULL, NULL));
    close(queue);
    SHOW(UNLINK(name));
    queue = MUST(OPEN(name, O_ACCMODE | O_CREAT, 0600, &attr));
    SHOW(SEND(queue, "x", 1, 0, NULL));
    SHOW(RECEIVE(queue, text, 10, NULL, NULL));
    show_attributes(queue);
    close(queue);
    SHOW(UNLINK(name));
}

static void attributes(void) {
    struct mq_attr attr = {.mq_msgsize = 10};
    int queue;
    SHOW(OPEN(name, O_RDWR | O_CREAT, 0600, &attr));
    attr.mq_maxmsg = 10, attr.mq_msgsize = 0;
    SHOW(OPEN(name, O_RDWR | O_CREAT, 0600, &attr));
    attr.mq_maxmsg = -1, attr.mq_msgsize = 10;
    SHOW(OPEN(name, O_RDWR | O_CREAT, 0600, &attr));
    attr.mq_maxmsg = 65537;
    SHOW(OPEN(name, O_RDWR | O_CREAT, 0600, &attr));
    attr.mq_maxmsg = 1, attr.mq_msgsize = (1 << 24) + 1;
    SHOW(OPEN(name, O_RDWR | O_CREAT, 0600, &attr));
    attr.mq_flags = 12345, attr.mq_curmsgs = 99, attr.mq_maxmsg = 3, attr.mq_msgsize = 20;
    queue = MUST(OPEN(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attr));
    show_attributes(queue);
    attr.mq_flags = 1;
    SHOW(ATTR(queue, &attr, NULL));
    SHOW(ATTR(-1, &attr, NULL));
    attr.mq_flags = 0, attr.mq_maxmsg = 100;
    SHOW(ATTR(queue, &attr, &attr));
    SHOW(attr.mq_flags);
    show_attributes(queue);
    SHOW(fcntl(queue, F_GETFL));
    SHOW(fcntl(queue, F_SETFL, O_NONBLOCK));
    show_attributes(queue);
    SHOW(ATTR(queue, NOWHERE, NULL));
    SHOW(ATTR(queue, NULL, NOWHERE));
    SHOW(ATTR(0, NULL, NULL));
    close(queue);
    UNLINK(name);
    queue = MUST(OPEN(name, O_RDWR | O_CREAT, 0600, NULL));
    show_attributes(queue);
    close(queue);
    UNLINK(name);
}

static void messages(void) {
    int queue = fresh(O_RDWR | O_NONBLOCK, 6, 20), reader = MUST(OPEN(name, O_RDONLY | O_NONBLOCK, 0, NULL));
    struct timespec bad = {0, 1000000000}, negative = {-1, 0}, past = {1, 0};
    SHOW(SEND(queue, "low", 4, 1, NULL));
    SHOW(SEND(queue, "high", 5, 32767, NULL));
    SHOW(SEND(queue, "low again", 10, 1, NULL));
    SHOW(SEND(queue, NOWHERE, 0, 0, NULL));
    SHOW(SEND(queue, "middle", 7, 5, &past));
    SHOW(SEND(queue, "exactly twenty bytes", 20, 5, NULL));
    show_attributes(queue);
    SHOW(SEND(queue, "full", 5, 0, NULL));
    SHOW(SEND(queue, "full", 5, 0, &past));
    SHOW(SEND(queue, "full", 5, 0, &bad));
    SHOW(SEND(queue, "full", 5, 0, &negative));
    SHOW(SEND(queue, "full", 5, 0, NOWHERE));
    SHOW(SEND(-1, "full", 5, 0, &bad));
    SHOW(SEND(-1, "full", 5, 32768, NULL));
    SHOW(SEND(queue, text, 21, 0, NULL));
    SHOW(SEND(queue, NOWHERE, 20, 0, NULL));
    SHOW(SEND(reader, "x", 1, 0, NULL));
    SHOW(SEND(0, "x", 1, 0, NULL));
    SHOW(RECEIVE(queue, text, 19, NULL, NULL));
    SHOW(RECEIVE(queue, text, 20, NULL, &bad));
    for (int i = 0; i < 7; i++) show_next(reader);
    SHOW(SEND(queue, "lost", 5, 3, NULL));
    SHOW(RECEIVE(queue, NOWHERE, 20, NULL, NULL));
    SHOW(SEND(queue, "lost", 5, 3, NULL));
    SHOW(RECEIVE(queue, text, -1L, NOWHERE, NULL));
    show_attributes(queue);
    SHOW(fcntl(queue, F_SETFL, 0));
    SHOW(RECEIVE(queue, text, 20, NULL, &past));
    close(reader);
    reader = MUST(OPEN(name, O_WRONLY, 0, NULL));
    SHOW(RECEIVE(reader, text, 20, NULL, NULL));
    SHOW(read(reader, text, 1));
    close(reader);
    close(queue);
}

static void waiting(void) {
    int queue = fresh(O_RDWR, 1, 20), status;
    pid_t child;
    struct timespec soon;
    if (!(child = fork())) {
        show_next(queue);
        _exit(0);
    }
    until_asleep(child);
    MUST(SEND(queue, "to one who waits", 17, 9, NULL));
    MUST(waitpid(child, &status, 0));
    SHOW(SEND(queue, "first", 6, 1, NULL));
    if (!(child = fork())) {
        _exit(SEND(queue, "when there is room", 19, 2, NULL) ? errno : 0);
    }
    until_asleep(child);
    show_next(queue);
    MUST(waitpid(child, &status, 0));
    show_status("sender", status);
    show_attributes(queue);
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 30000000;
    soon.tv_sec += soon.tv_nsec / 1000000000, soon.tv_nsec %= 1000000000;
    SHOW(SEND(queue, "too late", 9, 2, &soon));
    show_next(queue);
    SHOW(RECEIVE(queue, text, 20, NULL, &soon));
    for (int restart = 0; restart < 2; restart++) {
        catch(SIGUSR1, restart ? SA_RESTART : 0);
        if (!(child = fork())) {
            SHOW(RECEIVE(queue, text, 20, NULL, NULL));
            SHOW(got);
            _exit(0);
        }
        until_asleep(child);
        kill(child, SIGUSR1);
        if (restart) {
            // The handler has run when the signal is no longer pending and it sleeps again.
            pause_ms(30);
            until_asleep(child);
            MUST(SEND(queue, "restarted", 10, 0, NULL));
        }
        MUST(waitpid(child, &status, 0));
    }
    close(queue);
}

static void notification(void) {
    int queue = fresh(O_RDWR | O_NONBLOCK, 4, 20), other = MUST(OPEN(name, O_RDONLY, 0, NULL)), status;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
    pid_t child;
    catch(SIGUSR1, 0);
    SHOW(NOTIFY(queue, &event));
    event.sigev_signo = -1;
    SHOW(NOTIFY(queue, &event));
    event.sigev_notify = 99;
    SHOW(NOTIFY(-1, &event));
    event.sigev_notify = SIGEV_THREAD;
    SHOW(NOTIFY(queue, &event));
    event.sigev_value.sival_ptr = text;
    SHOW(NOTIFY(queue, &event));
    event.sigev_signo = queue;
    SHOW(NOTIFY(queue, &event));
    event.sigev_notify = SIGEV_SIGNAL, event.sigev_signo = SIGUSR1;
    event.sigev_value.sival_ptr = (void *)0x123456789;
    SHOW(NOTIFY(-1, &event));
    SHOW(NOTIFY(0, &event));
    SHOW(NOTIFY(queue, NOWHERE));
    SHOW(NOTIFY(other, &event));
    SHOW(NOTIFY(queue, &event));
    show_state(queue);
    CHILD("somebody else", SHOW(NOTIFY(queue, &event)); SHOW(NOTIFY(queue, NULL)); show_state(queue));
    got = 0;
    SHOW(SEND(queue, "one", 4, 0, NULL));
    SHOW(got);
    printf("code %d, value %p, pid %d, uid %d\n", last.si_code, last.si_value.sival_ptr, last.si_pid == getpid(),
           last.si_uid == getuid());
    show_state(queue);
    SHOW(NOTIFY(queue, &event));
    SHOW(SEND(queue, "two", 4, 0, NULL));
    SHOW(got);
    show_next(queue);
    show_next(queue);
    SHOW(NOTIFY(queue, &event));
    CHILD("sender", MUST(SEND(queue, "three", 6, 0, NULL)););
    SHOW(got);
    SHOW(last.si_pid != getpid());
    show_next(queue);
    SHOW(NOTIFY(queue, &event));
    SHOW(NOTIFY(queue, NULL));
    SHOW(SEND(queue, "four", 5, 0, NULL));
    SHOW(got);
    show_next(queue);
    SHOW(NOTIFY(queue, &event));
    if (!(child = fork())) {
        show_next(other);
        _exit(0);
    }
    until_asleep(child);
    MUST(SEND(queue, "to the receiver", 16, 0, NULL));
    MUST(waitpid(child, &status, 0));
    SHOW(got);
    show_state(queue);
    close(dup(queue));
    show_state(queue);
    event.sigev_notify = SIGEV_NONE;
    SHOW(NOTIFY(queue, &event));
    show_state(queue);
    CHILD("not mine", close(other));
    show_state(queue);
    SHOW(SEND(queue, "five", 5, 0, NULL));
    show_state(queue);
    show_next(queue);
    event.sigev_notify = SIGEV_SIGNAL, event.sigev_signo = 0;
    SHOW(NOTIFY(queue, &event));
    SHOW(SEND(queue, "six", 4, 0, NULL));
    show_next(queue);
    CHILD("leaver", MUST(NOTIFY(queue, &event)); show_state(queue));
    show_state(queue);
    dup2(queue, other);
    SHOW(NOTIFY(queue, &event));
    dup2(0, other);
    show_state(queue);
    event.sigev_signo = SIGRTMIN + 1;
    catch(SIGRTMIN + 1, 0);
    SHOW(NOTIFY(queue, &event));
    SHOW(SEND(queue, "seven", 6, 0, NULL));
    printf("code %d, value %p\n", last.si_code, last.si_value.sival_ptr);
    SHOW(got);
    close(queue);
    close(other);
}

/* Who registered and then became another program gets no signal, though it was its turn. */
static void another_program(void) {
    int queue = fresh(O_RDWR | O_NONBLOCK, 1, 20), status;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    char number[12];
    pid_t child = fork();
    snprintf(number, sizeof number, "%d", queue);
    if (!child) {
        MUST(fcntl(queue, F_SETFD, 0));
        MUST(NOTIFY(queue, &event));
        execl("/proc/self/exe", "mqueue", number, NULL);
        _exit(1);
    }
    until_asleep(child);
    MUST(SEND(queue, "x", 2, 0, NULL));
    MUST(waitpid(child, &status, 0));
    show_status("another program", status);
    close(queue);
}

static void became_another(int queue) {
    struct pollfd watched = {queue, POLLIN, 0};
    show_state(queue);
    SHOW(poll(&watched, 1, -1));
    show_state(queue);
}

static void readiness(void) {
    int queue = fresh(O_RDWR | O_NONBLOCK, 1, 20), status, epoll = MUST(epoll_create1(0));
    struct pollfd watched = {queue, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM, 0};
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLET, {0}};
    struct timeval none = {0, 0};
    fd_set readable, writable;
    pid_t child;
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, queue, &event));
    for (int full = 0; full < 2; full++) {
        SHOW(poll(&watched, 1, 0));
        printf("events %#x\n", watched.revents);
        FD_ZERO(&readable);
        FD_ZERO(&writable);
        FD_SET(queue, &readable);
        FD_SET(queue, &writable);
        SHOW(select(queue + 1, &readable, &writable, NULL, &none));
        printf("readable %d, writable %d\n", !!FD_ISSET(queue, &readable), !!FD_ISSET(queue, &writable));
        SHOW(epoll_wait(epoll, &event, 1, 0));
        printf("events %#x\n", event.events);
        SHOW(epoll_wait(epoll, &event, 1, 0));
        if (!full) MUST(SEND(queue, "x", 2, 0, NULL));
    }
    show_next(queue);
    SHOW(epoll_wait(epoll, &event, 1, 0));
    printf("events %#x\n", event.events);
    watched.events = POLLIN;
    if (!(child = fork())) {
        SHOW(poll(&watched, 1, -1));
        _exit(0);
    }
    until_asleep(child);
    MUST(SEND(queue, "wakes", 6, 0, NULL));
    MUST(waitpid(child, &status, 0));
    watched.events = POLLOUT;
    if (!(child = fork())) {
        SHOW(poll(&watched, 1, -1));
        _exit(0);
    }
    until_asleep(child);
    MUST(RECEIVE(queue, text, 20, NULL, NULL));
    MUST(waitpid(child, &status, 0));
    close(epoll);
    close(queue);
}

static void show_link(int fd) {
    char path[40], target[400] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    MUST(readlink(path, target, sizeof target - 1));
    printf("link: %d, %s\n", target[0] == '/' && !strncmp(target + 1, name, strlen(name)), strchr(target, ' '));
}

static void file(void) {
    int queue = fresh(O_RDWR | O_NONBLOCK, 2, 20), left = 0, again;
    char path[40];
    struct stat st;
    struct statfs fs;
    struct flock lock = {.l_type = F_WRLCK};
    SHOW(SEND(queue, "hello", 5, 3, NULL));
    show_state(queue);
    SHOW(write(queue, "x", 1));
    SHOW(pwrite(queue, "x", 1, 0));
    SHOW(lseek(queue, 0, SEEK_END));
    SHOW(lseek(queue, 90, SEEK_SET));
    SHOW(read(queue, text, 10));
    SHOW(lseek(queue, -1, SEEK_SET));
    SHOW(lseek(queue, 6, SEEK_SET));
    SHOW(read(queue, text, 5));
    printf("%.5s\n", text);
    SHOW(lseek(queue, 0, SEEK_CUR));
    SHOW(lseek(queue, 7, SEEK_DATA));
    SHOW(lseek(queue, 7, SEEK_HOLE));
    SHOW(lseek(queue, 80, SEEK_HOLE));
    SHOW(lseek(queue, 0, 9));
    SHOW(ioctl(queue, FIONREAD, &left));
    SHOW(left);
    SHOW(ioctl(queue, FIOASYNC, &left));
    SHOW(fcntl(queue, F_SETFL, O_NONBLOCK | O_DIRECT));
    SHOW(fcntl(queue, F_SETFL, O_NONBLOCK | O_ASYNC));
    SHOW(fcntl(queue, F_GETFL));
    SHOW(pread(queue, text, 10, 60));
    MUST(fstat(queue, &st));
    printf("mode %o, links %lu, size %ld, blocks %ld of %ld, mine %d\n", st.st_mode, (unsigned long)st.st_nlink,
           (long)st.st_size, (long)st.st_blocks, (long)st.st_blksize, st.st_uid == geteuid() && st.st_gid == getegid());
    MUST(fstatfs(queue, &fs));
    printf("type %lx, block size %ld, names of %ld\n", (long)fs.f_type, (long)fs.f_bsize, (long)fs.f_namelen);
    SHOW(ftruncate(queue, 10));
    MUST(fstat(queue, &st));
    SHOW(st.st_size);
    SHOW(pread(queue, text, 100, 0));
    SHOW(fsync(queue));
    SHOW(fallocate(queue, 0, 0, 100));
    OK(mmap(0, 4096, PROT_READ, MAP_SHARED, queue, 0));
    SHOW(fcntl(queue, F_SETLK, &lock));
    SHOW(syscall(SYS_sendfile, 1, queue, NULL, 10));
    SHOW(fchmod(queue, 0640));
    MUST(fstat(queue, &st));
    printf("mode %o\n", st.st_mode);
    snprintf(path, sizeof path, "/proc/self/fd/%d", queue);
    again = MUST(open(path, O_RDONLY));
    SHOW(SEND(again, "x", 1, 0, NULL));
    show_next(again);
    SHOW(open(path, O_RDWR | O_DIRECT));
    SHOW(execv(path, (char *[]){path, NULL}));
    show_link(queue);
    SHOW(UNLINK(name));
    show_link(queue);
    MUST(fstat(queue, &st));
    SHOW(st.st_nlink);
    SHOW(SEND(queue, "still there", 12, 0, NULL));
    SHOW(OPEN(name, O_RDWR, 0, NULL));
    show_next(again);
    close(again);
    close(queue);
}

static void sharing(void) {
    int queue = fresh(O_RDWR | O_NONBLOCK, 3, 20), copy = MUST(dup(queue)), other;
    SHOW(fcntl(copy, F_GETFD));
    CHILD("child", MUST(SEND(copy, "from the child", 15, 1, NULL)); MUST(fcntl(copy, F_SETFL, 0)));
    SHOW(fcntl(queue, F_GETFL));
    MUST(fcntl(queue, F_SETFL, O_NONBLOCK));
    other = MUST(OPEN(name, O_RDONLY, 0, NULL));
    SHOW(fcntl(other, F_GETFL));
    close(queue);
    close(copy);
    show_next(other);
    queue = MUST(OPEN(name, O_WRONLY, 0, NULL));
    SHOW(SEND(queue, "kept", 5, 1, NULL));
    close(queue);
    close(other);
    other = MUST(OPEN(name, O_RDONLY, 0, NULL));
    show_next(other);
    close(other);
    UNLINK(name);
}

/* As a user of whom there is nothing else: what others have open counts, too. */
static void limits(void) {
    struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 100};
    struct rlimit limit, none;
    int first, second;
    char another[48];
    snprintf(another, sizeof another, "%s-2", name);
    MUST(setresuid(54321, 54321, 54321));
    MUST(getrlimit(RLIMIT_MSGQUEUE, &limit));
    printf("%ld %ld\n", (long)limit.rlim_cur, (long)limit.rlim_max);
    none = limit;
    none.rlim_cur = 2 * (100 + 96);
    MUST(setrlimit(RLIMIT_MSGQUEUE, &none));
    first = MUST(OPEN(name, O_RDWR | O_CREAT, 0600, &attr));
    SHOW(OPEN(another, O_RDWR | O_CREAT, 0600, &attr));
    SHOW(UNLINK(name));
    SHOW(OPEN(another, O_RDWR | O_CREAT, 0600, &attr));
    close(first);
    second = MUST(OPEN(another, O_RDWR | O_CREAT, 0600, &attr));
    close(second);
    SHOW(OPEN(name, O_RDWR | O_CREAT, 0600, &attr));
    SHOW(UNLINK(another));
    none.rlim_cur--;
    MUST(setrlimit(RLIMIT_MSGQUEUE, &none));
    SHOW(OPEN(name, O_RDWR | O_CREAT, 0600, &attr));
}

static void permissions(void) {
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 10};
    UNLINK(name);
    umask(0);
    int queue = MUST(OPEN(name, O_RDWR | O_CREAT, 0604, &attr));
    umask(022);
    if (geteuid() == 0) {
        CHILD("nobody", MUST(setresgid(65534, 65534, 65534)); MUST(setresuid(65534, 65534, 65534));
              OK(OPEN(name, O_RDONLY, 0, NULL)); OK(OPEN(name, O_RDWR, 0, NULL)); OK(OPEN(name, O_WRONLY | O_CREAT, 0, NULL));
              SHOW(OPEN(name, O_WRONLY | O_CREAT | O_EXCL, 0, NULL)); SHOW(UNLINK(name)); attr.mq_maxmsg = 11;
              SHOW(OPEN("nobodys", O_RDWR | O_CREAT, 0600, &attr)); attr.mq_maxmsg = 1; attr.mq_msgsize = 8193;
              SHOW(OPEN("nobodys", O_RDWR | O_CREAT, 0600, &attr)));
    }
    close(queue);
    UNLINK(name);
}

static void settings(void) {
    static const char *const files[] = {"msg_default", "msg_max", "msgsize_default", "msgsize_max", "queues_max"};
    for (int i = 0; i < 5; i++) {
        char path[60], value[20] = "";
        snprintf(path, sizeof path, "/proc/sys/fs/mqueue/%s", files[i]);
        int fd = MUST(open(path, O_RDONLY));
        MUST(read(fd, value, sizeof value - 1));
        printf("%s %s", files[i], value);
        close(fd);
    }
}

static void library(void) {
    char path[48];
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 10};
    snprintf(path, sizeof path, "/%s", name);
    mqd_t queue = MUST(mq_open(path, O_RDWR | O_CREAT, 0600, &attr));
    SHOW(mq_send(queue, "by name", 8, 4));
    unsigned priority;
    SHOW(mq_receive(queue, text, 10, &priority));
    SHOW(priority);
    SHOW(mq_getattr(queue, &attr));
    SHOW(mq_close(queue));
    SHOW(mq_unlink(path));
    SHOW(mq_unlink(path));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        became_another(atoi(argv[1]));
        return 0;
    }
    signal(SIGXFSZ, SIG_IGN);
    snprintf(name, sizeof name, "linuxemu-test-%d", getpid());
    umask(022);
    names();
    attributes();
    messages();
    waiting();
    notification();
    another_program();
    readiness();
    file();
    sharing();
    if (geteuid() == 0) CHILD("limits", limits());
    permissions();
    settings();
    library();
    return 0;
}
