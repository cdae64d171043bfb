"""Address spaces: the tables a CPU walks say what a dictionary says, and every frame comes back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from linuxemu.arch.x86_64 import (
    PTE_ADDRESS,
    PTE_DIRTY,
    PTE_NX,
    PTE_PRESENT,
    PTE_SHARED,
    PTE_USER,
    PTE_WRITABLE,
)
from linuxemu.cpu.memory import HostRam
from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NO_MEMORY
from linuxemu.kernel.frames import FrameAllocator
from linuxemu.kernel.paging import AddressSpace

PAGE = 4096
RO = PTE_PRESENT | PTE_USER | PTE_NX
RW = RO | PTE_WRITABLE
RX = PTE_PRESENT | PTE_USER
SHARED = RW | PTE_SHARED
NONE = PTE_USER | PTE_NX
TOP = (1 << 47) - PAGE
PLACES = (0x1000, 0x1F_F000, 0x20_0000, 0x4000_0000, 0x7FFF_FFFF_E000, TOP)


def make(count: int = 512) -> FrameAllocator:
    return FrameAllocator(HostRam(count * PAGE), 2, lambda frames: None)


@pytest.fixture
def frames() -> FrameAllocator:
    return make()


@pytest.fixture
def space(frames: FrameAllocator) -> AddressSpace:
    return AddressSpace(frames)


def new_frame(frames: FrameAllocator, byte: int = 0) -> int:
    frame = frames.alloc()
    frames.ram.data[frame << 12 : (frame + 1) << 12] = bytes([byte]) * PAGE
    return frame


def give(frames: FrameAllocator, space: AddressSpace, vaddr: int, flags: int, byte: int = 0) -> int:
    """Map a fresh frame that nothing else refers to."""
    frame = new_frame(frames, byte)
    space.map(vaddr, frame, flags)
    frames.release(frame)
    return frame


def walk(frames: FrameAllocator, root: int, vaddr: int) -> int:
    """The last-level entry as a CPU finds it, 0 if a level is missing."""
    table = root
    for shift in (39, 30, 21):
        entry = frames.ram.words[(table >> 3) + (vaddr >> shift & 511)]
        if not entry & PTE_PRESENT:
            return 0
        assert entry & PTE_WRITABLE
        assert entry & PTE_USER
        assert not entry & PTE_NX
        table = entry & PTE_ADDRESS
    return frames.ram.words[(table >> 3) + (vaddr >> 12 & 511)]


def byte_at(frames: FrameAllocator, space: AddressSpace, vaddr: int) -> int:
    return frames.ram.data[space.entry(vaddr) & PTE_ADDRESS]


@pytest.mark.parametrize("vaddr", PLACES)
def test_map_is_what_a_walk_finds(frames: FrameAllocator, space: AddressSpace, vaddr: int) -> None:
    assert walk(frames, space.root, vaddr) == space.entry(vaddr) == 0
    frame = give(frames, space, vaddr, RW)
    assert walk(frames, space.root, vaddr) == space.entry(vaddr) == frame << 12 | RW
    assert walk(frames, space.root, vaddr + PAGE & TOP) == (0 if vaddr + PAGE & TOP != vaddr else frame << 12 | RW)
    assert frames.refs[frame] == 1


def test_map_replaces_and_counts(frames: FrameAllocator, space: AddressSpace) -> None:
    first, second = new_frame(frames), new_frame(frames)
    space.map(0x5000, first, RO)
    before = space.generation
    space.map(0x5000, second, RW)
    assert space.generation > before
    assert (frames.refs[first], frames.refs[second]) == (1, 2)
    space.map(0x5000, second, RO)  # onto itself
    assert frames.refs[second] == 2
    assert space.entry(0x5000) == second << 12 | RO


def test_only_executable_mappings_mark_code(frames: FrameAllocator, space: AddressSpace) -> None:
    marked = []
    for vaddr, flags in ((0x1000, RX), (0x2000, RO), (0x3000, RW)):
        frame = give(frames, space, vaddr, flags)
        marked.append(frames.code[frame])
    assert marked == [1, 0, 0]
    space.grant(0x2000, RX)
    space.protect(0x3000, 0x4000, 0, RX)
    assert frames.code[space.entry(0x2000) >> 12 & 0xFFFF] == frames.code[space.entry(0x3000) >> 12 & 0xFFFF] == 1
    frame = new_frame(frames)
    space.map_missing(0x8000, [frame], RX)
    other = new_frame(frames)
    space.map_owned(0x9000, other, RX)
    assert frames.code[frame] == frames.code[other] == 1


def test_map_missing_leaves_what_is_there(frames: FrameAllocator, space: AddressSpace) -> None:
    old = give(frames, space, 0x12000, RW)
    pages = [new_frame(frames) for _ in range(4)]
    before = space.generation
    space.map_missing(0x10000, [pages[0], 0, pages[2], pages[3]], RO)
    found = [space.entry(0x10000 + i * PAGE) & PTE_ADDRESS for i in range(4)]
    assert found == [pages[0] << 12, 0, old << 12, pages[3] << 12]
    assert [frames.refs[page] for page in pages] == [2, 1, 1, 2]
    assert space.generation == before


def test_map_owned_takes_the_reference(frames: FrameAllocator, space: AddressSpace) -> None:
    shown = new_frame(frames)
    space.map(0x1000, shown, RO)
    copy = new_frame(frames)
    space.map_owned(0x1000, copy, RW)
    assert (frames.refs[shown], frames.refs[copy]) == (1, 1)


def test_flags_of_entries(frames: FrameAllocator, space: AddressSpace) -> None:
    frame = give(frames, space, 0x1000, RO)
    generation = space.generation
    space.grant(0x1000, RW)
    space.mark(0x1000, PTE_DIRTY)
    assert space.entry(0x1000) == frame << 12 | RW | PTE_DIRTY
    assert space.generation == generation
    space.clear_dirty(0x1000)
    assert space.entry(0x1000) == frame << 12 | RW
    assert space.generation > generation
    generation = space.generation
    space.set_flags(0x1000, NONE)
    assert space.entry(0x1000) == frame << 12 | NONE
    assert space.generation > generation


def test_a_word_is_clear_if_it_is_zero_and_can_be_written(frames: FrameAllocator, space: AddressSpace) -> None:
    assert not space.is_clear(0x1000)
    give(frames, space, 0x1000, RW)
    assert space.is_clear(0x1FF8)
    frame = space.entry(0x1000) & PTE_ADDRESS
    frames.ram.data[frame + 0xFFF] = 1
    assert (space.is_clear(0x1FF8), space.is_clear(0x1FF0)) == (False, True)
    space.set_flags(0x1000, RO)
    assert not space.is_clear(0x1FF0)


def test_protect_keeps_and_adds(frames: FrameAllocator, space: AddressSpace) -> None:
    for vaddr in (0x1000, 0x2000, 0x3000):
        give(frames, space, vaddr, RW | PTE_DIRTY)
    generation = space.generation
    space.protect(0x2000, 0x3000, PTE_DIRTY | PTE_USER, PTE_NX)
    assert [space.entry(v) & ~PTE_ADDRESS for v in (0x1000, 0x2000, 0x3000)] == [
        RW | PTE_DIRTY, NONE | PTE_DIRTY, RW | PTE_DIRTY,
    ]  # fmt: skip
    assert space.generation > generation
    generation = space.generation
    space.protect(0x2000, 0x3000, PTE_DIRTY | PTE_USER, PTE_NX)
    assert space.generation == generation


def test_unmap_across_tables(frames: FrameAllocator, space: AddressSpace) -> None:
    free = frames.available
    for vaddr in range(0x1F_C000, 0x20_4000, PAGE):
        give(frames, space, vaddr, RW)
    generation = space.generation
    space.unmap(0x1F_E000, 0x20_2000)
    assert space.generation > generation
    left = [vaddr for vaddr, _ in space.entries(0, 1 << 47)]
    assert left == [0x1F_C000, 0x1F_D000, 0x20_2000, 0x20_3000]
    generation = space.generation
    space.unmap(0x1F_E000, 0x20_2000)
    assert space.generation == generation
    space.unmap(0, 1 << 47)
    assert frames.available == free


def test_empty_tables_are_given_back(frames: FrameAllocator, space: AddressSpace) -> None:
    free = frames.available
    for vaddr in PLACES:
        give(frames, space, vaddr, RW)
    for vaddr in PLACES:
        space.unmap(vaddr, vaddr + PAGE)
        assert walk(frames, space.root, vaddr) == 0
    assert frames.available == free
    assert space.leaves == {}
    frame = give(frames, space, PLACES[0], RX)
    assert walk(frames, space.root, PLACES[0]) == frame << 12 | RX


def test_a_neighbour_keeps_the_tables_above(frames: FrameAllocator, space: AddressSpace) -> None:
    give(frames, space, 0x1000, RW)
    other = give(frames, space, 0x20_0000, RW)
    space.unmap(0x1000, 0x2000)
    assert walk(frames, space.root, 0x20_0000) == other << 12 | RW
    assert list(space.leaves) == [1]


def test_entries_of_a_range(frames: FrameAllocator, space: AddressSpace) -> None:
    for vaddr in (0x1000, 0x3000, 0x1F_F000, 0x20_0000, 0x7000_0000):
        give(frames, space, vaddr, RW)
    assert [v for v, _ in space.entries(0x2000, 0x20_0000)] == [0x3000, 0x1F_F000]
    assert [v for v, _ in space.entries(0x1000, 0x2000)] == [0x1000]
    assert [v for v, _ in space.entries(0x4000, 0x5000)] == []
    assert [v for v, _ in space.entries(0, 1 << 47)] == [0x1000, 0x3000, 0x1F_F000, 0x20_0000, 0x7000_0000]


def test_move(frames: FrameAllocator, space: AddressSpace) -> None:
    pages = [give(frames, space, 0x1F_E000 + i * PAGE, RW | PTE_DIRTY) for i in range(4)]
    space.unmap(0x1F_F000, 0x20_0000)
    generation = space.generation
    space.move(0x1F_E000, 0x5FF_F000, 4 * PAGE)
    assert space.generation > generation
    found = dict(space.entries(0, 1 << 47))
    assert found == {
        0x5FF_F000: pages[0] << 12 | RW | PTE_DIRTY,
        0x600_1000: pages[2] << 12 | RW | PTE_DIRTY,
        0x600_2000: pages[3] << 12 | RW | PTE_DIRTY,
    }
    assert walk(frames, space.root, 0x600_1000) == pages[2] << 12 | RW | PTE_DIRTY


def test_move_without_memory_for_tables_moves_nothing() -> None:
    frames = make(16)
    space = AddressSpace(frames)
    for vaddr in (0x1F_F000, 0x20_0000):
        give(frames, space, vaddr, RW)
    before = dict(space.entries(0, 1 << 47))
    while frames.available > 1:
        frames.alloc()
    with pytest.raises(RpcError) as error:
        space.move(0x1F_F000, 0x61F_F000, 2 * PAGE)
    assert error.value.code == ERR_NO_MEMORY
    assert dict(space.entries(0, 1 << 47)) == before


def test_reserve_makes_mapping_certain() -> None:
    frames = make(16)
    space = AddressSpace(frames)
    frame = new_frame(frames)
    space.reserve(TOP)
    while frames.available:
        frames.alloc()
    space.map_owned(TOP, frame, RW)
    assert walk(frames, space.root, TOP) == frame << 12 | RW
    with pytest.raises(RpcError):
        space.reserve(0x1000)


def test_no_two_spaces_share_a_generation(frames: FrameAllocator) -> None:
    first = AddressSpace(frames)
    root, generation = first.root, first.generation
    first.destroy()
    second = AddressSpace(frames)
    assert second.root == root  # the frame is used again, so only the generation tells a CPU that this is new
    assert second.generation != generation


def test_clone_makes_private_pages_read_only_on_both_sides(frames: FrameAllocator, space: AddressSpace) -> None:
    many = [give(frames, space, 0x40_0000 + i * PAGE, RW, i) for i in range(60)]  # more than it copies at once
    generation = space.generation
    other = space.clone()
    assert space.generation > generation
    for i, frame in enumerate(many):
        vaddr = 0x40_0000 + i * PAGE
        assert space.entry(vaddr) == other.entry(vaddr) == frame << 12 | RO
        assert frames.refs[frame] == 2
        assert walk(frames, other.root, vaddr) == frame << 12 | RO


def test_clone_copies_a_few_written_pages_at_once(frames: FrameAllocator, space: AddressSpace) -> None:
    text = give(frames, space, 0x40_0000, RX, 1)
    stack = give(frames, space, 0x7FFF_0000_0000, RW | PTE_DIRTY, 2)
    code = give(frames, space, 0x7FFF_0000_1000, RX | PTE_WRITABLE, 3)
    generation = space.generation
    other = space.clone()
    assert space.generation == generation
    assert other.entry(0x40_0000) == text << 12 | RX
    assert frames.refs[text] == 2
    for vaddr, frame, byte in ((0x7FFF_0000_0000, stack, 2), (0x7FFF_0000_1000, code, 3)):
        entry = other.entry(vaddr)
        assert entry & ~PTE_ADDRESS == space.entry(vaddr) & ~PTE_ADDRESS
        assert space.entry(vaddr) & PTE_ADDRESS == frame << 12 != entry & PTE_ADDRESS
        assert byte_at(frames, other, vaddr) == byte
        assert frames.refs[frame] == frames.refs[(entry & PTE_ADDRESS) >> 12] == 1
    assert frames.code[(other.entry(0x7FFF_0000_1000) & PTE_ADDRESS) >> 12]


def test_clone_keeps_shared_pages_writable(frames: FrameAllocator, space: AddressSpace) -> None:
    frame = give(frames, space, 0x1000, SHARED)
    hidden = give(frames, space, 0x2000, NONE)
    other = space.clone()
    assert other.entry(0x1000) == space.entry(0x1000) == frame << 12 | SHARED
    assert other.entry(0x2000) == hidden << 12 | NONE
    assert frames.refs[frame] == frames.refs[hidden] == 2


def test_clone_without_memory_changes_nothing() -> None:
    frames = make(128)
    space = AddressSpace(frames)
    for i in range(60):
        give(frames, space, 0x40_0000 + i * PAGE, RW)
    give(frames, space, 0x7FFF_0000_0000, RW)
    for spare in range(60):
        before = dict(space.entries(0, 1 << 47))
        held = [frames.alloc() for _ in range(frames.available - spare)] if frames.available > spare else []
        free = frames.available
        try:
            space.clone().destroy()
        except RpcError:
            assert dict(space.entries(0, 1 << 47)) == before
        assert frames.available == free
        for frame in held:
            frames.release(frame)


def test_destroy_gives_back_every_frame(frames: FrameAllocator) -> None:
    free = frames.available
    space = AddressSpace(frames)
    for vaddr in PLACES:
        give(frames, space, vaddr, RW)
    space.map_missing(0x10_0000, [frames.zero] * 16, RO)
    clones = [space.clone() for _ in range(3)]
    clones.append(clones[0].clone())
    for each in (clones[1], space, *clones[2:], clones[0]):
        each.destroy()
    assert frames.available == free
    assert frames.refs[frames.zero] == 1


VADDRS = st.sampled_from([base + i * PAGE for base in (0x40_0000, 0x5F_E000, 0x7FFF_FFE0_0000) for i in range(4)])
FLAGS = st.sampled_from([RO, RW, RX, SHARED, NONE])


class SpaceModel(RuleBasedStateMachine):
    """Spaces against dictionaries: address -> (contents, flags). Private pages count as writable where they may be."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = make(1024)
        self.free = self.frames.available
        self.spaces: list[tuple[AddressSpace, dict[int, list[Any]]]] = []
        self.byte = 0

    @initialize()
    def first(self) -> None:
        self.spaces.append((AddressSpace(self.frames), {}))

    def pick(self, number: int) -> tuple[AddressSpace, dict[int, list[Any]]]:
        return self.spaces[number % len(self.spaces)]

    @rule(number=st.integers(0, 9), vaddr=VADDRS, flags=FLAGS)
    def map(self, number: int, vaddr: int, flags: int) -> None:
        space, model = self.pick(number)
        self.byte = (self.byte + 1) % 256
        give(self.frames, space, vaddr, flags, self.byte)
        model[vaddr] = [self.byte], flags

    @rule(number=st.integers(0, 9), start=VADDRS, pages=st.integers(1, 600))
    def unmap(self, number: int, start: int, pages: int) -> None:
        space, model = self.pick(number)
        end = min(start + pages * PAGE, 1 << 47)
        space.unmap(start, end)
        for vaddr in [v for v in model if start <= v < end]:
            del model[vaddr]

    @rule(number=st.integers(0, 9), vaddr=VADDRS, byte=st.integers(0, 255))
    def store(self, number: int, vaddr: int, byte: int) -> None:
        """What a CPU and a pager do at a store: copy a private page that others refer to."""
        space, model = self.pick(number)
        if vaddr not in model or not model[vaddr][1] & PTE_WRITABLE:
            return
        entry = space.entry(vaddr)
        frame = (entry & PTE_ADDRESS) >> 12
        flags = model[vaddr][1]
        if not entry & PTE_WRITABLE:
            if self.frames.refs[frame] == 1:
                space.grant(vaddr, flags)
            else:
                copy = self.frames.alloc()
                data = self.frames.ram.data
                data[copy << 12 : (copy + 1) << 12] = data[frame << 12 : (frame + 1) << 12]
                space.map_owned(vaddr, copy, flags)
        self.frames.ram.data[space.entry(vaddr) & PTE_ADDRESS] = byte
        if flags & PTE_SHARED:
            model[vaddr][0][0] = byte
        else:
            model[vaddr] = [byte], flags

    @rule(number=st.integers(0, 9))
    def clone(self, number: int) -> None:
        space, model = self.pick(number)
        if len(self.spaces) < 6:
            self.spaces.append((space.clone(), dict(model)))

    @rule(number=st.integers(0, 9))
    def destroy(self, number: int) -> None:
        if len(self.spaces) > 1:
            space, _ = self.spaces.pop(number % len(self.spaces))
            space.destroy()

    @rule(number=st.integers(0, 9), where=st.sampled_from([0x100_0000, 0x1FF_F000]))
    def move(self, number: int, where: int) -> None:
        space, model = self.pick(number)
        if any(where <= v < where + 4 * PAGE for v in model):
            source, goal = where, 0x40_0000
        else:
            source, goal = 0x40_0000, where
        if any(goal <= v < goal + 4 * PAGE for v in model):
            return
        space.move(source, goal, 4 * PAGE)
        for vaddr in [v for v in model if source <= v < source + 4 * PAGE]:
            model[goal + vaddr - source] = model.pop(vaddr)

    @invariant()
    def tables_agree(self) -> None:
        for space, model in self.spaces:
            entries = dict(space.entries(0, 1 << 47))
            assert entries.keys() == model.keys()
            for vaddr, (content, flags) in model.items():
                entry = entries[vaddr]
                assert walk(self.frames, space.root, vaddr) == entry
                assert entry & ~PTE_ADDRESS | PTE_WRITABLE == flags | PTE_WRITABLE
                assert not entry & PTE_WRITABLE or flags & PTE_WRITABLE
                assert self.frames.ram.data[entry & PTE_ADDRESS] == content[0]
                if entry & PTE_WRITABLE and not flags & PTE_SHARED:
                    assert self.frames.refs[(entry & PTE_ADDRESS) >> 12] == 1

    def teardown(self) -> None:
        for space, _ in self.spaces:
            space.destroy()
        assert self.frames.available == self.free


SpaceModel.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
test_space_model = SpaceModel.TestCase
