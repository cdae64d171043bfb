"""rootfs.applets: the links of a BusyBox, from its tables and from itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootfs.applets import list_applets, read_applets
from tests.unit.loader_files import write_program
from tests.unit.rootfs_files import APPLETS, PLACES, fake_busybox, names_table, places_table

EVEN = APPLETS[1:]


@pytest.mark.parametrize("applets", [APPLETS, EVEN], ids=["odd", "even"])
def test_tables(applets: list[str]) -> None:
    assert read_applets(fake_busybox(applets)) == applets


def test_equal_tables_twice_are_no_riddle() -> None:
    assert read_applets(fake_busybox(APPLETS, b"", places_table(APPLETS))) == APPLETS


CONVENTIONAL = [path.replace("usr/bin/newcomer", "bin/newcomer") for path in APPLETS]


def test_two_tables_that_fit_are_a_riddle() -> None:
    other = list(APPLETS)
    other[9] = "sbin/newcomer"
    assert read_applets(fake_busybox(APPLETS, b"", places_table(other))) == CONVENTIONAL


def test_no_table_of_places() -> None:
    assert read_applets(b"text\0" + names_table(APPLETS) + b"\0") == CONVENTIONAL


def test_too_few_landmarks_to_recognise_a_table_by() -> None:
    applets = ["bin/a1", "bin/a2", "bin/a3", "bin/a4", "bin/a5", "bin/a6", "bin/a7", "bin/sh"]
    assert read_applets(fake_busybox(applets)) == applets


def test_names_end_where_the_order_does() -> None:
    binary = (
        b"yes\0no\0maybe\0" + names_table(APPLETS) + b"about\0behind\0it\0" + places_table(APPLETS) + b"\xff"
    )
    assert read_applets(binary) == APPLETS


@pytest.mark.parametrize("binary", [b"", b"\0" * 4096, b"alpha\0beta\0gamma\0delta\0" * 9, b"cat\0ls\0sh\0"])
def test_no_names(binary: bytes) -> None:
    assert read_applets(binary) is None


@given(st.binary(max_size=400))
def test_noise(data: bytes) -> None:
    assert read_applets(data + names_table(APPLETS) + data) is not None


@pytest.mark.native
def test_tables_of_the_hosts_busybox_say_what_it_says_itself(busybox: str) -> None:
    told = list_applets(busybox)
    assert told is not None
    assert len(told) > 50
    assert read_applets(Path(busybox).read_bytes()) == told


@pytest.mark.native
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo bin/sh; echo usr/bin/awk; echo linuxrc", ["bin/sh", "usr/bin/awk", "linuxrc"]),
        ("echo bin/sh; exit 1", None),
        ("exit 0", None),
        ("echo /bin/sh", None),
        ("echo bin/sh; echo usage: busybox", None),
        ("echo ../bin/sh", None),
        ("echo opt/bin/sh", None),
    ],
)
def test_what_a_busybox_says(script: str, expected: list[str] | None, tmp_path: Path) -> None:
    program = write_program(tmp_path, f'#!/bin/sh\n[ "$1" = --list-full ] || exit 9\n{script}\n'.encode())
    assert list_applets(str(program)) == expected


def test_file_that_the_host_cannot_run(tmp_path: Path) -> None:
    assert list_applets(str(tmp_path / "missing")) is None
    assert list_applets(str(write_program(tmp_path, b"\x7fELF"))) is None


def test_places_are_in_the_order_of_busybox() -> None:
    assert places_table(["bin/a", "usr/sbin/b", "c"]) == bytes((0x41, 0x00))
    assert PLACES[3] == "usr/bin"
