/* Being interrupted anywhere must change nothing: flags, read-modify-write instructions, results of system calls. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int locked(void)
{
    volatile uint64_t lock = 0;
    volatile uint64_t counted = 0;
    uint64_t bad = 0;
    for (long i = 0; i < 3000000; i++) {
        if (!__sync_bool_compare_and_swap(&lock, 0, 1))
            bad++;
        __asm__ volatile("incq %0" : "+m"(counted) : : "cc");
        if (!__sync_bool_compare_and_swap(&lock, 1, 0))
            bad++;
    }
    return bad != 0 || counted != 3000000;
}

static int reader(int fd, long total)
{
    static char buffer[4096];
    volatile long bytes = 0;
    long sum = 0, got;
    while ((got = read(fd, buffer, sizeof buffer)) > 0) {
        sum += got;
        for (long i = 0; i < got; i++)
            bytes++;
        if (bytes != sum)
            return 1;
    }
    return got != 0 || sum != total;
}

int main(void)
{
    static char block[4096];
    const long blocks = 1500;
    int ends[2], status, failed = 0;
    if (pipe(ends))
        return 1;
    for (int i = 0; i < 2; i++) {
        if (fork() == 0)
            _exit(locked());
    }
    if (fork() == 0) {
        close(ends[1]);
        _exit(reader(ends[0], blocks * (long)sizeof block));
    }
    close(ends[0]);
    for (long i = 0; i < blocks; i++) {
        if (write(ends[1], block, sizeof block) != sizeof block)
            failed++;
    }
    close(ends[1]);
    for (int i = 0; i < 3; i++) {
        wait(&status);
        failed += status != 0;
    }
    printf("failed %d\n", failed);
    return failed != 0;
}
