"""The terminal: the host's, seen as /dev/console, with sessions and job control (man 4 tty).

Line editing, echo and the keys that send signals are the host terminal's; this module decides who may read
and write, and whom a signal reaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.messages import console as messages
from syscalls.abi.errno import EAGAIN, EBUSY, EIO, ENOENT, ENXIO
from syscalls.abi.flags import (
    AT_FDCWD,
    CAP_SYS_ADMIN,
    ICANON,
    O_ACCMODE,
    O_NONBLOCK,
    O_RDWR,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
    S_IFCHR,
    SIG_IGN,
    SIGCONT,
    SIGHUP,
    SIGTTIN,
    SIGTTOU,
    TOSTOP,
    VMIN,
    VTIME,
)
from syscalls.abi.structs import Termios
from syscalls.errors import Interrupted, Restart, SysError
from syscalls.objects.device import CONSOLE_RDEV, TTY_RDEV
from syscalls.objects.polling import RemoteFile
from syscalls.objects.siginfo import SigInfo
from syscalls.objects.signal import send_group, send_signal
from syscalls.vfs.virtual import VirtualNode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linuxemu.kernel import WaitQueue
    from syscalls.objects.console import Console
    from syscalls.objects.file import File
    from syscalls.objects.process import Process, ProcessGroup, Session
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode
    from syscalls.vfs.mount import Path

_TENTH = 100_000_000
_READ_AHEAD = 4096


class Tty:
    """The terminal that some of the host's streams are.

    Args:
        console: the streams.
        streams: those that are terminals; all are taken to be the same one.
    """

    __slots__ = (
        "_console",
        "_ended",
        "_input",
        "_termios",
        "exclusive",
        "foreground",
        "hung_up",
        "input_stream",
        "output_stream",
        "session",
    )

    def __init__(self, console: Console, streams: Sequence[int]) -> None:
        self._console = console
        reads = [n for n in streams if console.info[n].flags & O_ACCMODE != 1]
        writes = [n for n in streams if console.info[n].flags & O_ACCMODE != 0]
        self.input_stream = (reads or streams)[0]
        self.output_stream = (writes or streams)[-1] if 1 not in writes else 1
        self.session: Session | None = None
        """The session whose controlling terminal it is."""
        self.foreground: ProcessGroup | None = None
        """The job that may read, and that the keyboard's signals go to."""
        self.exclusive = False
        """TIOCEXCL: only root may open it."""
        self.hung_up = False
        self._input = b""
        # An end of file (^D) that was fetched but not read yet.
        self._ended = False
        self._termios: Termios | None = None

    # -- sessions and jobs -----------------------------------------------------------------------------------

    def controls(self, process: Process) -> bool:
        """Whether it is the controlling terminal of a process."""
        return process.session.tty is self

    def give_to(self, session: Session, foreground: ProcessGroup) -> None:
        """Become the controlling terminal of a session, taking it from another one (TIOCSCTTY)."""
        if self.session is not None:
            self.session.tty = None
        self.session = session
        session.tty = self
        self.foreground = foreground

    def take_away(self, exiting: bool) -> None:
        """Its session loses it: TIOCNOTTY by the leader, or the leader exits (man 4 tty).

        Args:
            exiting: the leader ends; stopped jobs are not continued by this.
        """
        if self.foreground is not None:
            send_group(self.foreground, SigInfo(SIGHUP))
            if not exiting:
                send_group(self.foreground, SigInfo(SIGCONT))
        if self.session is not None:
            self.session.tty = None
        self.session = self.foreground = None

    def signal(self, signo: int) -> None:
        """A signal from the host's terminal; SIGHUP means that it is gone."""
        if signo == SIGHUP:
            self.hang_up()
        elif self.foreground is not None:
            send_group(self.foreground, SigInfo(signo))

    def hang_up(self) -> None:
        """The line is gone: the session's leader and the foreground job get SIGHUP, reads end."""
        self.hung_up = True
        if self.session is not None and self.session.leader is not None:
            send_signal(self.session.leader, SigInfo(SIGHUP))
            send_signal(self.session.leader, SigInfo(SIGCONT))
        if self.foreground is not None:
            send_group(self.foreground, SigInfo(SIGHUP))
        for queue in self.wait_queues():
            queue.wake_all()

    def check_job(self, t: Task, signo: int) -> None:
        """Stop a background job that touches the terminal.

        Args:
            t: who does.
            signo: SIGTTIN for reading, SIGTTOU for changing or (with TOSTOP) writing.
        Raises:
            SysError: EIO when stopping is pointless: nobody could continue the job, or a reader ignores it.
            Interrupted: the signal is on its way.
        """
        pgrp = t.process.pgrp
        if not self.controls(t.process) or self.foreground is None or pgrp is self.foreground:
            return
        ignored = t.blocked >> (signo - 1) & 1 or t.process.sighand.get(signo).handler == SIG_IGN
        if ignored:
            if signo == SIGTTIN:
                raise SysError(EIO)
            return
        if pgrp.is_orphaned():
            raise SysError(EIO)
        send_group(pgrp, SigInfo(signo))
        raise Interrupted(Restart.SYS)

    # -- data ------------------------------------------------------------------------------------------------

    async def read(self, t: Task, count: int, nonblock: bool) -> bytes:
        """Read a line, or what is there when the terminal is not in canonical mode (man 3 termios)."""
        deadline: int | None = None
        while True:
            if self.hung_up:
                return b""
            self.check_job(t, SIGTTIN)
            data = await self._take(count)
            if data is not None:
                return data if nonblock else await self._following(t, data, count)
            if nonblock:
                raise SysError(EAGAIN)
            if deadline is None:
                tenths = await self._patience()
                if tenths == 0:
                    return b""
                deadline = t.server.port.now_ns() + tenths * _TENTH if tenths else None
            if not await self._console.wait(t, self.input_stream, POLLIN, deadline):
                return b""

    async def _take(self, count: int) -> bytes | None:
        if self._input:
            data, self._input = self._input[:count], self._input[count:]
            return data
        if self._ended:
            self._ended = False
            return b""
        return await self._console.try_read(self.input_stream, count)

    async def _following(self, t: Task, data: bytes, count: int) -> bytes:
        """What was read and, up to VMIN bytes, what follows before VTIME has passed between two of them."""
        termios = self._termios
        if termios is None or termios.c_lflag & ICANON or not termios.c_cc[VTIME]:
            return data
        least = min(termios.c_cc[VMIN], count)
        while 0 < len(data) < least:
            deadline = t.server.port.now_ns() + termios.c_cc[VTIME] * _TENTH
            try:
                if not await self._console.wait(t, self.input_stream, POLLIN, deadline):
                    break
            except Interrupted:
                break
            more = await self._take(count - len(data))
            if not more:
                break
            data += more
        return data

    async def _patience(self) -> int | None:
        """How long a read waits for the first byte: tenths of a second, None for ever."""
        termios = await self.termios()
        if termios.c_lflag & ICANON or termios.c_cc[VMIN]:
            return None
        return termios.c_cc[VTIME]

    async def write(self, t: Task, data: bytes, nonblock: bool) -> int:
        """Write; a background job may have to stop first."""
        if self.hung_up:
            raise SysError(EIO)
        background = self.controls(t.process) and t.process.pgrp is not self.foreground
        if background and (await self.termios()).c_lflag & TOSTOP:
            self.check_job(t, SIGTTOU)
        return await self._console.write(t, self.output_stream, data, nonblock)

    def unread(self, data: bytes) -> None:
        """Bytes that a reader could not take stay in the queue."""
        self._input = data + self._input

    async def pending(self) -> int:
        """How many bytes a read would get: FIONREAD. They are fetched to be counted, one line at most."""
        if not self._input and not self._ended:
            data = await self._console.try_read(self.input_stream, _READ_AHEAD)
            if data is not None:
                self._input, self._ended = data, not data
        return len(self._input)

    def _drop_input(self) -> None:
        self._input = b""
        self._ended = False

    async def refresh(self, events: int) -> None:
        """Ask the host which of `events` hold."""
        if events & (POLLIN | POLLRDNORM):
            await self._console.refresh(self.input_stream, events & POLLIN)
        if events & POLLOUT and self.output_stream != self.input_stream:
            await self._console.refresh(self.output_stream, POLLOUT)

    def poll(self) -> int:
        """The POLL* events that hold."""
        if self.hung_up:
            return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP
        mask = self._console.poll(self.input_stream) & ~(POLLOUT | POLLWRNORM)
        mask |= POLLOUT | POLLWRNORM  # a terminal takes output whenever poll asks; writes wait by themselves
        return mask | POLLIN | POLLRDNORM if self._input or self._ended else mask

    def wait_queues(self) -> Sequence[WaitQueue]:
        """Woken by the host."""
        queues = self._console.queues
        return (queues[self.input_stream], queues[self.output_stream])

    # -- settings --------------------------------------------------------------------------------------------

    async def termios(self) -> Termios:
        """The settings, as the guest last set them or the host had them at first."""
        return self._termios if self._termios is not None else await self.get_termios()

    async def get_termios(self) -> Termios:
        """The settings now: TCGETS."""
        reply = await self._console.call(messages.Tcgets(self.input_stream))
        self._termios = Termios.unpack(reply.termios)
        return self._termios

    async def set_termios(self, action: int, termios: Termios) -> None:
        """Change the settings: TCSETS, TCSETSW (1), TCSETSF (2: unread input is dropped)."""
        if action == messages.TcsetsAction.FLUSH:
            self._drop_input()
        await self._console.call(messages.Tcsets(self.input_stream, action, termios.pack()))
        self._termios = termios

    async def flush(self, queue: int) -> None:
        """Drop what is queued: TCFLSH."""
        self._drop_input()
        await self._console.call(messages.Tcflush(self.input_stream, queue))

    async def get_winsize(self) -> tuple[int, int, int, int]:
        """Rows, columns, and both in pixels."""
        reply = await self._console.call(messages.GetWinsize(self.output_stream))
        return reply.rows, reply.cols, reply.xpixel, reply.ypixel

    async def set_winsize(self, size: tuple[int, int, int, int]) -> None:
        """Change the window size."""
        await self._console.call(messages.SetWinsize(self.output_stream, *size))

    # -- opening ---------------------------------------------------------------------------------------------

    async def open_first(self, t: Task) -> File:
        """The file that the first task has as descriptors 0 to 2; its session gets the terminal."""
        from syscalls.vfs.walk import lookup

        self.give_to(t.process.session, t.process.pgrp)
        try:
            path = await lookup(t, AT_FDCWD, b"/dev/console")
        except SysError as error:
            if error.errno != ENOENT:
                raise
            return TtyFile(self, VirtualNode(t.server.devices.pipefs, S_IFCHR | 0o620, CONSOLE_RDEV), O_RDWR)
        return TtyFile(self, path.inode, O_RDWR, path)


