/* Signals of files: who gets them, and what they carry. */
#include "calls.h"
#include <poll.h>

static void on_signal(int signal) {}

int main(void) {
    int ends[2];
    sys(pipe2, ends, 0);
    for (int signal = 1; signal < 65; signal++)
        if (signal != SIGKILL && signal != SIGSTOP && signal != 32 && signal != 33) action(signal, on_signal, 0, 0);
    sys(fcntl, ends[0], F_SETOWN, own_pid());
    sys(fcntl, ends[0], F_SETFL, O_ASYNC);
    sys(fcntl, ends[0], F_GETFL);
    sys(write, ends[1], "a", 1);
    static const int signals[] = {SIGIO, SIGUSR1, SIGSEGV, SIGCHLD, SIGSYS, SIGTRAP, SIGFPE, SIGURG, 40, 64, SIGCONT};
    for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        sys(fcntl, ends[0], F_SETSIG, signals[i]);
        sys(fcntl, ends[0], F_GETSIG);
        sys(write, ends[1], "b", 1);
    }
    sys(dup2, ends[0], 17);
    sys(write, ends[1], "c", 1);
    CHILD({
        int group[2] = {2, own_pid()};
        sys(setpgid, 0, 0);
        sys(fcntl, 17, F_SETOWN_EX, group);
        sys(write, ends[1], "d", 1);
    });
    int thread[2] = {0, own_pid()};
    sys(fcntl, 17, F_SETOWN_EX, thread);
    sys(write, ends[1], "d", 1);
    sys(fcntl, 17, F_SETSIG, 0);
    sys(write, ends[1], "e", 1);
    sys(fcntl, 17, F_SETFL, 0);
    sys(write, ends[1], "f", 1);

    sys(fcntl, ends[1], F_SETOWN, own_pid());
    sys(fcntl, ends[1], F_SETSIG, 50);
    static char buffer[4096];
    sys(read, ends[0], buffer, 4096);
    sys(fcntl, ends[1], F_SETPIPE_SZ, 4096);
    sys(write, ends[1], buffer, 4096);
    sys(fcntl, ends[1], F_SETFL, O_ASYNC);
    sys(read, ends[0], buffer, 4096);
    uint64_t blocked = BIT(40) | BIT(SIGIO);
    sys(rt_sigprocmask, SIG_BLOCK, &blocked, NULL, 8);
    sys(fcntl, ends[0], F_SETSIG, 40);
    sys(fcntl, ends[0], F_SETFL, O_ASYNC);
    sys(write, ends[1], "g", 1);
    sys(write, ends[1], "h", 1);
    siginfo_t info;
    struct timespec none = {0, 0};
    for (int i = 0; i < 3; i++) sys(rt_sigtimedwait, &blocked, &info, &none, 8);
    sys(close, ends[1]);
    sys(rt_sigtimedwait, &blocked, &info, &none, 8);
    return 0;
}
