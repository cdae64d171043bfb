"""Sockets."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Annotated

from syscalls.missing.types import (
    Family,
    FdPair,
    MessageFlags,
    OptionLength,
    PeerAddress,
    PeerLength,
    Protocol,
    ReceivedMessage,
    ReceivedMessages,
    SentMessage,
    SentMessages,
    Shutdown,
    SocketAddress,
    SocketFlags,
    SocketLevel,
    SocketOption,
    SocketType,
)
from syscalls.signatures import missing
from syscalls.types import Count, Fd, In, Int, Out, Shown, Size, UInt, ULong


@missing
def socket(domain: Family, type: SocketType, protocol: Protocol) -> Fd:
    """Make a socket: man 2 socket."""


@missing
def socketpair(domain: Family, type: SocketType, protocol: ULong, sv: FdPair) -> int:
    """Make two connected sockets: man 2 socketpair."""


@missing
def connect(sockfd: Fd, addr: SocketAddress, addrlen: Int) -> int:
    """Connect a socket: man 2 connect."""


@missing
def bind(sockfd: Fd, addr: SocketAddress, addrlen: Int) -> int:
    """Give a socket an address: man 2 bind."""


@missing
def listen(sockfd: Fd, backlog: Int) -> int:
    """Wait for connections: man 2 listen."""


@missing
def accept(sockfd: Fd, addr: PeerAddress, addrlen: PeerLength) -> Fd:
    """Take a connection: man 2 accept."""


@missing
def accept4(sockfd: Fd, addr: PeerAddress, addrlen: PeerLength, flags: SocketFlags) -> Fd:
    """Take a connection, with flags for its descriptor: man 2 accept4."""


@missing
def getsockname(sockfd: Fd, addr: PeerAddress, addrlen: PeerLength) -> int:
    """A socket's own address: man 2 getsockname."""


@missing
def getpeername(sockfd: Fd, addr: PeerAddress, addrlen: PeerLength) -> int:
    """The address that a socket is connected to: man 2 getpeername."""


@missing
def shutdown(sockfd: Fd, how: Shutdown) -> int:
    """End one or both directions of a connection: man 2 shutdown."""


@missing
def sendto(
    sockfd: Fd, buf: In[bytes], len: Size, flags: MessageFlags, dest_addr: SocketAddress, addrlen: Int
) -> int:
    """Send a message: man 2 sendto."""


@missing
def recvfrom(
    sockfd: Fd, buf: Out[bytes], len: Size, flags: MessageFlags, src_addr: PeerAddress, addrlen: PeerLength
) -> int:
    """Receive a message: man 2 recvfrom."""


@missing
def sendmsg(sockfd: Fd, msg: SentMessage, flags: MessageFlags) -> int:
    """Send a message with control data: man 2 sendmsg."""


@missing
def recvmsg(sockfd: Fd, msg: ReceivedMessage, flags: MessageFlags) -> int:
    """Receive a message with control data: man 2 recvmsg."""


@missing
def sendmmsg(sockfd: Fd, msgvec: SentMessages, vlen: UInt, flags: MessageFlags) -> int:
    """Send several messages: man 2 sendmmsg."""


@missing
def recvmmsg(
    sockfd: Fd,
    msgvec: ReceivedMessages,
    vlen: UInt,
    flags: MessageFlags,
    timeout: Annotated[In[bytes], Shown("receive_timeout")],
) -> int:
    """Receive several messages: man 2 recvmmsg."""


@missing
def setsockopt(
    sockfd: Fd,
    level: SocketLevel,
    optname: SocketOption,
    optval: Annotated[In[bytes], Shown("option_value"), Count("optlen")],
    optlen: Int,
) -> int:
    """Change an option of a socket: man 2 setsockopt."""


@missing
def getsockopt(
    sockfd: Fd,
    level: SocketLevel,
    optname: SocketOption,
    optval: Annotated[Out[bytes], Shown("option_value"), Count("optlen")],
    optlen: OptionLength,
) -> int:
    """Read an option of a socket: man 2 getsockopt."""
