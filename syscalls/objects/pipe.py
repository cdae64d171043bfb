"""Pipes and FIFOs (man 7 pipe): a byte queue of page slots, and the files at its two ends.

Linux keeps the contents of a pipe in slots of one page. A write that fits behind the last one shares its
slot, any other begins a new one; that decides when a pipe is full, so it is reproduced here by giving each
byte a position and each chunk a start that is page-aligned wherever Linux would take a fresh slot.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from linuxemu.kernel import WaitQueue
from syscalls.abi.errno import EAGAIN, EBUSY, EINVAL, ENOMEM, ENOTTY, ENXIO, EPERM, EPIPE
from syscalls.abi.flags import (
    CAP_SYS_RESOURCE,
    FIONREAD,
    O_ACCMODE,
    O_DIRECT,
    O_NONBLOCK,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
    S_IFIFO,
    SI_USER,
    SIGPIPE,
)
from syscalls.errors import Interrupted, OutOfMemory, SysError
from syscalls.objects.file import File
from syscalls.objects.siginfo import SigInfo
from syscalls.objects.signal import send_signal
from syscalls.vfs.virtual import StreamNode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from linuxemu.kernel.room import Room
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode
    from syscalls.vfs.mount import Path

_PAGE = 4096
_DEFAULT_SLOTS = 16
PIPE_MAX_SIZE = 1 << 20
"""What an unprivileged process may ask for: /proc/sys/fs/pipe-max-size."""
_MOST_SLOTS = 1 << 16
"""Linux gets no more descriptors of slots (40 bytes each) in one piece of memory (4 MiB)."""


class Pipe:
    """The queue between the ends.

    Args:
        anonymous: made by pipe(2); opening it again through /proc never waits for a partner.
        room: where the contents are.
    """

    __slots__ = (
        "_charged",
        "_chunks",
        "_end",
        "_head",
        "_room",
        "anonymous",
        "read_queue",
        "reader_opens",
        "readers",
        "size",
        "slots",
        "write_queue",
        "writer_opens",
        "writers",
    )

    def __init__(self, anonymous: bool, room: Room) -> None:
        self.anonymous = anonymous
        self._room = room
        self._charged = 0
        self.readers = 0
        self.writers = 0
        self.reader_opens = 0
        self.writer_opens = 0
        self.slots = _DEFAULT_SLOTS
        self.size = 0
        """Bytes that can be read."""
        self.read_queue = WaitQueue()
        """Woken when data arrives or the last writer goes."""
        self.write_queue = WaitQueue()
        """Woken when a slot gets free or the last reader goes."""
        self._chunks: deque[tuple[int, bytes, bool]] = deque()
        self._head = 0
        self._end = 0

    @property
    def capacity(self) -> int:
        """What F_GETPIPE_SZ tells, in bytes."""
        return self.slots * _PAGE

    def used_slots(self) -> int:
        """Page slots that hold something."""
        if not self._chunks:
            return 0
        return ((self._end + _PAGE - 1) >> 12) - ((self._chunks[0][0] + self._head) >> 12)

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return bool(self._chunks) and self.used_slots() >= self.slots

    def take(self, count: int) -> bytes:
        """Up to `count` bytes (one packet at most); empty when the pipe is."""
        chunks = self._chunks
        if not chunks:
            return b""
        # Mostly the first comparison settles it: slots are counted from position 0 on at the earliest.
        was_full = self._end > (self.slots - 1) * _PAGE and self.used_slots() >= self.slots
        _, data, packet = chunks[0]
        left = len(data) - self._head
        if packet:
            result = data[self._head : self._head + count]
            self._drop_first(left)
        elif count < left:
            result = data[self._head : self._head + count]
            self._head += count
            self.size -= count
        else:
            result = data[self._head :] if self._head else data
            self._drop_first(left)
            if count > left and chunks:
                result = self._gather(result, count - left)
        if was_full and self.used_slots() < self.slots:
            self.write_queue.wake_all()
        return result

    def _drop_first(self, left: int) -> None:
        chunks = self._chunks
        chunks.popleft()
        self._head = 0
        self.size -= left
        if not chunks:
            self._room.add(-self._charged)
            self._charged = 0

    def _charge(self) -> None:
        """Count what the contents take, until the pipe is empty."""
        span = self._end - self._chunks[0][0]
        if span > self._charged:
            self._room.add(span - self._charged)
            self._charged = span

    def _gather(self, first: bytes, count: int) -> bytes:
        """Join what follows the first chunk, up to `count` further bytes or the next packet."""
        chunks = self._chunks
        parts = [first]
        while count and chunks and not chunks[0][2]:
            data = chunks[0][1]
            if len(data) > count:
                parts.append(data[:count])
                self._head = count
                self.size -= count
                break
            parts.append(data)
            count -= len(data)
            self._drop_first(len(data))
        return b"".join(parts)

    def put(self, data: bytes, start: int, packets: bool) -> int:
        """Append what fits of `data` from `start` on; returns how many bytes that was.

        Args:
            data: what to write.
            start: where in `data` to begin; the tail of the pipe is shared only at 0, as on Linux.
            packets: O_DIRECT: each page of data is a message of its own.

        Raises:
            OutOfMemory: there is no memory for it.
        """
        begin = start
        chunks = self._chunks
        if not self._room.fits(min(len(data) - start, self.slots * _PAGE)):
            raise OutOfMemory
        if not chunks:
            self._end = 0
            if not start and not packets and len(data) <= self.slots * _PAGE:
                chunks.append((0, data, False))
                self._end = self.size = len(data)
                self._charge()
                self.read_queue.wake_all()
                return self.size
        elif start == 0:
            odd = len(data) & (_PAGE - 1)
            room = -self._end & (_PAGE - 1)
            if odd and odd <= room and not chunks[-1][2]:
                self._share(data[:odd] if odd < len(data) else data)
                begin = odd
        rest = min(len(data) - begin, (self.slots - self.used_slots()) * _PAGE)
        if rest > 0:
            self._append(data[begin : begin + rest] if rest < len(data) else data, packets)
            begin += rest
        written = begin - start
        if written:
            self.size += written
            self._charge()
            self.read_queue.wake_all()
        return written

    def _share(self, data: bytes) -> None:
        """Put data behind the last byte, into its slot. Small pieces are joined: each by itself takes more memory."""
        at, last, _ = self._chunks[-1]
        if len(last) + len(data) <= _PAGE:
            self._chunks[-1] = (at, last + data, False)
        else:
            self._chunks.append((self._end, data, False))
        self._end += len(data)

    def put_page(self, data: bytes) -> None:
        """Put up to a page into a slot of its own; there is one.

        Raises:
            OutOfMemory: there is no memory for it.
        """
        if not self._room.fits(_PAGE):
            raise OutOfMemory
        if not self._chunks:
            self._end = 0
        self._append(data, False)
        self.size += len(data)
        self._charge()
        self.read_queue.wake_all()

    def _append(self, data: bytes, packets: bool) -> None:
        """Put data into fresh slots; there are enough."""
        at = (self._end + _PAGE - 1) & -_PAGE
        if packets:
            for index in range(0, len(data), _PAGE):
                self._chunks.append((at + index, data[index : index + _PAGE], True))
        else:
            self._chunks.append((at, data, False))
        self._end = at + len(data)

    def give_back(self, data: bytes) -> None:
        """Put what was just read, but could not be delivered, in front again."""
        chunks = self._chunks
        at = 0
        if not chunks:
            self._end = len(data)
        else:
            start, first, packet = chunks[0]
            at = start + self._head - len(data)
            chunks[0] = (start + self._head, first[self._head :], packet)
            self._head = 0
            if at < 0:
                at += self._shift(-at)
        chunks.appendleft((at, data, False))
        self.size += len(data)
        self._charge()
        self.read_queue.wake_all()

    def _shift(self, room: int) -> int:
        """Move all positions up by whole slots, at least `room`, so that none gets negative; returns how far."""
        shift = (room + _PAGE - 1) & -_PAGE
        self._chunks = deque((start + shift, data, packet) for start, data, packet in self._chunks)
        self._end += shift
        return shift

    def resize(self, t: Task, size: int) -> int:
        """F_SETPIPE_SZ (man 2 fcntl): a power of two of pages, not below what is in use.

        Raises:
            SysError: EINVAL above 2 GiB, EPERM above the limit without CAP_SYS_RESOURCE, ENOMEM, EBUSY.
        """
        if size > 1 << 31:
            raise SysError(EINVAL)
        slots = 1 << max((size + _PAGE - 1) // _PAGE - 1, 0).bit_length()
        if slots > self.slots and slots * _PAGE > PIPE_MAX_SIZE and not t.creds.capable(CAP_SYS_RESOURCE):
            raise SysError(EPERM)
        if slots > _MOST_SLOTS:
            raise SysError(ENOMEM)
        if slots < self.used_slots():
            raise SysError(EBUSY)
        self.slots = slots
        self.write_queue.wake_all()
        return slots * _PAGE

    def attach(self, reader: bool, writer: bool) -> None:
        """Count a new end and wake who waits in open(2) for it."""
        if reader:
            self.reader_opens += 1
            self.readers += 1
            self.write_queue.wake_all()
        if writer:
            self.writer_opens += 1
            self.writers += 1
            self.read_queue.wake_all()

    def detach(self, reader: bool, writer: bool) -> None:
        """Forget an end; the other side learns that it is alone, the last one leaves an empty pipe."""
        self.readers -= reader
        self.writers -= writer
        if not self.readers and not self.writers:
            self._chunks.clear()
            self._room.add(-self._charged)
            self._charged = 0
            self._head = self._end = self.size = 0
            self.slots = _DEFAULT_SLOTS
            return
        self.read_queue.wake_all()
        self.write_queue.wake_all()


class PipeEnd(File):
    """An open end of a pipe or FIFO, or both ends for a FIFO opened O_RDWR.

    Args:
        pipe: the queue; the end counts itself in.
        inode: what fstat shows.
        flags: access mode and status flags.
        path: where a FIFO was opened.
    """

    __slots__ = ("_opens_seen", "_queues", "pipe")

    can_direct = True

    def __init__(self, pipe: Pipe, inode: Inode, flags: int, path: Path | None = None) -> None:
        super().__init__(inode, flags, path)
        self.pipe = pipe
        self._opens_seen = 0
        """`Pipe.writer_opens` when a FIFO was opened without waiting: no POLLHUP until a writer came."""
        reader, writer = self.readable, self.writable
        self._queues = ((pipe.read_queue,) if reader else ()) + ((pipe.write_queue,) if writer else ())
        pipe.attach(reader, writer)

    async def read(self, t: Task, count: int) -> bytes:
        """Read what is there; wait while there is nothing and a writer is left (man 7 pipe)."""
        if not count:
            return b""
        pipe = self.pipe
        if pipe.size:
            return pipe.take(count)
        if not pipe.writers:
            return b""
        if self.flags & O_NONBLOCK:
            raise SysError(EAGAIN)

        def attempt() -> bytes | None:
            if pipe.size:
                return pipe.take(count)
            return None if pipe.writers else b""

        return await t.wait(self._queues, attempt) or b""

    def check_write(self, t: Task, count: int) -> None:
        """Nobody can take it."""
        if count and not self.pipe.readers:
            raise self.broken(t)

    async def write(self, t: Task, data: bytes) -> int:
        """Append to the pipe; up to PIPE_BUF bytes as a whole (man 7 pipe).

        Raises:
            SysError: EPIPE, with SIGPIPE, without readers; EAGAIN when full with O_NONBLOCK.
        """
        if not data:
            return 0
        pipe = self.pipe
        packets = self.flags & O_DIRECT != 0
        written = 0
        if pipe.readers:
            written = pipe.put(data, 0, packets)
            if written == len(data):
                return written
            if self.flags & O_NONBLOCK:
                if not written:
                    raise SysError(EAGAIN)
                return written
            written, interrupted = await self._wait_and_put(t, data, written)
            if interrupted:
                return written
        if not pipe.readers:
            failure = self.broken(t)
            if not written:
                raise failure
        return written

    @staticmethod
    def broken(t: Task) -> SysError:
        """Nobody reads any more: the writer gets SIGPIPE, and this EPIPE if it wrote nothing."""
        send_signal(t, SigInfo(SIGPIPE, SI_USER, pid=t.process.pid, uid=t.creds.uid))
        return SysError(EPIPE)

    async def _wait_and_put(self, t: Task, data: bytes, written: int) -> tuple[int, bool]:
        """Write the rest as slots get free; tells how far it came and whether a signal ended it."""
        pipe = self.pipe
        packets = self.flags & O_DIRECT != 0

        def attempt() -> bool | None:
            nonlocal written
            if pipe.readers:
                written += pipe.put(data, written, packets)
            return True if not pipe.readers or written == len(data) else None

        try:
            await t.wait(self._queues, attempt)
        except Interrupted:
            if not written:
                raise
            return written, True
        return written, False

    async def unread(self, data: bytes) -> None:
        """What a faulting reader did not get stays in the pipe."""
        self.pipe.give_back(data)

    def poll(self) -> int:
        """Readable with data, hung up without writers; writable with room, in error without readers."""
        pipe = self.pipe
        mask = 0
        if self.readable:
            if pipe.size:
                mask = POLLIN | POLLRDNORM
            if not pipe.writers and pipe.writer_opens != self._opens_seen:
                mask |= POLLHUP
        if self.writable:
            if not pipe.full:
                mask |= POLLOUT | POLLWRNORM
            if not pipe.readers:
                mask |= POLLERR
        return mask

    def wait_queues(self) -> Sequence[WaitQueue]:
        """The queue of each end that is held."""
        return self._queues

    async def ioctl(self, t: Task, cmd: int, arg: int) -> int:
        """FIONREAD tells the bytes in the pipe, on either end."""
        if cmd == FIONREAD:
            await t.mem.put_u32(arg, self.pipe.size)
            return 0
        raise SysError(ENOTTY)

    async def release(self) -> None:
        """The end is closed for good."""
        self.pipe.detach(self.readable, self.writable)
        if not self.pipe.readers and not self.pipe.writers:
            self.inode.pipe = None

    def proc_name(self) -> bytes:
        """As Linux names pipes in /proc/pid/fd."""
        return b"pipe:[%d]" % self.inode.ino

    def unhurried(self) -> None:
        """Opened without a writer to wait for: its end is no hang-up until one has come."""
        self._opens_seen = self.pipe.writer_opens


def make_pipe(t: Task, flags: int) -> tuple[PipeEnd, PipeEnd]:
    """A new pipe: its end to read from and its end to write to (man 2 pipe).

    Args:
        t: who makes it, and owns it in fstat.
        flags: O_NONBLOCK and O_DIRECT.
    """
    inode = StreamNode(t, S_IFIFO | 0o600)
    pipe = inode.pipe = Pipe(True, t.server.port.room)
    reader = PipeEnd(pipe, inode, O_RDONLY | flags & O_NONBLOCK)
    return reader, PipeEnd(pipe, inode, O_WRONLY | flags)


async def open_fifo(t: Task, inode: Inode, flags: int, path: Path | None) -> File:
    """Open a FIFO (man 7 fifo): reader and writer wait for each other; O_RDWR waits for nobody.

    Raises:
        SysError: ENXIO for a writer with O_NONBLOCK while nobody reads.
    """
    pipe = inode.pipe
    if pipe is None:
        pipe = inode.pipe = Pipe(False, t.server.port.room)
    access = flags & O_ACCMODE
    if access == O_WRONLY and flags & O_NONBLOCK and not pipe.readers and not pipe.anonymous:
        if not pipe.writers:
            inode.pipe = None
        raise SysError(ENXIO)
    end = PipeEnd(pipe, inode, flags, path)
    if pipe.anonymous or access == O_RDWR:
        return end
    if access == O_RDONLY and not pipe.writers:
        if flags & O_NONBLOCK:
            end.unhurried()
            return end
        opens = pipe.writer_opens
        await _wait_for_partner(t, end, pipe.read_queue, lambda: pipe.writer_opens != opens or None)
    elif access == O_WRONLY and not pipe.readers:
        opens = pipe.reader_opens
        await _wait_for_partner(t, end, pipe.write_queue, lambda: pipe.reader_opens != opens or None)
    return end


async def _wait_for_partner(t: Task, end: PipeEnd, queue: WaitQueue, came: Callable[[], bool | None]) -> None:
    """Sleep in open(2) until the other side was opened; a signal undoes the open."""
    try:
        await t.wait([queue], came)
    except BaseException:
        await end.put()
        raise
