"""Process and thread ids, with the names of commands under -Y."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linuxemu.trace.style import Style
    from syscalls.objects.task import Task


def pid_text(t: Task, pid: int, style: Style) -> str:
    """An id as the tracing options want it.

    Args:
        t: any task of the system.
        pid: of a process or a thread, which need not exist.
        style: the look of values.
    """
    return f"{pid}{command(t, pid)}" if style.pids and pid > 0 else str(pid)


def command(t: Task, pid: int) -> str:
    """The name of what runs under an id, or ran until it became a zombie, in angle brackets; empty for nothing."""
    task = t.server.tasks.get(pid)
    if task is None:
        process = t.server.process(pid)
        task = process.leader if process is not None else None
    return f"<{task.comm.decode(errors='replace')}>" if task is not None else ""
