"""What is done with sockets. There are none: each call looks at its descriptor, and answers that it is no socket.

Programs ask so to learn what they were given: a shell wants to know whether its input is a connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import EINVAL, ENOTSOCK
from syscalls.abi.flags import SOCK_CLOEXEC, SOCK_NONBLOCK
from syscalls.abi.structs import Timespec
from syscalls.errors import SysError
from syscalls.objects.file import MAX_RW
from syscalls.registry import PARTIAL, syscall
from syscalls.types import (
    Count,
    Fd,
    In,
    Int,
    MessageFlags,
    OptionLength,
    Out,
    PeerAddress,
    PeerLength,
    ReceivedMessage,
    ReceivedMessages,
    SentMessage,
    SentMessages,
    Shown,
    Shutdown,
    Size,
    SocketAddress,
    SocketFlags,
    SocketLevel,
    SocketOption,
    UInt,
)
from syscalls.vfs.transfer import check_buffer

if TYPE_CHECKING:
    from syscalls.objects.task import Task

_NO_SOCKET = "EBADF ENOTSOCK"
_NOTE = "there are no sockets"
_ADDRESS_MAX = 128
"""sizeof(struct sockaddr_storage)"""
_COMPAT = 0x8000_0000
"""MSG_CMSG_COMPAT, which is not for programs."""
_SECOND = 1_000_000_000


def _refuse(t: Task, fd: int) -> int:
    """EBADF for what is closed, or open with O_PATH; ENOTSOCK for everything else."""
    t.files.get(fd)
    raise SysError(ENOTSOCK)


def _check_flags(flags: int) -> None:
    if flags & _COMPAT:
        raise SysError(EINVAL)


@syscall("connect", errors=f"{_NO_SOCKET} EFAULT EINVAL", support=PARTIAL, notes=_NOTE)
async def connect(t: Task, sockfd: Fd, addr: SocketAddress, addrlen: Int) -> int:
    """Connect a socket (man 2 connect)."""
    t.files.get(sockfd)
    if not 0 <= addrlen <= _ADDRESS_MAX:
        raise SysError(EINVAL)
    await t.mem.read(addr, addrlen)
    return _refuse(t, sockfd)


@syscall("bind", errors=_NO_SOCKET, support=PARTIAL, notes=_NOTE)
async def bind(t: Task, sockfd: Fd, addr: SocketAddress, addrlen: Int) -> int:
    """Give a socket an address (man 2 bind)."""
    return _refuse(t, sockfd)


@syscall("listen", errors=_NO_SOCKET, support=PARTIAL, notes=_NOTE)
async def listen(t: Task, sockfd: Fd, backlog: Int) -> int:
    """Wait for connections (man 2 listen)."""
    return _refuse(t, sockfd)


@syscall("accept", errors=f"{_NO_SOCKET} EMFILE", support=PARTIAL, notes=_NOTE)
async def accept(t: Task, sockfd: Fd, addr: PeerAddress, addrlen: PeerLength) -> Fd:
    """Take a connection (man 2 accept)."""
    return _accept(t, sockfd)


@syscall("accept4", errors=f"{_NO_SOCKET} EINVAL EMFILE", support=PARTIAL, notes=_NOTE)
async def accept4(t: Task, sockfd: Fd, addr: PeerAddress, addrlen: PeerLength, flags: SocketFlags) -> Fd:
    """Take a connection, with flags for its descriptor (man 2 accept4)."""
    t.files.get(sockfd)
    if flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK):
        raise SysError(EINVAL)
    return _accept(t, sockfd)


def _accept(t: Task, fd: int) -> int:
    t.files.get(fd)
    t.files.lowest_free()
    return _refuse(t, fd)


@syscall("getsockname", errors=_NO_SOCKET, support=PARTIAL, notes=_NOTE)
async def getsockname(t: Task, sockfd: Fd, addr: PeerAddress, addrlen: PeerLength) -> int:
    """A socket's own address (man 2 getsockname)."""
    return _refuse(t, sockfd)


@syscall("getpeername", errors=_NO_SOCKET, support=PARTIAL, notes=_NOTE)
async def getpeername(t: Task, sockfd: Fd, addr: PeerAddress, addrlen: PeerLength) -> int:
    """The address that a socket is connected to (man 2 getpeername)."""
    return _refuse(t, sockfd)


