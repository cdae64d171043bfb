"""Signals for calls that wait: with a handler, and without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.flags import SIGCONT, SIGSTOP, SIGUSR1

if TYPE_CHECKING:
    from linuxemu.testing import Guest, GuestThread

SECOND = 1_000_000_000


class Sender:
    """Another process, which sends signals to the first one. Made before a call, it leaves no messages in it.

    Args:
        guest: the guest.
    """

    def __init__(self, guest: Guest) -> None:
        self._process: GuestThread = guest.process()
        self._pid = guest.main.pid

    def send(self, signo: int = SIGUSR1) -> None:
        """Send a signal."""
        self._process.syscall.kill(self._pid, signo)

    def stop_and_continue(self) -> None:
        """Interrupt whatever call waits, without a handler."""
        self.send(SIGSTOP)
        self.send(SIGCONT)
