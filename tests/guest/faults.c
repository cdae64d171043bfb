/* What a program learns of its own faults. */
#include "t.h"
#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf back;
static siginfo_t last;
static volatile long trap_number, error_code, rip;

static void caught(int signo, siginfo_t *info, void *context) {
    ucontext_t *u = context;
    last = *info;
    trap_number = u->uc_mcontext.gregs[REG_TRAPNO];
    error_code = u->uc_mcontext.gregs[REG_ERR];
    rip = u->uc_mcontext.gregs[REG_RIP];
    siglongjmp(back, signo);
}

#define FAULT(what, address, body)                                                                            \
    do {                                                                                                      \
        int signo_ = sigsetjmp(back, 1);                                                                      \
        if (signo_ == 0) {                                                                                    \
            body;                                                                                             \
            printf("%s: nothing happened\n", what);                                                           \
        } else {                                                                                              \
            printf("%s: signal %d code %d address %s trap %ld error %lx\n", what, signo_, last.si_code,       \
                   last.si_addr == (void *)(address) ? "right" : "wrong", trap_number, error_code & 0x17);    \
        }                                                                                                     \
    } while (0)

static char *volatile null = NULL;
static volatile int zero, one = 1;

int main(void) {
    no_core();
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    int all[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (int i = 0; i < 5; i++) sigaction(all[i], &action, NULL);

    char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *gone = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(gone, 4096);
    FAULT("read null", 0, (void)*(volatile char *)null);
    FAULT("write null + 8", 8, null[8] = 1);
    FAULT("read PROT_NONE", none + 5, (void)*(volatile char *)(none + 5));
    FAULT("write read-only untouched", ro + 9, ro[9] = 1);
    (void)*(volatile char *)ro;
    FAULT("write read-only touched", ro + 9, ro[9] = 1);
    FAULT("read unmapped", gone, (void)*(volatile char *)gone);
    FAULT("run data", ro, ((void (*)(void))ro)());
    printf("at the target: %d\n", rip == (long)ro);
    FAULT("run null", 0, ((void (*)(void))null)());
    FAULT("run code of main for writing", (char *)&main, *(volatile char *)&main = 1);
    FAULT("non-canonical", 0, (void)*(volatile char *)0x8000000000000000);
    FAULT("kernel address", 0xffffffff81000000, (void)*(volatile char *)0xffffffff81000000);
    int signo = sigsetjmp(back, 1);
    if (signo == 0) {
        printf("%d\n", one / zero);
    } else {
        printf("division: signal %d code %d\n", signo, last.si_code);
    }
    signo = sigsetjmp(back, 1);
    if (signo == 0) __asm__ volatile("ud2");
    else printf("ud2: signal %d code %d\n", signo, last.si_code);
    signo = sigsetjmp(back, 1);
    if (signo == 0) __asm__ volatile("int3");
    else printf("int3: signal %d\n", signo);
    signo = sigsetjmp(back, 1);
    if (signo == 0) __asm__ volatile("hlt");
    else printf("hlt: signal %d code %d\n", signo, last.si_code);
    signo = sigsetjmp(back, 1);
    if (signo == 0) __asm__ volatile("outb %al, $0x80");
    else printf("out: signal %d code %d\n", signo, last.si_code);
    signo = sigsetjmp(back, 1);
    if (signo == 0) __asm__ volatile("cli");
    else printf("cli: signal %d code %d\n", signo, last.si_code);
    signo = sigsetjmp(back, 1);
    if (signo == 0) __asm__ volatile("mov %%cr3, %%rax" : : : "rax");
    else printf("cr3: signal %d code %d\n", signo, last.si_code);

    /* Repairing the mapping in the handler and returning runs the instruction again. */
    CHILD("unhandled null", signal(SIGSEGV, SIG_DFL); *null = 1);
    CHILD("ignored null", signal(SIGSEGV, SIG_IGN); *null = 1);
    CHILD("blocked null", sigset_t s; sigfillset(&s); sigprocmask(SIG_BLOCK, &s, NULL); *null = 1);
    CHILD("division", signal(SIGFPE, SIG_DFL); printf("%d\n", one / zero));
    CHILD("ud2", signal(SIGILL, SIG_DFL); __asm__ volatile("ud2"));
    CHILD("int3", signal(SIGTRAP, SIG_DFL); __asm__ volatile("int3"));
    CHILD("handler without stack", {
        sigaction(SIGSEGV, &action, NULL);
        __asm__ volatile("mov $64, %rsp\n push %rax");
    });
    return 0;
}
