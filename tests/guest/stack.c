/* The stack grows by itself, up to its limit; large zeroed data is there. */
#include "t.h"

static char bss[64 << 20];
static int table[5000] = {[0] = 1, [4999] = 2};

__attribute__((noinline)) static unsigned deep(unsigned n, unsigned long *low) {
    volatile char room[1000];
    room[0] = (char)n;
    room[999] = (char)n;
    if ((unsigned long)room < *low) *low = (unsigned long)room;
    return n == 0 ? 0 : deep(n - 1, low) + (unsigned char)room[0] / 255 + 1;
}

__attribute__((noinline)) static int endless(int n) {
    volatile char room[4096];
    room[n & 4095] = (char)n;
    return endless(n + 1) + room[(n + 1) & 4095];
}

int main(void) {
    no_core();
    struct rlimit limit;
    getrlimit(RLIMIT_STACK, &limit);
    unsigned long low = -1UL, here = (unsigned long)&limit;
    printf("depth %u\n", deep(5000, &low) >= 5000);
    YES(here - low > 5000000);
    int zero = 1;
    for (size_t i = 0; i < sizeof bss; i += 4096) zero &= bss[i] == 0;
    YES(zero);
    for (size_t i = 0; i < sizeof bss; i += 65536) bss[i] = (char)(i >> 16);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof bss; i += 65536) sum += (unsigned char)bss[i];
    printf("sum %u table %d %d\n", sum, table[0], table[4999]);
    CHILD("endless recursion", struct rlimit small = {1 << 20, limit.rlim_max}; setrlimit(RLIMIT_STACK, &small); endless(0));
    CHILD("far below the stack", {
        volatile char *p = (char *)&limit - (200UL << 20);
        *p = 1;
    });
    size_t large = 3 << 20;
    CHILD("one large step", {
        volatile char *room = __builtin_alloca(large);
        room[0] = 1;
        room[large - 1] = 1;
    });
    CHILD("child grows its own copy", low = -1UL; deep(3000, &low); _exit(here - low > 3000000));
    return 0;
}
