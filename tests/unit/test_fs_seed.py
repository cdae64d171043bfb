"""The seed's six calls by path: what every file server answers, and a server that knows nothing else."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl.codes import (
    ERR_ALREADY_EXISTS,
    ERR_NO_MEMORY,
    ERR_NOT_ACCEPTABLE,
    ERR_NOT_FOUND,
    ERR_NOT_PERMITTED,
)
from linuxemu.kernel import Server, rpc
from linuxemu.messages import fs, fsx
from linuxemu.servers.fs.hostfs import HostFs
from linuxemu.servers.fs.memfs import MemFs
from linuxemu.servers.fs.tarfs import TarFs
from tests.helpers import run
from tests.unit.fs_client import Client, layered, through_the_wire
from tests.unit.test_fs_tar import Archive

if TYPE_CHECKING:
    from pathlib import Path

    from linuxemu.messages import Message


class SeedFs(Server):
    """The manners of the seed's own archive server: six requests, exact names, handles from 1 up."""

    name = "fs"

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__()
        self.files = {path.removeprefix("/"): bytearray(data) for path, data in files.items()}
        self.handles: dict[tuple[int, int], bytearray] = {}

    def _new(self, src: int, data: bytearray) -> int:
        number = next(n for n in range(1, 129) if (src, n) not in self.handles)
        self.handles[src, number] = data
        return number

    def _file(self, path: str) -> bytearray:
        try:
            return self.files[path.removeprefix("/")]
        except KeyError:
            raise RpcError(ERR_NOT_FOUND) from None

    def _handle(self, src: int, number: int) -> bytearray:
        try:
            return self.handles[src, number]
        except KeyError:
            raise RpcError(ERR_NOT_FOUND) from None

    @rpc(fs.Open)
    async def open(self, src: int, m: fs.Open) -> fs.OpenReply:
        return fs.OpenReply(self._new(src, self._file(m.path)))

    @rpc(fs.Create)
    async def create(self, src: int, m: fs.Create) -> fs.CreateReply:
        path = m.path.removeprefix("/")
        if path in self.files and not m.exist_ok:
            raise RpcError(ERR_ALREADY_EXISTS)
        return fs.CreateReply(self._new(src, self.files.setdefault(path, bytearray())))

    @rpc(fs.Close)
    async def close(self, src: int, m: fs.Close) -> fs.CloseReply:
        self._handle(src, m.handle)
        del self.handles[src, m.handle]
        return fs.CloseReply()

    @rpc(fs.Read)
    async def read(self, src: int, m: fs.Read) -> fs.ReadReply:
        return fs.ReadReply(bytes(self._handle(src, m.handle)[m.offset : m.offset + m.len]))

    @rpc(fs.Write)
    async def write(self, src: int, m: fs.Write) -> fs.WriteReply:
        data = self._handle(src, m.handle)
        data[m.offset : m.offset + len(m.data)] = m.data
        return fs.WriteReply()

    @rpc(fs.Stat)
    async def stat(self, src: int, m: fs.Stat) -> fs.StatReply:
        return fs.StatReply(len(self._file(m.path)))


