"""Messages between tasks that receive explicitly: the rules of the seed's kernel, and its evident intentions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl.codes import (
    ERR_ABORTED,
    ERR_EMPTY,
    ERR_INVALID_ARG,
    ERR_INVALID_TASK,
    ERR_NOT_ACCEPTABLE,
    ERR_NOT_FOUND,
    ERR_WOULD_BLOCK,
)
from linuxemu.kernel import Port, Server, park, rpc
from linuxemu.kernel.ipc import MAX_TASKS
from linuxemu.kernel.server import NOTIFY_ABORTED, NOTIFY_ASYNC, NOTIFY_IRQ, NOTIFY_TIMER
from linuxemu.messages import Async, Notifications, clock, fs, task
from tests.unit.kernel_rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE, TWO, THREE = clock.Gettime(1), clock.Gettime(2), clock.Gettime(3)
ANSWER = clock.GettimeReply(99)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


@pytest.fixture
def a(rig: Rig) -> Port:
    return rig.port()


@pytest.fixture
def b(rig: Rig) -> Port:
    return rig.port()


@pytest.fixture
def c(rig: Rig) -> Port:
    return rig.port()


# -- argument checks ----------------------------------------------------------------------------------


def test_send_to_nobody_and_to_oneself(rig: Rig, a: Port) -> None:
    for dst in (0, -1, 999, MAX_TASKS + 1):
        assert rig.code(a.send(dst, ONE)) == ERR_INVALID_TASK
        assert rig.code(a.call(dst, ONE)) == ERR_INVALID_TASK
    assert rig.code(a.send(a.task, ONE)) == ERR_INVALID_ARG
    assert rig.code(a.call(a.task, ONE)) == ERR_INVALID_ARG


def test_receive_from_an_id_out_of_range(rig: Rig, a: Port) -> None:
    for src in (-1, MAX_TASKS + 1):
        assert rig.code(a.receive(src)) == ERR_INVALID_ARG
        assert rig.code(a.receive(src, block=False)) == ERR_INVALID_ARG


# -- send and receive ---------------------------------------------------------------------------------


def test_send_waits_for_a_receiver(rig: Rig, a: Port, b: Port) -> None:
    sending = rig.start(a.send(b.task, ONE))
    rig.settle()
    assert not sending.done
    assert rig.run(b.receive()) == (a.task, ONE)
    rig.settle()
    assert sending.result() is None


def test_receive_waits_for_a_sender(rig: Rig, a: Port, b: Port) -> None:
    receiving = rig.start(b.receive())
    rig.settle()
    assert not receiving.done
    sending = rig.start(a.send(b.task, ONE))
    assert sending.done  # nothing to wait for
    rig.settle()
    assert receiving.result() == (a.task, ONE)


def test_senders_are_served_in_order(rig: Rig, a: Port, b: Port, c: Port) -> None:
    for port, message in ((a, ONE), (c, TWO), (a, THREE)):
        rig.start(port.send(b.task, message))
    assert [rig.run(b.receive()) for _ in range(3)] == [(a.task, ONE), (c.task, TWO), (a.task, THREE)]


def test_closed_receive_takes_only_its_sender(rig: Rig, a: Port, b: Port, c: Port) -> None:
    rig.start(c.send(b.task, TWO))
    receiving = rig.start(b.receive(a.task))
    rig.settle()
    assert not receiving.done
    assert rig.code(c.send(b.task, THREE, block=False)) == ERR_WOULD_BLOCK
    rig.run(a.send(b.task, ONE, block=False))
    assert receiving.result() == (a.task, ONE)
    assert rig.run(b.receive(c.task)) == (c.task, TWO)


def test_send_without_waiting(rig: Rig, a: Port, b: Port) -> None:
    assert rig.code(a.send(b.task, ONE, block=False)) == ERR_WOULD_BLOCK
    receiving = rig.start(b.receive())
    rig.run(a.send(b.task, TWO, block=False))
    assert receiving.result() == (a.task, TWO)


def test_receive_without_waiting_takes_a_queued_sender(rig: Rig, a: Port, b: Port) -> None:
    assert rig.code(b.receive(block=False)) == ERR_WOULD_BLOCK
    sending = rig.start(a.send(b.task, ONE))
    assert rig.code(b.receive(999, block=False)) == ERR_WOULD_BLOCK
    assert rig.run(b.receive(block=False)) == (a.task, ONE)
    rig.settle()
    assert sending.done


def test_a_receiver_that_was_served_takes_no_second_message(rig: Rig, a: Port, b: Port) -> None:
    receiving = rig.start(b.receive())
    rig.start(a.send(b.task, ONE))
    second = rig.start(a.send(b.task, TWO))  # before the receiver could run
    rig.settle()
    assert receiving.result() == (a.task, ONE)
    assert not second.done
    assert rig.run(b.receive()) == (a.task, TWO)


# -- call ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("receiver_first", [False, True])
def test_call(rig: Rig, a: Port, b: Port, receiver_first: bool) -> None:
    async def serve() -> tuple[int, Any]:
        src, message = await b.receive()
        await b.send(src, ANSWER, block=False)  # the caller receives already
        return src, message

    if receiver_first:
        serving, calling = rig.start(serve()), rig.start(a.call(b.task, ONE))
    else:
        calling, serving = rig.start(a.call(b.task, ONE)), rig.start(serve())
    rig.settle()
    assert serving.result() == (a.task, ONE)
    assert calling.result() == ANSWER


def test_caller_hears_only_the_called(rig: Rig, a: Port, b: Port, c: Port) -> None:
    calling = rig.start(a.call(b.task, ONE))
    assert rig.run(b.receive()) == (a.task, ONE)
    assert rig.code(c.send(a.task, TWO, block=False)) == ERR_WOULD_BLOCK
    a_notified = rig.kernel.tasks[a.task]
    c.notify(a.task, NOTIFY_IRQ)
    assert not calling.done
    rig.run(b.send(a.task, ANSWER))
    assert calling.result() == ANSWER
    assert a_notified.notifications == NOTIFY_IRQ


def test_send_and_open_receive_in_one_step(rig: Rig, a: Port, b: Port, c: Port) -> None:
    """Reply-and-receive: what waits already is taken at once, notifications first."""
    kernel = rig.kernel
    owner = kernel.tasks[b.task]
    assert rig.code(kernel.ipc_send_receive(owner, a.task, ANSWER, 0, block=False)) == ERR_WOULD_BLOCK
    rig.start(c.send(b.task, TWO))
    calling = rig.start(a.call(b.task, ONE))
    assert rig.run(b.receive(a.task)) == (a.task, ONE)
    c.notify(b.task, NOTIFY_TIMER)
    assert rig.run(kernel.ipc_send_receive(owner, a.task, ANSWER, 0, block=False)) == (0, Notifications(NOTIFY_TIMER))
    assert calling.result() == ANSWER
    assert rig.run(b.receive()) == (c.task, TWO)


def test_queued_send_and_open_receive(rig: Rig, a: Port, b: Port, c: Port) -> None:
    kernel = rig.kernel
    owner = kernel.tasks[a.task]
    both = rig.start(kernel.ipc_send_receive(owner, b.task, ONE, 0))
    rig.start(c.send(a.task, TWO))
    rig.settle()
    assert not both.done
    assert rig.run(b.receive()) == (a.task, ONE)
    assert both.result() == (c.task, TWO)
    again = rig.start(kernel.ipc_send_receive(owner, b.task, ONE, 0))
    assert rig.run(b.receive()) == (a.task, ONE)
    assert not again.done
    c.notify(a.task, NOTIFY_ABORTED)
    rig.settle()
    assert again.result() == (0, Notifications(NOTIFY_ABORTED))


def test_kernel_speaks_for_a_task(rig: Rig, a: Port, b: Port) -> None:
    """The message shows sender 0, but it is the task's: a receive from the task takes it, and the answer comes."""
    owner = rig.kernel.tasks[a.task]
    calling = rig.start(rig.kernel.ipc_send_receive(owner, b.task, ONE, b.task, kernel=True))
    assert rig.run(b.receive(a.task)) == (0, ONE)
    rig.run(b.send(a.task, ANSWER, block=False))
    assert calling.result() == (b.task, ANSWER)


