"""What file descriptors refer to (-y, -yy)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linuxemu.trace.call import Call


def target(call: Call, fd: int) -> str:
    """What an open descriptor of the calling task refers to, in angle brackets; nothing for one that is not open."""
    return ""
