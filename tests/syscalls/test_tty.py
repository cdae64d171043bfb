"""Standard streams and the terminal: man 4 tty, man 2 ioctl_tty, man 3 termios."""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest

import syscalls.handlers.epoll
import syscalls.handlers.ioctl
import syscalls.handlers.poll  # noqa: F401
from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_WOULD_BLOCK, posix_error
from linuxemu.messages import console as m
from syscalls.abi import flags as f
from syscalls.abi.structs import Termios
from syscalls.errors import Interrupted, Restart, SysError
from syscalls.objects.console import Console
from syscalls.objects.credentials import Credentials
from syscalls.objects.device import CONSOLE_RDEV, NULL_RDEV, TTY_RDEV
from syscalls.objects.siginfo import SigAction, bit
from syscalls.vfs.virtual import VirtualNode
from syscalls.vfs.walk import lookup
from tests.syscalls.iorig import UNMAPPED, Rig
from tests.syscalls.jobs import error_of

_KEYS = bytes([3, 28, 127, 21, 4, 0, 1, *[0] * 12])
COOKED = Termios(0, 0, f.B38400 | f.CS8, f.ISIG | f.ICANON | f.ECHO, 0, _KEYS)


class Host:
    """Plays the console server: three streams with input queues and room for output."""

    def __init__(self, rig: Rig, *kinds: str) -> None:
        self.rig = rig
        self.kinds = kinds
        self.input: dict[int, bytes | None] = {0: b"", 1: b"", 2: b""}
        """What can be read; None: the end."""
        self.room = {0: 1 << 30, 1: 1 << 30, 2: 1 << 30}
        self.output = {0: b"", 1: b"", 2: b""}
        self.position = 0
        self.file = b""
        self.termios = COOKED
        self.size = (24, 80, 0, 0)
        self.watched: dict[int, int] = {}
        self.log: list[Any] = []

    def __call__(self, message: Any) -> Any:
        self.log.append(message)
        return getattr(self, type(message).__name__.lower())(message)

    def info(self, q: m.Info) -> m.InfoReply:
        kind = self.kinds[q.stream]
        if kind == "closed":
            raise RpcError(posix_error(errno.EBADF))
        if kind == "tty":
            return m.InfoReply(f.S_IFCHR | 0o620, 0x8800, 7, 0, True, f.O_RDWR)
        access = f.O_RDONLY if q.stream == 0 else f.O_WRONLY
        if kind == "null":
            return m.InfoReply(f.S_IFCHR | 0o666, NULL_RDEV, 5, 0, False, f.O_RDWR)
        if kind == "file":
            return m.InfoReply(f.S_IFREG | 0o644, 0, 8, len(self.file), False, f.O_RDWR)
        if kind == "append":
            return m.InfoReply(f.S_IFREG | 0o644, 0, 8, len(self.file), False, f.O_RDWR | f.O_APPEND)
        return m.InfoReply(f.S_IFIFO | 0o600, 0, 9, 0, False, access)

    def read(self, q: m.Read) -> m.ReadReply:
        if self.kinds[q.stream] == "file":
            data = self.file[self.position : self.position + q.len]
            self.position += len(data)
            return m.ReadReply(data)
        there = self.input[q.stream]
        if there is None:
            return m.ReadReply(b"")
        if not there:
            raise RpcError(ERR_WOULD_BLOCK)
        self.input[q.stream] = there[q.len :]
        return m.ReadReply(there[: q.len])

    def write(self, q: m.Write) -> m.WriteReply:
        room = self.room[q.stream]
        if room < 0:
            raise RpcError(posix_error(errno.EPIPE))
        if not room:
            raise RpcError(ERR_WOULD_BLOCK)
        data = q.data[:room]
        if self.kinds[q.stream] in ("file", "append"):
            self.file = self.file[: self.position].ljust(self.position, b"\0") + data
            self.position += len(data)
        self.room[q.stream] -= len(data)
        self.output[q.stream] += data
        return m.WriteReply(len(data))

    def seek(self, q: m.Seek) -> m.SeekReply:
        if self.kinds[q.stream] != "file":
            raise RpcError(posix_error(errno.ESPIPE))
        self.position = q.offset + (0, self.position, len(self.file))[q.whence]
        return m.SeekReply(self.position)

    def holds(self, stream: int, events: int) -> int:
        held = f.POLLOUT if self.room[stream] else 0
        there = self.input[stream]
        if there is None:
            held |= f.POLLHUP
        if there or there is None:
            held |= f.POLLIN
        if self.room[stream] < 0:
            held |= f.POLLERR
        return held & (events | f.POLLERR | f.POLLHUP)

    def poll(self, q: m.Poll) -> m.PollReply:
        return m.PollReply(self.holds(q.stream, q.events))

    def watch(self, q: m.Watch) -> m.WatchReply:
        self.watched[q.stream] = q.events
        return m.WatchReply()

    def tcgets(self, q: m.Tcgets) -> m.TcgetsReply:
        if self.kinds[q.stream] != "tty":
            raise RpcError(posix_error(errno.ENOTTY))
        return m.TcgetsReply(self.termios.pack())

    def tcsets(self, q: m.Tcsets) -> m.TcsetsReply:
        self.termios = Termios.unpack(q.termios)
        return m.TcsetsReply()

    def tcflush(self, q: m.Tcflush) -> m.TcflushReply:
        self.input[q.stream] = b""
        return m.TcflushReply()

    def getwinsize(self, q: m.GetWinsize) -> m.GetWinsizeReply:
        return m.GetWinsizeReply(*self.size)

    def setwinsize(self, q: m.SetWinsize) -> m.SetWinsizeReply:
        self.size = tuple(q)[1:]  # type: ignore[assignment]
        return m.SetWinsizeReply()

    def tell(self) -> None:
        """Answer the watches that hold now, as the server does after something changed."""
        for stream, events in list(self.watched.items()):
            held = self.holds(stream, events)
            if held:
                del self.watched[stream]
                self.rig.server.console.ready(stream, held)
        self.rig.settle()

    def type(self, data: bytes | None, stream: int = 0) -> None:
        """Something arrives at a stream."""
        self.input[stream] = data
        self.tell()


