"""File servers against the host's own tmpfs: random operations must give the same results and errors."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from linuxemu.servers.fs.hostfs import HostFs
from linuxemu.servers.fs.memfs import MemFs
from linuxemu.servers.fs.tarfs import TarFs
from tests.unit.fs_client import Client, FakePort, layered

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.kernel import Server

pytestmark = pytest.mark.native

SHM = "/dev/shm" if os.path.isdir("/dev/shm") else None
LIBC = ctypes.CDLL(None, use_errno=True)
NAMES = st.sampled_from([b"a", b"b", b"lower", b"dir", b"sub", b"link", b"hard"])
PATHS = st.tuples(st.integers(0, 30), NAMES, st.sampled_from(["name", "there", "there", "below"]))
"""Which path an operation means, chosen among those there are when it runs; see `Model.choose`."""
OFFSETS = st.sampled_from([0, 1, 100, 4095, 4096, 5000, 8192, 12287, 20000, 1 << 40])
LENGTHS = st.sampled_from([1, 10, 4096, 5000, 9000])
PUNCH_HOLE, KEEP_SIZE = 2, 1


def outcome(action: Callable[[], Any]) -> Any:
    """What an action returns, or the number of the error it raises."""
    try:
        return action()
    except OSError as error:
        return ("errno", error.errno)


def renameat2(old: bytes, new: bytes, flags: int) -> None:
    if LIBC.renameat2(-100, old, -100, new, flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    if LIBC.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def populate(root: Path) -> None:
    """What the lower file system holds, and the host directory in the beginning."""
    (root / "dir" / "sub").mkdir(parents=True)
    (root / "lower").write_bytes(bytes(range(256)) * 60)
    (root / "dir" / "a").write_bytes(b"first\n")
    (root / "dir" / "sub" / "b").write_bytes(b"x" * 4096 + b"y" * 4097)
    os.link(root / "lower", root / "hard")
    os.link(root / "dir" / "a", root / "dir" / "sub" / "hard")
    os.symlink("/dev/null", root / "dir" / "link")
    os.chmod(root / "lower", 0o640)
    for path in (root / "lower", root / "dir" / "a", root / "dir"):
        os.utime(path, ns=(10**18, 10**18 + 5))


def pattern(offset: int, length: int) -> bytes:
    return bytes((offset + index) * 7 % 251 for index in range(length))


class Model(RuleBasedStateMachine):
    """Runs each operation on a file server and on a host directory."""

    populated = False
    counts_blocks = True
    sparse_max = 1 << 60
    rename_flags = (0, 0, 0, 1, 2, 3)
    fallocate_modes = (0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, PUNCH_HOLE)

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(dir=SHM))
        self.real = os.fsencode(self.base / "real")
        os.mkdir(self.real)
        if self.populated:
            populate(self.base / "real")
        self.client = self.boot()
        self.handles: list[tuple[int, int]] = []

    def boot(self) -> Client:
        raise AssertionError

    def teardown(self) -> None:
        for _, fd in self.handles:
            os.close(fd)
        self.check_lower()
        for server in self.servers:
            server.stop()
        shutil.rmtree(self.base)

    def check_lower(self) -> None:
        """Whatever is below must be as it was."""

    @property
    def servers(self) -> list[Server]:
        return [self.client.server]

    def choose(self, choice: tuple[int, bytes, str]) -> bytes:
        """A path: of something that exists, of a name in an existing directory, or below anything at all."""
        index, name, what = choice
        paths, directories = [], [b""]
        for directory, subdirectories, files in os.walk(self.real):
            inside = os.path.relpath(directory, self.real)
            prefix = b"" if inside == b"." else inside + b"/"
            directories += [prefix + each for each in subdirectories]
            paths += [prefix + each for each in subdirectories + files]
        if what == "there" and paths:
            return sorted(paths)[index % len(paths)]
        if what == "below" and paths:
            return sorted(paths)[index % len(paths)] + b"/" + name
        parent = sorted(directories)[index % len(directories)]
        return parent + b"/" + name if parent else name

    def path(self, path: bytes) -> bytes:
        return self.real + b"/" + path

    def both(self, ours: Callable[[], Any], theirs: Callable[[], Any]) -> Any:
        mine, expected = outcome(ours), outcome(theirs)
        assert mine == expected
        return expected

    # -- names

    @rule(path=PATHS, mode=st.sampled_from([0o644, 0o600, 0o4755]))
    def create(self, path: Any, mode: int) -> None:
        path = self.choose(path)

        def theirs() -> None:
            os.close(os.open(self.path(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.chmod(self.path(path), mode)

        def ours() -> None:
            parent, name = self.client.place(path)
            self.client.mknod(parent, name, stat.S_IFREG | mode)

        self.both(ours, theirs)

    @rule(path=PATHS)
    def fifo(self, path: Any) -> None:
        path = self.choose(path)

        def ours() -> None:
            parent, name = self.client.place(path)
            self.client.mknod(parent, name, stat.S_IFIFO | 0o600)

        self.both(ours, lambda: os.mkfifo(self.path(path), 0o600))

    @rule(path=PATHS)
    def mkdir(self, path: Any) -> None:
        path = self.choose(path)

        def ours() -> None:
            parent, name = self.client.place(path)
            self.client.mkdir(parent, name, 0o755)

        self.both(ours, lambda: os.mkdir(self.path(path), 0o755))

    @rule(path=PATHS, pointee=st.sampled_from([b"/dev/null", b"/dev/null/" + b"x" * 200]))
    def symlink(self, path: Any, pointee: bytes) -> None:
        path = self.choose(path)

        def ours() -> None:
            parent, name = self.client.place(path)
            self.client.symlink(parent, name, pointee)

        self.both(ours, lambda: os.symlink(pointee, self.path(path)))

    @rule(old=PATHS, new=PATHS)
    def link(self, old: Any, new: Any) -> None:
        old = self.choose(old)
        new = self.choose(new)

        def ours() -> None:
            ino = self.client.walk(old)
            parent, name = self.client.place(new)
            try:
                self.client.lookup(parent, name)
            except FileNotFoundError:
                self.client.link(ino, parent, name)
            else:  # Linux finds this out before it looks at what is to be linked
                raise FileExistsError(17, "exists")

        self.both(ours, lambda: os.link(self.path(old), self.path(new), follow_symlinks=False))

    @rule(path=PATHS)
    def unlink(self, path: Any) -> None:
        path = self.choose(path)
        self.both(lambda: self.client.unlink(*self.client.place(path)), lambda: os.unlink(self.path(path)))

    @rule(path=PATHS)
    def rmdir(self, path: Any) -> None:
        path = self.choose(path)
        self.both(lambda: self.client.rmdir(*self.client.place(path)), lambda: os.rmdir(self.path(path)))

    @rule(old=PATHS, new=PATHS, choice=st.integers(0, 5))
    def rename(self, old: Any, new: Any, choice: int) -> None:
        old = self.choose(old)
        new = self.choose(new)
        flags = self.rename_flags[choice]

        def ours() -> None:
            if flags == 3:
                self.client.rename(self.client.root, b"a", self.client.root, b"a", flags)
            parent, name = self.client.place(old)
            newparent, newname = self.client.place(new)
            self.client.rename(parent, name, newparent, newname, flags)

        self.both(ours, lambda: renameat2(self.path(old), self.path(new), flags))

    # -- attributes

    @rule(path=PATHS, mode=st.sampled_from([0o600, 0o755, 0o1777]))
    def chmod(self, path: Any, mode: int) -> None:
        path = self.choose(path)
        if not os.path.islink(self.path(path)):
            self.both(
                lambda: self.client.setattr(self.client.walk(path), mode=mode) and None,
                lambda: os.chmod(self.path(path), mode),
            )

    @rule(path=PATHS, atime=st.integers(0, 1 << 60), mtime=st.integers(-(1 << 30), 1 << 60))
    def utime(self, path: Any, atime: int, mtime: int) -> None:
        path = self.choose(path)
        self.both(
            lambda: self.client.setattr(self.client.walk(path), atime_ns=atime, mtime_ns=mtime) and None,
            lambda: os.utime(self.path(path), ns=(atime, mtime), follow_symlinks=False),
        )
        if os.path.lexists(self.path(path)):
            state = os.lstat(self.path(path))
            attr = self.client.getattr(self.client.walk(path))
            assert (attr.atime_ns, attr.mtime_ns) == (state.st_atime_ns, state.st_mtime_ns)

    @rule(path=PATHS, size=st.one_of(OFFSETS, st.integers(0, 20000)))
    def truncate(self, path: Any, size: int) -> None:
        path = self.choose(path)
        if not os.path.lexists(self.path(path)) or stat.S_ISREG(os.lstat(self.path(path)).st_mode):
            self.both(
                lambda: self.client.setattr(self.client.walk(path), size=min(size, self.sparse_max)) and None,
                lambda: os.truncate(self.path(path), min(size, self.sparse_max)),
            )

    # -- contents

    @precondition(lambda self: len(self.handles) < 4)
    @rule(path=PATHS)
    def open(self, path: Any) -> None:
        path = self.choose(path)
        if os.path.isfile(self.path(path)) and not os.path.islink(self.path(path)):
            ino = self.client.walk(path)
            self.handles.append((self.client.open(ino), os.open(self.path(path), os.O_RDWR)))
            self.client.forget(ino)

    @precondition(lambda self: self.handles)
    @rule(index=st.integers(0, 3))
    def close(self, index: int) -> None:
        handle, fd = self.handles.pop(index % len(self.handles))
        self.client.close(handle)
        os.close(fd)

    @precondition(lambda self: self.handles)
    @rule(index=st.integers(0, 3), offset=st.one_of(OFFSETS, st.integers(0, 20000)), length=LENGTHS)
    def write(self, index: int, offset: int, length: int) -> None:
        handle, fd = self.handles[index % len(self.handles)]
        offset = min(offset, self.sparse_max)
        data = pattern(offset, length)
        self.client.write(handle, offset, data)
        os.pwrite(fd, data, offset)

    @precondition(lambda self: self.handles)
    @rule(index=st.integers(0, 3), offset=st.one_of(OFFSETS, st.integers(0, 20000)), length=LENGTHS)
    def read(self, index: int, offset: int, length: int) -> None:
        handle, fd = self.handles[index % len(self.handles)]
        assert self.client.read(handle, offset, length) == os.pread(fd, length, offset)

    @precondition(lambda self: self.handles)
    @rule(
        index=st.integers(0, 3),
        mode=st.integers(0, 3),
        offset=st.integers(0, 20000),
        length=st.sampled_from([0, 1, 4096, 10000]),
    )
    def fallocate(self, index: int, mode: int, offset: int, length: int) -> None:
        handle, fd = self.handles[index % len(self.handles)]
        mode = self.fallocate_modes[mode]
        self.both(
            lambda: self.client.fallocate(handle, mode, offset, length),
            lambda: fallocate(fd, mode, offset, length),
        )

    # -- comparison

    def compare(self, ino: int, path: bytes) -> None:
        attr, real = self.client.getattr(ino), os.lstat(path)
        assert (attr.mode, attr.nlink) == (real.st_mode, real.st_nlink), path
        if not stat.S_ISDIR(real.st_mode):
            assert attr.size == real.st_size, path
            if self.counts_blocks:
                assert attr.blocks == real.st_blocks, path
        if stat.S_ISREG(real.st_mode) and real.st_size < 1 << 30:
            assert self.client.contents(ino) == Path(os.fsdecode(path)).read_bytes(), path
        if stat.S_ISLNK(real.st_mode):
            assert self.client.readlink(ino) == os.readlink(path)
        if stat.S_ISDIR(real.st_mode):
            entries = self.client.list(ino)
            assert sorted(entry.name for entry in entries) == sorted(os.listdir(path)), path
            for entry in entries:
                child = self.client.lookup(ino, entry.name)
                assert (child.ino, child.mode >> 12) == (entry.ino, entry.type)
                self.compare(child.ino, path + b"/" + entry.name)
                self.client.forget(child.ino)

    @invariant()
    def same_tree(self) -> None:
        self.compare(self.client.root, self.real)
        for handle, fd in self.handles:
            size = min(os.fstat(fd).st_size, 30000)
            assert self.client.read(handle, 0, 30000) == os.pread(fd, 30000, 0)
            assert self.client.read(handle, size, 0) == b""


class MemFsModel(Model):
    """The in-memory file system on its own."""

    def boot(self) -> Client:
        return Client(MemFs(root_mode=0o755))


class Overlay(Model):
    """The in-memory file system over another."""

    populated = True
    counts_blocks = False

    def lower(self) -> Server:
        raise AssertionError

    def boot(self) -> Client:
        client, self.port = layered(MemFs(lower=2), self.lower())
        return client

    @property
    def servers(self) -> list[Server]:
        return [self.client.server, self.port.servers[2]]


class OverHostModel(Overlay):
    """Over a host directory, which must not change."""

    def lower(self) -> Server:
        os.mkdir(self.base / "lower")
        populate(self.base / "lower")
        self.before = self.snapshot()
        return HostFs(str(self.base / "lower"))

    def snapshot(self) -> list[Any]:
        found = []
        for path in sorted((self.base / "lower").rglob("*")):
            state = path.lstat()
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found.append((path, state.st_mode, state.st_mtime_ns, state.st_nlink, data))
        return found

    def check_lower(self) -> None:
        assert self.snapshot() == self.before


class OverTarModel(Overlay):
    """Over an archive."""

    def lower(self) -> Server:
        os.mkdir(self.base / "lower")
        populate(self.base / "lower")
        with tarfile.open(self.base / "lower.tar", "w") as archive:
            archive.add(self.base / "lower", "./")
        return TarFs(str(self.base / "lower.tar"))


class HostFsModel(Model):
    """A writable host directory."""

    populated = True
    sparse_max = 1 << 30
    rename_flags = (0, 0, 0, 0, 1, 1)
    fallocate_modes = (0, 0, 0, 0)

    def boot(self) -> Client:
        os.mkdir(self.base / "served")
        populate(self.base / "served")
        client = Client(HostFs(str(self.base / "served"), writable=True, max_fds=2))
        FakePort(1, {1: client.server})
        return client


@pytest.mark.parametrize("model", [MemFsModel, OverHostModel, OverTarModel, HostFsModel])
def test_like_the_host(model: type[Model]) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        model,
        settings=settings(
            max_examples=int(os.environ.get("FS_MODEL_EXAMPLES", "40")),
            stateful_step_count=30,
            deadline=None,
            derandomize="FS_MODEL_EXAMPLES" not in os.environ,
            database=None,
            phases=[Phase.generate],  # shrinking takes minutes here
            suppress_health_check=list(HealthCheck),
        ),
    )
