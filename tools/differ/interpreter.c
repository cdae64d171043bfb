// Runs a batch of scripts of system calls that tools/differ compiled, and writes down what each call gave.
//
//   interpreter native <batch >log    on the host: in namespaces and a file system of its own
//   interpreter guest <batch >log     in linuxemu
//
// Each script is run by a child with a root directory of its own and no open file. A script's processes take turns: a
// parent goes on when its child ended or passed. What they log lies in shared memory, so that logging is no system call.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// These addresses and sizes stand in code.py too.
#define DATA ((unsigned char *)0x100000000)
#define DATA_SIZE 0x10000
#define SHARED ((struct shared *)0x110000000)
#define PROCESSES 12
#define LOG_SIZE 16000
#define SLOTS 256

enum { CALL = 1, FORK, PASS, GO, FILL, STORE, SET_BIT, PEEK, POKE, END };
enum { CONSTANT, RESULT, LOADED, HANDLER, RESTORER };
enum { RUNNING, PASSED };

struct process {
    volatile int32_t pid;
    volatile uint32_t turn, used;
    unsigned char log[LOG_SIZE];
};

struct shared {
    volatile uint32_t count;
    struct process processes[PROCESSES];
};

static unsigned char *at;
static int64_t slots[SLOTS];
static int children[SLOTS];
static int me;
static volatile int probing;
static sigjmp_buf probe_end;

