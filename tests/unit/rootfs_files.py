"""Files that pass for a BusyBox."""

from __future__ import annotations

from linuxemu.messages import fs, fsx
from linuxemu.servers.fs.imagefs import ImageFs
from rootfs.source import open_root
from tests.helpers import run
from tests.unit.loader_files import EXIT, elf, load

PLACES = ("", "bin", "sbin", "usr/bin", "usr/sbin")
APPLETS = [
    "usr/bin/[",
    "bin/ash",
    "usr/bin/awk",
    "bin/cat",
    "usr/sbin/chroot",
    "bin/echo",
    "sbin/init",
    "linuxrc",
    "bin/ls",
    "usr/bin/newcomer",
    "bin/sh",
]


def names_table(applets: list[str]) -> bytes:
    return b"".join(path.rpartition("/")[2].encode() + b"\0" for path in applets)


def places_table(applets: list[str]) -> bytes:
    numbers = [PLACES.index(path.rpartition("/")[0]) for path in applets]
    numbers += [0] * (len(numbers) % 2)
    return bytes(low | high << 4 for low, high in zip(numbers[::2], numbers[1::2], strict=True))


def fake_busybox(applets: list[str] | None = None, code: bytes = EXIT, *tables: bytes) -> bytes:
    """A static program with the tables of a BusyBox; it exits at once."""
    applets = APPLETS if applets is None else applets
    pieces = b"usage\0%s\0" % names_table(applets) + b"\xff".join((b"", places_table(applets), *tables, b""))
    return elf(load(), code=code, data={0x2000: pieces}, length=0x2000 + len(pieces))


class Reader:
    """Reads a root as a client of its server does."""

    def __init__(self, path: str) -> None:
        self.server = open_root(path)
        assert isinstance(self.server, ImageFs)

    def attr(self, path: str) -> fsx.LookupReply | fsx.RootReply:
        found = run(self.server.handle(1, fsx.Root()))
        for name in path.split("/"):
            found = run(self.server.handle(1, fsx.Lookup(found.ino, name.encode()))) if name else found
        assert isinstance(found, fsx.LookupReply | fsx.RootReply)
        return found

    def target(self, path: str) -> bytes:
        return bytes(run(self.server.handle(1, fsx.Readlink(self.attr(path).ino))).target)

    def content(self, path: str) -> bytes:
        handle = run(self.server.handle(1, fsx.Open(self.attr(path).ino, 0))).handle
        return bytes(run(self.server.handle(1, fs.Read(handle, 0, 1 << 24))).data)

    def close(self) -> None:
        self.server.stop()