def boot(*kinds: str) -> tuple[Rig, Any, Host]:
    rig = Rig()
    host = rig.answer = Host(rig, *kinds)
    server: Any = rig.server
    server.console = Console(server)
    rig.mount_system()
    t = rig.task()
    rig.run(server.console.start())
    rig.run(server.console.install(t))
    return rig, t, host


@pytest.fixture
def term() -> tuple[Rig, Any, Host]:
    return boot("tty", "tty", "tty")


def fails(rig: Rig, coro: Any) -> int:
    return error_of(rig.run, coro)


def refused(rig: Rig, t: Any, cmd: int, arg: int, fd: int = 0) -> int:
    return fails(rig, rig.handler("ioctl")(t, fd, cmd, arg))


def background(rig: Rig, t: Any) -> Any:
    """A job of the same session that is not in the foreground."""
    child = rig.fork(t)
    child.process.table.new_group(child.process)
    child.files = t.files.clone()
    return child


# -- streams that are no terminals ---------------------------------------------------------------------------


def test_pipes_of_the_host_are_pipes() -> None:
    rig, t, _host = boot("pipe", "pipe", "closed")
    assert t.files.numbers() == [0, 1]
    attr = rig.run(t.files.get(0).getattr(t))
    assert (attr.mode, attr.ino) == (f.S_IFIFO | 0o600, 9)
    assert t.files.get(0).proc_name() == b"pipe:[9]"
    assert not t.files.get(0).seekable
    assert t.files.get(0).can_epoll
    assert refused(rig, t, f.TCGETS, UNMAPPED) == errno.ENOTTY
    assert fails(rig, t.files.get(0).lseek(t, 0, 0)) == errno.ESPIPE
    assert t.process.session.tty is None
    with pytest.raises(SysError):
        t.files.get(1, want=1)


def test_reading_waits_for_the_host() -> None:
    rig, t, host = boot("pipe", "pipe", "pipe")
    job = rig.spawn(t.files.get(0).read(t, 100))
    rig.settle()
    assert not job.done
    host.type(b"hello")
    assert job.value() == b"hello"
    assert rig.run(t.files.get(0).read(t, 0)) == b""
    host.type(None)
    assert rig.run(t.files.get(0).read(t, 100)) == b""


def test_two_readers_of_one_stream() -> None:
    rig, t, host = boot("pipe", "pipe", "pipe")
    jobs = [rig.spawn(t.files.get(0).read(t, 3)) for _ in range(2)]
    host.type(b"abc")
    assert sum(job.done for job in jobs) == 1
    host.type(b"def")
    assert sorted(job.value() for job in jobs) == [b"abc", b"def"]


def test_a_nonblocking_stream_answers_eagain() -> None:
    rig, t, host = boot("pipe", "pipe", "pipe")
    for fd in (0, 1):
        t.files.get(fd).flags |= f.O_NONBLOCK
    host.room[1] = 3
    assert fails(rig, t.files.get(0).read(t, 1)) == errno.EAGAIN
    assert rig.run(t.files.get(1).write(t, b"hello")) == 3
    assert fails(rig, t.files.get(1).write(t, b"hello")) == errno.EAGAIN