// A system call as the kernel answers it.
static long call(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void snooze(void)
{
    struct timespec time = {0, 200000};
    call(SYS_nanosleep, (long)&time, 0, 0, 0, 0, 0);
}

static uint32_t take(int size)
{
    uint32_t value = 0;
    memcpy(&value, at, size);
    at += size;
    return value;
}

static int64_t operand(void)
{
    int kind = take(1);
    int64_t payload;
    int32_t loaded;
    memcpy(&payload, at, 8);
    at += 8;
    switch (kind) {
    case RESULT:
        return slots[payload & 255] + (payload >> 8);
    case LOADED:
        memcpy(&loaded, DATA + payload, 4);
        return loaded;
    default:
        return payload;
    }
}

static void put(const void *bytes, uint32_t size)
{
    struct process *self = &SHARED->processes[me];
    if (self->used + size > LOG_SIZE)
        size = LOG_SIZE - self->used;
    memcpy(self->log + self->used, bytes, size);
    self->used += size;
}

static void put_line(char kind, int records, int statement, int64_t result)
{
    unsigned char head[12] = {kind, records, statement, statement >> 8};
    memcpy(head + 4, &result, 8);
    put(head, sizeof head);
}

static void put_bytes(const void *bytes, uint16_t size)
{
    put(&size, 2);
    put(bytes, size);
}

static void handler(int number, siginfo_t *info, void *context)
{
    if (probing) {
        probing = 0;
        siglongjmp(probe_end, number << 8 | (info->si_code & 255));
    }
    put_line('S', 1, number, info->si_code);
    put_bytes(info, 32);
}

__asm__("restorer: mov $15, %eax\n syscall\n");
extern void restorer(void);

static int64_t resolve(void)
{
    if (*at == HANDLER || *at == RESTORER) {
        int64_t address = *at == HANDLER ? (int64_t)handler : (int64_t)restorer;
        at += 9;
        return address;
    }
    return operand();
}

static void do_call(void)
{
    int statement = take(2), number = take(2), slot = take(1), count = take(1);
    long a[6] = {0};
    for (int i = 0; i < count; i++)
        a[i] = resolve();
    int records = take(1);
    slots[slot] = call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    // Whom a signal ends is dead when the next call is made.
    if (SHARED->count > 1 && (number == SYS_kill || number == SYS_tkill || number == SYS_tgkill ||
                              number == SYS_rt_sigqueueinfo || number == SYS_rt_tgsigqueueinfo))
        for (int i = 0; i < 10; i++)
            snooze();
    put_line('C', records, statement, slots[slot]);
    for (int i = 0; i < records; i++) {
        uint32_t offset = take(4), size = take(2);
        put_bytes(DATA + offset, size);
    }
}

// Lets a child run until it ends, or passes.
static void watch(int pid, int child)
{
    siginfo_t info;
    for (;;) {
        info.si_pid = 0;
        long result = call(SYS_waitid, P_PID, pid, (long)&info, WEXITED | WNOWAIT | WNOHANG | __WALL, 0, 0);
        if (result < 0 || info.si_pid || SHARED->processes[child].turn == PASSED)
            return;
        snooze();
    }
}

static void do_fork(void)
{
    int statement = take(2), slot = take(1), child = SHARED->count;
    uint32_t length = take(4);
    unsigned char *after = at + length;
    if (child == PROCESSES) {
        at = after;
        return;
    }
    SHARED->count++;
    SHARED->processes[child].turn = RUNNING;
    long pid = call(SYS_fork, 0, 0, 0, 0, 0, 0);
    if (pid == 0) {
        me = child;
        slots[slot] = 0;
        SHARED->processes[me].pid = getpid();
        return;
    }
    slots[slot] = pid;
    children[slot] = child;
    put_line('C', 0, statement, pid);
    at = after;
    if (pid > 0)
        watch(pid, child);
}

static void do_pass(void)
{
    struct process *self = &SHARED->processes[me];
    if (me == 0)
        return;
    self->turn = PASSED;
    while (self->turn == PASSED)
        snooze();
}

static void do_go(void)
{
    int slot = take(1), child = children[slot];
    if (child == 0 || SHARED->processes[child].turn != PASSED)
        return;
    SHARED->processes[child].turn = RUNNING;
    watch(slots[slot], child);
}

// Reads or writes a byte where there may be no memory; logs the byte, or minus the signal and its code.
static void do_probe(int op)
{
    struct action { void *handler; unsigned long flags; void *restorer; uint64_t mask; } old[2];
    struct action own = {handler, SA_SIGINFO | SA_NODEFER | 0x04000000, restorer, 0};
    int statement = take(2);
    volatile unsigned char *address = (volatile unsigned char *)operand();
    unsigned char byte = take(1);
    call(SYS_rt_sigaction, SIGSEGV, (long)&own, (long)&old[0], 8, 0, 0);
    call(SYS_rt_sigaction, SIGBUS, (long)&own, (long)&old[1], 8, 0, 0);
    int64_t result = -sigsetjmp(probe_end, 0);
    if (result == 0) {
        probing = 1;
        if (op == POKE)
            *address = byte;
        result = *address;
        probing = 0;
    }
    call(SYS_rt_sigaction, SIGSEGV, (long)&old[0], 0, 8, 0, 0);
    call(SYS_rt_sigaction, SIGBUS, (long)&old[1], 0, 8, 0, 0);
    put_line('P', 0, statement, result);
}

static void do_memory(int op)
{
    unsigned char *address = DATA + take(4);
    uint32_t size = take(2);
    int64_t value;
    switch (op) {
    case FILL:
        memcpy(address, at, size);
        at += size;
        return;
    case STORE:
        value = resolve();
        memcpy(address, &value, size);
        return;
    default:
        value = operand();
        if (value >= 0 && value < size * 8)
            address[value / 8] |= 1 << value % 8;
    }
}

static void interpret(void)
{
    for (;;) {
        int op = take(1);
        switch (op) {
        case CALL: do_call(); break;
        case FORK: do_fork(); break;
        case PASS: do_pass(); break;
        case GO: do_go(); break;
        case FILL: case STORE: case SET_BIT: do_memory(op); break;
        case PEEK: case POKE: do_probe(op); break;
        default:
            put_line('E', 0, 0, 0);
            call(SYS_exit_group, 0, 0, 0, 0, 0, 0);
        }
    }
}

// Hosts are not always generous with this one, so that no script has it.
static void drop_capability(void)
{
    struct { uint32_t version; int pid; } head = {0x20080522, 0};
    struct { uint32_t effective, permitted, inheritable; } data[2];
    const uint32_t without = ~(1u << 24); // CAP_SYS_RESOURCE
    prctl(PR_CAPBSET_DROP, 24, 0, 0, 0);
    call(SYS_capget, (long)&head, (long)data, 0, 0, 0, 0);
    data[0].effective &= without;
    data[0].permitted &= without;
    call(SYS_capset, (long)&head, (long)data, 0, 0, 0, 0);
}

static void limit(void)
{
    static const struct { int which; unsigned long soft, hard; } limits[] = {
        {RLIMIT_AS, 1 << 28, 1 << 28}, {RLIMIT_CORE, 0, 0}, {RLIMIT_CPU, 3, 4}, {RLIMIT_DATA, 1 << 27, 1 << 27},
        {RLIMIT_FSIZE, 1 << 20, 1 << 21}, {RLIMIT_LOCKS, 100, 100}, {RLIMIT_MEMLOCK, 1 << 16, 1 << 16},
        {RLIMIT_MSGQUEUE, 1 << 16, 1 << 16}, {RLIMIT_NICE, 0, 0}, {RLIMIT_NOFILE, 40, 64},
        {RLIMIT_NPROC, 60, 60}, {RLIMIT_RSS, 1 << 28, 1 << 28}, {RLIMIT_RTPRIO, 0, 0}, {RLIMIT_RTTIME, 1000000, 1000000},
        {RLIMIT_SIGPENDING, 30, 40}, {RLIMIT_STACK, 1 << 20, 1 << 23},
    };
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit value = {limits[i].soft, limits[i].hard};
        setrlimit(limits[i].which, &value);
    }
}

