/* Making processes, and how they end. */
#include "calls.h"
#include <linux/sched.h>

static char stack[65536] __attribute__((aligned(16)));

int main(void) {
    struct rusage usage;
    siginfo_t info;
    int status;
    long child;
    CHILD();
    CHILD(sys(exit_group, 7));
    CHILD(sys(exit, 256 + 5));
    CHILD(sys(exit_group, -1));
    CHILD(sys(kill, own_pid(), SIGKILL));
    CHILD(sys(kill, own_pid(), SIGTERM));
    CHILD(sys(kill, own_pid(), 40));
    if ((child = sys(fork)) == 0) sys(exit_group, 3);
    sys(wait4, child, &status, 0, &usage);
    if ((child = sys(fork)) == 0) sys(exit_group, 3);
    sys(wait4, -1, NULL, 0, NULL);
    if ((child = sys(fork)) == 0) sys(exit_group, 3);
    sys(wait4, 0, &status, __WALL, NULL);
    sys(wait4, -1, &status, 0, NULL);
    sys(wait4, -1, &status, WNOHANG, NULL);
    sys(wait4, 999999, &status, WUNTRACED | WCONTINUED, NULL);
    sys(wait4, -999999, NULL, WNOHANG | __WNOTHREAD | __WCLONE, NULL);
    sys(wait4, -1, &status, 0x100, NULL);
    if ((child = sys(fork)) == 0) sys(exit_group, 4);
    sys(waitid, P_PID, child, &info, WEXITED | WNOWAIT, NULL);
    sys(waitid, P_PID, child, &info, WEXITED, &usage);
    if ((child = sys(fork)) == 0) sys(kill, own_pid(), SIGTERM);
    sys(waitid, P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED, NULL);
    if ((child = sys(fork)) == 0) sys(exit_group, 5);
    sys(waitid, P_PGID, 0, NULL, WEXITED, NULL);
    if ((child = sys(fork)) == 0) pause_ms(10000);
    pause_ms(50);
    sys(waitid, P_PID, child, &info, WEXITED | WNOHANG, NULL);
    sys(wait4, child, &status, WNOHANG, &usage);
    sys(kill, child, SIGKILL);
    sys(wait4, child, &status, 0, NULL);
    sys(waitid, P_ALL, 0, &info, WEXITED, NULL);
    sys(waitid, P_PIDFD, 99, &info, WEXITED, NULL);
    sys(waitid, 9, 0, &info, WEXITED, NULL);
    sys(waitid, P_ALL, 0, NULL, 0, NULL);
    sys(waitid, P_ALL, 0, NULL, WEXITED | 0x100, NULL);

    if ((child = sys(vfork)) == 0) sys(exit_group, 6);
    sys(wait4, child, &status, 0, NULL);
    if ((child = sys(clone, SIGCHLD, NULL, NULL, NULL, 0)) == 0) sys(exit_group, 1);
    sys(wait4, child, &status, 0, NULL);
    static int parent_tid, child_tid;
    child = sys(clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, &parent_tid, &child_tid, 0);
    if (child == 0) sys(exit_group, 1);
    sys(wait4, child, &status, 0, NULL);
    action(SIGUSR1, SIG_IGN, 0, 0);
    if ((child = sys(clone, CLONE_FS | CLONE_FILES | SIGUSR1, NULL, NULL, NULL, 0)) == 0) {
        pause_ms(50);
        sys(exit_group, 1);
    }
    sys(wait4, child, &status, __WALL, NULL);
    if ((child = sys(clone, 0, NULL, NULL, NULL, 0)) == 0) sys(exit_group, 1);
    sys(wait4, child, &status, __WCLONE, NULL);
    if ((child = sys(clone, CLONE_VM | CLONE_VFORK | SIGCHLD, stack + 60000, NULL, NULL, 0)) == 0) sys(exit_group, 2);
    sys(wait4, child, &status, 0, NULL);
    sys(clone, CLONE_SIGHAND, NULL, NULL, NULL, 0);
    sys(clone, CLONE_THREAD | CLONE_SIGHAND | 99, NULL, NULL, NULL, 0);
    sys(clone, CLONE_NEWNS | CLONE_FS, NULL, NULL, NULL, 0);
    sys(clone, CLONE_SETTLS | CLONE_SIGHAND | CLONE_PARENT | CLONE_IO | CLONE_SYSVSEM | CLONE_UNTRACED, BAD, BAD, BAD, 0x1234);

    struct clone_args args = {.exit_signal = SIGCHLD};
    if ((child = sys(clone3, &args, sizeof args)) == 0) sys(exit_group, 8);
    sys(wait4, child, &status, 0, NULL);
    args = (struct clone_args){.flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, .parent_tid = (long)&parent_tid, .child_tid = (long)&child_tid, .exit_signal = SIGCHLD};
    if ((child = sys(clone3, &args, 64)) == 0) sys(exit_group, 8);
    sys(wait4, child, &status, 0, NULL);
    args = (struct clone_args){.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD, .stack = (long)stack, .stack_size = sizeof stack - 16};
    if ((child = sys(clone3, &args, sizeof args)) == 0) sys(exit_group, 9);
    sys(wait4, child, &status, 0, NULL);
    args = (struct clone_args){.flags = CLONE_SIGHAND, .exit_signal = 99, .stack = 1, .tls = 7};
    sys(clone3, &args, sizeof args);
    args = (struct clone_args){.flags = 0x8000000000000000};
    sys(clone3, &args, sizeof args);
    sys(clone3, &args, 8);
    sys(clone3, NULL, 64);
    sys(clone3, BAD, 88);

    sys(set_tid_address, &child_tid);
    sys(set_robust_list, NULL, 24);
    sys(set_robust_list, &child_tid, 3);
    void *head;
    size_t length;
    sys(get_robust_list, 0, &head, &length);
    sys(get_robust_list, 999999, &head, &length);
    sys(get_robust_list, 0, NULL, BAD);
    sys(getpid);
    sys(gettid);
    sys(getppid);
    sys(exit, 42);
}