def test_writing_waits_for_room() -> None:
    rig, t, host = boot("pipe", "pipe", "pipe")
    host.room[1] = 4
    job = rig.spawn(t.files.get(1).write(t, b"0123456789"))
    rig.settle()
    assert not job.done
    host.room[1] = 100
    host.tell()
    assert job.value() == 10
    assert host.output[1] == b"0123456789"


def test_large_writes_go_in_several_messages() -> None:
    rig, t, host = boot("pipe", "pipe", "pipe")
    data = bytes(range(256)) * 1000
    assert rig.run(t.files.get(1).write(t, data)) == len(data)
    assert host.output[1] == data
    assert max(len(q.data) for q in host.log if isinstance(q, m.Write)) <= 1 << 16


def test_a_closed_pipe_of_the_host_is_sigpipe() -> None:
    rig, t, host = boot("pipe", "pipe", "pipe")
    t.process.sighand.set(f.SIGPIPE, SigAction(handler=0x1000))
    host.room[1] = -1
    assert fails(rig, t.files.get(1).write(t, b"x")) == errno.EPIPE
    assert t.pending.mask == bit(f.SIGPIPE)


def test_a_signal_makes_a_write_short() -> None:
    rig, t, host = boot("pipe", "pipe", "pipe")
    t.process.sighand.set(f.SIGINT, SigAction(handler=0x1000))
    host.room[1] = 4
    job = rig.spawn(t.files.get(1).write(t, b"0123456789"))
    rig.server.console.signal(f.SIGINT)
    rig.settle()
    assert job.value() == 4
    job = rig.spawn(t.files.get(1).write(t, b"0123456789"))
    assert isinstance(job.error, Interrupted)


def test_signals_without_a_terminal_go_to_the_first_job() -> None:
    rig, t, _host = boot("pipe", "pipe", "pipe")
    child = rig.fork(t)
    for task in (t, child):
        task.process.sighand.set(f.SIGINT, SigAction(handler=0x1000))
    rig.server.console.signal(f.SIGINT)
    assert t.process.pending.mask == child.process.pending.mask == bit(f.SIGINT)


def test_polling_a_stream() -> None:
    rig, t, host = boot("pipe", "pipe", "pipe")
    at = t.mem.alloc(struct.pack("<ihh", 0, f.POLLIN, 0))
    assert rig.call(t, "poll", at, 1, 0) == 0
    job = rig.start(t, "poll", at, 1, -1)
    rig.settle()
    assert not job.done
    host.type(b"x")
    assert job.value() == 1
    assert t.mem.get(at + 6, 2) == struct.pack("<h", f.POLLIN)
    assert rig.call(t, "poll", at, 1, 0) == 1, "it is asked anew each time"
    host.input[0] = b""
    assert rig.call(t, "poll", at, 1, 0) == 0
    out = t.mem.alloc(struct.pack("<ihh", 1, f.POLLOUT, 0))
    assert rig.call(t, "poll", out, 1, -1) == 1


def test_epoll_asks_the_host() -> None:
    rig, t, host = boot("pipe", "pipe", "pipe")
    ep = rig.call(t, "epoll_create1", 0)
    at = t.mem.alloc(12)
    for events in (f.EPOLLIN, f.EPOLLIN | f.EPOLLET):
        op = f.EPOLL_CTL_ADD if events == f.EPOLLIN else f.EPOLL_CTL_MOD
        rig.call(t, "epoll_ctl", ep, op, 0, t.mem.alloc(struct.pack("<IQ", events, 7)))
        assert rig.call(t, "epoll_wait", ep, at, 1, 0) == 0
        job = rig.start(t, "epoll_wait", ep, at, 1, -1)
        rig.settle()
        assert not job.done
        host.type(b"x")
        assert job.value() == 1
        assert rig.call(t, "epoll_wait", ep, at, 1, 0) == (events == f.EPOLLIN)
        host.input[0] = b""


def test_a_watch_for_two_things_survives_one_of_them() -> None:
    rig, t, host = boot("pipe", "tty", "pipe")
    host.room[1] = 0
    reading = rig.spawn(rig.server.console.wait(t, 1, f.POLLIN))
    writing = rig.spawn(rig.server.console.wait(t, 1, f.POLLOUT))
    host.type(b"x", stream=1)
    assert reading.value() is True
    assert not writing.done
    host.room[1] = 10
    host.tell()
    assert writing.value() is True


def test_null_of_the_host_keeps_its_name() -> None:
    _rig, t, _host = boot("null", "pipe", "pipe")
    assert t.files.get(0).proc_name() == b"/dev/null"
    assert t.files.get(1).proc_name() == b"pipe:[9]"


