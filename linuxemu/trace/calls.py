"""Where functions begin that no table names: at what other code calls."""

from __future__ import annotations

import re
from bisect import bisect_right

_CALL = re.compile(rb"(?=\xe8(.{4}))", re.DOTALL)
_CALL_SIZE = 5
_MOST = 1 << 24
"""Bytes of code that are searched."""


class CallTargets:
    """The functions that near calls in some code lead to.

    Calls are found by their first byte alone. Where the same byte means something else, the distance behind it leads
    out of the code, but for one in thousands.

    Args:
        code: the bytes of a segment.
        address: where they are in the program.
    """

    def __init__(self, code: bytes, address: int) -> None:
        end = len(code)
        found = set()
        for match in _CALL.finditer(code, 0, _MOST):
            target = match.start() + _CALL_SIZE + int.from_bytes(match[1], "little", signed=True)
            if 0 <= target < end:
                found.add(address + target)
        self._starts = sorted(found)

    def before(self, address: int) -> int | None:
        """The last one that begins at or before an address."""
        number = bisect_right(self._starts, address) - 1
        return self._starts[number] if number >= 0 else None
