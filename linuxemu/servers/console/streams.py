"""Standard streams that are no host descriptors: given input, captured output, and streams that are closed."""

from __future__ import annotations

from typing import NamedTuple

from linuxemu.errors import RpcError
from linuxemu.idl.codes import posix_error

POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16
EBADF, EAGAIN, ENOTTY, EINVAL, ESPIPE, EPIPE = 9, 11, 25, 22, 29, 32
_S_IFIFO = 0o010000
_O_RDONLY, _O_WRONLY = 0, 1


class StreamInfo(NamedTuple):
    """What fstat would show of a stream, in the order of message console.info_reply."""

    mode: int
    rdev: int
    ino: int
    size: int
    tty: bool
    flags: int


class Stream:
    """One standard stream; the defaults are those of a closed one."""

    fd: int | None = None
    """Host descriptor to watch, None for a stream that is always ready."""

    def info(self) -> StreamInfo:
        """What it is; a closed stream has no info."""
        raise RpcError(posix_error(EBADF))

    def read(self, length: int) -> bytes | None:
        """Up to `length` bytes, empty at the end, None when nothing is there yet."""
        raise RpcError(posix_error(EBADF))

    def write(self, data: bytes) -> int | None:
        """How many bytes went, None when nothing fits now."""
        raise RpcError(posix_error(EBADF))

    def seek(self, offset: int, whence: int) -> int:
        """Move the position."""
        raise RpcError(posix_error(ESPIPE))

    def poll(self, events: int) -> int:
        """Which of `events` hold now, with POLLERR and POLLHUP."""
        return events & (POLLIN | POLLOUT)

    def terminal(self) -> int:
        """Descriptor of the terminal behind the stream; ENOTTY if there is none."""
        raise RpcError(posix_error(ENOTTY))

    def close(self) -> None:
        """Give back what was changed on the host."""


class GivenInput(Stream):
    """Bytes to read, then the end: looks like a pipe whose writer has gone.

    Args:
        data: the input.
    """

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._position = 0

    def info(self) -> StreamInfo:
        """A pipe."""
        return StreamInfo(_S_IFIFO | 0o600, 0, 0, 0, False, _O_RDONLY)

    def read(self, length: int) -> bytes:
        """The next bytes."""
        data = bytes(self._data[self._position : self._position + length])
        self._position += len(data)
        return data

    def poll(self, events: int) -> int:
        """Readable until everything was read, and hung up from the start."""
        left = POLLIN if self._position < len(self._data) else 0
        return events & left | POLLHUP


class CapturedOutput(Stream):
    """Collects what is written: looks like a pipe that is always read."""

    def __init__(self) -> None:
        self.data = bytearray()

    def info(self) -> StreamInfo:
        """A pipe."""
        return StreamInfo(_S_IFIFO | 0o600, 0, 0, 0, False, _O_WRONLY)

    def write(self, data: bytes) -> int:
        """Take everything."""
        self.data += data
        return len(data)

    def poll(self, events: int) -> int:
        """Always writable."""
        return events & POLLOUT
