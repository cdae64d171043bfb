"""What can stand behind a standard stream, apart from the host's own descriptors (`console.host`)."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from linuxemu.messages import console
from linuxemu.servers.fs import errno as e

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.kernel.room import Room

POLLIN = console.PollEvent.IN
POLLOUT = console.PollEvent.OUT
POLLERR = console.PollEvent.ERR
POLLHUP = console.PollEvent.HUP
O_RDONLY = 0
O_WRONLY = 1

Winsize = tuple[int, int, int, int]
"""Rows, columns, and the size in pixels."""

_FIFO = 0o010600


class Stream:
    """One standard stream. As it stands it is a pipe of which neither end can be used."""

    fd = -1
    """The host's descriptor to watch; -1 where `poll` never changes by itself."""

    def info(self) -> console.InfoReply:
        """What the stream is."""
        return console.InfoReply(_FIFO, 0, 1, 0, False, O_RDONLY)

    def read(self, length: int) -> bytes:
        """What is there to read; no bytes at the end, ERR_WOULD_BLOCK if it may come later."""
        raise e.fail(e.EBADF)

    def write(self, data: bytes) -> int:
        """Write what can be written now; ERR_WOULD_BLOCK if that is nothing."""
        raise e.fail(e.EBADF)

    def seek(self, offset: int, whence: int) -> int:
        """Move the position."""
        raise e.fail(e.ESPIPE)

    def poll(self, events: int) -> int:
        """Which of `events` hold now; errors and hang-ups always count."""
        return 0

    def tcgets(self) -> bytes:
        """Terminal settings."""
        raise e.fail(e.ENOTTY)

    def tcsets(self, action: int, termios: bytes) -> None:
        """Change the terminal settings."""
        raise e.fail(e.ENOTTY)

    def tcflush(self, queue: int) -> None:
        """Drop what is queued."""
        raise e.fail(e.ENOTTY)

    def get_winsize(self) -> Winsize:
        """Size of the terminal window."""
        raise e.fail(e.ENOTTY)

    def set_winsize(self, size: Winsize) -> None:
        """Change the size of the terminal window."""
        raise e.fail(e.ENOTTY)

    def close(self) -> None:
        """The machine has ended: leave things as they were found."""


class NullStream(Stream):
    """A stream that the caller has closed: `info` and writing are EBADF, reading finds the end."""

    def info(self) -> console.InfoReply:
        """EBADF: there is no such descriptor."""
        raise e.fail(e.EBADF)

    def read(self, length: int) -> bytes:
        """The end."""
        return b""

    def poll(self, events: int) -> int:
        """Reading finds the end, writing an error."""
        return (events & POLLIN) | POLLHUP


class InputStream(Stream):
    """Input that is known from the start: a pipe whose writer wrote it all and has gone.

    Args:
        data: the input.
    """

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self._position = 0

    def info(self) -> console.InfoReply:
        """The reading end of a pipe."""
        return console.InfoReply(_FIFO, 0, 2, 0, False, O_RDONLY)

    def read(self, length: int) -> bytes:
        """The next bytes."""
        data = self._data[self._position : self._position + length]
        self._position += len(data)
        return data

    def poll(self, events: int) -> int:
        """Readable while there is something, hung up always (man 7 pipe)."""
        return (events & POLLIN if self._position < len(self._data) else 0) | POLLHUP


class OutputStream(Stream):
    """Output that is collected.

    Args:
        sink: called with each piece as it is written.
    """

    def __init__(self, sink: Callable[[bytes], object] | None = None) -> None:
        self._data = BytesIO()
        self._sink = sink
        self.room: Room | None = None
        """Where it takes room, until somebody else has the data."""

    @property
    def data(self) -> bytes:
        """All that was written."""
        return self._data.getvalue()

    def info(self) -> console.InfoReply:
        """The writing end of a pipe."""
        return console.InfoReply(_FIFO, 0, 3, 0, False, O_WRONLY)

    def write(self, data: bytes) -> int:
        """Take all of it; ENOSPC when there is no room for it."""
        if self.room is not None:
            if not self.room.fits(len(data)):
                raise e.fail(e.ENOSPC)
            self.room.add(len(data))
        self._data.write(data)
        if self._sink is not None and data:
            self._sink(bytes(data))
        return len(data)

    def poll(self, events: int) -> int:
        """Always writable."""
        return events & POLLOUT
