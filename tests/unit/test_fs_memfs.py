"""The in-memory file system alone: what the comparison with the host (test_fs_model.py) does not reach."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxemu.cpu.memory import HostRam
from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NOT_ACCEPTABLE, ERR_NOT_FOUND
from linuxemu.kernel.frames import FrameAllocator
from linuxemu.kernel.room import Room
from linuxemu.messages import blk, fs, fsx
from linuxemu.servers.fs import memfs as memfs_module
from linuxemu.servers.fs.memfs import OVERLAYFS_MAGIC, TMPFS_MAGIC, MemFs
from linuxemu.servers.fs.pages import _HOLE as HOLE
from linuxemu.servers.fs.pages import PAGE, PageMap
from tests.unit.fs_client import Client

if TYPE_CHECKING:
    from collections.abc import Callable

TIB = 1 << 40


class Clock:
    """A time of day that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(clock: Clock) -> Client:
    return Client(MemFs(now_ns=clock, max_bytes=64 * PAGE, max_inodes=40))


def fails(number: int, action: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(OSError) as caught:
        action(*arguments)
    assert caught.value.errno == number


# attributes and times


def test_the_root(client: Client, clock: Clock) -> None:
    root = client.call(fsx.Root())
    assert tuple(root) == (1, 0o040755, 2, 0, 0, 0, 40, 0, 4096, clock.now, clock.now, clock.now, 1)
    assert client.getattr(1) == fsx.GetattrReply(*root)
    assert Client(MemFs(root_mode=0o1777)).getattr(1).mode == 0o041777


def test_new_nodes_have_what_was_asked_for(client: Client, clock: Clock) -> None:
    reply = client.call(fsx.Mknod(1, stat.S_IFCHR | 0o6620, os.makedev(5, 1), 12, 34, b"console"))
    now = clock.now
    assert tuple(reply)[1:] == (
        stat.S_IFCHR | 0o6620, 1, 12, 34, os.makedev(5, 1), 0, 0, 4096, now, now, now, 1,
    )  # fmt: skip
    plain = client.call(fsx.Mknod(1, 0o640, 0, 0, 0, b"plain"))
    assert plain.mode == stat.S_IFREG | 0o640
    link = client.call(fsx.Symlink(1, 1, 2, b"link\0some/where"))
    assert (link.mode, link.size, link.uid, link.gid) == (stat.S_IFLNK | 0o777, 10, 1, 2)
    made = client.call(fsx.Mkdir(1, 0o1777, 3, 4, b"dir"))
    assert (made.mode, made.nlink, made.uid, made.gid) == (stat.S_IFDIR | 0o1777, 2, 3, 4)
    assert client.getattr(1).nlink == 3


def test_times_follow_changes(client: Client, clock: Clock) -> None:
    start = clock.now
    ino = client.create(b"f", b"x")
    clock.now += 5
    handle = client.open(ino)
    client.read(handle, 0, 10)
    assert client.getattr(ino)[9:12] == (start, start, start)
    client.write(handle, 0, b"y")
    assert client.getattr(ino)[9:12] == (start, start + 5, start + 5)
    clock.now += 5
    client.setattr(ino, mode=0o600)
    assert client.getattr(ino)[9:12] == (start, start + 5, start + 10)
    client.setattr(ino, mode=0o600, ctime_ns=77)
    assert client.getattr(ino).ctime_ns == 77
    client.setattr(ino, atime_ns=-1, mtime_ns=2)
    assert client.getattr(ino)[9:12] == (-1, 2, start + 10)
    clock.now += 5
    client.setattr(ino, size=10)
    assert client.getattr(ino)[9:12] == (-1, start + 15, start + 15)
    assert client.getattr(1)[10] == start
    clock.now += 5
    client.link(ino, 1, b"g")
    assert client.getattr(ino).ctime_ns == client.getattr(1).mtime_ns == start + 20
    clock.now += 5
    client.unlink(1, b"f")
    assert client.getattr(ino).ctime_ns == client.getattr(1).mtime_ns == start + 25


def test_the_version_moves_with_the_contents_only(client: Client) -> None:
    ino = client.create(b"f", b"x")
    version = client.getattr(ino).version
    client.setattr(ino, mode=0, uid=1, gid=1, atime_ns=1, mtime_ns=1)
    client.setattr(ino, size=1)
    client.write(client.open(ino), 0, b"")
    assert client.getattr(ino).version == version
    seen = {version}
    handle = client.open(ino)
    for change in (
        lambda: client.write(handle, 0, b"y"),
        lambda: client.setattr(ino, size=0),
        lambda: client.fallocate(handle, 0, 0, 10),
        lambda: client.fallocate(handle, 3, 0, 5),
    ):
        change()
        seen.add(client.getattr(ino).version)
    assert len(seen) == 5


def test_setattr_sets_each_thing_alone(client: Client) -> None:
    ino = client.create(b"f")
    client.setattr(ino, uid=5)
    client.setattr(ino, gid=6)
    client.setattr(ino, mode=0o170000 | 0o7421)
    attr = client.getattr(ino)
    assert (attr.uid, attr.gid, attr.mode) == (5, 6, stat.S_IFREG | 0o7421)


def test_sizes_that_cannot_be(client: Client) -> None:
    ino = client.create(b"f")
    handle = client.open(ino)
    client.symlink(1, b"l", b"x")
    fails(errno.EISDIR, lambda: client.setattr(1, size=0))
    fails(errno.EINVAL, lambda: client.setattr(client.walk(b"l"), size=0))
    fails(errno.EFBIG, lambda: client.setattr(ino, size=1 << 63))
    fails(errno.EFBIG, client.write, handle, (1 << 63) - 1, b"x")
    fails(errno.EFBIG, client.fallocate, handle, 0, (1 << 63) - 1, 1)
    client.setattr(ino, size=(1 << 63) - 1)
    assert client.read(handle, (1 << 63) - 3, 10) == b"\0\0"
    assert client.read(handle, (1 << 64) - 1, 10) == b""


# names


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"/"])
def test_names_that_cannot_be(client: Client, name: bytes) -> None:
    client.mkdir(1, b"d")
    ino = client.create(b"f")
    for action in (
        lambda: client.mknod(1, name),
        lambda: client.mkdir(1, name),
        lambda: client.symlink(1, name, b"x"),
        lambda: client.link(ino, 1, name),
        lambda: client.unlink(1, name),
        lambda: client.rmdir(1, name),
        lambda: client.rename(1, b"f", 1, name),
        lambda: client.rename(1, name, 1, b"g"),
    ):
        fails(errno.EINVAL, action)
    fails(errno.ENOENT, client.lookup, 1, name)


