/* A hundred processes at once, a pipeline of twenty stages, a tree of forks. */
#include "t.h"

enum { CROWD = 100, STAGES = 20 };

static void crowd(void) {
    int go[2], back[2];
    MUST(pipe(go));
    MUST(pipe(back));
    for (int i = 0; i < CROWD; i++) {
        if (MUST(fork()) == 0) {
            char c;
            close(go[1]);
            MUST(write(back[1], "r", 1));
            ssize_t n = read(go[0], &c, 1);
            _exit(n == 0 ? i % 50 : 99);
        }
    }
    char c;
    for (int i = 0; i < CROWD; i++) MUST(read(back[0], &c, 1));
    printf("all %d are there\n", CROWD);
    close(go[1]);
    int status, sum = 0, n = 0;
    while (wait(&status) > 0) {
        sum += WEXITSTATUS(status);
        n++;
    }
    printf("gone %d sum %d\n", n, sum);
}

static void pipeline(void) {
    int first[2], in;
    MUST(pipe(first));
    in = first[0];
    for (int i = 0; i < STAGES; i++) {
        int p[2];
        MUST(pipe(p));
        if (MUST(fork()) == 0) {
            close(first[1]);
            close(p[0]);
            char block[777];
            ssize_t n;
            while ((n = read(in, block, sizeof block)) > 0) {
                for (ssize_t k = 0; k < n; k++) block[k]++;
                for (ssize_t done = 0; done < n;) done += MUST(write(p[1], block + done, (size_t)(n - done)));
            }
            _exit(0);
        }
        close(in);
        close(p[1]);
        in = p[0];
    }
    if (MUST(fork()) == 0) {
        close(in);
        char block[1000];
        for (int i = 0; i < 50; i++) {
            memset(block, i, sizeof block);
            for (size_t done = 0; done < sizeof block;) done += (size_t)MUST(write(first[1], block + done, sizeof block - done));
        }
        _exit(0);
    }
    close(first[1]);
    unsigned char block[4096];
    unsigned long sum = 0, total = 0;
    ssize_t n;
    while ((n = read(in, block, sizeof block)) > 0) {
        total += (unsigned long)n;
        for (ssize_t k = 0; k < n; k++) sum += block[k];
    }
    printf("through the pipeline %lu sum %lu\n", total, sum);
    int status, failed = 0;
    while (wait(&status) > 0) failed += status != 0;
    printf("failed %d\n", failed);
}

static int tree(int depth) {
    if (depth == 0) return 1;
    int sum = 1, status;
    for (int i = 0; i < 2; i++)
        if (MUST(fork()) == 0) _exit(tree(depth - 1));
    while (wait(&status) > 0) sum += WEXITSTATUS(status);
    return sum;
}

int main(void) {
    crowd();
    pipeline();
    printf("tree of %d\n", tree(5));
    return 0;
}
