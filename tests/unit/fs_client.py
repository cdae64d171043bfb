"""Drives file servers without a kernel: a port that calls other servers, a client that packs all messages."""

from __future__ import annotations

import os
import stat
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from linuxemu.errors import RpcError
from linuxemu.idl.codes import posix_errno
from linuxemu.messages import fs, fsx
from tests.helpers import run

if TYPE_CHECKING:
    from linuxemu.kernel import Server
    from linuxemu.messages import Message

CLIENT = 77


def through_the_wire(message: Message) -> Message:
    """The message as it arrives in another process."""
    again = type(message).unpack(message.pack(1, 0x1000), message.ool())
    assert again == message
    return again


class FakePort:
    """The port of a server in a world of servers; records what is asked of each."""

    root = 0  # nobody starts servers again

    def __init__(self, task: int, servers: dict[int, Server]) -> None:
        self.task = task
        self.servers = servers
        self.log: list[tuple[int, Message]] = []
        servers[task].port = self  # type: ignore[assignment]

    async def call(self, dst: int, message: Message) -> Any:
        self.log.append((dst, message))
        reply = await self.servers[dst].handle(self.task, through_the_wire(message))
        return through_the_wire(reply)

    def post(self, dst: int, message: Message) -> None:
        self.log.append((dst, message))
        assert run(self.servers[dst].handle(self.task, through_the_wire(message))) is None

    def asked(self, kind: type[Message]) -> list[Message]:
        return [message for _, message in self.log if type(message) is kind]


class Entry(NamedTuple):
    ino: int
    cookie: int
    type: int
    name: bytes


def unpack_entries(records: bytes) -> list[Entry]:
    found = []
    position = 0
    while position < len(records):
        ino, cookie, kind, length = struct.unpack_from("<QQBH", records, position)
        position += 19 + length
        found.append(Entry(ino, cookie, kind, records[position - length : position]))
    return found


