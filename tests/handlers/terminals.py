"""A terminal in place of the guest's standard streams, for tests of terminals and job control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_WOULD_BLOCK
from linuxemu.messages import console
from linuxemu.servers.console import ConsoleServer
from linuxemu.servers.console.streams import POLLIN, POLLOUT, Stream
from syscalls.abi.flags import B38400, CS8, ECHO, ICANON, ISIG, O_RDWR, S_IFCHR
from syscalls.abi.structs import Termios

if TYPE_CHECKING:
    from linuxemu.testing import Guest

SETTINGS = Termios(0, 0, B38400 | CS8, ISIG | ICANON | ECHO, 0, bytes([3, 28, 127, 21, 4, 0, 1, *[0] * 12]))
"""Those of a terminal to start with."""


class Terminal(Stream):
    """A terminal at which somebody types `keys`."""

    def __init__(self) -> None:
        self.keys = b""
        self.screen = b""
        self.settings = SETTINGS.pack()
        self.size = (24, 80, 0, 0)

    def info(self) -> console.InfoReply:
        return console.InfoReply(S_IFCHR | 0o620, 0x8800, 7, 0, True, O_RDWR)

    def read(self, length: int) -> bytes:
        if not self.keys:
            raise RpcError(ERR_WOULD_BLOCK)
        data, self.keys = self.keys[:length], self.keys[length:]
        return data

    def write(self, data: bytes) -> int:
        self.screen += data
        return len(data)

    def poll(self, events: int) -> int:
        return events & (POLLOUT | (POLLIN if self.keys else 0))

    def tcgets(self) -> bytes:
        return self.settings

    def tcsets(self, action: int, termios: bytes) -> None:
        self.settings = termios

    def tcflush(self, queue: int) -> None:
        self.keys = b""

    def get_winsize(self) -> tuple[int, int, int, int]:
        return self.size

    def set_winsize(self, size: tuple[int, int, int, int]) -> None:
        self.size = size


def terminal(guest: Guest) -> Terminal:
    """Make descriptors 0 to 2 of the first thread a terminal, which controls its session; the root must be a memfs."""
    made = Terminal()
    guest.console.serve(ConsoleServer(made, made, made))
    streams = guest.linux.console
    guest.system.do(streams.start())
    guest.system.do(streams.install(guest.main.t))
    guest.rpc.clear()
    return made