# -- notifications ------------------------------------------------------------------------------------


def test_notifications_gather_until_an_open_receive(rig: Rig, a: Port, b: Port) -> None:
    a.notify(b.task, NOTIFY_TIMER)
    a.notify(b.task, NOTIFY_IRQ)
    a.notify(b.task, NOTIFY_IRQ)
    rig.start(a.send(b.task, ONE))
    assert rig.run(b.receive(block=False)) == (0, Notifications(NOTIFY_TIMER | NOTIFY_IRQ))
    assert rig.run(b.receive()) == (a.task, ONE)
    assert rig.code(b.receive(block=False)) == ERR_WOULD_BLOCK


def test_notification_ends_an_open_receive(rig: Rig, a: Port, b: Port) -> None:
    receiving = rig.start(b.receive())
    a.notify(b.task, NOTIFY_IRQ)
    a.notify(b.task, NOTIFY_ASYNC)  # too late for this message
    rig.settle()
    assert receiving.result() == (0, Notifications(NOTIFY_IRQ))
    assert rig.run(b.receive()) == (0, Notifications(NOTIFY_ASYNC))


def test_closed_receive_leaves_notifications_pending(rig: Rig, a: Port, b: Port) -> None:
    receiving = rig.start(b.receive(a.task))
    a.notify(b.task, NOTIFY_IRQ)
    rig.settle()
    assert not receiving.done
    rig.run(a.send(b.task, ONE))
    assert rig.run(b.receive()) == (0, Notifications(NOTIFY_IRQ))


