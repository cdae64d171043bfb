"""What is done with sockets, to descriptors that are none; there are no others (man 7 socket)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.testing import BAD, NULL, Guest
from syscalls.abi.errno import EBADF, EFAULT, EINVAL, EMFILE, ENOTSOCK
from syscalls.abi.flags import O_PATH, SOCK_CLOEXEC, SOCK_NONBLOCK
from syscalls.abi.structs import Timespec
from tests.handlers.cases import fails, open_file, proves
from tests.handlers.opened import no_descriptors

if TYPE_CHECKING:
    from tests.handlers.cases import Case

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "accept": (BAD, BAD),
    "accept4": (BAD, BAD, SOCK_CLOEXEC | SOCK_NONBLOCK),
    "bind": (BAD, 16),
    "connect": (b"\1\0/socket", 9),
    "getpeername": (BAD, BAD),
    "getsockname": (BAD, BAD),
    "getsockopt": (1, 3, BAD, BAD),
    "listen": (5,),
    "recvfrom": (BAD, 4, 0, BAD, BAD),
    "recvmmsg": (BAD, 1, 0, Timespec(1, 0)),
    "recvmsg": (BAD, 0),
    "sendmmsg": (BAD, 1, 0),
    "sendmsg": (BAD, 0),
    "sendto": (BAD, 4, 0, BAD, 16),
    "setsockopt": (1, 2, BAD, 4),
    "shutdown": (2,),
}
"""What follows the descriptor."""
NEVER = dict.fromkeys(ARGUMENTS, "there are no sockets")
POINTERS = ("addr", "addrlen", "buf", "dest_addr", "msg", "msgvec", "optlen", "optval", "src_addr")
UNREAD = tuple(f"{name}: no socket has a use for it" for name in POINTERS)
OUTSIDE = 1 << 47
COMPAT = 0x8000_0000
"""MSG_CMSG_COMPAT"""


def _cases(name: str) -> list[Case]:
    """What each call says of each kind of descriptor."""
    rest = ARGUMENTS[name]
    unread = () if name == "connect" else UNREAD
    return [
        fails(name, ENOTSOCK, lambda guest: (open_file(guest), *rest), rpcs=[], unfaulted=unread),
        fails(name, EBADF, 99, *rest, rpcs=[], unfaulted=unread),
        fails(name, EBADF, lambda guest: (open_file(guest, flags=O_PATH), *rest), rpcs=[], label="O_PATH",
              unfaulted=unread),
    ]  # fmt: skip


def _full(guest: Guest) -> int:
    """A descriptor, and no other is free."""
    fd = open_file(guest)
    no_descriptors(guest)
    return fd


CASES = [
    *(case for name in ARGUMENTS for case in _cases(name)),
    fails("accept", EMFILE, lambda guest: (_full(guest), BAD, BAD), rpcs=[]),
    fails("accept4", EMFILE, lambda guest: (_full(guest), BAD, BAD, 0), rpcs=[]),
    fails("accept4", EINVAL, lambda guest: (_full(guest), BAD, BAD, 1), rpcs=[], label="flags before EMFILE"),
    fails("accept4", EBADF, 99, BAD, BAD, 1, rpcs=[], label="before flags"),
    fails("connect", EINVAL, 0, BAD, -1, rpcs=[], label="negative length"),
    fails("connect", EINVAL, 0, BAD, 129, rpcs=[], label="longer than any address"),
    fails("connect", EBADF, 99, BAD, 129, rpcs=[], label="before the address"),
    fails("connect", ENOTSOCK, 0, BAD, 0, rpcs=[], label="no address"),
    fails("sendto", EFAULT, 99, OUTSIDE, 1, 0, NULL, 0, rpcs=[], label="outside user space"),
    fails("recvfrom", EFAULT, 99, OUTSIDE, 1, 0, NULL, NULL, rpcs=[], label="outside user space"),
    *(fails(name, EINVAL, 99, BAD, COMPAT, rpcs=[]) for name in ("sendmsg", "recvmsg")),
    fails("sendmmsg", EINVAL, 99, BAD, 1, COMPAT, rpcs=[]),
    fails("recvmmsg", EINVAL, 99, BAD, 1, COMPAT, BAD, rpcs=[]),
    fails("recvmmsg", EINVAL, 99, BAD, 1, 0, Timespec(1, 1_000_000_000), rpcs=[], label="no time"),
    fails("recvmmsg", EINVAL, 99, BAD, 1, 0, Timespec(-1, 0), rpcs=[], label="negative time"),
]  # fmt: skip


@proves("connect", EFAULT, pointers=("addr",), rpcs=[])
@proves("recvmmsg", EFAULT, pointers=("timeout",), rpcs=[])
def test_pointers_to_nothing(guest: Guest) -> None:
    assert guest.start.connect(0, BAD, 128).errno == EFAULT
    assert guest.start.recvmmsg(99, BAD, 1, 0, BAD).errno == EFAULT
