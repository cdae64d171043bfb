"""Traps: hooks, faults and exceptions go to the pager; what comes back is loaded, or ends the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.arch.x86_64 import (
    PTE_PRESENT,
    PTE_WRITABLE,
    VECTOR_GENERAL_PROTECTION,
    VECTOR_INVALID_OPCODE,
    FullRegs,
)
from linuxemu.cpu.fake import INITIAL_FXSAVE, exception, fault, interrupt, syscall
from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NO_MEMORY, ERR_NOT_FOUND
from linuxemu.kernel import Server, WaitQueue, park, rpc
from linuxemu.kernel.task import BLOCKED, TASK_ABI_EMU
from linuxemu.kernel.traps import (
    EXCEPTION_INVALID_MSG_FROM_PAGER,
    EXCEPTION_INVALID_OP,
    HOOK_INITIAL,
    HOOK_INTERRUPT,
    HOOK_SYSCALL,
)
from linuxemu.messages import AbiHook, AbiHookReply, Exception_, PageFault, PageFaultReply
from tests.unit.kernel_rig import FRAME, Pager, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator

INITIAL, SYSCALL, INTERRUPT = ("AbiHook", HOOK_INITIAL), ("AbiHook", HOOK_SYSCALL), ("AbiHook", HOOK_INTERRUPT)
WRONG_REPLY = ("Exception_", EXCEPTION_INVALID_MSG_FROM_PAGER)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


class Script(Pager):
    """A pager that answers each message with the next of a list; then it stops the task for good."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(self.next_answer)
        self.answers = list(answers)

    def next_answer(self, message: Any) -> Any:
        if not self.answers:
            return None
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(message) if callable(answer) else answer


def ok(m: Any) -> Any:
    return ...


# -- hooks --------------------------------------------------------------------------------------------


def test_initial_hook_comes_once_and_first(rig: Rig) -> None:
    pager = rig.add(Script(lambda m: AbiHookReply(FRAME), ok))
    task = rig.guest(pager, syscall(39, 1, 2, 3, 4, 5, 6), syscall(60))
    rig.settle()
    assert pager.kinds() == [INITIAL, SYSCALL, SYSCALL]
    first, second, _ = pager.got
    assert first.task == second.task == task.tid
    assert second.frame == FRAME._replace(
        rax=39, rdi=1, rsi=2, rdx=3, r10=4, r8=5, r9=6, rip=FRAME.rip + 2
    )
    assert rig.cpu.frames[0] == FRAME


def test_reply_is_loaded(rig: Rig) -> None:
    replies = [FRAME, FRAME._replace(rax=7), FRAME._replace(rax=8)]
    pager = rig.add(Script(*(AbiHookReply(frame) for frame in replies)))
    rig.guest(pager, syscall(1), syscall(2), syscall(3))
    rig.settle()
    assert rig.cpu.frames == replies
    assert [m.frame.rip for m in pager.got[1:]] == [FRAME.rip + 2] * 3


def test_late_reply(rig: Rig) -> None:
    queue = WaitQueue()

    async def later() -> Any:
        waiter = pager.port.waiter()
        queue.add(waiter)
        return AbiHookReply(FRAME._replace(rax=await park(waiter)))

    pager = rig.add(Script(ok, lambda m: later(), lambda m: later()))
    task = rig.guest(pager, syscall(1), syscall(2), syscall(3))
    rig.settle()
    assert task.status is BLOCKED
    assert len(rig.cpu.runs) == 1
    for value in (77, 78):
        queue.wake_all(value)
        rig.settle()
    assert [m.frame.rax for m in pager.got[1:]] == [1, 2, 3]
    assert [frame.rax for frame in rig.cpu.frames[1:]] == [77, 78]
    assert task.activity is None


