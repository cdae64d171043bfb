/* Process groups and sessions. */
#include "t.h"

int main(void) {
    YES(getpgrp() == getpgid(0));
    YES(getsid(0) == getsid(getpid()));
    SHOW(getpgid(0x3fffffff));
    SHOW(getsid(0x3fffffff));
    SHOW(setpgid(0, -1));
    SHOW(setpgid(0x3fffffff, 0));
    CHILD("own group", {
        SHOW(setpgid(0, 0));
        YES(getpgrp() == getpid());
        SHOW(setpgid(0, 0));
        SHOW(setsid());
    });
    CHILD("own session", {
        YES(setsid() == getpid());
        YES(getsid(0) == getpid() && getpgrp() == getpid());
        SHOW(setsid());
        SHOW(setpgid(0, 0));
        SHOW(open("/dev/tty", O_RDWR));
        if (fork() == 0) {
            YES(getsid(0) == getppid());
            YES(getpgrp() == getppid());
            SHOW(setpgid(0, 0));
            YES(getpgrp() == getpid());
            _exit(0);
        }
        wait(NULL);
    });
    int go[2], ready[2];
    char c;
    MUST(pipe(go));
    MUST(pipe(ready));
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(write(ready[1], "r", 1));
        MUST(read(go[0], &c, 1));
        _exit(0);
    }
    MUST(read(ready[0], &c, 1));
    SHOW(setpgid(child, child));
    YES(getpgid(child) == child);
    SHOW(setpgid(child, 0x3fffffff));
    SHOW(kill(-child, 0));
    MUST(write(go[1], "g", 1));
    waitpid(child, NULL, 0);
    SHOW(kill(-child, 0));
    SHOW(getpgid(child));
    /* Signals to a group reach all of it and nobody else. */
    MUST(pipe(ready));
    pid_t leader = 0;
    for (int i = 0; i < 3; i++) {
        pid_t one = MUST(fork());
        if (one == 0) {
            setpgid(0, leader);
            MUST(write(ready[1], "r", 1));
            pause();
            _exit(0);
        }
        setpgid(one, leader);
        if (!leader) leader = one;
    }
    for (int i = 0; i < 3; i++) MUST(read(ready[0], &c, 1));
    SHOW(killpg(leader, SIGTERM));
    int status, terminated = 0;
    while (waitpid(-leader, &status, 0) > 0) terminated += WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
    printf("terminated %d\n", terminated);
    SHOW(killpg(leader, SIGTERM));
    /* The end of a session leader's child group: stopped orphans get HUP and CONT. */
    MUST(pipe(ready));
    if (fork() == 0) {
        setpgid(0, 0);
        pid_t stopped = fork();
        if (stopped == 0) {
            close(ready[0]);
            raise(SIGSTOP);
            _exit(0);
        }
        waitpid(stopped, &status, WUNTRACED);
        _exit(0);
    }
    close(ready[1]);
    wait(NULL);
    SHOW(read(ready[0], &c, 1));
    return 0;
}