def test_notify_nobody(a: Port) -> None:
    with pytest.raises(RpcError) as error:
        a.notify(999, 1)
    assert error.value.code == ERR_INVALID_TASK


# -- death --------------------------------------------------------------------------------------------


def test_queued_sender_of_a_dead_task_is_aborted(rig: Rig, a: Port, b: Port, c: Port) -> None:
    jobs = [rig.start(a.send(b.task, ONE)), rig.start(c.call(b.task, TWO))]
    c.task_destroy(b.task)
    rig.settle()
    assert [job.code() for job in jobs] == [ERR_ABORTED] * 2


def test_waiting_caller_of_a_dead_task_is_aborted(rig: Rig, a: Port, b: Port, c: Port) -> None:
    calling = rig.start(a.call(b.task, ONE))
    receiving = rig.start(c.receive(b.task))
    assert rig.run(b.receive()) == (a.task, ONE)
    c.task_destroy(b.task)
    rig.settle()
    assert (calling.code(), receiving.code()) == (ERR_ABORTED, ERR_ABORTED)
    assert not rig.kernel._closed


def test_a_dead_task_sends_and_receives_no_more(rig: Rig, a: Port, b: Port, c: Port) -> None:
    sending, receiving = rig.start(a.send(b.task, ONE)), rig.start(a.receive())
    calling = rig.start(a.call(b.task, TWO))
    c.task_destroy(a.task)
    rig.settle()
    assert [job.code() for job in (sending, receiving, calling)] == [ERR_ABORTED] * 3
    assert rig.code(b.receive(block=False)) == ERR_WOULD_BLOCK
    assert not rig.kernel.tasks[b.task].senders


def test_answer_to_a_dead_caller(rig: Rig, a: Port, b: Port, c: Port) -> None:
    rig.start(a.call(b.task, ONE))
    assert rig.run(b.receive()) == (a.task, ONE)
    c.task_destroy(a.task)
    assert rig.code(b.send(a.task, ANSWER, block=False)) == ERR_INVALID_TASK


def test_open_receive_outlives_everybody(rig: Rig, a: Port, b: Port, c: Port) -> None:
    receiving = rig.start(a.receive())
    c.task_destroy(b.task)
    rig.settle()
    assert not receiving.done
    rig.run(c.send(a.task, ONE))
    assert receiving.result() == (c.task, ONE)


# -- servers ------------------------------------------------------------------------------------------


class Clock(Server):
    """Answers clock.Gettime, keeps fs.Close as a one-way message."""

    def __init__(self) -> None:
        super().__init__()
        self.closed: list[tuple[int, int]] = []
        self.bits: list[int] = []
        self.notify_super = False

    @rpc(clock.Gettime)
    async def gettime(self, src: int, m: clock.Gettime) -> clock.GettimeReply:
        if m.clock < 0:
            raise RpcError(ERR_NOT_FOUND)
        if m.clock:
            waiter = self.port.waiter()
            waiter.wake()
            await park(waiter)
        return clock.GettimeReply(m.clock * 10)

    @rpc(task.Exited)
    async def exited(self, src: int, m: task.Exited) -> None:
        if m.task < 0:
            raise RpcError(ERR_NOT_FOUND)
        self.closed.append((src, m.task))

    async def notified(self, bits: int) -> None:
        self.bits.append(bits)
        await super().notified(bits)


