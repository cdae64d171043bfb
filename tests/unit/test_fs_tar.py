"""Archives and images as file systems."""

from __future__ import annotations

import errno
import gzip
import io
import lzma
import os
import random
import shutil
import stat
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from linuxemu.errors import BootError
from linuxemu.messages import fsx
from linuxemu.servers.fs import tarfs as tarfs_module
from linuxemu.servers.fs.base import make_device
from linuxemu.servers.fs.imagefs import HardLink, ImageEntry, ImageFs, write_image
from linuxemu.servers.fs.staticfs import SQUASHFS_MAGIC
from linuxemu.servers.fs.tarfs import TarFs
from tests.unit.fs_client import Client
from tests.unit.test_fs_memfs import fails

if TYPE_CHECKING:
    from pathlib import Path

LONG = b"d" * 120 + b"/" + b"n" * 200
NOW = 1_700_000_000


def member(name: bytes, kind: bytes = tarfile.REGTYPE, **values: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(os.fsdecode(name))
    info.type = kind
    info.mtime = NOW
    for key, value in values.items():
        setattr(info, key, value)
    return info


class Archive:
    """An archive in the making."""

    def __init__(self, path: Path, form: int = tarfile.GNU_FORMAT) -> None:
        self.path = path
        self.tar = tarfile.TarFile(path, "w", format=form)

    def add(self, name: bytes, data: bytes = b"", kind: bytes = tarfile.REGTYPE, **values: Any) -> Archive:
        info = member(name, kind, **values)
        info.size = len(data)
        self.tar.addfile(info, io.BytesIO(data))
        return self

    def served(self) -> Client:
        self.tar.close()
        return Client(TarFs(str(self.path)))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "root.tar")


def open_error(path: Path) -> str:
    with pytest.raises(BootError) as caught:
        TarFs(str(path))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