@pytest.mark.parametrize("wrong", [PageFaultReply(), AbiHook(1, 2, FRAME), RpcError(ERR_NOT_FOUND), 5])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("hook", [HOOK_INITIAL, HOOK_SYSCALL])
def test_wrong_reply_to_a_hook_ends_the_task(rig: Rig, wrong: Any, late: bool, hook: int) -> None:
    async def later() -> Any:
        waiter = pager.port.waiter()
        waiter.wake()
        await park(waiter)
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    answer = (lambda m: later()) if late else wrong
    pager = rig.add(Script(*[ok] * (hook == HOOK_SYSCALL), answer))
    task = rig.guest(pager, *[syscall(1)] * (hook == HOOK_SYSCALL))
    rig.settle()
    assert pager.kinds()[-1] == WRONG_REPLY
    assert pager.got[-1] == Exception_(task.tid, EXCEPTION_INVALID_MSG_FROM_PAGER)
    assert task.status is BLOCKED
    pager.port.task_destroy(task.tid)


def test_no_reply_leaves_the_task_blocked(rig: Rig) -> None:
    pager = rig.add(Script(ok, None))
    task = rig.guest(pager, syscall(60))
    rig.settle()
    assert pager.kinds() == [INITIAL, SYSCALL]
    assert task.status is BLOCKED
    pager.port.task_destroy(task.tid)
    rig.settle()
    assert rig.cpu.states == []


def test_defect_of_a_pager_is_kept_and_ends_the_task() -> None:
    rig = Rig()
    pager = rig.add(Script(ok, ZeroDivisionError()))
    rig.guest(pager, syscall(1))
    rig.settle()
    assert pager.kinds() == [INITIAL, SYSCALL, WRONG_REPLY]
    assert [type(error) for error in rig.kernel.errors] == [ZeroDivisionError]


class Escaping(BaseException):
    """What a pager should have caught."""


@pytest.mark.parametrize("late", [False, True])
def test_whatever_escapes_a_pager_stays_inside_the_kernel(late: bool) -> None:
    rig = Rig()

    async def fail(m: Any) -> Any:
        if late:
            waiter = pager.port.waiter()
            waiter.wake()
            await park(waiter)
        raise Escaping

    pager = rig.add(Script(ok, fail))
    rig.guest(pager, syscall(1))
    rig.settle()
    assert pager.kinds() == [INITIAL, SYSCALL, WRONG_REPLY]
    assert [type(error) for error in rig.kernel.errors] == [Escaping]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("hook", [HOOK_INITIAL, HOOK_SYSCALL])
def test_keyboard_interrupt_ends_the_run(late: bool, hook: int) -> None:
    rig = Rig()

    async def interrupted(m: Any) -> Any:
        if late:
            waiter = pager.port.waiter()
            waiter.wake()
            await park(waiter)
        raise KeyboardInterrupt

    pager = rig.add(Script(*[ok] * (hook == HOOK_SYSCALL), interrupted))
    rig.guest(pager, syscall(1))
    with pytest.raises(KeyboardInterrupt):
        rig.settle()
    assert rig.kernel.errors == []


def test_pager_destroys_the_task_in_its_hook(rig: Rig) -> None:
    def destroy(m: Any) -> Any:
        pager.port.task_destroy(m.task)
        return AbiHookReply(m.frame)

    pager = rig.add(Script(ok, destroy))
    rig.guest(pager, syscall(60))
    rig.settle()
    assert pager.kinds() == [INITIAL, SYSCALL]
    assert rig.cpu.states == []


def test_task_destroyed_while_its_hook_waits(rig: Rig) -> None:
    queue = WaitQueue()

    async def later() -> Any:
        waiter = pager.port.waiter()
        queue.add(waiter)
        await park(waiter)
        return AbiHookReply(FRAME)

    pager = rig.add(Script(ok, lambda m: later()))
    task = rig.guest(pager, syscall(60))
    rig.settle()
    pager.port.task_destroy(task.tid)
    queue.wake_all()
    rig.settle()
    assert FRAME not in rig.cpu.frames


