"""The errors of the guest: what a handler raises to make a system call fail."""

from __future__ import annotations


class SysError(Exception):
    """A system call fails with `errno`.

    Args:
        errno: positive Linux error number, see `syscalls.abi.errno`.
    """

    __slots__ = ("errno",)

    def __init__(self, errno: int) -> None:
        self.errno = errno

    def __str__(self) -> str:
        from syscalls.abi.errno import errno_name

        return errno_name(self.errno)


class Restart:
    """What becomes of a call that a signal interrupts; signal delivery alone decides (man 7 signal).

    SYS restarts under SA_RESTART, NOHAND restarts unless a handler ran, ALWAYS restarts in any case,
    NEVER fails with EINTR, BLOCK resumes through `Task.restart_block` unless a handler ran.
    """

    SYS = 1
    NOHAND = 2
    ALWAYS = 3
    NEVER = 4
    BLOCK = 5


class Interrupted(BaseException):
    """A wait ended because a signal wants to be delivered; handlers let it pass.

    It is no `Exception`, so that no handler swallows it by accident.
    """

    __slots__ = ("restart",)

    def __init__(self, restart: int = Restart.SYS) -> None:
        self.restart = restart


class OutOfMemory(BaseException):
    """No page frame is left: the process that needed one is killed, as by Linux's OOM killer."""
