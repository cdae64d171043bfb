/* The rest: identity, names, random numbers, per-thread settings. */
#include "t.h"
#include <grp.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

int main(void) {
    struct utsname u;
    SHOW(uname(&u));
    printf("%s %s\n", u.sysname, u.machine);
    YES(u.release[0] >= '3');
    struct sysinfo info;
    SHOW(sysinfo(&info));
    YES(info.totalram > 0 && info.freeram <= info.totalram && info.procs > 0 && info.mem_unit > 0);
    unsigned char a[300] = {0}, b[300] = {0};
    SHOW(syscall(SYS_getrandom, a, sizeof a, 0));
    SHOW(syscall(SYS_getrandom, b, sizeof b, 1));
    SHOW(syscall(SYS_getrandom, b, sizeof b, 16));
    SHOW(syscall(SYS_getrandom, b, 0, 0));
    YES(memcmp(a, b, sizeof a) != 0);
    YES(getpid() == syscall(SYS_gettid));
    SHOW(syscall(SYS_sched_yield));
    char name[17] = "";
    SHOW(prctl(PR_SET_NAME, "a rather long name", 0, 0, 0));
    SHOW(prctl(PR_GET_NAME, name, 0, 0, 0));
    printf("name %s\n", name);
    CHILD("name is inherited", char n[17]; prctl(PR_GET_NAME, n, 0, 0, 0); _exit(strcmp(n, name) ? 1 : 0));
    SHOW(prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0));
    int number = 0;
    SHOW(prctl(PR_GET_PDEATHSIG, &number, 0, 0, 0));
    printf("death signal %d\n", number);
    SHOW(prctl(PR_SET_PDEATHSIG, 100, 0, 0, 0));
    SHOW(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    SHOW(prctl(PR_SET_DUMPABLE, 7, 0, 0, 0));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    SHOW(prctl(12345, 0, 0, 0, 0));
    unsigned long base = 0;
    SHOW(syscall(SYS_arch_prctl, 0x1003, &base));
    YES(base != 0);
    SHOW(syscall(SYS_arch_prctl, 0x9999, &base));
    SHOW(syscall(SYS_set_tid_address, &number) == getpid());
    unsigned r = 0, e = 0, s = 0;
    SHOW(getresuid(&r, &e, &s));
    YES(r == getuid() && e == geteuid());
    SHOW(getresgid(&r, &e, &s));
    YES(r == getgid() && e == getegid());
    SHOW(syscall(SYS_getgroups, -1, NULL));
    SHOW(setuid(getuid()));
    SHOW(setgid(getgid()));
    SHOW(syscall(9999));
    SHOW(syscall(-1));
    SHOW(syscall(SYS_getcpu, &r, &e, NULL));
    unsigned long affinity[16] = {0};
    YES(syscall(SYS_sched_getaffinity, 0, sizeof affinity, affinity) > 0 && affinity[0]);
    if (getuid() == 0) {
        CHILD("give up root", {
            SHOW(setgroups(0, NULL));
            SHOW(setresgid(1000, 1000, 1000));
            SHOW(setresuid(1000, 1000, 1000));
            SHOW(setuid(0));
            SHOW(seteuid(0));
            SHOW(getuid());
            SHOW(setresuid(-1, 1000, -1));
            SHOW(open("/etc/shadow", O_RDONLY));
            SHOW(chown("/", 0, 0));
            SHOW(kill(1, SIGTERM));
            SHOW(sethostname("x", 1));
            SHOW(setpriority(PRIO_PROCESS, 0, -5));
        });
        CHILD("effective only", {
            SHOW(setresuid(0, 1000, 0));
            SHOW(geteuid());
            SHOW(getuid());
            SHOW(seteuid(0));
            SHOW(geteuid());
        });
    }
    return 0;
}
