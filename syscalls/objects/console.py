"""The standard streams of the machine: files behind the `console` messages.

A stream of the host may be a terminal, a pipe, a file or a device, and the guest sees it as that. Terminals
are in `syscalls.objects.tty`; here are the state of the three streams and the files for all other kinds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.kernel import WaitQueue
from linuxemu.kernel.recovery import call
from linuxemu.messages import console as messages
from syscalls.abi.errno import EAGAIN, EPIPE
from syscalls.abi.flags import (
    O_ACCMODE,
    O_APPEND,
    O_NONBLOCK,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
    S_IFCHR,
    S_IFIFO,
    S_IFMT,
    S_IFREG,
    SEEK_CUR,
    SEEK_END,
    SEEK_SET,
    SI_USER,
    SIGPIPE,
)
from syscalls.errors import Interrupted, SysError
from syscalls.objects.device import NULL_RDEV
from syscalls.objects.polling import RemoteFile
from syscalls.objects.siginfo import SigInfo
from syscalls.objects.signal import send_group, send_signal
from syscalls.vfs.filesystem import errno_of
from syscalls.vfs.virtual import StreamNode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from linuxemu.messages import Message
    from syscalls.objects.file import File
    from syscalls.objects.process import ProcessGroup
    from syscalls.objects.task import Task
    from syscalls.objects.tty import Tty
    from syscalls.server import LinuxServer
    from syscalls.vfs.inode import Attr
    from syscalls.vfs.mount import Path

CHUNK = 1 << 16
"""Most bytes that one message carries."""
_STREAMS = 3
_ENDED = POLLERR | POLLHUP


class Console:
    """The three streams, and the terminal among them if there is one.

    Args:
        server: the Linux server; it hands on `console.ready` and `console.signal`.
    """

    __slots__ = ("_ready", "_server", "_watching", "info", "initial", "queues", "tty")

    def __init__(self, server: LinuxServer) -> None:
        self._server = server
        self.info: list[Any] = [None] * _STREAMS
        """Replies to `console.info`, None for a stream that is closed on the host."""
        self.queues = [WaitQueue() for _ in range(_STREAMS)]
        """Woken when a watched event of the stream came."""
        self._ready = [0] * _STREAMS
        self._watching = [0] * _STREAMS
        self.tty: Tty | None = None
        self.initial: ProcessGroup | None = None
        """The first program's group: gets what the host's user types when no stream is a terminal."""

    async def call(self, message: Message) -> Any:
        """Ask the console server; its errors become the guest's."""
        try:
            return await call(self._server.port, self._server.peers.console, message)
        except RpcError as error:
            raise SysError(errno_of(error.code)) from None

    async def start(self) -> None:
        """Look at the streams. Called once, before `install`."""
        for stream in range(_STREAMS):
            try:
                self.info[stream] = await self.call(messages.Info(stream))
            except SysError:
                continue
        terminals = [n for n, info in enumerate(self.info) if info is not None and info.tty]
        if terminals:
            from syscalls.objects.tty import Tty

            self.tty = Tty(self, terminals)

    async def install(self, t: Task) -> None:
        """Give the first task descriptors 0 to 2, and its session the terminal."""
        self.initial = t.process.pgrp
        terminal: File | None = None
        for stream, info in enumerate(self.info):
            if info is None:
                continue
            file: File
            if not info.tty:
                file = self._open(t, stream)
            elif terminal is None:
                assert self.tty is not None
                file = terminal = await self.tty.open_first(t)
            else:
                file = terminal.get()
            await t.files.install(stream, file)

    def _open(self, t: Task, stream: int) -> File:
        inode = ConsoleInode(self, t, stream)
        return ConsoleFile(self, inode, self.info[stream].flags & (O_ACCMODE | O_APPEND))

    def ready(self, stream: int, events: int) -> None:
        """The host says that watched events of a stream hold now: message `console.ready`."""
        if not 0 <= stream < _STREAMS:
            return
        self._ready[stream] |= events
        left = self._watching[stream] & ~events
        self._watching[stream] = 0
        if left and not events & _ENDED:
            self._server.port.spawn(self._watch(stream, left))
        self.queues[stream].wake_all()

    def signal(self, signo: int) -> None:
        """The host's user sent a signal through the terminal: message `console.signal`."""
        if self.tty is not None:
            self.tty.signal(signo)
        elif self.initial is not None:
            send_group(self.initial, SigInfo(signo))

    def poll(self, stream: int) -> int:
        """The POLL* events that held when the host was asked last."""
        ready = self._ready[stream]
        if ready & POLLIN:
            ready |= POLLRDNORM
        if ready & POLLOUT:
            ready |= POLLWRNORM
        return ready

    async def refresh(self, stream: int, events: int) -> None:
        """Ask the host what holds now and watch for the rest."""
        events &= POLLIN | POLLOUT
        self._ready[stream] = (await self.call(messages.Poll(stream, events | _ENDED))).revents
        missing = events & ~self._ready[stream]
        if missing and not self._ready[stream] & _ENDED:
            await self._watch(stream, missing)

    async def _watch(self, stream: int, events: int) -> None:
        new = events & ~self._watching[stream]
        if new:
            self._watching[stream] |= new
            await self.call(messages.Watch(stream, self._watching[stream]))

    async def wait(self, t: Task, stream: int, event: int, deadline_ns: int | None = None) -> bool:
        """Sleep until an event of a stream holds; False when the deadline came first."""
        self._ready[stream] &= ~event
        await self._watch(stream, event)
        wanted = event | _ENDED
        found = await t.wait([self.queues[stream]], lambda: self._ready[stream] & wanted or None, deadline_ns)
        return found is not None

    async def try_read(self, stream: int, count: int) -> bytes | None:
        """What is there to read, None for nothing yet, empty at the end."""
        try:
            data: bytes = (await self.call(messages.Read(stream, min(count, CHUNK)))).data
        except SysError as error:
            if error.errno != EAGAIN:
                raise
            return None
        return data

    async def write(self, t: Task, stream: int, data: bytes, nonblock: bool) -> int:
        """Write everything, or with `nonblock` what fits now; a signal makes it short.

        Raises:
            SysError: EAGAIN, EPIPE (with SIGPIPE), and what else the host answers, if nothing was written.
        """
        written = 0
        while written < len(data):
            part = data[written : written + CHUNK] if written or len(data) > CHUNK else data
            try:
                written += (await self.call(messages.Write(stream, part))).written
                continue
            except SysError as error:
                if error.errno == EPIPE:
                    send_signal(t, SigInfo(SIGPIPE, SI_USER, pid=t.process.pid, uid=t.creds.uid))
                if written:
                    if error.errno != EAGAIN or nonblock:
                        return written
                elif error.errno != EAGAIN or nonblock:
                    raise
            try:
                await self.wait(t, stream, POLLOUT)
            except Interrupted:
                if written:
                    return written
                raise
        return written


