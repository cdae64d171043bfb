"""rootfs.busybox: where a BusyBox is looked for, and what is refused with one clear line."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import rootfs.busybox
from linuxemu.errors import BootError
from rootfs.busybox import BusyBox, find_busybox
from tests.unit.loader_files import PT_INTERP, elf, load, phdr, write_program
from tests.unit.rootfs_files import APPLETS, fake_busybox

DYNAMIC = elf(
    load(), phdr(PT_INTERP, offset=0x2000, filesz=len(b"/lib/ld.so\0")), data={0x2000: b"/lib/ld.so\0"}
)  # fmt: skip
TRUNCATED = fake_busybox()[:100]


class Notes(list[str]):
    """What the search tells."""

    __call__ = list.append


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "defpath", "")
    return tmp_path


def script(folder: Path, name: str, text: str) -> None:
    write_program(folder, f"#!/bin/sh\nPATH=/bin:/usr/bin\n{text}\n".encode(), name)


def refusal(path: str | None) -> str:
    with pytest.raises(BootError) as info:
        find_busybox(path, Notes())
    text = str(info.value)
    assert "\n" not in text
    return text


def test_named_file(folder: Path) -> None:
    data = fake_busybox()
    path = str(write_program(folder, data, "bb"))
    found = find_busybox(path, Notes())
    assert (found.origin, found.data, found.applets) == (path, data, APPLETS)
    assert found.image.entry == 0x400000


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it cannot be executed: not an ELF file"),
        (b"#!/bin/sh\n", "it cannot be executed: not an ELF file"),
        (TRUNCATED, "it cannot be executed: program headers lie outside the file"),
        (DYNAMIC, "it is dynamically linked"),
        (elf(load(), machine=183), "it cannot be executed: a program for EM_AARCH64 instead of EM_X86_64"),
        (
            elf(load(filesz=0x200)),
            "it cannot be executed: segment at 0x400000: more bytes in the file than in memory",
        ),
        (elf(load()), "it is no busybox: it holds no table of applets"),
    ],
)
def test_named_file_is_unsuitable(data: bytes, why: str, folder: Path) -> None:
    path = str(write_program(folder, data, "bb"))
    assert refusal(path) == f"cannot use {path} as busybox: {why}"


def test_named_file_is_none(folder: Path) -> None:
    assert refusal("/no/such/file").endswith(": no such file or directory")
    assert refusal(str(folder)).endswith(": it is no regular file")
    assert refusal("a\0b").endswith("embedded null byte")
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    assert refusal(str(fifo)).endswith(": it is no regular file")


def test_named_file_is_too_large(folder: Path) -> None:
    path = write_program(folder, b"", "large")
    os.truncate(path, 1 << 40)
    assert refusal(str(path)).endswith(": it is too large")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_named_file_cannot_be_read(folder: Path) -> None:
    path = write_program(folder, fake_busybox(), "bb")
    path.chmod(0)
    assert refusal(str(path)).endswith(": permission denied")


def test_named_file_is_never_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rootfs.applets.list_applets", lambda _path: pytest.fail("was run"))
    assert "no table" in refusal(str(write_program(folder, elf(load()), "bb")))


def test_first_static_one_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data in (("a", DYNAMIC), ("b", fake_busybox()), ("c", fake_busybox(APPLETS[1:]))):
        (tmp_path / name).mkdir()
        write_program(tmp_path / name, data, "busybox")
    (tmp_path / "d" / "busybox").mkdir(parents=True)
    monkeypatch.setenv("PATH", ":".join(["", "relative", *(str(tmp_path / name) for name in "dabc")]))
    found = find_busybox(None, Notes())
    assert (found.origin, found.applets) == (str(tmp_path / "b" / "busybox"), APPLETS)


def test_one_in_path_without_tables_is_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(write_program(folder, elf(load()), "busybox"))
    monkeypatch.setattr("rootfs.applets.list_applets", lambda asked: ["bin/sh"] if asked == path else None)
    assert find_busybox(None, Notes()).applets == ["bin/sh"]


def test_none_at_all(folder: Path) -> None:
    assert refusal(None) == (
        "no static x86-64 busybox: none in PATH; no apt-get to download it with; "
        "install one (apt install busybox-static) or name one: linuxemu rootfs build --busybox PATH"
    )


def test_dynamic_one_is_passed_over_with_a_note(folder: Path) -> None:
    path = write_program(folder, DYNAMIC, "busybox")
    notes = Notes()
    with pytest.raises(BootError, match="dynamically linked"):
        find_busybox(None, notes)
    assert notes[0] == f"busybox: {path}: it is dynamically linked"


APT_GET = '[ "$*" = "download busybox-static:amd64" ] || exit 9; echo deb > busybox-static_1%3a1.0_amd64.deb'
DPKG_DEB = """
[ "$1 $2" = "--extract busybox-static_1%3a1.0_amd64.deb" ] || exit 9
mkdir -p "$3/{0}" && cp "{1}" "$3/{0}/busybox"
"""


def fake_package(folder: Path, place: str = "bin", data: bytes | None = None) -> None:
    payload = write_program(folder, fake_busybox() if data is None else data, "payload")
    script(folder, "apt-get", APT_GET)
    script(folder, "dpkg-deb", DPKG_DEB.format(place, payload))


@pytest.mark.parametrize("place", ["bin", "usr/bin"])
def test_debian_package(place: str, folder: Path) -> None:
    fake_package(folder, place)
    notes = Notes()
    found = find_busybox(None, notes)
    assert isinstance(found, BusyBox)
    assert (found.origin, found.applets) == ("Debian package busybox-static_1:1.0_amd64", APPLETS)
    assert notes == ["busybox: none in PATH", "downloading the Debian package busybox-static"]


def test_debian_package_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_package(folder)
    (folder / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(folder / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    find_busybox(None, Notes())
    assert os.listdir(folder / "tmp") == []


@pytest.mark.parametrize(
    ("apt_get", "dpkg_deb", "why"),
    [
        ("echo 'W: careful' >&2; echo 'E: Unable to locate package x' >&2; exit 100", "exit 0",
         "apt-get failed: Unable to locate package x"),
        ("exit 7", "exit 0", "apt-get failed: 7"),
        ("exit 0", "exit 0", "apt-get downloaded nothing"),
        (APT_GET, "echo 'dpkg-deb: error: not a Debian archive' >&2; exit 2",
         "dpkg-deb failed: dpkg-deb: error: not a Debian archive"),
        (APT_GET, "exit 0", "no busybox in busybox-static_1%3a1.0_amd64.deb"),
    ],
)  # fmt: skip
def test_debian_package_fails(apt_get: str, dpkg_deb: str, why: str, folder: Path) -> None:
    script(folder, "apt-get", apt_get)
    script(folder, "dpkg-deb", dpkg_deb)
    assert f"none in PATH; {why}; install one" in refusal(None)


def test_debian_package_is_unsuitable(folder: Path) -> None:
    fake_package(folder, data=DYNAMIC)
    assert "none in PATH; it is dynamically linked; install one" in refusal(None)


def test_download_takes_too_long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(folder, "apt-get", "exec sleep 60")
    script(folder, "dpkg-deb", "exit 0")
    monkeypatch.setattr(rootfs.busybox, "_DOWNLOAD_TIMEOUT_S", 0.2)
    assert "apt-get took more than 0.2 s" in refusal(None)


def test_no_room_for_the_download(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_package(folder)
    monkeypatch.setattr("tempfile.tempdir", str(folder / "missing"))
    assert "no room to download it: No such file or directory" in refusal(None)


@pytest.mark.native
def test_the_hosts_own(busybox: str) -> None:
    assert os.stat(busybox).st_mode & stat.S_IXUSR
    found = find_busybox(busybox, Notes())
    assert found.image.interp is None
    assert {"bin/sh", "usr/bin/awk", "sbin/init"} <= set(found.applets)
