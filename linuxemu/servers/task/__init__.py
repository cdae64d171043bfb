"""The task server: task ids, programs of the boot image, news of tasks that end, and new servers for dead ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import LinuxEmuError, RpcError
from linuxemu.idl.codes import ERR_INVALID_TASK, ERR_NOT_FOUND, ERR_NOT_PERMITTED, ERR_UNAVAILABLE
from linuxemu.kernel import Server, WaitQueue, park, rpc
from linuxemu.messages import supervisor, task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Supervised:
    """A server that is started again when it dies.

    Args:
        successor: makes the server anew.
    """

    __slots__ = ("restarts", "successor", "waiting")

    def __init__(self, successor: Callable[[], Server | None]) -> None:
        self.successor = successor
        self.restarts = 0
        self.waiting = WaitQueue()
        """Who waits until it runs."""


class TaskStorage:
    """What the task server knows; another one can go on with it."""

    __slots__ = ("pager", "reserved", "restarts", "servers", "watched", "watchers")

    def __init__(self) -> None:
        self.pager: dict[int, int] = {}
        """Reserved id -> the pager it is for."""
        self.reserved: dict[int, set[int]] = {}
        """The other way round."""
        self.watchers: dict[int, dict[int, int]] = {}
        """Task -> who watches it -> how many times."""
        self.watched: dict[int, set[int]] = {}
        """The other way round."""
        self.servers: dict[int, Supervised] = {}
        """Servers to start again, by task id."""
        self.restarts = -1
        """How often the task server itself was started again."""

    def supervise(self, number: int, server: Server) -> None:
        """Start a server's successor when it dies."""
        self.servers[number] = Supervised(server.successor)


class TaskServer(Server):
    """Keeps who reserved which id and who wants to know of whose end, and starts servers again that die.

    The number of ids is the kernel's limit, not the seed's 64, and an id that is not in use is an error where
    the seed stopped.

    Args:
        programs: what `task.launch` can start: name -> function that takes the command line and returns the
            id of the new task.
        storage: that of the server whose place this one takes.
    """

    name = "task"

    def __init__(
        self, programs: Mapping[str, Callable[[str], int]] | None = None, storage: TaskStorage | None = None
    ) -> None:
        super().__init__()
        self._programs = programs or {}
        self.storage = storage = storage or TaskStorage()
        storage.restarts += 1
        self._pager, self._reserved = storage.pager, storage.reserved
        self._watchers, self._watched = storage.watchers, storage.watched

    def successor(self) -> TaskServer:
        """A server that knows the same tasks."""
        return TaskServer(self._programs, self.storage)

    async def start(self) -> None:
        """Go on with what a predecessor was about to start."""
        for number in self.storage.servers:
            if not self.port.exists(number):
                self.port.spawn(self._start_again(number))

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

    @rpc(supervisor.Wait)
    async def wait(self, src: int, m: supervisor.Wait) -> supervisor.WaitReply:
        """Answer when a server runs; that this one does goes without saying."""
        if m.task == self.port.task:
            return supervisor.WaitReply(self.storage.restarts)
        found = self.storage.servers.get(m.task)
        if found is None:
            raise RpcError(ERR_NOT_FOUND)
        if not self.port.exists(m.task):
            waiter = self.port.waiter()
            found.waiting.add(waiter)
            try:
                if not await park(waiter):
                    raise RpcError(ERR_UNAVAILABLE)
            finally:
                found.waiting.discard(waiter)
        return supervisor.WaitReply(found.restarts)

    async def _start_again(self, number: int) -> None:
        """Give a dead server a successor, but not within the call that was its death."""
        waiter = self.port.waiter()
        waiter.wake()
        await park(waiter)
        found = self.storage.servers.get(number)
        if found is None or self.port.exists(number):
            return  # `start` and `task_died` have both seen it dead
        try:
            server = found.successor()
        except (LinuxEmuError, OSError):
            server = None
        if server is None:
            del self.storage.servers[number]
        else:
            found.restarts += 1
            self.port.add_server(server, number)
        found.waiting.wake_all(server is not None)

    def task_died(self, number: int) -> None:
        """Called by the kernel when a task has ended."""
        if number in self.storage.servers:
            self.port.spawn(self._start_again(number))
        for watched in list(self._watched.get(number, ())):
            self._forget(number, watched)
        for reserved in self._reserved.pop(number, ()):
            del self._pager[reserved]
            self.port.task_ids.free(reserved)
        for watcher, times in list(self._watchers.get(number, {}).items()):
            self._forget(watcher, number)
            for _ in range(times):
                self.port.async_send(watcher, task.Exited(number))
