"""Guest-physical frames: references, runs, zeroes, and code that must be forgotten."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from linuxemu.cpu.memory import HostRam
from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_INVALID_ARG, ERR_NO_MEMORY, ERR_NOT_ACCEPTABLE
from linuxemu.kernel.frames import FrameAllocator

PAGE = 4096
COUNT, FIRST = 64, 4


class Allocator(FrameAllocator):
    """64 frames, of which the first four are the engine's."""

    def __init__(self, count: int = COUNT) -> None:
        self.flushes: list[list[int]] = []
        self.memory = HostRam(count * PAGE)
        super().__init__(self.memory, FIRST, lambda frames: self.flushes.append(list(frames)))

    def fill(self, frame: int, byte: int) -> None:
        self.ram.data[frame * PAGE : (frame + 1) * PAGE] = bytes([byte]) * PAGE

    def bytes(self, frame: int) -> bytes:
        return bytes(self.ram.data[frame * PAGE : (frame + 1) * PAGE])


@pytest.fixture
def frames() -> Allocator:
    return Allocator()


def take_all(frames: FrameAllocator) -> list[int]:
    taken = []
    while frames.available:
        taken.append(frames.alloc())
    return taken


def code_of(error: pytest.ExceptionInfo[RpcError]) -> int:
    return error.value.code


def test_first_frame_is_the_zero_page_and_engine_frames_are_never_given(frames: Allocator) -> None:
    assert frames.zero == FIRST
    assert frames.refs[frames.zero] == 1
    assert frames.total == COUNT - FIRST
    assert frames.available == frames.total - 1
    taken = take_all(frames)
    assert sorted(taken) == list(range(FIRST + 1, COUNT))
    assert all(frames.refs[frame] == 1 for frame in taken)


def test_last_reference_frees(frames: Allocator) -> None:
    free = frames.available
    frame = frames.alloc()
    frames.hold(frame)
    frames.release(frame)
    assert frames.available == free - 1
    frames.release(frame)
    assert frames.available == free
    assert frames.refs[frame] == 0


def test_one_reference_too_few_is_loud(frames: Allocator) -> None:
    frame = frames.alloc()
    frames.release(frame)
    with pytest.raises(OverflowError):
        frames.release(frame)


def test_no_memory(frames: Allocator) -> None:
    take_all(frames)
    for alloc in (frames.alloc, frames.alloc_zeroed, lambda: frames.alloc_run(2)):
        with pytest.raises(RpcError) as error:
            alloc()
        assert code_of(error) == ERR_NO_MEMORY


def test_zeroed_frames_are_zero_wherever_they_come_from(frames: Allocator) -> None:
    fresh = frames.alloc_zeroed()
    assert frames.bytes(fresh) == bytes(PAGE)
    frames.fill(fresh, 0x55)
    frames.release(fresh)
    assert frames.alloc_zeroed() == fresh
    assert frames.bytes(fresh) == bytes(PAGE)
    for frame in [fresh, *take_all(frames)]:
        frames.fill(frame, 0xAA)
        frames.mark_code(frame)
        frames.release(frame)
    while frames.available:  # now they come back through the flush
        assert frames.bytes(frames.alloc_zeroed()) == bytes(PAGE)


def test_run_of_fresh_frames(frames: Allocator) -> None:
    first = frames.alloc_run(5)
    assert [frames.refs[first + i] for i in range(5)] == [1] * 5
    assert frames.alloc_run(1) == first + 5


def test_run_is_found_among_frames_given_back(frames: Allocator) -> None:
    taken = take_all(frames)
    for frame in (10, 12, 13, 20, 21, 22, 40):
        frames.release(frame)
    frames.mark_code(22)
    assert frames.alloc_run(3) == 20
    assert frames.alloc_run(2) == 12
    with pytest.raises(RpcError) as error:
        frames.alloc_run(2)
    assert code_of(error) == ERR_NO_MEMORY
    assert sorted((frames.alloc(), frames.alloc())) == [10, 40]
    assert len(taken) == frames.total - 1


def test_run_across_fresh_and_given_back(frames: Allocator) -> None:
    taken = [frames.alloc() for _ in range(frames.available - 2)]
    frames.release(taken[-1])
    assert frames.alloc_run(3) == taken[-1]
    assert frames.available == 0


def test_alloc_at_takes_exactly_these(frames: Allocator) -> None:
    free = frames.available
    frames.alloc_at(30, 4)
    assert frames.available == free - 4
    assert [frames.refs[i] for i in range(29, 35)] == [0, 1, 1, 1, 1, 0]
    for first, count in ((33, 2), (FIRST, 1), (0, 1), (COUNT - 1, 2), (COUNT, 1)):
        with pytest.raises(RpcError) as error:
            frames.alloc_at(first, count)
        assert code_of(error) == ERR_NOT_ACCEPTABLE
    assert frames.available == free - 4
    assert set(take_all(frames)).isdisjoint(range(30, 34))


