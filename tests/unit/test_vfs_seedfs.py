"""A file server with nothing but the seed's messages, mounted: whole paths, no directories."""

from __future__ import annotations

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_ALREADY_EXISTS, ERR_NOT_FOUND
from linuxemu.kernel.server import Server, rpc
from linuxemu.messages import fs, fsx
from syscalls.abi.errno import EACCES, EEXIST, EIO, ENOENT, ENOTDIR, EOPNOTSUPP, EROFS
from syscalls.abi.flags import O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, S_IFIFO, S_IFREG
from syscalls.abi.structs import Stat
from syscalls.vfs.filesystem import errno_of
from syscalls.vfs.seedfs import SeedFs
from tests.syscalls.vfs_rig import In, Out, Rig

R, W, RW = O_RDONLY, O_WRONLY, O_RDWR


class Archive(Server):
    """Files by path, as tarfs of the seed has them; reads at most 8192 bytes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.files = {"/etc/motd": b"hello\n", "/big": bytes(range(256)) * 100}
        self.handles: dict[int, str] = {}

    @rpc(fs.Open)
    async def open(self, src: int, m: fs.Open) -> fs.OpenReply:
        self._content(m.path)
        self.handles[len(self.handles) + 1] = m.path
        return fs.OpenReply(len(self.handles))

    def _content(self, path: str) -> bytes:
        if path not in self.files:
            raise RpcError(ERR_NOT_FOUND)
        return self.files[path]

    @rpc(fs.Read)
    async def read(self, src: int, m: fs.Read) -> fs.ReadReply:
        assert m.len <= 8192
        return fs.ReadReply(self.files[self.handles[m.handle]][m.offset : m.offset + m.len])

    @rpc(fs.Stat)
    async def stat(self, src: int, m: fs.Stat) -> fs.StatReply:
        return fs.StatReply(len(self._content(m.path)))


class Disk(Archive):
    """The same with create and write, as fatfs of the seed has them."""

    @rpc(fs.Create)
    async def create(self, src: int, m: fs.Create) -> fs.CreateReply:
        if m.path in self.files:
            raise RpcError(ERR_ALREADY_EXISTS)
        self.files[m.path] = b""
        return fs.CreateReply((await self.open(src, fs.Open(m.path))).handle)

    @rpc(fs.Write)
    async def write(self, src: int, m: fs.Write) -> fs.WriteReply:
        path = self.handles[m.handle]
        old = self.files[path].ljust(m.offset, b"\0")
        self.files[path] = old[: m.offset] + m.data + old[m.offset + len(m.data) :]
        return fs.WriteReply()


def mounted(server: Archive) -> Rig:
    rig = Rig()
    rig.call("mkdir", b"/seed", 0o755)
    rig.call("mkdir", b"/other", 0o755)
    made = rig.file_system(server, "seedfs")
    assert isinstance(made, SeedFs)
    rig.run(rig.server.namespace.mount(made, rig.place(b"/seed")))
    return rig


def test_files_are_found_by_whole_path() -> None:
    rig = mounted(Archive())
    assert rig.call("open", b"/seed/etc/motd", R, 0) == 3
    assert rig.step("read", 3, Out(20), 20) == (6, [b"hello\n".ljust(20, b"\0")])
    assert rig.call("open", b"/seed/./etc//x/../motd", R, 0) == 4
    assert rig.call("stat", b"/seed/etc", Out(144)) == -ENOENT
    assert rig.call("stat", b"/seed/etc/motd/", Out(144)) == -ENOTDIR
    assert rig.call("stat", b"/seed/etc/../../other", Out(144)) == 0
    assert rig.place(b"/seed/..") == rig.root
    assert rig.place(b"/seed/x/..").inode.kind >> 12 == 4


def test_same_path_is_the_same_inode() -> None:
    rig = mounted(Archive())
    first, second = rig.place(b"/seed/big"), rig.place(b"/seed/big")
    assert first.inode is second.inode
    assert rig.place(b"/seed/etc/motd").inode.ino != first.inode.ino


def test_large_files_are_read_in_small_messages() -> None:
    rig = mounted(Archive())
    rig.call("open", b"/seed/big", R, 0)
    result, (data,) = rig.step("read", 3, Out(30000), 30000)
    assert data[:result] == bytes(range(256)) * 100
    assert Stat.unpack(rig.step("fstat", 3, Out(144))[1][0]).st_size == 25600
    assert rig.call("lseek", 3, 0, 2) == 25600
    assert rig.call("fsync", 3) == 0


def test_what_the_server_cannot_do_is_refused() -> None:
    rig = mounted(Archive())
    rig.call("open", b"/seed", R, 0)
    assert rig.call("getdents64", 3, Out(200), 200) == -EOPNOTSUPP
    for step in (
        ("open", b"/seed/new", O_CREAT | W, 0o644),
        ("mkdir", b"/seed/d", 0o755),
        ("symlink", b"x", b"/seed/l"),
        ("link", b"/seed/big", b"/seed/l"),
        ("unlink", b"/seed/big"),
        ("rename", b"/seed/big", b"/seed/b2"),
        ("mknod", b"/seed/p", S_IFIFO | 0o600, 0),
        ("chmod", b"/seed/big", 0o600),
        ("chmod", b"/seed", 0o700),
        ("truncate", b"/seed/big", 5),
    ):
        assert (step, rig.call(*step)) == (step, -EROFS)
    assert rig.call("rmdir", b"/seed/big") == -ENOTDIR
    assert rig.call("open", b"/seed/big", RW, 0) == 4
    assert rig.call("write", 4, b"x", 1) == -EOPNOTSUPP
    assert rig.call("statfs", b"/seed/big", Out(120)) == 0


def test_server_with_create_and_write() -> None:
    rig = mounted(Disk())
    assert rig.call("open", b"/seed/new", O_CREAT | O_EXCL | O_TRUNC | RW, 0o644) == 3
    assert rig.call("write", 3, In(b"abc" * 4000), 12000) == 12000
    assert rig.call("lseek", 3, 0, 2) == 12000
    assert rig.step("pread64", 3, Out(3), 3, 9000)[1] == [b"abc"]
    assert rig.call("open", b"/seed/new", O_CREAT | O_EXCL | W, 0o644) == -EEXIST
    assert rig.call("mknod", b"/seed/dir/file", S_IFREG | 0o600, 0) == 0
    assert rig.call("unlink", b"/seed/new") == -EROFS


def test_server_that_fails_otherwise_is_not_taken_for_a_seed_server() -> None:
    class Broken(Server):
        @rpc(fsx.Root)
        async def root(self, src: int, m: fsx.Root) -> fsx.RootReply:
            raise RpcError(-1005)

    with pytest.raises(RpcError):
        Rig().file_system(Broken())


def test_error_words_become_errno() -> None:
    assert errno_of(-1013) == EACCES
    assert errno_of(ERR_NOT_FOUND) == ENOENT
    assert errno_of(-4) == EIO
