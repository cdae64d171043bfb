/* System V message queues: types, sizes, waiting at both ends. */
#include "t.h"
#include <grp.h>
#include <limits.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#define BAD_ADDRESS ((void *)8)
#define COPY 040000
#define EXCEPT 020000

static struct message {
    long type;
    char text[9000];
} out, in;
static int id;
static volatile int caught;

static void catch(int number) { caught = number; }

static struct msqid_ds status(void) {
    struct msqid_ds ds;
    memset(&ds, 0, sizeof ds);
    MUST(msgctl(id, IPC_STAT, &ds));
    return ds;
}

static const char *who(pid_t pid) { return !pid ? "none" : pid == getpid() ? "mine" : "another"; }

static void show(const char *when) {
    struct msqid_ds ds = status();
    printf("%s: mode %o, %lu messages, %lu bytes of %lu, stime %d, rtime %d, ctime %d, lspid %s, lrpid %s\n", when,
           ds.msg_perm.mode, (unsigned long)ds.msg_qnum, (unsigned long)ds.__msg_cbytes, (unsigned long)ds.msg_qbytes,
           ds.msg_stime != 0, ds.msg_rtime != 0, ds.msg_ctime != 0, who(ds.msg_lspid), who(ds.msg_lrpid));
}

static int put(long type, const char *text, int flags) {
    out.type = type;
    strcpy(out.text, text);
    return msgsnd(id, &out, strlen(text), flags);
}

static void get(size_t size, long type, int flags) {
    memset(&in, 0, sizeof in);
    errno = 0;
    long got = msgrcv(id, &in, size, type, flags);
    printf("%zu %ld %o: %ld %s %ld %s\n", size, type, flags, got, got < 0 ? errno_text(errno) : "", in.type, in.text);
}

static void fill(void) {
    put(3, "three", 0);
    put(1, "one", 0);
    put(5, "five", 0);
    put(1, "another one", 0);
    put(3, "another three", 0);
}

static void drain(void) {
    while (msgrcv(id, &in, 9000, 0, IPC_NOWAIT) >= 0) {}
}

/* Until a child sleeps, or has ended. */
static void sleeps(pid_t pid) {
    char name[40], line[400], *state = line;
    snprintf(name, sizeof name, "/proc/%d/stat", pid);
    do {
        pause_ms(1);
        FILE *file = fopen(name, "r");
        state = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : 0;
        if (file) fclose(file);
    } while (state && state[2] != 'S' && state[2] != 'Z');
}

static pid_t child(void (*run)(void)) {
    pid_t pid = MUST(fork());
    if (!pid) {
        run();
        _exit(99);
    }
    sleeps(pid);
    return pid;
}

static void end(const char *what, pid_t pid) {
    int how = 0;
    MUST(waitpid(pid, &how, 0));
    show_status(what, how);
}

static void creation(void) {
    key_t key = 0x5e640000 | getpid();
    SHOW(msgget(key, 0600));
    id = MUST(msgget(key, 0640 | IPC_CREAT | IPC_EXCL));
    SHOW(msgget(key, 0600 | IPC_CREAT | IPC_EXCL));
    YES(msgget(key, 0600) == id);
    show("new");
    SHOW(msgsnd(id, BAD_ADDRESS, -1, 0));
    SHOW(put(0, "x", 0));
    SHOW(put(-1, "x", 0));
    out.type = 1;
    SHOW(msgsnd(id, &out, -1, 0));
    SHOW(msgsnd(id, &out, 8193, 0));
    SHOW(msgsnd(-1, &out, 1, 0));
    SHOW(msgsnd(id + 32768, &out, 1, 0));
    SHOW(msgsnd(id, &out, 0, 0));
    SHOW(msgsnd(id, &out, 8192, 0));
    show("two");
    SHOW(msgsnd(id, &out, 8192, 0));
    SHOW(msgsnd(id, &out, 1, IPC_NOWAIT));
    SHOW(msgsnd(id, &out, 0, IPC_NOWAIT));
    show("full");
    SHOW(msgrcv(id, BAD_ADDRESS, -1, 0, 0));
    SHOW(msgrcv(-1, &in, 0, 0, 0));
    SHOW(msgrcv(id + 32768, &in, 0, 0, IPC_NOWAIT));
    get(10, 2, IPC_NOWAIT);
    get(0, 0, 0);
    get(10, 0, 0);
    get(10, 0, MSG_NOERROR);
    SHOW(msgrcv(id, BAD_ADDRESS, 8192, 0, 0));
    show("lost");
    drain();
    show("empty");
}

