"""The task server: task ids, programs of the boot image, and news of tasks that end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_INVALID_TASK, ERR_NOT_FOUND, ERR_NOT_PERMITTED
from linuxemu.kernel import Server, rpc
from linuxemu.messages import task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class TaskServer(Server):
    """Keeps who reserved which id and who wants to know of whose end.

    The number of ids is the kernel's limit, not the seed's 64, and an id that is not in use is an error where
    the seed stopped.

    Args:
        programs: what `task.launch` can start: name -> function that takes the command line and returns the
            id of the new task.
    """

    name = "task"

    def __init__(self, programs: Mapping[str, Callable[[str], int]] | None = None) -> None:
        super().__init__()
        self._programs = programs or {}
        self._pager: dict[int, int] = {}
        """Reserved id -> the pager it is for."""
        self._reserved: dict[int, set[int]] = {}
        """The other way round."""
        self._watchers: dict[int, dict[int, int]] = {}
        """Task -> who watches it -> how many times."""
        self._watched: dict[int, set[int]] = {}
        """The other way round."""

    @rpc(task.Alloc)
    async def alloc(self, src: int, m: task.Alloc) -> task.AllocReply:
        """Reserve an id for a task of `pager`."""
        if not self.port.exists(m.pager):
            raise RpcError(ERR_INVALID_TASK)
        number: int = self.port.task_ids.alloc()
        self._pager[number] = m.pager
        self._reserved.setdefault(m.pager, set()).add(number)
        return task.AllocReply(number)

    @rpc(task.Free)
    async def free(self, src: int, m: task.Free) -> task.FreeReply:
        """Give an id back; only its pager may."""
        pager = self._pager.get(m.task)
        if pager is None:
            raise RpcError(ERR_NOT_FOUND)
        if pager != src:
            raise RpcError(ERR_NOT_PERMITTED)
        del self._pager[m.task]
        self._reserved[src].discard(m.task)
        self.port.task_ids.free(m.task)
        return task.FreeReply()

    @rpc(task.Launch)
    async def launch(self, src: int, m: task.Launch) -> task.LaunchReply:
        """Start a program; its command line follows its name after one space."""
        name, _, command_line = m.name_and_cmdline.partition(" ")
        start = self._programs.get(name)
        if start is None:
            raise RpcError(ERR_NOT_FOUND)
        return task.LaunchReply(start(command_line))

    @rpc(task.Watch)
    async def watch(self, src: int, m: task.Watch) -> task.WatchReply:
        """Tell the caller when a task ends, once for each time it asks."""
        if not self.port.exists(m.task):
            raise RpcError(ERR_NOT_FOUND)
        watchers = self._watchers.setdefault(m.task, {})
        watchers[src] = watchers.get(src, 0) + 1
        self._watched.setdefault(src, set()).add(m.task)
        return task.WatchReply()

    @rpc(task.Unwatch)
    async def unwatch(self, src: int, m: task.Unwatch) -> task.UnwatchReply:
        """Take one `watch` back; it is no error if there was none."""
        if not self.port.exists(m.task):
            raise RpcError(ERR_NOT_FOUND)
        watchers = self._watchers.get(m.task, {})
        if watchers.get(src, 0) > 1:
            watchers[src] -= 1
        elif src in watchers:
            self._forget(src, m.task)
        return task.UnwatchReply()

    def _forget(self, watcher: int, watched: int) -> None:
        watchers = self._watchers[watched]
        del watchers[watcher]
        if not watchers:
            del self._watchers[watched]
        self._watched[watcher].discard(watched)
        if not self._watched[watcher]:
            del self._watched[watcher]

    def task_died(self, number: int) -> None:
        """Called by the kernel when a task has ended."""
        for watched in list(self._watched.get(number, ())):
            self._forget(number, watched)
        for reserved in self._reserved.pop(number, ()):
            del self._pager[reserved]
            self.port.task_ids.free(reserved)
        for watcher, times in list(self._watchers.get(number, {}).items()):
            self._forget(watcher, number)
            for _ in range(times):
                self.port.async_send(watcher, task.Exited(number))
