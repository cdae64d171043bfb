/* Restartable sequences: registration, critical sections left by faults, signals and other threads. */
#include "t.h"
#include <pthread.h>
#include <sys/auxv.h>
#include <ucontext.h>
#ifdef __GLIBC__
#include <sys/rseq.h>
#endif

#define UNREGISTER 1
#define SIGNATURE 0x53053053

struct area {
    uint32_t cpu_id_start, cpu_id;
    volatile uint64_t cs;
    uint32_t flags, node_id, mm_cid, padding;
} __attribute__((aligned(32)));

struct section {
    uint32_t version, flags;
    uint64_t start_ip, post_commit_offset, abort_ip;
};

extern char trap_start[], trap_commit[], trap_abort[], add_start[], add_commit[], add_abort[];

/* int trap(volatile uint64_t *cs, struct section *): 1 if it went through, 2 if it was left. */
int trap(volatile uint64_t *, const struct section *);
/* int add(struct area *, uint64_t (*counters)[8], struct section *): 0 if it went through, 1 if it was left, 2 if that
   changed a register. */
int add(struct area *, uint64_t (*)[8], const struct section *);

__asm__(".text\n"
        ".globl trap, trap_start, trap_commit, trap_abort, add, add_start, add_commit, add_abort\n"
        ".hidden trap_start, trap_commit, trap_abort, add_start, add_commit, add_abort\n"
        ".type trap, @function\n"
        "trap:\n"
        "    movq %rsi, (%rdi)\n"
        "trap_start:\n"
        "    int3\n"
        "    movl $1, %eax\n"
        "trap_commit:\n"
        "    ret\n"
        "    .long 0x53053053\n"
        "trap_abort:\n"
        "    movl $2, %eax\n"
        "    ret\n"
        ".type add, @function\n"
        "add:\n"
        "    movl (%rdi), %eax\n"
        "    movl $7, %ecx\n"
        "    movl $11, %r11d\n"
        "    movq %rdx, 8(%rdi)\n"
        "add_start:\n"
        "    cmpl 4(%rdi), %eax\n"
        "    jne add_abort\n"
        "    shlq $6, %rax\n"
        "    movq (%rsi,%rax), %r9\n"
        "    movl $300, %r8d\n"
        "1:  decl %r8d\n"
        "    jnz 1b\n"
        "    incq %r9\n"
        "    movq %r9, (%rsi,%rax)\n"
        "add_commit:\n"
        "    xorl %eax, %eax\n"
        "    ret\n"
        "    .long 0x53053053\n"
        "add_abort:\n"
        "    movl $1, %eax\n"
        "    cmpq $7, %rcx\n"
        "    jne 2f\n"
        "    cmpq $11, %r11\n"
        "    je 3f\n"
        "2:  movl $2, %eax\n"
        "3:  ret\n");

static __thread struct area area;
static struct area other, *self;
static uint64_t counters[1024][8];
static struct section trapping, adding;
static volatile int handled, aborted, clobbered;
static volatile uint64_t handled_at, handled_cs;

static long rseq(void *where, unsigned length, int flags, unsigned signature) {
    return syscall(334, where, length, flags, signature);
}

static void registration(void) {
    SHOW(rseq(self, 32, UNREGISTER, SIGNATURE));
    SHOW(rseq(self, 32, 2, SIGNATURE));
    SHOW(rseq(self, 32, 3, SIGNATURE));
    SHOW(rseq(self, 31, 0, SIGNATURE));
    SHOW(rseq((char *)self + 16, 32, 0, SIGNATURE));
    SHOW(rseq((void *)0x7ffffffff000, 32, 0, SIGNATURE));
    memset(self, 0xff, sizeof *self);
    self->cs = 0;
    SHOW(rseq(self, 32, 0, SIGNATURE));
    YES(self->cpu_id == self->cpu_id_start && self->cpu_id < 1024 && self->node_id < 64);
    YES(self->flags == 0xffffffff && self->padding == 0xffffffff);
    YES(getauxval(28) == 32 && getauxval(27) >= 28 && self->mm_cid < 1024);
    SHOW(rseq(self, 32, 0, SIGNATURE));
    SHOW(rseq(self, 32, 0, SIGNATURE + 1));
    SHOW(rseq(&other, 32, 0, SIGNATURE));
    SHOW(rseq(self, 31, 0, SIGNATURE));
    SHOW(rseq(self, 32, UNREGISTER, SIGNATURE + 1));
    SHOW(rseq(self, 31, UNREGISTER, SIGNATURE));
    SHOW(rseq(&other, 32, UNREGISTER, SIGNATURE));
    SHOW(rseq(self, 32, UNREGISTER, SIGNATURE));
    YES(self->cpu_id == 0xffffffff && self->cpu_id_start == 0 && self->node_id == 0 && self->mm_cid == 0);
    SHOW(rseq(self, 32, UNREGISTER, SIGNATURE));
    self->flags = 0;
    SHOW(rseq(self, 32, 0, SIGNATURE));
}