static void types(void) {
    long wanted[] = {0, 1, 2, 3, 5, -1, -2, -4, -9, LONG_MIN, LONG_MAX};
    for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        fill();
        get(100, wanted[i], IPC_NOWAIT);
        get(100, wanted[i], IPC_NOWAIT);
        get(100, wanted[i], IPC_NOWAIT | EXCEPT);
        drain();
    }
    fill();
    get(100, 0, IPC_NOWAIT | COPY);
    get(100, 4, IPC_NOWAIT | COPY);
    get(100, 5, IPC_NOWAIT | COPY);
    get(100, -1, IPC_NOWAIT | COPY);
    get(100, 0, COPY);
    get(100, 0, IPC_NOWAIT | COPY | EXCEPT);
    get(4, 0, IPC_NOWAIT | COPY);
    get(4, 0, IPC_NOWAIT | COPY | MSG_NOERROR);
    get(5, 0, IPC_NOWAIT | COPY | MSG_NOERROR);
    get(2, 1, IPC_NOWAIT | MSG_NOERROR);
    SHOW(msgrcv(id, BAD_ADDRESS, 5, 0, IPC_NOWAIT | COPY));
    show("copied");
    drain();
}

static void control(void) {
    struct msqid_ds ds = status();
    struct msginfo info;
    SHOW(msgctl(id, 99, &ds));
    SHOW(msgctl(id, -1, &ds));
    SHOW(msgctl(id, 0x100 | IPC_STAT, &ds));
    SHOW(msgctl(-1, IPC_INFO, (void *)&info));
    SHOW(msgctl(id, IPC_STAT, BAD_ADDRESS));
    SHOW(msgctl(id, IPC_SET, BAD_ADDRESS));
    SHOW(msgctl(0, IPC_INFO, BAD_ADDRESS));
    SHOW(msgctl(0, MSG_INFO, BAD_ADDRESS));
    YES(msgctl(0, IPC_INFO, (void *)&info) >= id % 32768);
    printf("%d %d %d %d %d %d %d %d\n", info.msgpool, info.msgmap, info.msgmax, info.msgmnb, info.msgmni, info.msgssz,
           info.msgtql, info.msgseg);
    fill();
    YES(msgctl(0, MSG_INFO, (void *)&info) >= id % 32768);
    printf("%d %d %d %d %d %d %d %d\n", info.msgpool >= 1, info.msgmap >= 5, info.msgmax, info.msgmnb, info.msgmni,
           info.msgssz, info.msgtql >= 36, info.msgseg);
    drain();
    YES(msgctl(id % 32768, MSG_STAT, &ds) == id);
    YES(msgctl(id, MSG_STAT_ANY, &ds) == id);
    SHOW(msgctl(31000, MSG_STAT, &ds));
    ds.msg_qbytes = 10;
    ds.msg_perm.mode = 0123777;
    SHOW(msgctl(id, IPC_SET, &ds));
    SHOW(put(1, "12345678901", IPC_NOWAIT));
    for (int i = 0; i < 10; i++) MUST(put(1, "", IPC_NOWAIT));
    SHOW(put(1, "", IPC_NOWAIT));
    show("small");
    drain();
    ds.msg_perm.uid = -1;
    SHOW(msgctl(id, IPC_SET, &ds));
    CHILD("a user", if (geteuid()) _exit(0); MUST(setgroups(0, 0)); ds.msg_perm.uid = 1234; MUST(msgctl(id, IPC_SET, &ds));
          MUST(setgid(1234)); MUST(setuid(1234)); ds.msg_qbytes = 16385; SHOW(msgctl(id, IPC_SET, &ds));
          ds.msg_qbytes = 16384; SHOW(msgctl(id, IPC_SET, &ds)); ds.msg_perm.mode = 0; SHOW(msgctl(id, IPC_SET, &ds));
          SHOW(put(1, "x", 0)); get(1, 0, 0); SHOW(msgctl(id, IPC_STAT, &ds)); YES(msgctl(id, MSG_STAT_ANY, &ds) == id);
          SHOW(msgget(ds.msg_perm.__key, 0600)); YES(msgget(ds.msg_perm.__key, 0) == id));
    ds.msg_perm.uid = geteuid();
    ds.msg_perm.mode = 0600;
    ds.msg_qbytes = 100;
    SHOW(msgctl(id, IPC_SET, &ds));
    CHILD("a stranger", if (geteuid()) _exit(0); MUST(setgroups(0, 0)); MUST(setgid(1234)); MUST(setuid(1234));
          SHOW(msgctl(id, IPC_SET, &ds)); SHOW(msgctl(id, IPC_RMID, 0)); SHOW(put(1, "x", 0)); get(1, 0, 0));
}

