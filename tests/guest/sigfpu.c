/* Vector and floating point state survives handlers and switches; handlers start clean and may change it. */
#include "t.h"
#include <ucontext.h>

static volatile int handled;

static void spoil(int signo) {
    (void)signo;
    handled++;
    double a = 1.0 / (handled + 1), b = a * 3;
    long double c = 1.0L / 3;
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n movdqa %%xmm0, %%xmm7\n movdqa %%xmm0, %%xmm15\n fld1\n fldpi\n faddp\n fstp %%st(0)\n"
                     : : : "xmm0", "xmm7", "xmm15");
    unsigned mxcsr = 0x3f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    if (a + b + (double)c == 0) handled = 0;
}

static void change(int signo, siginfo_t *info, void *context) {
    (void)signo;
    (void)info;
    ucontext_t *u = context;
    u->uc_mcontext.gregs[REG_R12] = 0x1234567;
    if (u->uc_mcontext.fpregs) {
        u->uc_mcontext.fpregs->_xmm[5].element[0] = 0xabcdef01;
        u->uc_mcontext.fpregs->_xmm[5].element[1] = 0;
    }
}

int main(void) {
    struct sigaction action = {.sa_handler = spoil};
    sigaction(SIGUSR1, &action, NULL);
    uint64_t in[4] = {0x1111222233334444, 0x5555666677778888, 0x99aabbccddeeff00, 0x0123456789abcdef}, out[4] = {0};
    long double third = 1.0L / 3, back = 0;
    unsigned before = 0, after = 0;
    unsigned short control = 0, control_after = 0;
    long pid = getpid();
    long result = SYS_kill;
    __asm__ volatile("stmxcsr %0\n fnstcw %1" : "=m"(before), "=m"(control));
    __asm__ volatile(
        "fldt %[third]\n movdqu (%[in]), %%xmm7\n movdqu 16(%[in]), %%xmm15\n"
        "syscall\n"
        "movdqu %%xmm7, (%[out])\n movdqu %%xmm15, 16(%[out])\n fstpt %[back]\n"
        : "+a"(result), [back] "=m"(back)
        : [third] "m"(third), [in] "r"(in), [out] "r"(out), "D"(pid), "S"((long)SIGUSR1)
        : "rcx", "r11", "xmm7", "xmm15", "memory");
    __asm__ volatile("stmxcsr %0\n fnstcw %1" : "=m"(after), "=m"(control_after));
    printf("at the start: control %x mxcsr %x\n", control, before);
    printf("handled %d result %ld\n", handled, result);
    YES(memcmp(in, out, sizeof in) == 0);
    YES(third == back);
    YES(before == after);
    YES(control == control_after);

    /* A signal at any instruction: an endless loop over registers, interrupted by a timer. */
    struct itimerval timer = {{0, 5000}, {0, 5000}};
    sigaction(SIGALRM, &action, NULL);
    handled = 0;
    setitimer(ITIMER_REAL, &timer, NULL);
    int wrong = 0;
    double x = 1.0;
    unsigned long rounds = 0;
    while (handled < 20) {
        double y = x * 1.5 + 0.25;
        long double z = (long double)y / 3.0L;
        if ((double)(z * 3.0L) != y) wrong++;
        x = y > 1e6 ? 1.0 : y;
        rounds++;
    }
    timer.it_value.tv_usec = 0;
    setitimer(ITIMER_REAL, &timer, NULL);
    YES(rounds > 0);
    printf("wrong %d\n", wrong);

    struct sigaction edit = {.sa_sigaction = change, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR2, &edit, NULL);
    uint64_t r12 = 0, xmm5 = 0;
    result = SYS_kill;
    __asm__ volatile("xor %%r12d, %%r12d\n pxor %%xmm5, %%xmm5\n syscall\n mov %%r12, %[r12]\n movq %%xmm5, %[xmm5]\n"
                     : "+a"(result), [r12] "=r"(r12), [xmm5] "=r"(xmm5)
                     : "D"(pid), "S"((long)SIGUSR2)
                     : "rcx", "r11", "r12", "xmm5", "memory");
    printf("edited r12 %lx xmm5 %lx\n", (long)r12, (long)xmm5);
    return 0;
}
