/* Process groups, sessions, and who a process is. */
#include "calls.h"
#include <linux/capability.h>

int main(void) {
    static gid_t list[70000];
    uid_t r, e, s;
    long self = sys(getpid);
    sys(getpgrp);
    sys(getpgid, 0);
    sys(getpgid, self);
    sys(getpgid, 999999);
    sys(getsid, 0);
    sys(getsid, -1);
    sys(setsid);
    sys(setpgid, 0, 0);
    sys(setpgid, -1, 0);
    sys(setpgid, self, 999999);
    CHILD(sys(getppid); sys(setpgid, 0, 0); sys(getpgrp); sys(setsid); sys(getsid, 0));
    CHILD(sys(setsid); sys(getsid, 0); sys(getpgid, 0); sys(setpgid, 0, self));
    sys(getuid);
    sys(geteuid);
    sys(getgid);
    sys(getegid);
    sys(getresuid, &r, &e, &s);
    sys(getresgid, &r, &e, &s);
    sys(getresuid, NULL, BAD, &s);
    sys(setuid, r);
    sys(setreuid, -1, -1);
    sys(setregid, -1, -1);
    sys(setresuid, -1, -1, -1);
    sys(setresgid, -1, -1, -1);
    sys(setuid, -1);
    sys(setgid, -1);
    sys(setfsuid, -1);
    sys(setfsgid, -1);
    CHILD(sys(setgroups, 0, NULL); sys(getgroups, 70, list));
    CHILD(list[0] = 5; list[1] = 7; sys(setgroups, 2, list); sys(getgroups, 70, list); sys(getgroups, 1, list));
    CHILD(for (int i = 0; i < 40; i++) list[i] = i; sys(setgroups, 40, list); sys(getgroups, 70, list));
    CHILD(sys(setresgid, 5, 6, 7); sys(setresuid, 1, 2, 3); sys(getresuid, &r, &e, &s); sys(setuid, 0); sys(setreuid, 4, -1); sys(setregid, -1, 7); sys(getegid));
    sys(getgroups, 0, NULL);
    sys(getgroups, -1, NULL);
    sys(setgroups, 2, BAD);
    sys(setgroups, 2, NULL);
    sys(setgroups, 70000, list);

    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    memset(data, 0, sizeof data);
    /* What root may do even in a container, so that it is the same everywhere. */
    data[0].effective = data[0].permitted = 0x1fb;
    sys(capset, &head, data);
    sys(capget, &head, data);
    sys(capget, &head, NULL);
    head.pid = 999999;
    sys(capget, &head, data);
    head.pid = 0;
    head.version = 0x1234;
    sys(capget, &head, data);
    head.version = _LINUX_CAPABILITY_VERSION_1;
    sys(capget, &head, data);
    head.version = _LINUX_CAPABILITY_VERSION_3;
    data[0].effective = 1 << CAP_KILL | 1 << CAP_CHOWN;
    data[0].permitted = 0;
    data[0].inheritable = 0xffffffff;
    data[1] = (struct __user_cap_data_struct){0xffffffff, 0, 1};
    sys(capset, &head, data);
    sys(capset, &head, BAD);
    sys(capset, NULL, NULL);
    sys(capget, BAD, data);
    return 0;
}
