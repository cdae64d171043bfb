"""From each `syscall` instruction back to the numbers: through its function, and through the callers of wrappers."""

from __future__ import annotations

import re
import struct
from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from linuxemu.audit.effects import ARGUMENTS, Effects
from linuxemu.audit.flow import Flow
from linuxemu.audit.image import occurrences
from linuxemu.audit.values import LOADED, Location, Parameter, Stack, State, Unknown, Values, constant, joined

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.audit.image import Image
    from linuxemu.audit.sweep import Sweep

_C_PRESERVED = frozenset(["rbx", "rbp", "rsp", "r12", "r13", "r14", "r15"])
_GO_PRESERVED = frozenset(["rsp", "rbp", "r14"])
_MOST_CALLERS = 4096
_NUMBER = 0xFFFFFFFF
_WORD = 8
_HALF = 4
# lea and mov of whole registers, call and jmp, with an address relative to the instruction.
_RELATIVE = re.compile(
    rb"(?:[\x48\x4c][\x8b\x8d][\x05\x0d\x15\x1d\x25\x2d\x35\x3d]|\xff[\x15\x25])(?=....)", re.DOTALL
)


class Lost(NamedTuple):
    """Where a trail ends without a number."""

    address: int
    function: str
    why: str


class Site(NamedTuple):
    """A `syscall` instruction."""

    address: int
    function: str
    numbers: dict[int, frozenset[str]]
    """The numbers that can reach it, each with the functions that say it."""
    lost: tuple[Lost, ...]
    """What could not be followed: with none of it, the numbers are all there are."""


class Found(NamedTuple):
    """Values at one place: a step of a trail."""

    address: int
    values: Values


