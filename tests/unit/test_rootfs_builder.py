"""rootfs.builder and rootfs.cache: the default root is built whole or not at all, once, and found quickly."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import rootfs.cache
from linuxemu.errors import BootError
from loader.cache import HEAD_SIZE, ImageCache
from rootfs.builder import build_default_root, build_root
from rootfs.busybox import BusyBox
from rootfs.cache import EXEC_CACHE, cache_dirs, current_root, ensure_default_root
from tests.helpers import ROOT
from tests.unit.loader_files import write_program
from tests.unit.rootfs_files import APPLETS, Reader, fake_busybox

OTHER = fake_busybox(APPLETS[:-1])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache directory, not made yet; PATH has nothing but a BusyBox."""
    (tmp_path / "bin").mkdir()
    write_program(tmp_path / "bin", fake_busybox(), "busybox")
    monkeypatch.setattr(os, "defpath", "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("LINUXEMU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def home(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory, and a directory for temporary files beside it."""
    for name in ("LINUXEMU_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return tmp_path / "home"


@pytest.fixture
def no_build(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on nothing may be built any more."""

    def forbid() -> None:
        monkeypatch.setattr("rootfs.builder.write_root", lambda *_: pytest.fail("built again"))

    return forbid


def test_root_holds_busybox_its_links_and_the_skeleton(cache: Path) -> None:
    path = ensure_default_root()
    reader = Reader(path)
    assert reader.content("bin/busybox") == fake_busybox()
    assert reader.attr("bin/busybox").mode == stat.S_IFREG | 0o755
    for applet in APPLETS:
        assert reader.target(applet) == b"/bin/busybox"
    assert reader.content("etc/hostname") == b"linuxemu\n"
    assert reader.attr("tmp").mode == stat.S_IFDIR | 0o1777
    assert reader.attr("etc/shadow").gid == 42
    assert reader.attr("").mode == stat.S_IFDIR | 0o755
    reader.close()


def test_root_comes_with_its_parsed_program(cache: Path) -> None:
    parsed = Path(ensure_default_root(), EXEC_CACHE).read_bytes()
    image = ImageCache.from_bytes(parsed).find(fake_busybox()[:HEAD_SIZE])
    assert image is not None
    assert image.entry == 0x400000


def test_equal_input_gives_equal_files(cache: Path, tmp_path: Path) -> None:
    one, two = build_root(str(tmp_path / "one")), build_root(str(tmp_path / "two"))
    for name in ("data", "index", "exec.cache", "stamp"):
        assert Path(one, name).read_bytes() == Path(two, name).read_bytes()


def test_second_time_nothing_is_built(cache: Path, no_build: Callable[[], None]) -> None:
    first = ensure_default_root()
    no_build()
    assert ensure_default_root() == first
    assert build_default_root() == first


def test_quick_path_is_quick(cache: Path) -> None:
    ensure_default_root()
    times = []
    for _ in range(20):
        start = time.perf_counter()
        ensure_default_root()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.001


def test_quick_path_imports_nothing(cache: Path) -> None:
    ensure_default_root()
    code = "import sys; before = set(sys.modules); import rootfs.cache; rootfs.cache.ensure_default_root(); "
    code += "print(*sorted(set(sys.modules) - before))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    output = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert not {"tempfile", "shutil", "subprocess", "pathlib", "hashlib", "re", "enum", "elftools"} & set(
        output.split()
    )


def test_other_busybox_gives_another_root(cache: Path, tmp_path: Path) -> None:
    first = ensure_default_root()
    named = write_program(tmp_path, OTHER, "bb")
    second = build_default_root(str(named))
    assert second != first
    assert ensure_default_root() == second
    assert build_default_root() == first
    assert ensure_default_root() == first


def test_root_of_another_version_is_built_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ensure_default_root()
    monkeypatch.setattr(rootfs.cache, "ROOT_VERSION", 77)
    monkeypatch.setattr("rootfs.builder.ROOT_VERSION", 77)
    assert current_root(str(cache)) is None
    second = ensure_default_root()
    assert second != first
    assert Path(second, "stamp").read_bytes() == b"linuxemu root 77\n"


def test_root_without_stamp_is_built_again(cache: Path) -> None:
    path = Path(ensure_default_root())
    (path / "stamp").unlink()
    (path / "data").write_bytes(b"")
    assert ensure_default_root() == str(path)
    assert (path / "data").stat().st_size > 0
    assert (path / "stamp").exists()


def test_force_builds_again(cache: Path) -> None:
    path = Path(ensure_default_root())
    (path / "data").write_bytes(b"damaged")
    reader = os.open(path / "data", os.O_RDONLY)
    assert build_default_root(force=True) == str(path)
    assert (path / "data").stat().st_size > 10000
    assert os.read(reader, 100) == b"damaged"
    os.close(reader)


def test_nothing_is_left_behind(cache: Path) -> None:
    path = build_default_root(force=True)
    build_default_root(force=True)
    assert sorted(os.listdir(cache)) == ["current", os.path.basename(path)]


def test_old_roots_and_old_remains_go(cache: Path, tmp_path: Path) -> None:
    first = ensure_default_root()
    second = build_default_root(str(write_program(tmp_path, OTHER, "bb")))
    fresh, stale = cache / ".build-fresh", cache / ".build-stale"
    for remains in (fresh, stale):
        remains.mkdir()
    (cache / "notes").write_text("not ours")
    hour_ago, days_ago = time.time() - 4000, time.time() - 200_000
    os.utime(stale, (hour_ago, hour_ago))
    os.utime(first, (days_ago, days_ago))
    os.utime(second, (days_ago, days_ago))
    build_default_root(str(tmp_path / "bb"))
    assert sorted(os.listdir(cache)) == [".build-fresh", "current", "notes", os.path.basename(second)]


def test_builds_at_the_same_time(cache: Path) -> None:
    code = "import sys, rootfs.builder as b; print(b.build_default_root(force=bool(int(sys.argv[1]))))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    builds = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(number % 2)], env=environment, stdout=subprocess.PIPE, text=True
        )
        for number in range(6)
    ]
    paths = {build.communicate()[0].strip() for build in builds}
    assert [build.returncode for build in builds] == [0] * 6
    assert paths == {ensure_default_root()}
    Reader(ensure_default_root()).close()


