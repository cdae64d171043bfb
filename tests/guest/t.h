/* Shared by the guest programs: each prints what it sees, a native run says what is right. */
#ifndef T_H
#define T_H
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline const char *errno_text(int number) {
    static char text[24];
    switch (number) {
#define E(name) case name: return #name;
        E(EPERM) E(ENOENT) E(ESRCH) E(EINTR) E(EIO) E(ENXIO) E(E2BIG) E(ENOEXEC) E(EBADF) E(ECHILD) E(EAGAIN)
        E(ENOMEM) E(EACCES) E(EFAULT) E(ENOTBLK) E(EBUSY) E(EEXIST) E(EXDEV) E(ENODEV) E(ENOTDIR) E(EISDIR)
        E(EINVAL) E(ENFILE) E(EMFILE) E(ENOTTY) E(ETXTBSY) E(EFBIG) E(ENOSPC) E(ESPIPE) E(EROFS) E(EMLINK)
        E(EPIPE) E(EDOM) E(ERANGE) E(EDEADLK) E(ENAMETOOLONG) E(ENOLCK) E(ENOSYS) E(ENOTEMPTY) E(ELOOP)
        E(EOVERFLOW) E(ENOTSOCK) E(EOPNOTSUPP) E(ENODATA) E(ETIME) E(ECANCELED)
#undef E
    }
    snprintf(text, sizeof text, "errno %d", number);
    return text;
}

/* Print a line "expression = value" or "expression = -1 ENAME". */
#define SHOW(expression)                                                                                      \
    do {                                                                                                      \
        errno = 0;                                                                                            \
        long shown_ = (long)(expression);                                                                     \
        int error_ = errno;                                                                                   \
        if (shown_ == -1) printf("%s = -1 %s\n", #expression, errno_text(error_));                            \
        else printf("%s = %ld\n", #expression, shown_);                                                       \
    } while (0)

/* The same for calls whose good value differs from run to run. */
#define OK(expression)                                                                                        \
    do {                                                                                                      \
        errno = 0;                                                                                            \
        long shown_ = (long)(expression);                                                                     \
        int error_ = errno;                                                                                   \
        printf("%s: %s\n", #expression, shown_ == -1 ? errno_text(error_) : "ok");                            \
    } while (0)

#define YES(condition) printf("%s: %s\n", #condition, (condition) ? "yes" : "no")

/* For set-up that cannot fail unless the test itself is broken. */
#define MUST(expression)                                                                                      \
    ({                                                                                                        \
        long must_ = (long)(expression);                                                                      \
        if (must_ == -1) {                                                                                    \
            printf("%s:%d: %s: %s\n", __FILE_NAME__, __LINE__, #expression, errno_text(errno));               \
            exit(99);                                                                                         \
        }                                                                                                     \
        must_;                                                                                                \
    })
#ifndef __FILE_NAME__
#define __FILE_NAME__ "test"
#endif

__attribute__((constructor)) static void unbuffered(void) { setvbuf(stdout, NULL, _IONBF, 0); }

static inline void show_status(const char *what, int status) {
    if (WIFEXITED(status)) printf("%s: exit %d\n", what, WEXITSTATUS(status));
    else if (WIFSIGNALED(status)) printf("%s: signal %d\n", what, WTERMSIG(status));
    else if (WIFSTOPPED(status)) printf("%s: stopped by %d\n", what, WSTOPSIG(status));
    else if (WIFCONTINUED(status)) printf("%s: continued\n", what);
    else printf("%s: status %x\n", what, status);
}

/* Run body in a child and say how it ended. */
#define CHILD(what, ...)                                                                                      \
    do {                                                                                                      \
        pid_t child_ = fork();                                                                                \
        if (child_ == 0) {                                                                                    \
            __VA_ARGS__;                                                                                        \
            _exit(0);                                                                                         \
        }                                                                                                     \
        int status_ = 0;                                                                                      \
        while (waitpid(child_, &status_, 0) < 0 && errno == EINTR) {}                                         \
        show_status(what, status_);                                                                           \
    } while (0)

static inline void no_core(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
}

static inline int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void pause_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR) {}
}
#endif
