"""The in-memory file system as a copy-on-write layer: what it asks below, keeps, and never does."""

from __future__ import annotations

import errno
import os
import stat
from types import coroutine
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl.codes import posix_errno
from linuxemu.messages import fs, fsx
from linuxemu.servers.fs.memfs import MemFs
from linuxemu.servers.fs.pages import PAGE
from tests.unit.fs_client import Client, FakePort, layered
from tests.unit.test_fs_memfs import fails

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

CHANGES = (
    fsx.Setattr,
    fsx.Mknod,
    fsx.Mkdir,
    fsx.Symlink,
    fsx.Link,
    fsx.Unlink,
    fsx.Rmdir,
    fsx.Rename,
    fsx.Fallocate,
    fsx.Setxattr,
    fsx.Removexattr,
    fs.Write,
)


class World:
    """An overlay over a memory file system that holds a few things."""

    def __init__(self, **options: Any) -> None:
        self.below = Client(MemFs(max_bytes=1 << 30), src=5)
        self.content = bytes(range(256)) * 64  # four pages
        self.below.create(b"file", self.content, 0o640)
        directory = self.below.mkdir(self.below.root, b"dir")
        self.below.create(b"dir/inner", b"inner")
        self.below.mkdir(directory, b"sub")
        self.below.symlink(self.below.root, b"link", b"dir/inner")
        self.below.link(self.below.walk(b"file"), directory, b"hard")
        self.below.mknod(self.below.root, b"pipe", stat.S_IFIFO | 0o600)
        self.client, self.port = layered(MemFs(lower=2, **options), self.below.server)
        self.root = self.client.root
        self.seen = 0

    def check(self) -> None:
        """Nothing was changed below, and every handle there is closed."""
        assert not [message for _, message in self.port.log if type(message) in CHANGES]
        opened = len(self.port.asked(fsx.Open))
        assert opened == len(self.port.asked(fs.Close))

    def asked(self) -> list[str]:
        """What was asked below since the last time."""
        names = [message.NAME for _, message in self.port.log[self.seen :]]
        self.seen = len(self.port.log)
        return names


@pytest.fixture
def world() -> World:
    return World()


# what nobody changed


def test_attributes_below_pass_through(world: World) -> None:
    below = world.below.getattr(world.below.walk(b"file"))
    seen = world.client.lookup(world.root, b"file")
    assert tuple(seen) == tuple(below)
    assert world.client.getattr(seen.ino) == below
    assert world.client.getattr(world.root) == world.below.getattr(world.below.root)
    world.below.write(world.below.open(below.ino), 0, b"changed below")
    assert world.client.getattr(seen.ino).version == below.version + 1


def test_reading_goes_through(world: World) -> None:
    ino = world.client.walk(b"file")
    world.asked()
    handle = world.client.open(ino)
    again = world.client.open(ino)
    assert world.client.read(handle, 100, 50) == world.content[100:150]
    assert world.client.read(handle, 1 << 20, 50) == b""
    world.client.close(handle)
    world.client.close(again)
    assert world.asked() == ["fsx.open", "fs.read", "fs.read", "fs.close"]
    assert world.client.readlink(world.client.walk(b"link")) == b"dir/inner"
    assert world.client.names(world.client.walk(b"dir")) == [b"hard", b"inner", b"sub"]
    world.check()


def test_a_lookup_is_one_request_below(world: World) -> None:
    world.asked()
    ino = world.client.lookup(world.root, b"file").ino
    world.client.getattr(ino)
    assert world.asked() == ["fsx.lookup", "fsx.getattr"]
    fails(errno.ENOENT, world.client.lookup, world.root, b"nothing")
    fails(errno.ENAMETOOLONG, world.client.lookup, world.root, b"n" * 256)
    fails(errno.ENAMETOOLONG, world.client.mknod, world.root, b"n" * 256)
    assert world.asked() == ["fsx.lookup"]


