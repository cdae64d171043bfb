"""Making sockets."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from syscalls.missing.types import Family, FdPair, Protocol, SocketType
from syscalls.signatures import missing
from syscalls.types import Fd, ULong


@missing
def socket(domain: Family, type: SocketType, protocol: Protocol) -> Fd:
    """Make a socket: man 2 socket."""


@missing
def socketpair(domain: Family, type: SocketType, protocol: ULong, sv: FdPair) -> int:
    """Make two connected sockets: man 2 socketpair."""
