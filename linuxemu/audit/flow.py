"""One function: its blocks, and what registers and stack may hold before each of its instructions."""

from __future__ import annotations

from bisect import bisect_right
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from linuxemu.audit.decode import Immediate, Instruction, Memory, Register, decode
from linuxemu.audit.effects import ARGUMENTS, address_of, read
from linuxemu.audit.values import Location, Stack, State, Values, constant, narrowed

if TYPE_CHECKING:
    from linuxemu.audit.effects import Effects
    from linuxemu.audit.values import Contents

# `hlt` is no end: a C library crashes with it where its source goes on, and the code behind it is of that function.
_ENDS = frozenset(["ret", "jmp", "ud2", "ud1", "iretq"])
_PADDING = frozenset(["nop", "int3"])
_KEEPS_FLAGS = frozenset(["mov", "movabs", "movzx", "movsxd", "lea", "push", "pop", "movups", "movaps"])
_RESULT_IN_FLAGS = frozenset(["add", "and", "dec", "inc", "neg", "or", "sub", "xor"])
_NUMBER_SIZE = 4
_ROUNDS = 8
"""After so many changes at a block, what still changes there is taken as unknown."""


class Block:
    """Instructions that run one after the other, and the blocks that can come next."""

    __slots__ = ("changes", "instructions", "next", "state")

    def __init__(self, instructions: list[Instruction]) -> None:
        self.instructions = instructions
        self.next: list[int] = []
        self.state: State | None = None
        self.changes = 0


class Flow:
    """The function that begins at an address.

    Args:
        code: its bytes.
        start: where it begins.
        effects: what instructions do.
        memory: what stands at fixed addresses.
        joins: addresses within it that other code jumps to, as the parts of a split function do.
    """

    def __init__(self, code: bytes, start: int, effects: Effects, memory: Contents, joins: set[int]) -> None:
        self.start = start
        self._effects = effects
        self._joins = joins
        self._instructions = list(decode(code, start))
        self._blocks = self._split()
        self._starts = sorted(self._blocks)
        self._connect()
        self.entries = self._entries()
        """Where it can be entered: its start, and what no instruction of it leads to."""
        self._solve(memory)

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

    def uses_of(self, function: int) -> tuple[list[int], list[int]]:
        """Where a pointer to a function is called or jumped through, and where it is handed on or stored."""
        called, given = [], []
        for block in self._blocks.values():
            if block.state is None:
                continue
            state = block.state.copy()
            for instruction in block.instructions:
                if _through_pointer(instruction) and function in read(state, instruction.operands[0]):
                    called.append(instruction.address)
                elif _gives_away(instruction, state, function):
                    given.append(instruction.address)
                self._effects.apply(instruction, state)
        return called, given

    def has_constant(self, address: int, value: int) -> bool:
        """Whether the instruction around an address has a constant as an operand."""
        return any(
            isinstance(operand, Immediate) and operand.value == value
            for instruction in self._instructions
            if instruction.address <= address < instruction.address + instruction.size
            for operand in instruction.operands
        )

    def is_call(self, address: int) -> bool:
        """Whether a call stands at an address, and no jump."""
        return any(i.address == address and i.name == "call" for i in self._instructions)

    def entry_of(self, address: int) -> int:
        """Which entry is nearest before an address."""
        return self.entries[max(bisect_right(self.entries, address) - 1, 0)]

    def runs_on_to(self, address: int) -> bool:
        """Whether its last instruction leads to what follows in memory."""
        last = self._instructions[-1].name if self._instructions else "ret"
        return last not in _ENDS | _PADDING | {"call"} and self.at(address) is not None

    def _split(self) -> dict[int, Block]:
        addresses = [instruction.address for instruction in self._instructions]
        leaders = {self.start, *self._joins}
        for instruction in self._instructions:
            if instruction.name[0] == "j" or instruction.name in _ENDS:
                leaders.add(instruction.address + instruction.size)
                target = self._inside(instruction, addresses)
                if target is not None:
                    leaders.add(target)
        blocks: dict[int, Block] = {}
        padding = False
        for instruction in self._instructions:
            leads = instruction.address in leaders
            behind_padding = padding and instruction.name not in _PADDING
            padding = (padding or leads) and instruction.name in _PADDING
            if leads or behind_padding or not blocks:
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
        """The start, and blocks that nothing leads to, if no computed jump before them can: other functions."""
        reached: set[int] = set()
        jumps: list[Block] = []
        entries: list[int] = []
        for address in self._starts:
            block = self._blocks[address]
            if address in reached or all(i.name in _PADDING for i in block.instructions):
                continue
            if jumps:
                for jump in jumps:
                    jump.next.append(address)
            else:
                entries.append(address)
            jumps += self._reach(address, reached)
        return entries or [self.start]

    def _reach(self, address: int, reached: set[int]) -> list[Block]:
        """Note all blocks that come after one; those of them that end with a computed jump."""
        waiting = [address]
        jumps = []
        while waiting:
            address = waiting.pop()
            if address in reached:
                continue
            reached.add(address)
            block = self._blocks[address]
            waiting += block.next
            if _computed(block.instructions[-1]):
                jumps.append(block)
        return jumps

    def _solve(self, memory: Contents) -> None:
        waiting: list[int] = []
        for entry in self.entries:
            if entry in self._blocks:
                self._blocks[entry].state = State.at_entry(entry, memory)
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
            last = block.instructions[-1]
            equal, known = _branch(block.instructions)
            for target in block.next:
                arriving = state
                if known and target == equal:
                    arriving = state.copy()
                    arriving.cells.update(known)
                if self._enter(target, arriving, last) and target not in queued:
                    queued.add(target)
                    heappush(waiting, target)

    def _enter(self, address: int, state: State, last: Instruction) -> bool:
        """Come to a block in a state, behind an instruction; whether that is news."""
        block = self._blocks[address]
        if block.state is None:
            block.state = state.copy()
            if address in self._joins:
                self._effects.forget(block.state)
            return True
        if block.state.get("rsp") != state.get("rsp") and (last.name == "call" or address == self.start):
            # The stack is as deep on every way to one place: the call behind which this one would be never returns.
            return False
        changed = block.state.join(state) if block.changes < _ROUNDS else block.state.widen(state)
        block.changes += changed
        return changed


