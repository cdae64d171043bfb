/* Numbers of calls that nobody knows. */
#include "calls.h"

int main(void) {
    number(337, 1, 2, 3, 4, 5, 6);
    number(400);
    number(500, -1, 0x123456789abcdef0, BAD, 4, 5, 6);
    number(512, 1);
    number(1000, 1, 2, 3);
    number(-2, 1, 2, 3);
    number(0x40000000 + 39);
    number(0xffffffff, 1);
    number(0x100000027, 1);
    sys(tuxcall, 1, 2, 3);
    sys(security, 1, 2, 3);
    sys(getpmsg, 1, 2, 3);
    sys(putpmsg, 1, 2, 3);
    sys(afs_syscall, 1, 2, 3);
    sys(vserver, 1, 2, 3);
    sys(create_module, 1, 2, 3);
    sys(get_kernel_syms, 1);
    sys(query_module, 1, 2, 3);
    sys(nfsservctl, 1, 2, 3);
    sys(epoll_ctl_old, 1, 2, 3);
    sys(epoll_wait_old, 1, 2, 3);
    sys(restart_syscall);
    return 0;
}
