/* System V semaphores: several changes at once, waiting, undoing. */
#include "t.h"
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#define BAD_ADDRESS ((void *)8)
#define OP(...) semop(id, (struct sembuf[]){__VA_ARGS__}, sizeof((struct sembuf[]){__VA_ARGS__}) / sizeof(struct sembuf))
#define TIMED(ms, ...)                                                                                        \
    syscall(SYS_semtimedop, id, ((struct sembuf[]){__VA_ARGS__}),                                             \
            sizeof((struct sembuf[]){__VA_ARGS__}) / sizeof(struct sembuf),                                   \
            &(struct timespec){(ms) / 1000, (ms) % 1000 * 1000000})
#define SET(number, value) MUST(semctl(id, number, SETVAL, value))
#define GET(number) MUST(semctl(id, number, GETVAL))

static int id;
static volatile int caught;

static void catch(int number) { caught = number; }

static void values(const char *when) {
    unsigned short found[4];
    struct semid_ds ds;
    MUST(semctl(id, 0, GETALL, found));
    MUST(semctl(id, 0, IPC_STAT, &ds));
    printf("%s: %d %d %d %d, mode %o, %d of them, otime %d, ctime %d\n", when, found[0], found[1], found[2], found[3],
           ds.sem_perm.mode, (int)ds.sem_nsems, ds.sem_otime != 0, ds.sem_ctime != 0);
}

/* Until so many wait for a semaphore to grow, and to become zero. */
static void await(int number, int grow, int zero) {
    while (semctl(id, number, GETNCNT) != grow || semctl(id, number, GETZCNT) != zero) pause_ms(1);
}

static pid_t child(void (*run)(void)) {
    pid_t pid = MUST(fork());
    if (!pid) {
        run();
        _exit(0);
    }
    return pid;
}

static void end(const char *what, pid_t pid) {
    int how = 0;
    MUST(waitpid(pid, &how, 0));
    show_status(what, how);
}

static void creation(void) {
    key_t key = 0x5e620000 | getpid();
    SHOW(semget(key, 4, 0600));
    SHOW(semget(IPC_PRIVATE, 0, 0600));
    SHOW(semget(IPC_PRIVATE, -1, 0600));
    SHOW(semget(IPC_PRIVATE, 32001, 0600));
    id = MUST(semget(key, 4, 0640 | IPC_CREAT | IPC_EXCL));
    SHOW(semget(key, 4, 0600 | IPC_CREAT | IPC_EXCL));
    SHOW(semget(key, 5, 0600));
    YES(semget(key, 0, 0600) == id);
    values("new");
    SHOW(semop(id, BAD_ADDRESS, 1));
    SHOW(semop(id, BAD_ADDRESS, 0));
    SHOW(semop(id, BAD_ADDRESS, 501));
    SHOW(semop(-1, BAD_ADDRESS, 1));
    SHOW(semop(-1, (struct sembuf[]){{9, 0, 0}}, 1));
    SHOW(semop(id + 32768, (struct sembuf[]){{9, 0, 0}}, 1));
    SHOW(OP({4, 1, 0}));
    SHOW(OP({0, 1, 0}, {4, 1, 0}));
    SHOW(OP({0, 32767, 0}, {0, 1, 0}));
    SHOW(OP({0, -32768, IPC_NOWAIT}));
    SHOW(OP({0, 1, 0}, {1, -1, IPC_NOWAIT}));
    values("nothing");
    SHOW(OP({0, 0, 0}));
    SHOW(OP({0, 2, 0}, {1, 3, 0}, {0, -1, 0}, {2, 0, 0}));
    values("three");
    SHOW(OP({0, 0, IPC_NOWAIT}));
    SHOW(OP({1, -3, 0}, {1, 0, 0}, {1, 3, 0}));
    SHOW(OP({0, 32766, 0}));
    SHOW(OP({0, 1, 0}));
    YES(semctl(id, 0, GETPID) == getpid());
    SHOW(semctl(id, 3, GETPID));
    SHOW(syscall(SYS_semtimedop, id, (struct sembuf[]){{1, 1, 0}}, 1, BAD_ADDRESS));
    SHOW(TIMED(-1, {1, 1, 0}));
    SHOW(syscall(SYS_semtimedop, id, (struct sembuf[]){{1, 1, 0}}, 1, 0));
    SHOW(TIMED(0, {3, -1, 0}));
    SHOW(TIMED(5, {3, -1, 0}));
    SHOW(TIMED(5, {1, 0, 0}));
    values("in the end");
}