def test_alloc_at_takes_frames_that_held_code(frames: Allocator) -> None:
    frame = frames.alloc()
    frames.mark_code(frame)
    frames.release(frame)
    frames.alloc_at(frame, 1)
    assert frames.flushes == [[frame]]
    assert frames.code[frame] == 0


def test_free_run_checks_before_it_frees(frames: Allocator) -> None:
    first = frames.alloc_run(4)
    free = frames.available
    for start, count in ((first, 5), (first - 1 if first - 1 > frames.zero else COUNT, 2), (0, 1), (COUNT, 1)):
        with pytest.raises(RpcError) as error:
            frames.free_run(start, count)
        assert code_of(error) == ERR_INVALID_ARG
    assert frames.available == free
    frames.free_run(first, 4)
    assert frames.available == free + 4


def test_frames_with_code_are_flushed_in_batches_before_reuse(frames: Allocator) -> None:
    big = Allocator(512)
    code = [big.alloc() for _ in range(200)]
    for frame in code:
        big.mark_code(frame)
    for frame in code[:127]:
        big.release(frame)
    assert big.flushes == []
    big.release(code[127])
    assert big.flushes == [code[:128]]
    assert not any(big.code[frame] for frame in code[:128])
    big.release(code[128])
    assert code[128] not in {big.alloc() for _ in range(big.available - 1)}
    assert big.alloc() == code[128]
    assert big.flushes == [code[:128], [code[128]]]


def test_changed_flushes_only_what_may_be_translated(frames: Allocator) -> None:
    plain, code = frames.alloc(), frames.alloc()
    frames.mark_code(code)
    frames.changed(plain)
    frames.changed(code)
    assert frames.flushes == [[code]]


class FrameModel(RuleBasedStateMachine):
    """References counted by the allocator and by a dictionary."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.frames = Allocator(24)
        self.refs = {self.frames.zero: 1}
        self.code: set[int] = set()
        self.flushed = 0

    def taken(self, new: range) -> None:
        for frame in new:
            assert FIRST <= frame < 24
            assert frame not in self.refs
            assert not self.frames.code[frame]
            self.refs[frame] = 1
            self.code.discard(frame)

    @rule(target=held, zeroed=st.booleans())
    def alloc(self, zeroed: bool) -> int:
        try:
            frame = self.frames.alloc_zeroed() if zeroed else self.frames.alloc()
        except RpcError:
            assert len(self.refs) == 20
            return -1
        self.taken(range(frame, frame + 1))
        if zeroed:
            assert self.frames.bytes(frame) == bytes(PAGE)
        self.frames.fill(frame, 7)
        return frame

    @rule(target=held, count=st.integers(2, 5))
    def alloc_run(self, count: int) -> int:
        try:
            frame = self.frames.alloc_run(count)
        except RpcError:
            return -1
        self.taken(range(frame, frame + count))
        for other in range(frame + 1, frame + count):
            self.frames.release(other)
            del self.refs[other]
        return frame

    @rule(target=held, frame=st.integers(0, 25))
    def alloc_at(self, frame: int) -> int:
        possible = FIRST <= frame < 24 and frame not in self.refs
        try:
            self.frames.alloc_at(frame, 1)
        except RpcError:
            assert not possible
            return -1
        assert possible
        self.taken(range(frame, frame + 1))
        return frame

    @rule(target=held, frame=held)
    def hold(self, frame: int) -> int:
        if frame not in self.refs:
            return -1
        self.frames.hold(frame)
        self.refs[frame] += 1
        return frame

    @rule(frame=held)
    def execute(self, frame: int) -> None:
        if frame in self.refs:
            self.frames.mark_code(frame)
            self.code.add(frame)

    @rule(frame=consumes(held))
    def release(self, frame: int) -> None:
        if frame in self.refs:
            self.frames.release(frame)
            self.refs[frame] -= 1
            if not self.refs[frame]:
                del self.refs[frame]

    @invariant()
    def counts_agree(self) -> None:
        assert self.frames.available == 20 - len(self.refs)
        for frame in range(24):
            assert self.frames.refs[frame] == self.refs.get(frame, 0)
        flushed = {frame for batch in self.frames.flushes for frame in batch}
        assert flushed <= self.code | flushed
        assert all(self.frames.code[frame] for frame in self.code & set(self.refs))


FrameModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_frame_model = FrameModel.TestCase
