"""rootfs.source: what may be named as a root."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from linuxemu.errors import BootError
from linuxemu.messages import fsx
from linuxemu.servers.fs.hostfs import HostFs
from linuxemu.servers.fs.imagefs import ImageFs, write_image
from linuxemu.servers.fs.tarfs import TarFs
from rootfs.source import open_root
from tests.helpers import run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree" / "etc").mkdir(parents=True)
    (tmp_path / "tree" / "etc" / "hostname").write_text("here\n")
    return tmp_path / "tree"


def opened(path: Path) -> type:
    server = open_root(str(path), name="lower")
    root = run(server.handle(1, fsx.Root()))
    etc = run(server.handle(1, fsx.Lookup(root.ino, b"etc")))
    hostname = run(server.handle(1, fsx.Lookup(etc.ino, b"hostname")))
    assert hostname.size == 5
    assert server.name == "lower"
    server.stop()
    return type(server)


def test_directory(tree: Path) -> None:
    assert opened(tree) is HostFs


def test_directory_cannot_be_changed(tree: Path) -> None:
    from linuxemu.errors import RpcError

    server = open_root(str(tree))
    root = run(server.handle(1, fsx.Root()))
    with pytest.raises(RpcError):
        run(server.handle(1, fsx.Mkdir(root.ino, 0o755, 0, 0, b"new")))
    server.stop()
    assert os.listdir(tree) == ["etc"]


def test_directory_that_looks_like_an_image(tree: Path) -> None:
    (tree / "index").write_text("linuxemu")
    assert opened(tree) is HostFs
    (tree / "index").unlink()
    (tree / "index").mkdir()
    assert opened(tree) is HostFs


def test_image(tmp_path: Path) -> None:
    write_image(str(tmp_path / "image"), [(b"etc/hostname", 0o100644, 0, 0, 0, 0, b"here\n")])
    assert opened(tmp_path / "image") is ImageFs


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_tar(mode: str, tree: Path) -> None:
    archive = tree.parent / "root.tar"
    with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
        tar.add(tree, ".")
    assert opened(archive) is TarFs


def test_tar_with_zstd(tree: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    with tarfile.open(tree.parent / "root.tar", "w") as tar:
        tar.add(tree, ".")
    packed = zstandard.ZstdCompressor().compress((tree.parent / "root.tar").read_bytes())
    (tree.parent / "root.tar.zst").write_bytes(packed)
    assert opened(tree.parent / "root.tar.zst") is TarFs


def refusal(spec: str) -> str:
    with pytest.raises(BootError) as info:
        open_root(spec)
    assert "\n" not in str(info.value)
    return str(info.value)


def test_nothing_there() -> None:
    assert (
        refusal("/no/such/root")
        == "cannot use '/no/such/root' as root file system: No such file or directory"
    )
    assert "embedded null byte" in refusal("a\0b")


def test_no_archive(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("just words " * 100)
    assert str(tmp_path / "text") in refusal(str(tmp_path / "text"))


def test_neither_directory_nor_file() -> None:
    assert refusal("/dev/null").endswith("it is neither a directory nor a tar archive")


def test_damaged_image(tmp_path: Path) -> None:
    write_image(str(tmp_path / "image"), [])
    index = tmp_path / "image" / "index"
    index.write_bytes(index.read_bytes()[:-1])
    assert "damaged" in refusal(str(tmp_path / "image"))