def test_names_and_targets_have_a_length(client: Client) -> None:
    client.mknod(1, b"n" * 255)
    fails(errno.ENAMETOOLONG, client.mknod, 1, b"n" * 256)
    fails(errno.ENAMETOOLONG, client.lookup, 1, b"n" * 256)
    fails(errno.ENAMETOOLONG, client.unlink, 1, b"n" * 256)
    fails(errno.ENAMETOOLONG, client.rename, 1, b"n" * 255, 1, b"n" * 256)
    fails(errno.ENOENT, client.symlink, 1, b"l", b"")
    fails(errno.ENAMETOOLONG, client.symlink, 1, b"l", b"t" * 4096)
    fails(errno.EINVAL, client.symlink, 1, b"l", b"t\0t")
    assert client.readlink(client.symlink(1, b"l", b"t" * 4095)) == b"t" * 4095
    with pytest.raises(OSError, match="Invalid"):
        client.call(fsx.Symlink(1, 0, 0, b"no separator"))
    with pytest.raises(OSError, match="Invalid"):
        client.call(fsx.Rename(1, 1, 0, b"no separator"))


def test_errors_of_making(client: Client) -> None:
    ino = client.create(b"f")
    fails(errno.EPERM, client.mknod, 1, b"d", stat.S_IFDIR)
    fails(errno.EINVAL, client.mknod, 1, b"d", stat.S_IFLNK)
    fails(errno.EEXIST, client.mknod, 1, b"f")
    fails(errno.ENOTDIR, client.mknod, ino, b"x")
    fails(errno.ESTALE, client.mknod, 999, b"x")
    fails(errno.ESTALE, client.getattr, 999)
    fails(errno.EPERM, client.link, 1, 1, b"x")
    fails(errno.EINVAL, client.readlink, ino)
    with pytest.raises(RpcError) as caught:
        client.call(blk.Read(0, 1))
    assert caught.value.code == ERR_NOT_ACCEPTABLE


