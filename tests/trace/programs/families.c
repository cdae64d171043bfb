/* Calls of families that a small program seldom has: message queues, keys, events, namespaces, modules. */
#include "calls.h"
#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/kcmp.h>
#include <linux/keyctl.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

int main(void) {
    uint64_t mask = BIT(SIGINT) | BIT(SIGTERM), zero = 0;
    struct timespec time = {1, 2}, wrong = {0, -1};
    struct itimerspec timer = {{1, 2}, {3, 4}};
    struct iovec local = {&mask, 8}, remote = {BAD, 8};
    sys(signalfd, -5, &mask, 8);
    sys(signalfd4, -5, &mask, 8, SFD_CLOEXEC | SFD_NONBLOCK);
    sys(timerfd_create, 99, TFD_CLOEXEC | TFD_NONBLOCK);
    sys(timerfd_create, CLOCK_MONOTONIC, 1);
    sys(timerfd_settime, -1, TFD_TIMER_ABSTIME, &timer, NULL);
    sys(timerfd_gettime, -1, &timer);
    sys(inotify_init1, 1);
    sys(inotify_add_watch, -1, "path", IN_MODIFY | IN_CREATE | IN_ONLYDIR | IN_ONESHOT);
    sys(inotify_rm_watch, -1, 5);
    sys(fanotify_init, FAN_CLOEXEC | 0x80000000, O_RDONLY);
    sys(fanotify_mark, -1, FAN_MARK_ADD, FAN_OPEN | FAN_CLOSE, AT_FDCWD, "path");
    sys(io_setup, 0, NULL);
    sys(io_destroy, 0x1234);
    sys(io_getevents, 0x1234, 1, 2, NULL, &time);
    sys(io_submit, 0x1234, 1, NULL);
    sys(io_cancel, 0x1234, NULL, NULL);
    sys(io_uring_setup, 0, NULL);
    sys(io_uring_enter, -1, 1, 2, IORING_ENTER_GETEVENTS, NULL, 8);
    sys(io_uring_register, -1, IORING_REGISTER_BUFFERS, NULL, 0);
    sys(add_key, "type", "name", "payload", 7, 0x7ffffff);
    sys(request_key, "type", "name", NULL, KEY_SPEC_PROCESS_KEYRING);
    sys(keyctl, 999, 1, 2, 3, 4);
    sys(bpf, 999, NULL, 0);
    sys(perf_event_open, NULL, 0, -1, -1, 8);
    sys(seccomp, 99, 0, NULL);
    sys(kcmp, 999999, 999999, KCMP_FILE, 1, 2);
    sys(ptrace, 999, 999999, BAD, BAD);
    sys(process_vm_readv, 999999, &local, 1, &remote, 1, 0);
    sys(process_vm_writev, 999999, &local, 1, &remote, 1, 5);
    sys(unshare, 0x1);
    sys(setns, -1, CLONE_NEWNS);
    sys(pidfd_open, -1, 0);
    sys(pidfd_send_signal, -1, SIGTERM, NULL, 0);
    sys(pidfd_getfd, -1, 5, 0);
    sys(memfd_create, "name", 0x80000000);
    sys(memfd_secret, 0x80);
    sys(userfaultfd, 0x5);
    sys(membarrier, 9999, 0);
    sys(mbind, BAD, 4096, MPOL_BIND, &mask, 64, 0x80);
    sys(set_mempolicy, 99, &zero, 64);
    sys(get_mempolicy, NULL, NULL, 0, NULL, 0x80);
    sys(migrate_pages, 999999, 64, &mask, &mask);
    sys(move_pages, 999999, 0, NULL, NULL, NULL, 0);
    sys(remap_file_pages, BAD, 4096, 0, 0, 0);
    sys(pkey_mprotect, BAD, 4096, PROT_READ, 99);
    sys(pkey_alloc, 1, 0);
    sys(pkey_free, 99);
    sys(name_to_handle_at, -1, "path", NULL, NULL, 0);
    sys(open_by_handle_at, -1, NULL, O_RDONLY);
    sys(init_module, BAD, 0, "parameters");
    sys(finit_module, -1, "parameters", 3);
    sys(delete_module, "no_such_module", O_NONBLOCK);
    sys(inotify_init);
    sys(get_thread_area, NULL);
    sys(set_thread_area, NULL);
    sys(_sysctl, NULL);
    sys(io_pgetevents, 0x1234, 1, 2, NULL, &wrong, NULL);
    sys(quotactl_fd, -1, 0x12345678, 5, NULL);
    sys(futex_waitv, NULL, 0, 0, NULL, CLOCK_REALTIME);
    sys(set_mempolicy_home_node, BAD, 0, 99, 1);
    sys(kexec_file_load, -1, -1, 3, "cmd", 0x100);
    sys(kexec_load, 0, 1, NULL, 0x80000000);
    sys(swapon, "nothere", 0x8000);
    sys(quotactl, 0x12345678, "device", 5, NULL);
    sys(modify_ldt, 99, NULL, 0);
    sys(iopl, 9);
    sys(ioperm, 0, 0, 1);
    sys(lookup_dcookie, 5, NULL, 0);
    sys(sysfs, 9, 1, 2);
    sys(uselib, "nothere");
    sys(open_tree, -1, "path", 0x80000000);
    sys(move_mount, -1, "from", -1, "to", 0x1000);
    sys(fsopen, "nothing", 5);
    sys(fsconfig, -1, 0, "key", "value", 0);
    sys(fsmount, -1, 8, 1);
    sys(fspick, -1, "path", 0x100);
    sys(mount_setattr, -1, "path", 0, NULL, 0);
    sys(landlock_create_ruleset, NULL, 0, 2);
    sys(landlock_add_rule, -1, 9, NULL, 0);
    sys(landlock_restrict_self, -1, 1);
    sys(process_madvise, -1, NULL, 0, MADV_COLD, 0);
    sys(process_mrelease, -1, 1);
    return 0;
}