def test_files_of_the_host_have_a_position_and_a_size() -> None:
    rig, t, host = boot("file", "file", "pipe")
    host.file = b"0123456789"
    file = t.files.get(0)
    assert file.seekable
    assert not file.can_epoll
    assert rig.run(file.getattr(t)).size == 10
    assert rig.run(file.lseek(t, 4, f.SEEK_SET)) == 4
    assert rig.run(file.read(t, 3)) == b"456"
    assert rig.run(file.pread(t, 3, 1)) == b"123"
    assert rig.run(file.lseek(t, 0, f.SEEK_CUR)) == 7
    assert rig.run(file.lseek(t, 0, f.SEEK_END)) == 10
    host.file = b"0123456789abc"
    assert rig.run(file.getattr(t)).size == 13
    assert rig.run(file.pwrite(t, b"XY", 11)) == 2
    assert host.file == b"0123456789aXY"
    rig.run(file.fsync(t, False))
    assert file.poll() & f.POLLIN


def test_what_a_file_of_the_host_could_not_deliver_is_read_again() -> None:
    rig, t, host = boot("file", "pipe", "pipe")
    host.file = b"0123456789"
    t.files.get(1).flags |= f.O_NONBLOCK
    host.room[1] = 4
    assert rig.run(t.files.get(0).read(t, 2)) == b"01"
    assert rig.call(t, "sendfile", 1, 0, 0, 100) == 4
    assert (host.output[1], host.position) == (b"2345", 6)
    with pytest.raises(SysError):
        rig.call(t, "sendfile", 1, 0, 0, 100)
    assert host.position == 6


def test_what_a_pipe_of_the_host_could_not_deliver_is_gone() -> None:
    rig, t, host = boot("pipe", "pipe", "pipe")
    rig.run(t.files.get(0).unread(b"abc"))
    assert not any(isinstance(q, m.Seek) for q in host.log)


def test_append_mode_set_by_the_guest() -> None:
    rig, t, host = boot("file", "file", "pipe")
    host.file = b"abc"
    file = t.files.get(1)
    file.flags |= f.O_APPEND
    rig.run(file.write(t, b"def"))
    assert host.file == b"abcdef"


def test_append_mode_of_the_host_needs_no_seek() -> None:
    rig, t, host = boot("append", "append", "append")
    rig.run(t.files.get(1).write(t, b"x"))
    assert not any(isinstance(q, m.Seek) for q in host.log)


def test_a_stream_can_be_opened_again() -> None:
    rig, t, host = boot("pipe", "pipe", "pipe")
    inode = t.files.get(1).inode
    again = rig.run(inode.open(t, f.O_WRONLY, None))
    rig.run(again.write(t, b"through /dev/stdout"))
    assert host.output[1] == b"through /dev/stdout"


def test_nonsense_from_the_host_is_ignored() -> None:
    rig, _t, _host = boot("pipe", "pipe", "pipe")
    rig.server.console.ready(17, 1)


# -- the terminal --------------------------------------------------------------------------------------------


def test_terminal_streams_are_one_open_file(term: Any) -> None:
    rig, t, _host = term
    assert t.files.numbers() == [0, 1, 2]
    assert t.files.get(0) is t.files.get(1) is t.files.get(2)
    assert t.files.get(0).refs == 3
    assert t.files.get(0).flags == f.O_RDWR
    assert rig.run(t.files.get(0).getattr(t)).rdev == CONSOLE_RDEV
    tty = rig.server.console.tty
    assert t.process.session.tty is tty
    assert (tty.session, tty.foreground) == (t.process.session, t.process.pgrp)


def test_mixed_streams() -> None:
    rig, t, host = boot("pipe", "tty", "closed")
    assert t.files.numbers() == [0, 1]
    assert rig.server.console.tty.input_stream == rig.server.console.tty.output_stream == 1
    rig.run(t.files.get(1).write(t, b"x"))
    assert host.output[1] == b"x"


def test_reading_and_writing_the_terminal(term: Any) -> None:
    rig, t, host = term
    file = t.files.get(0)
    job = rig.spawn(file.read(t, 100))
    rig.settle()
    assert not job.done
    host.type(b"line\n")
    assert job.value() == b"line\n"
    rig.run(file.write(t, b"out"))
    assert host.output[1] == b"out"
    file.flags |= f.O_NONBLOCK
    assert fails(rig, file.read(t, 1)) == errno.EAGAIN
    assert rig.run(file.read(t, 0)) == b""


