/* The program that makes generated system calls. It needs no C library: gcc -static -nostdlib.

   guest SEED FIRST COUNT PROCESSES PAUSE
        Each process has two threads, each of which makes the calls FIRST to FIRST+COUNT-1 of a stream of its own. The
        first process sleeps so many nanoseconds between two looks at the others.
   guest run COUNT
        Runs /elf/000000 and so on, one after the other.

   A call depends on seed, stream and index only, so any part of a run can be made again. The first process makes no
   generated call: it waits, kills whoever does not come on, starts him again behind the call that he was in, and in the
   end kills everything that is left. It prints how many calls were made. */

#include "calls.h"

typedef unsigned long u64;
typedef long s64;

enum { PAGE = 4096, STREAMS = 32, LIFE = 300, PATIENCE = 12 };
enum {
    NR_read = 0, NR_write = 1, NR_open = 2, NR_mmap = 9, NR_munmap = 11, NR_sched_yield = 24, NR_nanosleep = 35,
    NR_getpid = 39, NR_clone = 56, NR_fork = 57, NR_vfork = 58, NR_execve = 59, NR_exit = 60, NR_wait4 = 61,
    NR_kill = 62, NR_mkdir = 83, NR_chdir = 80, NR_symlink = 88, NR_pipe2 = 293, NR_setsid = 112, NR_setresuid = 117,
    NR_setresgid = 119, NR_gettid = 186, NR_exit_group = 231, NR_eventfd2 = 290, NR_epoll_create1 = 291,
    NR_memfd_create = 319, NR_clone3 = 435, NR_dup2 = 33, NR_ftruncate = 77, NR_prlimit64 = 302, NR_setgroups = 116,
    NR_ioctl = 16, NR_rt_sigaction = 13, NR_rt_sigprocmask = 14, NR_fcntl = 72, NR_fallocate = 285, NR_membarrier = 324,
    NR_rseq = 334,
    NR_setpgid = 109, NR_getpgid = 121, NR_dup = 32, NR_poll = 7,
};

/* -- system calls ------------------------------------------------------------------------------------------------ */

