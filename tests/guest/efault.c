/* Bad pointers are EFAULT in every call that takes one; partial transfers count what was moved. */
#include "t.h"
#include <sys/uio.h>

#define BAD ((void *)8)

#define CALL(name, ...) do { errno = 0; long r_ = syscall(SYS_##name, __VA_ARGS__); printf("%s(%s) = %ld %s\n", #name, #__VA_ARGS__, r_, r_ == -1 ? errno_text(errno) : ""); } while (0)

int main(void) {
    int fd = MUST(open("f", O_RDWR | O_CREAT, 0600)), p[2];
    MUST(write(fd, "0123456789", 10));
    MUST(pipe(p));
    struct timespec none = {0, 0};
    CALL(read, fd, BAD, 5);
    CALL(read, fd, BAD, 0);
    CALL(pread64, fd, BAD, 5, 0L);
    CALL(pwrite64, fd, BAD, 5, 0L);
    CALL(write, fd, BAD, 5);
    CALL(write, p[1], BAD, 5);
    CALL(readv, fd, BAD, 1);
    CALL(writev, fd, BAD, 1);
    CALL(open, BAD, O_RDONLY);
    CALL(open, "f\0", O_RDONLY | O_CLOEXEC) ;
    CALL(stat, BAD, &none);
    CALL(stat, "f", BAD);
    CALL(lstat, "f", BAD);
    CALL(fstat, fd, BAD);
    CALL(newfstatat, AT_FDCWD, "f", BAD, 0);
    CALL(statx, AT_FDCWD, "f", 0, 0x7ff, BAD);
    CALL(statfs, ".", BAD);
    CALL(fstatfs, fd, BAD);
    CALL(access, BAD, 0);
    CALL(mkdir, BAD, 0);
    CALL(rmdir, BAD);
    CALL(unlink, BAD);
    CALL(rename, "f", BAD);
    CALL(link, BAD, "f");
    CALL(symlink, BAD, "s");
    CALL(symlink, "s", BAD);
    CALL(readlink, BAD, "x", 1);
    CALL(chdir, BAD);
    CALL(chmod, BAD, 0);
    CALL(chown, BAD, 0, 0);
    CALL(truncate, BAD, 0L);
    CALL(utimensat, AT_FDCWD, "f", BAD, 0);
    CALL(getcwd, BAD, 4096L);
    CALL(pipe, BAD);
    CALL(pipe2, BAD, 0);
    CALL(poll, BAD, 1, 0);
    CALL(select, 10, BAD, NULL, NULL, NULL);
    CALL(select, 0, NULL, NULL, NULL, BAD);
    CALL(nanosleep, BAD, NULL);
    CALL(clock_gettime, 0, BAD);
    CALL(clock_getres, 0, BAD);
    CALL(clock_nanosleep, 0, 0, BAD, NULL);
    CALL(gettimeofday, BAD, NULL);
    CALL(time, BAD);
    CALL(times, BAD);
    CALL(getitimer, 0, BAD);
    CALL(setitimer, 0, BAD, NULL);
    CALL(getrusage, 0, BAD);
    CALL(sysinfo, BAD);
    CALL(uname, BAD);
    CALL(getrlimit, 0, BAD);
    CALL(setrlimit, 0, BAD);
    CALL(prlimit64, 0, 0, NULL, BAD);
    CALL(getrandom, BAD, 8L, 0);
    CALL(rt_sigaction, SIGUSR1, BAD, NULL, 8L);
    CALL(rt_sigaction, SIGUSR1, NULL, BAD, 8L);
    CALL(rt_sigprocmask, 0, BAD, NULL, 8L);
    CALL(rt_sigprocmask, 0, NULL, BAD, 8L);
    CALL(rt_sigpending, BAD, 8L);
    CALL(rt_sigtimedwait, BAD, NULL, &none, 8L);
    CALL(rt_sigsuspend, BAD, 8L);
    CALL(sigaltstack, BAD, NULL);
    CALL(sigaltstack, NULL, BAD);
    CALL(execve, BAD, NULL, NULL);
    CALL(getgroups, 0, BAD);
    CALL(getresuid, BAD, BAD, BAD);
    CALL(getdents64, MUST(open(".", O_RDONLY)), BAD, 1000);
    CALL(sendfile, p[1], fd, BAD, 1L);
    CALL(ioctl, p[0], 0x541b, BAD);
    CALL(fcntl, fd, F_GETLK, BAD);
    CALL(fcntl, fd, F_SETLK, BAD);
    CALL(arch_prctl, 0x1003, BAD);
    CALL(prctl, 16, BAD, 0, 0, 0);
    CALL(set_robust_list, BAD, 24L);
    CALL(set_robust_list, BAD, 25L);
    if (fork() == 0) _exit(0);
    CALL(wait4, -1, BAD, 0, NULL);
    if (fork() == 0) _exit(0);
    CALL(waitid, 0, 0, BAD, 4, NULL);

    /* The second of two pages is missing. */
    char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(two + 4096, 4096);
    char *edge = two + 4096 - 4;
    memcpy(edge, "abcd", 4);
    SHOW(write(p[1], edge, 4));
    char text[16];
    SHOW(read(p[0], text, 4));
    MUST(lseek(fd, 0, SEEK_SET));
    SHOW(pread(fd, edge, 4, 0));
    SHOW(open(edge, O_RDONLY) == -1 && errno == EFAULT);
    SHOW(write(p[1], edge, 5) == 4 || errno == EFAULT);
    struct iovec parts[2] = {{text, 3}, {BAD, 3}};
    SHOW(pwritev(fd, parts, 2, 0) > 0);
    parts[0].iov_base = BAD;
    SHOW(pwritev(fd, parts, 2, 0));
    parts[0].iov_len = (size_t)-1;
    SHOW(pwritev(fd, parts, 2, 0));
    strcpy(edge, "f");
    OK(open(edge, O_RDONLY));
    CALL(stat, "f", edge);
    return 0;
}