# members


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_every_kind_of_member(form: int, tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.tar", form)
    archive.add(b"dir", kind=tarfile.DIRTYPE, mode=0o1750, uid=3, gid=4)
    archive.add(b"dir/file", b"contents", mode=0o4711, uid=1000, gid=2000)
    archive.add(b"dir/link", kind=tarfile.SYMTYPE, linkname="../over/there")
    archive.add(b"hard", kind=tarfile.LNKTYPE, linkname="dir/file")
    archive.add(b"null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)
    archive.add(b"disk", kind=tarfile.BLKTYPE, devmajor=259, devminor=300, mode=0o600)
    archive.add(b"pipe", kind=tarfile.FIFOTYPE, mode=0o600)
    client = archive.served()
    file = client.lookup(client.walk(b"dir"), b"file")
    assert tuple(file)[1:] == (
        stat.S_IFREG | 0o4711, 2, 1000, 2000, 0, 8, 1, 4096, *[NOW * 10**9] * 3, 1,
    )  # fmt: skip
    assert client.walk(b"hard") == file.ino
    assert client.contents(file.ino) == b"contents"
    directory = client.getattr(client.walk(b"dir"))
    assert directory[1:7] == (stat.S_IFDIR | 0o1750, 2, 3, 4, 0, 80)
    assert client.readlink(client.walk(b"dir/link")) == b"../over/there"
    assert client.getattr(client.walk(b"null"))[1:6] == (stat.S_IFCHR | 0o666, 1, 0, 0, os.makedev(1, 3))
    assert client.getattr(client.walk(b"disk")).rdev == os.makedev(259, 300) == make_device(259, 300)
    assert stat.S_ISFIFO(client.getattr(client.walk(b"pipe")).mode)
    assert client.names(client.root) == [b"dir", b"disk", b"hard", b"null", b"pipe"]
    types = {entry.name: entry.type for entry in client.list(client.root)}
    assert types == {b"dir": 4, b"disk": 6, b"hard": 8, b"null": 2, b"pipe": 1}
    assert client.getattr(client.root).nlink == 3


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_large_numbers(form: int, tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.tar", form)
    archive.add(LONG, b"x", uid=5_000_000, gid=1 << 30)
    archive.add(b"s", kind=tarfile.SYMTYPE, linkname=os.fsdecode(b"t" * 300))
    archive.add(b"h", kind=tarfile.LNKTYPE, linkname=os.fsdecode(LONG))
    archive.add("ümlaut".encode(), b"y", mtime=-5)
    client = archive.served()
    attr = client.getattr(client.walk(LONG))
    assert (attr.uid, attr.gid, attr.nlink) == (5_000_000, 1 << 30, 2)
    assert client.readlink(client.walk(b"s")) == b"t" * 300
    assert client.getattr(client.walk("ümlaut".encode())).mtime_ns == -5 * 10**9


def test_ustar_prefix(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.tar", tarfile.USTAR_FORMAT)
    archive.add(b"d" * 100 + b"/" + b"n" * 90, b"x")
    client = archive.served()
    assert client.contents(client.walk(b"d" * 100 + b"/" + b"n" * 90)) == b"x"


def test_pax_headers(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.tar", tarfile.PAX_FORMAT)
    archive.tar.close()
    archive.tar = tarfile.TarFile(
        archive.path, "w", format=tarfile.PAX_FORMAT, pax_headers={"uid": "77", "gid": ""}
    )
    archive.add(b"a", b"x", pax_headers={"mtime": "1234.000000567"})
    archive.add(b"b", b"x", pax_headers={"mtime": "-1.5", "uid": "8"})
    archive.add(b"c", b"xyz", pax_headers={"mtime": "12", "size": "3"})
    client = archive.served()
    assert client.getattr(client.walk(b"a")).mtime_ns == 1234 * 10**9 + 567
    assert client.getattr(client.walk(b"a")).uid == 77
    assert client.getattr(client.walk(b"b")).mtime_ns == -1_500_000_000
    assert client.getattr(client.walk(b"b")).uid == 8
    assert client.getattr(client.walk(b"c")).mtime_ns == 12 * 10**9


def test_paths_are_made_the_same(archive: Archive) -> None:
    archive.add(b"./", kind=tarfile.DIRTYPE, mode=0o711, uid=9)
    archive.add(b"./a/b", b"1").add(b"/c//d/", kind=tarfile.DIRTYPE).add(b"e/./f", b"2")
    client = archive.served()
    assert client.names(client.root) == [b"a", b"c", b"e"]
    assert client.getattr(client.root)[1:4] == (stat.S_IFDIR | 0o711, 5, 9)
    made_up = client.getattr(client.walk(b"a"))
    assert made_up[1:5] == (stat.S_IFDIR | 0o755, 2, 0, 0)
    assert client.contents(client.walk(b"e/f")) == b"2"
    assert stat.S_ISDIR(client.getattr(client.walk(b"c/d")).mode)


def test_the_last_member_of_a_path_counts(archive: Archive) -> None:
    archive.add(b"f", b"old").add(b"g", kind=tarfile.LNKTYPE, linkname="f").add(b"f", b"new one")
    archive.add(b"d/x", b"1").add(b"d", kind=tarfile.DIRTYPE, mode=0o700)
    archive.add(b"e/x", b"1").add(b"e", b"now a file")
    archive.add(b"h", b"file").add(b"h/below", b"2")
    client = archive.served()
    assert client.contents(client.walk(b"f")) == b"new one"
    assert client.contents(client.walk(b"g")) == b"old"
    assert client.getattr(client.walk(b"g")).nlink == 1
    assert client.getattr(client.walk(b"d")).mode == stat.S_IFDIR | 0o700
    assert client.contents(client.walk(b"d/x")) == b"1"
    assert client.contents(client.walk(b"e")) == b"now a file"
    assert client.contents(client.walk(b"h/below")) == b"2"


def test_paths_lead_through_links_in_the_archive(archive: Archive) -> None:
    archive.add(b"usr/lib/x", b"1")
    archive.add(b"lib", kind=tarfile.SYMTYPE, linkname="./usr/lib").add(b"lib/y", b"2")
    archive.add(b"abs", kind=tarfile.SYMTYPE, linkname="/usr/../../usr/lib").add(b"abs/z", b"3")
    archive.add(b"lib", kind=tarfile.SYMTYPE, linkname="other").add(b"lib/w", b"4")
    client = archive.served()
    assert client.names(client.walk(b"usr/lib")) == [b"x", b"y", b"z"]
    assert client.names(client.walk(b"other")) == [b"w"]


def test_old_headers_mark_directories_by_a_slash(archive: Archive) -> None:
    archive.add(b"d", kind=tarfile.AREGTYPE)
    archive.add(b"f", b"x", kind=tarfile.CONTTYPE)
    archive.tar.close()
    data = bytearray(archive.path.read_bytes())
    data[:2] = b"d/"
    fix_checksum(data, 0)
    archive.path.write_bytes(data)
    client = Client(TarFs(str(archive.path)))
    assert stat.S_ISDIR(client.getattr(client.walk(b"d")).mode)
    assert client.contents(client.walk(b"f")) == b"x"


def test_labels_and_lists_are_left_out(archive: Archive) -> None:
    archive.add(b"label", kind=b"V").add(b"names", kind=b"N").add(b"dump", kind=b"D").add(b"f", b"x")
    client = archive.served()
    assert client.names(client.root) == [b"dump", b"f"]


def test_an_empty_archive(archive: Archive) -> None:
    client = archive.served()
    assert client.names(client.root) == []
    assert tuple(client.getattr(client.root))[1:3] == (stat.S_IFDIR | 0o755, 2)


def test_reading_anywhere(archive: Archive) -> None:
    data = random.Random(1).randbytes(200_000)
    client = archive.add(b"pad", b"x" * 1000).add(b"f", data).served()
    ino = client.walk(b"f")
    handle = client.open(ino, os.O_RDONLY)
    for offset, length in ((0, 1), (511, 2), (100_000, 70_000), (199_999, 10), (200_000, 1), (1 << 63, 1)):
        assert client.read(handle, offset, length) == data[offset : offset + length]
    assert client.read(handle, 5, 0) == b""
    assert client.getattr(ino).blocks == (200_000 + 511) // 512


# nothing can be changed


def test_everything_that_changes_is_refused(archive: Archive) -> None:
    archive.add(b"f", b"x").add(b"pipe", kind=tarfile.FIFOTYPE).add(b"l", kind=tarfile.SYMTYPE, linkname="f")
    client = archive.served()
    root, ino = client.root, client.walk(b"f")
    handle = client.open(ino, os.O_RDONLY)
    for action in (
        lambda: client.mknod(root, b"x"),
        lambda: client.mkdir(root, b"x"),
        lambda: client.symlink(root, b"x", b"y"),
        lambda: client.link(ino, root, b"x"),
        lambda: client.unlink(root, b"f"),
        lambda: client.rmdir(root, b"f"),
        lambda: client.rename(root, b"f", root, b"g"),
        lambda: client.setattr(ino, mode=0),
        lambda: client.write(handle, 0, b"y"),
        lambda: client.fallocate(handle, 0, 0, 1),
        lambda: client.open(ino, os.O_WRONLY),
        lambda: client.open(ino, os.O_RDWR),
    ):
        fails(errno.EROFS, action)
    fails(errno.EISDIR, client.open, root, os.O_RDWR)
    pipe = client.open(client.walk(b"pipe"), os.O_RDWR)
    fails(errno.EINVAL, client.read, pipe, 0, 1)
    fails(errno.ENOTDIR, client.readdir, pipe)
    assert client.read(client.open(root, os.O_RDONLY), 0, 10) == b""
    client.close(handle)
    client.forget(ino)
    assert tuple(client.statfs()) == (SQUASHFS_MAGIC, 4096, 3, 0, 0, 4, 0, 255, 1)
    assert client.call(fsx.Fsync(pipe, True)) == fsx.FsyncReply()


def test_errors_of_looking(archive: Archive) -> None:
    client = archive.add(b"f", b"x").served()
    ino = client.walk(b"f")
    fails(errno.ENOENT, client.lookup, client.root, b"g")
    fails(errno.ENAMETOOLONG, client.lookup, client.root, b"g" * 256)
    fails(errno.ENOTDIR, client.lookup, ino, b"g")
    fails(errno.EINVAL, client.readlink, ino)
    for number in (0, 3, 1 << 63):
        fails(errno.ESTALE, client.getattr, number)


def test_an_archive_that_shrinks_in_use(archive: Archive) -> None:
    client = archive.add(b"f", b"x" * 10_000).served()
    handle = client.open(client.walk(b"f"), os.O_RDONLY)
    os.truncate(archive.path, 2000)
    fails(errno.EIO, client.read, handle, 0, 10_000)
    client.server.stop()
    client.server.stop()


# damage


def fix_checksum(data: bytearray, offset: int) -> None:
    data[offset + 148 : offset + 156] = b" " * 8
    data[offset + 148 : offset + 156] = b"%06o\0 " % sum(data[offset : offset + 512])


def test_what_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert "cannot open" in open_error(path)
    for content in (b"", b"short", b"not a tar archive at all " * 100, os.urandom(600)):
        path.write_bytes(content)
        assert "not a tar archive" in open_error(path)
    path.unlink()
    path.mkdir()
    assert "cannot read" in open_error(path)


def test_truncated_archives(archive: Archive) -> None:
    archive.add(b"a" * 150, b"x" * 1000).add(b"f", b"y" * 3000)
    archive.tar.close()
    data = archive.path.read_bytes()
    end = data.rindex(b"y") + 1
    assert "not a tar archive" in (archive.path.write_bytes(data[:100]) and open_error(archive.path))
    for length in (*range(512, end, 500), (end + 511) // 512 * 512):
        archive.path.write_bytes(data[:length])
        assert "truncated" in open_error(archive.path)
    archive.path.write_bytes(data[: (end + 511) // 512 * 512 + 512])
    TarFs(str(archive.path)).stop()


def test_damaged_headers(archive: Archive) -> None:
    archive.add(b"f", b"x" * 100).add(b"g", b"y")
    archive.tar.close()
    good = archive.path.read_bytes()

    def broken(offset: int, value: bytes) -> str:
        data = bytearray(good)
        data[offset : offset + len(value)] = value
        fix_checksum(data, offset // 512 * 512)
        archive.path.write_bytes(data)
        return open_error(archive.path)

    data = bytearray(good)
    data[1024 + 3] ^= 1
    archive.path.write_bytes(data)
    assert "no valid header at offset 1024" in open_error(archive.path)
    data[1024 + 148 : 1024 + 156] = b"zzzzzz\0 "
    archive.path.write_bytes(data)
    assert "no valid header" in open_error(archive.path)
    assert "no number" in broken(124, b"9999")
    assert "truncated" in broken(124, b"77777777777\0")
    assert "truncated" in broken(124, b"\xff" * 12)
    assert "several volumes" in broken(156, b"M")
    assert "absurd" in broken(124 + 32 - 32, b"\xff" * 12 + good[136:156] + b"L")
    assert "truncated" in broken(124, b"00000100000\0" + good[136:156] + b"x")
    negative, large = b"\xff" * 8, b"\x80\0\0\1\0\0\0\0"
    for offset in (108, 116):  # uid, gid
        assert "out of range" in broken(offset, negative)
        assert "out of range" in broken(offset, large)
    assert "out of range" in broken(136, b"\x80" + b"\x7f" * 11)  # a time


@pytest.mark.parametrize(
    "records",
    [
        b"no length at all",
        b"5 a=b",
        b"99 path=x\n",
        b"7 pathx\n",
        b"9 mtime=x\n",
        b"11 mtime=x\n",
        b"8 uid=x\n",
    ],
)
def test_damaged_pax_records(records: bytes, archive: Archive) -> None:
    archive.add(b"pax", records, kind=tarfile.XHDTYPE).add(b"f", b"x")
    archive.tar.close()
    assert "pax record" in open_error(archive.path)


def test_paths_that_lead_out(tmp_path: Path) -> None:
    for index, name in enumerate((b"../x", b"a/../../x", b"..", b"a/..")):
        archive = Archive(tmp_path / str(index))
        archive.add(name, b"x").tar.close()
        assert "must not contain '..'" in open_error(archive.path)


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    def error(index: int, *members: tuple[bytes, bytes, str]) -> str:
        archive = Archive(tmp_path / str(index))
        for name, kind, link in members:
            archive.add(name, kind=kind, linkname=link)
        archive.tar.close()
        return open_error(archive.path)

    assert "longer than 255" in error(1, (b"n" * 256, tarfile.REGTYPE, ""))
    assert "longer than 255" in error(2, (b"n" * 256 + b"/x", tarfile.REGTYPE, ""))
    loop = [(b"a", tarfile.SYMTYPE, "b"), (b"b", tarfile.SYMTYPE, "a"), (b"a/x", tarfile.REGTYPE, "")]
    assert "too many levels" in error(3, *loop)
    assert "not there" in error(4, (b"h", tarfile.LNKTYPE, "missing"))
    assert "not there" in error(5, (b"d", tarfile.DIRTYPE, ""), (b"h", tarfile.LNKTYPE, "d"))
    assert "not there" in error(6, (b"h", tarfile.LNKTYPE, "/"))
    assert "must be a directory" in error(7, (b"/", tarfile.SYMTYPE, "x"))


# compressed


def packers() -> dict[str, Any]:
    return {
        "gzip": gzip.compress,
        "xz": lzma.compress,
        "bzip2": __import__("bz2").compress,
        "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    }


@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2", "zstd"])
def test_compressed_archives(kind: str, archive: Archive) -> None:
    data = random.Random(2).randbytes(50_000)
    archive.add(b"f", data).add(b"g", b"x" * 400_000)
    archive.tar.close()
    plain = archive.path.read_bytes()
    packed = packers()[kind](plain)
    archive.path.write_bytes(packed)
    client = Client(TarFs(str(archive.path)))
    assert client.contents(client.walk(b"f")) == data
    assert client.getattr(client.walk(b"g")).size == 400_000
    client.server.stop()
    half = packers()[kind](plain[: 1 << 17]) + packers()[kind](plain[1 << 17 :])
    archive.path.write_bytes(half)
    assert Client(TarFs(str(archive.path))).getattr(3).size == 400_000
    open_fds = len(os.listdir("/proc/self/fd"))
    archive.path.write_bytes(packed[: len(packed) // 2])
    assert "truncated" in open_error(archive.path)
    damaged = bytearray(packed)
    damaged[len(packed) // 3] ^= 0xFF
    damaged[len(packed) // 2] ^= 0xFF
    archive.path.write_bytes(damaged)
    open_error(archive.path)
    archive.path.write_bytes(packers()[kind](b"no archive " * 1000))
    assert "not a tar archive" in open_error(archive.path)
    assert len(os.listdir("/proc/self/fd")) == open_fds


def test_unpacking_where_files_need_names(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.add(b"f", b"x" * 5000)
    archive.tar.close()
    archive.path.write_bytes(gzip.compress(archive.path.read_bytes()))
    monkeypatch.setenv("TMPDIR", str(archive.path))  # not a directory
    client = Client(TarFs(str(archive.path)))
    assert client.contents(client.walk(b"f")) == b"x" * 5000


def test_an_interrupt_while_unpacking(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.tar.close()
    archive.path.write_bytes(gzip.compress(archive.path.read_bytes()))
    before = len(os.listdir("/proc/self/fd"))

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tarfs_module, "_unpacked", interrupt)
    with pytest.raises(KeyboardInterrupt):
        TarFs(str(archive.path))
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_room_to_unpack(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.tar.close()
    archive.path.write_bytes(gzip.compress(archive.path.read_bytes()))
    full = os.open("/dev/full", os.O_RDWR)
    monkeypatch.setattr(tarfs_module, "_anonymous_file", lambda: full)
    assert "cannot unpack the archive: No space left" in open_error(archive.path)


# sparse files

GNU_TAR = shutil.which("tar")


@pytest.mark.skipif(GNU_TAR is None, reason="no tar program to write sparse members with")
@pytest.mark.parametrize("form", ["gnu", "0.0", "0.1", "1.0"])
@pytest.mark.parametrize("pieces", [2, 60])
def test_sparse_files(form: str, pieces: int, tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        for index in range(pieces):
            file.seek((1 << 17) * (index + 1))
            file.write(b"piece %d" % index)
        file.truncate((1 << 17) * (pieces + 2))
    options = ["--format=gnu"] if form == "gnu" else ["--format=pax", f"--sparse-version={form}"]
    subprocess.run(
        [str(GNU_TAR), "-C", tmp_path, *options, "-S", "-cf", tmp_path / "a.tar", "sparse"], check=True
    )
    (tmp_path / "after").write_bytes(b"after")
    subprocess.run([str(GNU_TAR), "-C", tmp_path, "-rf", tmp_path / "a.tar", "after"], check=True)
    assert (tmp_path / "a.tar").stat().st_size < 1 << 19
    client = Client(TarFs(str(tmp_path / "a.tar")))
    ino = client.walk(b"sparse")
    attr = client.getattr(ino)
    assert attr.size == sparse.stat().st_size
    assert attr.blocks * 512 < 1 << 19
    assert client.contents(ino, 1 << 20) == sparse.read_bytes()
    handle = client.open(ino, os.O_RDONLY)
    assert client.read(handle, (1 << 17) + 3, 5) == b"ce 0\0"
    assert client.read(handle, 5, 0) == b""
    assert client.contents(client.walk(b"after")) == b"after"


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.map": "0,10", "GNU.sparse.size": "5"},
        {"GNU.sparse.map": "0,x", "GNU.sparse.size": "5"},
        {"GNU.sparse.map": "0,1"},
        {"GNU.sparse.map": "-1,1", "GNU.sparse.size": "5"},
        {"GNU.sparse.map": "0,9999999", "GNU.sparse.size": "99999999"},
        {"GNU.sparse.major": "1", "GNU.sparse.realsize": "5"},
    ],
)
def test_damaged_sparse_maps(headers: dict[str, str], tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.tar", tarfile.PAX_FORMAT)
    archive.add(b"f", b"no map\n" * 100, pax_headers=headers)
    archive.tar.close()
    assert "map of a sparse file" in open_error(archive.path)


@pytest.mark.parametrize("size", [-1, 1 << 63])
def test_impossible_size_of_a_sparse_file(size: int, tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.tar", tarfile.PAX_FORMAT)
    archive.add(b"f", b"", pax_headers={"GNU.sparse.map": "0,0", "GNU.sparse.size": str(size)})
    archive.tar.close()
    assert "out of range" in open_error(archive.path)


@pytest.mark.parametrize("record", ["uid", "gid"])
@pytest.mark.parametrize("number", [-1, 1 << 32])
def test_impossible_owner(record: str, number: int, tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.tar", tarfile.PAX_FORMAT)
    archive.add(b"f", b"", pax_headers={record: str(number)})
    archive.tar.close()
    assert "out of range" in open_error(archive.path)


# images


def entries() -> list[ImageEntry]:
    now = 12345 * 10**9 + 6
    return [
        (b"/", stat.S_IFDIR | 0o711, 0, 0, now, 0, b""),
        (b"/bin/busybox", stat.S_IFREG | 0o755, 1, 2, now, 0, b"\x7fELF" * 3000),
        (b"bin/sh", stat.S_IFREG | 0o755, 1, 2, now, 0, HardLink(b"bin/busybox")),
        (b"bin/copy", 0o700, 1, 2, now, 0, b"\x7fELF" * 3000),
        (b"etc/motd", stat.S_IFREG | 0o644, 0, 0, now, 0, b"hello\n"),
        (b"etc/empty", stat.S_IFREG | 0o644, 0, 0, now, 0, b""),
        (b"lib", stat.S_IFLNK | 0o777, 0, 0, now, 0, b"usr/lib"),
        (b"dev/null", stat.S_IFCHR | 0o666, 0, 0, now, make_device(1, 3), b""),
        (b"tmp", stat.S_IFDIR | 0o1777, 0, 0, now, 99, b""),
    ]


def test_an_image_holds_what_was_written(tmp_path: Path) -> None:
    write_image(str(tmp_path / "deep" / "image"), entries())
    client = Client(ImageFs(str(tmp_path / "deep" / "image")))
    assert client.names(client.root) == [b"bin", b"dev", b"etc", b"lib", b"tmp"]
    busybox = client.lookup(client.walk(b"bin"), b"busybox")
    assert tuple(busybox)[1:] == (
        stat.S_IFREG | 0o755, 2, 1, 2, 0, 12000, 24, 4096, *[12345 * 10**9 + 6] * 3, 1,
    )  # fmt: skip
    assert client.walk(b"bin/sh") == busybox.ino
    assert client.contents(client.walk(b"bin/copy")) == client.contents(busybox.ino) == b"\x7fELF" * 3000
    assert client.getattr(client.walk(b"bin/copy")).mode == stat.S_IFREG | 0o700
    assert client.contents(client.walk(b"etc/motd")) == b"hello\n"
    assert client.contents(client.walk(b"etc/empty")) == b""
    assert client.readlink(client.walk(b"lib")) == b"usr/lib"
    assert client.getattr(client.walk(b"dev/null"))[1:6] == (stat.S_IFCHR | 0o666, 1, 0, 0, make_device(1, 3))
    assert client.getattr(client.walk(b"tmp"))[1:6] == (stat.S_IFDIR | 0o1777, 2, 0, 0, 0)
    assert (tmp_path / "deep" / "image" / "data").stat().st_size == 4 * 4096
    client.server.stop()


def test_an_image_is_replaced(tmp_path: Path) -> None:
    write_image(str(tmp_path), entries())
    write_image(str(tmp_path), [(b"only", 0o644, 0, 0, 0, 0, b"x")])
    client = Client(ImageFs(str(tmp_path)))
    assert client.names(client.root) == [b"only"]
    with pytest.raises(BootError, match="hard link"):
        write_image(str(tmp_path), [(b"x", 0o644, 0, 0, 0, 0, HardLink(b"nothing"))])
    with pytest.raises(BootError, match="cannot read the image"):  # half an image is none
        ImageFs(str(tmp_path))
    with pytest.raises(BootError, match="NUL"):
        write_image(str(tmp_path), [(b"x\0y", 0o644, 0, 0, 0, 0, b"")])


def test_damaged_images(tmp_path: Path) -> None:
    with pytest.raises(BootError, match="cannot read"):
        ImageFs(str(tmp_path / "none"))
    write_image(str(tmp_path), entries())
    index = tmp_path / "index"
    good = index.read_bytes()
    for content, message in (
        (b"", "not an image"),
        (good[:20], "not an image"),
        (b"linuxemu-image-0" + good[16:], "not an image"),
        (good[:-1], "checksum"),
        (good + b"x", "checksum"),
    ):
        index.write_bytes(content)
        with pytest.raises(BootError, match=message):
            ImageFs(str(tmp_path))
    rng = random.Random(3)
    for _ in range(200):
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        index.write_bytes(data)
        with pytest.raises(BootError):
            ImageFs(str(tmp_path))
    index.write_bytes(good)
    os.truncate(tmp_path / "data", 5)
    with pytest.raises(BootError, match="wrong length"):
        ImageFs(str(tmp_path))
    (tmp_path / "data").unlink()
    with pytest.raises(BootError, match="cannot open the image's data"):
        ImageFs(str(tmp_path))