static void control(void) {
    struct seminfo info;
    struct semid_ds ds;
    unsigned short four[4] = {1, 2, 3, 4};
    SHOW(semctl(id, 0, SETVAL, -1));
    SHOW(semctl(id, 0, SETVAL, 32768));
    SHOW(semctl(id, 4, SETVAL, 1));
    SHOW(semctl(id, -1, SETVAL, 1));
    SHOW(semctl(id, 4, GETVAL));
    SHOW(semctl(id, -1, GETNCNT));
    SHOW(semctl(id, 99, GETALL, four));
    SHOW(semctl(id, 0, GETALL, BAD_ADDRESS));
    SHOW(semctl(id, 0, SETALL, BAD_ADDRESS));
    four[2] = 32768;
    SHOW(semctl(id, 0, SETALL, four));
    four[2] = 3;
    SHOW(semctl(id, 99, SETALL, four));
    values("set");
    YES(semctl(id, 3, GETPID) == getpid());
    SHOW(semctl(id, 1, SETVAL, 7));
    SHOW(semctl(id, 1, GETVAL));
    SHOW(semctl(id, 0, 99, 0));
    SHOW(semctl(id, 0, 0x100 | IPC_STAT, &ds));
    SHOW(semctl(-1, 0, IPC_INFO, &info));
    SHOW(semctl(-1, 0, GETVAL));
    SHOW(semctl(id, 0, IPC_STAT, BAD_ADDRESS));
    SHOW(semctl(id, 0, IPC_SET, BAD_ADDRESS));
    SHOW(semctl(0, 0, IPC_INFO, BAD_ADDRESS));
    SHOW(semctl(0, 0, SEM_INFO, BAD_ADDRESS));
    YES(semctl(0, 0, IPC_INFO, &info) >= id % 32768);
    printf("%d %d %d %d %d %d %d %d %d %d\n", info.semmap, info.semmni, info.semmns, info.semmnu, info.semmsl,
           info.semopm, info.semume, info.semusz, info.semvmx, info.semaem);
    YES(semctl(0, 0, SEM_INFO, &info) >= id % 32768);
    printf("%d %d %d %d %d %d %d %d %d %d\n", info.semmap, info.semmni, info.semmns, info.semmnu, info.semmsl,
           info.semopm, info.semume, info.semusz >= 1, info.semvmx, info.semaem >= 4);
    YES(semctl(id % 32768, 0, SEM_STAT, &ds) == id);
    YES(semctl(id, 0, SEM_STAT_ANY, &ds) == id);
    SHOW(semctl(31000, 0, SEM_STAT, &ds));
    ds.sem_perm.mode = 0777;
    SHOW(semctl(id, 0, IPC_SET, &ds));
    ds.sem_perm.gid = -1;
    SHOW(semctl(id, 0, IPC_SET, &ds));
    values("open to all");
}

static void down(void) { _exit(OP({0, -1, 0}) ? errno : 0); }
static void down_two(void) { _exit(OP({0, -2, 0}) ? errno : 0); }
static void both(void) { _exit(OP({0, -1, 0}, {1, -1, 0}) ? errno : 0); }
static void zero(void) { _exit(OP({0, 0, 0}) ? errno : 0); }
static void zero_then_two(void) { _exit(OP({0, 0, 0}, {0, 2, 0}) ? errno : 0); }
static void late(void) { _exit(OP({0, -1, 0}, {1, -1, IPC_NOWAIT}) ? errno : 0); }
static void high(void) { _exit(OP({0, -1, 0}, {1, 32767, 0}) ? errno : 0); }
static void handled(void) {
    struct sigaction action = {.sa_handler = catch, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, 0);
    SHOW(OP({0, -1, 0}));
    SHOW(caught == SIGUSR1);
}

static void waiting(void) {
    pid_t one, two;
    semctl(id, 0, SETALL, (unsigned short[4]){0});
    one = child(down);
    await(0, 1, 0);
    SHOW(OP({0, 1, 0}));
    end("down", one);
    YES(semctl(id, 0, GETPID) == one);
    one = child(both);
    await(0, 1, 0);
    SHOW(semctl(id, 1, GETNCNT));
    SHOW(OP({0, 1, 0}));
    await(1, 1, 0);
    SHOW(semctl(id, 0, GETNCNT));
    SHOW(OP({1, 1, 0}));
    end("both", one);
    values("both");
    one = child(down_two);
    await(0, 1, 0);
    two = child(down);
    await(0, 2, 0);
    SHOW(OP({0, 1, 0}));
    end("the smaller one", two);
    SHOW(semctl(id, 0, SETVAL, 2));
    end("the larger one", one);
    SET(0, 1);
    one = child(zero_then_two);
    await(0, 0, 1);
    two = child(zero);
    await(0, 0, 2);
    SHOW(OP({0, -1, 0}));
    end("zero", two);
    end("zero, then two", one);
    values("two");
    SET(0, 0);
    one = child(late);
    await(0, 1, 0);
    SHOW(OP({0, 1, 0}));
    end("no waiting then", one);
    SET(0, 0);
    SET(1, 1);
    one = child(high);
    await(0, 1, 0);
    SHOW(semctl(id, 0, SETALL, (unsigned short[4]){1, 1, 0, 0}));
    end("too high", one);
    values("too high");
    SET(0, 0);
    one = child(handled);
    await(0, 1, 0);
    kill(one, SIGUSR1);
    end("interrupted", one);
    one = child(down);
    await(0, 1, 0);
    kill(one, SIGSTOP);
    MUST(waitpid(one, 0, WUNTRACED));
    kill(one, SIGCONT);
    end("continued", one);
    one = child(down);
    await(0, 1, 0);
    kill(one, SIGKILL);
    end("killed", one);
    SHOW(semctl(id, 0, GETNCNT));
    SHOW(TIMED(100000, {2, 0, 0}));
    SHOW(semtimedop(id, (struct sembuf[]){{2, 1, 0}}, 1, &(struct timespec){LONG_MAX, 0}));
}

