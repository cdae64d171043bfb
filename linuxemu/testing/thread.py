"""A thread of a guest, and the system calls it makes, one at a time, as the test says."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from linuxemu.testing.stepping import AFTER_LOAD, AFTER_STORE, AFTER_SYSCALL, LOAD_AT, STORE_AT, SYSCALL_AT
from linuxemu.testing.values import Placing
from syscalls import registry
from syscalls.abi.errno import errno_name
from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.kernel.task import Task as KernelTask
    from linuxemu.messages import TrapFrame
    from linuxemu.testing.guest import Guest
    from linuxemu.testing.values import Out
    from syscalls.objects.task import Task

_ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
_MASK = (1 << 64) - 1
_MAX_ERRNO = 4095
_RT_SIGRETURN = X86_64["rt_sigreturn"]
_ENDING = ("exit", "exit_group")
_SIGINFO_SIZE = 128


class SyscallError(Exception):
    """A system call of the guest failed.

    Args:
        call: the call, as the test wrote it.
        errno: positive Linux error number.
    """

    def __init__(self, call: str, errno: int) -> None:
        super().__init__(call, errno)
        self.call = call
        self.errno = errno
        self.name = errno_name(errno)

    def __str__(self) -> str:
        return f"{self.call} = -1 {self.name}"


class TaskEnded(Exception):
    """A system call did not return, because its process or thread ended.

    Args:
        call: the call, as the test wrote it.
        signal: the signal that killed the process, None if it exited.
    """

    def __init__(self, call: str, signal: int | None) -> None:
        super().__init__(call, signal)
        self.call = call
        self.signal = signal

    def __str__(self) -> str:
        why = "its task has exited" if self.signal is None else f"signal {self.signal} killed its process"
        return f"{self.call} does not return: {why}"


class Blocked(AssertionError):
    """A call that has to end waits for something that can never happen."""


class SignalHandler:
    """A handler of the guest's: does nothing but return, and remembers with what it was called.

    Args:
        address: what stands in sa_handler.
        hold: stay in the handler until `GuestThread.sigreturn`.
    """

    def __init__(self, address: int, hold: bool) -> None:
        self.address = address
        self.hold = hold
        self.calls: list[tuple[int, bytes]] = []
        """Signal number and the 128 bytes of siginfo of each call; these are empty without SA_SIGINFO."""

    @property
    def signals(self) -> list[int]:
        """The signal numbers of its calls, in order."""
        return [signo for signo, _ in self.calls]


class Call:
    """A system call that a test started.

    Args:
        thread: who makes it.
        number: its number.
        text: the call as the test wrote it.
        outs: what is to be read back at its end.
    """

    def __init__(self, thread: GuestThread, number: int, text: str, outs: list[Out]) -> None:
        self.thread = thread
        self.number = number
        self.text = text
        self.mm = thread.t.mm
        """The memory map it began in; a successful execve has another one."""
        self.outs = outs
        """The `Out` arguments, which are read back at its end."""
        self._rax: int | None = None

    @property
    def done(self) -> bool:
        """Whether it has returned to the guest."""
        return self._rax is not None

    @property
    def gone(self) -> bool:
        """Whether its task ended in it."""
        return not self.done and self.thread.gone

    @property
    def blocked(self) -> bool:
        """Whether it waits."""
        return not self.done and not self.gone

    @property
    def returned(self) -> int:
        """What the guest found in rax as a signed number, a negative errno for an error.

        Raises:
            Blocked: it still waits.
            TaskEnded: it does not return.
        """
        __tracebackhide__ = True
        if self._rax is None:
            if self.thread.gone:
                raise TaskEnded(self.text, self.thread.signal)
            raise Blocked(f"{self.text} still waits")
        return self._rax - (1 << 64) if self._rax >> 63 else self._rax

    @property
    def errno(self) -> int:
        """The error number it failed with, 0 if it did not fail."""
        value = self.returned
        return -value if -_MAX_ERRNO <= value < 0 else 0

    @property
    def result(self) -> int:
        """What it returned; 0 for an exit.

        Raises:
            SyscallError: it failed.
            Blocked: it still waits.
            TaskEnded: it does not return, and is no exit.
        """
        __tracebackhide__ = True
        if self.gone and self.name in _ENDING:
            return 0
        errno = self.errno
        if errno:
            raise SyscallError(self.text, errno)
        return self.returned

    @property
    def name(self) -> str:
        """Linux's name of the call."""
        return self.text.partition("(")[0]

    def finish(self) -> int:
        """Let time pass until it ends, and return its result; errors as for `result`."""
        __tracebackhide__ = True
        self.thread.guest.complete(self)
        return self.result

    def ended(self, rax: int) -> None:
        """It has returned to the guest: read back what it wrote."""
        self._rax = rax
        mem = self.thread.t.mem
        for out in self.outs:
            out.data = self.thread.guest.peek(mem, out.address, out.size)

    def __repr__(self) -> str:
        state = f"= {self.returned}" if self.done else "(gone)" if self.gone else "(waits)"
        return f"<{self.text} {state}>"