static void start(const char *directory)
{
    if (setsid() < 0 || chroot(directory) != 0 || chdir("/") != 0)
        die(directory);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, 0);
    me = 0;
    SHARED->processes[0].pid = getpid();
    if (mmap(DATA, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != DATA)
        die("data");
    close_range(0, ~0U, 0);
    limit();
    umask(022);
    interpret();
}

// Runs one script. True when it took longer than it may.
static int run(const char *directory, int limit_ms, int *status)
{
    sigset_t ends;
    struct timespec limit = {limit_ms / 1000, limit_ms % 1000 * 1000000L};
    int slow = 0;
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0)
        start(directory);
    while (waitpid(pid, status, WNOHANG) == 0)
        if (sigtimedwait(&ends, 0, &limit) < 0) {
            slow = 1;
            kill(pid, SIGKILL);
            waitpid(pid, status, 0);
            break;
        }
    kill(-1, SIGKILL); // all of the namespace but this and the first process
    while (waitpid(-1, 0, 0) > 0)
        ;
    return slow;
}

static void write_all(const void *bytes, size_t size)
{
    if (fwrite(bytes, 1, size, stdout) != size)
        die("write");
}

static void report(int slow, int status)
{
    int32_t head[3] = {slow, status, SHARED->count};
    write_all(head, sizeof head);
    for (uint32_t i = 0; i < SHARED->count; i++) {
        struct process *process = &SHARED->processes[i];
        int32_t line[2] = {process->pid, process->used};
        write_all(line, sizeof line);
        write_all(process->log, process->used);
        process->used = process->pid = 0;
    }
}

static void run_all(unsigned char *batch, uint32_t size)
{
    unsigned char *end = batch + size;
    char directory[16];
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ends, 0);
    at = batch;
    int limit_ms = take(4);
    for (int i = 0; at < end; i++) {
        uint32_t length = take(4);
        int status = 0;
        snprintf(directory, sizeof directory, "%d", i);
        if (mkdir(directory, 0755) != 0)
            die(directory);
        SHARED->count = 1;
        int slow = run(directory, limit_ms, &status);
        report(slow, status);
        at += length;
    }
    fflush(stdout);
}

// Everything a script can reach is gone when this process has ended.
static void enclose(void)
{
    int status;
    unsigned long none[4] = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // What a shell ignores for its background jobs, and what it leaves its programs, is not the scripts' affair.
    for (int number = 1; number <= 64; number++)
        call(SYS_rt_sigaction, number, (long)none, 0, 8, 0, 0);
    call(SYS_rt_sigprocmask, SIG_SETMASK, (long)none, 0, 8, 0, 0);
    umask(022);
    if (unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
        die("unshare");
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid > 0) {
        waitpid(pid, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 3);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount("none", "/", 0, MS_REC | MS_PRIVATE, 0) != 0)
        die("private");
    // The first process adopts orphans, as in linuxemu; it cannot be killed from within.
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid > 0) {
        int ended;
        while ((ended = waitpid(-1, &status, 0)) != pid)
            ;
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 3);
    }
}

// Where a setting of the host has an effect, it is the same here.
static void set_up(const char *protected_hardlinks)
{
    int fd = open("/proc/sys/fs/protected_hardlinks", O_WRONLY);
    if (fd < 0 || write(fd, protected_hardlinks, strlen(protected_hardlinks)) < 0)
        die("protected_hardlinks");
    close(fd);
}

int main(int argc, char **argv)
{
    static unsigned char batch[1 << 22];
    size_t size = fread(batch, 1, sizeof batch, stdin);
    if (argc > 1 && strcmp(argv[1], "native") == 0)
        enclose();
    else
        set_up(argc > 2 ? argv[2] : "0");
    if (getpid() != 2) {
        fprintf(stderr, "interpreter: this is no system of its own\n");
        return 2;
    }
    if (mount("none", "/tmp", "tmpfs", argc > 1 && argv[1][0] == 'n' ? MS_NODEV : 0, 0) != 0 || chdir("/tmp") != 0)
        die("/tmp");
    if (mmap(SHARED, sizeof *SHARED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != SHARED)
        die("shared");
    drop_capability();
    run_all(batch, size);
    return 0;
}
