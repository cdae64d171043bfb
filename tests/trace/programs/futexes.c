/* Futex operations, and threads. */
#include "calls.h"
#include <linux/futex.h>
#include <linux/sched.h>

static int word = 5, other = 6, ready, gone, threads;
static char stack[65536] __attribute__((aligned(16)));

static long thread(int *word_of_end) {
    long made = sys(clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID, stack + 60000 - 8192 * threads++, NULL, word_of_end, 0);
    if (made == 0) {
        struct timespec time = {0, 100000000};
        sys(nanosleep, &time, NULL);
        ready = 1;
        sys(futex, &ready, FUTEX_WAKE_PRIVATE, 1);
        sys(exit, 3);
    }
    return made;
}

int main(void) {
    struct timespec none = {0, 0}, some = {0, 1000000}, wrong = {0, -1};
    sys(futex, &word, FUTEX_WAIT, 4, NULL);
    sys(futex, &word, FUTEX_WAIT, 5, &some);
    sys(futex, &word, FUTEX_WAIT_PRIVATE, 5, &none);
    sys(futex, &word, FUTEX_WAIT, 5, &wrong);
    sys(futex, &word, FUTEX_WAIT, 5, BAD);
    sys(futex, &word, FUTEX_WAKE, 1);
    sys(futex, &word, FUTEX_WAKE_PRIVATE, 0x7fffffff);
    sys(futex, &word, FUTEX_WAKE, -1);
    sys(futex, &word, FUTEX_REQUEUE, 1, 2, &other);
    sys(futex, &word, FUTEX_CMP_REQUEUE_PRIVATE, 1, 0x7fffffff, &other, 5);
    sys(futex, &word, FUTEX_CMP_REQUEUE, 1, 2, &other, 99);
    sys(futex, &word, FUTEX_WAKE_OP, 1, 2, &other, FUTEX_OP(FUTEX_OP_SET, 6, FUTEX_OP_CMP_EQ, 6));
    sys(futex, &word, FUTEX_WAKE_OP_PRIVATE, 1, 2, &other, FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_GT, 0));
    sys(futex, &word, FUTEX_WAKE_OP, 1, 2, &other, FUTEX_OP(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 3, FUTEX_OP_CMP_LE, 9));
    sys(futex, &word, FUTEX_WAKE_OP, 1, 2, &other, FUTEX_OP(FUTEX_OP_XOR, 3, FUTEX_OP_CMP_NE, 9));
    sys(futex, &word, FUTEX_WAKE_OP, 1, 2, &other, 0xffffffff);
    sys(futex, &word, FUTEX_WAIT_BITSET, 4, NULL, NULL, -1);
    sys(futex, &word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 5, &none, NULL, 0xff);
    sys(futex, &word, FUTEX_WAIT_BITSET, 5, &none, NULL, 0);
    sys(futex, &word, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 3);
    sys(futex, &word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0);
    sys(futex, NULL, FUTEX_WAKE, 1);
    sys(futex, BAD, FUTEX_WAIT, 1, NULL);
    sys(futex, (char *)&word + 1, FUTEX_WAIT, 1, NULL);
    sys(futex, &word, 99, 1, 2, 3, 4);
    sys(futex, &word, FUTEX_WAIT | 0x1000, 1, NULL);
    sys(futex, &word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1);
    thread(NULL);
    sys(futex, &ready, FUTEX_WAIT_PRIVATE, 0, NULL);
    gone = 1;
    thread(&gone);
    while (gone) sys(futex, &gone, FUTEX_WAIT, 1, NULL);
    thread(NULL);
    pause_ms(50);
    sys(exit_group, 4);
}
