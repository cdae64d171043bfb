/* fcntl with every operation. */
#include "calls.h"

struct owner {
    int type, pid;
};

int main(void) {
    sys(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0644);
    sys(fcntl, 3, F_DUPFD, 10);
    sys(fcntl, 3, F_DUPFD, -1);
    sys(fcntl, 3, F_DUPFD_CLOEXEC, 20);
    sys(fcntl, 3, F_GETFD);
    sys(fcntl, 20, F_GETFD);
    sys(fcntl, 3, F_SETFD, FD_CLOEXEC);
    sys(fcntl, 3, F_SETFD, 6);
    sys(fcntl, 3, F_SETFD, 0);
    sys(fcntl, 3, F_GETFL);
    sys(fcntl, 3, F_SETFL, O_RDONLY);
    sys(fcntl, 3, F_SETFL, O_RDONLY | O_APPEND | O_NONBLOCK);
    sys(fcntl, 3, F_SETFL, O_RDWR | O_NOATIME);
    sys(fcntl, 3, F_GETFL);
    sys(fcntl, 3, F_SETFL, O_WRONLY | O_CREAT | 0x40000000);

    struct flock lock = {F_WRLCK, SEEK_SET, 2, 3, 0};
    sys(fcntl, 3, F_SETLK, &lock);
    lock = (struct flock){F_RDLCK, SEEK_CUR, 0, 0, 0};
    sys(fcntl, 3, F_SETLKW, &lock);
    lock = (struct flock){F_UNLCK, SEEK_END, -1, 1, 0};
    sys(fcntl, 3, F_SETLK, &lock);
    lock = (struct flock){9, 9, 0, -1, 5};
    sys(fcntl, 3, F_SETLK, &lock);
    lock = (struct flock){F_WRLCK, SEEK_SET, 0, 0, 0};
    sys(fcntl, 3, F_SETLK, &lock);
    CHILD({
        lock = (struct flock){F_RDLCK, SEEK_SET, 1, 1, 0};
        sys(fcntl, 3, F_GETLK, &lock);
        lock = (struct flock){F_RDLCK, SEEK_SET, 1, 1, 0};
        sys(fcntl, 3, F_SETLK, &lock);
    });
    lock = (struct flock){F_WRLCK, SEEK_SET, 0, 0, 0};
    sys(fcntl, 3, F_GETLK, &lock);
    lock = (struct flock){F_WRLCK, SEEK_SET, 7, 1, 0};
    sys(fcntl, 3, F_OFD_SETLK, &lock);
    lock.l_type = F_UNLCK;
    sys(fcntl, 10, F_OFD_SETLKW, &lock);
    sys(fcntl, 3, F_OFD_GETLK, &lock);
    sys(fcntl, 3, F_SETLK, NULL);
    sys(fcntl, 3, F_SETLK, BAD);
    sys(fcntl, 3, F_GETLK, edge(4));

    int self = sys(getpid);
    sys(fcntl, 3, F_GETOWN);
    sys(fcntl, 3, F_SETOWN, self);
    sys(fcntl, 3, F_GETOWN);
    sys(fcntl, 3, F_SETOWN, -self);
    sys(fcntl, 3, F_SETOWN, 0);
    struct owner owner = {0, self};
    sys(fcntl, 3, F_SETOWN_EX, &owner);
    sys(fcntl, 3, F_GETOWN_EX, &owner);
    owner.type = 1;
    sys(fcntl, 3, F_SETOWN_EX, &owner);
    owner.type = 2;
    sys(fcntl, 3, F_SETOWN_EX, &owner);
    sys(fcntl, 3, F_GETOWN_EX, &owner);
    owner.type = 7;
    sys(fcntl, 3, F_SETOWN_EX, &owner);
    sys(fcntl, 3, F_SETOWN_EX, BAD);
    sys(fcntl, 3, F_GETSIG);
    sys(fcntl, 3, F_SETSIG, SIGIO);
    sys(fcntl, 3, F_GETSIG);
    sys(fcntl, 3, F_SETSIG, 40);
    sys(fcntl, 3, F_SETSIG, 0);
    sys(fcntl, 3, F_SETSIG, 99);

    int ends[2];
    sys(pipe2, ends, 0);
    sys(fcntl, ends[0], F_GETPIPE_SZ);
    sys(fcntl, ends[0], F_SETPIPE_SZ, 8192);
    sys(fcntl, 3, F_GETPIPE_SZ);
    sys(fcntl, -1, F_GETLEASE);
    sys(fcntl, -1, F_SETLEASE, F_RDLCK);
    sys(fcntl, -1, F_SETLEASE, 9);
    sys(fcntl, -1, F_NOTIFY, 0x80000000 | 1 | 2 | 4);
    sys(fcntl, -1, F_GET_SEALS);
    sys(fcntl, -1, F_ADD_SEALS, 1 | 2 | 4 | 8 | 16);
    sys(fcntl, -1, F_GET_RW_HINT, BAD);
    sys(fcntl, -1, F_SET_RW_HINT, BAD);
    sys(fcntl, -1, 1029);
    sys(fcntl, 3, 9999, 5);
    sys(fcntl, -1, F_GETFL);
    return 0;
}