def test_forgetting_gives_references_back(world: World) -> None:
    ino = world.client.lookup(world.root, b"dir").ino
    world.client.lookup(world.root, b"dir")
    inner = world.client.lookup(ino, b"inner").ino
    subdirectory = world.client.lookup(ino, b"sub").ino
    world.client.forget(ino, 2)
    assert fsx.Forget(ino, 2) not in world.port.asked(fsx.Forget)
    world.client.forget(subdirectory)
    assert world.port.asked(fsx.Forget) == [fsx.Forget(subdirectory, 1), fsx.Forget(ino, 2)]
    world.client.forget(inner)
    fails(errno.ESTALE, world.client.getattr, inner)
    lower: Any = world.below.server
    assert lower._nodes[inner].nlookup == 1  # what the test itself looked up


def test_the_lower_server_may_be_gone_when_references_go(world: World) -> None:
    ino = world.client.lookup(world.root, b"file").ino

    def post(dst: int, message: object) -> None:
        raise RpcError(-9)

    world.port.post = post  # type: ignore[method-assign]
    world.client.forget(ino)
    fails(errno.ESTALE, world.client.getattr, ino)


# contents


def test_only_touched_pages_come_up(world: World) -> None:
    ino = world.client.walk(b"file")
    version = world.client.getattr(ino).version
    handle = world.client.open(ino)
    world.asked()
    world.client.write(handle, PAGE + 5, b"X")
    assert world.asked() == ["fsx.getattr", "fs.read"]
    assert world.port.asked(fs.Read) == [fs.Read(1, PAGE, PAGE)]
    expected = bytearray(world.content)
    expected[PAGE + 5 : PAGE + 6] = b"X"
    assert world.client.contents(ino) == expected
    assert world.client.read(handle, PAGE - 3, 6) == expected[PAGE - 3 : PAGE + 3]
    attr = world.client.getattr(ino)
    assert (attr.size, attr.blocks, attr.nlink, attr.version) == (4 * PAGE, 32, 2, version + 1)
    assert world.client.statfs().bfree == world.client.statfs().blocks - 1
    world.client.close(handle)
    world.check()


def test_whole_pages_need_nothing_from_below(world: World) -> None:
    handle = world.client.open(world.client.walk(b"file"))
    world.asked()
    world.client.write(handle, PAGE, bytes(2 * PAGE))
    world.client.write(handle, 3 * PAGE, b"x" * (PAGE + 10))
    world.client.write(handle, 6 * PAGE + 10, b"beyond")
    assert "fs.read" not in world.asked()
    assert world.client.read(handle, 0, 8 * PAGE) == (
        world.content[:PAGE] + bytes(2 * PAGE) + b"x" * (PAGE + 10) + bytes(2 * PAGE) + b"beyond"
    )


def test_a_huge_file_below_is_not_read() -> None:
    world = World()
    ino = world.below.create(b"huge")
    world.below.setattr(ino, size=1 << 30)
    seen = world.client.walk(b"huge")
    handle = world.client.open(seen)
    world.asked()
    world.client.write(handle, 1 << 29, b"x")
    world.client.setattr(seen, size=(1 << 30) - 1)
    world.client.fallocate(handle, 3, 0, 1 << 28)
    world.client.fallocate(handle, 0, 0, 1 << 30)
    reads = world.port.asked(fs.Read)
    assert sum(read.len for read in reads) <= PAGE  # type: ignore[attr-defined]
    assert world.client.statfs().blocks - world.client.statfs().bfree == 1 + (1 << 28) // PAGE


def test_holes_in_a_file_below(world: World) -> None:
    ino = world.client.walk(b"file")
    handle = world.client.open(ino)
    world.client.fallocate(handle, 3, 100, 3 * PAGE)
    expected = bytearray(world.content)
    expected[100 : 100 + 3 * PAGE] = bytes(3 * PAGE)
    assert world.client.contents(ino) == expected
    world.client.fallocate(handle, 16, 3 * PAGE + 50, 2 * PAGE)
    expected[3 * PAGE + 50 :] = bytes(2 * PAGE)
    assert world.client.contents(ino) == expected
    world.client.close(handle)
    world.check()


