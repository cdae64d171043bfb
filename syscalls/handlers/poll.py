"""Waiting for several files: poll, ppoll, select, pselect6."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import EINVAL
from syscalls.abi.flags import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLNVAL,
    POLLOUT,
    POLLPRI,
    POLLRDBAND,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
    RLIMIT_NOFILE,
    SIGKILL,
    SIGSTOP,
)
from syscalls.errors import Interrupted, Restart, SysError
from syscalls.objects.polling import RemoteFile
from syscalls.registry import syscall
from syscalls.types import Count, FdSet, In, InOut, Int, Shown, Sigset, Size, UInt

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from linuxemu.kernel import WaitQueue
    from syscalls.abi.structs import Pollfd, SigsetArg, Timespec, Timeval
    from syscalls.objects.file import File
    from syscalls.objects.task import Task

_SELECT_IN = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR | POLLNVAL
_SELECT_OUT = POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR | POLLNVAL
_SELECT_EX = POLLPRI | POLLNVAL
_UNBLOCKABLE = 1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1)
_SECOND = 1_000_000_000
_SIGSET_SIZE = 8
_POLLFD = struct.Struct("<ihH")


async def wait_files(
    t: Task,
    files: list[tuple[File, int]],
    scan: Callable[[], int],
    deadline_ns: int | None,
    restart: int,
) -> int:
    """Wait until `scan` counts something, the deadline passes (0) or a signal comes.

    Args:
        t: who waits.
        files: what is watched, each with its POLL* events.
        scan: counts what is ready now.
        deadline_ns: absolute, 0 for a look without waiting, None for ever.
        restart: what a signal does to the call.
    """
    for file, events in files:
        if isinstance(file, RemoteFile):
            await file.refresh(events)
    found = scan()
    if found:
        return found
    if deadline_ns == 0:
        if t.signal_pending():
            raise Interrupted(restart)
        return 0
    queues: dict[WaitQueue, None] = {}
    for file, _ in files:
        for queue in file.wait_queues():
            queues[queue] = None
    return await t.wait(list(queues), lambda: scan() or None, deadline_ns, restart) or 0


def deadline_after(t: Task, seconds: int, ns: int) -> int:
    """The absolute deadline of a relative timeout, 0 for none at all; EINVAL for what is no time."""
    if seconds < 0 or not 0 <= ns < _SECOND:
        raise SysError(EINVAL)
    if not seconds and not ns:
        return 0
    return min(t.server.port.now_ns() + seconds * _SECOND + ns, (1 << 63) - 1)


async def read_sigmask(t: Task, address: int, size: int) -> int | None:
    """The signal mask argument of ppoll, pselect6, epoll_pwait; None for a null pointer."""
    if not address:
        return None
    if size != _SIGSET_SIZE:
        raise SysError(EINVAL)
    return await t.mem.u64(address) & ~_UNBLOCKABLE


async def with_sigmask(t: Task, mask: int | None, call: Coroutine[Any, Any, int]) -> int:
    """Run a waiting call under another signal mask.

    A signal that interrupts it is delivered under that mask; delivery then restores the old one.
    """
    if mask is None:
        return await call
    old = t.blocked
    t.saved_blocked = old
    t.blocked = mask
    try:
        result = await call
    except SysError:
        t.blocked = old
        t.saved_blocked = None
        raise
    t.blocked = old
    t.saved_blocked = None
    return result


async def _run_poll(t: Task, fds: int, nfds: int, deadline_ns: int | None, restart: int) -> int:
    """The common part of poll and ppoll."""
    if nfds > t.process.rlimits[RLIMIT_NOFILE][0]:
        raise SysError(EINVAL)
    raw = bytearray(await t.mem.read(fds, nfds * 8) if nfds else b"")
    watched: list[tuple[int, File, int]] = []
    bad = 0
    for index, (fd, events, _) in enumerate(_POLLFD.iter_unpack(raw)):
        raw[index * 8 + 6 : index * 8 + 8] = b"\0\0"
        if fd < 0:
            continue
        try:
            file = t.files.get(fd)
        except SysError:
            raw[index * 8 + 6] = POLLNVAL
            bad += 1
            continue
        watched.append((index * 8 + 6, file, events & 0xFFFF | POLLERR | POLLHUP))

    def scan() -> int:
        found = bad
        for at, file, events in watched:
            mask = file.poll() & events
            if mask:
                found += 1
            raw[at] = mask & 0xFF
            raw[at + 1] = mask >> 8
        return found

    try:
        count = await wait_files(
            t, [(file, events) for _, file, events in watched], scan, deadline_ns, restart
        )
    except Interrupted:
        if nfds:
            await t.mem.write(fds, bytes(raw))
        raise
    if nfds:
        await t.mem.write(fds, bytes(raw))
    return count


@syscall("poll", errors="EFAULT EINTR EINVAL EIO")
async def poll(
    t: Task, fds: Annotated[InOut[Pollfd], Shown("pollfds"), Count("nfds")], nfds: UInt, timeout: Int
) -> int:
    """Wait for one of several files to become ready (man 2 poll)."""
    deadline = None
    if timeout >= 0:
        deadline = deadline_after(t, timeout // 1000, timeout % 1000 * 1_000_000)

    async def resume() -> int:
        t.restart_block = resume
        return await _run_poll(t, fds, nfds, deadline, Restart.BLOCK)

    return await resume()


@syscall("ppoll", errors="EFAULT EINTR EINVAL EIO")
async def ppoll(
    t: Task,
    fds: Annotated[InOut[Pollfd], Shown("pollfds"), Count("nfds")],
    nfds: UInt,
    tmo_p: InOut[Timespec],
    sigmask: Sigset,
    sigsetsize: Size,
) -> int:
    """poll with a timeout in nanoseconds and another signal mask meanwhile (man 2 ppoll)."""
    clock = await _Timeout.read(t, tmo_p, 1)
    mask = await read_sigmask(t, sigmask, sigsetsize)
    call = with_sigmask(t, mask, _run_poll(t, fds, nfds, clock.deadline_ns, Restart.NOHAND))
    return await clock.finish(t, call)


class _Timeout:
    """A timespec or timeval argument: read at entry, the time left written back at the end.

    Args:
        address: where it stands, 0 for none.
        deadline_ns: absolute end, 0 for no waiting, None for ever.
        unit_ns: what the second field counts: 1 (timespec) or 1000 (timeval).
    """

    __slots__ = ("_address", "_unit_ns", "deadline_ns")

    def __init__(self, address: int, deadline_ns: int | None, unit_ns: int) -> None:
        self._address = address
        self.deadline_ns = deadline_ns
        self._unit_ns = unit_ns

    @classmethod
    async def read(cls, t: Task, address: int, unit_ns: int) -> _Timeout:
        """Read it; a timeval may hold more than a second of microseconds, a timespec may not."""
        if not address:
            return cls(0, None, unit_ns)
        seconds, part = struct.unpack("<qq", await t.mem.read(address, 16))
        if unit_ns != 1:
            sign = -1 if part < 0 else 1
            seconds, part = seconds + sign * (abs(part) // 1_000_000), sign * (abs(part) % 1_000_000)
        return cls(address, deadline_after(t, seconds, part * unit_ns), unit_ns)

    async def finish(self, t: Task, call: Coroutine[Any, Any, int]) -> int:
        """Run the call and write back the time left, also when a signal ends it.

        Where that cannot be written, the call cannot begin again with it: it ends with EINTR.
        """
        try:
            result = await call
        except Interrupted:
            if not await self._write_left(t):
                raise Interrupted(Restart.NEVER) from None
            raise
        except SysError:
            await self._write_left(t)
            raise
        await self._write_left(t)
        return result

    async def _write_left(self, t: Task) -> bool:
        if not self.deadline_ns:
            return True
        left = max(self.deadline_ns - t.server.port.now_ns(), 0)
        try:
            await t.mem.write(
                self._address, struct.pack("<qq", left // _SECOND, left % _SECOND // self._unit_ns)
            )
        except SysError:
            return False  # a timeout in read-only memory does not spoil the result
        return True


class _FdSets:
    """The three sets of a select call, as ints with one bit per descriptor."""

    __slots__ = ("_addresses", "_size", "results", "sets")

    def __init__(self, nfds: int, addresses: tuple[int, int, int]) -> None:
        self._size = (nfds + 63) // 64 * 8
        self._addresses = addresses
        self.sets = [0, 0, 0]
        self.results = [0, 0, 0]

    async def read(self, t: Task, nfds: int) -> None:
        """Fetch the sets; bits from `nfds` on do not count."""
        for which, address in enumerate(self._addresses):
            if address:
                raw = await t.mem.read(address, self._size)
                self.sets[which] = int.from_bytes(raw, "little") & ((1 << nfds) - 1)

    async def write(self, t: Task) -> None:
        """Store what was found ready."""
        for address, found in zip(self._addresses, self.results, strict=True):
            if address:
                await t.mem.write(address, found.to_bytes(self._size, "little"))

    def files(self, t: Task) -> list[tuple[File, int, int]]:
        """File, bit and watched events of every descriptor in a set; EBADF if one is closed."""
        reads, writes, excepts = self.sets
        every = reads | writes | excepts
        found = []
        while every:
            bit = every & -every
            every ^= bit
            file = t.files.get_any(bit.bit_length() - 1)
            events = _SELECT_IN if reads & bit else 0
            events |= _SELECT_OUT if writes & bit else 0
            events |= _SELECT_EX if excepts & bit else 0
            found.append((file, bit, events))
        return found

    def scan(self, files: list[tuple[File, int, int]]) -> int:
        """Poll every file, fill the results and count their bits."""
        count = 0
        found = [0, 0, 0]
        for file, bit, events in files:
            mask = file.poll() & events
            if mask:
                for which, wanted in enumerate((_SELECT_IN, _SELECT_OUT, _SELECT_EX)):
                    if mask & wanted and self.sets[which] & bit:
                        found[which] |= bit
                        count += 1
        self.results = found
        return count


def _table_size(t: Task) -> int:
    """How many descriptors Linux's table has room for: select ignores numbers beyond it."""
    highest = max((fd for fd, _ in t.files.items()), default=0)
    return 64 if highest < 64 else 128 << (highest // 128).bit_length()


async def _run_select(t: Task, nfds: int, addresses: tuple[int, int, int], deadline_ns: int | None) -> int:
    """The common part of select and pselect6."""
    if nfds < 0:
        raise SysError(EINVAL)
    nfds = min(nfds, _table_size(t))
    sets = _FdSets(nfds, addresses)
    await sets.read(t, nfds)
    files = sets.files(t)
    watched = [(file, events) for file, _, events in files]
    count = await wait_files(t, watched, lambda: sets.scan(files), deadline_ns, Restart.NOHAND)
    await sets.write(t)
    return count


@syscall("select", errors="EBADF EFAULT EINTR EINVAL EIO")
async def select(
    t: Task,
    nfds: Int,
    readfds: FdSet,
    writefds: FdSet,
    exceptfds: FdSet,
    timeout: Annotated[InOut[Timeval], Shown("select_timeout")],
) -> int:
    """Wait for one of several files to become ready; the time left is written back (man 2 select)."""
    clock = await _Timeout.read(t, timeout, 1000)
    return await clock.finish(t, _run_select(t, nfds, (readfds, writefds, exceptfds), clock.deadline_ns))


@syscall("pselect6", errors="EBADF EFAULT EINTR EINVAL EIO")
async def pselect6(
    t: Task,
    nfds: Int,
    readfds: FdSet,
    writefds: FdSet,
    exceptfds: FdSet,
    timeout: Annotated[InOut[Timespec], Shown("select_timeout")],
    sigmask: Annotated[In[SigsetArg], Shown("sigset_arg")],
) -> int:
    """select with nanoseconds and another signal mask meanwhile (man 2 pselect).

    The mask argument points at a pair of pointer and size.
    """
    mask_address, mask_size = 0, 0
    if sigmask:
        mask_address, mask_size = struct.unpack("<QQ", await t.mem.read(sigmask, 16))
    clock = await _Timeout.read(t, timeout, 1)
    mask = await read_sigmask(t, mask_address, mask_size)
    call = _run_select(t, nfds, (readfds, writefds, exceptfds), clock.deadline_ns)
    return await clock.finish(t, with_sigmask(t, mask, call))