@syscall("shutdown", errors=_NO_SOCKET, support=PARTIAL, notes=_NOTE)
async def shutdown(t: Task, sockfd: Fd, how: Shutdown) -> int:
    """End one or both directions of a connection (man 2 shutdown)."""
    return _refuse(t, sockfd)


@syscall("sendto", errors=f"{_NO_SOCKET} EFAULT", support=PARTIAL, notes=_NOTE)
async def sendto(
    t: Task,
    sockfd: Fd,
    buf: In[bytes],
    len: Size,
    flags: MessageFlags,
    dest_addr: SocketAddress,
    addrlen: Int,
) -> int:
    """Send a message (man 2 sendto)."""
    check_buffer(buf, min(len, MAX_RW))
    return _refuse(t, sockfd)


@syscall("recvfrom", errors=f"{_NO_SOCKET} EFAULT", support=PARTIAL, notes=_NOTE)
async def recvfrom(
    t: Task,
    sockfd: Fd,
    buf: Out[bytes],
    len: Size,
    flags: MessageFlags,
    src_addr: PeerAddress,
    addrlen: PeerLength,
) -> int:
    """Receive a message (man 2 recvfrom)."""
    check_buffer(buf, min(len, MAX_RW))
    return _refuse(t, sockfd)


@syscall("sendmsg", errors=f"{_NO_SOCKET} EINVAL", support=PARTIAL, notes=_NOTE)
async def sendmsg(t: Task, sockfd: Fd, msg: SentMessage, flags: MessageFlags) -> int:
    """Send a message with control data (man 2 sendmsg)."""
    _check_flags(flags)
    return _refuse(t, sockfd)


@syscall("recvmsg", errors=f"{_NO_SOCKET} EINVAL", support=PARTIAL, notes=_NOTE)
async def recvmsg(t: Task, sockfd: Fd, msg: ReceivedMessage, flags: MessageFlags) -> int:
    """Receive a message with control data (man 2 recvmsg)."""
    _check_flags(flags)
    return _refuse(t, sockfd)


@syscall("sendmmsg", errors=f"{_NO_SOCKET} EINVAL", support=PARTIAL, notes=_NOTE)
async def sendmmsg(t: Task, sockfd: Fd, msgvec: SentMessages, vlen: UInt, flags: MessageFlags) -> int:
    """Send several messages (man 2 sendmmsg)."""
    _check_flags(flags)
    return _refuse(t, sockfd)


@syscall("recvmmsg", errors=f"{_NO_SOCKET} EFAULT EINVAL", support=PARTIAL, notes=_NOTE)
async def recvmmsg(
    t: Task,
    sockfd: Fd,
    msgvec: ReceivedMessages,
    vlen: UInt,
    flags: MessageFlags,
    timeout: Annotated[In[Timespec], Shown("receive_timeout")],
) -> int:
    """Receive several messages (man 2 recvmmsg)."""
    _check_flags(flags)
    if timeout:
        time = await t.mem.struct(timeout, Timespec)
        if time.tv_sec < 0 or not 0 <= time.tv_nsec < _SECOND:
            raise SysError(EINVAL)
    return _refuse(t, sockfd)


@syscall("setsockopt", errors=_NO_SOCKET, support=PARTIAL, notes=_NOTE)
async def setsockopt(
    t: Task,
    sockfd: Fd,
    level: SocketLevel,
    optname: SocketOption,
    optval: Annotated[In[bytes], Shown("option_value"), Count("optlen")],
    optlen: Int,
) -> int:
    """Change an option of a socket (man 2 setsockopt)."""
    return _refuse(t, sockfd)


@syscall("getsockopt", errors=_NO_SOCKET, support=PARTIAL, notes=_NOTE)
async def getsockopt(
    t: Task,
    sockfd: Fd,
    level: SocketLevel,
    optname: SocketOption,
    optval: Annotated[Out[bytes], Shown("option_value"), Count("optlen")],
    optlen: OptionLength,
) -> int:
    """Read an option of a socket (man 2 getsockopt)."""
    return _refuse(t, sockfd)
