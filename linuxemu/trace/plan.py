"""How each system call is shown, worked out once from its declaration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace import formats
from syscalls import registry
from syscalls.abi.numbers import X86_64
from syscalls.signatures import signature_of
from syscalls.types import Arg

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from linuxemu.messages import TrapFrame
    from linuxemu.trace.call import Call

NAMES = {number: name for name, number in X86_64.items()}
X32 = 0x4000_0000
"""Bit of the numbers of the x32 calls, which this Linux (as most) has not; strace has their names all the same."""
_X32_FIRST = 512
_X32_OWN = (
    13, 15, 16, 19, 20, 45, 46, 47, 59, 101, 127, 128, 129, 131, 222, 244, 246, 247, 273, 274, 278, 279, 295, 296, 297,
    299, 307, 310, 311, 54, 55, 206, 209, 322, 327, 328,
)  # fmt: skip
"""The calls that x32 has at numbers of its own, from 512 on."""
_NOT_X32 = frozenset((*_X32_OWN, 134, 156, 174, 177, 178, 180, 205, 211, 214, 215, 236))
_RAW = Arg(None, "hex")
_WORD = Arg(None, "int")


def _known(number: int) -> tuple[int, str]:
    """The call whose name and arguments a number is shown with, and what strace puts behind the name."""
    if not number & X32 or number >> 31:
        return number, ""
    number &= ~X32
    if _X32_FIRST <= number < _X32_FIRST + len(_X32_OWN):
        return _X32_OWN[number - _X32_FIRST], ""
    return number, "#64" if number in _NOT_X32 else ""


class Plan:
    """How one system call is shown.

    Args:
        number: its number; an unknown one is shown with six raw arguments.
        raw: arguments are shown as numbers, undecoded (-e raw).
        abbrev: long structures and arrays are cut short (-e abbrev).
        verbose: pointers are followed (-e verbose).
        silent: nothing is shown of arguments.
    """

    __slots__ = (
        "abbrev", "arguments", "decode", "decoded", "entry", "exit", "index", "late", "name", "number", "raw", "result",
        "verbose",
    )  # fmt: skip

    def __init__(
        self, number: int, raw: bool = False, abbrev: bool = True, verbose: bool = True, silent: bool = False
    ) -> None:
        self.number = number
        known, mark = _known(number)
        self.raw, self.abbrev, self.verbose = raw or bool(mark), abbrev, verbose
        self.name = NAMES[known] + mark if known in NAMES else f"syscall_{number:#x}"
        declared = signature_of(known)
        self.arguments = declared.arguments() if declared is not None else [(f"arg{n}", _RAW) for n in range(1, 7)]
        """Name and `Arg` of each argument."""
        self.result = declared.result() if declared is not None else _WORD
        self.index = {name: position for position, (name, _) in enumerate(self.arguments)}
        """Position of each argument in `Call.args`."""
        self.decode = _decoder(self.arguments)
        """Turns a trap frame into the tuple of decoded arguments."""
        self.late = False
        """Whether there are arguments that are shown when it ends."""
        self.decoded = False
        """Whether nothing of it but the result is shown when it ends."""
        self.entry, self.exit = (formats.nothing, formats.nothing) if silent else self._phases()
        """The texts of the arguments that are shown when the call begins, and of those shown when it ends."""

    def _phases(self) -> tuple[Callable[[Call], list[str]], Callable[[Call], list[str]]]:
        formats.need(arg.format for _, arg in self.arguments)
        special = formats.CALLS.get(self.name)
        if special is not None and not self.raw:
            self.late = special[1] is not formats.nothing
            self.decoded = not self.late
            return special
        arguments = [(position, arg) for position, (_, arg) in enumerate(self.arguments)]
        # What the kernel fills, and all behind it, is shown when the call has ended.
        first_out = next((n for n, (_, arg) in enumerate(arguments) if self._waits(arg)), None)
        early = arguments[:first_out]
        late = arguments[first_out:] if first_out is not None else []
        twice = bool(late) and late[0][1].format in formats.CHANGES
        if twice:
            early = [*early, late[0]]
        after = [(n, arg, formats.AFTER[arg.format]) for n, arg in early if arg.format in formats.AFTER]
        show_early, show_late = self._beginning(early, late), self._shower(late, twice)
        self.late = bool(late)
        self.decoded = not late and (self.raw or not after)
        if not after or self.raw:
            return show_early, show_late

        def exit_(call: Call) -> list[str]:
            for position, arg, more in after:
                more(call, call.args[position], arg)
            return show_late(call)

        return show_early, exit_

    def _beginning(
        self, early: list[tuple[int, Arg]], late: list[tuple[int, Arg]]
    ) -> Callable[[Call], list[str]]:
        show = self._shower(early)
        before = [(n, arg, formats.BEFORE[arg.format]) for n, arg in late if arg.format in formats.BEFORE]
        if not before:
            return show

        def entry(call: Call) -> list[str]:
            for position, arg, look in before:
                look(call, call.args[position], arg)
            return show(call)

        return entry

    def _waits(self, arg: Arg) -> bool:
        """Whether an argument, and what is behind it, is shown when the call has ended."""
        return (arg.direction == "out" or arg.format in formats.CHANGES) and not self.raw

    def _shower(self, arguments: list[tuple[int, Arg]], twice: bool = False) -> Callable[[Call], list[str]]:
        if not arguments:
            return formats.nothing
        if self.raw:
            if arguments[-1][1].format == "hidden":
                arguments = arguments[:-1]
            registers = [registry.ARGUMENT_INDEX[position] for position, _ in arguments]
            return lambda call: [formats.raw(call.frame[register]) for register in registers]
        parts = [(position, arg, formats.of(arg)) for position, arg in arguments]
        if twice:
            position, arg, _ = parts[0]
            parts[0] = (position, arg, formats.CHANGES[arg.format])
        if len(parts) == 1:
            position, arg, show_one = parts[0]

            def one(call: Call) -> list[str]:
                text = show_one(call, call.args[position], arg)
                if text is None:
                    call.hidden |= {position}
                    return []
                return [text]

            return one

        def several(call: Call) -> list[str]:
            args = call.args
            texts = [show(call, args[position], arg) for position, arg, show in parts]
            if None in texts:
                call.hidden |= {part[0] for part, text in zip(parts, texts, strict=True) if text is None}
            return [text for text in texts if text is not None]

        return several


def _decoder(arguments: list[tuple[str, Arg]]) -> Callable[[TrapFrame], tuple[int, ...]]:
    """A function from a trap frame to decoded arguments, the same as the handler gets."""
    decoder: Callable[[TrapFrame], tuple[int, ...]] = registry.decoder([arg for _, arg in arguments], "({},)")
    return decoder


class Plans:
    """The plans of a trace, made when calls are first seen.

    Args:
        raw: numbers shown undecoded.
        abbrev: numbers whose long structures are cut short.
        verbose: numbers whose pointers are followed.
        silent: nothing is shown of arguments.
    """

    def __init__(
        self, raw: Container[int], abbrev: Container[int], verbose: Container[int], silent: bool = False
    ) -> None:
        self._raw, self._abbrev, self._verbose, self._silent = raw, abbrev, verbose, silent
        self._made: dict[int, Plan] = {}

    def of(self, number: int) -> Plan:
        """The plan of a call."""
        plan = self._made.get(number)
        if plan is None:
            sets = self._raw, self._abbrev, self._verbose
            known, _ = _known(number)
            raw, abbrev, verbose = (known in numbers or known not in NAMES for numbers in sets)
            plan = Plan(number, raw, abbrev, verbose, self._silent)
            if number in NAMES:  # a program could make up any number of others
                self._made[number] = plan
        return plan
