"""Strict IPC: what a server sees and answers has been bytes on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NOT_FOUND, posix_error
from linuxemu.kernel import Kernel, Server, rpc
from linuxemu.kernel.strict import StrictIpc
from linuxemu.messages import AbiHook, AbiHookReply, clock, fs, task
from linuxemu.servers.discovery import DiscoveryServer
from linuxemu.servers.ool import OolServer
from tests.unit.kernel_rig import FRAME, Pager, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator


class Files(Server):
    """Keeps the requests it got."""

    name = "files"

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Any] = []
        self.reply: Any = fs.ReadReply(b"contents")

    @rpc(fs.Read)
    async def read(self, src: int, m: fs.Read) -> Any:
        self.got.append(m)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    @rpc(fs.Write)
    async def write(self, src: int, m: fs.Write) -> fs.WriteReply:
        self.got.append(m)
        return fs.WriteReply()

    @rpc(fs.Open)
    async def open(self, src: int, m: fs.Open) -> fs.OpenReply:
        self.got.append(m)
        return fs.OpenReply(3)

    @rpc(task.Exited)
    async def exited(self, src: int, m: task.Exited) -> None:
        self.got.append(m)


@pytest.fixture
def rig() -> Iterator[Rig]:
    carrier = OolServer()
    rig = Rig(wrap=StrictIpc(carrier))
    rig.kernel.add_server(DiscoveryServer(), discovery=True)
    rig.add(carrier)
    rig.settle()
    yield rig
    rig.close()


@pytest.fixture
def files(rig: Rig) -> Any:
    return rig.add(Files())


def test_messages_arrive_equal_but_not_the_same(rig: Rig, files: Files) -> None:
    port = rig.port()
    request = fs.Read(7, 1 << 40, 100)
    assert rig.run(port.call(files.port.task, request)) == fs.ReadReply(b"contents")
    assert files.got == [request]
    assert files.got[0] is not request


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 5, bytes(range(256)) * 4096])
def test_payloads(rig: Rig, files: Files, data: bytes) -> None:
    files.reply = fs.ReadReply(data)
    port = rig.port()
    assert rig.run(port.call(files.port.task, fs.Read(1, 0, len(data)))).data == data
    assert rig.run(port.call(files.port.task, fs.Write(1, 0, data))) == fs.WriteReply()
    assert files.got[-1] == fs.Write(1, 0, data)


def test_text(rig: Rig, files: Files) -> None:
    path = "/ein Dateiname mit Umläuten und \udcff"
    rig.run(rig.port().call(files.port.task, fs.Open(path)))
    assert files.got == [fs.Open(path)]


def test_discovery_works_while_starting(rig: Rig, files: Files) -> None:
    rig.settle()
    assert rig.run(rig.port().lookup("files")) == files.port.task


@pytest.mark.parametrize("code", [ERR_NOT_FOUND, posix_error(2)])
def test_error_words(rig: Rig, files: Files, code: int) -> None:
    files.reply = RpcError(code)
    assert rig.code(rig.port().call(files.port.task, fs.Read(1, 0, 1))) == code


def test_one_way_messages(rig: Rig, files: Files) -> None:
    rig.port().post(files.port.task, task.Exited(5))
    rig.settle()
    assert files.got == [task.Exited(5)]


def test_what_does_not_fit_a_message_is_found_out(rig: Rig, files: Files) -> None:
    job = rig.start(rig.port().call(files.port.task, fs.Read(1 << 40, 0, 1)))
    rig.settle()
    assert isinstance(job.error, ValueError)


def test_async_messages(rig: Rig, files: Files) -> None:
    sender = rig.add(Files())
    sender.port.async_send(files.port.task, task.Exited(5))
    rig.settle()
    assert files.got == [task.Exited(5)]


def test_hooks_travel_too(rig: Rig) -> None:
    from linuxemu.cpu.fake import syscall

    pager = rig.add(Pager(lambda m: AbiHookReply(FRAME) if m.type == 1 else None))
    rig.guest(pager, syscall(1))
    rig.settle()
    assert [type(m) for m in pager.got] == [AbiHook, AbiHook]
    assert pager.got[1].frame == FRAME._replace(rax=1, rip=FRAME.rip + 2)
    assert rig.cpu.frames == [FRAME]


def test_only_wrapped_kernels_pay() -> None:
    kernel: Kernel = Rig().kernel
    files = Files()
    kernel.add_server(files)
    assert files.table[fs.Read] == files.read
    assert clock.Gettime not in files.table