static s64 call6(s64 number, s64 a, s64 b, s64 c, s64 d, s64 e, s64 f)
{
    register s64 r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    s64 result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* The same for calls that return in a child too, which may have any stack: it ends at once. */
static s64 forking6(s64 number, s64 a, s64 b, s64 c, s64 d, s64 e, s64 f)
{
    register s64 r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    s64 result;
    __asm__ volatile("syscall\n"
                     "test %%rax, %%rax\n"
                     "jnz 1f\n"
                     "mov $60, %%eax\n"
                     "syscall\n"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define C3(n, a, b, c) call6(n, (s64)(a), (s64)(b), (s64)(c), 0, 0, 0)
#define C6(n, a, b, c, d, e, f) call6(n, (s64)(a), (s64)(b), (s64)(c), (s64)(d), (s64)(e), (s64)(f))

static void exit_thread(void)
{
    for (;;)
        C3(NR_exit, 0, 0, 0);
}

/* -- random numbers ---------------------------------------------------------------------------------------------- */

static u64 mix(u64 x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static u64 next(u64 *state)
{
    *state += 0x9e3779b97f4a7c15;
    return mix(*state);
}

static u64 below(u64 *state, u64 limit)
{
    return (next(state) >> 11) % limit;
}

#define PICK(state, list) list[below(state, sizeof list / sizeof *list)]

/* -- memory that arguments point to ------------------------------------------------------------------------------ */

#define SHARED 0x6a5b4c3d0000ul /* no argument is likely to be this */
#define ARENA 0x20000000ul     /* eight writable pages, and nothing behind them */
#define ARENA_END (ARENA + 8 * PAGE)
#define READ_ONLY 0x20010000ul /* one page */
#define NO_ACCESS 0x20020000ul /* one page */
#define NOTHING 0x20030000ul
#define PAST_FILE 0x20040000ul /* two pages of an empty file */
#define STACKS 0x30000000ul

struct stream {
    volatile u64 next; /* index of the call to make next */
};

static struct stream *streams = (struct stream *)SHARED;

static void on_signal(int number)
{
    (void)number;
}

static const u64 numbers[] = {
    0, 1, 2, 3, 7, 8, 15, 16, 64, 100, 255, 256, 511, 1023, 1024, 4095, 4096, 4097, 8192, 65535, 65536, 0xfffff, 0x100000,
    0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff, 0x100000000, 0x7fffffffffff, 0x7ffffffff000,
    0x800000000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffff800000000000, 0xffffffff80000000, -1ul, -2ul, -11ul,
    -4095ul, -4096ul, -100ul,
};

static u64 word(u64 *state)
{
    switch (below(state, 8)) {
    case 0: return next(state);
    case 1: return next(state) & 0xffffffff;
    case 2: return 1ul << below(state, 64);
    case 3: return below(state, 64);
    default: return PICK(state, numbers);
    }
}

static u64 pointer(u64 *state, u64 room)
{
    switch (below(state, 16)) {
    case 0: return READ_ONLY + below(state, 2) * (PAGE - 8);
    case 1: return NO_ACCESS;
    case 2: return NOTHING + below(state, PAGE);
    case 3: return PAST_FILE + below(state, 2 * PAGE);
    case 4: return ARENA_END - below(state, 64);
    case 5: return word(state);
    case 6: return 0;
    case 7: return ARENA_END - room; /* just fits */
    case 8: return ARENA + 3 * PAGE - below(state, 64); /* across pages */
    default: return ARENA + below(state, 6 * PAGE / 16) * 16;
    }
}

static int writable(u64 address, u64 size)
{
    return address >= ARENA && address + size <= ARENA_END;
}

static u64 file_number(u64 *state)
{
    switch (below(state, 16)) {
    case 0: return -1ul;
    case 1: return -100ul; /* AT_FDCWD */
    case 2: return word(state);
    case 3: return 1023 + below(state, 2);
    default: return below(state, 34);
    }
}

/* Struct content of several shapes; whatever a kernel reads of it is plausible now and then. */
static void fill(u64 *state, u64 address, u64 size)
{
    unsigned char *at = (unsigned char *)address;
    u64 shape = below(state, 7), i;
    for (i = 0; i + 8 <= size; i += 8) {
        u64 value;
        switch (shape) {
        case 0: value = 0; break;
        case 1: value = below(state, 40) | below(state, 40) << 32; break;
        case 2: value = i % 16 ? below(state, 3 * PAGE) : pointer(state, 64); break; /* iovec */
        case 3: value = next(state); break;
        case 4: value = i % 16 ? below(state, 20000) : 0; break; /* timespec */
        case 5: value = below(state, 2) ? (u64)&on_signal : 1ul << below(state, 64); break;
        default: value = word(state); break;
        }
        *(u64 *)(at + i) = value;
    }
    for (; i < size; i++)
        at[i] = next(state);
}

static u64 struct_pointer(u64 *state, int times)
{
    u64 size = 8 << below(state, 5);
    u64 address = pointer(state, size);
    if (writable(address, size)) {
        if (times && below(state, 4)) {
            ((u64 *)address)[0] = 0;
            ((u64 *)address)[1] = below(state, 20000);
            if (writable(address, 32)) {
                ((u64 *)address)[2] = 0;
                ((u64 *)address)[3] = below(state, 20000);
            }
        } else
            fill(state, address, size);
    }
    return address;
}

static u64 put_text(u64 *state, const char *text, u64 length)
{
    u64 address = pointer(state, length + 1);
    if (!writable(address, length + 1))
        return address;
    for (u64 i = 0; i < length; i++)
        ((char *)address)[i] = text[i];
    ((char *)address)[length] = 0;
    return address;
}

static u64 path(u64 *state)
{
    static char text[5000];
    const char *given = PICK(state, paths);
    u64 length = 0;
    switch (below(state, 24)) {
    case 0: { /* as long as a name or a path can be, and longer */
        static const u64 lengths[] = {254, 255, 256, 4094, 4095, 4096, 4200};
        u64 count = PICK(state, lengths), slashes = below(state, 2);
        while (length < count) {
            text[length] = slashes && length % 2 ? '/' : 'a';
            length++;
        }
        return put_text(state, text, length);
    }
    case 1: /* any bytes */
        for (u64 count = below(state, 20); length < count; length++)
            text[length] = next(state);
        return put_text(state, text, length);
    }
    while (given[length]) {
        text[length] = given[length];
        length++;
    }
    if (!below(state, 8))
        text[length++] = '/';
    else if (!below(state, 8)) {
        given = PICK(state, paths);
        text[length++] = '/';
        while (*given)
            text[length++] = *given++;
    }
    return put_text(state, text, length);
}

static u64 texts(u64 *state) /* an array of strings as execve takes it */
{
    u64 address = pointer(state, 64), count = below(state, 6), i;
    if (!writable(address, 64))
        return address;
    for (i = 0; i < count; i++)
        ((u64 *)address)[i] = below(state, 4) ? path(state) : pointer(state, 8);
    ((u64 *)address)[i] = 0;
    return address;
}

static u64 process(u64 *state, int root)
{
    u64 value;
    switch (below(state, 8)) {
    case 0: value = 0; break;
    case 1: value = word(state); break;
    case 2: value = -below(state, 40); break;
    case 3: value = below(state, 40); break;
    case 4: value = C3(NR_gettid, 0, 0, 0); break;
    default: value = C3(NR_getpid, 0, 0, 0); break;
    }
    /* The process that watches over all others stays alive. */
    return root && (int)value && (int)value >= -2 && (int)value <= 2 ? 0 : value;
}

static u64 known(u64 *state, const struct call *call, int i)
{
    const u64 *list = values + call->pool[i];
    return list[below(state, call->pool_size[i])];
}

static u64 argument(u64 *state, const struct call *call, int i, int root)
{
    char kind = call->kinds[i];
    if (!below(state, 10) && kind != 'p')
        return word(state);
    switch (kind) {
    case 'f': return file_number(state);
    case 'd': return below(state, 3) ? -100ul : file_number(state);
    case 'p': return process(state, root);
    case 'P': return path(state);
    case 'X': return texts(state);
    case 'b': return pointer(state, 64);
    case 'S': return struct_pointer(state, 0);
    case 't': return struct_pointer(state, 1);
    case 'n': return below(state, 3) ? below(state, 200) : word(state);
    case 's': return below(state, 8) ? 8 : word(state); /* sizes of signal sets */
    case 'g': return below(state, 70);
    case 'a': {
        static const u64 places[] = {ARENA, ARENA + PAGE, READ_ONLY, NO_ACCESS, NOTHING, PAST_FILE, ARENA + 0x100000, 0};
        return PICK(state, places) + (below(state, 8) ? 0 : below(state, PAGE));
    }
    case 'V': return below(state, 16) ? known(state, call, i) : word(state);
    case 'F': {
        u64 flags = 0;
        for (u64 count = below(state, 5); count; count--)
            flags |= known(state, call, i);
        return below(state, 12) ? flags : flags | 1ul << below(state, 64);
    }
    default: return below(state, 2) ? below(state, 20) : word(state);
    }
}

/* -- calls that need several things to fit: terminals, sealed files, rseq ------------------------------------------ */

enum { TERMINALS = 4, SIGNATURE = 0x53053053 };

static s64 terminals[TERMINALS], sealed;
static int has_terminal;

static const struct call *call_of(int number)
{
    const struct call *call = calls;
    while (call->number != number)
        call++;
    return call;
}

static void use_terminal(u64 *state)
{
    static const int others[] = {0, 1, 19, 20, 7, 5, 72, 217, 40, 275, 233, 8, 17, 18, 74};
    u64 fd = PICK(state, terminals), a[6];
    if (!below(state, 12)) {
        int *group = (int *)(ARENA + below(state, 64) * 8);
        *group = below(state, 2) ? C3(NR_getpgid, 0, 0, 0) : (s64)below(state, 40);
        C3(NR_ioctl, fd, 0x5410, group); /* TIOCSPGRP */
        return;
    }
    if (below(state, 3)) {
        const struct call *call = call_of(NR_ioctl);
        u64 request = below(state, 8) ? known(state, call, 1) : word(state);
        call6(NR_ioctl, fd, request, below(state, 4) ? struct_pointer(state, 0) : word(state), 0, 0, 0);
        return;
    }
    int number = PICK(state, others);
    const struct call *call = call_of(number);
    if (number == NR_poll) {
        u64 *polled = (u64 *)(ARENA + below(state, 64) * 8);
        polled[0] = (fd & 0xffffffff) | next(state) << 32;
        polled[1] = (PICK(state, terminals) & 0xffffffff) | next(state) << 32;
        call6(NR_poll, (s64)polled, below(state, 3), below(state, 20), 0, 0, 0);
        return;
    }
    for (int i = 0; i < 6; i++)
        a[i] = argument(state, call, i, 1);
    call6(number, fd, a[1], a[2], a[3], a[4], a[5]);
}

static void use_sealed(u64 *state)
{
    u64 size = below(state, 4) ? below(state, 5 * PAGE) : word(state);
    switch (below(state, 6)) {
    case 0: C3(NR_fcntl, sealed, 1033, below(state, 8) ? 1ul << below(state, 6) & ~1ul : word(state)); break;
    case 1: C3(NR_fcntl, sealed, 1034, word(state)); break;
    case 2: C3(NR_ftruncate, sealed, size, 0); break;
    case 3: C6(NR_fallocate, sealed, below(state, 4), below(state, 5 * PAGE), size, 0, 0); break;
    case 4: C6(NR_mmap, 0, PAGE, below(state, 4), 1 + below(state, 2), sealed, below(state, 3) * PAGE); break;
    default: C3(NR_write, sealed, pointer(state, 64), below(state, 3 * PAGE)); break;
    }
}

/* A critical section that begins and ends anywhere near, and leads anywhere. */
static void use_rseq(u64 *state)
{
    u64 *area = (u64 *)(ARENA + 7 * PAGE + below(state, 2) * 32), *section = area + 16;
    u64 code = (u64)&call_of;
    switch (below(state, 4)) {
    case 0: C6(NR_rseq, area, below(state, 8) ? 32 : word(state), below(state, 2), SIGNATURE, 0, 0); break;
    case 1:
        section[0] = below(state, 8) ? 0 : word(state);
        section[1] = below(state, 8) ? code - below(state, PAGE) : word(state);
        section[2] = below(state, 8) ? below(state, 2 * PAGE) : word(state);
        section[3] = below(state, 8) ? code : word(state);
        area[1] = below(state, 8) ? (u64)section : word(state);
        break;
    case 2: C3(NR_membarrier, 1ul << below(state, 10), below(state, 3), below(state, 3)); break;
    default: C3(NR_membarrier, word(state), word(state), word(state)); break;
    }
}

static void make_fitting_call(u64 *state)
{
    u64 kind = below(state, 8);
    if (kind < 4 && has_terminal)
        use_terminal(state);
    else if (kind < 6)
        use_sealed(state);
    else if (below(state, 2))
        use_rseq(state);
    else
        C3(NR_setpgid, below(state, 2) ? 0 : 3 + below(state, 40), below(state, 2) ? 0 : 3 + below(state, 40), 0);
}

/* -- a process of the crowd --------------------------------------------------------------------------------------- */

static void make_arena(void)
{
    C6(NR_mmap, ARENA, 8 * PAGE, 3, 0x32, -1, 0);
    C6(NR_mmap, READ_ONLY, PAGE, 1, 0x32, -1, 0);
    C6(NR_mmap, NO_ACCESS, PAGE, 0, 0x32, -1, 0);
    C6(NR_mmap, STACKS, 16 * PAGE, 3, 0x32, -1, 0);
    s64 empty = C3(NR_memfd_create, "empty", 0, 0);
    C6(NR_mmap, PAST_FILE, 2 * PAGE, 3, 0x11, empty, 0);
}

/* Others may have put a FIFO there, or anything else that nobody is to wait for. */
static s64 open_now(const char *path, s64 flags)
{
    s64 fd = C3(NR_open, path, flags | 04000, 0644);
    C3(NR_fcntl, fd, 4, flags & 02004000); /* F_SETFL */
    return fd;
}

static void open_files(void)
{
    u64 size[2] = {32 << 20, 32 << 20}; /* files are kept in memory of the tool */
    C6(NR_prlimit64, 0, 1, size, 0, 0, 0);
    s64 null = open_now("/dev/null", 1); /* what is written to the console is kept by the tool */
    C3(NR_dup2, null, 1, 0);
    C3(NR_dup2, null, 2, 0);
    C3(NR_mkdir, "/tmp/w", 0777, 0);
    C3(NR_chdir, "/tmp/w", 0, 0);
    C3(NR_mkdir, "d", 0777, 0);
    C3(NR_symlink, "loop", "loop", 0);
    C3(NR_symlink, "/tmp/w/f", "link", 0);
    for (int i = 0; i < (int)(sizeof opened / sizeof *opened); i++)
        open_now(opened[i].path, opened[i].flags);
    int *fds = (int *)ARENA;
    C3(NR_pipe2, fds, 04000, 0);
    C3(NR_pipe2, fds, 0, 0);
    C3(NR_eventfd2, 3, 04000, 0);
    C3(NR_epoll_create1, 0, 0, 0);
    C3(NR_memfd_create, "m", 3, 0);
    s64 file = open_now("f", 0102);
    C3(NR_ftruncate, file, 5000, 0);
    sealed = C3(NR_memfd_create, "s", 2, 0);
}

/* Three of four take the terminal for a session of their own; one stays in the background of the first process. */
static void open_terminals(u64 number)
{
    C3(NR_ioctl, 0, 0x540e, 1); /* TIOCSCTTY */
    terminals[0] = C3(NR_dup, 0, 0, 0);
    terminals[1] = open_now("/dev/tty", 2);
    terminals[2] = open_now("/dev/console", 2 | 04000);
    terminals[3] = number % 2 ? 0 : open_now("/dev/console", 2 | 0400);
    s64 settings[8];
    has_terminal = C3(NR_ioctl, 0, 0x5401, settings) >= 0; /* TCGETS */
}

static const struct call *choose(u64 *state, u64 *number)
{
    u64 index;
    if (!below(state, 64)) {
        static const u64 odd[] = {0x40000000, 0x80000000, 0xffffffff, 0x100000000, -1ul, 0x8000000000000000};
        *number = below(state, 2) ? 335 + below(state, 300) : PICK(state, odd) | below(state, 470);
        return calls;
    }
    index = below(state, 4) ? below(state, HANDLED) : below(state, sizeof calls / sizeof *calls);
    if (calls[index].rare && below(state, 8))
        index = below(state, HANDLED);
    *number = calls[index].number;
    return calls + index;
}

static void make_call(u64 seed, u64 number_of_stream, u64 index)
{
    u64 state = mix(seed) ^ mix(number_of_stream * 1000003 + 17) ^ mix(index), number, a[6];
    int root = (number_of_stream / 2) % 2 == 0;
    if (!below(&state, has_terminal ? 4 : 12)) {
        make_fitting_call(&state);
        return;
    }
    const struct call *call = choose(&state, &number);
    for (int i = 0; i < 6; i++)
        a[i] = argument(&state, call, i, root);
    int at = (int)number;
    if (root && (at == 169 || at == 48)) /* reboot */
        return;
    if (at == NR_fcntl && (int)a[1] == 10 && (a[2] == 9 || a[2] == 19)) /* F_SETSIG to what nobody can mask */
        return;
    if (at == NR_clone || at == NR_fork || at == NR_vfork || at == NR_clone3)
        forking6(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    else
        call6(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (!below(&state, 4))
        C3(NR_sched_yield, 0, 0, 0);
}

static u64 seed, first, count, processes, pause;

static void go_on(u64 number)
{
    struct stream *stream = streams + number;
    for (u64 life = LIFE; life && stream->next < first + count; life--) {
        u64 index = stream->next++;
        make_call(seed, number, index);
    }
    exit_thread();
}

/* A second thread; it never returns. */
static void start_thread(u64 number)
{
    u64 stack = STACKS + 16 * PAGE - 64;
    register s64 r10 __asm__("r10") = 0, r8 __asm__("r8") = 0;
    s64 result;
    __asm__ volatile("syscall\n"
                     "test %%rax, %%rax\n"
                     "jnz 1f\n"
                     "mov %[number], %%rdi\n"
                     "xor %%ebp, %%ebp\n"
                     "call *%[enter]\n"
                     "1:"
                     : "=a"(result)
                     : "a"(NR_clone), "D"(0x50f00), "S"(stack), "d"(0), "r"(r10), "r"(r8), [number] "b"(number),
                       [enter] "r"((u64)&go_on)
                     : "rcx", "r11", "memory");
}

/* What terminals send: signals that end a program which does nothing about them. */
static void ignore_terminal(int ignore)
{
    static const int sent[] = {1, 2, 3, 18, 20, 21, 22, 28};
    for (u64 i = 0; i < sizeof sent / sizeof *sent; i++) {
        u64 action[4] = {ignore, 0, 0, 0};
        C6(NR_rt_sigaction, sent[i], action, 0, 8, 0, 0);
    }
}

/* The first process takes no signal: root may send it any through files whose owner it becomes (F_SETOWN, F_SETSIG). */
static void mask_signals(u64 mask)
{
    C6(NR_rt_sigprocmask, 2, &mask, 0, 8, 0, 0);
}

static void crowd(u64 number)
{
    mask_signals(0);
    make_arena();
    open_files();
    if (number % 4 == 2)
        C3(NR_setpgid, 0, 0, 0); /* out of reach: the group of the first process */
    else
        C3(NR_setsid, 0, 0, 0);
    open_terminals(number);
    ignore_terminal(number % 2);
    if (number % 2) {
        C3(NR_setgroups, 0, 0, 0);
        C3(NR_setresgid, 1000, 1000, 1000);
        C3(NR_setresuid, 1000, 1000, 1000);
    }
    start_thread(2 * number + 1);
    go_on(2 * number);
}

/* -- the first process -------------------------------------------------------------------------------------------- */

static void pause_ns(u64 ns)
{
    u64 time[2] = {0, ns};
    C3(NR_nanosleep, time, 0, 0);
}

static void print(u64 value)
{
    char text[24];
    int at = sizeof text;
    text[--at] = '\n';
    do
        text[--at] = '0' + value % 10;
    while (value /= 10);
    C3(NR_write, 1, "\nmade ", 6);
    C3(NR_write, 1, text + at, sizeof text - at);
}

static void end_all(void)
{
    C3(NR_kill, -1, 9, 0);
    while (C6(NR_wait4, -1, 0, 0x40000000, 0, 0, 0) > 0)
        ;
    /* The orphans among them are not ours to wait for: what they leave is counted when we are gone. */
    pause_ns(10000000);
}

static void watch(void)
{
    s64 pids[STREAMS / 2];
    u64 seen[STREAMS / 2], waited[STREAMS / 2], last[STREAMS];
    for (u64 i = 0; i < processes; i++)
        pids[i] = 0;
    for (u64 i = 0; i < 2 * processes; i++)
        last[i] = streams[i].next = first;
    for (;;) {
        int busy = 0;
        s64 pid;
        while ((pid = C6(NR_wait4, -1, 0, 0x40000001, 0, 0, 0)) > 0)
            for (u64 i = 0; i < processes; i++)
                if (pids[i] == pid)
                    pids[i] = 0;
        for (u64 i = 0; i < processes; i++) {
            u64 sum = 0, left = 0;
            for (u64 j = 2 * i; j < 2 * i + 2; j++) {
                u64 at = streams[j].next; /* a call may have been given this address */
                if (at < last[j] || at > first + count)
                    streams[j].next = at = last[j] + (last[j] < first + count);
                last[j] = at;
                sum += at;
                left += first + count - at;
            }
            if (!left && !pids[i])
                continue;
            busy = 1;
            if (!pids[i]) {
                s64 child = C3(NR_fork, 0, 0, 0);
                if (!child)
                    crowd(i);
                pids[i] = child > 0 ? child : 0;
                waited[i] = 0;
            } else if (sum != seen[i])
                waited[i] = 0;
            else if (++waited[i] > PATIENCE)
                C3(NR_kill, pids[i], 9, 0);
            seen[i] = sum;
        }
        if (!busy)
            break;
        pause_ns(pause);
    }
    end_all();
    u64 made = 0;
    for (u64 i = 0; i < 2 * processes; i++)
        made += last[i] - first;
    print(made);
}

static void run_files(u64 files)
{
    char name[32] = "/elf/";
    for (u64 i = 0; i < files; i++) {
        int at = 5;
        for (u64 unit = 100000; unit; unit /= 10)
            name[at++] = '0' + i / unit % 10;
        name[at] = 0;
        s64 child = C3(NR_fork, 0, 0, 0);
        if (!child) {
            const char *words[] = {name, "x", 0};
            u64 seconds[2] = {1, 1}, size[2] = {1 << 20, 1 << 20};
            C6(NR_prlimit64, 0, 0, seconds, 0, 0, 0);
            C6(NR_prlimit64, 0, 1, size, 0, 0, 0);
            C3(NR_execve, name, words, words + 2);
            exit_thread();
        }
        for (int waited = 0; C6(NR_wait4, child, 0, 1, 0, 0, 0) == 0; waited++) {
            if (waited == 40)
                C3(NR_kill, child, 9, 0);
            pause_ns(waited < 10 ? 100000 : 1000000);
        }
    }
    end_all();
    print(files);
}

static u64 value_of(const char *text)
{
    u64 value = 0;
    while (*text >= '0' && *text <= '9')
        value = value * 10 + *text++ - '0';
    return value;
}

__attribute__((used)) static void begin(s64 *stack)
{
    char **words = (char **)(stack + 1);
    if (stack[0] == 3 && words[1][0] == 'r')
        run_files(value_of(words[2]));
    else if (stack[0] == 6) {
        seed = value_of(words[1]);
        first = value_of(words[2]);
        count = value_of(words[3]);
        processes = value_of(words[4]);
        pause = value_of(words[5]);
        C6(NR_mmap, SHARED, PAGE, 3, 0x31, -1, 0);
        mask_signals(-1ul);
        if (processes <= STREAMS / 2)
            watch();
    }
    for (;;)
        C3(NR_exit_group, 0, 0, 0);
}

__asm__(".globl _start\n_start:\nmov %rsp, %rdi\nand $-16, %rsp\ncall begin\n");