class Trail:
    """Follows numbers back.

    Args:
        image: the program.
        sweep: its calls and functions.
    """

    def __init__(self, image: Image, sweep: Sweep) -> None:
        self._image = image
        self._sweep = sweep
        self._effects = Effects(_GO_PRESERVED if image.is_go else _C_PRESERVED)
        self._addresses = _addresses(image)
        self._exported = {function.start for function in image.exported}
        self._targets = sorted(sweep.jumps)
        self._flows: dict[int, Flow] = {}
        self._steps: dict[Parameter, list[Found | Lost]] = {}

    def sites(self, progress: Callable[[int], None]) -> list[Site]:
        """Every `syscall` instruction with its numbers.

        Args:
            progress: is told how many were done since it was last called.
        """
        found = []
        for address in self._sweep.sites:
            found.append(self._site(address))
            progress(1)
        return found

    def name_of(self, address: int) -> str:
        """The function that holds an address."""
        function = self._image.functions.get(self._sweep.start_of(address))
        return function.name if function is not None and function.name else f"sub_{self._entry(address):x}"

    def _site(self, address: int) -> Site:
        numbers: dict[int, set[str]] = {}
        lost: set[Lost] = set()
        waiting: list[Found | Lost] = [self._values(address, "rax")]
        seen: set[Parameter] = set()
        while waiting:
            step = waiting.pop()
            if isinstance(step, Lost):
                lost.add(step)
                continue
            for value in step.values:
                if isinstance(value, int):
                    numbers.setdefault(value & _NUMBER, set()).add(self.name_of(step.address))
                elif isinstance(value, Parameter):
                    if value not in seen:
                        seen.add(value)
                        waiting += self._callers(value)
                else:
                    lost.add(
                        self._lost(step.address, value.why if isinstance(value, Unknown) else "an address")
                    )
        return Site(
            address,
            self.name_of(address),
            {number: frozenset(functions) for number, functions in sorted(numbers.items())},
            tuple(sorted(lost)),
        )

    def _lost(self, address: int, why: str) -> Lost:
        return Lost(address, self.name_of(address), why)

    def _flow(self, address: int) -> Flow:
        start = self._sweep.start_of(address)
        flow = self._flows.get(start)
        if flow is None:
            section = self._image.section_at(start)
            assert section is not None
            end = min(self._sweep.end_of(start), section.end)
            code = section.data[start - section.start : end - section.start]
            flow = Flow(code, start, self._effects, self._memory, self._joins(start, end))
            self._flows[start] = flow
        return flow

    def _memory(self, address: int, size: int) -> Values:
        """What a fixed address holds: what the file has there, and more if it can change."""
        found = self._image.word(address, size)
        if found is None:
            return LOADED
        value, writable = found
        if not writable:
            return constant(value)
        return LOADED | {value} if value else LOADED  # 0 is what variables begin with, not a number

    def _joins(self, start: int, end: int) -> set[int]:
        """The addresses behind the start of a function that jumps from outside lead to."""
        first, last = bisect_right(self._targets, start), bisect_left(self._targets, end)
        return {
            target
            for target in self._targets[first:last]
            if any(not start <= site < end for site in self._sweep.jumps[target])
        }

    def _entry(self, address: int) -> int:
        return self._flow(address).entry_of(address)

    def _values(self, address: int, location: Location) -> Found | Lost:
        state = self._flow(address).at(address)
        if state is None:
            return self._lost(address, "not decoded")
        return Found(address, state.get(location))

    def _callers(self, parameter: Parameter) -> list[Found | Lost]:
        """What callers of its function hand over as a parameter."""
        if parameter not in self._steps:
            self._steps[parameter] = self._find_callers(parameter)
        return self._steps[parameter]

    def _find_callers(self, parameter: Parameter) -> list[Found | Lost]:
        entry = parameter.function
        calls, jumps = self._sweep.calls.get(entry, []), self._sweep.jumps.get(entry, [])
        # A jump within the function is a loop, and followed there.
        jumps = [site for site in jumps if self._sweep.start_of(site) != self._sweep.start_of(entry)]
        if len(calls) + len(jumps) > _MOST_CALLERS:
            return [self._lost(entry, f"more than {_MOST_CALLERS} callers")]
        found = [self._handed_over(site, self._flow(site), parameter) for site in calls + jumps]
        before = self._flow(entry - 1) if self._image.section_at(entry - 1) else None
        if (
            before is not None
            and before.start < entry == self._sweep.start_of(entry)
            and before.runs_on_to(entry)
        ):
            found.append(self._handed_over(entry, before, parameter))
        if entry in self._exported:
            found.append(self._lost(entry, "called from other files"))
        found += self._pointed(parameter)
        return found or [self._lost(entry, "no caller seen")]

    def _handed_over(self, site: int, flow: Flow, parameter: Parameter) -> Found | Lost:
        """What a parameter is at a call, which pushes a return address, or at a jump, which does not."""
        state = flow.at(site)
        if state is None:
            return self._lost(site, "not decoded")
        location = parameter.location
        if isinstance(location, str):
            values = state.get(location)
        else:
            stack = [value.offset for value in state.get("rsp") if isinstance(value, Stack)]
            if len(stack) != 1:
                return self._lost(site, "the stack pointer is computed")
            pushed = _WORD if flow.is_call(site) else 0
            values = state.get(stack[0] - pushed + location)
        if parameter.field is not None:
            values = _behind(state, values, parameter.field)
        return Found(site, values)

    def _pointed(self, parameter: Parameter) -> list[Found | Lost]:
        """The calls through pointers to the function, as far as they can be seen."""
        entry = parameter.function
        found: list[Found | Lost] = []
        for place in self._pointers_in_code(entry):
            found += self._uses(place, parameter) or [self._lost(place, "called through a pointer")]
        for slot in self._image.pointers_to(entry):
            uses = [use for place in self._addresses.get(slot, ()) for use in self._uses(place, parameter)]
            found += uses or [self._lost(entry, "called through a pointer in data")]
        return found

    def _uses(self, place: int, parameter: Parameter) -> list[Found | Lost]:
        """What becomes of a pointer to a function that is loaded at a place."""
        flow = self._flow(place)
        called, given = flow.uses_of(parameter.function)
        found = [self._handed_over(call, flow, parameter) for call in called]
        return found + [self._callback(call, flow, parameter) for call in given]

    def _callback(self, call: int, flow: Flow, parameter: Parameter) -> Found | Lost:
        """A function handed over with the address of its argument, as in `for_all_threads(set_id, &ids)`."""
        state = flow.at(call) if flow.is_call(call) else None
        if state is not None and parameter.field is not None:
            for register in ARGUMENTS:
                values = state.get(register)
                if any(isinstance(value, Stack) for value in values):
                    return Found(call, _behind(state, values, parameter.field))
        return self._lost(call, "called through a pointer")

    def _pointers_in_code(self, entry: int) -> list[int]:
        """The instructions that load the address of the function."""
        found = list(self._addresses.get(entry, ()))
        if not self._image.relocatable and entry < 1 << 32:
            for section in self._image.code:
                places = occurrences(section, entry.to_bytes(_HALF, "little"))
                found += [place for place in places if self._flow(place).has_constant(place, entry)]
        return found


def _behind(state: State, pointers: Values, field: int) -> Values:
    """The word at an offset from where pointers point."""
    found: Values = frozenset()
    for pointer in pointers:
        if isinstance(pointer, Stack):
            found = joined(found, state.get(pointer.offset + field))
        elif isinstance(pointer, Parameter) and pointer.field is None:
            found = joined(found, state.get(pointer._replace(field=field)))
        else:
            found = joined(found, LOADED)
    return found


def _addresses(image: Image) -> dict[int, list[int]]:
    """The instructions that load or call through an address relative to themselves, by that address."""
    found: dict[int, list[int]] = defaultdict(list)
    for section in image.code:
        for match in _RELATIVE.finditer(section.data):
            (offset,) = struct.unpack_from("<i", section.data, match.end())
            found[section.start + match.end() + 4 + offset].append(section.start + match.start())
    return found
