/* execve and vfork: what passes, what is reset, every refusal. */
#include "t.h"

static char self[4096];

static void handler(int signo) { (void)signo; }

static int again(int argc, char **argv) {
    if (strcmp(argv[1], "show") == 0) {
        printf("argc %d last '%s'", argc, argv[argc - 1]);
        extern char **environ;
        for (char **e = environ; *e; e++) printf(" %s", *e);
        printf("\n");
        return 11;
    }
    if (strcmp(argv[1], "state") == 0) {
        struct sigaction action;
        for (int s = SIGUSR1; s <= SIGTERM; s++) {
            sigaction(s, NULL, &action);
            printf("signal %d %s\n", s, action.sa_handler == SIG_DFL ? "default" : action.sa_handler == SIG_IGN ? "ignored" : "handled");
        }
        sigset_t blocked, pending;
        sigprocmask(SIG_BLOCK, NULL, &blocked);
        sigpending(&pending);
        printf("blocked %d pending %d\n", sigismember(&blocked, SIGHUP), sigismember(&pending, SIGHUP));
        printf("kept %s closed %s\n", errno_text(fcntl(20, F_GETFD) < 0 ? errno : 0), errno_text(fcntl(21, F_GETFD) < 0 ? errno : 0));
        stack_t stack;
        sigaltstack(NULL, &stack);
        printf("altstack flags %d umask %o parent %d\n", stack.ss_flags, umask(0), getppid() == atoi(argv[2]));
        struct itimerval timer;
        getitimer(ITIMER_REAL, &timer);
        printf("timer runs %d\n", timer.it_value.tv_sec > 0);
        return 12;
    }
    return 13;
}

static void write_file(const char *name, const char *text, size_t length, int mode) {
    int fd = MUST(open(name, O_WRONLY | O_CREAT | O_TRUNC, mode));
    MUST(write(fd, text, length));
    close(fd);
}

#define FILE_OF(name, text, mode) write_file(name, text, sizeof text - 1, mode)

int main(int argc, char **argv) {
    if (argc > 1) return again(argc, argv);
    MUST(readlink("/proc/self/exe", self, sizeof self - 1));
    char *environment[] = {"A=1", "B=two words", NULL}, *none[] = {NULL};
    CHILD("exec", execve(self, (char *[]){"x", "show", "", "last word", NULL}, environment));
    CHILD("exec, empty environment", execve(self, (char *[]){"x", "show", NULL}, none));
    CHILD("exec, no environment", execve(self, (char *[]){"x", "show", NULL}, NULL));

    pid_t child;
    volatile int shared = 0;
    int status;
    child = vfork();
    if (child == 0) {
        shared = 5;
        _exit(6);
    }
    printf("vfork shares memory %d\n", shared);
    waitpid(child, &status, 0);
    show_status("vfork exit", status);
    child = vfork();
    if (child == 0) {
        execve(self, (char *[]){"x", "show", "vforked", NULL}, environment);
        _exit(99);
    }
    waitpid(child, &status, 0);
    show_status("vfork exec", status);

    char pid[20];
    snprintf(pid, sizeof pid, "%d", getpid());
    CHILD("state", {
        signal(SIGUSR1, handler);
        signal(SIGUSR2, SIG_IGN);
        sigset_t hup;
        sigemptyset(&hup);
        sigaddset(&hup, SIGHUP);
        sigprocmask(SIG_BLOCK, &hup, NULL);
        raise(SIGHUP);
        dup2(1, 20);
        dup2(1, 21);
        fcntl(21, F_SETFD, FD_CLOEXEC);
        static char alternate[65536];
        stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
        sigaltstack(&stack, NULL);
        umask(027);
        alarm(100);
        execve(self, (char *[]){"x", "state", pid, NULL}, environment);
    });

    FILE_OF("plain", "just text\n", 0755);
    FILE_OF("forbidden", "#!/bin/sh\n", 0644);
    FILE_OF("empty", "", 0755);
    FILE_OF("elfish", "\177ELF", 0755);
    FILE_OF("elfish2", "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\267\0\1\0\0\0", 0755);
    FILE_OF("nointerp", "#!/no/such/interpreter\n", 0755);
    FILE_OF("nointerp2", "#! \n", 0755);
    FILE_OF("loop1", "#!loop2\n", 0755);
    FILE_OF("loop2", "#!loop1\n", 0755);
    FILE_OF("badarg", "#!/bin/sh", 0755);
    MUST(mkdir("directory", 0755));
    SHOW(execve("missing", argv, none));
    SHOW(execve("plain", argv, none));
    SHOW(execve("forbidden", argv, none));
    SHOW(execve("empty", argv, none));
    SHOW(execve("elfish", argv, none));
    SHOW(execve("elfish2", argv, none));
    SHOW(execve("nointerp", argv, none));
    SHOW(execve("nointerp2", argv, none));
    SHOW(execve("loop1", argv, none));
    SHOW(execve("directory", argv, none));
    SHOW(execve("plain/x", argv, none));
    SHOW(execve("", argv, none));
    SHOW(execve("/dev/null", argv, none));
    SHOW(syscall(SYS_execve, 8, argv, none));
    SHOW(syscall(SYS_execve, self, 8, none));
    SHOW(syscall(SYS_execve, self, (char *[]){(char *)8, NULL}, none));
    SHOW(syscall(SYS_execve, self, argv, (char *[]){(char *)8, NULL}));
    static char huge[140000];
    memset(huge, 'h', sizeof huge - 1);
    SHOW(execve(self, (char *[]){"x", huge, NULL}, none));
    static char *many[3000];
    huge[5000] = 0;
    for (int i = 0; i < 2999; i++) many[i] = huge;
    SHOW(execve(self, many, none));

    char script[5000];
    int n = snprintf(script, sizeof script, "#!%s show\nanything\n", self);
    if (n < 200) write_file("script", script, (size_t)n, 0755);
    CHILD("script", execve("script", (char *[]){"ignored", "one", "two", NULL}, none));
    n = snprintf(script, sizeof script, "#! \t%s  show  me \t\n", self);
    if (n < 200) write_file("script2", script, (size_t)n, 0755);
    CHILD("script, spaces", execve("./script2", (char *[]){"ignored", "last", NULL}, none));
    n = snprintf(script, sizeof script, "#!./script\n");
    write_file("script3", script, (size_t)n, 0755);
    CHILD("script of a script", execve("script3", (char *[]){"ignored", "end", NULL}, none));
    int fd = MUST(open(self, O_RDONLY));
    CHILD("by descriptor", syscall(SYS_execveat, fd, "", (char *[]){"x", "show", "fd", NULL}, none, AT_EMPTY_PATH));
    SHOW(open(self, O_WRONLY));
    return 0;
}