def test_pager_without_hooks_cannot_have_abi_tasks(rig: Rig) -> None:
    class Blind(Server):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[int] = []

        @rpc(Exception_)
        async def exception(self, src: int, m: Exception_) -> None:
            self.seen.append(m.exception)

    pager = rig.add(Blind())
    rig.guest(pager)
    rig.settle()
    assert pager.seen == [EXCEPTION_INVALID_MSG_FROM_PAGER]


# -- interrupts ---------------------------------------------------------------------------------------


def test_spurious_interrupts_are_nothing(rig: Rig) -> None:
    pager = rig.add(Script(ok))
    rig.guest(pager, interrupt(), interrupt(), syscall(1))
    rig.settle()
    assert pager.kinds() == [INITIAL, SYSCALL]


def test_interrupt_hook_before_the_task_runs_on(rig: Rig) -> None:
    def interrupting(cpu: Any, state: Any) -> Any:
        pager.port.task_interrupt(task.tid)
        pager.port.task_interrupt(task.tid)
        return interrupt()

    pager = rig.add(Script(ok, lambda m: AbiHookReply(FRAME)))
    task = rig.guest(pager, interrupting, syscall(1))
    rig.settle()
    assert pager.kinds() == [INITIAL, INTERRUPT, SYSCALL]
    assert pager.got[-1].frame.rip == FRAME.rip + 2


def test_interrupt_while_a_hook_waits(rig: Rig) -> None:
    queue = WaitQueue()

    async def later() -> Any:
        waiter = pager.port.waiter()
        queue.add(waiter)
        await park(waiter)
        return ...

    pager = rig.add(Script(ok, lambda m: later(), ok))
    task = rig.guest(pager, syscall(1), syscall(2))
    rig.settle()
    pager.port.task_interrupt(task.tid)
    rig.settle()
    assert pager.kinds() == [INITIAL, SYSCALL]
    queue.wake_all()
    rig.settle()
    assert pager.kinds() == [INITIAL, SYSCALL, INTERRUPT, SYSCALL]


def test_interrupt_within_the_hook_itself(rig: Rig) -> None:
    def serve(m: Any) -> Any:
        pager.port.task_interrupt(m.task)
        return ...

    pager = rig.add(Script(ok, serve, ok))
    rig.guest(pager, syscall(1), syscall(2))
    rig.settle()
    assert pager.kinds() == [INITIAL, SYSCALL, INTERRUPT, SYSCALL]


def test_interrupt_before_the_first_instruction_comes_after_initial(rig: Rig) -> None:
    pager = rig.add(Script(ok))
    task = rig.guest(pager, syscall(1))
    pager.port.task_interrupt(task.tid)
    rig.settle()
    assert pager.kinds() == [INITIAL, SYSCALL]  # one look at the task was asked for, and there was one


def watch(rig: Rig, pager: Pager, task: Any, word: int | None) -> None:
    """Watch a task by a word of its memory; None for one that is not mapped."""
    if word is not None:
        frame = rig.kernel.frames.alloc()
        rig.kernel.frames.ram.words[frame << 9] = word
        task.space.map(0x1000, frame, PTE_PRESENT | PTE_WRITABLE)
    pager.port.watch_preemption(task.tid, 0x1000)


@pytest.mark.parametrize(("word", "looked_at"), [(None, [INTERRUPT]), (0, []), (1, [INTERRUPT])])
def test_a_watched_task_is_looked_at_after_it_waited(rig: Rig, word: int | None, looked_at: list[Any]) -> None:
    queue = WaitQueue()

    async def later() -> Any:
        waiter = pager.port.waiter()
        queue.add(waiter)
        await park(waiter)
        return ...

    pager = rig.add(Script(ok, ok, lambda m: later(), *[ok] * len(looked_at), ok))
    watch(rig, pager, rig.guest(pager, syscall(1), syscall(2), syscall(3), syscall(4)), word)
    rig.settle()
    queue.wake_all()
    rig.settle()
    assert pager.kinds() == [INITIAL, SYSCALL, SYSCALL, *looked_at, SYSCALL, SYSCALL]