class Client:
    """Calls a file server; what a handler raises becomes OSError with the Linux number, or stays RpcError."""

    def __init__(self, server: Server, src: int = CLIENT) -> None:
        self.server = server
        self.src = src

    def call(self, message: Message) -> Any:
        try:
            reply = run(self.server.handle(self.src, through_the_wire(message)))
        except RpcError as error:
            number = posix_errno(error.code)
            if number is None:
                raise
            raise OSError(number, os.strerror(number)) from None
        return None if reply is None else through_the_wire(reply)

    # -- by inode number

    @property
    def root(self) -> int:
        return int(self.call(fsx.Root()).ino)

    def lookup(self, parent: int, name: bytes) -> fsx.LookupReply:
        reply: fsx.LookupReply = self.call(fsx.Lookup(parent, name))
        return reply

    def forget(self, ino: int, count: int = 1) -> None:
        self.call(fsx.Forget(ino, count))

    def getattr(self, ino: int) -> fsx.GetattrReply:
        reply: fsx.GetattrReply = self.call(fsx.Getattr(ino))
        return reply

    def setattr(self, ino: int, **values: int) -> fsx.SetattrReply:
        names = ("mode", "uid", "gid", "size", "atime_ns", "mtime_ns", "ctime_ns")
        valid = sum(1 << names.index(name) for name in values)
        reply: fsx.SetattrReply = self.call(fsx.Setattr(ino, valid, *(values.get(name, 0) for name in names)))
        return reply

    def readlink(self, ino: int) -> bytes:
        target: bytes = self.call(fsx.Readlink(ino)).target
        return target

    def mknod(self, parent: int, name: bytes, mode: int = stat.S_IFREG | 0o644, rdev: int = 0) -> int:
        return int(self.call(fsx.Mknod(parent, mode, rdev, os.getuid(), os.getgid(), name)).ino)

    def mkdir(self, parent: int, name: bytes, mode: int = 0o755) -> int:
        return int(self.call(fsx.Mkdir(parent, mode, os.getuid(), os.getgid(), name)).ino)

    def symlink(self, parent: int, name: bytes, target: bytes) -> int:
        return int(self.call(fsx.Symlink(parent, os.getuid(), os.getgid(), name + b"\0" + target)).ino)

    def link(self, ino: int, parent: int, name: bytes) -> fsx.LinkReply:
        reply: fsx.LinkReply = self.call(fsx.Link(ino, parent, name))
        return reply

    def unlink(self, parent: int, name: bytes) -> None:
        self.call(fsx.Unlink(parent, name))

    def rmdir(self, parent: int, name: bytes) -> None:
        self.call(fsx.Rmdir(parent, name))

    def rename(self, parent: int, old: bytes, newparent: int, new: bytes, flags: int = 0) -> None:
        self.call(fsx.Rename(parent, newparent, flags, old + b"\0" + new))

    def open(self, ino: int, flags: int = os.O_RDWR) -> int:
        return int(self.call(fsx.Open(ino, flags)).handle)

    def close(self, handle: int) -> None:
        self.call(fs.Close(handle))

    def read(self, handle: int, offset: int, length: int) -> bytes:
        data: bytes = self.call(fs.Read(handle, offset, length)).data
        return data

    def write(self, handle: int, offset: int, data: bytes) -> None:
        self.call(fs.Write(handle, offset, data))

    def readdir(self, handle: int, cookie: int = 0, length: int = 4096) -> list[Entry]:
        return unpack_entries(self.call(fsx.Readdir(handle, cookie, length)).entries)

    def fallocate(self, handle: int, mode: int, offset: int, length: int) -> None:
        self.call(fsx.Fallocate(handle, mode, offset, length))

    def statfs(self) -> fsx.StatfsReply:
        reply: fsx.StatfsReply = self.call(fsx.Statfs())
        return reply

    def getxattr(self, ino: int, name: bytes) -> bytes:
        value: bytes = self.call(fsx.Getxattr(ino, name)).value
        return value

    def setxattr(self, ino: int, name: bytes, value: bytes = b"", flags: int = 0) -> None:
        self.call(fsx.Setxattr(ino, flags, name + b"\0" + value))

    def listxattr(self, ino: int) -> list[bytes]:
        names: bytes = self.call(fsx.Listxattr(ino)).names
        assert names[-1:] in (b"", b"\0")
        return names.split(b"\0")[:-1]

    def removexattr(self, ino: int, name: bytes) -> None:
        self.call(fsx.Removexattr(ino, name))

    # -- conveniences

    def walk(self, path: bytes) -> int:
        """The inode at a path without links; every directory on the way stays referenced."""
        ino = self.root
        for name in path.split(b"/"):
            if name:
                ino = self.lookup(ino, name).ino
        return ino

    def place(self, path: bytes) -> tuple[int, bytes]:
        """Directory and last name of a path, as a walk finds them."""
        directory, _, name = path.rpartition(b"/")
        parent = self.walk(directory)
        if not stat.S_ISDIR(self.getattr(parent).mode):
            raise NotADirectoryError(20, "not a directory")
        return parent, name

    def list(self, ino: int, length: int = 4096) -> list[Entry]:
        handle = self.open(ino, os.O_RDONLY)
        try:
            found: list[Entry] = []
            while batch := self.readdir(handle, found[-1].cookie if found else 0, length):
                found += batch
            return found
        finally:
            self.close(handle)

    def names(self, ino: int) -> list[bytes]:
        return sorted(entry.name for entry in self.list(ino))

    def contents(self, ino: int, piece: int = 1 << 16) -> bytes:
        handle = self.open(ino, os.O_RDONLY)
        try:
            found = bytearray()
            while data := self.read(handle, len(found), piece):
                found += data
            return bytes(found)
        finally:
            self.close(handle)

    def create(self, path: bytes, data: bytes = b"", mode: int = 0o644) -> int:
        """A new file, with one reference."""
        parent, name = self.place(path)
        ino = self.mknod(parent, name, stat.S_IFREG | mode)
        if data:
            handle = self.open(ino)
            self.write(handle, 0, data)
            self.close(handle)
        return ino


def layered(upper: Server, lower: Server) -> tuple[Client, FakePort]:
    """A client of `upper`, which was made with lower=2, over `lower`; and the port of `upper`."""
    servers: dict[int, Server] = {1: upper, 2: lower}
    FakePort(2, servers)
    return Client(upper), FakePort(1, servers)
