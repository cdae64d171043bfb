"""Target `tar`: damaged archives, opened as a root file system and read from end to end."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linuxemu.errors import BootError, RpcError
from tools.fuzzing.driving import drive
from tools.fuzzing.mutate import decoded, encoded, mutated, shorter
from tools.fuzzing.target import Case, Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from linuxemu.kernel import Server

_BLOCK = 512
_CLIENT = 77
_MOST_NODES = 200
_CHUNK = 4096


class Archives(Target):
    """Damaged tar archives."""

    name = "tar"
    limit_s = 20.0

    def open(self) -> None:
        """Write the archives that are damaged."""
        plain = [_archive(form) for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
        plain.append(_sparse())
        self._plain = plain
        self._packed = [_gzip(plain[0]), lzma.compress(plain[1]), _zstandard(plain[2]), _bzip2(plain[0])]
        self._folder = tempfile.TemporaryDirectory(prefix="linuxemu-fuzz-")

    def close(self) -> None:
        """Remove the file."""
        self._folder.cleanup()

    def cases(self, random: Random, count: int) -> Iterator[Case]:
        """Archives, most of them with correct checksums."""
        for _ in range(count):
            if random.random() < 0.1:
                data = mutated(random, random.choice(self._packed), self._packed)
            else:
                data = bytes(mutated(random, random.choice(self._plain), self._plain))
                data = _checked(data) if random.random() < 0.8 else data
            if random.random() < 0.1:
                data = _gzip(data)
            yield {"data": encoded(data)}

    def run(self, case: Case) -> int:
        """Open one, and if it opens look at all there is."""
        from rootfs.source import open_root

        path = Path(self._folder.name) / "root.tar"
        path.write_bytes(decoded(case["data"]))
        try:
            server = open_root(str(path))
        except BootError as error:
            str(error).encode("utf-8", "surrogateescape")
            return 1
        try:
            _look(server)
        finally:
            server.stop()
        return 1

    def smaller(self, case: Case) -> Iterator[Case]:
        """Less of the file."""
        yield from shorter(case)


def _look(server: Server) -> None:
    """Walk through the whole tree and read what can be read."""
    from linuxemu.messages import fs, fsx

    def ask(message: Any) -> Any:
        try:
            reply = drive(server.handle(_CLIENT, message))
        except RpcError:
            return None
        if reply is not None:
            reply.pack()
        return reply

    waiting = [ask(fsx.Root()).ino]
    seen = 0
    while waiting and seen < _MOST_NODES:
        node = waiting.pop()
        seen += 1
        ask(fsx.Getattr(node))
        ask(fsx.Readlink(node))
        opened = ask(fsx.Open(node, os.O_RDONLY))
        if opened is None:
            continue
        for offset in (0, _CHUNK - 1, 1 << 40, (1 << 63) - 1):
            ask(fs.Read(opened.handle, offset & 0x7FFF_FFFF, _CHUNK))
        listed = ask(fsx.Readdir(opened.handle, 0, 1 << 16))
        for name in _names(listed.entries) if listed is not None else ():
            found = ask(fsx.Lookup(node, name))
            if found is not None and name not in (b".", b".."):
                waiting.append(found.ino)
        ask(fs.Close(opened.handle))


def _names(entries: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(entries):
        length = int.from_bytes(entries[position + 17 : position + 19], "little")
        position += 19 + length
        yield entries[position - length : position]


def _member(name: str, kind: bytes = tarfile.REGTYPE, **values: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mtime = 1_700_000_000
    for key, value in values.items():
        setattr(info, key, value)
    return info


def _archive(form: int) -> bytes:
    """Members of every kind that a format has."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        archive.addfile(_member("dir", tarfile.DIRTYPE, mode=0o755))
        archive.addfile(_member("dir/file", size=700), io.BytesIO(b"x" * 700))
        archive.addfile(_member("dir/hard", tarfile.LNKTYPE, linkname="dir/file"))
        archive.addfile(_member("soft", tarfile.SYMTYPE, linkname="dir/../dir/file"))
        archive.addfile(_member("null", tarfile.CHRTYPE, devmajor=1, devminor=3, uid=1000))
        archive.addfile(_member("block", tarfile.BLKTYPE, devmajor=8, devminor=1))
        archive.addfile(_member("fifo", tarfile.FIFOTYPE, mode=0o622))
        if form != tarfile.USTAR_FORMAT:
            archive.addfile(_member("d" * 120 + "/" + "n" * 130, size=3, mtime=1.5), io.BytesIO(b"abc"))
            archive.addfile(_member("long", tarfile.SYMTYPE, linkname="t" * 150))
            archive.addfile(_member("big", size=9, uid=1 << 22), io.BytesIO(b"something"))
        archive.addfile(_member("dir/file", size=5), io.BytesIO(b"again"))
    return out.getvalue()[: out.tell()]


def _sparse() -> bytes:
    """Sparse files of the old GNU kind and of pax."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": "9000"}
        data = b"2\n512\n4\n8192\n4\n".ljust(_BLOCK, b"\0") + b"onetwofo"
        archive.addfile(_member("x/GNUSparseFile.0/s", size=len(data), pax_headers=pax), io.BytesIO(data))
        pax = {"GNU.sparse.map": "0,4,8192,4", "GNU.sparse.size": "9000", "GNU.sparse.name": "t"}
        archive.addfile(_member("t", size=8, pax_headers=pax), io.BytesIO(b"onetwofo"))
    header = bytearray(_member("old", b"S", size=8).tobuf(tarfile.GNU_FORMAT))
    header[386:482] = b"".join(b"%011o\0%011o\0" % pair for pair in ((512, 4), (4096, 4), (0, 0), (0, 0)))
    header[483:495] = b"%011o\0" % 9000
    return _checked(bytes(header)) + b"onetwofo".ljust(_BLOCK, b"\0") + out.getvalue()


def _checked(data: bytes) -> bytes:
    """The archive with right checksums where headers seem to be."""
    fixed = bytearray(data)
    for at in range(0, len(fixed) - _BLOCK + 1, _BLOCK):
        if fixed[at + 257 : at + 262] == b"ustar" or at == 0:
            fixed[at + 148 : at + 156] = b" " * 8
            fixed[at + 148 : at + 156] = b"%06o\0 " % sum(fixed[at : at + _BLOCK])
    return bytes(fixed)


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _bzip2(data: bytes) -> bytes:
    import bz2

    return bz2.compress(data)


def _zstandard(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(data)
