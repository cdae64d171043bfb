"""One pass over all code: the `syscall` instructions, the direct calls and jumps, where functions begin.

Compilers put next to no data between x86-64 instructions, so decoding from one known function to the next is
exact; where bytes are no instruction the pass goes on behind them, and at the next function in any case.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.audit.image import Image, Section

_CHUNK = 1 << 16
_ALIGNMENT = 16
_LONGEST = 15  # bytes of an instruction


class Sweep:
    """What the pass found.

    Args:
        image: the program.
        progress: is told how many bytes were done since it was last called.
    """

    def __init__(self, image: Image, progress: Callable[[int], None]) -> None:
        self.sites: list[int] = []
        """Addresses of the `syscall` instructions."""
        self.calls: dict[int, list[int]] = defaultdict(list)
        """Direct calls by target: the addresses of the instructions."""
        self.jumps: dict[int, list[int]] = defaultdict(list)
        """Direct jumps likewise, but for those within what is known to be one function."""
        for section in image.code:
            self._section(section, image, progress)
        self.starts = self._functions(image)
        """Where functions begin, in order."""

    def start_of(self, address: int) -> int:
        """The beginning of the function that holds an address."""
        return self.starts[max(bisect_right(self.starts, address) - 1, 0)]

    def end_of(self, start: int) -> int:
        """Where the function after the one at `start` begins."""
        index = bisect_right(self.starts, start)
        return self.starts[index] if index < len(self.starts) else start + _CHUNK

    def _section(self, section: Section, image: Image, progress: Callable[[int], None]) -> None:
        known = sorted({image.entry, *image.functions})
        stops = [start for start in known if section.start < start < section.end]
        for start, end in zip([section.start, *stops], [*stops, section.end]):
            position = start
            while position < end:
                done = self._chunk(section, position, end)
                progress(done - position)
                position = done

    def _chunk(self, section: Section, start: int, end: int) -> int:
        """Decode from `start`, a chunk at most, and give the address to go on at."""
        from linuxemu.audit.decode import sweep

        stop = min(end, start + _CHUNK)
        code = section.data[start - section.start : stop - section.start]
        after = start
        for address, size, mnemonic, operands in sweep(code, start):
            after = address + size
            if mnemonic == "syscall":
                self.sites.append(address)
            elif mnemonic == "call":
                if operands.startswith("0x"):
                    self.calls[int(operands, 16)].append(address)
            elif mnemonic[0] == "j" and operands.startswith("0x"):
                target = int(operands, 16)
                if mnemonic == "jmp" or not start <= target < end:
                    self.jumps[target].append(address)
        if after < stop and (stop == end or stop - after > _LONGEST):
            after += 1  # no instruction: data, or the middle of one
        return after

    def _functions(self, image: Image) -> list[int]:
        """The starts that tables name, and what calls and last jumps lead to outside of what those cover."""
        known = list(image.functions.values())
        starts = [function.start for function in known]

        def covered(address: int) -> bool:
            before = bisect_right(starts, address) - 1
            return before >= 0 and address < known[before].start + known[before].size

        def is_code(address: int) -> bool:
            return image.section_at(address) is not None

        found = {*starts, image.entry, *(section.start for section in image.code)}
        found.update(target for target in self.calls if not covered(target))
        jumps = {target: sites for target, sites in self.jumps.items() if not covered(target)}
        found.update(target for target, sites in jumps.items() if any(map(covered, sites)))
        starts_so_far = sorted(filter(is_code, found))
        # Where no table says how far functions go, an aligned place that another function jumps to is one.
        for target, sites in jumps.items():
            home = bisect_right(starts_so_far, target)
            if target % _ALIGNMENT == 0 and any(bisect_right(starts_so_far, site) != home for site in sites):
                found.add(target)
        return sorted(filter(is_code, found))
