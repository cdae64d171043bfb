"""Messages in words: how logs and failures spell them, and what makes two of them differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.idl.codes import error_name, posix_errno
from linuxemu.kernel.traps import HOOK_INITIAL, HOOK_INTERRUPT, HOOK_SYSCALL
from linuxemu.messages import AbiHook, AbiHookReply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linuxemu.messages import Message, TrapFrame

_LONGEST = 48
_HOOKS = {HOOK_INITIAL: "INITIAL", HOOK_SYSCALL: "SYSCALL", HOOK_INTERRUPT: "INTERRUPT"}


def show_value(value: Any) -> str:
    """A field's value; long data is cut short."""
    if isinstance(value, (bytes, str)) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]!r}...({len(value)})"
    if isinstance(value, str):
        return '"' + repr(value)[1:-1].replace('"', '\\"') + '"'
    if isinstance(value, int) and not isinstance(value, bool) and value > 0xFFFF_FFFF:
        return f"{value:#x}"
    return repr(value)


def show_message(message: Message) -> str:
    """A message as the interface definition names it: fs.open(path="/etc/hostname")."""
    if isinstance(message, AbiHook):
        what = _HOOKS.get(message.type, str(message.type))
        return f"abi_hook(task={message.task}, {show_call(message.frame) if what == 'SYSCALL' else what})"
    return f"{message.NAME}({show_fields(message)})"


def show_fields(message: Message) -> str:
    """The fields of a message, by name."""
    return ", ".join(f"{name}={show_value(value)}" for (name, _), value in zip(message.FIELDS, message, strict=True))


def show_reply(reply: Message | None, error: int | None) -> str:
    """What was answered."""
    if error is not None:
        return show_error(error)
    if reply is None:
        return "(no reply)"
    if isinstance(reply, AbiHookReply):
        return f"rip={reply.frame.rip:#x}, rax={show_value(signed(reply.frame.rax))}"
    return show_fields(reply) or "()"


def show_call(frame: TrapFrame) -> str:
    """The system call in a frame: its name and as many raw arguments as it has."""
    from syscalls import registry

    call = registry.TABLE.get(frame.rax)
    registers: tuple[int, ...] = (frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9)
    if call is not None:
        registers = registers[: call.handler.__code__.co_argcount - 1]
    shown = ", ".join(show_value(signed(value)) for value in registers)
    return f"{call.name if call is not None else f'syscall_{frame.rax}'}({shown})"


def signed(value: int) -> int:
    """A register as a signed number."""
    return value - (1 << 64) if value >> 63 else value


def show_error(code: int) -> str:
    """An error word: ENOENT for a Linux errno, ERR_NOT_FOUND for the kernel's own."""
    errno = posix_errno(code)
    if errno is None:
        return error_name(code)
    from syscalls.abi.errno import errno_name

    return errno_name(errno)


def differences(expected: Message, got: Message) -> list[str]:
    """In which fields two messages of one kind differ, a line each."""
    lines = []
    for (name, _), wanted, found in zip(got.FIELDS, expected, got, strict=True):
        if not wanted == found:  # noqa: SIM201 - the wildcard's own comparison is asked
            lines.append(f"{name}: {show_value(found)} instead of {show_value(wanted)}")
    return lines


def numbered(lines: Sequence[object], limit: int = 20) -> list[str]:
    """The last lines of a log, numbered as in the whole."""
    first = max(0, len(lines) - limit)
    shown = [f"    {number + 1:3} {line}" for number, line in enumerate(lines[first:], first)]
    return [f"    ... {first} before", *shown] if first else shown