@pytest.mark.parametrize("others", [0, 1])
def test_a_watched_task_is_looked_at_after_its_time_slice(rig: Rig, others: int) -> None:
    pager = rig.add(Pager(lambda m: None if m[1] == 2 and m.frame.rax == 60 else ...))
    task = rig.guest(pager, tick(rig), syscall(60))
    watch(rig, pager, task, 1)
    for _ in range(others):
        rig.guest(pager, syscall(60))
    rig.settle()
    assert [m[1] for m in pager.got if m.task == task.tid] == [HOOK_INITIAL, *[HOOK_INTERRUPT] * others, HOOK_SYSCALL]


def test_a_watch_ends(rig: Rig) -> None:
    pager = rig.add(Pager(lambda m: None if m[1] == 2 and m.frame.rax == 60 else ...))
    task = rig.guest(pager, tick(rig), syscall(60))
    watch(rig, pager, task, 1)
    pager.port.watch_preemption(task.tid, None)
    rig.guest(pager, syscall(60))
    rig.settle()
    assert HOOK_INTERRUPT not in [m[1] for m in pager.got]


# -- faults -------------------------------------------------------------------------------------------


def test_fault_is_served_and_tried_again(rig: Rig) -> None:
    pager = rig.add(Script(ok, ok))
    task = rig.guest(pager, fault(0x1234, 6), syscall(1))
    rig.settle()
    assert pager.got[1] == PageFault(task.tid, 0x1234, 0, 6)
    assert pager.kinds() == [INITIAL, ("PageFault", 0x1234), SYSCALL]


def test_fault_served_late(rig: Rig) -> None:
    async def later() -> Any:
        waiter = pager.port.waiter()
        waiter.wake()
        await park(waiter)
        return ...

    pager = rig.add(Script(ok, lambda m: later()))
    rig.guest(pager, fault(0x1000), syscall(1))
    rig.settle()
    assert pager.kinds() == [INITIAL, ("PageFault", 0x1000), SYSCALL]


@pytest.mark.parametrize("refusal", [RpcError(ERR_NO_MEMORY), AbiHookReply(FRAME)])
def test_refused_fault_is_an_exception_not_a_hang(rig: Rig, refusal: Any) -> None:
    pager = rig.add(Script(ok, refusal))
    task = rig.guest(pager, fault(0x1000))
    rig.settle()
    assert pager.kinds() == [INITIAL, ("PageFault", 0x1000), WRONG_REPLY]
    assert task.status is BLOCKED


def test_fault_without_anybody_to_serve_it(rig: Rig) -> None:
    class Blind(Server):
        @rpc(AbiHook)
        async def hook(self, src: int, m: AbiHook) -> AbiHookReply:
            return AbiHookReply(m.frame)

    pager = rig.add(Blind())
    task = rig.guest(pager, fault(0x1000))
    rig.settle()
    assert task.status is BLOCKED
    pager.port.task_destroy(task.tid)


# -- exceptions ---------------------------------------------------------------------------------------


