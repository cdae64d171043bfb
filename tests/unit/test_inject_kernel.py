"""Faults on a kernel with small servers: each action, what the caller sees, and servers that are started again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.errors import BootError, RpcError
from linuxemu.idl.codes import (
    ERR_ABORTED,
    ERR_ALREADY_EXISTS,
    ERR_IN_USE,
    ERR_INVALID_TASK,
    ERR_NOT_FOUND,
    ERR_UNAVAILABLE,
    posix_error,
)
from linuxemu.inject import InjectError, Injector
from linuxemu.kernel import Server, WaitQueue, park, rpc
from linuxemu.kernel.interpose import chain
from linuxemu.kernel.recovery import call
from linuxemu.kernel.server import NOTIFY_ASYNC, NOTIFY_TIMER
from linuxemu.messages import console, discovery, fs, fsx, supervisor, task
from linuxemu.servers.discovery import DiscoveryServer
from linuxemu.servers.task import TaskServer
from tests.unit.kernel_rig import Pager, Rig

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.kernel import Kernel
    from linuxemu.kernel.task import Service, Task


class Files(Server):
    """Notes what it serves; reads wait while the door is shut."""

    name = "files"

    def __init__(self, storage: list[Any] | None = None) -> None:
        super().__init__()
        self.log: list[Any] = [] if storage is None else storage
        self.door = WaitQueue()
        self.shut = False
        self.bits: list[int] = []
        self.ended: list[str] = []

    def successor(self) -> Files:
        return Files(self.log)

    def killed(self) -> None:
        self.ended.append("killed")

    def stop(self) -> None:
        self.ended.append("stopped")

    async def notified(self, bits: int) -> None:
        self.bits.append(bits)
        await super().notified(bits)

    @rpc(fs.Read)
    async def read(self, src: int, m: fs.Read) -> fs.ReadReply:
        if self.shut:
            waiter = self.port.waiter()
            self.door.add(waiter)
            try:
                await park(waiter)
            finally:
                self.door.discard(waiter)
                self.log.append("last words")
        self.log.append(m)
        return fs.ReadReply(b"data")

    @rpc(fsx.Forget)
    async def forget(self, src: int, m: fsx.Forget) -> None:
        self.log.append(m)

    @rpc(console.Ready)
    async def ready(self, src: int, m: console.Ready) -> None:
        self.log.append(m)


READ = fs.Read(1, 2, 3)


class World(Rig):
    """A kernel with discovery, a task server that starts others again, and one server of files."""

    def __init__(self, *rules: str, **options: Any) -> None:
        self.injector = Injector(rules)
        options.setdefault("wrap", self.injector)
        super().__init__(**options)
        self.kernel.add_server(DiscoveryServer(), discovery=True)
        tasks = TaskServer()
        self.storage = tasks.storage
        self.root = self.kernel.add_server(tasks, root=tasks.successor)
        self.first = Files()
        self.files = self.supervised(self.first)
        self.client = self.port()
        self.settle()

    def supervised(self, server: Server) -> int:
        tid = self.kernel.add_server(server)
        self.storage.supervise(tid, server)
        return tid

    @property
    def now(self) -> Any:
        """The server of files that lives now."""
        return self.kernel.tasks[self.files].server

    def read(self) -> Any:
        """Read, without trying again."""
        return self.run(self.client.call(self.files, READ))

    def fired(self) -> list[int]:
        return [done.fired for done in self.injector.report()]


# -- errors, delays, drops ---------------------------------------------------------------------------------------


def test_an_error_comes_in_place_of_the_service() -> None:
    world = World("fs.read:error=EIO:when=2", "fs.read:error=ERR_NOT_FOUND:when=2")
    assert world.read() == fs.ReadReply(b"data")
    assert world.code(world.client.call(world.files, READ)) == posix_error(5)
    # The second rule counts what the first one lets through.
    assert world.code(world.client.call(world.files, READ)) == ERR_NOT_FOUND
    assert world.read() == fs.ReadReply(b"data")
    assert world.first.log == [READ, READ]
    assert [(done.matched, done.fired) for done in world.injector.report()] == [(4, 1), (3, 1)]
    world.close()


def test_a_delay_takes_time_on_the_kernel_s_clock() -> None:
    world = World("fs.read:delay=10ms")
    start = world.host.now_ns()
    assert world.read() == fs.ReadReply(b"data")
    assert world.host.now_ns() - start == 10_000_000
    world.close()


def test_an_error_is_late_too() -> None:
    world = World("fs.read:delay=1ms", "fs.read:error=EIO")
    start = world.host.now_ns()
    assert world.code(world.client.call(world.files, READ)) == posix_error(5)
    assert world.host.now_ns() - start == 1_000_000
    world.close()


def test_a_caller_that_ends_does_not_wait_for_a_late_reply() -> None:
    world = World("fs.read:delay=1s")
    other = world.task()
    assert other.port is not None
    waiting = other.port.call(world.files, READ)
    waiting.send(None)
    waiting.close()
    world.kernel.stop()
    world.close()


def test_one_way_messages_can_be_lost() -> None:
    world = World("fsx.forget:drop:when=1")
    for number in (1, 2):
        world.client.post(world.files, fsx.Forget(number, 1))
    world.settle()
    assert world.first.log == [fsx.Forget(2, 1)]
    world.close()


def test_notifications_can_be_lost() -> None:
    world = World("notify.async:drop:when=1", "notify.timer:drop:when=2")
    peer = Files()
    world.add(peer)
    peer.port.async_send(world.files, console.Ready(0, 1))
    world.settle()
    assert world.first.log == []
    peer.port.async_send(world.files, console.Ready(0, 2))
    world.settle()
    assert world.first.log == [console.Ready(0, 1), console.Ready(0, 2)]
    for _ in range(2):
        world.kernel.notify(world.files, NOTIFY_TIMER)
        world.settle()
    assert world.first.bits == [NOTIFY_ASYNC, NOTIFY_TIMER]
    assert world.fired() == [1, 1]
    world.close()


def test_bits_are_lost_one_by_one() -> None:
    world = World("notify.timer:drop")
    world.kernel.notify(world.files, NOTIFY_TIMER | NOTIFY_ASYNC)
    world.settle()
    assert world.first.bits == [NOTIFY_ASYNC]
    world.close()


def test_what_no_rule_is_about_is_not_touched() -> None:
    world = World("fs.write:error=EIO", "notify.irq:drop")
    assert world.first.table[fs.Read] == world.first.read
    assert World("fs.read@elsewhere:kill").first.table[fs.Read].__name__ == "read"
    assert World("fs.read:kill").kernel.filter_notification is None


# -- death and what follows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "served"), [("kill", 0), ("kill=after", 1)])
def test_a_server_dies_and_is_started_again(how: str, served: int) -> None:
    world = World(f"fs.read:{how}:when=1")
    assert world.code(world.client.call(world.files, READ)) == ERR_ABORTED
    assert len(world.first.log) == served
    assert world.now is not world.first
    assert world.first.ended == ["killed"]
    assert world.read() == fs.ReadReply(b"data")
    assert len(world.first.log) == served + 1  # the storage is the same
    assert world.run(world.client.lookup("files")) == world.files
    assert world.run(world.client.call(world.root, supervisor.Wait(world.files))).restarts == 1
    world.close()
    assert world.first.ended == ["killed"]


def test_calls_are_made_again() -> None:
    world = World("fs.read:kill:when=1..2")
    assert world.run(call(world.client, world.files, READ)) == fs.ReadReply(b"data")
    assert world.run(world.client.call(world.root, supervisor.Wait(world.files))).restarts == 2
    world.close()


def test_not_for_ever() -> None:
    world = World("fs.read:kill")
    assert world.code(call(world.client, world.files, READ)) == ERR_ABORTED
    assert world.fired() == [3]
    world.close()


def test_other_errors_are_not_asked_again() -> None:
    world = World("fs.read:error=EIO")
    assert world.code(call(world.client, world.files, READ)) == posix_error(5)
    assert world.fired() == [1]
    world.close()


def test_requests_at_work_are_lost_where_they_stand() -> None:
    world = World()
    world.first.shut = True
    jobs = [world.start(world.client.call(world.files, READ)) for _ in range(3)]
    again = world.start(call(world.client, world.files, READ))
    world.kernel.kill_server(world.files)
    assert world.first.log == ["last words"] * 4  # before a successor sees the storage
    world.settle()
    assert [job.code() for job in jobs] == [ERR_ABORTED] * 3
    assert again.result() == fs.ReadReply(b"data")
    world.close()


def test_a_request_that_was_just_woken_is_lost_too() -> None:
    world = World()
    world.first.shut = True
    job = world.start(world.client.call(world.files, READ))
    world.first.door.wake_all()
    world.kernel.kill_server(world.files)
    world.settle()
    assert job.code() == ERR_ABORTED
    assert world.first.log == ["last words"]
    world.close()


def test_what_a_server_did_besides_ends_with_it() -> None:
    world = World()

    async def endless() -> None:
        try:
            await park(world.first.port.waiter())
        finally:
            world.first.log.append("ended")

    world.first.port.spawn(endless())
    world.kernel.kill_server(world.files)
    assert world.first.log == ["ended"]
    world.settle()
    assert world.kernel.activity_count() == 0
    world.close()


def test_the_port_of_a_dead_server_leads_nowhere() -> None:
    world = World()
    port = world.first.port
    world.kernel.kill_server(world.files)
    with pytest.raises(RpcError):
        port.post(world.root, task.Free(1))
    for attempt in (port.now_ns, lambda: port.async_send(world.root, task.Exited(1)), lambda: port.frames):
        with pytest.raises(RpcError, match="ERR_ABORTED"):
            attempt()
    assert world.code(port.call(world.root, supervisor.Wait(1))) == ERR_INVALID_TASK
    world.settle()
    world.close()


def test_a_server_dies_while_it_fetches_messages() -> None:
    world = World("console.ready:kill:when=1")
    peer = Files()
    world.add(peer)
    for number in range(3):
        peer.port.async_send(world.files, console.Ready(0, number))
    world.settle()
    assert world.first.log == []
    peer.port.async_send(world.files, console.Ready(0, 3))
    world.settle()
    assert world.first.log == [console.Ready(0, n) for n in (1, 2, 3)]
    world.close()


def test_the_root_server_is_started_again_by_the_kernel() -> None:
    world = World("task.alloc:kill=after:when=2")
    first = world.run(world.client.call(world.root, task.Alloc(world.client.task))).task
    assert world.code(world.client.call(world.root, task.Alloc(world.client.task))) == ERR_ABORTED
    assert world.run(world.client.call(world.root, task.Free(first))) == task.FreeReply()
    assert world.run(world.client.call(world.root, supervisor.Wait(world.root))).restarts == 1
    world.kernel.kill_server(world.files)
    assert world.run(call(world.client, world.files, READ)) == fs.ReadReply(b"data")
    world.close()


def test_the_root_server_dies_while_it_is_to_start_another() -> None:
    world = World()
    world.kernel.kill_server(world.files)
    waiting = world.start(world.client.call(world.root, supervisor.Wait(world.files)))
    again = world.start(call(world.client, world.files, READ))
    world.kernel.kill_server(world.root)
    world.settle()
    assert waiting.code() == ERR_ABORTED
    assert again.result() == fs.ReadReply(b"data")
    world.close()


def test_watches_outlive_the_task_server() -> None:
    world = World()
    watcher = Files()
    heard: list[Any] = []
    watcher.table[task.Exited] = _note(heard)
    world.add(watcher)
    world.run(watcher.port.call(world.root, task.Watch(world.files)))
    world.kernel.kill_server(world.root)
    world.kernel.kill_server(world.files)
    world.settle()
    assert heard == [task.Exited(world.files)]
    world.close()


def _note(heard: list[Any]) -> Callable[[int, Any], Any]:
    async def note(src: int, m: Any) -> None:
        heard.append(m)

    return note


@pytest.mark.parametrize("failure", [None, BootError("the directory is gone"), OSError(2, "gone")])
def test_a_server_that_cannot_be_started_again(failure: Exception | None) -> None:
    class Mortal(Files):
        def successor(self) -> Any:
            if failure is not None:
                raise failure

    world = World()
    server = Mortal()
    tid = world.supervised(server)
    world.kernel.kill_server(tid)
    waiting = world.start(world.client.call(world.root, supervisor.Wait(tid)))
    again = world.start(call(world.client, tid, READ))
    world.settle()
    assert waiting.code() == ERR_UNAVAILABLE
    assert again.code() == ERR_INVALID_TASK
    assert world.code(world.client.call(world.root, supervisor.Wait(tid))) == ERR_NOT_FOUND
    world.close()
    assert server.ended == ["killed", "stopped"]


def test_a_server_nobody_starts_again_stays_dead() -> None:
    world = World("fs.read:kill")
    server = Files()
    world.add(server)
    assert world.code(call(world.client, server.port.task, READ)) == ERR_ABORTED
    world.settle()
    world.close()


def test_what_cannot_be_killed() -> None:
    world = World()
    pager = Pager()
    world.add(pager)
    world.guest(pager)
    for tid, code in (
        (pager.port.task, ERR_IN_USE),
        (world.kernel.discovery, ERR_IN_USE),
        (999, ERR_INVALID_TASK),
        (world.client.task, ERR_INVALID_TASK),
    ):
        with pytest.raises(RpcError) as caught:
            world.kernel.kill_server(tid)
        assert caught.value.code == code
    world.close()


def test_an_id_in_use_is_not_given_to_a_server() -> None:
    world = World()
    with pytest.raises(RpcError) as caught:
        world.client.add_server(Files(), world.files)
    assert caught.value.code == ERR_ALREADY_EXISTS
    world.close()


def test_a_rule_must_not_kill_what_is_vital() -> None:
    with pytest.raises(InjectError, match="the discovery server cannot be killed: no server finds"):
        World("discovery.lookup:kill")
    world = World("discovery.*:kill", "*.*:kill:when=1000")
    assert world.run(world.client.call(world.kernel.discovery, discovery.Lookup("files"))).task == world.files
    world.close()


# -- composition -------------------------------------------------------------------------------------------------


class Note:
    """An observer: notes requests and replies."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def __call__(self, kernel: Kernel, owner: Task, message: type, method: Service) -> Service:
        async def serve(src: int, request: Any) -> Any:
            self.log.append(f"{self.name} {request.NAME}")
            reply = await method(src, request)
            self.log.append(f"{self.name} over")
            return reply

        return serve if message is fs.Read else method


def test_the_first_of_a_chain_is_the_outermost() -> None:
    log: list[str] = []
    injector = Injector(["fs.read:error=EIO:when=2"])
    world = World(wrap=chain(Note("outer", log), None, injector, Note("inner", log)))
    world.read()
    assert log == ["outer fs.read", "inner fs.read", "inner over", "outer over"]
    world.code(world.client.call(world.files, READ))
    assert log[4:] == ["outer fs.read"]
    world.kernel.kill_server(world.files)
    world.settle()
    world.read()
    assert log[5:] == log[:4]  # around a successor too
    world.close()


def test_nothing_is_paid_for_an_empty_chain() -> None:
    note = Note("only", [])
    assert chain() is None
    assert chain(None, None) is None
    assert chain(None, note) is note