class Calls:
    """System calls by name: `calls.openat(AT_FDCWD, "/etc/hostname", O_RDONLY)`.

    Arguments that are not given are 0. Called itself, it takes a number first: `calls(39)`.
    """

    def __init__(self, make: Callable[[int, str, tuple[Any, ...]], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Callable[..., Any]:
        number = X86_64.get(name)
        if number is None:
            from difflib import get_close_matches

            near = get_close_matches(name, X86_64, 3)
            hint = f"; is it {' or '.join(near)}?" if near else ""
            raise AttributeError(f"x86-64 Linux has no system call {name!r}{hint}")

        def call(*args: Any) -> Any:
            __tracebackhide__ = True
            return self._make(number, name, args)

        return call

    def __call__(self, number: int, *args: Any) -> Any:
        """Make the system call with this number."""
        __tracebackhide__ = True
        return self._make(number, f"syscall_{number}", args)

    def __dir__(self) -> list[str]:
        return sorted(X86_64)


class GuestThread:
    """A thread of the guest. It stands still in user mode between the calls that the test makes it do.

    Args:
        guest: the guest.
        t: the Linux server's task.
    """

    def __init__(self, guest: Guest, t: Task) -> None:
        self.guest = guest
        self.t = t
        self.tid = t.tid
        self.pid = t.process.pid
        self._calls: list[Call] = []
        """Calls in progress; a handler that is held may make more."""
        self._holds: list[tuple[SignalHandler, int]] = []
        """The handlers it is held in, and the stack pointer at the beginning of each."""
        self.stopped_at = 0
        """Where in user mode it stands."""
        self.syscall = Calls(self._syscall)
        """Makes a system call and returns its result, letting time pass; errors raise `SyscallError`."""
        self.start = Calls(self._start)
        """Begins a system call that may wait, without letting time pass; returns a `Call`."""

    def __repr__(self) -> str:
        return f"<GuestThread {self.tid} of process {self.pid}>"

    # -- state ----------------------------------------------------------------------------------------------------

    @property
    def gone(self) -> bool:
        """Whether it has ended."""
        return not self.t.ktask

    @property
    def exit_status(self) -> int | None:
        """The exit status of its process; None while it runs, and if a signal killed it."""
        word = self._exit_code
        return None if word is None or word & 0x7F else word >> 8 & 0xFF

    @property
    def signal(self) -> int | None:
        """The signal that killed its process, None if there was none."""
        word = self._exit_code
        return None if word is None else word & 0x7F or None

    @property
    def _exit_code(self) -> int | None:
        process = self.t.process
        return process.exit_code if process.exited else None

    @property
    def held_in(self) -> SignalHandler | None:
        """The handler it is held in."""
        return self._holds[-1][0] if self._holds else None

    @property
    def call(self) -> Call | None:
        """The call it is in."""
        return self._calls[-1] if self._calls else None

    @property
    def regs(self) -> TrapFrame:
        """Its registers."""
        frame: TrapFrame = self.guest.linux.port.get_frame(self.t.ktask)
        return frame

    # -- doing ----------------------------------------------------------------------------------------------------

    def _syscall(self, number: int, name: str, args: tuple[Any, ...]) -> int:
        __tracebackhide__ = True
        return self.guest.complete(self.begin(number, name, args)).result

    def _start(self, number: int, name: str, args: tuple[Any, ...]) -> Call:
        __tracebackhide__ = True
        call = self.begin(number, name, args)
        self.guest.settle()
        return call

    def begin(self, number: int, name: str, args: tuple[Any, ...]) -> Call:
        """Place the arguments and set the registers, so that the thread makes the call when the kernel runs next."""
        _check_count(number, name, len(args))
        self._must_stand()
        guest = self.guest
        placing = Placing(partial(guest.place, self.t), partial(guest.place_at_edge, self.t))
        try:
            registers = [placing.argument(value) & _MASK for value in args]
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        text = f"{name}({', '.join(map(_show, args))})"
        call = Call(self, number, text, placing.outs)
        self._go(call, SYSCALL_AT, rax=number, **dict(zip(_ARGUMENTS, registers, strict=False)))
        return call

    def touch(self, address: int, write: bool = False) -> Call:
        """Let the thread load a byte, or store one, and let everything happen that can happen now.

        Args:
            address: where.
            write: store instead of load.
        Returns:
            a call that is `done` once the instruction was carried out, and `gone` if it killed the process.
        """
        __tracebackhide__ = True
        self._must_stand()
        text = f"{'store to' if write else 'load from'} {address:#x}"
        call = Call(self, -1, text, [])
        self._go(call, STORE_AT if write else LOAD_AT, rdi=address & _MASK)
        self.guest.settle()
        return call

    def _must_stand(self) -> None:
        __tracebackhide__ = True
        if self.gone:
            raise RuntimeError(f"thread {self.tid} has ended")
        kernel = self.guest.system.kernel
        if self.t.ktask not in kernel.parked:
            self.guest.settle()
        if self.t.ktask not in kernel.parked:
            what = self._calls[-1].text if self._calls else "something"
            raise RuntimeError(f"thread {self.tid} waits in {what}: that call must end first")
        self.guest.equip(self.t)

    def _go(self, call: Call, address: int, **registers: int) -> None:
        port, ktask = self.guest.linux.port, self.t.ktask
        frame = port.get_frame(ktask)
        unused = dict.fromkeys(_ARGUMENTS, 0)
        port.set_frame(ktask, frame._replace(rip=address, **{**unused, **registers}))
        self._calls.append(call)
        self.guest.system.kernel.unpark(ktask)

    def sigreturn(self) -> None:
        """Leave the handler that the thread is held in.

        Raises:
            RuntimeError: it is in none.
        """
        if not self._holds:
            raise RuntimeError(f"thread {self.tid} is held in no handler")
        _, stack = self._holds.pop()
        port, ktask = self.guest.linux.port, self.t.ktask
        port.set_frame(ktask, _returning(port.get_frame(ktask)._replace(rsp=stack)))
        self.guest.system.kernel.unpark(ktask)
        self.guest.settle()

    # -- for the CPU ----------------------------------------------------------------------------------------------

    def arrived(self, task: KernelTask, frame: TrapFrame) -> TrapFrame | None:
        """The thread is in user mode, at no instruction it could run: go on, or be parked."""
        handler = self.guest.handlers.get(frame.rip)
        if handler is not None and (not self._holds or self._holds[-1] != (handler, frame.rsp)):
            self._entered(handler, frame)
            if not handler.hold:
                return _returning(frame)
            self._holds.append((handler, frame.rsp))
        self.stopped_at = frame.rip
        self.guest.system.kernel.park(task)
        self._end_call(frame)
        return None

    def _entered(self, handler: SignalHandler, frame: TrapFrame) -> None:
        info = self.guest.peek(self.t.mem, frame.rsi, _SIGINFO_SIZE) or b""
        # Without SA_SIGINFO there are zeros, and no signal has the number 0.
        given = info[:4] == frame.rdi.to_bytes(4, "little")
        handler.calls.append((frame.rdi, info if given else b""))

    def _end_call(self, frame: TrapFrame) -> None:
        call = self.call
        if call is None:
            return
        if frame.rip in (AFTER_SYSCALL, AFTER_LOAD, AFTER_STORE):
            self._calls.pop()
            call.ended(frame.rax)
        elif self.t.mm is not call.mm:
            self._calls.pop()
            call.ended(0)
        elif self.held_in is None:
            return
        self.guest.stopped(call)


def _returning(frame: TrapFrame) -> TrapFrame:
    """What a handler does at its end: its `ret` pops the restorer's address, the restorer calls rt_sigreturn."""
    return frame._replace(rip=SYSCALL_AT, rax=_RT_SIGRETURN, rsp=frame.rsp + 8)


def _check_count(number: int, name: str, given: int) -> None:
    declared = registry.TABLE.get(number)
    most = declared.handler.__code__.co_argcount - 1 if declared is not None else len(_ARGUMENTS)
    if given > max(most, 0):
        raise TypeError(f"{name} takes at most {most} arguments, {given} were given")


def _show(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 0xFFFF:
        return hex(value)
    if isinstance(value, str):
        return '"' + repr(value)[1:-1].replace('"', '\\"') + '"'
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
