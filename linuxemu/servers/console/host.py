"""The host's own standard streams: descriptors and terminals. The only module here that needs a Unix host."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import sys
from struct import Struct
from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_WOULD_BLOCK
from linuxemu.messages import console
from linuxemu.servers.console.streams import POLLIN, POLLOUT, NullStream, Stream, Winsize
from linuxemu.servers.fs import errno as e
from linuxemu.servers.fs.base import make_device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MAX_READ = 1 << 20  # os.read allocates what it is asked for before it reads
_PIPE_BUF = 4096  # a pipe that polls writable takes this much without waiting
_LINUX_APPEND = 0o2000
_TCGETS = 0x5401
_TCSETS = 0x5402  # TCSETSW and TCSETSF follow
_TERMIOS_SIZE = 36
_WINSIZE = Struct("<HHHH")
_SAME_TERMIOS = sys.platform == "linux" and sys.byteorder == "little"


def standard_streams() -> tuple[Stream, Stream, Stream]:
    """Streams for the descriptors 0, 1 and 2 of this process.

    One that the caller closed becomes a `NullStream`, and its number is taken by the null device, so that no
    file opened later becomes this process's standard error by accident.
    """
    found = [sys.__stdin__, sys.__stdout__, sys.__stderr__]
    for number in range(3):
        if not _is_open(number):
            found[number] = None
            fd = os.open(os.devnull, os.O_RDWR)
            if fd != number:
                os.dup2(fd, number)
                os.close(fd)
    return host_streams([number if found[number] is not None else None for number in range(3)])


def host_streams(fds: Sequence[int | None]) -> tuple[Stream, Stream, Stream]:
    """Streams for three descriptors, None being a closed one; those of one terminal share its settings."""
    terminals: dict[int, Terminal] = {}
    streams: list[Stream] = []
    for fd in fds:
        if fd is None:
            streams.append(NullStream())
            continue
        terminal = None
        if os.isatty(fd):
            terminal = terminals.setdefault(os.fstat(fd).st_rdev, Terminal(fd))
        streams.append(HostStream(fd, terminal))
    stdin, stdout, stderr = streams
    return stdin, stdout, stderr


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


class HostStream(Stream):
    """A descriptor of the host. Its file status flags are never touched: others share them.

    Args:
        fd: the descriptor; it stays open.
        terminal: the terminal that it is, if it is one.
    """

    def __init__(self, fd: int, terminal: Terminal | None = None) -> None:
        self.fd = fd
        self._terminal = terminal
        self._own = -1 if terminal is not None else fd
        # What is read and written through; of a terminal one that never waits, opened with the first use.
        mode = os.fstat(fd).st_mode
        self._never_waits = stat.S_ISREG(mode) or stat.S_ISBLK(mode)

    def info(self) -> console.InfoReply:
        """What the host says of it."""
        state = os.fstat(self.fd)
        flags = fcntl.fcntl(self.fd, fcntl.F_GETFL)
        rdev = make_device(os.major(state.st_rdev), os.minor(state.st_rdev)) if state.st_rdev else 0
        return console.InfoReply(
            state.st_mode,
            rdev,
            state.st_ino,
            state.st_size,
            self._terminal is not None,
            (flags & os.O_ACCMODE) | (_LINUX_APPEND if flags & os.O_APPEND else 0),
        )

    def poll(self, events: int) -> int:
        """What poll(2) of the host says, without waiting."""
        poller = select.poll()
        poller.register(self.fd, events & (POLLIN | POLLOUT))
        found = poller.poll(0)
        return found[0][1] if found else 0

    def _unhurried(self) -> int:
        """The descriptor to read from and write to.

        A terminal that polls writable may wait all the same, for a long line or for the end of one, and one that polls
        readable for more bytes (VMIN and VTIME, man 3 termios). So it is opened once more, where that is allowed.
        """
        if self._own < 0:
            access = fcntl.fcntl(self.fd, fcntl.F_GETFL) & os.O_ACCMODE
            flags = access | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            self._own = self.fd
            for path in (f"/proc/self/fd/{self.fd}", f"/dev/fd/{self.fd}"):
                try:
                    self._own = os.open(path, flags)
                    break
                except OSError:
                    continue
        return self._own

    def read(self, length: int) -> bytes:
        """Read what is there."""
        if not self._never_waits and not self.poll(POLLIN):
            raise RpcError(ERR_WOULD_BLOCK)
        try:
            return os.read(self._unhurried(), min(length, _MAX_READ))
        except BlockingIOError:  # the caller's descriptor is a non-blocking one, and somebody else was faster
            raise RpcError(ERR_WOULD_BLOCK) from None
        except OSError as error:
            raise e.host_failure(error) from None

    def write(self, data: bytes) -> int:
        """Write as much as there is room for."""
        written = 0
        try:
            fd = self._unhurried()
            if self._never_waits or not data:
                return os.write(fd, data)
            while self.poll(POLLOUT):
                part = os.write(fd, data[written : written + _PIPE_BUF])
                written += part
                if written >= len(data):
                    return written
        except BlockingIOError:
            pass
        except OSError as error:
            if not written:
                raise e.host_failure(error) from None
        if not written:
            raise RpcError(ERR_WOULD_BLOCK)
        return written

    def seek(self, offset: int, whence: int) -> int:
        """Move the position, which this process shares with its caller."""
        try:
            return os.lseek(self.fd, offset, whence)
        except OSError as error:
            raise e.host_failure(error) from None

    # -- terminal -----------------------------------------------------------------------------------------

    def _tty(self) -> Terminal:
        if self._terminal is None:
            raise e.fail(e.ENOTTY)
        return self._terminal

    def tcgets(self) -> bytes:
        """The terminal's settings."""
        return self._tty().get()

    def tcsets(self, action: int, termios: bytes) -> None:
        """Change the terminal's settings; `close` undoes it."""
        self._tty().set(action, termios)

    def tcflush(self, queue: int) -> None:
        """Drop what is queued."""
        self._tty().flush(queue)

    def get_winsize(self) -> Winsize:
        """Size of the terminal window."""
        return self._tty().get_winsize()

    def set_winsize(self, size: Winsize) -> None:
        """Change the size of the terminal window."""
        self._tty().set_winsize(size)

    def close(self) -> None:
        """Give the terminal the settings back that it had; the descriptor belongs to the caller."""
        if self._terminal is not None:
            self._terminal.restore()
            if self._own not in (-1, self.fd):
                os.close(self._own)
            self._own = -1