def test_cutting_a_file_below(world: World) -> None:
    ino = world.client.walk(b"file")
    handle = world.client.open(ino)
    world.client.setattr(ino, size=PAGE + 7)
    world.client.setattr(ino, size=2 * PAGE)
    assert world.client.contents(ino) == world.content[: PAGE + 7] + bytes(PAGE - 7)
    world.client.setattr(ino, size=0)
    world.asked()
    world.client.write(handle, 3, b"new")
    assert world.client.contents(ino) == b"\0\0\0new"
    assert "fs.read" not in world.asked()


def test_a_file_emptied_before_it_is_opened_is_not_opened_below(world: World) -> None:
    ino = world.client.walk(b"file")
    world.client.setattr(ino, size=0)
    world.asked()
    world.client.close(world.client.open(ino))
    assert world.asked() == []


def test_a_file_that_is_shorter_than_it_said(world: World) -> None:
    ino = world.client.walk(b"file")
    handle = world.client.open(ino)
    world.client.setattr(ino, mode=0o600)
    world.below.setattr(world.below.walk(b"file"), size=10)
    assert world.client.read(handle, 0, PAGE) == world.content[:10] + bytes(PAGE - 10)


def test_room_counts_what_comes_up() -> None:
    world = World(max_bytes=2 * PAGE)
    ino = world.client.walk(b"file")
    handle = world.client.open(ino)
    world.client.write(handle, 10, b"x")
    fails(errno.ENOSPC, world.client.write, handle, PAGE + 10, bytes(PAGE))
    world.client.write(handle, PAGE + 10, b"x")
    fails(errno.ENOSPC, world.client.write, handle, 2 * PAGE, b"x")
    world.client.write(handle, 0, b"still fits")
    fails(errno.ENOSPC, world.client.fallocate, handle, 0, 4 * PAGE, 1)


# attributes and names


def test_attributes_are_kept_above(world: World) -> None:
    ino = world.client.walk(b"file")
    before = world.client.getattr(ino)
    world.client.setattr(ino, mode=0o400, uid=7, ctime_ns=8)
    attr = world.client.getattr(ino)
    assert tuple(attr) == (ino, stat.S_IFREG | 0o400, 2, 7, *before[4:11], 8, before.version)
    world.client.forget(ino, 10)
    assert world.client.getattr(world.client.walk(b"dir/hard")) == attr
    world.check()


def test_hard_links_below_are_one_inode(world: World) -> None:
    one, two = world.client.walk(b"file"), world.client.walk(b"dir/hard")
    assert one == two
    handle = world.client.open(one)
    world.client.write(handle, 0, b"both")
    world.client.close(handle)
    world.client.unlink(world.root, b"file")
    world.client.forget(one, 10)
    assert world.client.lookup(world.client.walk(b"dir"), b"hard").nlink == 1
    assert world.client.contents(world.client.walk(b"dir/hard"))[:4] == b"both"
    world.client.unlink(world.client.walk(b"dir"), b"hard")
    world.client.forget(one, 10)
    fails(errno.ESTALE, world.client.getattr, one)
    assert world.client.statfs().bfree == world.client.statfs().blocks
    world.check()


def test_what_is_removed_stays_removed(world: World) -> None:
    world.client.unlink(world.root, b"link")
    fails(errno.ENOENT, world.client.lookup, world.root, b"link")
    fails(errno.ENOENT, world.client.unlink, world.root, b"link")
    world.client.create(b"link", b"now a file")
    world.client.unlink(world.root, b"link")
    fails(errno.ENOENT, world.client.lookup, world.root, b"link")
    assert b"link" not in world.client.names(world.root)
    world.check()


def test_names_that_come_and_go_above_leave_nothing_behind(world: World) -> None:
    before = world.client.statfs()
    for index in range(10):
        world.client.create(b"%d" % index)
        world.client.unlink(world.root, b"%d" % index)
    upper: Any = world.client.server
    assert not upper._store.root.hidden
    assert world.client.statfs() == before


