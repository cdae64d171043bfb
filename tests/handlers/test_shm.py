"""shmget, shmat, shmdt, shmctl (man 2 shmget, man 2 shmat, man 2 shmctl)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EACCES, EAGAIN, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, ENOSPC, EPERM
from syscalls.abi.flags import (
    IPC_CREAT,
    IPC_EXCL,
    IPC_INFO,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    MCL_FUTURE,
    PROT_READ,
    PROT_WRITE,
    RLIMIT_AS,
    RLIMIT_MEMLOCK,
    SHM_EXEC,
    SHM_HUGETLB,
    SHM_INFO,
    SHM_LOCK,
    SHM_NORESERVE,
    SHM_RDONLY,
    SHM_REMAP,
    SHM_RND,
    SHM_STAT,
    SHM_STAT_ANY,
    SHM_UNLOCK,
)
from syscalls.abi.ipc import IpcPerm, ShmidDs, ShmInfo, Shminfo
from syscalls.abi.structs import Rlimit
from tests.handlers.cases import BAD, NULL, SUCCESS, Out, fails, ok, proves, recorded

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call, Guest

KEY = 0x1234
PAGE = 4096
USER = (1000, 1000)
STATUS, LIMITS, USED = Out(ShmidDs), Out(Shminfo), Out(ShmInfo)
NO_LIMIT = (1 << 64) - 1 - (1 << 24)
HIGH = 0x5000_0000_0000
DEST, LOCKED = 0o1000, 0o2000


def segment(size: int = 2 * PAGE, mode: int = 0o600, key: int = KEY) -> Callable[[Guest], None]:
    """Segment 0, made by the caller."""

    def setup(guest: Guest) -> None:
        assert guest.syscall.shmget(key, size, IPC_CREAT | mode) == 0

    return setup


def anothers(mode: int = 0o600) -> Callable[[Guest], None]:
    """Segment 0, made by root."""

    def setup(guest: Guest) -> None:
        segment(mode=mode)(guest)
        ipc = guest.linux.ipc.shm.find(0).ipc
        ipc.uid = ipc.cuid = ipc.gid = ipc.cgid = 0

    return setup


def _limit(resource: int, soft: int) -> Callable[[Guest], None]:
    def setup(guest: Guest) -> None:
        segment()(guest)
        guest.syscall.setrlimit(resource, Rlimit(soft, soft))

    return setup


def _few(guest: Guest) -> None:
    guest.linux.ipc.shm.shmmni = 1
    segment()(guest)


def _small(guest: Guest) -> None:
    guest.linux.ipc.shm.shmall = 3
    segment()(guest)


def _locking(guest: Guest) -> None:
    segment(64 * PAGE)(guest)
    guest.syscall.setrlimit(RLIMIT_MEMLOCK, Rlimit(PAGE * 40, PAGE * 40))
    guest.main.t.mm.lock_future = True


def _attached(guest: Guest) -> None:
    segment()(guest)
    assert guest.syscall.shmat(0, HIGH, 0) == HIGH


def _status(**wanted: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        found = STATUS.value
        assert {name: getattr(found, name) for name in wanted} == wanted

    return check


def _is_new(guest: Guest, call: Call) -> None:
    now = guest.clock.realtime_ns // 1_000_000_000
    pid = guest.main.pid
    assert STATUS.value == ShmidDs(IpcPerm(KEY, 0, 0, 0, 0, 0o600, 0), 2 * PAGE, 0, 0, now, pid, 0, 0)


def _limits(guest: Guest, call: Call) -> None:
    assert LIMITS.value == Shminfo(NO_LIMIT, 1, 4096, 4096, NO_LIMIT)


def _used(guest: Guest, call: Call) -> None:
    assert USED.value == ShmInfo(1, 2, 0)


def _changed(guest: Guest, call: Call) -> None:
    guest.syscall.shmctl(0, IPC_STAT, STATUS)
    assert STATUS.value.shm_perm == IpcPerm(KEY, 7, 8, 0, 0, 0o755, 0)


def _gone(guest: Guest, call: Call) -> None:
    assert guest.start.shmctl(0, IPC_RMID, NULL).errno == EINVAL


def _mode(mode: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert guest.linux.ipc.shm.find(0).ipc.mode == mode

    return check


def _mapped(count: int) -> Callable[[Guest, Call | None], None]:
    def check(guest: Guest, call: Call | None) -> None:
        guest.syscall.shmctl(0, IPC_STAT, STATUS)
        assert STATUS.value.shm_nattch == count

    return check


NEW = ShmidDs(IpcPerm(99, 7, 8, 9, 10, 0o7755, 3), 1, 1, 1, 1, 1, 1, 1)
NOBODY = ShmidDs(IpcPerm(0, 0xFFFF_FFFF, 8, 9, 10, 0o755, 3), 1, 1, 1, 1, 1, 1, 1)
NO_GROUP = ShmidDs(IpcPerm(0, 1, 0xFFFF_FFFF, 9, 10, 0o755, 3), 1, 1, 1, 1, 1, 1, 1)

CASES = [
    ok("shmget", IPC_PRIVATE, PAGE, 0, returns=0, rpcs=[]),
    ok("shmget", KEY, PAGE, 0o600 | IPC_CREAT, returns=0, rpcs=[], label="by key"),
    ok("shmget", KEY, PAGE, 0o600, returns=0, rpcs=[], setup=segment(), label="of one that is there"),
    ok("shmget", IPC_PRIVATE, 1 << 45, SHM_NORESERVE, returns=0, rpcs=[], label="more than there is"),
    fails("shmget", ENOENT, KEY, PAGE, 0o600, rpcs=[]),
    fails("shmget", EEXIST, KEY, 0, 0o600 | IPC_CREAT | IPC_EXCL, setup=segment(), rpcs=[]),
    fails("shmget", EINVAL, KEY, 2 * PAGE + 1, 0o600, setup=segment(), rpcs=[], label="larger than it is"),
    fails("shmget", EINVAL, IPC_PRIVATE, 0, 0, rpcs=[], label="nothing"),
    fails("shmget", EINVAL, IPC_PRIVATE, NO_LIMIT, SHM_NORESERVE, rpcs=[], label="larger than any file"),
    fails("shmget", EINVAL, IPC_PRIVATE, NO_LIMIT + 1, SHM_NORESERVE, rpcs=[], label="beyond the limit"),
    fails("shmget", EACCES, KEY, PAGE, 0o600, setup=anothers(), user=USER, rpcs=[]),
    fails("shmget", EACCES, KEY, PAGE, 0o002, setup=anothers(0o604), user=USER, rpcs=[], label="writing"),
    fails("shmget", ENOMEM, IPC_PRIVATE, 1 << 45, 0, rpcs=["vmx.stats"]),
    fails("shmget", ENOSPC, IPC_PRIVATE, PAGE, 0, setup=_few, rpcs=[]),
    fails("shmget", ENOSPC, IPC_PRIVATE, 2 * PAGE, 0, setup=_small, rpcs=[], label="pages"),
    fails("shmget", ENOMEM, IPC_PRIVATE, PAGE, SHM_HUGETLB | 21 << 26, rpcs=[], label="huge pages",
          check=recorded("shmget: SHM_HUGETLB")),
    fails("shmget", EINVAL, IPC_PRIVATE, PAGE, SHM_HUGETLB | 22 << 26, rpcs=[], label="huge pages of no size"),
    fails("shmget", EPERM, IPC_PRIVATE, PAGE, SHM_HUGETLB, user=USER, rpcs=[]),

    ok("shmat", 0, NULL, 0, rpcs=[], setup=segment(), check=_mapped(1)),
    ok("shmat", 0, HIGH, SHM_RDONLY, returns=HIGH, rpcs=[], setup=anothers(0o604), user=USER, label="to read"),
    ok("shmat", 0, HIGH + 5, SHM_RND | SHM_EXEC, returns=HIGH, rpcs=[], setup=segment(), label="rounded"),
    ok("shmat", 0, HIGH, SHM_REMAP, returns=HIGH, rpcs=[], setup=_attached, check=_mapped(1), label="instead"),
    ok("shmat", 0, 5, SHM_RND, returns=0, rpcs=[], setup=segment(), label="at 0"),
    ok("shmat", 0, HIGH, 0, returns=HIGH, rpcs=[], setup=_locking, label="locked"),
    fails("shmat", EINVAL, 1, NULL, 0, setup=segment(), rpcs=[], label="none"),
    fails("shmat", EINVAL, -1, NULL, 0, setup=segment(), rpcs=[], label="negative"),
    fails("shmat", EINVAL, 32768, NULL, 0, setup=segment(), rpcs=[], label="another time"),
    fails("shmat", EINVAL, 0, HIGH, 0, setup=_attached, rpcs=[], label="in use"),
    fails("shmat", EINVAL, 0, HIGH + 1, SHM_REMAP, setup=segment(), rpcs=[], label="unaligned"),
    fails("shmat", EINVAL, 0, 1, SHM_REMAP | SHM_RND, setup=segment(), rpcs=[], label="remap at 0"),
    fails("shmat", EINVAL, 0, NULL, SHM_REMAP, setup=segment(), rpcs=[], label="remap anywhere"),
    fails("shmat", EINVAL, 0, -PAGE, 0, setup=segment(), rpcs=[], label="around"),
    fails("shmat", EACCES, 0, NULL, 0, setup=anothers(0o604), user=USER, rpcs=[], check=_mapped(0)),
    fails("shmat", EACCES, 0, NULL, SHM_RDONLY | SHM_EXEC, setup=anothers(0o604), user=USER, rpcs=[], label="execute"),
    fails("shmat", ENOMEM, 0, 0x7FFF_FFFF_F000, 0, setup=segment(), rpcs=[], check=_mapped(0)),
    fails("shmat", ENOMEM, 0, NULL, 0, setup=_limit(RLIMIT_AS, 0), rpcs=[], check=_mapped(0), label="limit"),
    fails("shmat", EPERM, 0, 1, SHM_RND, setup=segment(), user=USER, rpcs=[]),
    fails("shmat", EAGAIN, 0, NULL, 0, setup=_locking, user=USER, rpcs=[]),

    ok("shmdt", HIGH, returns=0, rpcs=[], setup=_attached, check=_mapped(0)),
    fails("shmdt", EINVAL, HIGH, setup=segment(), rpcs=[]),
    fails("shmdt", EINVAL, HIGH + 1, setup=_attached, rpcs=[], label="unaligned"),
    fails("shmdt", EINVAL, HIGH + PAGE, setup=_attached, rpcs=[], label="inside"),

    ok("shmctl", 0, IPC_STAT, STATUS, returns=0, rpcs=["clock.gettime"], setup=segment(), check=_is_new),
    ok("shmctl", 0, SHM_STAT, STATUS, returns=0, rpcs=["clock.gettime"], setup=segment(), label="by index",
       check=_status(shm_segsz=2 * PAGE)),
    ok("shmctl", 0, SHM_STAT_ANY, STATUS, returns=0, rpcs=["clock.gettime"], setup=anothers(), user=USER,
       label="any"),
    ok("shmctl", 0, IPC_INFO, LIMITS, returns=0, rpcs=[], check=_limits, label="limits"),
    ok("shmctl", 0, SHM_INFO, USED, returns=0, rpcs=[], setup=segment(), check=_used, label="used"),
    ok("shmctl", 0, IPC_SET, NEW, returns=0, rpcs=[], setup=segment(), check=_changed, label="change"),
    ok("shmctl", 0, IPC_RMID, NULL, returns=0, rpcs=[], setup=segment(), check=_gone, label="remove"),
    ok("shmctl", 0, IPC_RMID, NULL, returns=0, rpcs=[], setup=_attached, check=_mode(0o600 | DEST),
       label="remove what is attached"),
    ok("shmctl", 0, SHM_LOCK, NULL, returns=0, rpcs=[], setup=segment(), check=_mode(0o600 | LOCKED), label="lock"),
    ok("shmctl", 0, SHM_LOCK, NULL, returns=0, rpcs=[], setup=segment(), user=USER, label="lock as a user"),
    ok("shmctl", 0, SHM_UNLOCK, NULL, returns=0, rpcs=[], setup=segment(), check=_mode(0o600), label="unlock"),
    fails("shmctl", EINVAL, -1, IPC_INFO, LIMITS, rpcs=[], label="negative"),
    fails("shmctl", EINVAL, 0, IPC_STAT, STATUS, rpcs=[], label="none"),
    fails("shmctl", EINVAL, 0, SHM_STAT, STATUS, rpcs=[], label="no index"),
    fails("shmctl", EINVAL, 0, 99, STATUS, setup=segment(), rpcs=[], label="command"),
    fails("shmctl", EINVAL, 0, IPC_STAT | 0x100, STATUS, setup=segment(), rpcs=[], label="mark of a version"),
    fails("shmctl", EINVAL, 0, IPC_SET, NOBODY, setup=segment(), rpcs=[], label="no user"),
    fails("shmctl", EINVAL, 0, IPC_SET, NO_GROUP, setup=segment(), rpcs=[], label="no group"),
    fails("shmctl", EFAULT, 0, IPC_INFO, BAD, rpcs=[], label="limits"),
    fails("shmctl", EFAULT, 0, SHM_INFO, BAD, rpcs=[], label="used"),
    fails("shmctl", EFAULT, 5, IPC_SET, BAD, rpcs=[], label="change"),
    fails("shmctl", EACCES, 0, IPC_STAT, STATUS, setup=anothers(), user=USER, rpcs=[]),
    fails("shmctl", EACCES, 0, SHM_STAT, STATUS, setup=anothers(), user=USER, rpcs=[], label="by index"),
    fails("shmctl", EPERM, 0, IPC_SET, NEW, setup=anothers(0o666), user=USER, rpcs=[]),
    fails("shmctl", EPERM, 0, IPC_RMID, NULL, setup=anothers(0o666), user=USER, rpcs=[], label="remove"),
    fails("shmctl", EPERM, 0, SHM_UNLOCK, NULL, setup=anothers(0o666), user=USER, rpcs=[], label="unlock"),
    fails("shmctl", EPERM, 0, SHM_LOCK, NULL, setup=_limit(RLIMIT_MEMLOCK, 0), user=USER, rpcs=[], label="no limit"),
    fails("shmctl", ENOMEM, 0, SHM_LOCK, NULL, setup=_limit(RLIMIT_MEMLOCK, PAGE), user=USER, rpcs=[]),
]  # fmt: skip


@proves("shmat", SUCCESS, rpcs=[])
def test_processes_share_it(guest: Guest) -> None:
    segment()(guest)
    address = guest.syscall.shmat(0, NULL, 0)
    child = guest.process()
    other = child.syscall.shmat(0, HIGH, SHM_RDONLY)
    guest.write(address + 100, b"hello")
    assert guest.read(other + 100, 5, thread=child) == b"hello"


def test_a_child_has_it_attached_too(guest: Guest) -> None:
    segment()(guest)
    guest.syscall.shmat(0, NULL, 0)
    child = guest.thread_of(guest.syscall.fork())
    guest.syscall.shmctl(0, IPC_STAT, STATUS)
    assert (STATUS.value.shm_nattch, STATUS.value.shm_lpid) == (2, guest.main.pid)
    child.start.exit_group(0)
    guest.syscall.shmctl(0, IPC_STAT, STATUS)
    assert (STATUS.value.shm_nattch, STATUS.value.shm_lpid) == (1, child.pid)


def test_a_removed_segment_ends_when_it_is_detached(guest: Guest) -> None:
    _attached(guest)
    guest.syscall.shmctl(0, IPC_RMID, NULL)
    assert guest.start.shmget(KEY, 1, 0).errno == ENOENT
    again = guest.syscall.shmat(0, NULL, 0)
    guest.syscall.shmdt(HIGH)
    assert guest.linux.ipc.shm.find(0).ipc.mode == 0o600 | DEST
    guest.syscall.shmdt(again)
    assert guest.start.shmat(0, NULL, 0).errno == EINVAL
    assert guest.linux.ipc.shm.total_pages == 0


def test_its_pages_are_given_back(guest: Guest) -> None:
    available = []
    for _ in range(2):
        number = guest.syscall.shmget(IPC_PRIVATE, 2 * PAGE, 0o600)
        guest.syscall.shmat(number, HIGH, 0)
        guest.write(HIGH, b"x")
        guest.write(HIGH + PAGE, b"x")
        guest.syscall.shmctl(0, SHM_INFO, USED)
        assert USED.value.shm_rss == 2
        guest.syscall.shmctl(number, IPC_RMID, NULL)
        guest.syscall.shmdt(HIGH)
        available.append(guest.linux.port.frames.available)
    assert available[0] == available[1], "page tables stay"


def test_parts_count_and_are_detached_together(guest: Guest) -> None:
    segment(3 * PAGE)(guest)
    guest.syscall.shmat(0, HIGH, 0)
    guest.syscall.munmap(HIGH + PAGE, PAGE)
    _mapped(2)(guest, None)
    guest.syscall.shmdt(HIGH)
    _mapped(0)(guest, None)


def test_parts_are_not_joined_again(guest: Guest) -> None:
    _attached(guest)
    guest.syscall.mprotect(HIGH, PAGE, PROT_READ)
    guest.syscall.mprotect(HIGH, PAGE, PROT_READ | PROT_WRITE)
    _mapped(2)(guest, None)


def test_what_was_attached_to_read_does_not_become_writable(guest: Guest) -> None:
    segment()(guest)
    guest.syscall.shmat(0, HIGH, SHM_RDONLY)
    assert guest.start.mprotect(HIGH, PAGE, PROT_READ | PROT_WRITE).errno == EACCES


def test_indexes_are_used_again_late_and_with_another_number(guest: Guest) -> None:
    made = []
    for _ in range(66):
        made.append(guest.syscall.shmget(IPC_PRIVATE, 1, 0))
        guest.syscall.shmctl(made[-1], IPC_RMID, NULL)
    assert made == [*range(64), 32768, 32769]


def test_what_is_locked_counts_for_who_locked_it(guest: Guest) -> None:
    process = guest.process(uid=1000, gid=1000)
    process.syscall.setrlimit(RLIMIT_MEMLOCK, Rlimit(3 * PAGE, 3 * PAGE))
    first, second = (process.syscall.shmget(IPC_PRIVATE, 2 * PAGE, 0) for _ in range(2))
    assert process.syscall.shmctl(first, SHM_LOCK, NULL) == 0
    assert process.syscall.shmctl(first, SHM_LOCK, NULL) == 0
    assert process.start.shmctl(second, SHM_LOCK, NULL).errno == ENOMEM
    assert process.syscall.shmctl(first, SHM_UNLOCK, NULL) == 0
    assert process.syscall.shmctl(second, SHM_LOCK, NULL) == 0


def test_maps_name_it(new_guest: Callable[..., Guest]) -> None:
    guest = new_guest(root="memfs")
    guest.mount_system()
    _attached(guest)
    text, fd = Out(4000), guest.syscall.open("/proc/self/maps", 0, 0)
    guest.syscall.read(fd, text, 4000)
    assert b"500000000000-500000002000 rw-s 00000000 00:01 0 " in text.data
    assert b" /SYSV00001234 (deleted)\n" in text.data


def test_with_mlockall_pages_are_there_at_once(guest: Guest) -> None:
    segment()(guest)
    guest.main.t.mm.lock_future = bool(MCL_FUTURE)
    guest.syscall.shmat(0, HIGH, 0)
    assert guest.linux.ipc.shm.resident_pages() == 2


def test_what_changes_nothing_cuts_nothing(guest: Guest) -> None:
    _attached(guest)
    guest.syscall.mprotect(HIGH, PAGE, PROT_READ | PROT_WRITE)
    guest.syscall.munlock(HIGH, PAGE)
    _mapped(1)(guest, None)
    guest.syscall.mlock(HIGH, 2 * PAGE)
    guest.syscall.mlock(HIGH + PAGE, PAGE)
    _mapped(1)(guest, None)
    guest.syscall.munlock(HIGH + PAGE, PAGE)
    _mapped(2)(guest, None)
