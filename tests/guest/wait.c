/* fork, the wait family, exit statuses, stops. */
#include "t.h"

static void nothing(int signo) { (void)signo; }

static void show_info(const char *what, const siginfo_t *info, pid_t child) {
    printf("%s: signo %d code %d status %d pid %s uid %s\n", what, info->si_signo, info->si_code, info->si_status,
           info->si_pid == child ? "right" : info->si_pid ? "wrong" : "0", info->si_uid == getuid() ? "right" : "wrong");
}

static void exits(void) {
    CHILD("exit 0", _exit(0));
    CHILD("exit 255", _exit(255));
    CHILD("exit 256", _exit(256));
    CHILD("exit -1", _exit(-1));
    CHILD("abort", no_core(); abort());
    CHILD("kill -9", kill(getpid(), SIGKILL); pause());
    CHILD("term", raise(SIGTERM); _exit(1));
    CHILD("ignored term", signal(SIGTERM, SIG_IGN); raise(SIGTERM); _exit(7));
    SHOW(wait(NULL));
    SHOW(waitpid(-1, NULL, WNOHANG));
    SHOW(waitpid(getpid(), NULL, 0));
    SHOW(waitpid(-1, NULL, 0x40));
    SHOW(waitpid(1, NULL, 0));
}

static void stops(void) {
    int status;
    pid_t child = MUST(fork());
    if (child == 0) {
        setpgid(0, 0); /* a group of its own: its parent keeps it from being an orphaned one, where TSTP is nothing */
        raise(SIGSTOP);
        raise(SIGTSTP);
        _exit(5);
    }
    SHOW(waitpid(child, &status, WUNTRACED) == child);
    show_status("first", status);
    SHOW(waitpid(child, &status, WNOHANG | WUNTRACED));
    kill(child, SIGCONT);
    siginfo_t info;
    memset(&info, 0, sizeof info);
    SHOW(waitid(P_PID, child, &info, WCONTINUED));
    show_info("continued", &info, child);
    SHOW(waitid(P_PID, child, &info, WSTOPPED | WNOWAIT));
    show_info("second", &info, child);
    SHOW(waitpid(child, &status, WUNTRACED) == child);
    show_status("second again", status);
    kill(child, SIGCONT);
    SHOW(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
    show_info("exited", &info, child);
    SHOW(waitpid(child, &status, 0) == child);
    show_status("exited again", status);
    SHOW(waitid(P_PID, child, &info, WEXITED));
    SHOW(waitid(P_ALL, 0, &info, 0));
    SHOW(waitid(99, 0, &info, WEXITED));
}

static void by_group(void) {
    int status;
    pid_t first = MUST(fork());
    if (first == 0) { setpgid(0, 0); pause(); _exit(0); }
    setpgid(first, first);
    pid_t second = MUST(fork());
    if (second == 0) { setpgid(0, first); pause(); _exit(0); }
    setpgid(second, first);
    pid_t other = MUST(fork());
    if (other == 0) _exit(3);
    SHOW(waitpid(0, &status, 0) == other);
    show_status("own group", status);
    kill(-first, SIGUSR1);
    SHOW(waitpid(-first, &status, 0) > 0);
    show_status("group", status);
    SHOW(waitpid(-first, &status, 0) > 0);
    show_status("group", status);
    SHOW(waitpid(-first, &status, 0));
}

static void killed_info(void) {
    pid_t child = MUST(fork());
    if (child == 0) { pause(); _exit(0); }
    siginfo_t info;
    memset(&info, 0, sizeof info);
    SHOW(waitid(P_PID, child, &info, WEXITED | WNOHANG));
    show_info("not yet", &info, child);
    kill(child, SIGINT);
    SHOW(waitid(P_PID, child, &info, WEXITED));
    show_info("killed", &info, child);
}

static void orphan(void) {
    int p[2];
    char byte;
    MUST(pipe(p));
    pid_t me = getpid(), child = MUST(fork());
    if (child == 0) {
        pid_t parent = getpid();
        if (fork() == 0) {
            while (getppid() == parent) pause_ms(5);
            byte = getppid() != me && getppid() != parent;
            MUST(write(p[1], &byte, 1));
            _exit(0);
        }
        _exit(0);
    }
    waitpid(child, NULL, 0);
    close(p[1]);
    MUST(read(p[0], &byte, 1));
    printf("orphan has another parent: %d\n", byte);
    SHOW(read(p[0], &byte, 1));
}

static void ignoring(void) {
    signal(SIGCHLD, SIG_IGN);
    pid_t child = MUST(fork());
    if (child == 0) _exit(3);
    SHOW(waitpid(child, NULL, 0));
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_NOCLDWAIT};
    sigaction(SIGCHLD, &action, NULL);
    child = MUST(fork());
    if (child == 0) _exit(3);
    SHOW(wait(NULL));
    signal(SIGCHLD, SIG_DFL);
}

static void usage(void) {
    struct rusage used;
    int status;
    pid_t child = MUST(fork());
    if (child == 0) {
        volatile unsigned long n = 0;
        while (n < 3000000) n++;
        _exit(1);
    }
    SHOW(wait4(child, &status, 0, &used) == child);
    YES(used.ru_utime.tv_sec * 1000000 + used.ru_utime.tv_usec + used.ru_stime.tv_sec * 1000000 + used.ru_stime.tv_usec > 0);
    SHOW(getrusage(RUSAGE_CHILDREN, &used));
    YES(used.ru_maxrss >= 0);
    SHOW(getrusage(77, &used));
}

int main(void) {
    exits();
    stops();
    by_group();
    killed_info();
    orphan();
    ignoring();
    usage();
    return 0;
}
