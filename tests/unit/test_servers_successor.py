"""What servers go on with when they are started again, and what they do not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NO_MEMORY, ERR_NOT_FOUND
from linuxemu.messages import clock, console, entropy, fs, fsx, task, vm, vmx
from linuxemu.servers.console import ConsoleServer, InputStream, OutputStream
from linuxemu.servers.fs.hostfs import HostFs
from linuxemu.servers.fs.imagefs import ImageFs, write_image
from linuxemu.servers.fs.journal import Journal
from linuxemu.servers.fs.memfs import MemFs
from linuxemu.servers.random import RandomServer
from linuxemu.servers.task import TaskServer
from linuxemu.servers.time import TimeServer, VirtualClock
from linuxemu.servers.vm import VmServer
from tests.helpers import run
from tests.unit.fs_client import Client, FakePort
from tests.unit.server_port import NOBODY, A, B, boot, call, fails

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from linuxemu.kernel import Server


def reborn(server: Any) -> Any:
    """The server after its death."""
    server.killed()
    after = server.successor()
    after.port = server.port
    run(after.start())
    return after


# -- vm, time, random, task, console -----------------------------------------------------------------------------


def test_vm_knows_who_has_which_pages() -> None:
    server = boot(VmServer())
    given = call(server, A, vm.AllocPages(2, 0))
    server = reborn(server)
    again = call(server, A, vm.AllocPages(2, 0))
    assert again.vaddr == given.vaddr + 0x2000
    assert again.paddr != given.paddr
    call(server, A, vmx.FreePages(given.paddr, 2))
    server.task_died(A)
    assert not server.port.frames.used


def test_vm_grants_a_serial_once() -> None:
    server = boot(VmServer())
    first = call(server, A, vmx.AllocFrames(3, 7)).frames
    server = reborn(server)
    assert call(server, A, vmx.AllocFrames(3, 7)).frames == first
    others = [call(server, A, vmx.AllocFrames(1, n)).frames for n in range(1, 6)]
    assert len({first, *others, call(server, B, vmx.AllocFrames(3, 7)).frames}) == 7
    assert call(server, A, vmx.AllocFrames(1, 0)).frames != call(server, A, vmx.AllocFrames(1, 0)).frames
    assert fails(server, A, vmx.AllocFrames(61, 9)) == ERR_NO_MEMORY
    call(server, A, vmx.AllocFrames(1, 9))  # a refusal is no grant
    for number in range(20, 28):
        call(server, A, vmx.AllocFrames(1, number))
    assert call(server, A, vmx.AllocFrames(3, 7)).frames != first  # long ago


def test_vm_takes_back_what_tasks_held_that_ended_meanwhile() -> None:
    server = boot(VmServer())
    call(server, A, vm.AllocPages(2, 0))
    server.port.alive.discard(A)
    server = reborn(server)
    assert not server.port.frames.used


def test_time_stays_set() -> None:
    server = boot(TimeServer(VirtualClock(lambda: 5, 100)))
    call(server, A, clock.Settime(0, 1_000))
    server = reborn(server)
    assert call(server, A, clock.Gettime(0)).ns == 1_000
    assert call(server, A, clock.Gettime(1)).ns == 5


def test_a_sequence_goes_on() -> None:
    alone = boot(RandomServer(seed=3))
    both = boot(RandomServer(seed=3))
    expected = call(alone, A, entropy.Read(8)).data + call(alone, A, entropy.Read(8)).data
    first = call(both, A, entropy.Read(8)).data
    assert first + call(reborn(both), A, entropy.Read(8)).data == expected


def test_task_ids_stay_reserved() -> None:
    server = boot(TaskServer())
    server.port.task = 1
    number = call(server, A, task.Alloc(A)).task
    call(server, B, task.Watch(A))
    server = reborn(server)
    assert server.storage.restarts == 1
    assert fails(server, A, task.Free(NOBODY)) == ERR_NOT_FOUND
    server.task_died(A)
    assert server.port.task_ids.freed == [number]
    assert server.port.sent == [(B, task.Exited(A))]


def test_console_streams_go_on_and_who_waits_is_told() -> None:
    output = OutputStream()
    server = boot(ConsoleServer(InputStream(b"input"), output, output))
    assert call(server, A, console.Read(0, 2)).data == b"in"
    call(server, A, console.Write(1, b"a"))
    call(server, A, console.Watch(1, 4))
    server.port.sent.clear()
    server = reborn(server)
    assert server.port.sent == [(A, console.Ready(0, 17)), (A, console.Ready(1, 4)), (A, console.Ready(2, 4))]
    assert call(server, A, console.Read(0, 9)).data == b"put"
    call(server, A, console.Write(2, b"b"))
    assert bytes(output.data) == b"ab"
    assert server.deliver_host_signal(2)
    server.port.alive.discard(A)
    server.port.sent.clear()
    assert reborn(server).port.sent == []


# -- file servers ------------------------------------------------------------------------------------------------


class Files:
    """A file server and a client of it."""

    def __init__(self, server: Any) -> None:
        self.servers: dict[int, Server] = {1: server}
        self.port = FakePort(1, self.servers)
        self.client = Client(server)

    def die(self) -> None:
        """The server dies and is started again."""
        self.servers[1] = self.client.server = reborn(self.client.server)


@pytest.fixture(params=["memory", "host"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Files]:
    files = Files(MemFs() if request.param == "memory" else HostFs(str(tmp_path), writable=True))
    yield files
    files.client.server.stop()


def test_inode_numbers_stay(files: Files) -> None:
    client = files.client
    directory = client.mkdir(client.root, b"d")
    ino = client.mknod(directory, b"f")
    client.write(client.open(ino), 0, b"contents")
    files.die()
    assert client.walk(b"d/f") == ino
    assert client.getattr(ino).size == 8
    assert client.read(client.open(ino, os.O_RDONLY), 0, 99) == b"contents"
    client.unlink(directory, b"f")
    client.rmdir(client.root, b"d")


def test_a_handle_is_never_another_one_later(files: Files) -> None:
    client = files.client
    handles = set()
    for number in range(4):
        ino = client.mknod(client.root, b"f%d" % number)
        handles.add(client.open(ino))
        handles.add(client.open(ino))
        files.die()
        for handle in handles:
            with pytest.raises(RpcError, match="ERR_NOT_FOUND"):
                client.read(handle, 0, 1)
    assert len(handles) == 8


@pytest.mark.parametrize("opened", ["before", "between"])
def test_a_file_without_a_name_lives_while_it_is_known(files: Files, opened: str) -> None:
    """It is unlinked before or after the first death; both times its handle is lost, and it can be opened again."""
    client = files.client
    ino = client.mknod(client.root, b"f")
    client.write(client.open(ino), 0, b"contents")
    if opened == "between":
        files.die()
    client.unlink(client.root, b"f")
    for _ in range(2):
        files.die()
        handle = client.open(ino)
        assert client.read(handle, 0, 99) == b"contents"
        client.write(handle, 0, b"C")
        client.write(handle, 0, b"c")
    assert client.getattr(ino).nlink == 0
    client.setattr(ino, size=3)
    client.setattr(ino, mode=0o600)
    client.close(handle)
    client.forget(ino, 99)
    with fails_with_errno(116):
        client.getattr(ino)


def fails_with_errno(number: int) -> Any:
    return pytest.raises(OSError, match=rf"\[Errno {number}\]")


def test_a_replaced_file_lives_too(files: Files) -> None:
    client = files.client
    ino = client.mknod(client.root, b"old")
    client.write(client.open(ino), 0, b"old")
    client.mknod(client.root, b"new")
    files.die()
    client.rename(client.root, b"new", client.root, b"old")
    assert client.read(client.open(ino, os.O_RDONLY), 0, 9) == b"old"


def test_what_only_a_handle_kept_goes_with_it() -> None:
    files = Files(MemFs())
    client = files.client
    ino = client.mknod(client.root, b"f")
    handle = client.open(ino)
    client.write(handle, 0, bytes(10_000))
    client.unlink(client.root, b"f")
    client.forget(ino)
    full = client.statfs().bfree
    assert client.read(handle, 0, 1) == b"\0"
    files.die()
    assert client.statfs().bfree == full + 3


def test_changes_are_made_once(files: Files) -> None:
    client = files.client
    root = client.root
    changes = [
        fsx.Mkdir(root, 0o755, os.getuid(), os.getgid(), b"d"),
        fsx.Mknod(root, 0o100644, 0, os.getuid(), os.getgid(), b"f"),
        fsx.Symlink(root, os.getuid(), os.getgid(), b"s\0target"),
        fsx.Rename(root, root, 0, b"f\0g"),
        fsx.Unlink(root, b"g"),
        fsx.Rmdir(root, b"d"),
    ]
    for change in changes:
        reply = client.call(change)
        for _ in range(2):
            files.die()
            assert client.call(change) == reply
    ino = client.mknod(root, b"f")
    reply = client.call(fsx.Link(ino, root, b"h"))
    files.die()
    assert client.call(fsx.Link(ino, root, b"h")) == reply
    assert client.getattr(ino).nlink == 2
    assert sorted(entry.name for entry in client.list(root)) == [b"f", b"h", b"s"]


def test_extended_attributes_stay_and_change_once() -> None:
    files = Files(MemFs())
    client = files.client
    ino = client.create(b"f")
    client.setxattr(ino, b"user.b", b"stays")
    only_new = fsx.Setxattr(ino, fsx.XattrFlag.CREATE, b"user.a\0value")
    remove = fsx.Removexattr(ino, b"user.a")
    for change, names in ((only_new, [b"user.b", b"user.a"]), (remove, [b"user.b"])):
        client.call(change)
        for _ in range(2):
            files.die()
            client.call(change)
        assert client.listxattr(ino) == names
        files.die()
    assert client.getxattr(ino, b"user.b") == b"stays"
    client.call(remove)
    with fails_with_errno(61):
        client.removexattr(ino, b"user.a")


def test_only_the_last_change_can_be_asked_for_again(files: Files) -> None:
    client = files.client
    client.mkdir(client.root, b"a")
    client.mkdir(client.root, b"b")
    files.die()
    for name, made in ((b"a", False), (b"b", True), (b"b", False)):
        if made:
            client.mkdir(client.root, name)
        else:
            with fails_with_errno(17):
                client.mkdir(client.root, name)


def test_an_answer_given_late_is_not_given_twice() -> None:
    journal = Journal()
    journal.begin()
    done: list[Any] = []

    async def change(src: int, m: Any) -> int:
        done.append((src, m))
        return len(done)

    once: Any = journal.once(change)
    message = fsx.Unlink(1, b"f")
    assert run(once(A, message)) == 1
    journal.begin()
    assert run(once(B, message)) == 2  # somebody else's
    assert run(once(A, message)) == 1
    assert run(once(A, message)) == 3
    journal.begin()
    for number in range(9):
        run(once(A, fsx.Unlink(2, b"%d" % number)))
    assert run(once(A, message)) == 13  # nobody asked for so long that it is another request
    journal.begin()
    journal.forget(A)
    assert run(once(A, message)) == 14


def test_handles_of_a_client_that_died_are_closed(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    server = HostFs(str(tmp_path))
    client = Client(server)
    ino = client.walk(b"f")
    before = len(os.listdir("/proc/self/fd"))
    server.port = _Spawner()  # type: ignore[assignment]
    client.open(ino, os.O_RDONLY)
    client.open(ino, os.O_RDONLY)
    assert len(os.listdir("/proc/self/fd")) == before + 2
    server.task_died(client.src)
    assert len(os.listdir("/proc/self/fd")) == before
    assert client.open(ino, os.O_RDONLY) == 1
    server.stop()


class _Spawner:
    def spawn(self, coro: Any) -> None:
        run(coro)


def test_read_only_servers_go_on(tmp_path: Path) -> None:
    write_image(str(tmp_path), [(b"f", 0o100644, 0, 0, 0, 0, b"contents")])
    files = Files(ImageFs(str(tmp_path)))
    client = files.client
    ino = client.walk(b"f")
    old = client.open(ino, os.O_RDONLY)
    files.die()
    with pytest.raises(RpcError, match="ERR_NOT_FOUND"):
        client.call(fs.Read(old, 0, 9))
    assert client.read(client.open(ino, os.O_RDONLY), 0, 9) == b"contents"
    client.server.stop()
