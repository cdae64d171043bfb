/* Limits, priorities, scheduling, usage. */
#include "calls.h"
#define sched_param kernel_sched_param
#include <linux/sched/types.h>
#undef sched_param
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>

int main(void) {
    struct rlimit limit;
    struct rusage usage;
    struct sched_param param = {0};
    struct timespec slice;
    unsigned long cpus[16] = {1};
    unsigned cpu;
    for (int resource = 0; resource < 16; resource++) limit = (struct rlimit){100, 200}, sys(setrlimit, 99 + resource, &limit);
    limit = (struct rlimit){0, 0};
    sys(setrlimit, RLIMIT_CORE, &limit);
    sys(getrlimit, RLIMIT_CORE, &limit);
    limit = (struct rlimit){1 << 20, 1 << 21};
    sys(setrlimit, RLIMIT_FSIZE, &limit);
    sys(getrlimit, RLIMIT_FSIZE, &limit);
    limit = (struct rlimit){1000, RLIM_INFINITY};
    sys(prlimit64, 0, RLIMIT_CPU, NULL, &limit);
    CHILD(sys(setresuid, 1000, 1000, 1000); sys(prlimit64, 0, RLIMIT_FSIZE, &limit, NULL));
    limit = (struct rlimit){1000, 1500};
    sys(prlimit64, 0, RLIMIT_FSIZE, &limit, &limit);
    sys(prlimit64, 999999, RLIMIT_CPU, NULL, NULL);
    limit = (struct rlimit){5, 4};
    sys(setrlimit, RLIMIT_NOFILE, &limit);
    sys(getrlimit, 99, &limit);
    sys(getrlimit, RLIMIT_NICE, NULL);
    sys(setrlimit, RLIMIT_NICE, BAD);
    sys(getrusage, RUSAGE_SELF, &usage);
    sys(getrusage, RUSAGE_CHILDREN, &usage);
    sys(getrusage, RUSAGE_THREAD, &usage);
    sys(getrusage, 99, &usage);
    sys(getrusage, RUSAGE_SELF, NULL);
    sys(getpriority, PRIO_PROCESS, 0);
    sys(getpriority, PRIO_PGRP, 0);
    sys(getpriority, PRIO_USER, 999999);
    sys(getpriority, 9, 0);
    sys(setpriority, PRIO_PROCESS, 0, 5);
    sys(getpriority, PRIO_PROCESS, own_pid());
    sys(setpriority, PRIO_PROCESS, 999999, -5);
    sys(setpriority, 9, 0, 0);
    sys(ioprio_get, 1, 0);
    sys(ioprio_set, 1, 0, 2 << 13 | 4);
    sys(ioprio_get, 1, 0);
    sys(ioprio_set, 1, 0, 3 << 13 | 7);
    sys(ioprio_set, 2, 999999, 0);
    sys(ioprio_set, 9, 0, 9 << 13);
    sys(sched_getscheduler, 0);
    sys(sched_getparam, 0, &param);
    sys(sched_setparam, 0, &param);
    sys(sched_setscheduler, 0, SCHED_BATCH, &param);
    sys(sched_getscheduler, 0);
    sys(sched_setscheduler, 0, SCHED_OTHER | 0x40000000, &param);
    sys(sched_getscheduler, 0);
    sys(sched_setscheduler, 0, 99, &param);
    param.sched_priority = 5;
    sys(sched_setscheduler, 0, SCHED_OTHER, &param);
    sys(sched_setscheduler, 999999, SCHED_FIFO, &param);
    sys(sched_setscheduler, 0, SCHED_IDLE, NULL);
    sys(sched_setparam, 0, BAD);
    sys(sched_get_priority_max, SCHED_RR);
    sys(sched_get_priority_min, SCHED_FIFO);
    sys(sched_get_priority_max, 99);
    sys(sched_rr_get_interval, 999999, &slice);
    sys(sched_rr_get_interval, 0, NULL);
    struct sched_attr attr;
    memset(&attr, 0, sizeof attr);
    sys(sched_getattr, 0, &attr, sizeof attr, 0);
    sys(sched_getattr, 0, &attr, 48, 1);
    sys(sched_getattr, 0, &attr, 8, 0);
    attr = (struct sched_attr){.size = 48, .sched_policy = SCHED_BATCH, .sched_nice = 6};
    sys(sched_setattr, 0, &attr, 0);
    attr = (struct sched_attr){.size = 48, .sched_policy = SCHED_DEADLINE, .sched_flags = 1 | 2 | 4, .sched_runtime = 1, .sched_deadline = 2, .sched_period = 3};
    sys(sched_setattr, 999999, &attr, 0);
    attr = (struct sched_attr){.size = 56, .sched_policy = 99, .sched_flags = 0x78 | 0x1000, .sched_util_min = 1, .sched_util_max = 2};
    sys(sched_setattr, 0, &attr, 7);
    sys(sched_setattr, 0, NULL, 0);
    sys(sched_setaffinity, 0, 8, cpus);
    sys(sched_setaffinity, 0, 8, BAD);
    sys(sched_setaffinity, 0, 0, cpus);
    sys(sched_getaffinity, 0, 4, cpus);
    sys(sched_getaffinity, 999999, 8, cpus);
    sys(sched_getaffinity, 0, 8, NULL);
    sys(sched_yield);
    sys(getcpu, &cpu, NULL, NULL);
    sys(getcpu, NULL, NULL, NULL);
    sys(getcpu, BAD, NULL, NULL);
    struct tms times;
    sys(times, &times);
    sys(times, NULL);
    struct sysinfo system;
    sys(sysinfo, &system);
    sys(sysinfo, BAD);
    sys(uname, BAD);
    sys(uname, NULL);
    sys(sethostname, BAD, 5);
    sys(sethostname, "a name", -1);
    sys(setdomainname, "a name", -1);
    sys(syslog, 99, NULL, 0);
    sys(syslog, 3, NULL, -1);
    sys(getrandom, cpus, 8, 0);
    sys(getrandom, cpus, 8, 1 | 2);
    sys(getrandom, cpus, 8, 4 | 2);
    sys(getrandom, NULL, 8, 0);
    sys(reboot, 1, 2, 3, NULL);
    sys(reboot, 0xfee1dead, 99, 0x1234567, NULL);
    return 0;
}