def test_exception_blocks_the_task_unless_the_pager_loads_registers(rig: Rig) -> None:
    pager = rig.add(Script(ok, ok))
    task = rig.guest(pager, exception(VECTOR_GENERAL_PROTECTION, 5), syscall(1))
    rig.settle()
    assert pager.kinds() == [INITIAL, ("Exception_", EXCEPTION_INVALID_OP)]
    assert pager.port.last_exception(task.tid) == (VECTOR_GENERAL_PROTECTION, 5)
    assert task.status is BLOCKED
    assert len(rig.cpu.runs) == 1


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_exception_with_registers_to_go_on(rig: Rig, late: bool, whole: bool) -> None:
    async def repair(m: Any) -> Any:
        if late:
            waiter = pager.port.waiter()
            waiter.wake()
            await park(waiter)
        if whole:
            pager.port.set_regs(m.task, FullRegs(FRAME, 1, 2, INITIAL_FXSAVE))
        else:
            pager.port.set_frame(m.task, FRAME)
        return ...

    pager = rig.add(Script(ok, repair))
    rig.guest(pager, exception(VECTOR_INVALID_OPCODE), syscall(1))
    rig.settle()
    assert pager.kinds() == [INITIAL, ("Exception_", EXCEPTION_INVALID_OP), SYSCALL]
    assert pager.got[-1].frame.rip == FRAME.rip + 2


@pytest.mark.parametrize("late", [False, True])
def test_task_that_must_end_does_not_go_on_with_new_registers(rig: Rig, late: bool) -> None:
    async def repair(m: Any) -> Any:
        if late:
            waiter = pager.port.waiter()
            waiter.wake()
            await park(waiter)
        pager.port.set_frame(m.task, FRAME)
        return ...

    pager = rig.add(Script(ok, PageFaultReply(), repair))
    task = rig.guest(pager, syscall(1))
    rig.settle()
    assert pager.kinds() == [INITIAL, SYSCALL, WRONG_REPLY]
    assert task.status is BLOCKED


def test_pager_destroys_the_task_in_its_exception(rig: Rig) -> None:
    def destroy(m: Any) -> Any:
        pager.port.task_destroy(m.task)
        return ...

    pager = rig.add(Script(ok, destroy))
    rig.guest(pager, exception(VECTOR_INVALID_OPCODE))
    rig.settle()
    assert rig.cpu.states == []


def test_exception_handler_that_fails(rig: Rig) -> None:
    pager = rig.add(Script(ok, RpcError(ERR_NOT_FOUND)))
    task = rig.guest(pager, exception(VECTOR_INVALID_OPCODE))
    rig.settle()
    assert task.status is BLOCKED


def test_exception_that_nobody_hears_of(rig: Rig) -> None:
    class Deaf(Server):
        @rpc(AbiHook)
        async def hook(self, src: int, m: AbiHook) -> AbiHookReply:
            return AbiHookReply(m.frame)

    pager = rig.add(Deaf())
    task = rig.guest(pager, exception(VECTOR_INVALID_OPCODE))
    rig.settle()
    assert task.status is BLOCKED


# -- turns --------------------------------------------------------------------------------------------


def tick(rig: Rig, then: Any = None) -> Any:
    """A run at whose end the time slice is over."""

    def step(cpu: Any, state: Any) -> Any:
        rig.kernel.on_tick()
        return then or interrupt()

    return step


def test_without_ticks_a_task_runs_until_it_blocks(rig: Rig) -> None:
    pager = rig.add(Pager(lambda m: None if m[1] == 2 and m.frame.rax == 60 else ...))
    one = rig.guest(pager, *[syscall(1)] * 5, syscall(60))
    two = rig.guest(pager, *[syscall(1)] * 5, syscall(60))
    rig.settle()
    assert [m.task for m in pager.got] == [one.tid] * 7 + [two.tid] * 7


def test_tick_gives_the_others_a_turn(rig: Rig) -> None:
    pager = rig.add(Pager(lambda m: None if m[1] == 2 and m.frame.rax == 60 else ...))
    guests = [rig.guest(pager, *[tick(rig), syscall(1)] * 3, tick(rig), syscall(60)) for _ in range(3)]
    rig.settle()
    order = [m.task for m in pager.got if m[1] == 2]
    tids = [guest.tid for guest in guests]
    assert order == tids * 4
    assert rig.cpu.interrupts == 12


