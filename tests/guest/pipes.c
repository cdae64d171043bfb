/* Pipes: order, ends, limits, signals, poll states. */
#include "t.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static void poll_states(const char *when, int fd, short events) {
    struct pollfd one = {fd, events, 0};
    int n = poll(&one, 1, 0);
    printf("%s: poll %d revents %x\n", when, n, one.revents);
}

static void dates(int p[2]) {
    struct stat made, used;
    char byte;
    MUST(fstat(p[0], &made));
    YES(made.st_mtime <= time(NULL) && time(NULL) - made.st_mtime < 100);
    YES(made.st_atime == made.st_mtime && made.st_ctime == made.st_mtime);
    MUST(write(p[1], "x", 1));
    MUST(read(p[0], &byte, 1));
    MUST(fstat(p[1], &used));
    YES(used.st_mtim.tv_sec == made.st_mtim.tv_sec && used.st_mtim.tv_nsec == made.st_mtim.tv_nsec);
    MUST(fchmod(p[0], 0640));
    MUST(fstat(p[1], &used));
    YES(used.st_mtim.tv_sec == made.st_mtim.tv_sec && used.st_mtim.tv_nsec == made.st_mtim.tv_nsec);
    printf("mode %o block %ld\n", used.st_mode, (long)used.st_blksize);
}

static char big[200000];

int main(void) {
    int p[2], available = -1;
    char text[64];
    MUST(pipe(p));
    printf("ends %d %d\n", p[0], p[1]);
    dates(p);
    poll_states("empty, reader", p[0], POLLIN);
    poll_states("empty, writer", p[1], POLLOUT);
    SHOW(write(p[1], "hello world", 11));
    poll_states("full, reader", p[0], POLLIN);
    SHOW(ioctl(p[0], FIONREAD, &available));
    printf("available %d\n", available);
    SHOW(read(p[0], text, 5));
    SHOW(read(p[0], text, 64));
    printf("%.6s\n", text);
    SHOW(write(p[0], "x", 1));
    SHOW(read(p[1], text, 1));
    SHOW(lseek(p[0], 0, SEEK_CUR));
    SHOW(pread(p[0], text, 1, 0));
    SHOW(pwrite(p[1], text, 1, 0));
    SHOW(write(p[1], "", 0));
    SHOW(fsync(p[0]));
    SHOW(ftruncate(p[1], 0));
    SHOW(fchdir(p[0]));

    MUST(fcntl(p[0], F_SETFL, O_NONBLOCK));
    MUST(fcntl(p[1], F_SETFL, O_NONBLOCK));
    SHOW(read(p[0], text, 1));
    SHOW(read(p[0], text, 0));
    SHOW(fcntl(p[0], F_GETPIPE_SZ));
    SHOW(write(p[1], big, 4096));
    SHOW(write(p[1], big, sizeof big));
    SHOW(write(p[1], big, 1));
    poll_states("no room", p[1], POLLOUT);
    SHOW(read(p[0], big, 100));
    SHOW(write(p[1], big, 1));
    SHOW(read(p[0], big, 5000));
    SHOW(write(p[1], big, 4096));
    SHOW(write(p[1], big, 4097));
    SHOW(read(p[0], big, sizeof big));
    SHOW(read(p[0], big, sizeof big));
    SHOW(fcntl(p[0], F_SETPIPE_SZ, 8192));
    SHOW(fcntl(p[0], F_GETPIPE_SZ));
    SHOW(write(p[1], big, sizeof big));

    close(p[1]);
    poll_states("no writer", p[0], POLLIN);
    SHOW(read(p[0], big, sizeof big));
    SHOW(read(p[0], big, sizeof big));
    poll_states("no writer, empty", p[0], POLLIN);
    close(p[0]);

    MUST(pipe(p));
    close(p[0]);
    poll_states("no reader", p[1], POLLOUT);
    CHILD("write to nobody", write(p[1], "x", 1));
    signal(SIGPIPE, SIG_IGN);
    SHOW(write(p[1], "x", 1));
    struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
    SHOW(writev(p[1], parts, 2));
    close(p[1]);

    SHOW(pipe2(p, O_CLOEXEC | O_NONBLOCK));
    SHOW(fcntl(p[0], F_GETFD));
    SHOW(fcntl(p[1], F_GETFL) & O_NONBLOCK);
    SHOW(fcntl(p[0], F_GETFL) & O_ACCMODE);
    SHOW(fcntl(p[1], F_GETFL) & O_ACCMODE);
    SHOW(writev(p[1], parts, 2));
    char left[3] = "", right[3] = "";
    struct iovec into[2] = {{left, 1}, {right, 2}};
    SHOW(readv(p[0], into, 2));
    printf("[%s] [%s]\n", left, right);
    SHOW(readv(p[0], into, 0));
    SHOW(readv(p[0], into, -1));
    SHOW(readv(p[0], into, 1025));
    SHOW(pipe2(p, 0x800000));
    SHOW(syscall(SYS_pipe2, (int *)8, 0));
    struct stat s;
    SHOW(fstat(p[0], &s));
    printf("mode %o size %ld nlink %ld\n", s.st_mode, (long)s.st_size, (long)s.st_nlink);

    /* A writer of more than fits blocks until a slow reader has drained it. */
    MUST(pipe(p));
    if (fork() == 0) {
        close(p[0]);
        for (unsigned i = 0; i < sizeof big; i++) big[i] = (char)(i * 7);
        _exit(write(p[1], big, sizeof big) == sizeof big ? 0 : 1);
    }
    close(p[1]);
    memset(big, 0, sizeof big);
    size_t have = 0;
    unsigned long check = 0;
    ssize_t n;
    static char piece[10000];
    while ((n = read(p[0], piece, sizeof piece)) > 0) {
        for (ssize_t i = 0; i < n; i++) check = check * 31 + (unsigned char)piece[i];
        have += (size_t)n;
    }
    int status;
    wait(&status);
    show_status("writer", status);
    printf("received %zu check %lx\n", have, check);
    SHOW(mkfifo("fifo", 0644));
    SHOW(open("fifo", O_WRONLY | O_NONBLOCK));
    int reader = open("fifo", O_RDONLY | O_NONBLOCK);
    YES(reader >= 0);
    SHOW(read(reader, text, 1));
    if (fork() == 0) {
        int writer = open("fifo", O_WRONLY);
        MUST(write(writer, "through", 7));
        _exit(0);
    }
    wait(NULL);
    SHOW(read(reader, text, sizeof text));
    SHOW(read(reader, text, sizeof text));
    return 0;
}
