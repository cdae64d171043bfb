"""Target `native`: tasks of the microkernel itself, whose system calls have arguments of any kind."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeAlias

from linuxemu.arch.x86_64 import PTE_ADDRESS, PTE_PRESENT, PTE_USER, PTE_WRITABLE
from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NO_MEMORY
from linuxemu.kernel import Server, rpc
from linuxemu.kernel.task import TASK_ALL_CAPS
from linuxemu.messages import MESSAGE_SIZE, Exception_, PageFault, PageFaultReply
from tools.fuzzing.messages import Messages, any_message, boot
from tools.fuzzing.mutate import mutated
from tools.fuzzing.target import Case, failure_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from linuxemu.kernel import Kernel
    from linuxemu.kernel.task import Task
    from linuxemu.messages import Message

    Known: TypeAlias = dict[int, list[type[Message]]]
    """Server -> what it knows."""

_PAGE = 4096
_ENTRY, _TABLE, _DATA, _NOTHING = 0x1000, 0x20_0000, 0x30_0000, 1 << 30
_RW = PTE_PRESENT | PTE_USER | PTE_WRITABLE
_CODE = bytes.fromhex(
    "48c7c300002000"  # mov $_TABLE, %rbx
    "488b3b"  # mov (%rbx), %rdi
    "488b7308488b5310"  # mov 8(%rbx), %rsi; mov 16(%rbx), %rdx
    "4c8b5318"  # mov 24(%rbx), %r10
    "4c8b43204c8b4b28"  # mov 32(%rbx), %r8; mov 40(%rbx), %r9
    "4883c330"  # add $48, %rbx
    "0f05"  # syscall
    "ebe1"  # to the first load
)
"""Makes the calls of the table, one after the other, whatever they answer."""
_FIELDS = 6
_TASKS = 3
_FIRST_TASK = 60
_PER_CASE = 120
_IPC, _EXIT, _LAST = 3, 10, 18
_RECV, _CALL, _NOBLOCK = 2, 3, 4
_POKES = 40
_POKE_NS = 10**6
"""Who receives from anybody gets notifications so often, that it goes on."""
_NUMBERS = (
    0, 1, 2, 3, 7, 8, 255, 256, 4095, 4096, 1 << 31, (1 << 32) - 1, 1 << 47, (1 << 47) - 4096, 0xFFFF_8000_0000_0000,
    (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 4096,
)  # fmt: skip


class Native(Messages):
    """Native tasks on the emulated CPU, and the servers of a machine to which they can send anything."""

    name = "native"
    unit = "system calls"

    def cases(self, random: Random, count: int) -> Iterator[Case]:
        """Systems with a few tasks each, some of which have all rights."""
        while count > 0:
            calls = min(_PER_CASE, -(-count // _TASKS))
            rights = [random.random() < 0.5 for _ in range(_TASKS)]
            yield {"seed": random.getrandbits(32), "first": 0, "count": calls, "rights": rights}
            count -= calls * _TASKS

    def run(self, case: Case) -> int:
        """Boot, let the tasks run to their ends or until all of them wait, and shut down."""
        from random import Random

        session = boot(self.base)
        kernel = session.kernel
        try:
            pager = Pager(kernel.tasks)
            kernel.add_server(pager)
            known = {task.tid: list(task.server.table) for task in kernel.tasks.values() if task.server is not None}
            for number, allowed in enumerate(case["rights"]):
                pages = self._program(Random(case["seed"] + number), case, known)
                pager.begin(_FIRST_TASK + number, pages, TASK_ALL_CAPS if allowed else 0)
            for number in range(_POKES):
                kernel.timers.add(session.now_ns() + (number + 1) * _POKE_NS, lambda: _poke(kernel))
            kernel.timers.add(session.now_ns() + (_POKES + 1) * _POKE_NS, kernel.stop)
            kernel.run()
        finally:
            session.close()
            self.failures += [failure_of(error, "in the kernel or a server") for error in kernel.errors]
        return int(case["count"]) * len(case["rights"])

    def _program(self, random: Random, case: Case, known: Known) -> bytes:
        """The table, and behind it the data from `_DATA` on."""
        table, data = b"", b""
        for number in range(case["first"] + case["count"]):
            server = random.choice(list(known))
            kinds = known[server] if known[server] and random.random() < 0.8 else self.classes
            message = any_message(random, random.choice(kinds), {})
            raw = message.pack(random.randrange(64), _DATA + random.randrange(2 * _PAGE))
            raw = mutated(random, raw, [raw], 32) if random.random() < 0.3 else raw
            where = _DATA + len(data)
            data += raw[:MESSAGE_SIZE].ljust(MESSAGE_SIZE, b"\0")
            call = struct.pack("<6Q", *_arguments(random, where, server, list(known)))
            table += call if number >= case["first"] else b""
        table += struct.pack("<6Q", _EXIT, *[0] * (_FIELDS - 1))
        return table.ljust(_DATA - _TABLE, b"\0") + data


class Pager(Server):
    """Gives tasks the memory that they touch, as long as it is theirs.

    Args:
        tasks: those of the kernel.
    """

    def __init__(self, tasks: dict[int, Task]) -> None:
        super().__init__()
        self.tasks = tasks
        self._pages: dict[int, bytes] = {}

    def begin(self, task: int, program: bytes, rights: int) -> None:
        """Make a task and let it run.

        Args:
            task: its id.
            program: what it finds from `_TABLE` on.
            rights: TASK_* flags.
        """
        self._pages[task] = program
        self.port.task_create(task, f"native{task}", _ENTRY, self.port.task, rights)
        self.port.task_start(task)

    @rpc(PageFault)
    async def page_fault(self, src: int, m: PageFault) -> PageFaultReply:
        """Map a page: code, table, data or zeros."""
        task = self.tasks.get(m.task)
        program = self._pages.get(m.task)
        if src or task is None or task.space is None or program is None or m.vaddr >= _NOTHING:
            raise RpcError(ERR_NO_MEMORY)
        page = m.vaddr & -_PAGE
        if task.space.entry(page) & PTE_PRESENT:
            raise RpcError(ERR_NO_MEMORY)  # it may not be written
        task.space.map(page, self.port.frames.alloc_zeroed(), _RW)
        at = task.space.entry(page) & PTE_ADDRESS
        content = _CODE if page == _ENTRY else program[max(page - _TABLE, 0) :][:_PAGE] if page >= _TABLE else b""
        self.port.frames.ram.data[at : at + len(content)] = content
        return PageFaultReply()

    @rpc(Exception_)
    async def exception(self, src: int, m: Exception_) -> None:
        """A task has ended."""


def _poke(kernel: Kernel) -> None:
    for number in range(_TASKS):
        if _FIRST_TASK + number in kernel.tasks:
            kernel.notify(_FIRST_TASK + number, 0x80)


def _arguments(random: Random, message: int, server: int, servers: list[int]) -> list[int]:
    """The number of a call and its arguments, the message being for a server."""
    number = _IPC if random.random() < 0.6 else random.randrange(_LAST)
    if number == _EXIT:
        number = 0
    if number == _IPC and random.random() < 0.8:
        return [_IPC, server, server, message, _CALL, 0]
    if number == _IPC and random.random() < 0.8:
        return [_IPC, _task(random, servers), _task(random, servers), message, random.getrandbits(4) | _NOBLOCK, 0]
    if number == _IPC:
        return [_IPC, _task(random, servers), 0, message, random.choice((_RECV, _CALL)), 0]
    return [number, *(_word(random, message, servers) for _ in range(_FIELDS - 1))]


def _task(random: Random, servers: list[int]) -> int:
    own = range(_FIRST_TASK, _FIRST_TASK + _TASKS + 1)
    return random.choice(servers if random.random() < 0.8 else own)


def _word(random: Random, message: int, servers: list[int]) -> int:
    kind = random.random()
    if kind < 0.25:
        return _task(random, servers)
    if kind < 0.5:
        return message & random.choice((-1, -_PAGE))
    if kind < 0.7:
        return random.randrange(20)
    return random.choice(_NUMBERS) if random.random() < 0.8 else random.getrandbits(64)