class SeedClient:
    """Uses nothing but the seed's namespace."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def call(self, message: Message) -> Any:
        return through_the_wire(run(self.server.handle(9, through_the_wire(message))))

    def error(self, message: Message) -> int:
        with pytest.raises(RpcError) as caught:
            self.call(message)
        return caught.value.code

    def slurp(self, path: str) -> bytes:
        handle = self.call(fs.Open(path)).handle
        size = self.call(fs.Stat(path)).size
        data: bytes = self.call(fs.Read(handle, 0, size)).data
        self.call(fs.Close(handle))
        return data


@pytest.fixture(params=["seed", "mem", "overlay", "tar", "host"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> SeedClient:
    if request.param == "seed":
        return SeedClient(SeedFs({"/etc/motd": b"hello\n", "/etc": b""}))
    if request.param == "mem":
        mem = Client(MemFs())
        mem.mkdir(mem.root, b"etc")
        mem.create(b"etc/motd", b"hello\n")
        return SeedClient(mem.server)
    archive = Archive(tmp_path / "a.tar").add(b"etc/motd", b"hello\n")
    archive.tar.close()
    tar = TarFs(str(archive.path))
    if request.param == "tar":
        return SeedClient(tar)
    if request.param == "overlay":
        return SeedClient(layered(MemFs(lower=2), tar)[0].server)
    (tmp_path / "host" / "etc").mkdir(parents=True)
    (tmp_path / "host" / "etc" / "motd").write_bytes(b"hello\n")
    return SeedClient(HostFs(str(tmp_path / "host"), writable=True))


def test_any_server_can_be_read(client: SeedClient) -> None:
    assert client.slurp("/etc/motd") == b"hello\n"
    assert client.slurp("etc/motd") == b"hello\n"
    handle = client.call(fs.Open("/etc/motd")).handle
    assert handle == 1
    assert client.call(fs.Read(handle, 2, 2)).data == b"ll"
    assert client.call(fs.Read(handle, 6, 10)).data == b""
    assert client.call(fs.Read(handle, 100, 10)).data == b""
    directory = client.call(fs.Open("/etc")).handle
    assert client.call(fs.Read(directory, 0, 10)).data == b""
    assert client.call(fs.Close(handle)) == fs.CloseReply()


def test_what_is_not_there(client: SeedClient) -> None:
    assert client.error(fs.Open("/etc/none")) == ERR_NOT_FOUND
    assert client.error(fs.Open("/none/none")) == ERR_NOT_FOUND
    assert client.error(fs.Open("/etc/motd/x")) == ERR_NOT_FOUND
    assert client.error(fs.Stat("/none")) == ERR_NOT_FOUND
    assert client.error(fs.Stat("/none/none")) == ERR_NOT_FOUND
    for number in (0, 5, -1):
        assert client.error(fs.Read(number, 0, 1)) == ERR_NOT_FOUND
        assert client.error(fs.Write(number, 0, b"x")) == ERR_NOT_FOUND
        assert client.error(fs.Close(number)) == ERR_NOT_FOUND


def test_making_and_writing(client: SeedClient) -> None:
    if isinstance(client.server, TarFs):
        assert client.error(fs.Create("/etc/new", False)) == ERR_NOT_PERMITTED
        assert client.error(fs.Create("/etc/motd", False)) == ERR_ALREADY_EXISTS
        assert client.error(fs.Create("/", False)) == ERR_ALREADY_EXISTS
        return
    assert client.error(fs.Create("/etc/motd", False)) == ERR_ALREADY_EXISTS
    handle = client.call(fs.Create("/etc/new", False)).handle
    client.call(fs.Write(handle, 0, b"some text"))
    client.call(fs.Write(handle, 5, b"more text"))
    assert client.slurp("/etc/new") == b"some more text"
    again = client.call(fs.Create("/etc/new", True)).handle
    assert client.call(fs.Read(again, 0, 4)).data == b"some"
    if not isinstance(client.server, SeedFs):
        assert client.error(fs.Create("/none/new", True)) == ERR_NOT_FOUND


def test_a_seed_server_answers_nothing_else() -> None:
    assert SeedClient(SeedFs({})).error(fsx.Root()) == ERR_NOT_ACCEPTABLE


# walking paths


@pytest.fixture
def links() -> Client:
    client = Client(MemFs())
    root = client.root
    client.mkdir(root, b"a")
    deep = client.mkdir(client.walk(b"a"), b"b")
    client.create(b"a/b/file", b"found")
    client.create(b"file", b"root")
    client.symlink(root, b"abs", b"/a/b/file")
    client.symlink(deep, b"rel", b"../../a/./b//file")
    client.symlink(deep, b"up", b"../../../../file")
    client.symlink(root, b"dir", b"a/b")
    client.symlink(root, b"loop", b"loop")
    client.symlink(root, b"dangling", b"a/made")
    client.symlink(root, b"through", b"dir/up")
    return client


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/abs", b"found"),
        ("/a/b/rel", b"found"),
        ("dir/rel", b"found"),
        ("/dir/up", b"root"),
        ("/through", b"root"),
        ("//a///b/./file", b"found"),
        ("/../../a/b/../../file", b"root"),
        ("/a/b/file/", b"found"),
        ("", b""),
    ],
)
def test_links_are_followed(links: Client, path: str, content: bytes) -> None:
    assert SeedClient(links.server).slurp(path)[: len(content)] == content


def test_links_that_lead_nowhere(links: Client) -> None:
    client = SeedClient(links.server)
    assert client.error(fs.Open("/loop")) == ERR_NOT_FOUND
    assert client.error(fs.Open("/loop/x")) == ERR_NOT_FOUND
    assert client.error(fs.Open("/dangling")) == ERR_NOT_FOUND
    handle = client.call(fs.Create("/dangling", False)).handle
    client.call(fs.Write(handle, 0, b"made"))
    assert client.slurp("/a/made") == b"made"


def test_a_walk_leaves_no_references(links: Client) -> None:
    server: Any = links.server
    before = {ino: node.nlookup for ino, node in server._nodes.items()}
    client = SeedClient(links.server)
    client.slurp("/through")
    client.error(fs.Open("/loop"))
    client.error(fs.Create("/abs", False))
    assert {ino: node.nlookup for ino, node in server._nodes.items()} == before


def test_names_of_any_bytes() -> None:
    mem = Client(MemFs())
    mem.create(b"\xff\xc3\xa4", b"x")
    client = SeedClient(mem.server)
    assert client.slurp(os.fsdecode(b"/\xff\xc3\xa4")) == b"x"
    assert client.error(fs.Open("n" * 300)) == ERR_NOT_FOUND


def test_a_full_memory() -> None:
    client = SeedClient(MemFs(max_inodes=1))
    assert client.error(fs.Create("/x", False)) == ERR_NO_MEMORY


def test_files_that_cannot_be_written_are_opened_for_reading(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    client = SeedClient(HostFs(str(tmp_path)))
    handle = client.call(fs.Open("/f")).handle
    assert client.call(fs.Read(handle, 0, 1)).data == b"x"
    os.mkfifo(tmp_path / "p")
    assert client.error(fs.Open("/p")) == ERR_NOT_PERMITTED
    assert stat.S_ISFIFO((tmp_path / "p").stat().st_mode)


@pytest.mark.parametrize("server", [MemFs, lambda **options: HostFs("/", **options)])
def test_the_service_name_is_a_choice(server: Any) -> None:
    assert server().name == "fs"
    assert server(name="").name == ""
