/* Stacks of all kinds, each ending in getppid(): tests compare what strace -k and linuxemu say of them. */
#define _GNU_SOURCE
#include <alloca.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef THREADS
#include <pthread.h>
#endif

#define APART __attribute__((noinline, noclone, noipa))

static volatile int sink;

APART static void here(void)
{
    syscall(SYS_getppid);
    sink++;
}

/* A frame whose size only a register knows. */
APART static void variable(int size)
{
    char *room = alloca(size + sink);
    memset(room, size, size);
    here();
    sink += room[size - 1];
}

/* A frame that is aligned more than the stack. */
APART static void aligned(void)
{
    _Alignas(64) volatile char room[128];
    room[7] = sink;
    variable(300 + room[7]);
    sink += room[9];
}

APART static int compare(const void *a, const void *b)
{
    if (!sink)
        aligned();
    return *(const int *)a - *(const int *)b;
}

APART static void sorting(void)
{
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof *numbers, compare);
    sink += numbers[0];
}

APART static int recursive(int depth)
{
    if (depth == 0) {
        here();
        return sink;
    }
    return recursive(depth - 1) + depth * sink;
}

APART static void handler(int number)
{
    here();
    sink += number;
}

APART static void *thread(void *argument)
{
    here();
    sink++;
    return argument;
}

int main(void)
{
    signal(SIGUSR1, handler);
    sorting();
    sink = recursive(20);
    raise(SIGUSR1);
    sink += getppid();
#ifdef DEEP
    sink = recursive(400);
#endif
#ifdef THREADS
    pthread_t other;
    pthread_create(&other, 0, thread, 0);
    pthread_join(other, 0);
#else
    thread(0);
#endif
    return sink == -1;
}