@pytest.fixture
def server(rig: Rig) -> Any:
    return rig.add(Clock())


def test_call_of_a_server(rig: Rig, a: Port, server: Clock) -> None:
    for number in (0, 1):
        assert rig.run(a.call(server.port.task, clock.Gettime(number))) == clock.GettimeReply(number * 10)
    assert rig.code(a.call(server.port.task, clock.Gettime(-1))) == ERR_NOT_FOUND
    assert rig.code(a.call(server.port.task, fs.Close(1))) == ERR_NOT_ACCEPTABLE


def test_send_to_a_server_and_receive_its_answer(rig: Rig, a: Port, server: Clock) -> None:
    async def exchange(number: int) -> Any:
        await a.send(server.port.task, clock.Gettime(number))
        return await a.receive(server.port.task)

    assert rig.run(exchange(1)) == (server.port.task, clock.GettimeReply(10))

    async def refused() -> Any:
        waiting = rig.start(a.receive(server.port.task))
        await a.send(server.port.task, clock.Gettime(-1))
        return waiting

    waiting = rig.run(refused())
    assert waiting.code() == ERR_NOT_FOUND
    rig.run(a.send(server.port.task, clock.Gettime(1)))  # its answer finds nobody, as a non-blocking send


def test_post_does_not_wait_and_hears_nothing(rig: Rig, a: Port, b: Port, server: Clock) -> None:
    a.post(server.port.task, task.Exited(5))
    a.post(server.port.task, task.Exited(-1))
    a.post(server.port.task, fs.Close(5))
    a.post(b.task, ONE)
    rig.settle()
    assert server.closed == [(a.task, 5)]
    assert rig.run(b.receive()) == (a.task, ONE)
    a.post(b.task, ONE)
    a.task_destroy(b.task)
    rig.settle()
    with pytest.raises(RpcError) as error:
        a.post(b.task, ONE)
    assert error.value.code == ERR_INVALID_TASK


def test_notifications_of_a_server_come_together_and_later(rig: Rig, a: Port, server: Clock) -> None:
    a.notify(server.port.task, NOTIFY_TIMER)
    a.notify(server.port.task, NOTIFY_IRQ)
    assert server.bits == []
    rig.settle()
    a.notify(server.port.task, NOTIFY_IRQ)
    rig.settle()
    assert server.bits == [NOTIFY_TIMER | NOTIFY_IRQ, NOTIFY_IRQ]


def test_no_notification_for_a_dead_server(rig: Rig, a: Port, server: Clock) -> None:
    a.notify(server.port.task, NOTIFY_TIMER)
    a.task_destroy(server.port.task)
    rig.settle()
    assert server.bits == []


def test_async_messages_are_fetched_in_order(rig: Rig, server: Clock) -> None:
    sender = rig.add(Clock())
    for number in (1, 2, 3):
        sender.port.async_send(server.port.task, task.Exited(number))
    assert server.closed == []
    rig.settle()
    assert server.closed == [(sender.port.task, number) for number in (1, 2, 3)]
    assert server.bits == [NOTIFY_ASYNC]
    assert sender.port.outbox == {server.port.task: sender.port.outbox[server.port.task]}
    assert not sender.port.outbox[server.port.task]


def test_async_message_that_is_refused_does_not_stop_the_others(rig: Rig, server: Clock) -> None:
    sender = rig.add(Clock())
    for message in (task.Exited(-1), fs.Close(1), task.Exited(2)):
        sender.port.async_send(server.port.task, message)
    rig.settle()
    assert server.closed == [(sender.port.task, 2)]


def test_async_pull_with_nothing_queued_is_answered(rig: Rig, a: Port, server: Clock) -> None:
    assert rig.code(a.call(server.port.task, Async())) == ERR_EMPTY


def test_async_sender_is_gone_before_the_pull(rig: Rig, a: Port, server: Clock) -> None:
    sender = rig.add(Clock())
    sender.port.async_send(server.port.task, task.Exited(1))
    a.task_destroy(sender.port.task)
    rig.settle()
    assert server.closed == []
    with pytest.raises(RpcError):
        sender.port.async_send(999, task.Exited(1))


def test_server_without_handlers_answers(rig: Rig, a: Port) -> None:
    server = rig.add(Server())
    assert rig.code(a.call(server.port.task, ONE)) == ERR_NOT_ACCEPTABLE
