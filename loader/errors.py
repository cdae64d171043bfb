"""The one way a program file is refused."""

from __future__ import annotations

from linuxemu.errors import LinuxEmuError

# Linux numbers, x86: the guest's, so not those of the host's `errno` module.
EIO = 5
E2BIG = 7
ENOEXEC = 8
ENOMEM = 12
EACCES = 13
EFAULT = 14
EINVAL = 22
EOVERFLOW = 75
ELIBBAD = 80


class ExecFormatError(LinuxEmuError):
    """A file cannot be executed; the text is the reason in one line.

    Args:
        errno: what execve (man 2 execve) answers.
        fatal: Linux finds this fault only after it gave up the old program: no errno reaches the caller,
            the process is killed by SIGSEGV.
    """

    def __init__(self, reason: str, errno: int = ENOEXEC, *, fatal: bool = False) -> None:
        super().__init__(reason)
        self.errno = errno
        self.fatal = fatal
