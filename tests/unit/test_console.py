"""The console server: host descriptors, terminals, captured streams; it never waits."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import signal
import stat
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_INVALID_ARG, ERR_NOT_ACCEPTABLE, ERR_WOULD_BLOCK, posix_errno
from linuxemu.messages import console, fs
from linuxemu.servers.console import ConsoleServer, InputStream, NullStream, OutputStream, Stream
from linuxemu.servers.console.host import HostStream, Terminal, host_streams
from linuxemu.servers.console.ktermios import pack_settings, unpack_settings
from tests.helpers import ROOT, run
from tests.unit.fs_client import through_the_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from linuxemu.messages import Message

IN, OUT, ERR, HUP = 1, 4, 8, 16
CLIENT, OTHER = 7, 8


class Port:
    """Watches nothing by itself: `fire` is what the kernel does when the host says so."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Message]] = []
        self.watches: dict[int, tuple[int, Callable[[int], object]]] = {}

    def async_send(self, dst: int, message: Message) -> None:
        self.sent.append((dst, through_the_wire(message)))

    def watch_fd(self, fd: int, events: int, callback: Callable[[int], object]) -> Callable[[], None]:
        assert fd not in self.watches
        self.watches[fd] = events, callback
        return lambda: self.watches.pop(fd) and None

    def fire(self, fd: int) -> None:
        events, callback = self.watches.pop(fd)
        callback(events)

    def take(self) -> list[tuple[int, Message]]:
        sent, self.sent = self.sent, []
        return sent


class Console:
    """A client of a console server."""

    def __init__(self, *streams: Stream) -> None:
        self.streams = [*streams, *[NullStream()] * (3 - len(streams))]
        self.server = ConsoleServer(*self.streams)
        self.port = self.server.port = Port()  # type: ignore[assignment]

    def call(self, message: Message, src: int = CLIENT) -> Any:
        reply = run(self.server.handle(src, through_the_wire(message)))
        return through_the_wire(reply)

    def error(self, message: Message) -> int:
        """The word or the errno that a request is answered with."""
        with pytest.raises(RpcError) as caught:
            self.call(message)
        return posix_errno(caught.value.code) or caught.value.code

    def read(self, stream: int = 0, length: int = 100) -> bytes:
        data: bytes = self.call(console.Read(stream, length)).data
        return data

    def write(self, data: bytes, stream: int = 0) -> int:
        return int(self.call(console.Write(stream, data)).written)

    def poll(self, events: int, stream: int = 0) -> int:
        return int(self.call(console.Poll(stream, events)).revents)


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    fds = list(os.pipe())
    yield fds
    for fd in fds:
        if fd >= 0:
            os.close(fd)


@pytest.fixture
def tty() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


# requests as such


def test_streams_out_of_range_and_unknown_requests() -> None:
    client = Console()
    assert client.error(console.Read(3, 1)) == ERR_INVALID_ARG
    assert client.error(console.Read(-1, 1)) == ERR_INVALID_ARG
    assert client.error(fs.Close(1)) == ERR_NOT_ACCEPTABLE


@pytest.mark.parametrize(
    "request_",
    [
        console.Tcgets(0),
        console.Tcsets(0, 0, bytes(36)),
        console.Tcflush(0, 0),
        console.GetWinsize(0),
        console.SetWinsize(0, 1, 1, 1, 1),
    ],
)
@pytest.mark.parametrize("kind", ["memory", "pipe"])
def test_what_is_no_terminal_says_so(request_: Message, kind: str, pipe: list[int]) -> None:
    client = Console(InputStream(b"") if kind == "memory" else HostStream(pipe[0]))
    assert client.error(request_) == errno.ENOTTY


@pytest.mark.parametrize(
    "request_",
    [
        console.Tcsets(0, 0, bytes(35)),
        console.Tcsets(0, 3, bytes(36)),
        console.Tcsets(0, -1, bytes(36)),
        console.Tcflush(0, 3),
    ],
)
def test_arguments_that_make_no_sense(request_: Message, tty: tuple[int, int]) -> None:
    assert Console(*host_streams([tty[1], None, None])).error(request_) == ERR_INVALID_ARG


# streams in memory


def test_input_from_memory_looks_like_a_pipe_whose_writer_has_gone() -> None:
    client = Console(InputStream(b"abcdef"))
    info = client.call(console.Info(0))
    assert stat.S_ISFIFO(info.mode)
    assert (info.flags, info.tty) == (os.O_RDONLY, False)
    assert client.poll(IN) == IN | HUP
    assert client.read(length=4) == b"abcd"
    assert client.read(length=4) == b"ef"
    assert client.read() == b""
    assert client.poll(IN) == HUP
    assert client.error(console.Write(0, b"x")) == errno.EBADF
    assert client.error(console.Seek(0, 0, 0)) == errno.ESPIPE


