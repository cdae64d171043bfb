"""Host directories: what others do to them meanwhile must never lead a request out of the tree."""

from __future__ import annotations

import errno
import os
import random
import resource
import socket
import stat
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.errors import BootError
from linuxemu.messages import fsx
from linuxemu.servers.fs import errno as linux
from linuxemu.servers.fs import hosttree
from linuxemu.servers.fs.hostfs import EXT4_MAGIC, HostFs
from linuxemu.servers.fs.memfs import MemFs
from tests.unit.fs_client import Client, layered
from tests.unit.test_fs_memfs import fails

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = b"outside"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What no request may ever reach."""
    directory = tmp_path / "outside"
    (directory / "sub").mkdir(parents=True)
    for name in ("file", "sub/file", "sub/deep"):
        (directory / name).write_bytes(SECRET)
    return directory


@pytest.fixture
def tree(tmp_path: Path, outside: Path) -> Path:
    directory = tmp_path / "tree"
    (directory / "dir" / "sub").mkdir(parents=True)
    (directory / "file").write_bytes(b"inside")
    (directory / "dir" / "file").write_bytes(b"inside dir")
    (directory / "dir" / "sub" / "file").write_bytes(b"inside sub")
    (directory / "out").symlink_to(outside)
    return directory


@pytest.fixture
def client(tree: Path) -> Iterator[Client]:
    client = Client(HostFs(str(tree), writable=True, max_fds=3))
    yield client
    client.server.stop()


@pytest.fixture
def reader(tree: Path) -> Iterator[Client]:
    client = Client(HostFs(str(tree)))
    yield client
    client.server.stop()


# what is seen


def test_attributes_are_the_hosts(reader: Client, tree: Path) -> None:
    for name in (b"file", b"dir", b"out"):
        attr = reader.lookup(reader.root, name)
        state = (tree / os.fsdecode(name)).lstat()
        assert tuple(attr)[:12] == (
            state.st_ino,
            state.st_mode,
            state.st_nlink,
            state.st_uid,
            state.st_gid,
            0,
            state.st_size,
            state.st_blocks,
            state.st_blksize,
            state.st_atime_ns,
            state.st_mtime_ns,
            state.st_ctime_ns,
        )
        assert reader.getattr(attr.ino) == fsx.GetattrReply(*attr)
        assert attr.version
    assert reader.readlink(reader.walk(b"out")) == os.fsencode(tree.parent / "outside")
    assert reader.call(fsx.Root()).ino == tree.stat().st_ino
    fails(errno.EINVAL, reader.readlink, reader.walk(b"file"))
    fails(errno.ENOENT, reader.lookup, reader.root, b"none")
    fails(errno.ENOTDIR, reader.lookup, reader.walk(b"file"), b"x")
    fails(errno.ESTALE, reader.getattr, 1)


def test_the_version_moves_with_the_contents(client: Client, tree: Path) -> None:
    ino = client.walk(b"file")
    seen = {client.getattr(ino).version}
    handle = client.open(ino)
    for _ in range(3):
        client.write(handle, 0, b"x")
        seen.add(client.getattr(ino).version)
    client.setattr(ino, size=1)
    seen.add(client.getattr(ino).version)
    client.fallocate(handle, 0, 0, 10)
    seen.add(client.getattr(ino).version)
    assert len(seen) == 6


def test_listing(reader: Client, tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    found = {entry.name: entry for entry in reader.list(reader.root)}
    assert {name: entry.type for name, entry in found.items()} == {
        b"file": 8,
        b"dir": 4,
        b"out": 10,
        b"pipe": 1,
    }
    for name, entry in found.items():
        assert entry.ino == reader.lookup(reader.root, name).ino
    handle = reader.open(reader.walk(b"file"), os.O_RDONLY)
    fails(errno.ENOTDIR, reader.readdir, handle)


def test_names_of_any_bytes(client: Client, tree: Path) -> None:
    name = b"\xff\xfe \n\x80"
    client.mknod(client.root, name)
    assert name in client.names(client.root)
    assert name in os.listdir(os.fsencode(tree))
    client.unlink(client.root, name)
    for bad in (b"", b".", b"..", b"a/b", b"../outside/file", b"a\0b"):
        fails(errno.EINVAL, client.lookup, client.root, bad)
        fails(errno.EINVAL, client.unlink, client.root, bad)
    fails(errno.ENAMETOOLONG, client.lookup, client.root, b"n" * 256)


def test_special_files_are_seen_but_not_opened(client: Client, tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        directory = os.open(tree, os.O_PATH)
        sock.bind(f"/proc/self/fd/{directory}/sock")
        os.close(directory)
        for name in (b"pipe", b"sock"):
            ino = client.walk(name)
            fails(errno.ENXIO, client.open, ino, os.O_RDWR)
            fails(errno.EINVAL, lambda ino=ino: client.setattr(ino, size=0))
        assert stat.S_ISSOCK(client.getattr(client.walk(b"sock")).mode)
    fails(errno.ELOOP, client.open, client.walk(b"out"))
    fails(errno.EISDIR, client.open, client.walk(b"dir"), os.O_WRONLY)
    fails(errno.EISDIR, lambda: client.setattr(client.walk(b"dir"), size=0))
    host = Client(HostFs("/dev"))
    null = host.getattr(host.walk(b"null"))
    assert (stat.S_ISCHR(null.mode), null.rdev) == (True, os.makedev(1, 3))
    fails(errno.ENXIO, host.open, null.ino, os.O_RDONLY)
    host.server.stop()


def test_other_file_systems_have_numbers_of_their_own() -> None:
    host = Client(HostFs("/"))
    proc = host.lookup(host.root, b"proc")
    inside = host.lookup(proc.ino, b"version")
    assert inside.ino != os.stat("/proc/version").st_ino
    assert inside.ino & ((1 << 48) - 1) == os.stat("/proc/version").st_ino & ((1 << 48) - 1)
    assert host.contents(inside.ino).startswith(b"Linux")
    entry = next(entry for entry in host.list(proc.ino) if entry.name == b"version")
    assert entry.ino == inside.ino
    host.server.stop()


def test_an_inode_that_may_not_be_looked_at(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ino = reader.walk(b"file")

    def forbid(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "")

    monkeypatch.setattr(os, "stat", forbid)
    fails(errno.EACCES, reader.getattr, ino)


def test_an_entry_that_is_gone_before_its_type_is_known() -> None:
    class Gone:
        def is_file(self, *, follow_symlinks: bool) -> bool:
            return follow_symlinks

        is_dir = is_file

        def is_symlink(self) -> bool:
            return False

        def stat(self, *, follow_symlinks: bool) -> None:
            raise FileNotFoundError(errno.ENOENT, "")

    gone: Any = Gone()
    assert hosttree._type(gone) == 0


def test_numbers_that_meet_are_told_apart(tree: Path) -> None:
    client = Client(HostFs(str(tree)))
    server: Any = client.server
    server._by_ino[(tree / "file").stat().st_ino] = server._root
    first = client.lookup(client.root, b"file").ino
    assert first >= 1 << 56
    client.forget(first)
    assert client.lookup(client.root, b"file").ino == first
    server._by_ino[server._store.next_spare] = server._root
    server._by_ino[(tree / "dir").stat().st_ino] = server._root
    assert client.lookup(client.root, b"dir").ino == first + 2


# read-only


def test_read_only(reader: Client, tree: Path) -> None:
    root, ino = reader.root, reader.walk(b"file")
    handle = reader.open(ino, os.O_RDONLY)
    for action in (
        lambda: reader.mknod(root, b"x"),
        lambda: reader.mkdir(root, b"x"),
        lambda: reader.symlink(root, b"x", b"y"),
        lambda: reader.link(ino, root, b"x"),
        lambda: reader.unlink(root, b"file"),
        lambda: reader.rmdir(root, b"dir"),
        lambda: reader.rename(root, b"file", root, b"g"),
        lambda: reader.setattr(ino, mode=0),
        lambda: reader.open(ino, os.O_WRONLY),
        lambda: reader.open(ino, os.O_RDWR),
    ):
        fails(errno.EROFS, action)
    fails(errno.EBADF, reader.write, handle, 0, b"x")
    fails(errno.EBADF, reader.fallocate, handle, 0, 0, 1)
    assert reader.statfs().flags == 1
    assert (tree / "file").read_bytes() == b"inside"


# handles


def test_handles_read_and_write(client: Client, tree: Path) -> None:
    ino = client.walk(b"file")
    handle = client.open(ino)
    client.write(handle, 3, b"XYZ" * 100_000)
    assert client.read(handle, 0, 6) == b"insXYZ"
    assert (tree / "file").stat().st_size == 300_003
    assert client.read(handle, 1 << 63, 5) == b""
    fails(errno.EFBIG, client.write, handle, (1 << 63) - 1, b"x")
    fails(errno.EFBIG, client.fallocate, handle, 0, (1 << 63) - 1, 1)
    fails(errno.EINVAL, client.fallocate, handle, 0, 0, 0)
    fails(errno.EOPNOTSUPP, client.fallocate, handle, 3, 0, 1)
    client.call(fsx.Fsync(handle, False))
    client.call(fsx.Fsync(handle, True))
    directory = client.open(client.root, os.O_RDONLY)
    assert client.read(directory, 0, 10) == b""
    client.call(fsx.Fsync(directory, False))
    fails(errno.EISDIR, client.write, directory, 0, b"x")
    fails(errno.EISDIR, client.fallocate, directory, 0, 0, 1)
    client.close(handle)
    client.close(directory)


def test_host_errors_of_handles(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = client.open(client.walk(b"file"))
    directory = client.open(client.root, os.O_RDONLY)

    def broken(*arguments: object, **options: object) -> Any:
        raise OSError(errno.EIO, "broken")

    for name in ("pread", "pwrite", "fdatasync", "scandir", "statvfs", "readlink"):
        monkeypatch.setattr(os, name, broken)
    fails(errno.EIO, client.read, handle, 0, 1)
    fails(errno.EIO, client.write, handle, 0, b"x")
    fails(errno.EIO, client.call, fsx.Fsync(handle, True))
    fails(errno.EIO, client.readdir, directory)
    fails(errno.EIO, client.statfs)
    fails(errno.EIO, client.readlink, client.walk(b"out"))


def test_an_open_file_outlives_its_name(client: Client, tree: Path) -> None:
    ino = client.walk(b"file")
    handle = client.open(ino)
    client.unlink(client.root, b"file")
    client.forget(ino, 5)
    assert client.getattr(ino).nlink == 0
    client.write(handle, 0, b"still")
    client.setattr(ino, size=3, mode=0o600, uid=os.getuid(), atime_ns=5, mtime_ns=6)
    attr = client.getattr(ino)
    assert (attr.size, attr.mode & 0o777, attr.atime_ns, attr.mtime_ns) == (3, 0o600, 5, 6)
    again = client.open(ino, os.O_RDONLY)
    client.close(handle)
    assert client.read(again, 0, 10) == b"sti"
    fails(errno.ENOENT, client.open, ino, os.O_RDWR)
    fails(errno.ENOENT, client.link, ino, client.root, b"again")
    client.close(again)
    fails(errno.ESTALE, client.getattr, ino)


def test_an_inode_that_is_only_referenced_keeps_its_attributes(client: Client) -> None:
    ino, directory = client.walk(b"file"), client.walk(b"dir")
    before = client.getattr(ino)
    client.link(ino, directory, b"second")
    client.unlink(client.root, b"file")
    assert client.getattr(ino).nlink == 1
    client.unlink(directory, b"second")
    after = client.getattr(ino)
    assert (after.nlink, after.size, after.mode) == (0, before.size, before.mode)
    fails(errno.ENOENT, client.open, ino)
    fails(errno.ENOENT, lambda: client.setattr(ino, mode=0))
    sub = client.walk(b"dir/sub")
    client.unlink(sub, b"file")
    client.rmdir(directory, b"sub")
    assert client.getattr(sub).nlink == 0
    fails(errno.ENOENT, client.mknod, sub, b"x")
    fails(errno.ENOENT, client.lookup, sub, b"x")
    client.forget(sub, 10)
    fails(errno.ESTALE, client.getattr, sub)


def test_a_second_name_that_nobody_looked_up(client: Client, tree: Path) -> None:
    os.link(tree / "file", tree / "other")
    ino = client.walk(b"file")
    client.unlink(client.root, b"file")
    assert client.getattr(ino).nlink == 1
    assert client.walk(b"other") == ino
    assert client.contents(ino) == b"inside"


# making things


def test_what_is_made_has_the_mode_that_was_asked_for(client: Client, tree: Path) -> None:
    old = os.umask(0o077)
    try:
        client.mknod(client.root, b"f", stat.S_IFREG | 0o4755)
        client.mkdir(client.root, b"d", 0o1777)
        client.mknod(client.root, b"p", stat.S_IFIFO | 0o666)
        client.mknod(client.root, b"s", stat.S_IFSOCK | 0o666)
        client.mknod(client.root, b"plain", 0o640)
    finally:
        os.umask(old)
    modes = {path.name: path.lstat().st_mode for path in tree.iterdir()}
    assert modes["f"] == stat.S_IFREG | 0o4755
    assert modes["d"] == stat.S_IFDIR | 0o1777
    assert modes["p"] == stat.S_IFIFO | 0o666
    assert modes["s"] == stat.S_IFSOCK | 0o666
    assert modes["plain"] == stat.S_IFREG | 0o640


def test_what_is_never_made(client: Client, tree: Path) -> None:
    for kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFDIR):
        fails(errno.EPERM, client.mknod, client.root, b"x", kind | 0o666, os.makedev(1, 3))
    fails(errno.EINVAL, client.mknod, client.root, b"x", stat.S_IFLNK)
    fails(errno.EPERM, client.link, client.walk(b"dir"), client.root, b"x")
    fails(errno.EEXIST, client.mknod, client.root, b"file")
    fails(errno.EEXIST, client.mkdir, client.root, b"file")
    fails(errno.EEXIST, client.symlink, client.root, b"file", b"x")
    fails(errno.EEXIST, client.link, client.walk(b"file"), client.root, b"dir")
    fails(errno.ENOENT, client.symlink, client.root, b"x", b"")
    fails(errno.EOPNOTSUPP, lambda: client.setattr(client.walk(b"out"), mode=0o600))
    assert b"x" not in client.names(client.root)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_owners_when_the_tool_is_root(client: Client, tree: Path) -> None:
    client.call(fsx.Mkdir(client.root, 0o2770, 12, 34, b"d"))
    client.call(fsx.Symlink(client.root, 56, 78, b"l\0x"))
    assert ((tree / "d").stat().st_uid, (tree / "d").stat().st_gid) == (12, 34)
    assert (tree / "d").stat().st_mode & 0o7777 == 0o2770
    assert (tree / "l").lstat().st_uid == 56
    client.setattr(client.walk(b"file"), uid=1)
    client.setattr(client.walk(b"file"), gid=2)
    client.setattr(client.walk(b"l"), uid=3, atime_ns=1, mtime_ns=2)
    assert ((tree / "file").stat().st_uid, (tree / "file").stat().st_gid) == (1, 2)
    assert ((tree / "l").lstat().st_uid, (tree / "l").lstat().st_mtime_ns) == (3, 2)


def test_owners_when_the_host_forbids_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EPERM, "")

    monkeypatch.setattr(os, "chown", forbid)
    attr = client.call(fsx.Mknod(client.root, 0o600, 0, 4321, 4321, b"f"))
    assert attr.uid == os.getuid()
    fails(errno.EPERM, lambda: client.setattr(attr.ino, uid=4321))


def test_attributes_of_the_root(client: Client, tree: Path) -> None:
    client.setattr(client.root, mode=0o700, atime_ns=1, mtime_ns=2)
    assert (stat.S_IMODE(tree.stat().st_mode), tree.stat().st_mtime_ns) == (0o700, 2)
    assert client.getattr(client.root).atime_ns == 1
    client.setattr(client.walk(b"dir"), mtime_ns=7)
    assert (tree / "dir").stat().st_mtime_ns == 7


def test_removing_what_is_of_the_other_kind(client: Client) -> None:
    fails(errno.EISDIR, client.unlink, client.root, b"dir")
    fails(errno.ENOTDIR, client.rmdir, client.root, b"file")
    fails(errno.ENOTEMPTY, client.rmdir, client.root, b"dir")
    fails(errno.ENOENT, client.rmdir, client.root, b"none")


def test_a_size_that_cannot_be(client: Client) -> None:
    fails(errno.EFBIG, lambda: client.setattr(client.walk(b"file"), size=1 << 63))


# rename


def test_rename_keeps_what_clients_hold(client: Client, tree: Path) -> None:
    directory, file = client.walk(b"dir"), client.walk(b"dir/sub/file")
    client.mkdir(client.root, b"new")
    client.rename(client.root, b"dir", client.walk(b"new"), b"moved")
    assert client.getattr(directory).ino == directory
    assert client.contents(file) == b"inside sub"
    assert client.walk(b"new/moved/sub/file") == file
    victim = client.walk(b"file")
    client.rename(client.walk(b"new/moved"), b"file", client.root, b"file")
    assert client.getattr(victim).nlink == 0
    assert (tree / "file").read_bytes() == b"inside dir"


def test_rename_of_two_names_of_one_inode(client: Client, tree: Path) -> None:
    ino = client.walk(b"file")
    client.link(ino, client.root, b"same")
    client.rename(client.root, b"file", client.root, b"same")
    assert client.walk(b"file") == client.walk(b"same") == ino
    assert (tree / "file").exists()


def test_rename_without_replacing(client: Client, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = client.root
    fails(errno.EEXIST, client.rename, root, b"file", root, b"out", 1)
    fails(errno.EEXIST, client.rename, root, b"dir", root, b"out", 1)
    fails(errno.ENOENT, client.rename, root, b"none", root, b"x", 1)
    client.rename(root, b"out", root, b"link", 1)
    client.rename(root, b"dir", root, b"directory", 1)
    assert (tree / "link").is_symlink()
    assert (tree / "directory" / "file").exists()
    assert client.contents(client.walk(b"directory/file")) == b"inside dir"
    for flags in (2, 3, 4):
        fails(errno.EINVAL, client.rename, root, b"file", root, b"link", flags)
    fails(errno.EINVAL, client.rename, root, b"directory", client.walk(b"directory"), b"inner", 1)
    assert not (tree / "directory" / "inner").exists()

    def no_links(*arguments: object, **options: object) -> None:
        raise OSError(errno.EPERM, "")

    monkeypatch.setattr(os, "link", no_links)
    fails(errno.EINVAL, client.rename, root, b"file", root, b"x", 1)

    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(os, "link", full)
    fails(errno.ENOSPC, client.rename, root, b"file", root, b"x", 1)


# others change the tree meanwhile


def swap_for_link(path: Path, target: Path) -> None:
    """What an attacker on the host does."""
    path.rename(path.with_name(path.name + ".moved"))
    path.symlink_to(target)


def test_a_directory_swapped_for_a_link_out(tree: Path, outside: Path) -> None:
    client = Client(HostFs(str(tree), writable=True, max_fds=1))
    directory, sub = client.walk(b"dir"), client.walk(b"dir/sub")
    file = client.walk(b"dir/sub/file")
    client.walk(b"out")  # uses up the one descriptor
    server: Any = client.server
    server._evict(0, -1)
    swap_for_link(tree / "dir", outside)
    for action in (
        lambda: client.lookup(directory, b"file"),
        lambda: client.lookup(sub, b"file"),
        lambda: client.open(file),
        lambda: client.getattr(file),
        lambda: client.mknod(sub, b"new"),
        lambda: client.unlink(directory, b"file"),
        lambda: client.rename(sub, b"file", client.root, b"stolen"),
        lambda: client.list(directory),
        lambda: client.setattr(file, size=0),
        lambda: client.setattr(file, mode=0),
    ):
        fails(errno.ESTALE, action)
    assert sorted(path.name for path in outside.rglob("*")) == ["deep", "file", "file", "sub"]
    assert (outside / "sub" / "file").read_bytes() == SECRET
    # Whoever looks again sees the link as a link.
    assert stat.S_ISLNK(client.lookup(client.root, b"dir").mode)
    client.server.stop()


def test_a_directory_swapped_for_another(tree: Path) -> None:
    client = Client(HostFs(str(tree), max_fds=1))
    sub = client.walk(b"dir/sub")
    server: Any = client.server
    server._evict(0, -1)
    (tree / "dir").rename(tree / "old")
    (tree / "dir" / "sub").mkdir(parents=True)
    (tree / "dir" / "sub" / "file").write_bytes(b"another")
    fails(errno.ESTALE, client.lookup, sub, b"file")
    assert client.contents(client.walk(b"dir/sub/file")) == b"another"
    assert client.contents(client.walk(b"old/sub/file")) == b"inside sub"


def test_a_file_swapped_between_look_and_open(
    client: Client, tree: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open
    swaps = iter(["link", "file", "pipe"])

    def swapping(name: Any, *arguments: Any, **options: Any) -> int:
        if name == b"file":
            (tree / "file").unlink()
            kind = next(swaps)
            if kind == "link":
                (tree / "file").symlink_to(outside / "file")
            elif kind == "file":
                (tree / "file").write_bytes(b"another")
            else:
                os.mkfifo(tree / "file")
        return real_open(name, *arguments, **options)

    kept = []
    monkeypatch.setattr(os, "open", swapping)
    for _ in range(3):
        (tree / "file").unlink()
        (tree / "file").write_bytes(b"inside")
        kept.append(real_open(tree / "file", os.O_RDONLY))  # so that its number is not used again
        ino = client.lookup(client.root, b"file").ino
        fails(errno.ESTALE, client.open, ino, os.O_RDONLY)
    for fd in kept:
        os.close(fd)


def test_a_name_swapped_between_look_and_change(
    client: Client, tree: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ino = client.walk(b"file")
    real_open, real_link = os.open, os.link
    keep = real_open(tree / "file", os.O_RDONLY)

    def swapping_open(name: Any, *arguments: Any, **options: Any) -> int:
        if name == b"file":
            (tree / "file").unlink()
            (tree / "file").symlink_to(outside / "file")
        return real_open(name, *arguments, **options)

    monkeypatch.setattr(os, "open", swapping_open)
    fails(errno.ESTALE, lambda: client.setattr(ino, mode=0o777))
    monkeypatch.undo()
    assert stat.S_IMODE((outside / "file").stat().st_mode) == 0o644
    assert (tree / "file").is_symlink()

    other = client.walk(b"dir/file")

    def swapping_link(source: Any, target: Any, **options: Any) -> None:
        (tree / "dir" / "file").unlink()
        (tree / "dir" / "file").symlink_to(outside / "file")
        real_link(source, target, **options)

    monkeypatch.setattr(os, "link", swapping_link)
    fails(errno.ESTALE, client.link, other, client.root, b"linked")
    assert not (tree / "linked").exists()
    assert not (tree / "linked").is_symlink()
    os.close(keep)


def test_an_attacker_at_random(tree: Path, outside: Path) -> None:
    """Names are swapped for links out, and back, at any call to the host: nothing outside is touched."""
    rng = random.Random(4)
    targets = [tree / "dir", tree / "dir" / "sub", tree / "file", tree / "dir" / "file"]
    client = Client(HostFs(str(tree), writable=True, max_fds=2))
    inos = [client.walk(name) for name in (b"dir", b"dir/sub", b"file", b"dir/file", b"dir/sub/file")]
    real = {
        name: getattr(os, name) for name in ("open", "stat", "mkdir", "unlink", "chown", "utime", "chmod")
    }

    def attack() -> None:
        target = rng.choice(targets)
        if os.path.realpath(target.parent) != str(target.parent):
            return  # the attacker's own links would lead the attacker out
        moved = target.with_name(target.name + ".moved")
        if real_is_link(target):
            real["unlink"](target)
            if os.path.lexists(moved):
                os.rename(moved, target)
        elif os.path.lexists(target) and not os.path.lexists(moved):
            os.rename(target, moved)
            os.symlink(outside / rng.choice(["", "sub", "file"]), target)

    def real_is_link(path: Path) -> bool:
        try:
            return stat.S_ISLNK(real["stat"](path, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def look(ino: int, name: bytes) -> None:
        inos.append(client.lookup(ino, name).ino)

    with pytest.MonkeyPatch.context() as patch:
        for call, function in real.items():

            def wrapper(*arguments: Any, _function: Any = function, **options: Any) -> Any:
                if rng.random() < 0.3 and options.get("dir_fd") is not None:
                    attack()
                return _function(*arguments, **options)

            patch.setattr(os, call, wrapper)
        for step in range(2000):
            ino = rng.choice(inos)
            action = rng.choice(
                [
                    lambda ino=ino: look(ino, rng.choice([b"file", b"sub", b"deep"])),
                    lambda ino=ino: client.setattr(ino, mode=0o600),
                    lambda ino=ino: client.setattr(ino, size=1),
                    lambda ino=ino: client.setattr(ino, atime_ns=1, mtime_ns=1),
                    lambda ino=ino: client.unlink(ino, b"deep"),
                    lambda ino=ino, step=step: client.mkdir(ino, b"new%d" % step),
                    lambda ino=ino: client.contents(ino) == SECRET and pytest.fail("read a file outside"),
                    lambda ino=ino: client.list(ino),
                    lambda ino=ino: client.rename(ino, b"file", client.root, b"file"),
                    lambda: inos.append(client.walk(b"dir/sub")),
                ]
            )
            try:
                action()
            except OSError:
                pass
    assert sorted(str(path.relative_to(outside)) for path in outside.rglob("*")) == [
        "file",
        "sub",
        "sub/deep",
        "sub/file",
    ]
    for path in outside.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644)
        assert path.is_dir() or path.read_bytes() == SECRET
    client.server.stop()


def test_what_the_host_moves_is_found_again(client: Client, tree: Path) -> None:
    directory, file = client.walk(b"dir"), client.walk(b"file")
    sub = client.walk(b"dir/sub")
    client.lookup(sub, b"file")
    (tree / "dir").rename(tree / "renamed")
    (tree / "file").rename(tree / "renamed" / "file2")
    assert client.getattr(directory).ino == directory  # its descriptor is still open
    assert client.walk(b"renamed") == directory
    assert client.walk(b"renamed/file2") == file
    assert client.contents(file) == b"inside"
    (tree / "renamed" / "file2").unlink()
    fails(errno.ESTALE, client.getattr, file)
    fails(errno.ENOENT, client.lookup, directory, b"file2")


def test_a_number_that_the_host_uses_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(HostFs(str(tree)))
    ino = client.lookup(client.root, b"file").ino
    real_stat, directory = os.stat, (tree / "dir").stat().st_ino

    def reusing(*arguments: Any, **options: Any) -> os.stat_result:
        found = real_stat(*arguments, **options)
        if found.st_ino != directory:
            return found
        return os.stat_result((found.st_mode, ino, *found[2:]), found.__reduce__()[1][1])

    monkeypatch.setattr(os, "stat", reusing)
    (tree / "file").unlink()
    attr = client.lookup(client.root, b"dir")
    assert stat.S_ISDIR(attr.mode)
    assert attr.ino != ino
    fails(errno.ESTALE, client.getattr, ino)


def test_directories_that_stand_in_two_places(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with bind mounts of the host, the root's included: the tree must stay a tree."""
    real_stat, real_open, real_fstat = os.stat, os.open, os.fstat
    (tree / "again").mkdir()
    (tree / "dir" / "top").mkdir()
    same = {
        (tree / "again").stat().st_ino: tree / "dir",
        (tree / "dir" / "top").stat().st_ino: tree,
    }

    def mounted(found: os.stat_result) -> os.stat_result:
        target = same.get(found.st_ino)
        return real_stat(target) if target else found

    def fake_open(name: Any, *arguments: Any, dir_fd: int | None = None, **options: Any) -> int:
        fd = real_open(name, *arguments, dir_fd=dir_fd, **options)
        target = same.get(real_fstat(fd).st_ino)
        if target is None:
            return fd
        os.close(fd)
        return real_open(target, os.O_RDONLY)

    monkeypatch.setattr(os, "stat", lambda *a, **k: mounted(real_stat(*a, **k)))
    monkeypatch.setattr(os, "open", fake_open)
    client = Client(HostFs(str(tree), max_fds=1))
    first, second = client.walk(b"dir"), client.walk(b"again")
    assert first != second
    assert client.walk(b"again/file") == client.walk(b"dir/file")
    top = client.walk(b"dir/top")
    assert top != client.root
    deep = client.walk(b"dir/top/dir/top/again/file")
    assert client.contents(deep) == b"inside dir"
    assert client.names(top) == client.names(client.root)
    assert client.walk(b"again") == second
    client.forget(second, 100)
    assert stat.S_ISDIR(client.getattr(client.walk(b"again/sub")).mode)