static void *in_thread(void *unused) {
    SHOW(rseq(&area, 32, UNREGISTER, SIGNATURE));
    SHOW(rseq(&area, 32, 0, SIGNATURE));
    SHOW(rseq(&area, 32, UNREGISTER, SIGNATURE));
    return unused;
}

static void inheritance(void) {
    pthread_t thread;
    CHILD("fork", SHOW(rseq(self, 32, 0, SIGNATURE)); SHOW(trap(&self->cs, &trapping)));
    pthread_create(&thread, 0, in_thread, 0);
    pthread_join(thread, 0);
}

static void handler(int signo, siginfo_t *info, void *context) {
    (void)info;
    handled = signo;
    handled_cs = self->cs;
    handled_at = (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[16];
}

static void left(void) {
    SHOW(trap(&self->cs, &trapping));
    SHOW(handled);
    YES(handled_at == (uint64_t)trap_abort && handled_cs == 0);
    self->cs = (uint64_t)&trapping;
    raise(SIGUSR1);
    YES(handled == SIGUSR1 && handled_cs == 0 && self->cs == 0);
    self->cs = (uint64_t)&trapping;
    pause_ms(2);
    YES(self->cs == 0);
}

static void refuse(const char *what, struct section s) {
    static struct section section;
    section = s;
    CHILD(what, SHOW(trap(&self->cs, &section)));
}

static void refused(void) {
    struct section s = trapping;
    s.version = 1;
    refuse("version", s);
    s = trapping, s.flags = 1;
    refuse("flags", s);
    s = trapping, s.abort_ip = s.start_ip;
    refuse("abort handler inside", s);
    s = trapping, s.abort_ip = 1ull << 47;
    refuse("abort handler nowhere", s);
    s = trapping, s.abort_ip = 2;
    refuse("no signature", s);
    s = trapping, s.abort_ip++;
    refuse("other signature", s);
    s = trapping, s.post_commit_offset = -1ull;
    refuse("too long", s);
    s = trapping, s.start_ip = -1ull;
    refuse("start nowhere", s);
    s = trapping, s.post_commit_offset = 0;
    refuse("empty", s);
    s = trapping, s.post_commit_offset = 1;
    refuse("over", s);
    s = trapping, s.post_commit_offset = 0, s.flags = 7;
    refuse("flags, outside", s);
    CHILD("nowhere", SHOW(trap(&self->cs, (void *)8)));
    CHILD("outside user space", SHOW(trap(&self->cs, (void *)-8)));
    CHILD("flags of the thread", self->flags = 1; SHOW(trap(&self->cs, &trapping)));
    CHILD("while asleep", self->cs = 8; pause_ms(2));
    CHILD("caught", signal(SIGSEGV, exit); SHOW(trap(&self->cs, (void *)8)));
    struct area *gone = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    rseq(self, 32, UNREGISTER, SIGNATURE);
    CHILD("unmapped", SHOW(rseq(gone, 32, 0, SIGNATURE)); munmap(gone, 4096);
          rseq(gone, 32, UNREGISTER, SIGNATURE); pause_ms(2));
    mprotect(gone, 4096, PROT_READ);
    CHILD("read only", rseq(gone, 32, 0, SIGNATURE));
    rseq(self, 32, 0, SIGNATURE);
}

static long membarrier(int command, unsigned flags, int cpu) { return syscall(324, command, flags, cpu); }

static void barriers(void) {
    YES((membarrier(0, 0, 0) & 0x3fe) == 0x3fe);
    for (int command = 1; command <= 1024; command *= 2) {
        printf("%d: ", command);
        SHOW(membarrier(command, 1, 0));
        if ((command & 0x154) == 0) SHOW(membarrier(command, 0, 0));
    }
    SHOW(membarrier(-1, 0, 0));
    SHOW(membarrier(3, 0, 0));
    for (int command = 4; command <= 256; command *= 4) {
        int private = command == 4 ? 256 : command == 256 ? 16 : command;
        SHOW(membarrier(private, 0, 0));
        SHOW(membarrier(512, 0, 0));
        for (int barrier = 8; barrier <= 128; barrier *= 4) SHOW(membarrier(barrier, 0, 0));
    }
    SHOW(membarrier(4, 0, 0));
    SHOW(membarrier(512, 0, 0));
    SHOW(membarrier(128, 1, -1));
    SHOW(membarrier(128, 1, 100000));
    SHOW(membarrier(128, 2, 0));
    CHILD("fork", SHOW(membarrier(512, 0, 0)); SHOW(membarrier(8, 0, 0)));
}

/* Add until `enough` went through and one was left, by any thread; returns how many went through. */
static long add_some(struct area *mine, long enough) {
    long through = 0;
    for (int64_t end = now_ms() + 20000; (through < enough || !aborted) && now_ms() < end;) {
        for (int i = 0; i < 100; i++) {
            int result = add(mine, counters, &adding);
            if (result) aborted = 1;
            else through++;
            if (result == 2) clobbered = 1;
        }
    }
    return through;
}

static void *adder(void *result) {
    rseq(&area, 32, 0, SIGNATURE);
    *(long *)result = add_some(&area, 2000);
    rseq(&area, 32, UNREGISTER, SIGNATURE);
    return 0;
}

static long counted(void) {
    long sum = 0;
    for (int i = 0; i < 1024; i++) {
        sum += (long)counters[i][0];
        counters[i][0] = 0;
    }
    return sum;
}

static void by_threads(void) {
    pthread_t threads[6];
    long results[6], sum = 0;
    // When a thread is interrupted is chance: again until it was in a critical section.
    for (int round = 0; round < 100 && !aborted; round++) {
        for (int i = 0; i < 6; i++) pthread_create(&threads[i], 0, adder, &results[i]);
        for (int i = 0; i < 6; i++) {
            pthread_join(threads[i], 0);
            sum += results[i];
        }
    }
    YES(aborted && counted() == sum);
}

static volatile long in_handler;

static void adding_handler(int signo) {
    (void)signo;
    if (!add(self, counters, &adding)) in_handler++;
}

static void by_signals(void) {
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    aborted = 0;
    signal(SIGALRM, adding_handler);
    setitimer(ITIMER_REAL, &often, 0);
    long through = 0;
    for (int round = 0; round < 100 && !(aborted && in_handler > 0); round++) through += add_some(self, 2000);
    setitimer(ITIMER_REAL, &never, 0);
    YES(aborted && in_handler > 0);
    YES(counted() == through + in_handler);
}

int main(int argc, char **argv) {
    self = &area;
    if (argc == 1) {
#ifdef __GLIBC__
        struct area *its = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
        YES(__rseq_size >= 20 && its->cpu_id < 1024);
#endif
        rseq(self, 32, 0, SIGNATURE);
        membarrier(256, 0, 0);
        setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
        execl("/proc/self/exe", argv[0], "again", (char *)0);
    }
    no_core();
    trapping = (struct section){0, 0, (uint64_t)trap_start, trap_commit - trap_start, (uint64_t)trap_abort};
    adding = (struct section){0, 0, (uint64_t)add_start, add_commit - add_start, (uint64_t)add_abort};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, 0);
    sigaction(SIGUSR1, &action, 0);
    registration();
    inheritance();
    left();
    refused();
    barriers();
    by_threads();
    by_signals();
    SHOW(clobbered);
    return 0;
}
