/* Handlers, masks, order, siginfo, restarts, alternate stacks. */
#include "t.h"
#include <ucontext.h>

static volatile int count, depth, deepest;
static volatile int order[32], orders;
static int wake[2];

static void note(int signo) {
    if (orders < 32) order[orders++] = signo;
}

static void show_order(const char *what) {
    printf("%s:", what);
    for (int i = 0; i < orders; i++) printf(" %d", order[i]);
    printf("\n");
    orders = 0;
}

static void set(int signo, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    MUST(sigaction(signo, &action, NULL));
}

static siginfo_t last;
static void inform(int signo, siginfo_t *info, void *context) {
    (void)signo;
    last = *info;
    ucontext_t *u = context;
    count += u->uc_mcontext.gregs[REG_RIP] != 0;
}

static void nest(int signo) {
    if (++depth > deepest) deepest = depth;
    if (deepest < 4) raise(signo);
    depth--;
}

static void other_inside(int signo) {
    note(signo);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    printf("in handler: %d blocked %d, USR2 blocked %d\n", signo, sigismember(&now, signo), sigismember(&now, SIGUSR2));
    if (signo == SIGUSR1) raise(SIGUSR2);
    note(-signo);
}

static void masks(void) {
    sigset_t some, old, pending;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGUSR2);
    sigaddset(&some, SIGRTMIN + 1);
    set(SIGUSR1, note, 0);
    set(SIGUSR2, note, 0);
    set(SIGRTMIN + 1, note, 0);
    SHOW(sigprocmask(SIG_BLOCK, &some, &old));
    raise(SIGUSR2);
    raise(SIGRTMIN + 1);
    raise(SIGRTMIN + 1);
    raise(SIGUSR1);
    raise(SIGUSR1);
    SHOW(sigpending(&pending));
    printf("pending %d %d %d %d\n", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2),
           sigismember(&pending, SIGRTMIN + 1), sigismember(&pending, SIGTERM));
    show_order("blocked");
    SHOW(sigprocmask(SIG_SETMASK, &old, NULL));
    YES(orders == 4);
    int usr1 = 0, usr2 = 0, real = 0;
    for (int i = 0; i < orders; i++) {
        usr1 += order[i] == SIGUSR1;
        usr2 += order[i] == SIGUSR2;
        real += order[i] == SIGRTMIN + 1;
    }
    printf("came %d %d %d\n", usr1, usr2, real);
    orders = 0;
    SHOW(sigprocmask(42, &some, NULL));
    SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &some, NULL, 4));
    sigset_t all;
    sigfillset(&all);
    SHOW(sigprocmask(SIG_BLOCK, &all, NULL));
    sigprocmask(SIG_BLOCK, NULL, &pending);
    printf("kill blocked %d stop blocked %d\n", sigismember(&pending, SIGKILL), sigismember(&pending, SIGSTOP));
    SHOW(sigprocmask(SIG_SETMASK, &old, NULL));
}

static void handlers(void) {
    set(SIGUSR1, other_inside, 0);
    set(SIGUSR2, note, 0);
    raise(SIGUSR1);
    show_order("nested other");
    struct sigaction action = {.sa_handler = other_inside};
    sigaddset(&action.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    show_order("other held back");
    set(SIGUSR1, nest, SA_NODEFER);
    raise(SIGUSR1);
    printf("deepest with NODEFER %d\n", deepest);
    set(SIGUSR1, note, SA_RESETHAND);
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &action);
    printf("after RESETHAND default %d\n", action.sa_handler == SIG_DFL);
    orders = 0;
    SHOW(sigaction(SIGKILL, &action, NULL));
    SHOW(sigaction(SIGSTOP, NULL, &action));
    SHOW(sigaction(0, NULL, &action));
    SHOW(sigaction(65, NULL, &action));
    SHOW(kill(getpid(), 65));
    SHOW(kill(getpid(), 0));
    SHOW(kill(0x3fffffff, 0));
    SHOW(kill(0x3fffffff, SIGTERM));
    SHOW(syscall(SYS_tgkill, getpid(), getpid(), 0));
    SHOW(syscall(SYS_tgkill, getpid(), -1, 0));
    SHOW(syscall(SYS_tkill, 0x3fffffff, 0));
}