def test_output_is_collected_and_passed_on() -> None:
    pieces: list[bytes] = []
    out = OutputStream(pieces.append)
    client = Console(NullStream(), out, OutputStream())
    assert client.write(b"hello ", 1) == 6
    assert client.write(b"", 1) == 0
    assert client.write(b"world", 1) == 5
    assert client.write(b"oops", 2) == 4
    assert bytes(out.data) == b"hello world"
    assert pieces == [b"hello ", b"world"]
    assert client.error(console.Read(1, 1)) == errno.EBADF
    assert client.poll(IN | OUT, 1) == OUT
    assert client.call(console.Info(1)).flags == os.O_WRONLY


def test_a_closed_stream() -> None:
    client = Console()
    assert client.error(console.Info(0)) == errno.EBADF
    assert client.read() == b""
    assert client.error(console.Write(1, b"x")) == errno.EBADF
    assert client.poll(IN | OUT) == IN | HUP


def test_a_stream_is_neither_read_nor_written_unless_it_says_how() -> None:
    stream = Stream()
    assert stream.poll(IN | OUT) == 0
    assert stat.S_ISFIFO(stream.info().mode)
    client = Console(stream)
    client.call(console.Watch(0, IN))
    assert client.port.take() == []


def test_memory_is_ready_at_once() -> None:
    client = Console(InputStream(b"x"), OutputStream())
    client.call(console.Watch(0, IN))
    client.call(console.Watch(1, OUT))
    assert client.port.take() == [
        (CLIENT, console.Ready(0, IN | HUP)),
        (CLIENT, console.Ready(1, OUT)),
    ]


# descriptors of the host


def test_reading_a_pipe_never_waits(pipe: list[int]) -> None:
    client = Console(HostStream(pipe[0]))
    assert client.error(console.Read(0, 10)) == ERR_WOULD_BLOCK
    assert client.poll(IN | OUT) == 0
    os.write(pipe[1], b"abc")
    assert client.poll(IN) == IN
    assert client.read(length=2) == b"ab"
    assert client.read() == b"c"
    os.close(pipe[1])
    pipe[1] = -1
    assert client.poll(IN) == HUP
    assert client.read() == b""


def test_writing_a_pipe_takes_what_there_is_room_for(pipe: list[int]) -> None:
    fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 16384)
    client = Console(NullStream(), HostStream(pipe[1]))
    assert client.write(b"x" * 100_000, 1) == 16384
    assert client.error(console.Write(1, b"y")) == ERR_WOULD_BLOCK
    assert client.poll(OUT, 1) == 0
    assert len(os.read(pipe[0], 5000)) == 5000
    assert client.write(b"z" * 8192, 1) in (4096, 8192)
    assert not fcntl.fcntl(pipe[1], fcntl.F_GETFL) & os.O_NONBLOCK


def test_writing_a_pipe_with_room(pipe: list[int]) -> None:
    client = Console(NullStream(), HostStream(pipe[1]))
    assert client.write(b"x" * 10_000, 1) == 10_000
    assert os.read(pipe[0], 20_000) == b"x" * 10_000


def test_writing_nothing_is_no_wait(pipe: list[int]) -> None:
    assert Console(NullStream(), HostStream(pipe[1])).write(b"", 1) == 0


def test_writing_a_terminal_whose_screen_nobody_reads_never_waits() -> None:
    for size in (7, 1000, 3000, 4096, 20_000):
        for text in (b"x", b"\n"):
            master, slave = pty.openpty()
            client = Console(NullStream(), host_streams([None, slave, None])[1])
            codes = set()
            for _ in range(30_000):
                try:
                    assert client.write(text * size, 1) > 0
                except RpcError as error:
                    codes.add(error.code)
                    break
            assert codes == {ERR_WOULD_BLOCK}
            assert not fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK
            os.close(master)
            os.close(slave)


def test_reading_a_terminal_never_waits_for_more_bytes(tty: tuple[int, int]) -> None:
    settings = termios.tcgetattr(tty[1])
    settings[3] &= ~termios.ICANON
    settings[6][termios.VMIN], settings[6][termios.VTIME] = 200, 255
    termios.tcsetattr(tty[1], termios.TCSANOW, settings)
    os.write(tty[0], b"abc")
    assert Console(host_streams([tty[1], None, None])[0]).read() == b"abc"


