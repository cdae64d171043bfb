"""The tool's own standard streams: descriptors of the host, and its terminal.

The descriptors are shared with whoever started the tool, so nothing is changed about them that outlives it: they are
not made non-blocking, and the terminal gets its settings back.
"""

from __future__ import annotations

import os
import select
import stat
import struct
from typing import Any

from linuxemu.errors import RpcError
from linuxemu.idl.codes import posix_error
from linuxemu.servers.console.streams import POLLHUP, POLLIN, POLLOUT, Stream, StreamInfo

try:
    import fcntl
    import termios
except ImportError:  # a host without terminals of this kind
    fcntl = termios = None  # type: ignore[assignment]

_PIPE_BUF = 4096
_KTERMIOS = struct.Struct("<4IB19s")
_WINSIZE = struct.Struct("HHHH")
_CONTROL_CHARS = 19
_SPEED_BITS = 0o010017


class HostStream(Stream):
    """A descriptor of the host.

    Args:
        fd: the descriptor, open as long as the machine runs.
    """

    def __init__(self, fd: int) -> None:
        self.fd: int = fd
        status = os.fstat(fd)
        self._regular = stat.S_ISREG(status.st_mode)
        self._whole = self._regular or not (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode) or os.isatty(fd))
        self._poll = select.poll()
        self._saved: list[Any] | None = None

    def info(self) -> StreamInfo:
        """What fstat says, and whether it is a terminal."""
        status = os.fstat(self.fd)
        flags = fcntl.fcntl(self.fd, fcntl.F_GETFL) if fcntl is not None else 2
        kept = flags & 3 | (0o2000 if flags & os.O_APPEND else 0)
        return StreamInfo(status.st_mode, status.st_rdev, status.st_ino, status.st_size, os.isatty(self.fd), kept)

    def _ready(self, events: int) -> int:
        self._poll.register(self.fd, events)
        found = self._poll.poll(0)
        return found[0][1] if found else 0

    def read(self, length: int) -> bytes | None:
        """What is there now."""
        if not self._regular and not self._ready(POLLIN):
            return None
        try:
            return os.read(self.fd, length)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == 5 and os.isatty(self.fd):  # the terminal is gone: that is the end
                return b""
            raise RpcError(posix_error(error.errno or 5)) from None

    def write(self, data: bytes) -> int | None:
        """What fits now without blocking: a pipe that is writable takes PIPE_BUF bytes."""
        if not self._whole:
            if not self._ready(POLLOUT):
                return None
            data = data[:_PIPE_BUF]
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return None
        except OSError as error:
            raise RpcError(posix_error(error.errno or 5)) from None

    def seek(self, offset: int, whence: int) -> int:
        """Move the host's position."""
        try:
            return os.lseek(self.fd, offset, whence)
        except OSError as error:
            raise RpcError(posix_error(error.errno or 29)) from None

    def poll(self, events: int) -> int:
        """Ask the host; files are always ready."""
        if self._regular:
            return events & (POLLIN | POLLOUT)
        found = self._ready(events & (POLLIN | POLLOUT))
        return found & (events | 8 | POLLHUP)

    def terminal(self) -> int:
        """The descriptor, if it is a terminal."""
        return self.fd if termios is not None and os.isatty(self.fd) else super().terminal()

    def tcgets(self) -> bytes:
        """The terminal's settings as Linux's struct ktermios."""
        iflag, oflag, cflag, lflag, _, _, chars = _attributes(self.terminal())
        raw = bytes(c if isinstance(c, int) else c[0] for c in chars[:_CONTROL_CHARS])
        return _KTERMIOS.pack(iflag, oflag, cflag, lflag, 0, raw.ljust(_CONTROL_CHARS, b"\0"))

    def tcsets(self, action: int, settings: bytes) -> None:
        """Change the terminal's settings; they are restored by `close`."""
        fd = self.terminal()
        old = _attributes(fd)
        if self._saved is None:
            self._saved = old
        iflag, oflag, cflag, lflag, _, chars = _KTERMIOS.unpack(settings)
        speed = cflag & _SPEED_BITS
        new = [iflag, oflag, cflag, lflag, speed, speed, [bytes((c,)) for c in chars]]
        if not lflag & termios.ICANON:
            for index in (termios.VMIN, termios.VTIME):
                new[6][index] = chars[index]
        new[6] += old[6][_CONTROL_CHARS:]
        _quietly(lambda: termios.tcsetattr(fd, (termios.TCSANOW, termios.TCSADRAIN, termios.TCSAFLUSH)[action], new))

    def tcflush(self, queue: int) -> None:
        """Discard input (0), output (1) or both (2)."""
        fd = self.terminal()
        _quietly(lambda: termios.tcflush(fd, (termios.TCIFLUSH, termios.TCOFLUSH, termios.TCIOFLUSH)[queue]))

    def get_winsize(self) -> tuple[int, int, int, int]:
        """Rows, columns, and their size in pixels."""
        raw = fcntl.ioctl(self.terminal(), termios.TIOCGWINSZ, bytes(_WINSIZE.size))
        rows, columns, xpixel, ypixel = _WINSIZE.unpack(raw)
        return rows, columns, xpixel, ypixel

    def set_winsize(self, rows: int, columns: int, xpixel: int, ypixel: int) -> None:
        """Change the size that the terminal reports."""
        fcntl.ioctl(self.terminal(), termios.TIOCSWINSZ, _WINSIZE.pack(rows, columns, xpixel, ypixel))

    def close(self) -> None:
        """Give the terminal its settings back."""
        if self._saved is not None:
            saved, self._saved = self._saved, None
            try:
                _quietly(lambda: termios.tcsetattr(self.fd, termios.TCSADRAIN, saved))
            except RpcError:
                pass  # the terminal is gone


def _attributes(fd: int) -> list[Any]:
    try:
        return termios.tcgetattr(fd)
    except termios.error as error:
        raise RpcError(posix_error(error.args[0])) from None


def _quietly(change: Any) -> None:
    """Change a terminal without being stopped for doing so from the background (SIGTTOU)."""
    import signal

    old = None
    try:
        old = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    except ValueError:
        pass  # not the main thread: whoever owns it decides
    try:
        change()
    except termios.error as error:
        raise RpcError(posix_error(error.args[0])) from None
    except IndexError:
        raise RpcError(posix_error(22)) from None
    finally:
        if old is not None:
            signal.signal(signal.SIGTTOU, old)


def host_stream(fd: int) -> Stream:
    """The stream of a descriptor; a closed one where the descriptor is closed."""
    try:
        return HostStream(fd)
    except OSError:
        return Stream()


