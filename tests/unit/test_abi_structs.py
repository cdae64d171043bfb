"""How structures behave as tuples, and the records that are not structures."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

import pytest

from syscalls.abi.numbers import X86_64
from syscalls.abi.structs import (
    Itimerspec,
    Rusage,
    Timespec,
    Timeval,
    dev_major,
    dev_minor,
    makedev,
    pack_dirent,
    pack_dirent64,
)


def test_a_structure_is_a_tuple_with_names() -> None:
    ts = Timespec(1, 2)
    assert ts == (1, 2)
    assert (ts.tv_sec, ts.tv_nsec) == (1, 2)
    assert Timespec(tv_nsec=2, tv_sec=1) == Timespec(1, tv_nsec=2) == ts
    assert repr(ts) == "Timespec(tv_sec=1, tv_nsec=2)"
    assert ts.replace(tv_sec=5) == (5, 2)
    assert hash(ts) == hash((1, 2))
    with pytest.raises(AttributeError):
        ts.tv_sec = 3  # type: ignore[misc]
    assert not hasattr(ts, "__dict__")


@pytest.mark.parametrize(
    ("args", "named"), [((1,), {}), ((1, 2, 3), {}), ((1,), {"tv_sec": 2}), ((1, 2), {"other": 3})]
)
def test_wrong_values_are_refused(args: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        Timespec(*args, **named)


def test_values_that_do_not_fit() -> None:
    with pytest.raises(struct.error):
        Timespec(1 << 63, 0).pack()
    with pytest.raises(struct.error):
        Timespec.unpack(bytes(15))


def test_structures_inside_structures() -> None:
    spec = Itimerspec(Timespec(1, 2), Timespec(3, 4))
    raw = spec.pack()
    assert raw == struct.pack("<4q", 1, 2, 3, 4)
    again = Itimerspec.unpack(b"xxxxxxxx" + raw, 8)
    assert again == spec
    assert isinstance(again.it_value, Timespec)
    assert again.it_value.tv_nsec == 4


def test_defaults() -> None:
    usage = Rusage(Timeval(0, 0), Timeval(0, 0), ru_minflt=3)
    assert (usage.ru_maxrss, usage.ru_minflt) == (0, 3)
    assert len(usage.pack()) == Rusage.SIZE == 144


@pytest.mark.parametrize(
    ("ns", "spec", "val"),
    [
        (0, (0, 0), (0, 0)),
        (1_999_999_999, (1, 999_999_999), (1, 999_999)),
        (-1, (-1, 999_999_999), (-1, 999_999)),
    ],
)
def test_nanoseconds(ns: int, spec: tuple[int, int], val: tuple[int, int]) -> None:
    assert Timespec.from_ns(ns) == spec
    assert Timespec(*spec).ns() == ns
    assert Timeval.from_ns(ns) == val
    assert Timeval(*val).ns() == ns // 1000 * 1000


def test_valid_times() -> None:
    assert Timespec(0, 999_999_999).valid()
    assert not Timespec(0, 1_000_000_000).valid()
    assert not Timespec(-1, 0).valid()
    assert not Timespec(0, -1).valid()
    assert Timeval(0, 999_999).valid()
    assert not Timeval(0, 1_000_000).valid()
    assert not Timeval(-1, 5).valid()


@pytest.mark.native
@pytest.mark.parametrize(("call", "layout"), [("getdents64", "<QqHB"), ("getdents", "<QqH")])
def test_directory_records_are_those_of_the_kernel(call: str, layout: str, tmp_path: Path) -> None:
    for length in (1, 4, 5, 6, 7, 8, 100):
        (tmp_path / ("n" * length)).touch()
    (tmp_path / "directory").mkdir()
    fd = os.open(tmp_path, os.O_RDONLY)
    buffer = ctypes.create_string_buffer(8192)
    size = ctypes.CDLL(None).syscall(X86_64[call], fd, buffer, len(buffer))
    os.close(fd)
    assert size > 0
    at = 0
    while at < size:
        ino, offset, length, *kind = struct.unpack_from(layout, buffer, at)
        record = buffer.raw[at : at + length]
        name = record[struct.calcsize(layout) :].partition(b"\0")[0]
        pack = pack_dirent64 if kind else pack_dirent
        made = pack(ino, offset, kind[0] if kind else record[-1], name)
        # Between name and end the kernel leaves what was in the buffer; the last byte may be the type.
        used = struct.calcsize(layout) + len(name) + 1
        assert (len(made), made[:used]) == (length, record[:used])
        assert kind or made[-1] == record[-1]
        at += length
    assert at == size


def test_device_numbers() -> None:
    for major, minor in ((0, 0), (5, 1), (136, 300), (4095, 0xFFFFF), (259, 65536)):
        dev = makedev(major, minor)
        assert dev < 1 << 32
        assert (dev_major(dev), dev_minor(dev)) == (major, minor)
        assert dev == os.makedev(major, minor)