def test_an_unlinked_inode_can_get_a_new_name(client: Client) -> None:
    ino = client.create(b"f", b"x")
    client.unlink(1, b"f")
    assert client.link(ino, 1, b"g").nlink == 1
    client.forget(ino, 2)
    assert client.contents(client.walk(b"g")) == b"x"


def test_nothing_is_made_in_a_directory_that_is_gone(client: Client) -> None:
    ino = client.mkdir(1, b"d")
    file = client.create(b"f")
    client.rmdir(1, b"d")
    fails(errno.ENOENT, client.mknod, ino, b"x")
    fails(errno.ENOENT, client.link, file, ino, b"x")
    fails(errno.ENOENT, client.rename, 1, b"f", ino, b"x")
    fails(errno.ENOENT, client.lookup, ino, b"x")
    assert client.getattr(ino).nlink == 0
    assert client.list(ino) == []
    client.forget(ino)
    fails(errno.ESTALE, client.getattr, ino)


# lifetime


def test_a_handle_keeps_an_inode_without_name(client: Client) -> None:
    before = client.statfs()
    ino = client.create(b"f", b"data")
    handle = client.open(ino)
    client.unlink(1, b"f")
    client.forget(ino)
    assert client.read(handle, 0, 10) == b"data"
    client.write(handle, 4, b" more")
    assert client.getattr(ino)[2] == 0
    client.close(handle)
    fails(errno.ESTALE, client.getattr, ino)
    assert client.statfs() == before


def test_a_reference_keeps_an_inode_without_name(client: Client) -> None:
    ino = client.create(b"f", b"data")
    client.lookup(1, b"f")
    client.rename(1, b"f", 1, b"g")
    client.create(b"h")
    client.rename(1, b"h", 1, b"g")
    client.forget(ino)
    handle = client.open(ino)
    assert client.read(handle, 0, 10) == b"data"
    client.forget(ino, 1000)
    client.close(handle)
    fails(errno.ESTALE, client.getattr, ino)
    client.forget(ino)


def test_names_keep_an_inode(client: Client) -> None:
    ino = client.create(b"f", b"x")
    client.forget(ino, 5)
    assert client.lookup(1, b"f").ino == ino
    client.forget(1, 5)
    assert client.getattr(1).ino == 1


# handles


def test_handles_belong_to_a_client_and_are_used_again(client: Client) -> None:
    other = Client(client.server, 78)
    ino = client.create(b"f", b"x")
    first, second, third = (client.open(ino) for _ in range(3))
    assert (first, second, third) == (1, 2, 3)
    assert other.open(ino) == 1
    other.close(1)
    client.close(2)
    client.close(1)
    assert client.open(ino) == 1
    assert client.open(ino) == 2
    assert client.open(ino) == 4
    for number in (0, -1, 5):
        for use in (
            lambda number=number: client.read(number, 0, 1),
            lambda number=number: client.write(number, 0, b"x"),
            lambda number=number: client.close(number),
            lambda number=number: client.readdir(number),
            lambda number=number: client.fallocate(number, 0, 0, 1),
            lambda number=number: client.call(fsx.Fsync(number, True)),
            lambda: other.read(1, 0, 1),
        ):
            with pytest.raises(RpcError) as caught:
                use()
            assert caught.value.code == ERR_NOT_FOUND
    assert client.call(fsx.Fsync(1, False)) == fsx.FsyncReply()


