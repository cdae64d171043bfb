"""Tasks: creating, destroying, capabilities, ids, states and address spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.arch.x86_64 import FLAGS_DEFAULT, PTE_NX, PTE_PRESENT, PTE_USER, FullRegs
from linuxemu.cpu.fake import INITIAL_FXSAVE, syscall
from linuxemu.errors import RpcError
from linuxemu.idl.codes import (
    ERR_ABORTED,
    ERR_ALREADY_EXISTS,
    ERR_IN_USE,
    ERR_INVALID_ARG,
    ERR_INVALID_TASK,
    ERR_NOT_PERMITTED,
    ERR_UNAVAILABLE,
)
from linuxemu.kernel import Server, WaitQueue, park, rpc
from linuxemu.kernel.ipc import MAX_TASKS
from linuxemu.kernel.kernel import TaskIds
from linuxemu.kernel.task import BLOCKED, DEAD, TASK_ABI_EMU, TASK_ALL_CAPS, TASK_HV, TASK_SCHED
from linuxemu.messages import clock, fs
from tests.unit.kernel_rig import FRAME, Pager, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def fails(call: Any, *args: Any) -> int:
    with pytest.raises(RpcError) as error:
        call(*args)
    return error.value.code


# -- create -------------------------------------------------------------------------------------------


def test_create_errors_in_order(rig: Rig) -> None:
    port, nobody, weak = rig.port(), 999, rig.port(flags=0)
    me = port.task
    used = rig.task().tid
    assert fails(weak.task_create, 0, "t", 0, nobody, 99) == ERR_NOT_PERMITTED
    for tid in (0, -1, MAX_TASKS + 1, me):
        assert fails(port.task_create, tid, "t", 0, nobody, 99) == ERR_INVALID_TASK
    assert fails(port.task_create, used, "t", 0, nobody, 99) == ERR_INVALID_ARG
    assert fails(port.task_create, used, "t", 0, me, 99) == ERR_ALREADY_EXISTS
    for flags in (TASK_SCHED, 16, 99, TASK_ABI_EMU | TASK_HV):
        assert fails(port.task_create, 5, "t", 1 << 63, me, flags) == ERR_INVALID_ARG
    assert fails(port.task_create, 5, "t", 1 << 63, me, TASK_HV) == ERR_UNAVAILABLE
    for ip in (1 << 47, 1 << 63, (1 << 64) - (1 << 47) - 1):
        assert fails(port.task_create, 5, "t", ip, me, TASK_ABI_EMU) == ERR_INVALID_ARG
    assert 5 not in rig.kernel.tasks
    assert rig.kernel.tasks[me].paged == 0


@pytest.mark.parametrize("ip", [0, (1 << 47) - 1, (1 << 64) - (1 << 47), (1 << 64) - 1])
def test_create(rig: Rig, ip: int) -> None:
    port = rig.port()
    port.task_create(MAX_TASKS, "a name of twenty-one", ip, port.task, TASK_ALL_CAPS)
    task = rig.kernel.tasks[MAX_TASKS]
    assert (task.name, task.pager, task.status) == ("a name of twent", port.task, BLOCKED)
    assert (task.notifications, task.priority) == (0, 7)
    assert rig.kernel.tasks[port.task].paged == 1


def test_more_than_sixty_four_tasks(rig: Rig) -> None:
    port = rig.port()
    for tid in range(1, 201):
        port.task_create(tid, "many", 0, port.task, 0)
    assert rig.kernel.tasks[port.task].paged == 200


# -- destroy ------------------------------------------------------------------------------------------


def test_destroy_errors(rig: Rig) -> None:
    port, weak = rig.port(), rig.port(flags=0)
    used = rig.task().tid
    assert fails(weak.task_destroy, used) == ERR_NOT_PERMITTED
    for tid in (0, -1, MAX_TASKS + 1, port.task):
        assert fails(port.task_destroy, tid) == ERR_INVALID_TASK
    assert fails(port.task_destroy, 999) == ERR_INVALID_ARG
    port.task_create(5, "child", 0, used, 0)
    assert fails(port.task_destroy, used) == ERR_IN_USE
    port.task_destroy(5)
    port.task_destroy(used)
    assert fails(port.task_destroy, used) == ERR_INVALID_ARG


def test_destroy_frees_the_id_and_everything_else(rig: Rig) -> None:
    free = rig.kernel.frames.available
    port = rig.port()
    port.task_create(5, "one", 0, port.task, TASK_ABI_EMU)
    port.task_start(5)
    task = rig.kernel.tasks[5]
    assert task.space is not None
    frame = rig.kernel.frames.alloc()
    task.space.map(0x1000, frame, PTE_PRESENT | PTE_USER | PTE_NX)
    rig.kernel.frames.release(frame)
    port.task_destroy(5)
    assert task.status is DEAD
    assert rig.kernel.frames.available == free
    assert rig.cpu.states == []
    assert rig.kernel.tasks[port.task].paged == 0
    assert not port.exists(5)
    port.task_create(5, "two", 0, port.task, TASK_ABI_EMU)
    rig.settle()  # what was runnable does not run
    assert rig.cpu.runs == []


def test_destroy_disarms_the_timer(rig: Rig) -> None:
    port, other = rig.port(), rig.port()
    other.set_timer(10)
    port.task_destroy(other.task)
    rig.settle()
    assert rig.host.sleeps == []


def test_destroy_tells_servers_that_want_to_know(rig: Rig) -> None:
    class Mourner(Server):
        def __init__(self) -> None:
            super().__init__()
            self.died: list[int] = []

        def task_died(self, tid: int) -> None:
            self.died.append(tid)

    mourner = rig.add(Mourner())
    tid = rig.task().tid
    mourner.port.task_destroy(tid)
    assert mourner.died == [tid]


# -- what only a pager may ----------------------------------------------------------------------------


def test_only_the_pager_touches_a_task(rig: Rig) -> None:
    port, stranger, weak = rig.port(), rig.port(), rig.port(flags=0)
    port.task_create(5, "t", 0, port.task, TASK_ABI_EMU)
    port.task_start(5)
    space = port.new_space()
    regs = port.get_regs(5)
    for call, args in (
        ("set_space", (space,)), ("task_start", ()), ("task_interrupt", ()), ("get_regs", ()), ("set_regs", (regs,)),
        ("get_frame", ()), ("set_frame", (FRAME,)), ("times_ns", ()), ("last_exception", ()),
        ("watch_preemption", (8,)),
    ):  # fmt: skip
        assert fails(getattr(stranger, call), 5, *args) == ERR_NOT_PERMITTED
        assert fails(getattr(weak, call), 5, *args) == ERR_NOT_PERMITTED
        assert fails(getattr(port, call), 6, *args) == ERR_INVALID_TASK
    for attribute in ("frames", "task_ids"):
        assert fails(getattr, weak, attribute) == ERR_NOT_PERMITTED
    assert fails(weak.new_space) == ERR_NOT_PERMITTED


def test_registers_of_a_task_that_was_not_started(rig: Rig) -> None:
    port = rig.port()
    port.task_create(5, "t", 0, port.task, TASK_ABI_EMU)
    assert fails(port.get_frame, 5) == ERR_INVALID_ARG


def test_fresh_registers(rig: Rig) -> None:
    port = rig.port()
    port.task_create(5, "t", 0, port.task, TASK_ABI_EMU)
    port.task_start(5)
    frame = port.get_frame(5)
    assert frame.rflags == FLAGS_DEFAULT
    assert not any(frame._replace(rflags=0))


def test_started_with_the_registers_of_another(rig: Rig) -> None:
    port = rig.port()
    for tid in (5, 6):
        port.task_create(tid, "t", 0, port.task, TASK_ABI_EMU)
    port.task_start(5)
    port.set_regs(5, FullRegs(FRAME, 1, 2, INITIAL_FXSAVE[:32] + bytes(480)))
    port.task_start(6, 5)
    regs = port.get_regs(6)
    assert (regs.frame, regs.rcx, regs.r11) == (FRAME, 1, 2)
    port.set_frame(5, FRAME._replace(rax=1))
    assert port.get_frame(6) == FRAME


def test_a_native_task_starts_at_its_entry(rig: Rig) -> None:
    port = rig.port()
    port.task_create(5, "t", 0x1234, port.task, 0)
    port.task_start(5)
    assert port.get_frame(5).rip == 0x1234


def test_tasks_share_a_space_until_the_last_is_gone(rig: Rig) -> None:
    free = rig.kernel.frames.available
    port = rig.port()
    space = port.new_space()
    for tid in (5, 6):
        port.task_create(tid, "t", 0, port.task, TASK_ABI_EMU)
        port.set_space(tid, space)
        port.task_start(tid)
    assert space.users == 2
    port.set_space(5, port.new_space())
    assert space.users == 1
    port.task_destroy(6)
    assert space.root == 0
    port.task_destroy(5)
    assert rig.kernel.frames.available == free


def test_set_space_to_the_space_it_has(rig: Rig) -> None:
    port = rig.port()
    port.task_create(5, "t", 0, port.task, TASK_ABI_EMU)
    space = port.new_space()
    port.set_space(5, space)
    port.set_space(5, space)
    assert space.users == 1
    assert space.root


def test_interrupt_needs_hooks(rig: Rig) -> None:
    port = rig.port()
    port.task_create(5, "t", 0, port.task, 0)
    assert fails(port.task_interrupt, 5) == ERR_INVALID_ARG


def test_a_watch_needs_hooks_and_a_whole_word(rig: Rig) -> None:
    port = rig.port()
    port.task_create(5, "t", 0, port.task, 0)
    assert fails(port.watch_preemption, 5, 8) == ERR_INVALID_ARG
    port.task_create(6, "t", 0, port.task, TASK_ABI_EMU)
    assert fails(port.watch_preemption, 6, 12) == ERR_INVALID_ARG
    port.watch_preemption(6, 8)
    port.watch_preemption(6, None)


def test_cpu_times(rig: Rig) -> None:
    def busy(ns: int) -> Any:
        def step(cpu: Any, state: Any) -> Any:
            rig.host.advance(ns)
            return syscall(1)

        return step

    def serve(m: Any) -> Any:
        if m[1] == 2:
            rig.host.advance(5)
            if len(pager.got) == 4:
                pager.port.spawn(end())
                return None
        return ...

    async def end() -> None:
        pager.port.task_destroy(task.tid)

    pager = rig.add(Pager(serve))
    task = rig.guest(pager, busy(100), busy(50), busy(7))
    times: list[tuple[int, int]] = []
    rig.kernel._death_watch.append(lambda tid: times.append((task.user_ns, task.sys_ns)))
    rig.settle()
    assert times == [(157, 10)]


# -- ids ----------------------------------------------------------------------------------------------


def test_task_ids_are_used_again_as_late_as_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linuxemu.kernel.kernel.MAX_TASKS", 4)
    ids = TaskIds()
    assert [ids.alloc(), ids.alloc()] == [1, 2]
    ids.free(2)
    ids.free(1)
    assert [ids.alloc(), ids.alloc(), ids.alloc(), ids.alloc()] == [3, 4, 2, 1]
    assert fails(ids.alloc) == ERR_UNAVAILABLE


# -- servers that die while they serve ----------------------------------------------------------------


class Slow(Server):
    """Answers `clock.Gettime` when told to; asks another server first if it has one."""

    def __init__(self, behind: Server | None = None) -> None:
        super().__init__()
        self.behind = behind
        self.queue = WaitQueue()
        self.log: list[str] = []

    @rpc(clock.Gettime)
    async def gettime(self, src: int, m: clock.Gettime) -> clock.GettimeReply:
        try:
            self.log.append("asked")
            if self.behind is not None:
                reply: clock.GettimeReply = await self.port.call(self.behind.port.task, m)
                self.log.append("heard")
                return reply
            waiter = self.port.waiter()
            self.queue.add(waiter)
            value = await park(waiter)
            self.log.append("woken")
            return clock.GettimeReply(value)
        except RpcError as error:
            self.log.append(f"error {error.code}")
            raise
        except GeneratorExit:
            self.log.append("closed")
            raise


def test_call_of_a_server_that_dies_is_aborted(rig: Rig) -> None:
    server, client, killer = rig.add(Slow()), rig.port(), rig.port()
    jobs = [rig.start(client.call(server.port.task, clock.Gettime(0))) for _ in range(3)]
    rig.settle()
    killer.task_destroy(server.port.task)
    rig.settle()
    assert [job.code() for job in jobs] == [ERR_ABORTED] * 3
    assert server.log == ["asked"] * 3 + ["closed"] * 3
    server.queue.wake_all(1)  # nobody is there any more
    rig.settle()
    assert rig.code(client.call(server.port.task, clock.Gettime(0))) == ERR_INVALID_TASK


def test_server_dies_between_wake_and_run(rig: Rig) -> None:
    server, client, killer = rig.add(Slow()), rig.port(), rig.port()
    job = rig.start(client.call(server.port.task, clock.Gettime(0)))
    rig.settle()
    server.queue.wake_all(7)
    killer.task_destroy(server.port.task)
    rig.settle()
    assert job.code() == ERR_ABORTED
    assert server.log == ["asked", "closed"]


def test_last_of_a_chain_dies(rig: Rig) -> None:
    last = rig.add(Slow())
    middle = rig.add(Slow(last))
    first = rig.add(Slow(middle))
    job = rig.start(rig.port().call(first.port.task, clock.Gettime(0)))
    rig.settle()
    first.port.task_destroy(last.port.task)
    rig.settle()
    assert job.code() == ERR_ABORTED
    assert (first.log, middle.log, last.log) == (
        ["asked", f"error {ERR_ABORTED}"], ["asked", f"error {ERR_ABORTED}"], ["asked", "closed"],
    )  # fmt: skip


@pytest.mark.parametrize("early", [False, True])
def test_middle_of_a_chain_dies_and_the_last_serves_on(rig: Rig, early: bool) -> None:
    last = rig.add(Slow())
    middle = rig.add(Slow(last))
    first = rig.add(Slow(middle))
    job = rig.start(rig.port().call(first.port.task, clock.Gettime(0)))
    rig.settle()
    if early:
        last.queue.wake_all(5)
    first.port.task_destroy(middle.port.task)
    rig.settle()
    assert job.code() == ERR_ABORTED
    assert first.log == ["asked", f"error {ERR_ABORTED}"]
    assert middle.log == ["asked", "closed"]
    assert last.log == (["asked", "woken"] if early else ["asked"])
    last.queue.wake_all(5)
    rig.settle()
    assert last.log == ["asked", "woken"]
    assert rig.kernel.activity_count() == 0


def test_whole_chain_dies_at_once(rig: Rig) -> None:
    last = rig.add(Slow())
    middle = rig.add(Slow(last))
    job = rig.start(rig.port().call(middle.port.task, clock.Gettime(0)))
    rig.settle()
    killer = rig.port()
    killer.task_destroy(middle.port.task)
    killer.task_destroy(last.port.task)
    rig.settle()
    assert job.code() == ERR_ABORTED
    assert (middle.log, last.log) == (["asked", "closed"], ["asked", "closed"])


def test_server_kills_itself_through_a_friend_while_it_serves(rig: Rig) -> None:
    """The coroutine that runs just now cannot be closed; its caller is answered all the same."""

    class Suicidal(Server):
        @rpc(clock.Gettime)
        async def gettime(self, src: int, m: clock.Gettime) -> clock.GettimeReply:
            killer.task_destroy(self.port.task)
            waiter = self.port.waiter()
            waiter.wake()
            await park(waiter)
            raise AssertionError("runs on")

    killer = rig.port()
    server = rig.add(Suicidal())
    assert rig.code(rig.port().call(server.port.task, clock.Gettime(0))) == ERR_ABORTED


def test_closing_the_kernel_closes_every_call(rig: Rig) -> None:
    last = rig.add(Slow())
    middle = rig.add(Slow(last))
    rig.start(rig.port().call(middle.port.task, clock.Gettime(0)))
    rig.settle()
    rig.kernel.close()
    assert (middle.log, last.log) == (["asked", "closed"], ["asked", "closed"])


def test_defects_of_servers_are_kept() -> None:
    class Broken(Server):
        async def start(self) -> None:
            raise ZeroDivisionError

        def stop(self) -> None:
            self.stopped = True

    rig = Rig()
    server = rig.add(Broken())
    assert [type(error) for error in rig.kernel.errors] == [ZeroDivisionError]
    rig.kernel.close()
    assert server.stopped


def test_wrap_replaces_handlers(rig: Rig) -> None:
    seen: list[tuple[int, str, int]] = []

    def wrap(kernel: Any, task: Any, message: type, method: Any) -> Any:
        async def serve(src: int, m: Any) -> Any:
            seen.append((task.tid, message.__name__, src))
            return await method(src, m)

        return serve

    other = Rig(wrap=wrap)
    server = other.add(Slow())
    client = other.port()
    job = other.start(client.call(server.port.task, clock.Gettime(0)))
    server.queue.wake_all(3)
    other.settle()
    assert job.result() == clock.GettimeReply(3)
    assert seen == [(server.port.task, "Gettime", client.task)]
    assert other.code(client.call(server.port.task, fs.Close(1))) == -12
    other.close()