@pytest.mark.parametrize("tenths", [0, 5])
def test_reading_with_vmin_0_has_patience_of_vtime(term: Any, tenths: int) -> None:
    rig, t, host = term
    cc = bytearray(COOKED.c_cc)
    cc[f.VMIN], cc[f.VTIME] = 0, tenths
    raw = COOKED.replace(c_lflag=0, c_cc=bytes(cc))
    rig.call(t, "ioctl", 0, f.TCSETS, t.mem.alloc(raw.pack()))
    start = rig.now
    assert rig.run(t.files.get(0).read(t, 10)) == b""
    assert rig.now - start == tenths * 100_000_000
    job = rig.spawn(t.files.get(0).read(t, 10))
    if tenths:
        host.type(b"k")
        assert job.value() == b"k"


def test_reading_with_vmin_and_vtime_waits_between_bytes(term: Any) -> None:
    rig, t, host = term
    cc = bytearray(COOKED.c_cc)
    cc[f.VMIN], cc[f.VTIME] = 4, 5
    rig.call(t, "ioctl", 0, f.TCSETS, t.mem.alloc(COOKED.replace(c_lflag=0, c_cc=bytes(cc)).pack()))
    job = rig.spawn(t.files.get(0).read(t, 10))
    for key in (b"a", b"b", b"c"):
        host.type(key)
        rig.settle()
        assert not job.done
    host.type(b"de")
    assert job.value() == b"abcde"
    host.type(b"x")
    start = rig.now
    assert rig.run(t.files.get(0).read(t, 10)) == b"x"
    assert rig.now - start == 500_000_000
    host.type(b"yz")
    assert rig.run(t.files.get(0).read(t, 2)) == b"yz"
    host.type(b"y")
    t.files.get(0).flags |= f.O_NONBLOCK
    assert rig.run(t.files.get(0).read(t, 2)) == b"y"


def test_termios_forms(term: Any) -> None:
    rig, t, host = term
    at = t.mem.alloc(64)
    rig.call(t, "ioctl", 0, f.TCGETS, at)
    assert Termios.unpack(t.mem.get(at, 36)) == COOKED
    rig.call(t, "ioctl", 0, f.TCGETS2, at)
    assert struct.unpack("<II", t.mem.get(at + 36, 8)) == (38400, 38400)
    raw = COOKED.replace(c_lflag=0, c_cflag=f.B115200 | f.CS8)
    rig.call(t, "ioctl", 0, f.TCSETS2, t.mem.alloc(raw.pack() + bytes(8)))
    assert host.termios == raw
    rig.call(t, "ioctl", 0, f.TCGETS2, at)
    assert struct.unpack("<II", t.mem.get(at + 36, 8)) == (115200, 115200)
    rig.call(t, "ioctl", 0, f.TCGETA, at)
    old = t.mem.get(at, 18)
    assert struct.unpack("<HHHH", old[:8]) == (0, 0, raw.c_cflag & 0xFFFF, 0)
    changed = struct.pack("<HHHH", 1, 2, raw.c_cflag & 0xFFFF, f.ICANON) + old[8:]
    rig.call(t, "ioctl", 0, f.TCSETAW, t.mem.alloc(changed))
    assert host.termios == raw.replace(c_iflag=1, c_oflag=2, c_lflag=f.ICANON)
    actions = [q.action for q in host.log if isinstance(q, m.Tcsets)]
    rig.call(t, "ioctl", 0, f.TCSETSF, t.mem.alloc(raw.pack()))
    assert [*actions, 2] == [0, 1, 2]
    assert refused(rig, t, f.TCGETS, UNMAPPED) == errno.EFAULT
    assert refused(rig, t, f.TCSETS, UNMAPPED) == errno.EFAULT


def test_window_size(term: Any) -> None:
    rig, t, host = term
    t.process.sighand.set(f.SIGWINCH, SigAction(handler=0x1000))
    at = t.mem.alloc(8)
    rig.call(t, "ioctl", 0, f.TIOCGWINSZ, at)
    assert struct.unpack("<4H", t.mem.get(at, 8)) == (24, 80, 0, 0)
    rig.call(t, "ioctl", 0, f.TIOCSWINSZ, at)
    assert t.process.pending.mask == 0
    rig.call(t, "ioctl", 0, f.TIOCSWINSZ, t.mem.alloc(struct.pack("<4H", 50, 132, 0, 0)))
    assert host.size == (50, 132, 0, 0)
    assert t.process.pending.mask == bit(f.SIGWINCH)


