"""The microkernel's own system calls, for tasks without TASK_ABI_EMU: numbers, arguments and errors of the seed.

A native task puts the number in rdi, the arguments in rsi, rdx, r10, r8 and r9, and finds the result in rax. What
needs a device of the machine goes to attributes that the machine may set (`write_console`, `console_input`); interrupt
lines have owners, and `raise_irq` notifies them. Nothing here is on the path of a Linux task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.arch.x86_64 import (
    FAULT_PRESENT,
    FAULT_USER,
    FAULT_WRITE,
    PTE_ACCESSED,
    PTE_ADDRESS,
    PTE_DIRTY,
    PTE_PRESENT,
    PTE_USER,
    PTE_WRITABLE,
)
from linuxemu.cpu.base import INTERRUPT, SYSCALL
from linuxemu.errors import RpcError
from linuxemu.idl.codes import (
    ERR_ABORTED,
    ERR_ALREADY_EXISTS,
    ERR_INVALID_ARG,
    ERR_INVALID_TASK,
    ERR_NOT_ACCEPTABLE,
    ERR_NOT_FOUND,
    ERR_NOT_PERMITTED,
    ERR_TOO_LARGE,
    ERR_TOO_SMALL,
)
from linuxemu.kernel.ipc import MAX_TASKS
from linuxemu.kernel.server import NOTIFY_IRQ
from linuxemu.kernel.task import DEAD, DEFAULT_PRIORITY, PRIORITIES
from linuxemu.kernel.traps import (
    EXCEPTION_GRACE_EXIT,
    EXCEPTION_INVALID_MEMORY_ACCESS,
    EXCEPTION_INVALID_MSG_FROM_PAGER,
)
from linuxemu.kernel.wire import Raw, as_bytes, as_message
from linuxemu.messages import MESSAGE_SIZE, PageFault, PageFaultReply

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from linuxemu.kernel.kernel import Kernel
    from linuxemu.kernel.task import Task
    from linuxemu.messages import Message

    Handler = Callable[..., Coroutine[Any, Any, int]]

IPC_SEND, IPC_RECV, IPC_NOBLOCK, IPC_KERNEL = 1, 2, 4, 8
_PAGE = 4096
_KERNEL_HALF = 0xFFFF_8000_0000_0000
_USER_HALF = 1 << 47
_CONSOLE_MAX, _COMMAND_MAX, _OUTPUT_MAX, _NAME_SIZE = 1024, 127, 511, 15
_LOG_SIZE = 1024
_IRQS = 256
_MASK = (1 << 64) - 1
_OOL_MAX = 1 << 20


class _Fatal(Exception):
    """The caller has done what ends it: the value is the exception for its pager."""


def _int(value: int) -> int:
    """The low half of a register as a C int."""
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value


class NativeCalls:
    """Runs native tasks and serves their system calls.

    Args:
        kernel: the kernel.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._irqs: dict[int, int] = {}
        self.log = bytearray()
        """The last bytes that tasks wrote to the console; kernel debug command `_log` takes them."""
        self.write_console: Callable[[bytes], object] = lambda data: None
        self.console_input = bytearray()
        """What was typed at the console and not read yet."""

    # -- running --------------------------------------------------------------------------------------

    def run(self, task: Task) -> None:
        """Run a native task until it blocks, dies or has to make room for others."""
        kernel = self._kernel
        cpu, now = kernel.cpu, kernel.host.now_ns
        left = now()
        while True:
            assert task.state is not None and task.space is not None
            kind = cpu.run(task.space.root, task.space.generation, task.state)
            entered = now()
            task.user_ns += entered - left
            if kind == SYSCALL:
                frame = cpu.frame(task.state)
                number, *arguments = frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9
                if not kernel.drive(task, self._call(task, number, arguments), self._called):
                    return
            elif kind != INTERRUPT and not kernel.serve_fault(task, kind):
                return
            left = now()
            task.sys_ns += left - entered
            if kernel.tick and kernel.must_yield(task):
                return

    async def _call(self, task: Task, number: int, arguments: list[int]) -> int:
        handler = _CALLS.get(number)
        if handler is None:
            return ERR_INVALID_ARG
        count = handler.__code__.co_argcount - 2
        try:
            return await handler(self, task, *arguments[:count])
        except RpcError as error:
            return error.code

    def _called(self, task: Task, result: Any, error: BaseException | None, queue: bool) -> None:
        """A system call is over: load its result, or tell the pager of the end."""
        kernel = self._kernel
        if task.status is DEAD:
            return
        if isinstance(error, _Fatal):
            kernel.die(task, error.args[0])
        elif error is not None:
            kernel.errors.append(error)
            kernel.die(task, EXCEPTION_INVALID_MEMORY_ACCESS)
        else:
            assert task.state is not None
            frame = kernel.cpu.frame(task.state)
            kernel.cpu.set_frame(task.state, frame.with_rax(result & _MASK))
            if queue:
                kernel.runnable.append(task)

    def bind_pager(self, task: Task, pager: int) -> None:
        """Let a native task be the pager of another: the kernel's messages to it are real messages."""
        kernel = self._kernel

        async def call(_: int, message: Message) -> Message | None:
            answer = await kernel.ipc_send_receive(task, pager, message, pager, kernel=True)
            return as_message(answer[1], b"")

        async def tell(_: int, message: Message) -> None:
            await kernel.ipc_send(task, pager, message, kernel=True)

        task.on_hook = call if task.flags & 2 else None
        task.on_fault = call
        task.on_exception = tell

    # -- the caller's memory --------------------------------------------------------------------------

    async def _page(self, task: Task, address: int, write: bool) -> int:
        """Guest-physical address of a byte of the caller's memory, which its pager provides if need be."""
        assert task.space is not None and task.state is not None
        while True:
            entry = task.space.entry(address) if address < _USER_HALF else 0
            if entry & PTE_PRESENT and (not write or entry & PTE_WRITABLE):
                if write:
                    task.space.mark(address, PTE_DIRTY)
                return (entry & PTE_ADDRESS) + address % _PAGE
            fault = FAULT_USER | (FAULT_WRITE if write else 0) | (FAULT_PRESENT if entry & PTE_PRESENT else 0)
            if task.on_fault is None:
                raise _Fatal(EXCEPTION_INVALID_MSG_FROM_PAGER)
            ip = self._kernel.cpu.frame(task.state).rip
            try:
                reply = await task.on_fault(0, PageFault(task.tid, address, ip, fault))
            except RpcError:
                reply = None
            if type(reply) is not PageFaultReply:
                raise _Fatal(EXCEPTION_INVALID_MSG_FROM_PAGER)
            task.space.generation += 1

    @staticmethod
    def _pieces(address: int, length: int) -> list[tuple[int, int]]:
        """Parts of a buffer that lie in one page each; one that touches the kernel's half ends the caller."""
        if address + length > _KERNEL_HALF:
            raise _Fatal(EXCEPTION_INVALID_MEMORY_ACCESS)
        pieces = []
        while length:
            step = min(length, _PAGE - address % _PAGE)
            pieces.append((address, step))
            address, length = address + step, length - step
        return pieces

    async def _read(self, task: Task, address: int, length: int) -> bytes:
        data = self._kernel.frames.ram.data
        parts = []
        for start, step in self._pieces(address, length):
            at = await self._page(task, start, False)
            parts.append(bytes(data[at : at + step]))
        return b"".join(parts)

    async def _write(self, task: Task, address: int, content: bytes) -> None:
        frames = self._kernel.frames
        done = 0
        for start, step in self._pieces(address, len(content)):
            at = await self._page(task, start, True)
            frames.ram.data[at : at + step] = content[done : done + step]
            frames.changed(at >> 12)
            done += step

    # -- the calls ------------------------------------------------------------------------------------

    @staticmethod
    def _need_caps(task: Task) -> None:
        if not task.all_caps:
            raise RpcError(ERR_NOT_PERMITTED)

    async def nop(self, task: Task) -> int:
        """1: nothing."""
        return 0

    async def kdebug(self, task: Task, command: int, length: int, out: int, size: int) -> int:
        """2: the kernel's debug commands: none, `help`, `ps`, `q` (stop the machine), `_log`."""
        self._need_caps(task)
        if length >= _COMMAND_MAX or size >= _OUTPUT_MAX:
            return ERR_TOO_LARGE
        words = (await self._read(task, command, length)).partition(b"\0")[0]
        if words == b"q":
            self._kernel.stop()
            return 0
        if words == b"_log":
            if not size:
                return ERR_TOO_SMALL
            text, self.log = bytes(self.log[: size - 1]), self.log[size - 1 :]
        elif words == b"ps":
            tasks = self._kernel.tasks.values()
            text = "".join(f"#{t.tid} {t.name}: {t.status}, pager {t.pager}\n" for t in tasks).encode()
        elif words in (b"", b"help"):
            text = b"help ps q _log\n" if words else b""
        else:
            return ERR_NOT_FOUND
        if size:
            await self._write(task, out, text[: size - 1] + b"\0")
        return 0

    async def ipc(self, task: Task, dst: int, src: int, address: int, flags: int) -> int:
        """3: send, receive, or both in one step; see `linuxemu.kernel.ipc`."""
        dst, src = _int(dst), _int(src)
        if flags & IPC_KERNEL or not 0 <= src <= MAX_TASKS:
            return ERR_INVALID_ARG
        if flags & IPC_SEND:
            if dst not in self._kernel.tasks:
                return ERR_INVALID_TASK
            if dst == task.tid:
                return ERR_INVALID_ARG
        elif not flags & IPC_RECV:
            return 0
        block = not flags & IPC_NOBLOCK
        received: tuple[int, Message]
        if flags & IPC_SEND:
            data = await self._read(task, address, MESSAGE_SIZE)
            exchanged = await self._exchange(task, dst, src if flags & IPC_RECV else None, Raw(data), block)
            if exchanged is None:
                return 0
            received = exchanged
        else:
            received = await self._kernel.ipc_receive(task, src, block=block)
        await self._write(task, address, as_bytes(received[1], received[0]))
        return 0

    async def _exchange(
        self, task: Task, dst: int, src: int | None, raw: Raw, block: bool
    ) -> tuple[int, Message] | None:
        """Send a message and receive what comes from `src` (None: do not receive)."""
        kernel = self._kernel
        target = kernel.tasks[dst]
        message: Message = raw
        if target.server is not None:
            message = await self._for_server(task, raw)
            if src == dst:
                reply = await self._ask_server(task, target, message)
                if reply is not None:
                    return dst, reply
                return await kernel.ipc_receive(task, src, block=block)  # it never answers such a message
        if src is None:
            await kernel.ipc_send(task, dst, message, block=block)
            return None
        return await kernel.ipc_send_receive(task, dst, message, src, block=block)

    async def _for_server(self, task: Task, raw: Raw) -> Message:
        """A message for a server that takes objects; a payload is read where the sender has it."""
        payload = None
        if raw.has_payload:
            address, length = raw.payload
            if length > _OOL_MAX:
                raise RpcError(ERR_TOO_LARGE)
            payload = await self._read(task, address, length)
        message = as_message(raw, payload)
        if isinstance(message, Raw):
            raise RpcError(ERR_NOT_ACCEPTABLE)
        return message

    async def _ask_server(self, task: Task, target: Task, message: Message) -> Message | None:
        """Call a server; its error word arrives as a message of that type, as the seed's servers send it.

        None for a message that gets no reply.
        """
        assert task.port is not None
        try:
            reply: Message | None = await task.port.call(target.tid, message)
        except RpcError as error:
            if error.code == ERR_ABORTED and target.status is DEAD:
                raise
            return Raw.error(error.code)
        return reply

    async def notify(self, task: Task, dst: int, bits: int) -> int:
        """4: notification bits for any task."""
        self._kernel.notify(_int(dst), bits & 0xFF)
        return 0

    async def timer_set(self, task: Task, milliseconds: int) -> int:
        """5: one NOTIFY_TIMER after this time; 0 disarms."""
        self._kernel.set_timer(task, _int(milliseconds))
        return 0

    async def console_write(self, task: Task, address: int, length: int) -> int:
        """6: text for the console and the kernel's log."""
        if length > _CONSOLE_MAX:
            return ERR_TOO_LARGE
        text = await self._read(task, address, length)
        self.log = (self.log + text)[-_LOG_SIZE:]
        self.write_console(text)
        return 0

    async def console_read(self, task: Task, address: int, size: int) -> int:
        """7: what was typed, NUL-terminated; returns its length and never waits."""
        if not size:
            return 0
        text = bytes(self.console_input[: size - 1]).replace(b"\r", b"\n")
        await self._write(task, address, text + b"\0")
        del self.console_input[: len(text)]
        return len(text)

    async def task_create(self, task: Task, tid: int, name: int, ip: int, pager: int, flags: int) -> int:
        """8: a task that runs at once."""
        self._need_caps(task)
        kernel = self._kernel
        kernel.check_new_task(task, _int(tid), _int(pager))
        text = (await self._read(task, name, _NAME_SIZE)).partition(b"\0")[0].decode(errors="replace")
        created = kernel.task_create(task, _int(tid), text, ip, _int(pager), flags & 0xFFFF_FFFF)
        kernel.task_start(created, None)
        return 0

    async def task_destroy(self, task: Task, tid: int) -> int:
        """9: end another task; its interrupt lines are free again."""
        self._need_caps(task)
        self._kernel.task_destroy(task, _int(tid))
        return 0

    def drop(self, task: Task) -> None:
        """A task has ended."""
        for irq in [irq for irq, owner in self._irqs.items() if owner == task.tid]:
            del self._irqs[irq]

    async def task_exit(self, task: Task) -> int:
        """10: the end; the pager is told."""
        raise _Fatal(EXCEPTION_GRACE_EXIT)

    async def task_self(self, task: Task) -> int:
        """11: the caller's id."""
        return task.tid

    async def task_schedule(self, task: Task, tid: int, priority: int) -> int:
        """12: set a task's priority, 0 being the most urgent."""
        self._need_caps(task)
        target = self._kernel.tasks.get(_int(tid))
        if target is None or target is task:
            return ERR_INVALID_TASK
        if not 0 <= _int(priority) < PRIORITIES:
            return ERR_INVALID_ARG
        target.priority = _int(priority)
        self._kernel.prioritised = self._kernel.prioritised or target.priority != DEFAULT_PRIORITY
        return 0

    async def vm_map(self, task: Task, tid: int, vaddr: int, src: int, kpage: int, flags: int) -> int:
        """13: give a task a page of the caller's; page tables are the kernel's business, so `kpage` is not used."""
        self._need_caps(task)
        if (vaddr | src | kpage) % _PAGE:
            return ERR_INVALID_ARG
        assert task.space is not None
        entry = task.space.entry(src) if src < _USER_HALF else 0
        if not entry & PTE_PRESENT or kpage >= _USER_HALF or not task.space.entry(kpage) & PTE_PRESENT:
            return ERR_NOT_FOUND
        target = self._kernel.tasks.get(_int(tid))
        if target is None:
            return ERR_INVALID_TASK
        if vaddr >= _USER_HALF or target.server is not None:
            return ERR_NOT_ACCEPTABLE
        if target.space is None:
            self._kernel.set_space(target, self._kernel.new_space())
            assert target.space is not None
        bits = PTE_PRESENT | PTE_USER | PTE_ACCESSED | (PTE_WRITABLE if flags & 3 == 2 else 0)
        target.space.map(vaddr, (entry & PTE_ADDRESS) >> 12, bits)
        return 0

    async def vm_unmap(self, task: Task, tid: int, vaddr: int) -> int:
        """14: take a page away from a task."""
        self._need_caps(task)
        if vaddr % _PAGE:
            return ERR_INVALID_ARG
        target = self._kernel.tasks.get(_int(tid))
        if target is None:
            return ERR_INVALID_TASK
        if target.space is None or vaddr >= _USER_HALF or not target.space.entry(vaddr):
            return ERR_NOT_FOUND
        target.space.unmap(vaddr, vaddr + _PAGE)
        return 0

    async def irq_acquire(self, task: Task, irq: int) -> int:
        """15: own an interrupt line: NOTIFY_IRQ comes for it."""
        self._need_caps(task)
        if irq >= _IRQS:
            return ERR_INVALID_ARG
        if irq in self._irqs:
            return ERR_ALREADY_EXISTS
        self._irqs[irq] = task.tid
        return 0

    async def irq_release(self, task: Task, irq: int) -> int:
        """16: give a line back; only its owner can (the seed does not look)."""
        self._need_caps(task)
        if irq >= _IRQS:
            return ERR_INVALID_ARG
        if self._irqs.get(irq, task.tid) != task.tid:
            return ERR_NOT_PERMITTED
        self._irqs.pop(irq, None)
        return 0

    def raise_irq(self, irq: int) -> None:
        """A device of the machine wants attention."""
        if irq in self._irqs:
            self._kernel.notify(self._irqs[irq], NOTIFY_IRQ)


_CALLS: dict[int, Handler] = {
    number: getattr(NativeCalls, name)
    for number, name in enumerate(
        (
            "nop", "kdebug", "ipc", "notify", "timer_set", "console_write", "console_read", "task_create",
            "task_destroy", "task_exit", "task_self", "task_schedule", "vm_map", "vm_unmap", "irq_acquire",
            "irq_release",
        ),
        1,
    )
}  # fmt: skip