def test_a_directory_made_again_is_empty(world: World) -> None:
    directory = world.client.walk(b"dir")
    fails(errno.ENOTEMPTY, world.client.rmdir, world.root, b"dir")
    for name in (b"hard", b"inner"):
        world.client.unlink(directory, name)
    fails(errno.ENOTEMPTY, world.client.rmdir, world.root, b"dir")
    world.client.rmdir(directory, b"sub")
    links = world.client.getattr(world.root).nlink
    world.client.rmdir(world.root, b"dir")
    assert world.client.getattr(world.root).nlink == links - 1
    assert world.client.getattr(directory).nlink == 0
    fails(errno.ENOENT, world.client.lookup, directory, b"inner")
    again = world.client.mkdir(world.root, b"dir")
    assert again != directory
    assert world.client.list(again) == []
    world.check()


def test_a_directory_below_can_be_moved(world: World) -> None:
    ino = world.client.walk(b"dir")
    new = world.client.mkdir(world.root, b"new")
    world.client.rename(world.root, b"dir", new, b"moved")
    fails(errno.ENOENT, world.client.lookup, world.root, b"dir")
    assert world.client.walk(b"new/moved") == ino
    assert world.client.contents(world.client.walk(b"new/moved/inner")) == b"inner"
    fails(errno.EINVAL, world.client.rename, world.root, b"new", ino, b"x")
    fails(errno.EINVAL, world.client.rename, world.root, b"new", world.client.walk(b"new/moved/sub"), b"x")
    world.client.create(b"new/moved/sub/deep", b"deep")
    world.client.rename(ino, b"sub", world.root, b"sub")
    assert world.client.contents(world.client.walk(b"sub/deep")) == b"deep"
    assert (world.client.getattr(ino).nlink, world.client.getattr(new).nlink) == (2, 3)
    world.check()


def test_replacing_what_is_below(world: World) -> None:
    world.client.create(b"fresh", b"fresh")
    world.client.rename(world.root, b"fresh", world.root, b"file")
    assert world.client.contents(world.client.walk(b"file")) == b"fresh"
    assert world.client.contents(world.client.walk(b"dir/hard")) == world.content
    world.client.rename(world.root, b"pipe", world.client.walk(b"dir"), b"inner")
    assert stat.S_ISFIFO(world.client.getattr(world.client.walk(b"dir/inner")).mode)
    assert world.client.names(world.client.walk(b"dir")) == [b"hard", b"inner", b"sub"]
    world.client.mkdir(world.root, b"empty")
    world.client.rename(world.root, b"empty", world.client.walk(b"dir"), b"sub")
    fails(errno.ENOTEMPTY, world.client.rename, world.client.walk(b"dir"), b"sub", world.root, b"dir")
    fails(errno.ENOENT, world.client.rename, world.root, b"empty", world.root, b"x")
    world.check()


def test_exchanging_above_and_below(world: World) -> None:
    world.client.create(b"fresh", b"fresh")
    world.client.rename(world.root, b"fresh", world.client.walk(b"dir"), b"inner", 2)
    assert world.client.contents(world.client.walk(b"fresh")) == b"inner"
    assert world.client.contents(world.client.walk(b"dir/inner")) == b"fresh"
    world.client.rename(world.root, b"dir", world.root, b"link", 2)
    assert world.client.readlink(world.client.walk(b"dir")) == b"dir/inner"
    assert world.client.names(world.client.walk(b"link")) == [b"hard", b"inner", b"sub"]
    assert b"dir" in world.client.names(world.root)
    world.check()


def test_what_fails_keeps_nothing(world: World) -> None:
    upper: Any = world.client.server
    before = len(upper._nodes)
    fails(errno.EEXIST, world.client.mknod, world.root, b"file")
    fails(errno.EISDIR, world.client.unlink, world.root, b"dir")
    fails(errno.ENOTDIR, world.client.rmdir, world.root, b"file")
    fails(errno.EEXIST, world.client.rename, world.root, b"file", world.root, b"link", 1)
    fails(errno.ENOTDIR, world.client.rename, world.root, b"dir", world.root, b"link")
    fails(errno.EISDIR, world.client.rename, world.root, b"link", world.root, b"dir")
    fails(errno.ENOENT, world.client.rename, world.root, b"file", world.root, b"none", 2)
    assert len(upper._nodes) == before
    assert not any(node.owned for node in upper._nodes.values())
    world.check()