def test_too_many_handles(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linuxemu.servers.fs.base._MAX_HANDLES", 2)
    ino = client.create(b"f")
    client.open(ino)
    client.open(ino)
    fails(errno.ENFILE, client.open, ino)


def test_handles_of_what_is_no_file(client: Client) -> None:
    fifo = client.open(client.mknod(1, b"p", stat.S_IFIFO))
    directory = client.open(1)
    assert client.read(directory, 0, 10) == b""
    fails(errno.EISDIR, client.write, directory, 0, b"x")
    fails(errno.EISDIR, client.fallocate, directory, 0, 0, 1)
    fails(errno.EINVAL, client.read, fifo, 0, 10)
    fails(errno.EINVAL, client.write, fifo, 0, b"x")
    fails(errno.ENODEV, client.fallocate, fifo, 0, 0, 1)
    fails(errno.ENOTDIR, client.readdir, fifo)


# directories


def test_reading_a_directory_in_pieces_while_it_changes(client: Client) -> None:
    for index in range(20):
        client.mknod(1, b"file%02d" % index)
    handle = client.open(1)
    first = client.readdir(handle, 0, 100)
    assert [entry.name for entry in first] == [b"file00", b"file01", b"file02", b"file03"]
    for index in range(8):
        client.unlink(1, b"file%02d" % index)
    client.mknod(1, b"new")
    rest: list[bytes] = []
    cookie = first[-1].cookie
    while batch := client.readdir(handle, cookie, 100):
        rest += [entry.name for entry in batch]
        cookie = batch[-1].cookie
    assert rest == [b"file%02d" % index for index in range(8, 20)]
    assert client.readdir(handle, first[1].cookie, 60)[0].name == b"file08"
    assert client.readdir(handle, 0, 4096)[-1].name == b"new"
    assert client.readdir(client.open(1), 3, 4096)[0].name == b"file11"


def test_removing_everything_while_listing(client: Client) -> None:
    for index in range(30):
        client.mknod(1, b"%d" % index)
    handle = client.open(1)
    cookie = 0
    while batch := client.readdir(handle, cookie, 90):
        for entry in batch:
            client.unlink(1, entry.name)
        cookie = batch[-1].cookie
    assert client.list(1) == []


def test_renaming_while_listing_ends(client: Client) -> None:
    for index in range(10):
        client.mknod(1, b"%d" % index)
    handle = client.open(1)
    cookie = seen = 0
    while batch := client.readdir(handle, cookie, 25):
        for entry in batch:
            client.rename(1, entry.name, 1, entry.name + b"x")
            seen += 1
        cookie = batch[-1].cookie
    assert seen == 10


def test_too_little_room_for_one_record(client: Client) -> None:
    client.mknod(1, b"name")
    handle = client.open(1)
    fails(errno.EINVAL, client.readdir, handle, 0, 22)
    assert len(client.readdir(handle, 0, 23)) == 1


# rename


def test_rename_flags_that_cannot_be(client: Client) -> None:
    client.create(b"f")
    for flags in (3, 4, 1 << 31):
        fails(errno.EINVAL, client.rename, 1, b"f", 1, b"g", flags)


def test_rename_to_itself_changes_nothing(client: Client) -> None:
    ino = client.create(b"f")
    client.link(ino, 1, b"g")
    for old, new in ((b"f", b"f"), (b"f", b"g")):
        for flags in (0, 2):
            client.rename(1, old, 1, new, flags)
    assert client.names(1) == [b"f", b"g"]
    assert client.getattr(ino).nlink == 2
    fails(errno.EEXIST, client.rename, 1, b"f", 1, b"f", 1)
    directory = client.mkdir(1, b"d")
    client.rename(1, b"d", 1, b"d")
    assert client.walk(b"d") == directory
    fails(errno.ENOENT, client.rmdir, 1, b"none")
    fails(errno.ENOENT, client.rename, 1, b"none", 1, b"f")


def test_exchanging_counts_subdirectories(client: Client) -> None:
    one, two = client.mkdir(1, b"one"), client.mkdir(1, b"two")
    client.mkdir(one, b"dir")
    client.mknod(two, b"file")
    client.rename(one, b"dir", two, b"file", 2)
    assert (client.getattr(one).nlink, client.getattr(two).nlink) == (2, 3)
    fails(errno.EINVAL, client.rename, two, b"file", client.walk(b"two/file"), b"x", 0)
    client.mkdir(two, b"other")
    client.mkdir(one, b"dir2")
    client.rename(one, b"dir2", two, b"other", 2)
    assert (client.getattr(one).nlink, client.getattr(two).nlink) == (3, 4)


def test_exchanging_with_an_ancestor(client: Client) -> None:
    one = client.mkdir(1, b"one")
    client.mkdir(one, b"two")
    fails(errno.EINVAL, client.rename, one, b"two", 1, b"one", 2)
    fails(errno.ENOTEMPTY, client.rename, one, b"two", 1, b"one", 0)


# room


def test_a_full_file_system(client: Client) -> None:
    before = client.statfs()
    assert tuple(before) == (TMPFS_MAGIC, 4096, 64, 64, 64, 40, 39, 255, 0)
    ino = client.create(b"f")
    handle = client.open(ino)
    client.write(handle, 0, bytes(60 * PAGE))
    client.write(handle, 100 * PAGE, b"x")
    assert client.statfs()[2:5] == (64, 3, 3)
    assert client.getattr(ino).blocks == 61 * 8
    fails(errno.ENOSPC, client.write, handle, 60 * PAGE, bytes(4 * PAGE))
    assert client.getattr(ino).size == 100 * PAGE + 1
    client.write(handle, 59 * PAGE, bytes(4 * PAGE))
    fails(errno.ENOSPC, client.write, handle, 200 * PAGE, b"x")
    fails(errno.ENOSPC, client.fallocate, handle, 0, 0, 65 * PAGE)
    client.write(handle, 0, b"overwriting needs no room")
    client.setattr(ino, size=PAGE)
    assert client.statfs().bfree == 63
    client.unlink(1, b"f")
    client.forget(ino)
    client.close(handle)
    assert client.statfs() == before


def test_long_targets_take_room(client: Client) -> None:
    short = client.symlink(1, b"short", b"x" * 127)
    long = client.symlink(1, b"long", b"x" * 128)
    assert (client.getattr(short).blocks, client.getattr(long).blocks) == (0, 8)
    assert client.statfs().bfree == 63
    client.write(client.open(client.create(b"f")), 0, bytes(63 * PAGE))
    client.symlink(1, b"short2", b"x")
    fails(errno.ENOSPC, client.symlink, 1, b"long2", b"x" * 128)
    client.unlink(1, b"long")
    client.forget(long)
    assert client.statfs().bfree == 1


def test_names_are_counted(client: Client) -> None:
    ino = client.create(b"f")
    for index in range(38):
        client.link(ino, 1, b"%d" % index)
    assert client.statfs().ffree == 0
    fails(errno.ENOSPC, client.link, ino, 1, b"x")
    fails(errno.ENOSPC, client.mknod, 1, b"x")
    client.rename(1, b"0", 1, b"x")
    client.unlink(1, b"x")
    client.mknod(1, b"y")


def test_room_and_type_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert Client(MemFs()).statfs()[:3] == (TMPFS_MAGIC, 4096, total // 2 // 4096)
    assert Client(MemFs(fs_type=0xEF53)).statfs().type == 0xEF53
    assert Client(MemFs(lower=2)).statfs().type == OVERLAYFS_MAGIC

    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert memfs_module._half_of_memory() == 1 << 30


# contents


def test_holes_of_any_size_take_no_room(client: Client) -> None:
    ino = client.create(b"sparse")
    handle = client.open(ino)
    client.write(handle, TIB, b"end")
    assert client.getattr(ino)[6:8] == (TIB + 3, 8)
    assert client.read(handle, TIB - 2, 10) == b"\0\0end"
    client.setattr(ino, size=TIB * 2)
    client.setattr(ino, size=5)
    assert client.getattr(ino)[6:8] == (5, 0)
    client.setattr(ino, size=TIB)
    client.fallocate(handle, 3, 0, TIB)
    assert client.read(handle, TIB - 5000, 9000) == bytes(5000)


def test_one_read_is_bounded(client: Client) -> None:
    ino = client.create(b"sparse")
    client.setattr(ino, size=TIB)
    assert len(client.read(client.open(ino), 0, TIB)) == 16 << 20


def test_cutting_off_forgets(client: Client) -> None:
    ino = client.create(b"f", b"a" * 10000)
    handle = client.open(ino)
    client.setattr(ino, size=5000)
    client.setattr(ino, size=10000)
    assert client.read(handle, 0, 10000) == b"a" * 5000 + bytes(5000)


def test_reserving(client: Client) -> None:
    ino = client.create(b"f", b"abc")
    handle = client.open(ino)
    client.fallocate(handle, 1, 0, 3 * PAGE)
    assert client.getattr(ino)[6:8] == (3, 24)
    client.fallocate(handle, 0, 0, 4 * PAGE + 1)
    assert client.getattr(ino)[6:8] == (4 * PAGE + 1, 40)
    assert client.read(handle, 0, 6) == b"abc\0\0\0"
    client.write(handle, 2 * PAGE, b"x")
    assert client.getattr(ino).blocks == 40


def test_zeroing(client: Client) -> None:
    ino = client.create(b"f", b"a" * 3 * PAGE)
    handle = client.open(ino)
    client.fallocate(handle, 16, 100, 2 * PAGE)
    assert client.contents(ino) == b"a" * 100 + bytes(2 * PAGE) + b"a" * (PAGE - 100)
    assert client.getattr(ino)[6:8] == (3 * PAGE, 24)
    client.fallocate(handle, 16 | 1, 3 * PAGE, PAGE)
    assert client.getattr(ino)[6:8] == (3 * PAGE, 32)
    client.fallocate(handle, 16, 0, 5 * PAGE)
    assert client.contents(ino) == bytes(5 * PAGE)


@pytest.mark.parametrize("mode", [0, 1, 3, 16])
def test_fallocate_is_a_change_of_the_contents(client: Client, clock: Clock, mode: int) -> None:
    ino = client.create(b"f", bytes(100))
    before = client.getattr(ino)
    clock.now += 5
    client.fallocate(client.open(ino), mode, 10, 20)
    after = client.getattr(ino)
    assert (after.mtime_ns, after.ctime_ns) == (clock.now, clock.now)
    assert after.atime_ns == before.atime_ns
    assert after.version != before.version


def test_modes_of_fallocate(client: Client) -> None:
    handle = client.open(client.create(b"f", b"abc"))
    for mode in (2, 4, 8, 16 | 3, 32, 64, 1 << 31):
        fails(errno.EOPNOTSUPP, client.fallocate, handle, mode, 0, 1)
    fails(errno.EINVAL, client.fallocate, handle, 2, 0, 0)


RANGES = st.tuples(st.integers(0, 5 * PAGE), st.integers(1, 3 * PAGE))
CHANGES = st.lists(
    st.tuples(st.sampled_from(["write", "punch", "truncate", "reserve"]), RANGES), min_size=1, max_size=12
)


@given(changes=CHANGES, floor=st.sampled_from([0, 1, 100, PAGE, 2 * PAGE + 50, 4 * PAGE]))
def test_page_maps_are_byte_strings(changes: list[tuple[str, tuple[int, int]]], floor: int) -> None:
    lower = bytes(index % 251 + 1 for index in range(floor))
    pages = PageMap(floor, floor)
    model = bytearray(lower)

    def fill(offset: int, end: int) -> None:
        for index in pages.edges(offset, end):
            pages.fill(index, lower[index * PAGE : (index + 1) * PAGE])

    for step, (what, (offset, length)) in enumerate(changes):
        end = offset + length
        if what == "write":
            fill(offset, end)
            new = pages.growth(offset, end)
            before = pages.allocated
            pages.write(offset, bytes([step + 1]) * length)
            assert pages.allocated == before + new
            model.extend(bytes(max(0, end - len(model))))
            model[offset:end] = bytes([step + 1]) * length
        elif what == "punch":
            fill(offset, end)
            pages.punch(offset, end)
            end = min(end, len(model))
            model[offset:end] = bytes(max(0, end - offset))
        elif what == "reserve":
            new = pages.missing(offset, end)
            before = pages.allocated
            pages.reserve(offset, end)
            assert pages.allocated == before + new
            assert pages.missing(offset, end) == 0
        else:
            pages.truncate(offset)
            model[offset:] = b""
            model.extend(bytes(offset - len(model)))
        assert pages.size == len(model)
        assert pages.allocated == sum(page is not HOLE for page in pages.pages.values())
        parts = [
            lower[start:stop] if below else pages.read(start, stop)
            for start, stop, below in pages.lower_runs(0, len(model))
        ]
        assert b"".join(parts) == model
        for index, page in pages.pages.items():  # what a short page leaves out, and as much as it has
            start = max(index * PAGE + len(page), pages.floor)
            stop = min(start + len(page), (index + 1) * PAGE, len(model))
            assert start >= stop or pages.read(start, stop) == model[start:stop]


# the machine's memory


@pytest.fixture
def room() -> Room:
    return Room(FrameAllocator(HostRam(1024 * PAGE), 1, lambda frames: None))


def test_contents_take_the_machines_memory(room: Room) -> None:
    client = Client(MemFs(room=room))
    assert client.call(fsx.Statfs()).blocks == 1023 // 2
    ino = client.call(fsx.Mknod(1, 0o644, 0, 0, 0, b"f")).ino
    name = room.used
    assert name > 0
    handle = client.call(fsx.Open(ino, 2)).handle
    client.call(fs.Write(handle, 0, bytes(10 * PAGE)))
    assert room.used == name + 10 * PAGE
    client.call(fsx.Fallocate(handle, 0, 20 * PAGE, 5 * PAGE))
    assert room.used == name + 15 * PAGE
    fails(errno.ENOSPC, client.call, fsx.Fallocate(handle, 1, 0, 600 * PAGE))
    client.call(fsx.Fallocate(handle, 3, 0, 4 * PAGE))
    assert room.used == name + 11 * PAGE
    client.call(fsx.Unlink(1, b"f"))
    client.call(fs.Close(handle))
    client.call(fsx.Forget(ino, 1))
    assert room.used == 0


def test_file_systems_share_the_machines_memory(room: Room) -> None:
    clients = [Client(MemFs(room=room, max_bytes=room.size)) for _ in range(2)]
    files = []
    for client in clients:
        ino = client.call(fsx.Mknod(1, 0o644, 0, 0, 0, b"f")).ino
        files.append((client, client.call(fsx.Open(ino, 2)).handle))
    for client, handle in files:
        client.call(fs.Write(handle, 0, bytes(400 * PAGE)))
    for client, handle in files:
        fails(errno.ENOSPC, client.call, fs.Write(handle, 400 * PAGE, bytes(200 * PAGE)))
        assert client.call(fsx.Statfs()).bfree < 200


def test_names_take_the_machines_memory(room: Room) -> None:
    client = Client(MemFs(room=room))
    made = 0
    with pytest.raises(OSError, match="No space left"):
        for _ in range(10_000):
            client.call(fsx.Mkdir(1, 0o755, 0, 0, b"%d" % made))
            made += 1
    assert 3000 < made < 4096