# descriptors


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_directories_are_opened_sparingly(tmp_path: Path) -> None:
    for index in range(40):
        (tmp_path / f"d{index}").mkdir()
        (tmp_path / f"d{index}" / "f").write_bytes(b"%d" % index)
    before = open_fds()
    client = Client(HostFs(str(tmp_path), max_fds=5))
    inos = [client.walk(b"d%d/f" % index) for index in range(40)]
    assert open_fds() <= before + 6
    assert [client.contents(ino) for ino in inos] == [b"%d" % index for index in range(40)]
    client.server.stop()
    assert open_fds() == before


def test_deep_trees_need_few_descriptors(tmp_path: Path) -> None:
    client = Client(HostFs(str(tmp_path), writable=True, max_fds=4))
    ino = client.root
    for _ in range(300):
        ino = client.mkdir(ino, b"d" * 50)
    file = client.mknod(ino, b"file")
    server: Any = client.server
    server._evict(0, -1)
    assert client.getattr(file).size == 0  # its path is longer than PATH_MAX
    assert client.names(ino) == [b"file"]
    client.unlink(ino, b"file")
    server.stop()


def test_running_out_of_descriptors(client: Client, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client.walk(b"dir/sub")
    server: Any = client.server
    assert server._cached
    real_open = os.open
    failures = [errno.EMFILE]

    def scarce(*arguments: Any, **options: Any) -> int:
        if failures:
            raise OSError(failures.pop(), "")
        return real_open(*arguments, **options)

    monkeypatch.setattr(os, "open", scarce)
    ino = client.walk(b"file")
    handle = client.open(ino)
    assert not server._cached
    failures[:] = [errno.EMFILE, errno.ENFILE]
    fails(errno.EMFILE, client.open, ino)
    failures[:] = [errno.EACCES]
    fails(errno.EACCES, client.open, ino)
    failures[:] = [errno.EACCES]
    fails(errno.EACCES, client.lookup, client.walk(b"dir"), b"sub")
    client.close(handle)


def test_everything_is_closed_in_the_end(tree: Path) -> None:
    before = open_fds()
    client = Client(HostFs(str(tree), writable=True))
    client.open(client.walk(b"file"))
    client.open(client.walk(b"dir/sub"), os.O_RDONLY)
    client.server.stop()
    client.server.stop()
    assert open_fds() == before


def test_what_is_forgotten_is_dropped(client: Client) -> None:
    server: Any = client.server
    directory = client.lookup(client.root, b"dir").ino
    sub = client.lookup(directory, b"sub").ino
    file = client.lookup(sub, b"file").ino
    client.forget(directory)
    client.forget(sub)
    assert len(server._by_ino) == 4
    client.forget(file)
    assert list(server._by_ino) == [client.root]
    client.forget(file)
    client.forget(client.root, 5)
    assert client.getattr(client.root)


# starting


def test_what_cannot_be_served(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BootError, match="No such file"):
        HostFs(str(tree / "none"))
    with pytest.raises(BootError, match="Not a directory"):
        HostFs(str(tree / "file"))
    linked = Client(HostFs(str(tree / "out")))
    assert linked.names(linked.root) == [b"file", b"sub"]
    monkeypatch.setattr("linuxemu.servers.fs.hosttree._HAS_DIR_FD", False)
    with pytest.raises(BootError, match="this host system"):
        HostFs(str(tree))


def test_sizes_of_the_file_system(client: Client, tree: Path) -> None:
    found, expected = client.statfs(), os.statvfs(tree)
    assert (found.type, found.bsize, found.blocks, found.namelen, found.flags) == (
        EXT4_MAGIC,
        expected.f_frsize,
        expected.f_blocks,
        255,
        0,
    )


def test_a_host_without_path_descriptors(client: Client, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr("linuxemu.servers.fs.hostfs.O_PATH", 0)
    ino = client.walk(b"file")
    monkeypatch.setattr(os, "chmod", lambda *arguments, **options: calls.append((arguments, options)))
    client.setattr(ino, mode=0o600)
    ((arguments, options),) = calls
    assert arguments == (b"file", 0o600)
    assert options["follow_symlinks"] is False
    monkeypatch.delattr(os, "posix_fallocate")
    handle = client.open(ino)
    fails(errno.EOPNOTSUPP, client.fallocate, handle, 0, 0, 1)


def test_a_full_disk(client: Client) -> None:
    handle = client.open(client.walk(b"file"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        fails(errno.EFBIG, client.write, handle, 0, bytes(1 << 17))
        fails(errno.EFBIG, client.fallocate, handle, 0, 0, 1 << 17)
        fails(errno.EFBIG, lambda: client.setattr(client.walk(b"file"), size=1 << 17))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_error_numbers_of_other_systems() -> None:
    assert linux.linux_errno(errno.ENOTEMPTY) == 39
    assert linux.linux_errno(None) == linux.EIO
    assert linux.translate(errno.ELOOP) == 40
    assert linux.translate(errno.EOPNOTSUPP) == 95
    assert linux.translate(errno.EWOULDBLOCK) == 11
    assert linux.translate(errno.ENOCSI) == linux.EIO  # of no interest to file systems
    assert linux.translate(123456) == linux.EIO


def test_error_numbers_where_they_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "_SAME_NUMBERS", False)
    monkeypatch.setattr(errno, "errorcode", {66: "ENOTEMPTY", 45: "ENOTSUP", 35: "EAGAIN"})
    assert [linux.linux_errno(number) for number in (66, 45, 35)] == [39, 95, 11]


# as the lower layer of the root


def test_under_an_overlay(tree: Path, outside: Path) -> None:
    client, _ = layered(MemFs(lower=2), HostFs(str(tree)))
    before = {path: path.lstat().st_mtime_ns for path in tree.rglob("*")}
    client.create(b"dir/new", b"new")
    client.unlink(client.root, b"file")
    ino = client.walk(b"dir/sub/file")
    handle = client.open(ino)
    client.write(handle, 0, b"CHANGED")
    client.close(handle)
    client.rename(client.root, b"dir", client.root, b"moved")
    assert client.contents(client.walk(b"moved/sub/file")) == b"CHANGEDsub"
    assert {path: path.lstat().st_mtime_ns for path in tree.rglob("*")} == before
    assert client.readlink(client.walk(b"out")) == os.fsencode(outside)
    fails(errno.ENOTDIR, client.lookup, client.walk(b"out"), b"file")
    client.server.stop()