class ConsoleInode(StreamNode):
    """What a stream of the host is, apart from terminals.

    Args:
        console: the streams.
        t: the first task, which owns it as far as the guest can tell.
        stream: which one.
    """

    __slots__ = ("_console", "stream")

    def __init__(self, console: Console, t: Task, stream: int) -> None:
        info = console.info[stream]
        super().__init__(t, info.mode, info.rdev)
        self.stream = stream
        self._console = console
        self.attr = self.attr._replace(size=info.size, ino=info.ino or self.ino)

    async def getattr(self, t: Task) -> Attr:
        """The attributes; the size of a host file is asked for each time."""
        if self.kind == S_IFREG:
            info = await self._console.call(messages.Info(self.stream))
            self.attr = self.attr._replace(size=info.size, blocks=(info.size + 511) // 512)
        return await super().getattr(t)

    async def open(self, t: Task, flags: int, path: Path) -> File:
        """Opening /dev/stdout and the like: another file on the same stream."""
        return ConsoleFile(self._console, self, flags, path)


class ConsoleFile(RemoteFile):
    """A stream of the host that is no terminal.

    Args:
        console: the streams.
        inode: which one.
        flags: access mode and status flags.
        path: where it was opened, if anywhere.
    """

    __slots__ = ("_append", "_console", "stream")

    def __init__(self, console: Console, inode: ConsoleInode, flags: int, path: Path | None = None) -> None:
        super().__init__(inode, flags, path)
        self._console = console
        self.stream = inode.stream
        self._append = console.info[inode.stream].flags & O_APPEND

    @property
    def seekable(self) -> bool:  # type: ignore[override]
        """A file of the host has a position, which is the host's."""
        return self.inode.kind == S_IFREG

    @property
    def can_epoll(self) -> bool:  # type: ignore[override]
        """As on Linux, all but regular files."""
        return self.inode.kind != S_IFREG

    async def read(self, t: Task, count: int) -> bytes:
        """Read at the host's position; wait until there is something."""
        while count:
            data = await self._console.try_read(self.stream, count)
            if data is not None:
                return data
            if self.flags & O_NONBLOCK:
                raise SysError(EAGAIN)
            await self._console.wait(t, self.stream, POLLIN)
        return b""

    async def unread(self, data: bytes) -> None:
        """Take the host's position back over what could not be delivered; elsewhere it is lost."""
        if data and self.seekable:
            await self._seek(-len(data), SEEK_CUR)

    async def write(self, t: Task, data: bytes) -> int:
        """Write at the host's position."""
        if self.flags & O_APPEND and not self._append and self.seekable:
            await self._seek(0, SEEK_END)
        return await self._console.write(t, self.stream, data, self.flags & O_NONBLOCK != 0)

    async def _seek(self, offset: int, whence: int) -> int:
        reply = await self._console.call(messages.Seek(self.stream, offset, whence))
        where: int = reply.offset
        return where

    async def lseek(self, t: Task, offset: int, whence: int) -> int:
        """Move the host's position; ESPIPE from the host for what has none."""
        self.pos = await self._seek(offset, whence)
        return self.pos

    async def pread(self, t: Task, count: int, offset: int) -> bytes:
        """Read elsewhere and come back; the messages know one position only."""
        here = await self._seek(0, SEEK_CUR)
        await self._seek(offset, SEEK_SET)
        try:
            return await self._console.try_read(self.stream, count) or b""
        finally:
            await self._seek(here, SEEK_SET)

    async def pwrite(self, t: Task, data: bytes, offset: int) -> int:
        """Write elsewhere and come back."""
        here = await self._seek(0, SEEK_CUR)
        await self._seek(offset, SEEK_SET)
        try:
            return await self._console.write(t, self.stream, data, True)
        finally:
            await self._seek(here, SEEK_SET)

    async def fsync(self, t: Task, datasync: bool) -> None:
        """The host keeps its file; pipes have nothing to sync (EINVAL)."""
        if self.inode.kind != S_IFREG:
            await super().fsync(t, datasync)

    async def refresh(self, events: int) -> None:
        """Ask the host."""
        if self.inode.kind != S_IFREG:
            await self._console.refresh(self.stream, events)

    def poll(self) -> int:
        """What the host said last; files are always ready."""
        if self.inode.kind == S_IFREG:
            return super().poll()
        mask = self._console.poll(self.stream)
        return mask if self.writable else mask & ~(POLLOUT | POLLWRNORM)

    def wait_queues(self) -> Sequence[WaitQueue]:
        """Woken by the host."""
        return (self._console.queues[self.stream],)

    def proc_name(self) -> bytes:
        """As Linux names what has no path here."""
        attr = self.inode.attr
        if attr.mode & S_IFMT == S_IFIFO:
            return b"pipe:[%d]" % attr.ino
        if attr.mode & S_IFMT == S_IFCHR and attr.rdev == NULL_RDEV:
            return b"/dev/null"
        return b"host:[std%s]" % (b"in", b"out", b"err")[self.stream]
