"""Leaving a function that no unwind table describes, as those of musl and BusyBox: where its return address is.

Nothing here is certain, so several ways are tried, the surest first, and an address is taken for a return only if a
call stands before it, at best a call of this very function.
"""

from __future__ import annotations

import struct
from itertools import islice
from typing import TYPE_CHECKING

from linuxemu.trace.instruction import stack_depths

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.module import Mapping

_MASK = (1 << 64) - 1
_NEAR_CALL, _NEAR_JUMP = 0xE8, b"\xe9"
_NEAR_SIZE = 5
_GROUP = 0xFF
_GROUP_SIZES = (2, 3, 4, 6, 7)
_LONGEST_CALL = 7
_REACH = 1 << 31
_SCANS = (1 << 14, 1 << 12, 1 << 10, 1 << 8, 8)
"""Bytes of the stack in which a return address is looked for: as many as there are."""
_TRIES = 256
"""Words on the stack that may be return addresses."""
_THUNK = 48
"""Bytes in which a function that only prepares for another jumps to it."""
_PROLOGUE = 256
"""Bytes of a function in which it makes room on the stack."""
_SIGRETURN = b"\x48\xc7\xc0\x0f\0\0\0\x0f\x05"
"""mov $15, %rax; syscall"""


class Guess:
    """Looks for return addresses.

    Args:
        read: the guest's memory, `read(address, length)`; None unless it has all of it.
        find: what executable memory an address is in, if it is in any.
    """

    def __init__(
        self, read: Callable[[int, int], bytes | None], find: Callable[[int], Mapping | None]
    ) -> None:
        self._read = read
        self._find = find

    def place(self, inside: int, begin: int | None, stack: int, pointer: int | None) -> int | None:
        """Where on the stack the return address of a function is.

        Args:
            inside: an address of the instruction at which it is.
            begin: where the function begins, if that is known.
            stack: the stack pointer.
            pointer: rbp, whatever it holds.
        """
        # Functions that begin with `push %rbp; mov %rsp, %rbp` have it there; others have anything in rbp.
        framed = pointer + 8 if pointer is not None and pointer >= stack and pointer % 8 == 0 else None
        if begin is not None:
            if framed is not None and self._calls(framed, begin):
                return framed
            for place in self._below_prologue(inside, begin, stack):
                if self._is_return(self._word(place)):
                    return place
            scanned = self._scan(inside, begin, stack)
            if scanned is not None:
                return scanned
        return framed if framed is not None and self._is_return(self._word(framed)) else None

    def is_signal_return(self, address: int) -> bool:
        """Whether a signal's handler returns to an address, where C libraries call sigreturn (man 2 sigreturn)."""
        return self._read(address, len(_SIGRETURN)) == _SIGRETURN

    def _calls(self, place: int, begin: int) -> bool:
        """The return address at a place is behind a call of a function."""
        callee = self._callee(self._word(place))
        return callee is not None and self._leads(callee, begin)

    def _below_prologue(self, inside: int, begin: int, stack: int) -> list[int]:
        """Where the return address is if the function did nothing to the stack but at its begin."""
        length = min(inside - begin, _PROLOGUE)
        code = self._read(begin, length) if length > 0 else b""
        return [stack + depth & _MASK for depth in stack_depths(code, begin)] if code is not None else []

    def _scan(self, inside: int, begin: int, stack: int) -> int | None:
        """The next place on the stack behind a call of a function."""
        data = next((data for size in _SCANS if (data := self._read(stack, size)) is not None), b"")
        near = (
            stack + 8 * number
            for number, (word,) in enumerate(struct.iter_unpack("<Q", data))
            if -_REACH < word - inside < _REACH
        )
        return next((place for place in islice(near, _TRIES) if self._calls(place, begin)), None)

    def _callee(self, target: int | None) -> int | None:
        """What is called by the near call before an address of code, if one is there."""
        if target is None or not self._find(target - 1):
            return None
        call = self._read(target - _NEAR_SIZE & _MASK, _NEAR_SIZE)
        if call is None or call[0] != _NEAR_CALL:
            return None
        return target + int.from_bytes(call[1:], "little", signed=True) & _MASK

    def _leads(self, callee: int, begin: int) -> bool:
        """A called function is the one that begins there, or goes on in it soon (a tail call)."""
        if callee == begin:
            return True
        code = self._read(callee, _THUNK) or b""
        at = code.find(_NEAR_JUMP)
        while 0 <= at <= len(code) - _NEAR_SIZE:
            target = callee + at + _NEAR_SIZE + int.from_bytes(code[at + 1 : at + 5], "little", signed=True)
            if target == begin:
                return True
            at = code.find(_NEAR_JUMP, at + 1)
        return False

    def _is_return(self, address: int | None) -> bool:
        """Some call stands before an address of code, or it is where the kernel lets handlers of signals return."""
        if address is None or address < _LONGEST_CALL or not self._find(address - 1):
            return False
        code = self._read(address - _LONGEST_CALL, _LONGEST_CALL)
        if code is None:
            return False
        if self.is_signal_return(address):
            return True
        return code[-_NEAR_SIZE] == _NEAR_CALL or any(
            code[-size] == _GROUP and code[1 - size] >> 3 & 7 == 2 for size in _GROUP_SIZES
        )

    def _word(self, address: int) -> int | None:
        data = self._read(address & _MASK, 8)
        return None if data is None else int.from_bytes(data, "little")
