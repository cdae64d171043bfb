"""The discovery server: which task offers which service."""

from __future__ import annotations

from linuxemu.kernel import Server, WaitQueue, park, rpc
from linuxemu.messages import discovery


class DiscoveryServer(Server):
    """Service names and who waits for them.

    Several tasks may offer one name; the first that did and still lives is the one found. Names have any
    length (the seed cut them to 31 bytes).
    """

    name = "discovery"
    vital = "no server finds another without it"

    def __init__(self) -> None:
        super().__init__()
        self._services: dict[str, list[int]] = {}
        self._waiting: dict[str, WaitQueue] = {}

    @property
    def waiting(self) -> list[str]:
        """Names that somebody waits for and nobody offers: what a boot that hangs is waiting for."""
        return sorted(self._waiting)

    @rpc(discovery.Serve)
    async def serve(self, src: int, m: discovery.Serve) -> discovery.ServeReply:
        """The caller offers a service."""
        self._services.setdefault(m.name, []).append(src)
        queue = self._waiting.pop(m.name, None)
        if queue is not None:
            queue.wake_all(src)
        return discovery.ServeReply()

    @rpc(discovery.Lookup)
    async def lookup(self, src: int, m: discovery.Lookup) -> discovery.LookupReply:
        """Find a service, waiting until somebody offers it."""
        found = self._services.get(m.name)
        if found:
            return discovery.LookupReply(found[0])
        queue = self._waiting.setdefault(m.name, WaitQueue())
        waiter = self.port.waiter()
        queue.add(waiter)
        try:
            return discovery.LookupReply(await park(waiter))
        finally:
            queue.discard(waiter)
            if not queue and self._waiting.get(m.name) is queue:
                del self._waiting[m.name]

    def task_died(self, task: int) -> None:
        """Called by the kernel when a task has ended: it offers nothing any more."""
        for name, tasks in list(self._services.items()):
            if task in tasks:
                self._services[name] = [other for other in tasks if other != task]
