"""One function: its blocks, and what registers and stack may hold before each of its instructions."""

from __future__ import annotations

from bisect import bisect_right
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from linuxemu.audit.decode import Instruction, decode
from linuxemu.audit.values import State

if TYPE_CHECKING:
    from linuxemu.audit.effects import Effects

_ENDS = frozenset(["ret", "jmp", "hlt", "ud2", "ud1", "int3", "iretq"])
_PADDING = frozenset(["nop", "int3"])
_ROUNDS = 12
"""After so many visits of a block, what still changes there is taken as unknown."""


class Block:
    """Instructions that run one after the other, and the blocks that can come next."""

    __slots__ = ("instructions", "next", "state", "visits")

    def __init__(self, instructions: list[Instruction]) -> None:
        self.instructions = instructions
        self.next: list[int] = []
        self.state: State | None = None
        self.visits = 0


class Flow:
    """The function that begins at an address.

    Args:
        code: its bytes.
        start: where it begins.
        effects: what instructions do.
    """

    def __init__(self, code: bytes, start: int, effects: Effects) -> None:
        self.start = start
        self._effects = effects
        self._instructions = list(decode(code, start))
        self._blocks = self._split()
        self._starts = sorted(self._blocks)
        self._connect()
        self.entries = self._entries()
        """Where it can be entered: its start, and what no instruction of it leads to."""
        self._solve()

    def at(self, address: int) -> State | None:
        """What holds before the instruction at an address, or behind the last one; None if there is none."""
        place = bisect_right(self._starts, address) - 1
        block = self._blocks[self._starts[place]] if place >= 0 else None
        if block is None or block.state is None:
            return None
        state = block.state.copy()
        for instruction in block.instructions:
            if instruction.address == address:
                return state
            self._effects.apply(instruction, state)
        return state if instruction.address + instruction.size == address else None

    def next_call(self, address: int) -> int | None:
        """The first call at or behind an address."""
        return next((i.address for i in self._instructions if i.address >= address and i.name == "call"), None)

    def entry_of(self, address: int) -> int:
        """Which entry is nearest before an address."""
        return self.entries[max(bisect_right(self.entries, address) - 1, 0)]

    @property
    def runs_on(self) -> Instruction | None:
        """The last instruction, if what follows in memory runs after it."""
        last = self._instructions[-1] if self._instructions else None
        return None if last is None or last.name in _ENDS | _PADDING | {"call"} else last

    def _split(self) -> dict[int, Block]:
        addresses = [instruction.address for instruction in self._instructions]
        leaders = {self.start}
        for instruction in self._instructions:
            if instruction.name[0] == "j" or instruction.name in _ENDS:
                leaders.add(instruction.address + instruction.size)
                target = self._inside(instruction, addresses)
                if target is not None:
                    leaders.add(target)
        blocks: dict[int, Block] = {}
        for instruction in self._instructions:
            if instruction.address in leaders or not blocks:
                block = blocks[instruction.address] = Block([])
            block.instructions.append(instruction)
        return blocks

    def _inside(self, jump: Instruction, addresses: list[int]) -> int | None:
        """The instruction of this function that a jump leads to.

        A jump past a prefix, as old C libraries have it, leads to the instruction with the prefix.
        """
        target = jump.target if jump.name[0] == "j" else None
        if target is None or not self.start <= target <= addresses[-1]:
            return None
        return addresses[bisect_right(addresses, target) - 1]

    def _connect(self) -> None:
        addresses = [instruction.address for instruction in self._instructions]
        for block in self._blocks.values():
            last = block.instructions[-1]
            behind = last.address + last.size
            if last.name not in _ENDS and behind in self._blocks:
                block.next.append(behind)
            target = self._inside(last, addresses)
            if target is not None:
                block.next.append(target)

    def _entries(self) -> list[int]:
        """Blocks that nothing leads to belong to a computed jump, if there is one; else they are functions."""
        reached = {target for block in self._blocks.values() for target in block.next} | {self.start}
        orphans = [
            address
            for address, block in self._blocks.items()
            if address not in reached and any(i.name not in _PADDING for i in block.instructions)
        ]
        jumps = [block for block in self._blocks.values() if _computed(block.instructions[-1])]
        for block in jumps:
            block.next = orphans
        return [self.start] if jumps else sorted([self.start, *orphans])

    def _solve(self) -> None:
        waiting: list[int] = []
        for entry in self.entries:
            if entry in self._blocks:
                self._blocks[entry].state = State.at_entry()
                heappush(waiting, entry)
        queued = set(waiting)
        while waiting:
            address = heappop(waiting)
            queued.discard(address)
            block = self._blocks[address]
            assert block.state is not None
            state = block.state.copy()
            for instruction in block.instructions:
                self._effects.apply(instruction, state)
            for target in block.next:
                if self._enter(self._blocks[target], state) and target not in queued:
                    queued.add(target)
                    heappush(waiting, target)

    def _enter(self, block: Block, state: State) -> bool:
        """Come to a block in a state; whether that is news."""
        if block.state is None:
            block.state = state.copy()
            return True
        block.visits += 1
        return block.state.join(state) if block.visits < _ROUNDS else block.state.widen(state)


def _computed(instruction: Instruction) -> bool:
    return instruction.name == "jmp" and instruction.target is None