def test_bytes_that_wait(term: Any) -> None:
    rig, t, host = term
    at = t.mem.alloc(4)
    rig.call(t, "ioctl", 0, f.FIONREAD, at)
    assert rig.run(t.mem.u32(at)) == 0
    host.type(b"abcdef")
    rig.call(t, "ioctl", 0, f.FIONREAD, at)
    assert rig.run(t.mem.u32(at)) == 6
    assert t.files.get(0).poll() & f.POLLIN
    assert rig.run(t.files.get(0).read(t, 4)) == b"abcd"
    rig.run(t.files.get(0).unread(b"cd"))
    assert rig.run(t.files.get(0).read(t, 10)) == b"cdef"
    host.type(None)
    rig.call(t, "ioctl", 0, f.FIONREAD, at)
    assert rig.run(t.mem.u32(at)) == 0
    host.input[0] = b""
    assert rig.run(t.files.get(0).read(t, 10)) == b"", "counting does not swallow the end"
    host.type(b"gone")
    rig.call(t, "ioctl", 0, f.FIONREAD, at)
    rig.call(t, "ioctl", 0, f.TCFLSH, f.TCIFLUSH)
    rig.call(t, "ioctl", 0, f.FIONREAD, at)
    assert rig.run(t.mem.u32(at)) == 0


def test_requests_without_effect(term: Any) -> None:
    rig, t, _host = term
    for cmd, arg in ((f.TCSBRK, 1), (f.TCSBRKP, 0), (f.TIOCSBRK, 0), (f.TIOCCBRK, 0), (f.TCXONC, 1)):
        assert rig.call(t, "ioctl", 0, cmd, arg) == 0
    at = t.mem.alloc(b"\xff" * 4)
    for cmd in (f.TIOCOUTQ, f.TIOCGETD, f.TIOCSETD, f.TIOCGEXCL):
        rig.call(t, "ioctl", 0, cmd, at)
        assert rig.run(t.mem.u32(at)) == 0
    rig.call(t, "ioctl", 0, f.TIOCGDEV, at)
    assert rig.run(t.mem.u32(at)) == CONSOLE_RDEV
    assert refused(rig, t, f.TIOCSETD, at) == errno.EINVAL
    assert refused(rig, t, f.TCFLSH, 3) == errno.EINVAL
    assert refused(rig, t, f.TCXONC, 4) == errno.EINVAL
    assert refused(rig, t, f.TIOCSTI, at) == errno.EIO
    for cmd in (f.TIOCMGET, f.TIOCGSERIAL, f.TIOCGPTN, f.BLKGETSIZE64, 0x9999):
        assert refused(rig, t, cmd, at) == errno.ENOTTY


# -- job control ---------------------------------------------------------------------------------------------


def test_session_and_foreground_of_the_terminal(term: Any) -> None:
    rig, t, _host = term
    at = t.mem.alloc(4)
    rig.call(t, "ioctl", 0, f.TIOCGSID, at)
    assert rig.run(t.mem.u32(at)) == t.process.pid
    rig.call(t, "ioctl", 0, f.TIOCGPGRP, at)
    assert rig.run(t.mem.u32(at)) == t.process.pid
    job = background(rig, t)
    rig.run(t.mem.put_u32(at, job.process.pid))
    rig.call(t, "ioctl", 0, f.TIOCSPGRP, at)
    assert rig.server.console.tty.foreground is job.process.pgrp


def test_setting_the_foreground_has_rules(term: Any) -> None:
    rig, t, _host = term
    other = rig.task()
    at = t.mem.alloc(4)
    for value, error in ((-5, errno.EINVAL), (4000, errno.ESRCH), (other.process.pid, errno.EPERM)):
        rig.run(t.mem.put_u32(at, value))
        assert refused(rig, t, f.TIOCSPGRP, at) == error
    other.files = t.files.clone()
    for cmd in (f.TIOCSPGRP, f.TIOCGPGRP, f.TIOCGSID, f.TIOCNOTTY):
        assert refused(rig, other, cmd, UNMAPPED) == errno.ENOTTY


def test_background_reading_is_sigttin(term: Any) -> None:
    rig, t, host = term
    host.input[0] = b"not for you"
    job = background(rig, t)
    job.process.sighand.set(f.SIGTTIN, SigAction(handler=0x1000))
    call = rig.spawn(job.files.get(0).read(job, 10))
    assert isinstance(call.error, Interrupted)
    assert call.error.restart == Restart.SYS
    assert job.process.pending.mask == bit(f.SIGTTIN)
    job.process.sighand.set(f.SIGTTIN, SigAction(handler=f.SIG_IGN))
    assert fails(rig, job.files.get(0).read(job, 10)) == errno.EIO
    job.process.sighand.set(f.SIGTTIN, SigAction())
    job.blocked = bit(f.SIGTTIN)
    assert fails(rig, job.files.get(0).read(job, 10)) == errno.EIO