class TtyFile(RemoteFile):
    """The terminal, opened.

    Args:
        tty: the terminal.
        inode: the device node.
        flags: access mode and status flags.
        path: where the node is.
    """

    __slots__ = ("tty",)

    def __init__(self, tty: Tty, inode: Inode, flags: int, path: Path | None = None) -> None:
        super().__init__(inode, flags, path)
        self.tty = tty

    async def read(self, t: Task, count: int) -> bytes:
        """Read a line or what is there."""
        return await self.tty.read(t, count, self.flags & O_NONBLOCK != 0) if count else b""

    async def write(self, t: Task, data: bytes) -> int:
        """Write."""
        return await self.tty.write(t, data, self.flags & O_NONBLOCK != 0)

    async def unread(self, data: bytes) -> None:
        """Give back what could not be delivered."""
        self.tty.unread(data)

    async def ioctl(self, t: Task, cmd: int, arg: int) -> int:
        """The requests of man 2 ioctl_tty."""
        from syscalls.objects.ttyioctl import tty_ioctl

        return await tty_ioctl(t, self, cmd, arg)

    async def refresh(self, events: int) -> None:
        """Ask the host."""
        await self.tty.refresh(events)

    def poll(self) -> int:
        """What holds for the terminal, as far as the access mode allows."""
        return self.tty.poll()

    def wait_queues(self) -> Sequence[WaitQueue]:
        """Woken by the host."""
        return self.tty.wait_queues()

    def proc_name(self) -> bytes:
        """Where it would be found."""
        return b"/dev/console"


def open_device(t: Task, inode: Inode, flags: int, path: Path | None) -> File:
    """Open /dev/tty or /dev/console. Neither becomes a controlling terminal by being opened.

    Raises:
        SysError: ENXIO without a controlling terminal, or if no stream is a terminal; EBUSY after TIOCEXCL.
    """
    tty = t.process.session.tty if inode.attr.rdev == TTY_RDEV else t.server.console.tty
    if tty is None or tty.hung_up:
        raise SysError(ENXIO)
    if tty.exclusive and not t.creds.capable(CAP_SYS_ADMIN):
        raise SysError(EBUSY)
    return TtyFile(tty, inode, flags, path)
