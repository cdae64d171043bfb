/* Shared by the traced programs: system calls as they are, a line each, so that a line of a trace leads to its source. */
#ifndef CALLS_H
#define CALLS_H
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long call6(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* sys(openat, AT_FDCWD, "f", O_RDONLY): gives what the kernel gives, -ERRNO for an error; missing arguments are 0. */
#define sys(name, ...) call_(SYS_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define number(n, ...) call_(n, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define call_(n, a, b, c, d, e, f, ...)                                                                       \
    call6((long)(n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* Calls inside of the arguments of others. */
#define OWN(name, call)                                                                                       \
    static inline long name(void) { return sys(call); }
OWN(own_pid, getpid)
OWN(own_tid, gettid)
OWN(parent_pid, getppid)
OWN(own_uid, getuid)
OWN(own_gid, getgid)

/* Addresses that no program has. */
#define BAD ((void *)0x1000)
#define HIGH ((void *)0xffff800000000000)

/* The last bytes before a page that is not there. */
static inline void *edge(size_t bytes) {
    static char *end;
    if (!end) {
        char *two = (char *)sys(mmap, NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        sys(munmap, two + 4096, 4096);
        end = two + 4096;
    }
    return end - bytes;
}

/* Run body in a child and wait for it. */
#define CHILD(...)                                                                                            \
    do {                                                                                                      \
        long child_ = sys(fork);                                                                              \
        if (child_ == 0) {                                                                                    \
            __VA_ARGS__;                                                                                      \
            sys(exit_group, 0);                                                                               \
        }                                                                                                     \
        sys(wait4, child_, &status_, 0, NULL);                                                                \
    } while (0)
static int status_;

static inline void pause_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    sys(nanosleep, &time, NULL);
}

/* Signals as the kernel takes them. */
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};
#define RESTORER 0x04000000
__asm__(".text\nrestore_: mov $15, %eax\nsyscall\n");
extern void restore_(void);
#define BIT(signal) (1ULL << ((signal)-1))

static inline long action(int signal, void (*handler)(int), unsigned long flags, uint64_t mask) {
    struct kernel_sigaction new = {handler, flags | RESTORER, restore_, mask};
    return sys(rt_sigaction, signal, &new, NULL, 8);
}
#endif
