/* Children that are stopped and continued, and what their parent is told. */
#include "calls.h"

static void handler(int signal) { (void)signal; }

/* Somebody else continues the child, so that its parent waits when it is told. */
static long continue_twice(long child) {
    long helper = sys(fork);
    if (helper != 0) return helper;
    pause_ms(150);
    sys(kill, child, SIGCONT);
    pause_ms(400);
    sys(kill, child, SIGCONT);
    pause_ms(400);
    sys(exit_group, 0);
}

int main(void) {
    siginfo_t info;
    int status;
    long child = sys(fork);
    if (child == 0) {
        sys(setpgid, 0, 0);
        action(SIGCONT, handler, 0, 0);
        pause_ms(50);
        sys(kill, own_pid(), SIGSTOP);
        pause_ms(200);
        sys(kill, own_pid(), SIGTSTP);
        pause_ms(200);
        sys(exit_group, 1);
    }
    long helper = continue_twice(child);
    sys(wait4, child, &status, WUNTRACED, NULL);
    sys(waitid, P_PID, child, &info, WCONTINUED, NULL);
    sys(waitid, P_PID, child, &info, WSTOPPED, NULL);
    sys(wait4, child, &status, WCONTINUED, NULL);
    sys(wait4, child, &status, 0, NULL);
    sys(wait4, helper, &status, 0, NULL);
    action(SIGCHLD, SIG_DFL, SA_NOCLDSTOP, 0);
    child = sys(fork);
    if (child == 0) {
        sys(setpgid, 0, 0);
        sys(tgkill, own_pid(), own_tid(), SIGSTOP);
        sys(exit_group, 2);
    }
    sys(wait4, -1, &status, WUNTRACED | WCONTINUED, NULL);
    sys(kill, -child, SIGCONT);
    sys(wait4, -child, &status, 0, NULL);
    action(SIGCHLD, SIG_IGN, 0, 0);
    if ((child = sys(fork)) == 0) sys(exit_group, 2);
    sys(wait4, child, &status, 0, NULL);
    return 0;
}