def test_an_orphaned_job_gets_eio_instead(term: Any) -> None:
    rig, t, _host = term
    job = background(rig, t)
    rig.table.init.adopt(job.process, None)
    assert fails(rig, job.files.get(0).read(job, 10)) == errno.EIO
    assert refused(rig, job, f.TCSETS, job.mem.alloc(COOKED.pack())) == errno.EIO
    assert refused(rig, job, f.TIOCSPGRP, job.mem.alloc(4)) == errno.ENOTTY


def test_background_writing_stops_with_tostop_only(term: Any) -> None:
    rig, t, _host = term
    job = background(rig, t)
    job.process.sighand.set(f.SIGTTOU, SigAction(handler=0x1000))
    assert rig.run(job.files.get(1).write(job, b"fine")) == 4
    stopping = COOKED.replace(c_lflag=COOKED.c_lflag | f.TOSTOP)
    rig.call(t, "ioctl", 0, f.TCSETS, t.mem.alloc(stopping.pack()))
    call = rig.spawn(job.files.get(1).write(job, b"not now"))
    assert isinstance(call.error, Interrupted)
    assert job.process.pending.mask == bit(f.SIGTTOU)
    job.process.sighand.set(f.SIGTTOU, SigAction(handler=f.SIG_IGN))
    assert rig.run(job.files.get(1).write(job, b"ignored")) == 7


def test_background_changes_are_sigttou(term: Any) -> None:
    rig, t, _host = term
    job = background(rig, t)
    job.process.sighand.set(f.SIGTTOU, SigAction(handler=0x1000))
    for cmd in (f.TCSETS, f.TIOCSPGRP, f.TCFLSH, f.TCSBRK, f.TCXONC):
        call = rig.start(job, "ioctl", 0, cmd, job.mem.alloc(36))
        assert isinstance(call.error, Interrupted), hex(cmd)
    job.blocked = bit(f.SIGTTOU)
    assert rig.call(job, "ioctl", 0, f.TCSETS, job.mem.alloc(COOKED.pack())) == 0
    assert rig.call(job, "ioctl", 0, f.TIOCGPGRP, job.mem.alloc(4)) == 0


def test_keyboard_signals_reach_the_foreground_job(term: Any) -> None:
    rig, t, _host = term
    job = background(rig, t)
    for task in (t, job):
        task.process.sighand.set(f.SIGINT, SigAction(handler=0x1000))
    rig.server.console.signal(f.SIGINT)
    assert (t.process.pending.mask, job.process.pending.mask) == (bit(f.SIGINT), 0)
    rig.server.console.tty.foreground = job.process.pgrp
    rig.server.console.signal(f.SIGINT)
    assert job.process.pending.mask == bit(f.SIGINT)


# -- gaining and losing the terminal -------------------------------------------------------------------------


def node(rig: Rig, rdev: int) -> Any:
    return VirtualNode(rig.server.devices.pipefs, f.S_IFCHR | 0o666, rdev)


def test_dev_tty_is_the_controlling_terminal(term: Any) -> None:
    rig, t, host = term
    file = rig.run(node(rig, TTY_RDEV).open(t, f.O_RDWR, None))
    rig.run(file.write(t, b"direct"))
    assert host.output[1] == b"direct"
    other = rig.task()
    assert fails(rig, node(rig, TTY_RDEV).open(other, f.O_RDWR, None)) == errno.ENXIO
    file = rig.run(node(rig, CONSOLE_RDEV).open(other, f.O_RDWR, None))
    assert rig.run(file.write(other, b"!")) == 1
    assert other.process.session.tty is None


def test_without_a_terminal_there_is_no_console() -> None:
    rig, t, _host = boot("pipe", "pipe", "pipe")
    for rdev in (TTY_RDEV, CONSOLE_RDEV):
        assert fails(rig, node(rig, rdev).open(t, f.O_RDWR, None)) == errno.ENXIO


def test_giving_up_and_taking_the_terminal(term: Any) -> None:
    rig, t, _host = term
    for signo in (f.SIGHUP, f.SIGCONT):
        t.process.sighand.set(signo, SigAction(handler=0x1000))
    tty = rig.server.console.tty
    child = rig.fork(t)
    child.files = t.files.clone()
    assert rig.call(child, "ioctl", 0, f.TIOCNOTTY, 0) == 0
    assert t.process.session.tty is tty, "only the leader gives it up for all"
    assert rig.call(t, "ioctl", 0, f.TIOCSCTTY, 0) == 0, "it has it"
    assert rig.call(t, "ioctl", 0, f.TIOCNOTTY, 0) == 0
    assert t.process.pending.mask == bit(f.SIGHUP) | bit(f.SIGCONT)
    assert (t.process.session.tty, tty.session, tty.foreground) == (None, None, None)
    assert refused(rig, child, f.TIOCSCTTY, 0) == errno.EPERM
    assert rig.call(t, "ioctl", 0, f.TIOCSCTTY, 0) == 0
    assert (tty.session, tty.foreground) == (t.process.session, t.process.pgrp)


