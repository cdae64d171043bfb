/* Several processes compute in floating point at once; preemption must not mix their registers. */
#include "t.h"

static double sse(int seed) {
    double x = 0.5 + seed * 0.001, sum = 0;
    for (int i = 1; i < 60000; i++) {
        x = 3.7 * x * (1.0 - x);
        sum += x / i - 1.0 / (x + i);
    }
    return sum;
}

static long double x87(int seed) {
    long double x = 1.0L + seed, sum = 0;
    for (int i = 1; i < 20000; i++) {
        x = (x + (long double)seed / x) / 2.0L + 1.0L / i;
        sum += x * x - (long double)i / (x + 1);
    }
    return sum;
}

static uint64_t integers(uint64_t seed) {
    uint64_t x = seed * 0x9e3779b97f4a7c15 + 1, y = 0;
    for (int i = 0; i < 300000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        y += x * (uint64_t)i ^ (y >> 3);
    }
    return y;
}

int main(void) {
    enum { PROCESSES = 4 };
    int from[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        int p[2];
        MUST(pipe(p));
        if (fork() == 0) {
            char line[200];
            int n = snprintf(line, sizeof line, "%d: %.17g %.21Lg %016lx", i, sse(i), x87(i), (long)integers((uint64_t)i));
            MUST(write(p[1], line, (size_t)n));
            _exit(0);
        }
        close(p[1]);
        from[i] = p[0];
    }
    for (int i = 0; i < PROCESSES; i++) {
        char line[200];
        ssize_t n = read(from[i], line, sizeof line);
        printf("%.*s\n", (int)n, line);
    }
    int failed = 0, status;
    while (wait(&status) > 0) failed += status != 0;
    printf("failed %d\n", failed);
    return 0;
}