class Terminal:
    """A terminal of the host.

    Args:
        fd: a descriptor of it.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._original: bytes | None = None

    def get(self) -> bytes:
        """The settings, as Linux's struct ktermios."""
        try:
            if _SAME_TERMIOS:
                return fcntl.ioctl(self._fd, _TCGETS, bytes(_TERMIOS_SIZE))
            return _get_translated(self._fd)
        except _terminal_errors() as error:
            raise e.host_failure(_os_error(error)) from None

    def set(self, action: int, settings: bytes) -> None:
        """Change the settings: at once (0), after the output (1), dropping input too (2)."""
        if self._original is None:
            self._original = self.get()
        self._unstopped(lambda: self._set(action, settings))

    def _set(self, action: int, settings: bytes) -> None:
        if _SAME_TERMIOS:
            fcntl.ioctl(self._fd, _TCSETS + action, settings)
        else:
            _set_translated(self._fd, action, settings)

    def _unstopped(self, change: Callable[[], object]) -> None:
        """Do what would stop a background process with SIGTTOU without being stopped (man 3 tcsetattr)."""
        import signal

        previous = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTTOU,))
        try:
            change()
        except _terminal_errors() as error:
            raise e.host_failure(_os_error(error)) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)

    def restore(self) -> None:
        """Undo all changes of the settings; a terminal that is gone needs none."""
        if self._original is not None:
            original, self._original = self._original, None
            try:
                self._unstopped(lambda: self._set(0, original))
            except RpcError:
                pass

    def flush(self, queue: int) -> None:
        """Drop what was received and not read (0), written and not sent (1), or both (2)."""
        import termios

        selector = (termios.TCIFLUSH, termios.TCOFLUSH, termios.TCIOFLUSH)[queue]
        self._unstopped(lambda: termios.tcflush(self._fd, selector))

    def get_winsize(self) -> Winsize:
        """Rows, columns, width and height in pixels."""
        import termios

        try:
            raw = fcntl.ioctl(self._fd, termios.TIOCGWINSZ, bytes(_WINSIZE.size))
        except OSError as error:
            raise e.host_failure(error) from None
        rows, columns, width, height = _WINSIZE.unpack(raw)
        return rows, columns, width, height

    def set_winsize(self, size: Winsize) -> None:
        """Change the size; the host tells its processes by SIGWINCH."""
        import termios

        try:
            fcntl.ioctl(self._fd, termios.TIOCSWINSZ, _WINSIZE.pack(*size))
        except OSError as error:
            raise e.host_failure(error) from None


def _get_translated(fd: int) -> bytes:
    """The settings on a host with other numbers than Linux's."""
    import termios

    from linuxemu.servers.console.ktermios import pack_settings

    return pack_settings(termios, termios.tcgetattr(fd))


def _set_translated(fd: int, action: int, settings: bytes) -> None:
    import termios

    from linuxemu.servers.console.ktermios import unpack_settings

    when = (termios.TCSANOW, termios.TCSADRAIN, termios.TCSAFLUSH)[action]
    termios.tcsetattr(fd, when, unpack_settings(termios, settings, termios.tcgetattr(fd)))


def _terminal_errors() -> tuple[type[Exception], ...]:
    import termios

    return OSError, termios.error


def _os_error(error: Exception) -> OSError:
    """termios raises an exception of its own that is no OSError."""
    return error if isinstance(error, OSError) else OSError(*error.args)