def test_terminals_are_closed_with_their_streams(tty: tuple[int, int]) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    client = Console(*host_streams([tty[1], tty[1], None]))
    client.write(b"x", 1)
    os.write(tty[0], b"y\n")
    assert client.read() == b"y\n"
    client.server.stop()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_writing_a_pipe_without_reader(pipe: list[int]) -> None:
    client = Console(NullStream(), HostStream(pipe[1]))
    os.close(pipe[0])
    pipe[0] = -1
    assert client.poll(OUT, 1) & ERR
    assert client.error(console.Write(1, b"x")) == errno.EPIPE


def test_the_callers_own_nonblocking_descriptor(pipe: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    os.set_blocking(pipe[0], False)
    os.set_blocking(pipe[1], False)
    reader, writer = HostStream(pipe[0]), HostStream(pipe[1])
    monkeypatch.setattr(reader, "poll", lambda _: IN)  # ready a moment ago; somebody else was faster
    client = Console(reader, writer)
    assert client.error(console.Read(0, 1)) == ERR_WOULD_BLOCK
    while client.poll(OUT, 1):
        os.write(pipe[1], b"x" * 4096)
    monkeypatch.setattr(writer, "poll", lambda _: OUT)
    assert client.error(console.Write(1, b"y")) == ERR_WOULD_BLOCK


def test_a_short_write_hides_a_later_error(pipe: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = HostStream(pipe[1])
    monkeypatch.setattr(stream, "poll", lambda _: OUT)
    results: list[Any] = [4096, OSError(errno.EPIPE, "")]

    def write(fd: int, data: bytes) -> int:
        result = results.pop(0)
        if isinstance(result, OSError):
            raise result
        assert len(data) == 4096
        return int(result)

    monkeypatch.setattr("linuxemu.servers.console.host.os.write", write)
    assert stream.write(b"x" * 9000) == 4096


def test_regular_files(tmp_path: Any) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    fd = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        client = Console(HostStream(fd))
        info = client.call(console.Info(0))
        state = os.fstat(fd)
        assert tuple(info) == (state.st_mode, 0, state.st_ino, 10, False, os.O_RDWR | os.O_APPEND)
        assert client.read(length=3) == b"012"
        assert client.call(console.Seek(0, -2, 2)).offset == 8
        assert client.read() == b"89"
        assert client.read() == b""
        assert client.write(b"x" * 100_000) == 100_000
        assert client.poll(IN | OUT) == IN | OUT
        assert client.error(console.Seek(0, -1, 0)) == errno.EINVAL
        client.call(console.Watch(0, IN))
        assert client.port.take() == [(CLIENT, console.Ready(0, IN))]
        assert client.port.watches == {}  # type: ignore[attr-defined]
    finally:
        os.close(fd)


def test_a_full_file_system_and_a_directory(tmp_path: Any) -> None:
    full = os.open("/dev/full", os.O_RDWR)
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        client = Console(HostStream(directory), HostStream(full))
        assert client.error(console.Write(1, b"x")) == errno.ENOSPC
        assert client.error(console.Read(0, 1)) == errno.EISDIR
        assert client.call(console.Info(1)).rdev == os.makedev(1, 7)
    finally:
        os.close(full)
        os.close(directory)


# watching


def test_watch_tells_once_when_something_comes(pipe: list[int]) -> None:
    client = Console(HostStream(pipe[0]))
    client.call(console.Watch(0, IN))
    assert client.port.take() == []
    assert client.port.watches[pipe[0]][0] == 1
    os.write(pipe[1], b"x")
    client.port.fire(pipe[0])
    assert client.port.take() == [(CLIENT, console.Ready(0, IN))]
    assert client.port.watches == {}
    client.call(console.Watch(0, IN))
    assert client.port.take() == [(CLIENT, console.Ready(0, IN))]


def test_two_tasks_watch_one_stream(tty: tuple[int, int]) -> None:
    master, slave = tty
    client = Console(*host_streams([slave, None, None]))
    client.call(console.Watch(0, IN), CLIENT)
    client.call(console.Watch(0, IN | OUT), OTHER)
    assert client.port.take() == [(OTHER, console.Ready(0, OUT))]
    client.call(console.Watch(0, IN), OTHER)
    os.write(master, b"line\n")
    client.port.fire(slave)
    assert client.port.take() == [(CLIENT, console.Ready(0, IN)), (OTHER, console.Ready(0, IN))]
    assert client.port.watches == {}


def test_a_false_alarm_is_watched_on(pipe: list[int]) -> None:
    client = Console(HostStream(pipe[0]))
    client.call(console.Watch(0, IN))
    client.port.fire(pipe[0])
    assert client.port.take() == []
    assert list(client.port.watches) == [pipe[0]]
    client.server.stop()
    assert client.port.watches == {}


def test_only_those_whose_event_came_are_told(pipe: list[int]) -> None:
    os.set_blocking(pipe[1], False)
    client = Console(NullStream(), HostStream(pipe[1]))
    while client.poll(OUT, 1):
        os.write(pipe[1], b"x" * 4096)
    client.call(console.Watch(1, OUT), CLIENT)
    client.call(console.Watch(1, IN), OTHER)
    assert client.port.watches[pipe[1]][0] == 5
    os.read(pipe[0], 65536)
    client.port.fire(pipe[1])
    assert client.port.take() == [(CLIENT, console.Ready(1, OUT))]
    assert client.port.watches[pipe[1]][0] == 1


@pytest.mark.parametrize("stream", [0, 1])
def test_waiting_for_a_hangup_alone(stream: int, pipe: list[int]) -> None:
    os.set_blocking(pipe[1], False)
    streams = [HostStream(pipe[0]), HostStream(pipe[1])]
    client = Console(*streams)
    client.call(console.Watch(stream, HUP))
    assert client.port.watches[pipe[stream]][0] == (4 if stream == 0 else 1)
    os.close(pipe[1 - stream])
    pipe[1 - stream] = -1
    client.port.fire(pipe[stream])
    (sent,) = client.port.take()
    assert sent[1].events & (HUP | ERR)  # type: ignore[attr-defined]


# terminals


def linux_termios(fd: int) -> bytes:
    return fcntl.ioctl(fd, 0x5401, bytes(36))


def test_terminal_settings_are_those_of_linux(tty: tuple[int, int]) -> None:
    _, slave = tty
    client = Console(*host_streams([slave, slave, None]))
    info = client.call(console.Info(0))
    assert info.tty
    assert stat.S_ISCHR(info.mode)
    assert info.rdev == os.fstat(slave).st_rdev
    settings = client.call(console.Tcgets(0)).termios
    assert settings == linux_termios(slave)
    iflag, oflag, cflag, lflag, line = struct.unpack_from("<IIIIB", settings)
    raw = struct.pack("<IIIIB", iflag, oflag, cflag, lflag & ~0o12, line) + settings[17:]
    client.call(console.Tcsets(1, 0, raw))
    assert linux_termios(slave) == raw
    assert not termios.tcgetattr(slave)[3] & (termios.ICANON | termios.ECHO)
    client.call(console.Tcsets(0, 2, settings))
    client.call(console.Tcsets(1, 1, raw))
    client.server.stop()
    assert linux_termios(slave) == settings
    client.server.stop()


def test_translated_settings_are_the_same_on_linux(
    tty: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, slave = tty
    before = linux_termios(slave)
    monkeypatch.setattr("linuxemu.servers.console.host._SAME_TERMIOS", False)
    terminal = Terminal(slave)
    assert terminal.get() == before
    iflag, oflag, cflag, lflag, _ = struct.unpack_from("<IIIIB", before)
    for change in (
        struct.pack("<IIIIB", iflag ^ 0o2400, oflag ^ 1, cflag ^ 0o1000, lflag & ~2, 0) + before[17:],
        struct.pack("<IIIIB", iflag, oflag, cflag, lflag ^ 1, 0) + b"\x07\0" + before[19:],
    ):
        terminal.set(0, change)
        assert terminal.get() == linux_termios(slave) == change
    terminal.restore()
    assert linux_termios(slave) == before


class Bsd:
    """A host whose numbers are not Linux's."""

    CSIZE, CS5, CS6, CS7, CS8 = 0x300, 0, 0x100, 0x200, 0x300
    ICANON, ECHO, ISIG = 0x100, 0x8, 0x80
    ICRNL, IXON, OPOST, CREAD = 0x100, 0x200, 0x1, 0x800
    VINTR, VMIN, VTIME, VEOF = 8, 16, 17, 0
    B0, B9600, B38400 = 0, 9600, 38400


def test_settings_of_another_system() -> None:
    host: Any = Bsd
    characters: list[Any] = [b"\xff"] * 20
    characters[8], characters[0], characters[16], characters[17] = b"\x03", b"\x04", b"\x01", b"\0"
    attributes = [0x300, 0x1 | 0x8000, 0x300 | 0x800, 0x188, 9600, 9600, characters]
    settings = pack_settings(host, attributes)
    assert struct.unpack_from("<IIIIB", settings) == (0o2400, 1, 0o60 | 0o200 | 13, 0o13, 0)
    assert settings[17 + 0] == 3
    assert settings[17 + 4] == 4
    raw = struct.pack("<IIIIB", 0, 0, 0o40 | 15, 0o1, 0) + bytes([0, 0, 0, 0, 4, 2, 1]) + bytes(12)
    changed = unpack_settings(host, raw, attributes)
    assert changed[:6] == [0, 0x8000, 0x200, 0x80, 38400, 38400]
    assert changed[6][8] == b"\xff"
    assert (changed[6][16], changed[6][17]) == (1, 2)


def test_window_size(tty: tuple[int, int]) -> None:
    _, slave = tty
    client = Console(*host_streams([slave, None, None]))
    client.call(console.SetWinsize(0, 40, 132, 5, 6))
    assert client.call(console.GetWinsize(0)) == console.GetWinsizeReply(40, 132, 5, 6)
    assert os.get_terminal_size(slave) == (132, 40)


def test_flushing_drops_input(tty: tuple[int, int]) -> None:
    master, slave = tty
    client = Console(*host_streams([slave, None, None]))
    os.write(master, b"typed ahead\n")
    select.select([slave], [], [], 5)
    client.call(console.Tcflush(0, 0))
    assert client.error(console.Read(0, 100)) == ERR_WOULD_BLOCK
    client.call(console.Tcflush(0, 1))
    client.call(console.Tcflush(0, 2))


def test_a_terminal_that_is_gone() -> None:
    master, slave = pty.openpty()
    stream = host_streams([slave, None, None])[0]
    client = Console(stream)
    settings = client.call(console.Tcgets(0)).termios
    client.call(console.Tcsets(0, 0, settings))
    os.close(slave)
    os.close(master)
    assert client.error(console.Tcgets(0)) == errno.EBADF
    assert client.error(console.GetWinsize(0)) == errno.EBADF
    assert client.error(console.SetWinsize(0, 1, 1, 1, 1)) == errno.EBADF
    assert client.error(console.Tcflush(0, 0)) == errno.EBADF
    client.server.stop()


BACKGROUND = """
import os, signal, sys, termios
sys.path.insert(0, sys.argv[2])
from linuxemu.servers.console.host import Terminal
os.setsid()
fd = os.open(sys.argv[1], os.O_RDWR)  # becomes the terminal of this session
child = os.fork()
if child == 0:
    os.setpgid(0, 0)  # a background group of it
    terminal = Terminal(fd)
    terminal.set(1, terminal.get())
    terminal.flush(2)
    terminal.restore()
    os._exit(0)
_, status = os.waitpid(child, os.WUNTRACED)
if os.WIFSTOPPED(status):
    os.kill(child, signal.SIGKILL)
    sys.exit("stopped")
sys.exit(status)
"""


def test_settings_change_from_the_background(tty: tuple[int, int]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BACKGROUND, os.ttyname(tty[1]), str(ROOT)],
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")


# the process's own streams


CLOSED = """
import sys
sys.path.insert(0, sys.argv[1])
from linuxemu.servers.console.host import standard_streams
import os
streams = standard_streams()
kinds = " ".join(type(stream).__name__ for stream in streams)
os.write(int(sys.argv[2]), f"{kinds} {min(os.pipe())}".encode())
"""


@pytest.mark.parametrize("closed", [(), (0,), (1, 2), (0, 1, 2)])
def test_streams_that_the_caller_closed(closed: tuple[int, ...], pipe: list[int]) -> None:
    redirections = " ".join(f"{fd}>&-" for fd in closed)
    kinds = ["NullStream" if fd in closed else "HostStream" for fd in range(3)]
    with subprocess.Popen(
        [
            "sh",
            "-c",
            f'exec "$@" {redirections}',
            "sh",
            sys.executable,
            "-c",
            CLOSED,
            str(ROOT),
            str(pipe[1]),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[pipe[1]],
    ) as child:
        child.communicate(timeout=60)
    *found, lowest = os.read(pipe[0], 1000).decode().split()
    assert found == kinds
    assert int(lowest) > 2


# signals


def test_host_signals_go_to_the_first_client() -> None:
    client = Console(InputStream(b""))
    assert client.server.deliver_host_signal(signal.SIGINT) is False
    client.call(console.Info(0), CLIENT)
    client.call(console.Info(0), OTHER)
    assert client.server.deliver_host_signal(signal.SIGINT) is True
    assert client.port.take() == [(CLIENT, console.Signal(2))]
