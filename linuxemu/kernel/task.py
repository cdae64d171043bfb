"""Tasks: what the kernel knows of a program or a server."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from linuxemu.cpu.base import CpuState
    from linuxemu.kernel.activity import Activity
    from linuxemu.kernel.ipc import Receiving, Sending
    from linuxemu.kernel.paging import AddressSpace
    from linuxemu.kernel.port import Port
    from linuxemu.kernel.server import Server
    from linuxemu.messages import Message

    Service = Callable[[int, Any], Coroutine[Any, Any, Any]]

TASK_ALL_CAPS = 1
TASK_ABI_EMU = 2
TASK_SCHED = 4
TASK_HV = 8

PRIORITIES = 8
DEFAULT_PRIORITY = 7

RUNNABLE, BLOCKED, DEAD = "runnable", "blocked", "dead"


class Task:
    """One task.

    Args:
        tid: task id, from 1.
        name: at most 15 characters are kept.
        flags: TASK_* bits.
        pager: id of the task that gets its faults and hooks; 0 for none.
    """

    __slots__ = (
        "activity", "entry", "exception", "flags", "fresh", "interrupted", "loaded", "name", "notifications",
        "on_exception", "on_fault", "on_hook", "outbox", "paged", "pager", "port", "priority", "receives",
        "senders", "sends", "server", "space", "state", "status", "sys_ns", "tid", "user_ns", "watched",
    )  # fmt: skip

    def __init__(self, tid: int, name: str, flags: int, pager: int) -> None:
        self.tid = tid
        self.name = name[:15]
        self.flags = flags
        self.pager = pager
        self.paged = 0
        """How many live tasks have this one as their pager."""
        self.status = BLOCKED
        self.server: Server | None = None
        self.port: Port | None = None
        self.space: AddressSpace | None = None
        self.state: CpuState | None = None
        self.fresh = True
        """The INITIAL hook was not sent yet."""
        self.interrupted = False
        """The INTERRUPT hook is to be sent before the task runs on."""
        self.watched: int | None = None
        """Address of a word: unless it is clear, that hook is sent whenever others could run in between."""
        self.loaded = False
        """The pager gave it registers to go on with after an exception."""
        self.entry = 0
        """Where a task without hooks begins."""
        self.priority = DEFAULT_PRIORITY
        """0 is the most urgent."""
        self.on_hook: Service | None = None
        self.on_fault: Service | None = None
        self.on_exception: Service | None = None
        self.activity: Activity | None = None
        self.exception = (0, 0)
        """Vector and error code of the last CPU exception."""
        self.notifications = 0
        self.senders: deque[Sending] = deque()
        """Who waits in a send to this task, in the order in which they came."""
        self.sends: list[Sending] = []
        """Its own sends that wait."""
        self.receives: list[Receiving] = []
        """Its own receives that wait."""
        self.outbox: dict[int, deque[Message]] = {}
        """Asynchronous messages that wait to be fetched, by receiver."""
        self.user_ns = 0
        self.sys_ns = 0

    @property
    def all_caps(self) -> bool:
        """Capabilities come all or none."""
        return bool(self.flags & TASK_ALL_CAPS)