static void receive_two(void) { _exit(msgrcv(id, &in, 10, 2, 0) < 0 ? errno : in.text[0]); }
static void receive_low(void) { _exit(msgrcv(id, &in, 10, -3, 0) < 0 ? errno : in.text[0]); }
static void receive_any(void) { _exit(msgrcv(id, &in, 10, 0, 0) < 0 ? errno : in.text[0]); }
static void receive_short(void) { _exit(msgrcv(id, &in, 1, 0, 0) < 0 ? errno : in.text[0]); }
static void receive_part(void) { _exit(msgrcv(id, &in, 1, 0, MSG_NOERROR) < 0 ? errno : in.text[0] + in.text[1]); }
static void receive_others(void) { _exit(msgrcv(id, &in, 10, 2, EXCEPT) < 0 ? errno : in.text[0]); }
static void send_ten(void) { _exit(put(1, "1234567890", 0) ? errno : 0); }
static void send_one(void) { _exit(put(1, "1", 0) ? errno : 0); }
static void handled(void) {
    struct sigaction action = {.sa_handler = catch, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, 0);
    int error = msgrcv(id, &in, 10, 0, 0) < 0 ? errno : 0;
    _exit(caught == SIGUSR1 ? error : 99);
}
static void handled_send(void) {
    struct sigaction action = {.sa_handler = catch, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, 0);
    int error = put(1, "1", 0) ? errno : 0;
    _exit(caught == SIGUSR1 ? error : 99);
}

static void waiting(void) {
    struct msqid_ds ds;
    pid_t one = child(receive_two), two = child(receive_low);
    MUST(put(4, "4", 0));
    MUST(put(3, "3", 0));
    end("low", two);
    YES(status().msg_lrpid == two);
    MUST(put(2, "2", 0));
    end("two", one);
    drain();
    one = child(receive_short);
    two = child(receive_any);
    MUST(put(1, "xyz", 0));
    end("short", one);
    end("any", two);
    show("handed over");
    one = child(receive_part);
    MUST(put(1, "xyz", 0));
    end("part", one);
    one = child(receive_others);
    MUST(put(2, "2", 0));
    MUST(put(3, "3", 0));
    end("others", one);
    drain();
    for (int i = 0; i < 10; i++) MUST(put(1, "1234567890", 0));
    one = child(send_ten);
    get(10, 0, 0);
    end("ten", one);
    two = child(send_one);
    get(10, 0, 0);
    end("one", two);
    show("sent");
    YES(status().msg_lspid == two);
    drain();
    one = child(handled);
    kill(one, SIGUSR1);
    end("interrupted", one);
    one = child(receive_any);
    kill(one, SIGSTOP);
    MUST(waitpid(one, 0, WUNTRACED));
    kill(one, SIGCONT);
    sleeps(one);
    MUST(put(1, "9", 0));
    end("continued", one);
    for (int i = 0; i < 10; i++) MUST(put(1, "1234567890", 0));
    one = child(handled_send);
    kill(one, SIGUSR1);
    end("interrupted", one);
    one = child(send_one);
    ds = status();
    ds.msg_qbytes = 101;
    MUST(msgctl(id, IPC_SET, &ds));
    end("larger", one);
    one = child(send_one);
    drain();
    end("drained", one);
    drain();
    one = child(receive_any);
    two = child(send_one);
    end("a pair", one);
    end("a pair", two);
    for (int i = 0; i < 10; i++) MUST(put(1, "1234567890", 0));
    one = child(send_ten);
    two = child(receive_two);
    MUST(msgctl(id, IPC_RMID, 0));
    end("removed, sending", one);
    end("removed, receiving", two);
    SHOW(msgctl(id, IPC_RMID, 0));
    SHOW(msgctl(id, IPC_STAT, &ds));
}

int main(void) {
    creation();
    types();
    control();
    waiting();
    return 0;
}
