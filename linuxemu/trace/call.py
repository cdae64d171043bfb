"""One system call of one task while it is being traced."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linuxemu.messages import TrapFrame
    from linuxemu.trace.plan import Plan
    from linuxemu.trace.style import Style
    from syscalls.objects.task import Task

PAGE = 4096


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
        "begin_ns",
        "end_ns",
        "frame",
        "head",
        "injected",
        "mem",
        "missing",
        "note",
        "plan",
        "restart",
        "result",
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
        self.note = ""
        """What formatters of its beginning leave for those of its end."""
        self.head = ""
        """The text of its beginning, kept by a log that shows calls when they have ended."""
        self.injected = ""
        """ "INJECTED" and the like, if tampering changed it."""
        self.unsupported: list[str] = []
        """What it asked for that is not there."""
        self.unreadable: set[int] | None = None
        self.missing = False
        self.begin_ns = 0
        self.end_ns = 0

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return self.result is None or -4096 < self.result < 0

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
            if self.unreadable is None or at // PAGE not in self.unreadable:
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