static void info(void) {
    struct sigaction action = {.sa_sigaction = inform, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGRTMIN + 2, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
    kill(getpid(), SIGUSR1);
    printf("kill: signo %d code %d pid %d uid %d\n", last.si_signo, last.si_code, last.si_pid == getpid(), last.si_uid == getuid());
    raise(SIGUSR1);
    printf("raise: signo %d code %d pid %d\n", last.si_signo, last.si_code, last.si_pid == getpid());
    union sigval value = {.sival_int = 12345};
    SHOW(sigqueue(getpid(), SIGRTMIN + 2, value));
    printf("queue: code %d value %d\n", last.si_code, last.si_value.sival_int);
    pid_t child = MUST(fork());
    if (child == 0) _exit(9);
    while (last.si_signo != SIGCHLD) pause_ms(1);
    printf("child: code %d status %d pid %d\n", last.si_code, last.si_status, last.si_pid == child);
    wait(NULL);
    signal(SIGCHLD, SIG_DFL);
    printf("contexts %d\n", count);
}

static void poke(int signo) {
    note(signo);
    MUST(write(wake[1], "x", 1));
}

static void restarts(void) {
    char c;
    struct itimerval soon = {{0, 0}, {0, 30000}};
    MUST(pipe(wake));
    set(SIGALRM, note, 0);
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(read(wake[0], &c, 1));
    show_order("without RESTART");
    set(SIGALRM, poke, SA_RESTART);
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(read(wake[0], &c, 1));
    show_order("with RESTART");
    set(SIGALRM, note, SA_RESTART);
    setitimer(ITIMER_REAL, &soon, NULL);
    struct timespec second = {1, 0}, left = {0, 0};
    SHOW(nanosleep(&second, &left));
    printf("slept, left %d\n", left.tv_sec == 0 && left.tv_nsec > 500000000);
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(pause());
    pid_t child = MUST(fork());
    if (child == 0) { pause_ms(120); _exit(0); }
    setitimer(ITIMER_REAL, &soon, NULL);
    int status;
    SHOW(waitpid(child, &status, 0) == child);
    set(SIGALRM, note, 0);
    child = MUST(fork());
    if (child == 0) { pause_ms(120); _exit(0); }
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(waitpid(child, &status, 0));
    waitpid(child, &status, 0);
    orders = 0;
    /* Stopped and continued, no handler: a sleep goes on, a read too. */
    child = MUST(fork());
    if (child == 0) {
        int64_t start = now_ms();
        struct timespec t = {0, 150000000};
        int r = nanosleep(&t, NULL);
        _exit(r == 0 && now_ms() - start >= 150 ? 0 : 1);
    }
    pause_ms(30);
    kill(child, SIGSTOP);
    pause_ms(20);
    kill(child, SIGCONT);
    waitpid(child, &status, 0);
    show_status("stopped sleeper", status);
}

static void waiting(void) {
    sigset_t usr1, old, empty;
    sigemptyset(&empty);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    set(SIGUSR1, note, 0);
    sigprocmask(SIG_BLOCK, &usr1, &old);
    raise(SIGUSR1);
    SHOW(sigsuspend(&empty));
    show_order("suspended");
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    printf("blocked again %d\n", sigismember(&now, SIGUSR1));
    siginfo_t info;
    struct timespec none = {0, 0}, little = {0, 20000000}, bad = {0, 2000000000};
    SHOW(sigtimedwait(&usr1, &info, &none));
    SHOW(sigtimedwait(&usr1, &info, &little));
    SHOW(sigtimedwait(&usr1, &info, &bad));
    kill(getpid(), SIGUSR1);
    SHOW(sigtimedwait(&usr1, &info, &none));
    printf("info %d %d\n", info.si_signo, info.si_code);
    show_order("taken, not handled");
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static char stack[65536];
static volatile int on_alternate, flags_inside;
static void where(int signo) {
    (void)signo;
    char here;
    on_alternate = &here >= stack && &here < stack + sizeof stack;
    stack_t now;
    sigaltstack(NULL, &now);
    flags_inside = now.ss_flags;
}

static void alternate(void) {
    stack_t mine = {.ss_sp = stack, .ss_size = sizeof stack}, old;
    SHOW(sigaltstack(NULL, &old));
    printf("flags %d\n", old.ss_flags);
    SHOW(sigaltstack(&mine, &old));
    set(SIGUSR1, where, SA_ONSTACK);
    raise(SIGUSR1);
    printf("on alternate %d flags %d\n", on_alternate, flags_inside);
    set(SIGUSR1, where, 0);
    raise(SIGUSR1);
    printf("on alternate %d flags %d\n", on_alternate, flags_inside);
    mine.ss_size = 100;
    SHOW(sigaltstack(&mine, NULL));
    mine.ss_size = sizeof stack;
    mine.ss_flags = 77;
    SHOW(sigaltstack(&mine, NULL));
    mine.ss_flags = SS_DISABLE;
    SHOW(sigaltstack(&mine, NULL));
    set(SIGUSR1, where, SA_ONSTACK);
    raise(SIGUSR1);
    printf("on alternate %d\n", on_alternate);
}

static void defaults(void) {
    no_core();
    static const int all[] = {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGABRT, SIGFPE, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE,
                              SIGALRM, SIGTERM, SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGXCPU, SIGVTALRM, SIGIO, SIGSYS};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        char what[32];
        snprintf(what, sizeof what, "default of %d", all[i]);
        CHILD(what, signal(all[i], SIG_DFL); raise(all[i]));
    }
}

int main(void) {
    masks();
    handlers();
    info();
    restarts();
    waiting();
    alternate();
    defaults();
    return 0;
}
