/* The numbers of x32 have names, though most kernels do not have the calls: arguments of all kinds, without effect. */
#include "calls.h"
#define X32 0x40000000

/* What is given as addresses is beyond the heap, which begins anywhere in the first GiB behind the program. */
static char text[4096];

/* Calls with structures that x32 has in another layout; rt_sigreturn, which shows the stack; select with huge sets. */
static const short left_out[] = {15, 23, 208, 237, 238, 256, 270, 271, 333, 424, 440, 513, 546, 547};

static void all(long first, long last, long step, long a, long b) {
    for (long n = first; n <= last; n++) {
        int skip = 0;
        for (unsigned i = 0; i < sizeof(left_out) / sizeof(*left_out); i++) skip |= left_out[i] == n;
        if (!skip) number(X32 + n, a, b, a + step, b + step, a + 2 * step, b + 2 * step);
    }
}

int main(void) {
    for (int i = 0; i < 4096; i++) text[i] = i % 7 ? 0 : 1 + i % 3;
    long given[][3] = {
        {0, 0, 0}, {-1, -1001, -1002}, {1, 100001, 100002}, {0x100000001, 0x100000001, 0x7ffffffff},
        {16, (long)text, (long)text + 64}, {0, (long)text, 3}, {1, 100002, (long)text}, {0, -5, (long)text},
        {0x8000000, 0x51111111, 0x6aaaaaaa}, {0, (long)text, 0x101010101},
    };
    for (unsigned i = 0; i < sizeof(given) / sizeof(*given); i++) {
        all(0, 334, given[i][0], given[i][1], given[i][2]);
        all(424, 450, given[i][0], given[i][1], given[i][2]);
    }
    all(512, 557, 0, 0, 0);
    all(512, 557, 1, 1001, 2001);
    number(X32 + 0x80000000, 1);
    return 0;
}
