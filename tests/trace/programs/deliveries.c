/* Signals that arrive: handled, ignored, blocked, from faults, from children, deadly. */
#include "calls.h"

static void handler(int signal) { (void)signal; sys(getuid); }
static void quiet(int signal) { (void)signal; }
static void skip(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    sys(exit_group, ((ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO]);
}
#define FAULT(signal, ...) CHILD(action(signal, (void *)skip, SA_SIGINFO, 0); __VA_ARGS__)
#define DEADLY(...) CHILD(struct rlimit no = {0}; sys(setrlimit, RLIMIT_CORE, &no); __VA_ARGS__)

int main(void) {
    long self = sys(getpid), child;
    uint64_t set, none = 0;
    volatile int zero = 0;
    siginfo_t info;
    action(SIGUSR1, handler, 0, 0);
    sys(kill, self, SIGUSR1);
    action(SIGUSR1, handler, SA_NODEFER | SA_RESTART, BIT(SIGUSR2) | BIT(SIGTERM));
    sys(tgkill, self, self, SIGUSR1);
    action(SIGUSR1, quiet, SA_RESETHAND, 0);
    sys(tkill, self, SIGUSR1);
    action(SIGUSR2, SIG_IGN, 0, 0);
    sys(kill, self, SIGUSR2);
    sys(kill, self, SIGWINCH);
    sys(kill, self, SIGCONT);
    set = BIT(SIGUSR1) | BIT(SIGUSR2) | BIT(45);
    action(SIGUSR1, quiet, 0, 0);
    action(SIGUSR2, quiet, 0, 0);
    action(45, quiet, 0, 0);
    sys(rt_sigprocmask, SIG_BLOCK, &set, NULL, 8);
    sys(kill, self, SIGUSR2);
    sys(kill, self, SIGUSR1);
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    info.si_pid = self;
    info.si_value.sival_int = -3;
    sys(rt_sigqueueinfo, self, 45, &info);
    sys(rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
    set = ~BIT(SIGUSR1);
    if ((child = sys(fork)) == 0) {
        pause_ms(100);
        sys(kill, parent_pid(), SIGUSR1);
        sys(exit_group, 0);
    }
    sys(rt_sigsuspend, &set, 8);
    sys(wait4, child, NULL, 0, NULL);
    sys(rt_sigsuspend, &set, 4);
    sys(rt_sigsuspend, BAD, 8);

    FAULT(SIGSEGV, *(volatile int *)0x10 = 1);
    FAULT(SIGSEGV, *(volatile int *)main = 1);
    FAULT(SIGSEGV, *(volatile int *)0x8000000000000000 = 1);
    FAULT(SIGFPE, zero = 1 / zero);
    FAULT(SIGILL, __asm__ volatile("ud2"));
    FAULT(SIGTRAP, __asm__ volatile("int3"));
    FAULT(SIGSEGV, __asm__ volatile("hlt"));
    FAULT(SIGBUS, sys(openat, AT_FDCWD, "e", O_RDWR | O_CREAT, 0600); long page = sys(mmap, NULL, 4096, PROT_READ, MAP_SHARED, 3, 0); *(volatile char *)page);
    DEADLY(*(volatile int *)0 = 1);
    DEADLY(zero = 1 / zero);
    DEADLY(__asm__ volatile("ud2"));
    DEADLY(__asm__ volatile("int3"));
    DEADLY(sys(kill, own_pid(), SIGABRT));
    DEADLY(sys(kill, own_pid(), SIGQUIT));
    DEADLY(action(SIGPIPE, SIG_DFL, 0, 0); int ends[2]; sys(pipe, ends); sys(close, ends[0]); sys(write, ends[1], "x", 1));
    CHILD(sys(kill, own_pid(), SIGHUP));
    CHILD(sys(kill, own_pid(), 64));
    CHILD(struct itimerval timer = {{0, 0}, {0, 50000}}; sys(setitimer, ITIMER_REAL, &timer, NULL); sys(pause));
    return 0;
}