def test_long_targets_below_take_room_once_they_are_owned(world: World) -> None:
    ino = world.below.symlink(world.below.root, b"long", b"x" * 300)
    seen = world.client.walk(b"long")
    world.client.setattr(seen, uid=3)
    attr = world.client.getattr(seen)
    assert (attr.size, attr.blocks, attr.uid) == (300, 8, 3)
    assert world.client.readlink(seen) == b"x" * 300
    assert world.client.statfs().blocks - world.client.statfs().bfree == 1
    world.client.unlink(world.root, b"long")
    world.client.forget(seen)
    assert world.client.statfs().blocks == world.client.statfs().bfree
    assert world.below.readlink(ino) == b"x" * 300


def test_directories_below_that_do_not_count_links(world: World) -> None:
    lower: Any = world.below.server
    lower._nodes[world.below.walk(b"dir")].nlink = 1
    directory = world.client.walk(b"dir")
    world.client.mkdir(directory, b"more")
    assert world.client.getattr(directory).nlink == 1


# inode numbers


def test_numbers_never_meet(world: World) -> None:
    upper: Any = world.client.server
    upper._store.next_ino = world.below.walk(b"dir/inner")
    ino = world.client.mkdir(world.root, b"new")
    assert ino == world.below.walk(b"dir/inner")
    directory = world.client.walk(b"dir")
    (entry,) = [entry for entry in world.client.list(directory) if entry.name == b"inner"]
    seen = world.client.lookup(directory, b"inner")
    assert entry.ino == seen.ino != ino
    assert world.client.getattr(seen.ino).ino == seen.ino
    world.client.forget(seen.ino)
    assert world.client.lookup(directory, b"inner").ino == seen.ino
    upper._store.next_ino = world.root
    assert world.client.mkdir(world.root, b"newer") not in (world.root, ino, seen.ino)


def test_a_number_used_again_below(world: World) -> None:
    ino = world.client.lookup(world.root, b"link").ino
    lower: Any = world.below.server
    world.below.unlink(world.below.root, b"link")
    world.below.forget(ino, 10)
    lower._store.next_ino = ino
    assert world.below.mkdir(world.below.root, b"link") == ino
    assert stat.S_ISDIR(world.client.lookup(world.root, b"link").mode)
    assert world.client.list(ino) == []


def test_a_root_that_is_no_directory() -> None:
    world = World()
    lower: Any = world.below.server
    lower._store.root = lower._nodes[world.below.walk(b"file")]
    client, _ = layered(MemFs(lower=2), world.below.server)
    fails(errno.ENOTDIR, client.call, fsx.Root())


def test_a_directory_below_that_contains_itself(world: World) -> None:
    lower: Any = world.below.server
    lower._nodes[world.below.walk(b"dir")].entries[b"loop"] = lower._store.root
    assert world.client.walk(b"dir/loop/dir/loop") == world.root
    world.client.mkdir(world.root, b"a")
    world.client.rename(world.root, b"a", world.client.walk(b"dir"), b"b")
    assert world.client.names(world.client.walk(b"dir/loop/dir")) == [
        b"b",
        b"hard",
        b"inner",
        b"loop",
        b"sub",
    ]


def test_layers_upon_layers(world: World) -> None:
    servers: dict[int, Any] = {1: MemFs(lower=2), 2: MemFs(lower=3), 3: world.below.server}
    for task in servers:
        FakePort(task, servers)
    client, middle = Client(servers[1]), Client(servers[2])
    middle.create(b"dir/middle", b"middle")
    middle.unlink(middle.walk(b"dir"), b"inner")
    client.create(b"dir/top", b"top")
    assert client.names(client.walk(b"dir")) == [b"hard", b"middle", b"sub", b"top"]
    assert middle.names(middle.walk(b"dir")) == [b"hard", b"middle", b"sub"]
    assert client.contents(client.walk(b"file")) == world.content


# several requests at once


@coroutine
def sleep() -> Generator[None, None, None]:
    yield


