"""One system call of one task while it is being traced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import USER_END
from linuxemu.trace import formats
from linuxemu.trace.tampering import KERNEL_ERRORS
from syscalls.abi.errno import errno_name
from syscalls.abi.errno_text import message
from syscalls.errors import Restart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linuxemu.messages import TrapFrame
    from linuxemu.trace.plan import Plan
    from linuxemu.trace.rpcs import Rpc
    from linuxemu.trace.stack import Place
    from linuxemu.trace.style import Style
    from syscalls.objects.task import Task

PAGE = 4096
_MOST_MISSES = 128
"""Texts begin anew after each page that is brought in. After so many, what is not there counts as unreadable: a program
that points to ever more places must not keep its tracer busy."""
_RESTARTS = {
    Restart.SYS: "ERESTARTSYS (To be restarted if SA_RESTART is set)",
    Restart.NOHAND: "ERESTARTNOHAND (To be restarted if no handler)",
    Restart.ALWAYS: "ERESTARTNOINTR (To be restarted)",
    Restart.BLOCK: "ERESTART_RESTARTBLOCK (Interrupted by signal)",
}
_NONE: frozenset[int] = frozenset()
# As errors, which only -e inject makes seen (include/linux/errno.h).
_WORD = (1 << 64) - 1
_RESTART_ERRORS = {512: Restart.SYS, 513: Restart.ALWAYS, 514: Restart.NOHAND, 516: Restart.BLOCK}


def error_text(error: int) -> str:
    """The name of an errno, also of those that the kernel keeps to itself; empty if it has none."""
    name = errno_name(error)
    if not name.startswith("errno"):
        return name
    return next((name for name, number in KERNEL_ERRORS.items() if number == error), "")


class NotResident(Exception):
    """A formatter needs a page that has to be brought in first; it is asked again afterwards."""

    def __init__(self, addr: int) -> None:
        self.addr = addr


class Call:
    """A system call in progress, or one that has ended.

    Args:
        t: the calling task.
        plan: how the call is shown.
        frame: the registers it came with.
        style: the look of values.
    """

    __slots__ = (
        "args",
        "aux",
        "before",
        "begin_ns",
        "busy_ns",
        "detached",
        "dump",
        "end_ns",
        "forced",
        "frame",
        "held",
        "hidden",
        "injected",
        "mem",
        "misses",
        "note",
        "partial",
        "plan",
        "restart",
        "result",
        "rpcs",
        "separator",
        "stack",
        "style",
        "t",
        "unreadable",
        "unsupported",
    )

    def __init__(self, t: Task, plan: Plan, frame: TrapFrame, style: Style) -> None:
        self.t = t
        self.plan = plan
        self.frame = frame
        self.style = style
        self.args = plan.decode(frame)
        """The arguments, decoded from registers."""
        self.mem = t.mem
        self.result: int | None = None
        """What it returned, negative for an error; None while it is in progress, and if it never returned."""
        self.restart = 0
        """A `Restart` kind if a signal interrupted it."""
        self.aux = ""
        """What is shown in parentheses behind the result."""
        self.held = ""
        """The beginning of its line, while it is not known whether the line is to be shown."""
        self.note = ""
        """What formatters of its beginning leave for those of its end."""
        self.hidden = _NONE
        """Positions of arguments that are not shown."""
        self.partial: dict[int, list[str]] | None = None
        """What formatters of long arrays had of them, by address, when a page was missing; None at first."""
        self.separator = ", "
        """What stands between the texts of its beginning and those of its end. A formatter of the beginning makes it ""
        if its text goes on in the first one of the end (" => [5]"), or if nothing is left for the end."""
        self.detached = False
        """Whether the task is not traced any more since it."""
        self.before = ""
        """The name of the task's call before this one."""
        self.injected = ""
        """ "(INJECTED)" and the like, if tampering changed it."""
        self.forced = False
        """Its result was given by tampering, and is no error whatever it looks like."""
        self.dump: list[str] = []
        """The lines of the data that it read or wrote, under -e read and -e write."""
        self.rpcs: list[Rpc] = []
        """The messages it became, under --rpc."""
        self.stack: Sequence[str | Place] = ()
        """The user stack, under -k: in lines for a text, in places otherwise."""
        self.unsupported: list[str] = []
        """What it asked for that is not there."""
        self.unreadable: set[int] | None = None
        """Pages that cannot be read, by number."""
        self.misses = 0
        """How often a page had to be brought in for its texts."""
        self.begin_ns = 0
        self.busy_ns = 0
        """How long it was served until it had to wait, 0 if it never had to."""
        self.end_ns = 0

    @property
    def error(self) -> int:
        """The errno of its result, 0 if that is none."""
        result = self.result
        return -result if result is not None and -4096 < result < 0 and not self.forced else 0

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return self.result is None or self.error != 0

    @property
    def ended(self) -> bool:
        """Whether it has returned, also to be made again after a signal."""
        return self.result is not None or self.restart != 0

    def result_text(self) -> str:
        """The result as strace shows it, with what stands behind it."""
        result, error = self.result, self.error
        if result is None:
            text = f"? {_RESTARTS[self.restart]}" if self.restart else "?"
            if not self.restart:
                return text
        elif self.plan.raw and not error:
            text = f"{result & _WORD:#x}" if result else "0"
        elif error in _RESTART_ERRORS:
            text = f"? {_RESTARTS[_RESTART_ERRORS[error]]}"
        elif error:
            name = error_text(error)
            text = f"-1 {name} ({message(error)})" if name else f"-1 (errno {error})"
        elif self.forced and result < 0:
            text = str(result)
        elif self.plan.raw:
            text = formats.raw(result)
        else:
            text = self._value_text(result)
        if self.aux:
            text += f" ({self.aux})"
        return f"{text} {self.injected}" if self.injected else text

    def _value_text(self, result: int) -> str:
        try:
            return formats.of(self.plan.result)(self, result, self.plan.result) or ""
        except Exception as error:
            self.defect(error)
            return str(result)

    def defect(self, error: Exception) -> None:
        """Record a defect of a formatter: the program goes on, and the tool says so at its end."""
        self.t.server.oopses.append((f"the trace of {self.plan.name}{self.args}", error))

    def argument(self, name: str) -> int:
        """An argument by its name; "result" is the result."""
        if name == "result":
            return self.result if self.result is not None else -1
        return self.args[self.plan.index[name]]

    def read_some(self, addr: int, n: int) -> bytes:
        """Up to `n` bytes of the task's memory, short where it cannot be read.

        Raises:
            NotResident: a page has to be brought in first.
        """
        data = self.mem.resident(addr, n)
        if len(data) < n:
            at = addr + len(data)
            known = self.unreadable is not None and at // PAGE in self.unreadable
            if not known and at < USER_END and self.misses < _MOST_MISSES:
                raise NotResident(at)
        return data

    def read(self, addr: int, n: int) -> bytes | None:
        """Exactly `n` bytes of the task's memory, or None; raises NotResident."""
        data = self.read_some(addr, n)
        return data if len(data) == n else None

    def cstr(self, addr: int, limit: int) -> tuple[bytes, bool] | None:
        """A string of the task's memory up to its NUL: at most `limit` bytes, and whether its end is among them.

        None if it cannot be read that far. Raises NotResident.
        """
        parts: list[bytes] = []
        left = limit + 1
        while left > 0:
            step = min(left, PAGE - addr % PAGE)
            data = self.read(addr, step)
            if data is None:
                return None
            end = data.find(b"\0")
            if end >= 0:
                parts.append(data[:end])
                return b"".join(parts), True
            parts.append(data)
            addr += step
            left -= step
        return b"".join(parts)[:limit], False
