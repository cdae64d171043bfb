/* Descriptors: dup family, fcntl, locks, sharing of positions and flags. */
#include "t.h"
#include <sys/file.h>

int main(void) {
    int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
    MUST(write(fd, "0123456789", 10));
    SHOW(dup(fd));
    SHOW(dup(99));
    SHOW(dup2(fd, 50));
    SHOW(dup2(fd, fd));
    SHOW(dup2(99, 50));
    SHOW(dup2(fd, -1));
    SHOW(dup2(fd, 1 << 30));
    SHOW(syscall(SYS_dup3, fd, fd, 0));
    SHOW(syscall(SYS_dup3, fd, 51, O_CLOEXEC));
    SHOW(syscall(SYS_dup3, fd, 51, 1));
    SHOW(fcntl(51, F_GETFD));
    SHOW(fcntl(50, F_GETFD));
    SHOW(fcntl(50, F_SETFD, FD_CLOEXEC));
    SHOW(fcntl(50, F_GETFD));
    SHOW(fcntl(fd, F_DUPFD, 20));
    SHOW(fcntl(fd, F_DUPFD, 20));
    SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 20));
    SHOW(fcntl(22, F_GETFD));
    SHOW(fcntl(fd, F_DUPFD, -1));
    SHOW(fcntl(fd, F_DUPFD, 1 << 30));
    SHOW(fcntl(99, F_GETFD));
    SHOW(fcntl(fd, 9999));

    SHOW(lseek(50, 3, SEEK_SET));
    SHOW(lseek(fd, 0, SEEK_CUR));
    int own = MUST(open("f", O_RDWR));
    SHOW(lseek(own, 0, SEEK_CUR));
    CHILD("moves the position", lseek(fd, 7, SEEK_SET));
    SHOW(lseek(fd, 0, SEEK_CUR));

    SHOW(fcntl(fd, F_GETFL) & 0xffff7fff);
    SHOW(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_WRONLY | O_CREAT));
    SHOW(fcntl(50, F_GETFL) & 0xffff7fff);
    SHOW(fcntl(own, F_GETFL) & 0xffff7fff);
    SHOW(write(fd, "x", 1));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(fcntl(fd, F_SETFL, 0));

    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 3};
    SHOW(fcntl(fd, F_SETLK, &lock));
    struct flock asked = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    SHOW(fcntl(fd, F_GETLK, &asked));
    printf("own lock seen as type %d\n", asked.l_type == F_UNLCK);
    pid_t parent = getpid();
    CHILD("other process", {
        asked = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET};
        SHOW(fcntl(fd, F_GETLK, &asked));
        printf("type %d start %ld len %ld pid %d\n", asked.l_type == F_WRLCK, (long)asked.l_start, (long)asked.l_len, asked.l_pid == parent);
        lock.l_start = 4;
        SHOW(fcntl(fd, F_SETLK, &lock));
        lock.l_start = 5;
        SHOW(fcntl(fd, F_SETLK, &lock));
    });
    lock.l_type = F_UNLCK;
    lock.l_start = 0;
    lock.l_len = 0;
    SHOW(fcntl(fd, F_SETLK, &lock));
    lock.l_type = 77;
    SHOW(fcntl(fd, F_SETLK, &lock));

    SHOW(flock(fd, LOCK_EX));
    SHOW(flock(own, LOCK_EX | LOCK_NB));
    SHOW(flock(dup(fd), LOCK_SH | LOCK_NB));
    SHOW(flock(own, LOCK_SH | LOCK_NB));
    SHOW(flock(fd, LOCK_UN));
    SHOW(flock(own, LOCK_EX | LOCK_NB));
    SHOW(flock(fd, 0));
    SHOW(flock(99, LOCK_UN));

    close(0);
    SHOW(dup(fd));
    SHOW(open("f", O_RDONLY));
    SHOW(fcntl(7, F_GETFD));
    return 0;
}
