"""Extended attributes of the file servers: in memory, over a lower server, of the host, in archives (man 7 xattr)."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NOT_ACCEPTABLE, posix_error
from linuxemu.messages import fsx
from linuxemu.servers.fs import hostxattr
from linuxemu.servers.fs.hostfs import HostFs
from linuxemu.servers.fs.imagefs import ImageFs, write_image
from linuxemu.servers.fs.memfs import MemFs
from linuxemu.servers.fs.pages import PAGE
from linuxemu.servers.fs.tarfs import TarFs
from tests.unit.fs_client import Client, layered
from tests.unit.test_fs_memfs import Clock, fails
from tests.unit.test_fs_overlay import CHANGES, SlowPort, together

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CREATE, REPLACE = fsx.XattrFlag.CREATE, fsx.XattrFlag.REPLACE
CAPABILITY = b"security.capability"
ROOM = 40
"""What an attribute takes beside its name and its value."""


def small(inodes: int = 3) -> Client:
    """A file system with room for so many inodes, the root being one."""
    return Client(MemFs(max_inodes=inodes))


# in memory


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mem(clock: Clock) -> Client:
    return Client(MemFs(now_ns=clock, max_bytes=64 * PAGE))


def test_set_get_list_remove(mem: Client) -> None:
    ino = mem.create(b"f")
    assert mem.listxattr(ino) == []
    fails(errno.ENODATA, mem.getxattr, ino, b"user.a")
    for name, value in ((b"user.a", b"value"), (b"trusted.b", b""), (b"security.c", b"with\0nul"), (b"user.ab", b"x")):
        mem.setxattr(ino, name, value)
        assert mem.getxattr(ino, name) == value
    assert mem.listxattr(ino) == [b"user.ab", b"user.a", b"trusted.b", b"security.c"]
    mem.setxattr(ino, b"user.a", b"other")
    assert mem.getxattr(ino, b"user.a") == b"other"
    mem.removexattr(ino, b"user.a")
    assert mem.listxattr(ino) == [b"user.ab", b"trusted.b", b"security.c"]
    fails(errno.ENODATA, mem.removexattr, ino, b"user.a")


def test_every_kind_of_inode_has_them(mem: Client) -> None:
    inodes = [mem.root, mem.mkdir(mem.root, b"d"), mem.symlink(mem.root, b"l", b"to")]
    inodes.append(mem.mknod(mem.root, b"p", stat.S_IFIFO | 0o600))
    for ino in inodes:
        mem.setxattr(ino, b"trusted.a", b"%d" % ino)
    assert [mem.getxattr(ino, b"trusted.a") for ino in inodes] == [b"%d" % ino for ino in inodes]
    fails(errno.ESTALE, mem.getxattr, 99, b"user.a")
    fails(errno.ESTALE, mem.setxattr, 99, b"user.a")
    fails(errno.ESTALE, mem.listxattr, 99)
    fails(errno.ESTALE, mem.removexattr, 99, b"user.a")


def test_flags(mem: Client) -> None:
    ino = mem.create(b"f")
    fails(errno.ENODATA, mem.setxattr, ino, b"user.a", b"1", REPLACE)
    fails(errno.ENODATA, mem.setxattr, ino, b"user.a", b"1", CREATE | REPLACE)
    mem.setxattr(ino, b"user.a", b"2", CREATE)
    fails(errno.EEXIST, mem.setxattr, ino, b"user.a", b"3", CREATE)
    fails(errno.EEXIST, mem.setxattr, ino, b"user.a", b"3", CREATE | REPLACE)
    assert mem.getxattr(ino, b"user.a") == b"2"
    mem.setxattr(ino, b"user.a", b"4", REPLACE)
    assert mem.getxattr(ino, b"user.a") == b"4"
    fails(errno.EINVAL, mem.setxattr, ino, b"user.a", b"5", 4)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        (b"user.", errno.EINVAL),
        (b"trusted.", errno.EINVAL),
        (b"security.", errno.EINVAL),
        (b"user", errno.EOPNOTSUPP),
        (b"", errno.EOPNOTSUPP),
        (b"system.posix_acl_access", errno.EOPNOTSUPP),
        (b"user." + b"n" * 251, errno.ERANGE),
    ],
)
def test_names(mem: Client, name: bytes, number: int) -> None:
    ino = mem.create(b"f")
    fails(number, mem.setxattr, ino, name)
    fails(number, mem.getxattr, ino, name)
    fails(number, mem.removexattr, ino, name)


def test_requests_that_no_client_of_ours_makes(mem: Client) -> None:
    ino = mem.create(b"f")
    fails(errno.EINVAL, mem.call, fsx.Setxattr(ino, 0, b"user.a"))
    fails(errno.EINVAL, mem.call, fsx.Getxattr(ino, b"user.a\0b"))
    fails(errno.E2BIG, mem.setxattr, ino, b"user.a", bytes((1 << 16) + 1))
    mem.setxattr(ino, b"user." + b"n" * 250, bytes(1 << 16))
    assert len(mem.getxattr(ino, b"user." + b"n" * 250)) == 1 << 16


def test_the_change_time_moves(mem: Client, clock: Clock) -> None:
    ino = mem.create(b"f")
    before = mem.getattr(ino)
    clock.now += 5
    mem.listxattr(ino)
    fails(errno.ENODATA, mem.removexattr, ino, b"user.a")
    fails(errno.ENODATA, mem.setxattr, ino, b"user.a", b"", REPLACE)
    assert mem.getattr(ino) == before
    mem.setxattr(ino, b"user.a")
    changed = mem.getattr(ino)
    assert changed == fsx.GetattrReply(*before[:11], clock.now, before.version)
    clock.now += 5
    mem.removexattr(ino, b"user.a")
    assert mem.getattr(ino) == fsx.GetattrReply(*before[:11], clock.now, before.version)


def test_they_take_room_of_inodes() -> None:
    """As measured on the tmpfs of Linux 6.18, mounted with nr_inodes=3."""
    mem = small()
    ino = mem.create(b"f")
    assert mem.statfs().ffree == 1
    most = 1024 - ROOM - len(b"user.a")
    fails(errno.ENOSPC, mem.setxattr, ino, b"user.a", bytes(most + 1))
    mem.setxattr(ino, b"user.a", bytes(most))
    assert mem.statfs().ffree == 0
    fails(errno.ENOSPC, mem.setxattr, ino, b"user.a", b"new beside old")
    mem.removexattr(ino, b"user.a")
    assert mem.statfs().ffree == 1
    mem.setxattr(ino, b"user.a", b"x")
    fails(errno.ENOSPC, mem.create, b"g")
    fails(errno.ENODATA, mem.setxattr, ino, b"user.c", b"x", REPLACE)
    fails(errno.ENOSPC, mem.setxattr, ino, b"user.c", bytes(980), REPLACE)
    mem.unlink(mem.root, b"f")
    assert mem.statfs().ffree == 1  # still referenced
    mem.forget(ino)
    assert mem.statfs().ffree == 2


@pytest.mark.parametrize("change", ["write", "size", "uid", "gid", "fallocate"])
def test_capabilities_end_with_the_contents_or_the_owner(mem: Client, change: str) -> None:
    ino = mem.create(b"f", b"contents")
    directory = mem.mkdir(mem.root, b"d")
    for each in (ino, directory):
        mem.setxattr(each, CAPABILITY, b"cap")
        mem.setxattr(each, b"user.a")
    mem.setattr(ino, mode=0o755)
    assert mem.listxattr(ino) == [b"user.a", CAPABILITY]
    handle = mem.open(ino)
    free = mem.statfs().ffree
    if change == "write":
        mem.write(handle, 0, b"")
        assert CAPABILITY in mem.listxattr(ino)
        mem.write(handle, 0, b"c")
    elif change == "fallocate":
        mem.fallocate(handle, 0, 0, 1)
    else:
        mem.setattr(ino, **{change: 8})
    assert mem.listxattr(ino) == [b"user.a"]
    assert mem.statfs().ffree >= free
    mem.setattr(directory, uid=8)
    assert mem.listxattr(directory) == [b"user.a", CAPABILITY]


# over a lower server


class World:
    """An overlay over a memory file system with attributes."""

    def __init__(self, **options: Any) -> None:
        self.below = Client(MemFs(), src=5)
        self.file = self.below.create(b"file", b"contents")
        self.below.setxattr(self.file, b"user.a", b"below")
        self.below.setxattr(self.file, b"trusted.t", b"")
        self.below.setxattr(self.file, CAPABILITY, b"cap")
        self.below.symlink(self.below.root, b"link", b"file")
        self.client, self.port = layered(MemFs(lower=2, **options), self.below.server)
        self.ino = self.client.walk(b"file")

    def check(self) -> None:
        """Nothing was changed below."""
        assert not [message for _, message in self.port.log if type(message) in CHANGES]
        assert self.below.listxattr(self.file) == [b"user.a", b"trusted.t", CAPABILITY]
        assert self.below.getxattr(self.file, b"user.a") == b"below"


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_below_shows_through(world: World) -> None:
    assert world.client.listxattr(world.ino) == [b"user.a", b"trusted.t", CAPABILITY]
    assert world.client.getxattr(world.ino, b"user.a") == b"below"
    fails(errno.ENODATA, world.client.getxattr, world.ino, b"user.b")
    fails(errno.EINVAL, world.client.getxattr, world.ino, b"user.")
    world.client.setattr(world.ino, mode=0o600)
    assert world.client.getxattr(world.ino, b"user.a") == b"below"
    assert world.client.listxattr(world.client.walk(b"link")) == []
    world.check()


def test_changes_stay_above(world: World) -> None:
    client, ino = world.client, world.ino
    fails(errno.EEXIST, client.setxattr, ino, b"user.a", b"", CREATE)
    client.setxattr(ino, b"user.a", b"above")
    client.setxattr(ino, b"user.b", b"new")
    client.removexattr(ino, b"trusted.t")
    assert client.listxattr(ino) == [b"user.b", b"user.a", CAPABILITY]
    assert client.getxattr(ino, b"user.a") == b"above"
    fails(errno.ENODATA, client.getxattr, ino, b"trusted.t")
    assert client.getattr(ino).ctime_ns > world.below.getattr(world.file).ctime_ns
    assert client.contents(ino) == b"contents"
    client.rename(client.root, b"file", client.root, b"moved")
    assert client.listxattr(client.walk(b"moved")) == [b"user.b", b"user.a", CAPABILITY]
    world.check()


def test_removing_what_is_not_there(world: World) -> None:
    fails(errno.ENODATA, world.client.removexattr, world.ino, b"user.b")
    assert world.client.listxattr(world.ino) == [b"user.a", b"trusted.t", CAPABILITY]
    world.check()


@pytest.mark.parametrize("first", ["write", "setxattr"])
def test_capabilities_below_end_too(world: World, first: str) -> None:
    client, ino = world.client, world.ino
    if first == "setxattr":
        client.setxattr(ino, b"user.b")
        client.removexattr(ino, b"user.b")
    handle = client.open(ino)
    client.write(handle, 0, b"C")
    client.close(handle)
    fails(errno.ENODATA, client.getxattr, ino, CAPABILITY)
    assert client.listxattr(ino) == [b"user.a", b"trusted.t"]
    client.setxattr(ino, CAPABILITY, b"new")
    assert client.listxattr(ino) == [b"user.a", b"trusted.t", CAPABILITY]
    client.setattr(ino, size=0)
    assert client.listxattr(ino) == [b"user.a", b"trusted.t"]
    world.check()


def test_what_is_copied_takes_room() -> None:
    world = World(max_inodes=2)
    world.below.setxattr(world.file, b"user.big", bytes(1000))
    fails(errno.ENOSPC, world.client.setxattr, world.ino, b"user.b")
    assert len(world.client.getxattr(world.ino, b"user.big")) == 1000
    assert world.client.statfs().ffree == 1


def test_a_file_from_below_that_is_renamed_needs_no_room() -> None:
    world = World(max_inodes=2)
    world.client.setxattr(world.client.root, b"user.a", bytes(1024 - ROOM - len(b"user.a")))
    world.client.rename(world.client.root, b"file", world.client.root, b"moved")
    assert world.client.statfs().ffree == 0
    fails(errno.ENOSPC, world.client.setxattr, world.client.root, b"user.b")
    assert world.client.names(world.client.root) == [b"link", b"moved"]


def test_two_changes_at_once() -> None:
    world = World()
    SlowPort(1, world.port.servers)
    server, ino = world.client.server, world.ino
    changes = (fsx.Setxattr(ino, 0, b"user.b\0b"), fsx.Setxattr(ino, 0, b"user.c\0c"), fsx.Removexattr(ino, b"user.a"))
    assert None not in together(server, *changes)
    (reply,) = together(server, fsx.Listxattr(ino))
    assert reply.names == b"user.c\0user.b\0trusted.t\0security.capability\0"


def test_one_that_is_removed_below_meanwhile() -> None:
    world = World()
    SlowPort(1, world.port.servers)

    class Removes:
        """Between the list and the values, somebody else removes an attribute."""

        async def handle(self, src: int, m: Any) -> Any:
            reply = await world.below.server.handle(src, m)
            if isinstance(m, fsx.Listxattr):
                world.below.removexattr(world.file, b"trusted.t")
            return reply

    world.port.servers[2] = Removes()  # type: ignore[assignment]
    together(world.client.server, fsx.Setxattr(world.ino, 0, b"user.b\0b"))
    assert world.client.listxattr(world.ino) == [b"user.b", b"user.a", CAPABILITY]


class Ignorant:
    """A lower server that does not know the messages, or refuses them all."""

    def __init__(self, server: Any, code: int) -> None:
        self._server = server
        self._code = code

    async def handle(self, src: int, m: Any) -> Any:
        if isinstance(m, (fsx.Getxattr, fsx.Listxattr)):
            raise RpcError(self._code)
        return await self._server.handle(src, m)


@pytest.mark.parametrize("code", [ERR_NOT_ACCEPTABLE, posix_error(errno.EOPNOTSUPP)])
def test_a_lower_server_without_them(code: int) -> None:
    world = World()
    world.port.servers[2] = Ignorant(world.below.server, code)  # type: ignore[assignment]
    fails(errno.ENODATA, world.client.getxattr, world.ino, b"user.a")
    assert world.client.listxattr(world.ino) == []
    world.client.setxattr(world.ino, b"user.a", b"above")
    assert world.client.listxattr(world.ino) == [b"user.a"]
    world.port.servers[2] = world.below.server
    assert world.client.getxattr(world.ino, b"user.a") == b"above"


def test_errors_of_the_lower_server_pass() -> None:
    world = World()
    world.port.servers[2] = Ignorant(world.below.server, posix_error(errno.EIO))  # type: ignore[assignment]
    fails(errno.EIO, world.client.getxattr, world.ino, b"user.a")
    fails(errno.EIO, world.client.listxattr, world.ino)
    fails(errno.EIO, world.client.setxattr, world.ino, b"user.b")


# of the host


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_bytes(b"contents")
    (tmp_path / "link").symlink_to("file")
    try:
        os.setxattr(tmp_path / "file", "user.a", b"host")
    except OSError:
        pytest.skip("the file system of the host has no extended attributes of users")
    return tmp_path


@pytest.fixture
def host(tree: Path) -> Iterator[Client]:
    client = Client(HostFs(str(tree), writable=True))
    yield client
    client.server.stop()


@pytest.mark.parametrize("opened", [False, True])
def test_attributes_of_the_host(host: Client, tree: Path, opened: bool) -> None:
    ino = host.walk(b"file")
    if opened:
        host.open(ino, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    assert host.listxattr(ino) == [b"user.a"]
    assert host.getxattr(ino, b"user.a") == b"host"
    host.setxattr(ino, b"user.b", b"guest", CREATE)
    assert os.getxattr(tree / "file", "user.b") == b"guest"
    fails(errno.EEXIST, host.setxattr, ino, b"user.b", b"", CREATE)
    fails(errno.ENODATA, host.setxattr, ino, b"user.c", b"", REPLACE)
    fails(errno.ENODATA, host.getxattr, ino, b"user.c")
    fails(errno.EINVAL, host.setxattr, ino, b"user.")
    host.removexattr(ino, b"user.a")
    fails(errno.ENODATA, host.removexattr, ino, b"user.a")
    assert os.listxattr(tree / "file") == ["user.b"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_attributes_of_the_hosts_directories(host: Client, tree: Path) -> None:
    for ino, path in ((host.root, tree), (host.walk(b"dir"), tree / "dir")):
        host.setxattr(ino, b"user.a", b"dir")
        assert os.getxattr(path, "user.a") == b"dir"
        assert host.listxattr(ino) == [b"user.a"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files such attributes")
def test_other_classes_of_the_host_are_not_shown(host: Client, tree: Path) -> None:
    os.setxattr(tree / "file", "trusted.a", b"secret")
    os.setxattr(tree / "link", "trusted.a", b"secret", follow_symlinks=False)
    ino = host.walk(b"file")
    assert host.listxattr(ino) == [b"user.a"]
    for name in (b"trusted.a", b"security.a", CAPABILITY, b"system.posix_acl_access"):
        fails(errno.EOPNOTSUPP, host.getxattr, ino, name)
        fails(errno.EOPNOTSUPP, host.setxattr, ino, name)
        fails(errno.EOPNOTSUPP, host.removexattr, ino, name)
    fails(errno.EOPNOTSUPP, host.listxattr, host.walk(b"link"))
    fails(errno.EOPNOTSUPP, host.getxattr, host.walk(b"link"), b"user.a")


def test_the_host_read_only(tree: Path) -> None:
    client = Client(HostFs(str(tree)))
    ino = client.walk(b"file")
    assert client.getxattr(ino, b"user.a") == b"host"
    fails(errno.EROFS, client.setxattr, ino, b"user.b")
    fails(errno.EROFS, client.removexattr, ino, b"user.a")
    client.server.stop()


def test_a_name_that_is_swapped_leads_nowhere(host: Client, tree: Path) -> None:
    ino = host.walk(b"file")
    (tree / "file").unlink()
    (tree / "file").symlink_to("/etc/passwd")
    fails(errno.ESTALE, host.getxattr, ino, b"user.a")
    fails(errno.ESTALE, host.setxattr, ino, b"user.a")
    fails(errno.ESTALE, host.listxattr, ino)


def test_an_unlinked_file_that_is_open(host: Client) -> None:
    ino = host.walk(b"file")
    host.open(ino)
    host.unlink(host.root, b"file")
    host.setxattr(ino, b"user.b", b"b")
    assert sorted(host.listxattr(ino)) == [b"user.a", b"user.b"]


def test_a_host_without_them(host: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostxattr, "_SUPPORTED", False)
    fails(errno.EOPNOTSUPP, host.getxattr, host.walk(b"file"), b"user.a")
    fails(errno.EOPNOTSUPP, host.listxattr, host.walk(b"file"))


def test_the_host_below_an_overlay(tree: Path) -> None:
    server = HostFs(str(tree))
    client, _ = layered(MemFs(lower=2), server)
    ino = client.walk(b"file")
    assert client.getxattr(ino, b"user.a") == b"host"
    fails(errno.ENODATA, client.getxattr, ino, b"trusted.a")
    client.setxattr(ino, b"trusted.a", b"guest")
    client.setxattr(ino, b"user.a", b"guest")
    assert client.listxattr(ino) == [b"user.a", b"trusted.a"]
    assert client.listxattr(client.walk(b"link")) == []
    client.setxattr(client.walk(b"link"), b"trusted.a", b"guest")
    assert os.listxattr(tree / "file") == ["user.a"]
    assert os.getxattr(tree / "file", "user.a") == b"host"
    server.stop()


# in archives and images


def archive(path: Path, *members: tuple[str, bytes, dict[str, str]]) -> Client:
    """An archive of files, links and directories with the records of their pax headers."""
    with tarfile.TarFile(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, records in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = "to" if kind != tarfile.REGTYPE else ""
            info.pax_headers = records
            tar.addfile(info)
    return Client(TarFs(str(path)))


def test_attributes_in_an_archive(tmp_path: Path) -> None:
    records = {
        "SCHILY.xattr.user.a": "value\nwith newline",
        "SCHILY.xattr.user.100%25%3D": "",
        "SCHILY.xattr.security.capability": "\x01\0\x02",
        "SCHILY.xattr.system.posix_acl_access": "never",
        "SCHILY.xattr.user.": "never",
        "SCHILY.xattr.user." + "n" * 251: "never",
        "SCHILY.xattr.user.long": "x" * 65537,
        "SCHILY.acl.access": "never",
    }
    tar = archive(
        tmp_path / "a.tar",
        ("to", tarfile.REGTYPE, records),
        ("plain", tarfile.REGTYPE, {}),
        ("dir", tarfile.DIRTYPE, {"SCHILY.xattr.trusted.d": "old"}),
        ("dir", tarfile.DIRTYPE, {"SCHILY.xattr.trusted.d": "new"}),
        ("link", tarfile.SYMTYPE, {"SCHILY.xattr.trusted.l": "link"}),
        ("hard", tarfile.LNKTYPE, {}),
    )
    for name in (b"to", b"hard"):
        ino = tar.walk(name)
        assert sorted(tar.listxattr(ino)) == [CAPABILITY, b"user.100%=", b"user.a"]
        assert tar.getxattr(ino, b"user.a") == b"value\nwith newline"
        assert tar.getxattr(ino, b"user.100%=") == b""
        assert tar.getxattr(ino, CAPABILITY) == b"\x01\0\x02"
    assert tar.listxattr(tar.walk(b"plain")) == []
    assert tar.getxattr(tar.walk(b"dir"), b"trusted.d") == b"new"
    assert tar.getxattr(tar.walk(b"link"), b"trusted.l") == b"link"
    fails(errno.ENODATA, tar.getxattr, ino, b"user.b")
    fails(errno.EINVAL, tar.getxattr, ino, b"user.")
    fails(errno.EOPNOTSUPP, tar.getxattr, ino, b"system.posix_acl_access")
    fails(errno.EROFS, tar.setxattr, ino, b"user.a")
    fails(errno.EROFS, tar.removexattr, ino, b"user.a")
    fails(errno.ESTALE, tar.listxattr, 99)
    fails(errno.ESTALE, tar.getxattr, 99, b"user.a")
    tar.server = tar.server.successor()  # type: ignore[attr-defined]
    assert tar.getxattr(ino, b"user.a") == b"value\nwith newline"
    client, _ = layered(MemFs(lower=2), tar.server)
    assert client.listxattr(client.walk(b"to")) == [b"user.a", b"user.100%=", CAPABILITY]
    tar.server.stop()


def test_images_have_none(tmp_path: Path) -> None:
    write_image(str(tmp_path), [(b"f", 0o100644, 0, 0, 0, 0, b"contents")])
    image = Client(ImageFs(str(tmp_path)))
    assert image.listxattr(image.walk(b"f")) == []
    fails(errno.ENODATA, image.getxattr, image.walk(b"f"), b"user.a")
    image.server.stop()