class SlowPort(FakePort):
    """Every request below sleeps before it is answered."""

    async def call(self, dst: int, message: Any) -> Any:
        await sleep()
        return await super().call(dst, message)


def together(server: Any, *messages: Any, late: int = 0) -> list[Any]:
    """Send requests at the same time, the last one `late` steps after the others.

    Returns their replies, or errno, in order.
    """
    results: list[Any] = [None] * len(messages)

    async def serve(index: int, message: Any) -> None:
        for _ in range(late if index == len(messages) - 1 else 0):
            await sleep()
        try:
            results[index] = await server.handle(77, message)
        except RpcError as error:
            results[index] = posix_errno(error.code)

    running: list[Coroutine[Any, Any, None]] = [
        serve(index, message) for index, message in enumerate(messages)
    ]
    while running:
        serving = running.pop(0)
        try:
            serving.send(None)
            running.append(serving)
        except StopIteration:
            pass
    return results


@pytest.fixture
def slow(world: World) -> World:
    world.client.walk(b"dir/sub")
    world.client.walk(b"file")
    SlowPort(1, world.port.servers)
    return world


def test_two_make_the_same_name(slow: World) -> None:
    first, second = together(
        slow.client.server,
        fsx.Mknod(slow.root, 0o600, 0, 0, 0, b"new"),
        fsx.Mkdir(slow.root, 0o700, 0, 0, b"new"),
    )
    assert type(first) is fsx.MknodReply
    assert second == errno.EEXIST


def test_two_remove_the_same_name(slow: World) -> None:
    results = together(slow.client.server, fsx.Unlink(slow.root, b"file"), fsx.Unlink(slow.root, b"file"))
    assert results == [fsx.UnlinkReply(), errno.ENOENT]


def test_one_moves_what_another_removes(slow: World) -> None:
    results = together(
        slow.client.server,
        fsx.Rename(slow.root, slow.root, 0, b"link\0elsewhere"),
        fsx.Unlink(slow.root, b"link"),
        fsx.Lookup(slow.root, b"link"),
    )
    assert results[:2] in ([fsx.RenameReply(), errno.ENOENT], [errno.ENOENT, fsx.UnlinkReply()])


@pytest.mark.parametrize("late", range(8))
def test_a_name_goes_while_it_is_looked_up(late: int, slow: World) -> None:
    upper: Any = slow.client.server
    removed, seen = together(upper, fsx.Unlink(slow.root, b"pipe"), fsx.Lookup(slow.root, b"pipe"), late=late)
    assert removed == fsx.UnlinkReply()
    assert seen == errno.ENOENT or stat.S_ISFIFO(seen.mode)
    for node in list(upper._nodes.values()):
        together(upper, fsx.Forget(node.ino, 100))
    lower: Any = slow.below.server
    counts = {ino: node.nlookup for ino, node in lower._nodes.items()}
    assert counts[slow.below.walk(b"pipe")] == 1  # of the test itself, when it was made


@pytest.mark.parametrize("late", range(12))
def test_a_name_is_replaced_while_it_is_looked_up(late: int, slow: World) -> None:
    rename = fsx.Rename(slow.root, slow.root, 0, b"file\0link")
    moved, seen = together(slow.client.server, rename, fsx.Lookup(slow.root, b"link"), late=late)
    assert moved == fsx.RenameReply()
    assert stat.S_IFMT(seen.mode) in (stat.S_IFLNK, stat.S_IFREG)
    assert together(slow.client.server, fsx.Lookup(slow.root, b"link"))[0].size == len(slow.content)


@pytest.fixture
def places(slow: World) -> tuple[Any, int, int]:
    """The overlay, a directory from below and an empty one in it."""
    upper = slow.client.server
    directory = together(upper, fsx.Lookup(slow.root, b"dir"))[0].ino
    return upper, directory, together(upper, fsx.Lookup(directory, b"sub"))[0].ino