def test_quicker_builder_wins(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another build puts its image in place just before ours would."""
    from rootfs import builder

    real = builder.write_root
    inodes: list[int] = []

    def write(directory: str, busybox: BusyBox) -> None:
        real(directory, busybox)
        inodes.append(0)
        if len(inodes) == 1:
            inodes.append(os.stat(ensure_default_root()).st_ino)

    monkeypatch.setattr(builder, "write_root", write)
    path = ensure_default_root()
    assert os.stat(path).st_ino == inodes[-1]
    Reader(path).close()
    assert sorted(os.listdir(cache)) == ["current", os.path.basename(path)]


def test_result_cannot_be_moved_into_place(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(_old: str, _new: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(BootError, match=f"to {cache}: Read-only file system; set"):
        ensure_default_root()
    assert os.listdir(cache) == []


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(error: int, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(directory: str, _entries: object) -> None:
        Path(directory, "data").write_bytes(b"some")
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("linuxemu.servers.fs.imagefs.write_image", write)
    with pytest.raises(BootError) as info:
        ensure_default_root()
    assert str(info.value) == (
        f"cannot write the root file system to {cache}: {os.strerror(error)}; "
        "set LINUXEMU_CACHE to a directory that can be written"
    )
    assert os.listdir(cache) == []


def test_cache_directory_cannot_be_made(cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(BootError, match=f"cannot write the root file system to {cache}: File exists; set"):
        ensure_default_root()


def test_no_busybox(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        BootError, match="no static x86-64 busybox: none in PATH; no apt-get to download it with"
    ):
        ensure_default_root()
    assert not cache.exists()


def test_cache_directories(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = str(home.parent / "tmp" / f"linuxemu-{os.geteuid()}")
    assert cache_dirs() == [f"{home}/.cache/linuxemu", temporary]
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dirs() == ["/xdg/linuxemu", temporary]
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_dirs() == [f"{home}/.cache/linuxemu", temporary]
    monkeypatch.setenv("LINUXEMU_CACHE", "relative")
    assert cache_dirs() == [os.path.abspath("relative")]


def test_no_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.delenv("TMPDIR")
    assert cache_dirs() == [f"/tmp/linuxemu-{os.geteuid()}"]


def test_home_that_cannot_be_written(home: Path, no_build: Callable[[], None]) -> None:
    (home / ".cache").write_text("in the way")
    notes: list[str] = []
    path = ensure_default_root(notes.append)
    assert path.startswith(str(home.parent / "tmp"))
    assert notes == [f"cannot write the root file system to {home}/.cache/linuxemu: Not a directory"]
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    no_build()
    assert ensure_default_root() == path


def test_temporary_directory_of_somebody_else_is_not_trusted(home: Path) -> None:
    (home / ".cache").write_text("in the way")
    path = Path(ensure_default_root())
    path.parent.chmod(0o777)
    assert current_root(str(path.parent)) is None
    with pytest.raises(BootError, match="Not a directory; set LINUXEMU_CACHE"):
        ensure_default_root()


def test_temporary_directory_that_is_a_link_is_not_trusted(home: Path) -> None:
    (home / ".cache").write_text("in the way")
    (home.parent / "elsewhere").mkdir(mode=0o700)
    (home.parent / "tmp" / f"linuxemu-{os.geteuid()}").symlink_to(home.parent / "elsewhere")
    with pytest.raises(BootError, match="Not a directory"):
        ensure_default_root()


def test_current_link_that_leads_elsewhere_is_not_followed(cache: Path) -> None:
    path = ensure_default_root()
    (cache / "current").unlink()
    (cache / "current").symlink_to(f"../{cache.name}/{os.path.basename(path)}")
    assert current_root(str(cache)) is None
    assert ensure_default_root() == path
    assert os.readlink(cache / "current") == os.path.basename(path)


def test_output(cache: Path, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "root"
    assert build_root(str(output)) == str(output)
    Reader(str(output)).close()
    assert not cache.exists()
    assert sorted(os.listdir(output.parent)) == ["root"]
    assert stat.S_IMODE(output.stat().st_mode) == 0o755


def test_output_in_an_empty_directory(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    Reader(build_root(str(tmp_path / "root"))).close()


def test_output_is_taken_by_a_root(cache: Path, tmp_path: Path) -> None:
    output = build_root(str(tmp_path / "root"))
    with pytest.raises(BootError, match="holds a root file system already; --force replaces it"):
        build_root(output)
    named = write_program(tmp_path, OTHER, "bb")
    reader = Reader(build_root(output, str(named), force=True))
    assert reader.content("bin/busybox") == OTHER
    reader.close()


@pytest.mark.parametrize("force", [False, True])
def test_output_is_taken_by_something_else(force: bool, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").write_text("years of work")
    with pytest.raises(BootError, match="is not empty and no root file system of linuxemu: it is left alone"):
        build_root(str(tmp_path / "mine"), force=force)
    with pytest.raises(BootError, match=r"cannot build a root file system at .*: Not a directory"):
        build_root(str(tmp_path / "mine" / "thesis"), force=force)
    assert (tmp_path / "mine" / "thesis").read_text() == "years of work"


def test_output_cannot_be_written(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(BootError) as info:
        build_root("/proc/nothing/root")
    assert (
        str(info.value)
        == "cannot write the root file system to /proc/nothing/root: No such file or directory"
    )


@pytest.mark.native
def test_root_of_the_hosts_busybox(busybox: str, cache: Path, tmp_path: Path) -> None:
    reader = Reader(build_root(str(tmp_path / "root"), busybox))
    assert reader.content("bin/busybox") == Path(busybox).read_bytes()
    assert reader.target("bin/sh") == b"/bin/busybox"
    subprocess.run([busybox, "--install", "-s", str(tmp_path / "bin")], check=True)
    installed = set(os.listdir(tmp_path / "bin")) - {"busybox"}
    assert all(any(exists(reader, f"{place}{name}") for place in PLACES) for name in installed)
    reader.close()


PLACES = ("", "bin/", "sbin/", "usr/bin/", "usr/sbin/")


def exists(reader: Reader, path: str) -> bool:
    from linuxemu.errors import RpcError

    try:
        return bool(reader.attr(path))
    except RpcError:
        return False
