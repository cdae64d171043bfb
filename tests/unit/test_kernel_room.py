"""Room outside of the frames: it takes frames away, and gives them back."""

from __future__ import annotations

import pytest

from linuxemu.cpu.memory import HostRam
from linuxemu.kernel.frames import FrameAllocator
from linuxemu.kernel.room import Room

PAGE = 4096
COUNT = 1024
LEAST = (COUNT - 1) // 16


@pytest.fixture
def frames() -> FrameAllocator:
    return FrameAllocator(HostRam(COUNT * PAGE), 1, lambda frames: None)


@pytest.fixture
def room(frames: FrameAllocator) -> Room:
    return Room(frames)


def test_what_is_kept_takes_frames(frames: FrameAllocator, room: Room) -> None:
    free = frames.available
    assert room.size == frames.total * PAGE
    assert room.fits(100 * PAGE)
    room.add(100 * PAGE)
    assert room.frames >= 100
    assert frames.available == free - room.frames
    assert room.left == (free - 100 - LEAST) * PAGE


def test_programs_keep_a_part(frames: FrameAllocator, room: Room) -> None:
    left = room.left
    assert not room.fits(left + 1)
    assert room.fits(left)
    room.add(left)
    assert not room.fits(1)
    assert room.left == 0
    assert frames.available == LEAST
    room.add(-left)
    assert room.left == left


def test_programs_take_room(frames: FrameAllocator, room: Room) -> None:
    for _ in range(500):
        frames.alloc()
    left = room.left
    assert left == (frames.available - LEAST) * PAGE
    assert room.fits(left)
    assert not room.fits(left + 1)


def test_frames_come_back(frames: FrameAllocator, room: Room) -> None:
    free = frames.available
    for _ in range(50):
        assert room.fits(300 * PAGE + 5)
        room.add(300 * PAGE + 5)
        room.add(-300 * PAGE - 5)
    assert frames.available > free - 128
    assert room.used == 0
    taken = [frames.alloc_zeroed() for _ in range(frames.available)]
    assert len(set(taken)) == len(taken)


def test_frames_that_are_set_aside_hold_nothing(frames: FrameAllocator, room: Room) -> None:
    every = [frames.alloc() for _ in range(frames.available)]
    for frame in every:
        frames.ram.data[frame * PAGE] = 7
        if frame % 2:
            frames.mark_code(frame)
        frames.release(frame)
    assert room.fits(room.left)
    held = sum(frames.ram.data[frame * PAGE] == 7 for frame in every)
    assert held == LEAST


def test_caches_shrink_before_there_is_no_room(frames: FrameAllocator, room: Room) -> None:
    cached = [frames.alloc() for _ in range(frames.available)]

    def shrink() -> int:
        for frame in cached:
            frames.release(frame)
        return len(cached)

    assert not room.fits(PAGE)
    room.shrink = shrink
    assert room.fits(PAGE)


def test_more_than_was_asked_for_is_made_up_for_later(frames: FrameAllocator, room: Room) -> None:
    room.add(10 * PAGE)
    assert room.frames == 0
    assert room.fits(PAGE)
    assert room.frames >= 11