@pytest.mark.parametrize("late", range(12))
def test_a_directory_fills_while_it_is_removed(late: int, places: tuple[Any, int, int]) -> None:
    upper, directory, sub = places
    results = together(upper, fsx.Rmdir(directory, b"sub"), fsx.Mknod(sub, 0o600, 0, 0, 0, b"a"), late=late)
    if results[0] == fsx.RmdirReply():
        assert results[1] == errno.ENOENT
    else:
        assert results[0] == errno.ENOTEMPTY
        assert type(results[1]) is fsx.MknodReply


@pytest.mark.parametrize("late", range(16))
def test_a_victim_fills_while_it_is_replaced(late: int, places: tuple[Any, int, int]) -> None:
    upper, directory, sub = places
    together(upper, fsx.Mkdir(directory, 0o700, 0, 0, b"other"))
    rename = fsx.Rename(directory, directory, 0, b"other\0sub")
    results = together(upper, rename, fsx.Mknod(sub, 0o600, 0, 0, 0, b"a"), late=late)
    if results[0] == fsx.RenameReply():
        assert results[1] == errno.ENOENT
    else:
        assert results[0] == errno.ENOTEMPTY


@pytest.mark.parametrize("late", range(16))
def test_a_target_goes_while_something_moves_there(late: int, places: tuple[Any, int, int]) -> None:
    upper, directory, sub = places
    rename = fsx.Rename(directory, sub, 0, b"inner\0inner")
    results = together(upper, rename, fsx.Rmdir(directory, b"sub"), late=late)
    assert results in ([fsx.RenameReply(), errno.ENOTEMPTY], [errno.ENOENT, fsx.RmdirReply()])


def test_writers_of_one_page(slow: World) -> None:
    upper = slow.client.server
    ino = together(upper, fsx.Lookup(slow.root, b"file"))[0].ino
    handles = [each.handle for each in together(upper, fsx.Open(ino, 2), fsx.Open(ino, 2), fsx.Open(ino, 2))]
    results = together(
        upper,
        fs.Write(handles[0], 1, b"AA"),
        fs.Write(handles[1], 5, b"BB"),
        fsx.Setattr(ino, 8, 0, 0, 0, 100, 0, 0, 0),
        fs.Read(handles[2], 0, 10),
    )
    assert [type(result) for result in results[:2]] == [fs.WriteReply, fs.WriteReply]
    expected = bytearray(slow.content[:100])
    expected[1:3] = b"AA"
    expected[5:7] = b"BB"
    assert together(upper, fs.Read(handles[0], 0, 200))[0].data == expected
    together(upper, *[fs.Close(handle) for handle in handles])
    lower: Any = slow.below.server
    assert not lower._handles.get(1)


def test_owners_meet(slow: World) -> None:
    upper = slow.client.server
    link = together(upper, fsx.Lookup(slow.root, b"link"))[0].ino
    valid = int(fsx.SetattrValid.UID)
    together(
        upper,
        fsx.Setattr(link, valid, 0, 5, 0, 0, 0, 0, 0),
        fsx.Setattr(link, int(fsx.SetattrValid.GID), 0, 0, 6, 0, 0, 0, 0),
    )
    attr = together(upper, fsx.Getattr(link))[0]
    assert (attr.uid, attr.gid) == (5, 6)


def test_a_failing_open_below_leaves_the_inode_as_it_was(world: World) -> None:
    ino = world.client.walk(b"file")
    upper: Any = world.client.server
    lower: Any = world.below.server
    opens = lower.table[fsx.Open]

    async def refuse(src: int, message: Any) -> Any:
        raise RpcError(-1013)

    lower.table[fsx.Open] = refuse
    fails(errno.EACCES, world.client.open, ino)
    lower.table[fsx.Open] = opens
    assert upper._nodes[ino].opens == 0
    assert world.client.contents(ino) == world.content


def test_errors_below_are_passed_on(world: World) -> None:
    lower: Any = world.below.server

    async def broken(src: int, message: Any) -> Any:
        raise RpcError(-1005)

    lower.table[fsx.Lookup] = broken
    fails(errno.EIO, world.client.lookup, world.root, b"file")
    fails(errno.EIO, world.client.mknod, world.root, b"new")
    assert os.strerror(errno.EIO)