def test_tick_at_a_system_call(rig: Rig) -> None:
    pager = rig.add(Pager(lambda m: None if m[1] == 2 and m.frame.rax == 60 else ...))
    one = rig.guest(pager, tick(rig, syscall(1)), syscall(60))
    two = rig.guest(pager, tick(rig, syscall(1)), syscall(60))
    rig.settle()
    assert [m.task for m in pager.got if m[1] == 2] == [one.tid, two.tid, one.tid, two.tid]


def test_tick_alone_goes_on_after_timers_and_descriptors(rig: Rig) -> None:
    log: list[str] = []
    pager = rig.add(Pager(lambda m: None if m[1] == 2 and m.frame.rax == 60 else ...))
    port = pager.port
    port.call_at(port.now_ns(), lambda: log.append("timer"))
    port.watch_fd(3, 1, lambda events: log.append("fd"))
    rig.host.make_ready(3, 1)
    rig.guest(pager, tick(rig), syscall(60))
    rig.settle()
    assert log == ["timer", "fd"]
    assert rig.host.sleeps == []


def test_tick_lets_servers_run(rig: Rig) -> None:
    log: list[str] = []

    async def busy() -> None:
        for number in range(3):
            waiter = pager.port.waiter()
            pager.port.call_at(pager.port.now_ns(), waiter.wake)
            await park(waiter)
            log.append(f"server {number}")

    pager = rig.add(Pager(lambda m: (log.append("guest"), None)[1] if m[1] == 2 and m.frame.rax == 60 else ...))
    pager.port.spawn(busy())
    rig.guest(pager, *[tick(rig)] * 5, syscall(60))
    rig.settle()
    assert log == ["server 0", "server 1", "server 2", "guest"]


def test_interrupt_asked_for_by_a_timer_at_the_tick(rig: Rig) -> None:
    pager = rig.add(Script(ok, ok))
    task = rig.guest(pager, tick(rig), syscall(1))
    pager.port.call_at(pager.port.now_ns(), lambda: pager.port.task_interrupt(task.tid))
    rig.settle()
    assert pager.kinds() == [INITIAL, INTERRUPT, SYSCALL]


def test_stop_ends_the_run_at_once(rig: Rig) -> None:
    def stop(m: Any) -> Any:
        if m[1] == 2:
            rig.kernel.stop()
            rig.kernel.on_tick()
        return ...

    pager = rig.add(Pager(stop))
    rig.guest(pager, syscall(1), syscall(1))
    rig.guest(pager, syscall(1))
    rig.settle()
    assert len(rig.cpu.runs) == 1


def test_priorities(rig: Rig) -> None:
    pager = rig.add(Pager(lambda m: None if m[1] == 2 and m.frame.rax == 60 else ...))
    tasks = [rig.guest(pager, tick(rig, syscall(1)), syscall(60)) for _ in range(3)]
    tasks[2].priority = 3
    tasks[1].priority = 5
    rig.kernel.prioritised = True
    rig.settle()
    a, b, c = (task.tid for task in tasks)
    assert [m.task for m in pager.got if m[1] == 2] == [c, c, b, b, a, a]


def test_generation_and_root_reach_the_cpu(rig: Rig) -> None:
    pager = rig.add(Pager(lambda m: None if m[1] == 2 and m.frame.rax == 60 else ...))
    task = rig.guest(pager, syscall(1), syscall(1), syscall(60), flags=TASK_ABI_EMU)
    space = task.space
    assert space is not None
    new = pager.port.new_space()

    def switch(m: Any) -> Any:
        if m[1] == 2 and len(rig.cpu.runs) == 1:
            space.generation += 1
        elif m[1] == 2 and len(rig.cpu.runs) == 2:
            pager.port.set_space(m.task, new)
        return None if m.frame.rax == 60 else ...

    pager.answer = switch
    root, generation = space.root, space.generation
    rig.settle()
    assert rig.cpu.runs == [(root, generation), (root, generation + 1), (new.root, new.generation)]