static void undoes(void) {
    SHOW(OP({0, 5, SEM_UNDO}, {1, -2, SEM_UNDO}, {2, 1, 0}));
    values("before its end");
}
static void undoes_too_much(void) {
    SHOW(OP({0, 5, SEM_UNDO}, {1, 32760, SEM_UNDO}));
    SHOW(OP({0, -2, 0}, {1, -32760, 0}));
    SHOW(OP({0, -3, 0}, {1, 10, SEM_UNDO}));
}
static void undoes_in_vain(void) {
    SHOW(OP({0, 5, SEM_UNDO}, {1, 5, SEM_UNDO}));
    SET(0, 100);
    SHOW(OP({1, 1, 0}));
}
static char stack[65536];
static int thread(void *flags) {
    SHOW(OP({3, 1, SEM_UNDO}));
    return 0;
}
static void shares(void) {
    int how;
    pid_t pid = MUST(clone(thread, stack + sizeof stack, CLONE_SYSVSEM | SIGCHLD, 0));
    MUST(waitpid(pid, &how, 0));
    values("shared");
    pid = MUST(clone(thread, stack + sizeof stack, SIGCHLD, 0));
    MUST(waitpid(pid, &how, 0));
    values("not shared");
    CHILD("not inherited", values("a child"));
    values("after it");
}

static void undoing(char *self) {
    MUST(semctl(id, 0, SETALL, (unsigned short[4]){1, 2, 3, 0}));
    pid_t one = child(undoes);
    end("undo", one);
    values("undone");
    YES(semctl(id, 0, GETPID) == one);
    YES(semctl(id, 2, GETPID) == one);
    MUST(semctl(id, 0, SETALL, (unsigned short[4]){0, 0, 0, 0}));
    end("undo below zero", child(undoes_too_much));
    values("not below zero");
    end("undo what was set", child(undoes_in_vain));
    values("set");
    end("sharing", child(shares));
    values("shared");
    MUST(semctl(id, 0, SETALL, (unsigned short[4]){1, 0, 0, 0}));
    pid_t pid = fork();
    if (!pid) {
        MUST(OP({0, -1, SEM_UNDO}));
        execl(self, self, "executed", (char *)0);
        _exit(1);
    }
    SHOW(OP({0, -1, 0}, {0, 1, 0}) * 0);
    end("executed", pid);
    values("after an exec");
    int other = id;
    id = MUST(semget(IPC_PRIVATE, 4, 0600));
    one = child(down);
    await(0, 1, 0);
    pid = fork();
    if (!pid) {
        MUST(OP({1, 1, SEM_UNDO}));
        MUST(semctl(id, 0, IPC_RMID));
        _exit(0);
    }
    end("removing", pid);
    end("removed", one);
    SHOW(OP({0, 1, 0}));
    SHOW(semctl(id, 0, IPC_RMID));
    id = other;
}

/* What another user may do; only root can try. */
static void strangers(void) {
    struct semid_ds ds;
    unsigned short four[4] = {0};
    key_t key = 0x5e630000 | getpid();
    int other = id;
    id = MUST(semget(key, 4, 0604 | IPC_CREAT));
    CHILD("stranger", if (geteuid()) _exit(0); MUST(setgroups(0, 0)); MUST(setgid(1234)); MUST(setuid(1234));
          SHOW(semget(key, 4, 0600)); YES(semget(key, 4, 0400) == id); SHOW(OP({0, 0, 0})); SHOW(OP({0, 1, 0}));
          SHOW(OP({9, 1, 0})); SHOW(semctl(id, 0, IPC_STAT, &ds)); SHOW(semctl(id, 0, IPC_SET, &ds)); SHOW(semctl(id, 0, IPC_RMID));
          SHOW(semctl(id, 0, GETVAL)); SHOW(semctl(id, 0, GETALL, four)); SHOW(semctl(id, 0, SETVAL, 1));
          SHOW(semctl(id, 9, SETVAL, 1)); SHOW(semctl(id, 0, SETALL, BAD_ADDRESS)));
    CHILD("of the group", if (geteuid()) _exit(0); MUST(setgroups(0, 0)); MUST(setuid(1234)); SHOW(OP({0, 0, 0}));
          SHOW(semctl(id, 0, IPC_STAT, &ds)); SHOW(semctl(id, 9, GETVAL)); SHOW(semctl(id, 0, GETALL, BAD_ADDRESS)));
    MUST(semctl(id, 0, IPC_RMID));
    id = other;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        pause_ms(20);
        return 0;
    }
    creation();
    control();
    waiting();
    undoing(argv[0]);
    strangers();
    SHOW(semctl(id, 0, IPC_RMID));
    SHOW(semctl(id, 0, GETVAL));
    return 0;
}
