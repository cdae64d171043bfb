"""Tar archives as read-only file systems."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from linuxemu.errors import BootError
from linuxemu.servers.fs.staticfs import StaticFs
from linuxemu.servers.fs.tarindex import read_tar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

_CHUNK = 1 << 20
_MAGICS = ((b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"))


class TarFs(StaticFs):
    """The file server of a tar archive, plain or compressed (gzip, xz, zstd, bzip2).

    A plain archive is read in place; a compressed one is unpacked into a file without a name first. Missing
    parent directories are made up, and of several members with one path the last counts. Extended attributes are those
    that `tar --xattrs` stores (SCHILY.xattr records of pax headers).

    Args:
        path: the archive.
        name: service name to register, see `FsServer`.
    Raises:
        BootError: the archive cannot be read, is none, is damaged or truncated, or a member's path has `..`
            in it.
    """

    def __init__(self, path: str, *, name: str = "fs") -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise BootError(f"{path}: cannot open the archive: {error.strerror}") from None
        try:
            kind = _compression(fd, path)
            if kind:
                packed = fd
                fd = _unpack(packed, kind, path)
                os.close(packed)
            tree = read_tar(fd, os.fstat(fd).st_size, path)
            nodes = tree.finish()
        except BaseException:
            os.close(fd)
            raise
        super().__init__(nodes, fd, name, xattrs=tree.xattrs)


def _compression(fd: int, path: str) -> str:
    try:
        start = os.pread(fd, 8, 0)
    except OSError as error:
        raise BootError(f"{path}: cannot read the archive: {error.strerror}") from None
    return next((kind for magic, kind in _MAGICS if start.startswith(magic)), "")


def _unpacked(file: BinaryIO, kind: str) -> Iterator[bytes]:
    """The archive's bytes, piece by piece."""
    if kind == "zstd":
        return _unpacked_zstd(file)
    if kind == "gzip":
        import gzip

        return _pieces(gzip.GzipFile(fileobj=file).read)
    if kind == "xz":
        import lzma

        return _pieces(lzma.LZMAFile(file).read)
    import bz2

    return _pieces(bz2.BZ2File(file).read)


def _pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := read(_CHUNK):
        yield piece


def _unpacked_zstd(file: BinaryIO) -> Iterator[bytes]:
    """As `_unpacked`; the library's own stream does not notice that its input ends too early."""
    import zstandard

    context = zstandard.ZstdDecompressor()
    frame = None
    data = b""
    while data := data or file.read(_CHUNK):
        frame = frame or context.decompressobj()
        yield frame.decompress(data)
        data = b""
        if frame.eof:
            data = frame.unused_data
            frame = None
    if frame is not None:
        raise EOFError("the last frame is not complete")


def _unpack(packed: int, kind: str, path: str) -> int:
    """Unpack an archive; returns the descriptor of the anonymous file that holds it."""
    fd = _anonymous_file()
    try:
        with open(packed, "rb", closefd=False) as file:
            for chunk in _unpacked(file, kind):
                view = memoryview(chunk)
                while view:
                    view = view[os.write(fd, view) :]
    except BaseException as error:
        os.close(fd)
        if not isinstance(error, _damage(kind)):
            raise
        if isinstance(error, OSError) and error.errno is not None:
            raise BootError(f"{path}: cannot unpack the archive: {error.strerror}") from None
        raise BootError(f"{path}: damaged or truncated {kind} archive: {error}") from None
    return fd


def _damage(kind: str) -> tuple[type[Exception], ...]:
    """The errors by which a decompressor says that its input is damaged."""
    if kind == "gzip":
        import zlib

        return EOFError, OSError, zlib.error
    if kind == "xz":
        import lzma

        return EOFError, OSError, lzma.LZMAError
    if kind == "zstd":
        import zstandard

        return EOFError, OSError, zstandard.ZstdError
    return EOFError, OSError


def _anonymous_file() -> int:
    """A file that is gone when it is closed."""
    unnamed = getattr(os, "O_TMPFILE", 0)
    if unnamed:
        try:
            return os.open(os.environ.get("TMPDIR", "/tmp"), os.O_RDWR | os.O_CLOEXEC | unnamed, 0o600)
        except OSError:
            pass  # not every file system can do it
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