def test_a_terminal_in_use_is_taken_only_by_root(term: Any) -> None:
    rig, t, _host = term
    user = rig.task(Credentials.user(1000, 1000))
    root = rig.task()
    for task in (user, root):
        task.files = t.files.clone()
    assert refused(rig, user, f.TIOCSCTTY, 1) == errno.EPERM
    assert refused(rig, root, f.TIOCSCTTY, 0) == errno.EPERM
    assert rig.call(root, "ioctl", 0, f.TIOCSCTTY, 1) == 0
    assert t.process.session.tty is None
    assert root.process.session.tty is rig.server.console.tty


def test_the_leader_s_exit_hangs_up_the_foreground_job(term: Any) -> None:
    rig, t, _host = term
    job = background(rig, t)
    for signo in (f.SIGHUP, f.SIGCONT):
        job.process.sighand.set(signo, SigAction(handler=0x1000))
    tty = rig.server.console.tty
    tty.foreground = job.process.pgrp
    tty.take_away(exiting=True)
    assert job.process.pending.mask == bit(f.SIGHUP)
    assert job.process.session.tty is None


def test_hang_up(term: Any) -> None:
    rig, t, host = term
    for signo in (f.SIGHUP, f.SIGCONT):
        t.process.sighand.set(signo, SigAction(handler=0x1000))
    t.blocked = bit(f.SIGHUP) | bit(f.SIGCONT)
    job = rig.spawn(t.files.get(0).read(t, 10))
    rig.server.console.signal(f.SIGHUP)
    host.type(None)
    assert job.value() == b""
    assert t.process.pending.mask == bit(f.SIGHUP) | bit(f.SIGCONT)
    assert rig.run(t.files.get(0).read(t, 10)) == b""
    assert fails(rig, t.files.get(0).write(t, b"x")) == errno.EIO
    assert refused(rig, t, f.TCGETS, UNMAPPED) == errno.EIO
    assert t.files.get(0).poll() & f.POLLHUP
    assert fails(rig, node(rig, TTY_RDEV).open(t, f.O_RDWR, None)) == errno.ENXIO


def test_vhangup_request_is_root_s() -> None:
    rig, t, _host = boot("tty", "tty", "tty")
    t.creds = Credentials.user(1000, 1000)
    assert refused(rig, t, f.TIOCVHANGUP, 0) == errno.EPERM
    t.creds = Credentials()
    t.process.sighand.set(f.SIGHUP, SigAction(handler=0x1000))
    rig.call(t, "ioctl", 0, f.TIOCVHANGUP, 0)
    assert rig.server.console.tty.hung_up


def test_exclusive_mode(term: Any) -> None:
    rig, t, _host = term
    rig.call(t, "ioctl", 0, f.TIOCEXCL, 0)
    user = rig.fork(t)
    user.creds = Credentials.user(1000, 1000)
    assert fails(rig, node(rig, TTY_RDEV).open(user, f.O_RDWR, None)) == errno.EBUSY
    rig.run(node(rig, TTY_RDEV).open(t, f.O_RDWR, None))
    rig.call(t, "ioctl", 0, f.TIOCNXCL, 0)
    rig.run(node(rig, TTY_RDEV).open(user, f.O_RDWR, None))


def test_polling_the_terminal(term: Any) -> None:
    rig, t, host = term
    at = t.mem.alloc(struct.pack("<ihh", 0, f.POLLIN | f.POLLOUT, 0))
    assert rig.call(t, "poll", at, 1, 0) == 1
    assert t.mem.get(at + 6, 2) == struct.pack("<h", f.POLLOUT)
    reads = t.mem.alloc(struct.pack("<ihh", 0, f.POLLIN, 0))
    job = rig.start(t, "poll", reads, 1, -1)
    rig.settle()
    assert not job.done
    host.type(b"key")
    assert job.value() == 1


def test_the_terminal_has_a_name(term: Any) -> None:
    rig, t, _host = term
    link = rig.run(lookup(t, f.AT_FDCWD, b"/proc/self/fd/0", follow=False)).inode
    assert rig.run(link.readlink(t)) == b"/dev/console"
    assert rig.read(t, b"/proc/self/stat").split()[6:8] == [b"%d" % CONSOLE_RDEV, b"%d" % t.process.pid]
