/* Numbers of system calls on their ways to a syscall instruction, as compilers lay them. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define APART __attribute__((noipa))

static inline long raw(long number, long argument)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(argument) : "rcx", "r11", "memory");
    return result;
}

APART static long choose(int which)
{
    return raw(which == 0 ? SYS_vhangup : which == 1 ? SYS_acct : SYS_swapoff, 0);
}

APART static long by_libc(int number)
{
    return syscall(number, 0, 0);
}

APART static long seventh(long a, long b, long c, long d, long e, long f, long number)
{
    return raw(number, a + b + c + d + e + f);
}

struct request {
    long argument;
    long number;
};

APART static long pointed(struct request *request)
{
    return raw(request->number, request->argument);
}

static void *thread(void *argument)
{
    raw(SYS_get_mempolicy, (long)argument);
    return argument;
}

int main(int argc, char **argv)
{
    pthread_t other;
    struct request request = {argc, SYS_get_kernel_syms};
    pthread_create(&other, NULL, thread, argv);
    pthread_join(other, NULL);
    printf("%ld\n", choose(argc) + by_libc(SYS_membarrier) + seventh(1, 2, 3, 4, 5, 6, SYS_quotactl));
    printf("%ld\n", pointed(&request));
#ifdef ANY
    printf("%ld\n", by_libc(atoi(argv[1])));
#endif
    return setuid(getuid());
}
