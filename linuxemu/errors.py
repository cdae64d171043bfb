"""The errors that linuxemu raises at its own users; the guest's errors are `syscalls.errors.SysError`."""

from __future__ import annotations


class LinuxEmuError(Exception):
    """Root of every error of this package: its text is one line that a user can act on."""


class IdlError(LinuxEmuError):
    """An interface definition that does not parse or does not lay out; the text starts with file:line:column."""


class EngineError(LinuxEmuError):
    """A CPU engine is not available on this host or failed in a way no guest can cause."""


class BootError(LinuxEmuError):
    """A machine cannot be started from what it was given: root, binds, program."""


class DeadlockError(LinuxEmuError):
    """Every process of a machine waits for another, and nothing from outside can wake any of them."""


class RpcError(LinuxEmuError):
    """A request was answered with an error word.

    Args:
        code: the negative error word of the reply, see `linuxemu.idl.codes`.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        from linuxemu.idl.codes import error_name

        return error_name(self.code)