def _through_pointer(instruction: Instruction) -> bool:
    return instruction.name in ("call", "jmp") and instruction.target is None


def _gives_away(instruction: Instruction, state: State, function: int) -> bool:
    """Whether a pointer to a function is an argument of this call, or stored where others can find it."""
    if instruction.name == "call":
        return any(function in state.get(register) for register in ARGUMENTS)
    if instruction.name != "mov" or not isinstance(instruction.operands[0], Memory):
        return False
    if function not in read(state, instruction.operands[1]):
        return False
    return not all(isinstance(address, Stack) for address in address_of(state, instruction.operands[0]))


def _computed(instruction: Instruction) -> bool:
    return instruction.name == "jmp" and instruction.target is None


def _branch(instructions: list[Instruction]) -> tuple[int, dict[Location, Values]]:
    """Where a last `je` or `jne` goes if it finds equality, and what registers hold then."""
    last = instructions[-1]
    if last.name not in ("je", "jne"):
        return 0, {}
    target = last.target if last.name == "je" else last.address + last.size
    copies: list[Instruction] = []
    for instruction in reversed(instructions[:-1]):
        if instruction.name not in _KEEPS_FLAGS:
            return target or 0, _equal(instruction, copies)
        copies.insert(0, instruction)
    return 0, {}


def _equal(test: Instruction, copies: list[Instruction]) -> dict[Location, Values]:
    """What an equality found by `test` says of its register, and of those it was copied to afterwards."""
    first, *rest = test.operands or (None,)
    if not isinstance(first, Register) or first.size < _NUMBER_SIZE:
        return {}
    if test.name == "cmp" and rest and isinstance(rest[0], Immediate):
        value = constant(rest[0].value)
    elif test.name in _RESULT_IN_FLAGS or (test.name == "test" and rest == [first]):
        value = constant(0)
    else:
        return {}
    found: dict[Location, Values] = {first.name: narrowed(value, first.size)}
    for copy in copies:
        source = copy.operands[-1] if copy.operands else None
        known = (
            found.get(source.name) if isinstance(source, Register) and source.size >= _NUMBER_SIZE else None
        )
        for register in copy.changed:
            found.pop(register, None)
        to = copy.operands[0] if copy.operands else None
        if copy.name == "mov" and known is not None and isinstance(to, Register) and to.size >= _NUMBER_SIZE:
            found[to.name] = narrowed(known, to.size)
    return found
