"""Linux error numbers as file and console servers answer them, and the way to them from the host's."""

from __future__ import annotations

import sys

from linuxemu.errors import RpcError
from linuxemu.idl.codes import posix_error

EPERM = 1
ENOENT = 2
EINTR = 4
EIO = 5
ENXIO = 6
E2BIG = 7
EBADF = 9
EAGAIN = 11
ENOMEM = 12
EACCES = 13
EFAULT = 14
ENOTBLK = 15
EBUSY = 16
EEXIST = 17
EXDEV = 18
ENODEV = 19
ENOTDIR = 20
EISDIR = 21
EINVAL = 22
ENFILE = 23
EMFILE = 24
ENOTTY = 25
ETXTBSY = 26
EFBIG = 27
ENOSPC = 28
ESPIPE = 29
EROFS = 30
EMLINK = 31
EPIPE = 32
EDOM = 33
ERANGE = 34
EDEADLK = 35
ENAMETOOLONG = 36
ENOLCK = 37
ENOSYS = 38
ENOTEMPTY = 39
ELOOP = 40
ENODATA = 61
EOVERFLOW = 75
EOPNOTSUPP = 95
ETIMEDOUT = 110
ECONNRESET = 104
ESTALE = 116
EDQUOT = 122

_SAME_NUMBERS = sys.platform == "linux"


def fail(errno: int) -> RpcError:
    """The error that answers a request with a Linux error number; for `raise`."""
    return RpcError(posix_error(errno))


def linux_errno(host_errno: int | None) -> int:
    """The Linux number of an error number of the host; EIO for one that Linux does not have."""
    if host_errno is None:
        return EIO
    if _SAME_NUMBERS:
        return host_errno
    return translate(host_errno)


def translate(host_errno: int) -> int:
    """As `linux_errno`, by name: for hosts that number errors in their own way."""
    import errno

    name = errno.errorcode.get(host_errno, "EIO")
    aliases = {"ENOTSUP": "EOPNOTSUPP", "EWOULDBLOCK": "EAGAIN", "EDEADLOCK": "EDEADLK"}
    number = globals().get(aliases.get(name, name))
    return number if isinstance(number, int) else EIO


def host_failure(error: OSError) -> RpcError:
    """The error that passes a failed host call on to the caller of a request."""
    return fail(linux_errno(error.errno))
