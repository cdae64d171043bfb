"""Carries rules out: stands between callers and servers and does to their messages what the rules say."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_ABORTED
from linuxemu.inject.rules import NOTIFICATIONS, InjectError, Rule, check
from linuxemu.inject.spec import parse
from linuxemu.kernel.activity import Waiter, park

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from linuxemu.kernel.kernel import Kernel
    from linuxemu.kernel.task import Service, Task


class Injected(NamedTuple):
    """What became of a rule.

    Args:
        rule: the rule.
        matched: messages that it is about.
        fired: how many of them it hit.
    """

    rule: Rule
    matched: int
    fired: int


class _Watch:
    """A rule at work."""

    __slots__ = ("fired", "matched", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.matched = 0
        self.fired = 0

    def hit(self) -> bool:
        """One more message; whether it is to be hit."""
        self.matched += 1
        fires = self.rule.when.hits(self.matched, self.rule.seed)
        self.fired += fires
        return fires


class Injector:
    """Does what rules say to the messages of a kernel's servers, for `Kernel(wrap=...)`.

    Handlers that no rule is about stay as they are. Rules count on when a server is started again.

    Args:
        rules: rules, or the SPECs of some.
    Raises:
        InjectError: a rule cannot be meant.
    """

    def __init__(self, rules: Iterable[Rule | str]) -> None:
        self._watches = [_Watch(parse(rule) if isinstance(rule, str) else check(rule)) for rule in rules]
        self._drops_notifications = any(watch.rule.notifications() for watch in self._watches)

    def report(self) -> list[Injected]:
        """What has become of each rule so far."""
        return [Injected(watch.rule, watch.matched, watch.fired) for watch in self._watches]

    def __call__(self, kernel: Kernel, task: Task, message: type, method: Service) -> Service:
        """The handler that serves in place of `method`.

        Raises:
            InjectError: a rule is to kill a server that cannot be killed.
        """
        if self._drops_notifications:
            kernel.filter_notification = self._pass
        name: str = message.NAME  # type: ignore[attr-defined]
        server = task.server
        called = (task.name, server.role) if server is not None else (task.name,)
        for watch in reversed(self._watches):
            rule = watch.rule
            if not rule.suits(name) or not rule.matches(name, called):
                continue
            if rule.action == "kill" and server is not None and server.vital:
                if rule.names(name):
                    raise InjectError(
                        f"{str(rule)!r}: the {task.name} server cannot be killed: {server.vital}"
                    )
                continue
            method = _WRAPS[rule.action](watch, kernel, task, method)
        return method

    def _pass(self, _: int, bits: int) -> int:
        """The bits of a notification that go on."""
        for watch in self._watches:
            about = watch.rule.notifications()
            for bit in NOTIFICATIONS.values():
                if about & bits & bit and watch.hit():
                    bits &= ~bit
        return bits


def _failing(watch: _Watch, kernel: Kernel, task: Task, method: Service) -> Service:
    async def serve(src: int, request: Any) -> Any:
        if watch.hit():
            raise RpcError(watch.rule.value)
        return await method(src, request)

    return serve


def _delayed(watch: _Watch, kernel: Kernel, task: Task, method: Service) -> Service:
    async def serve(src: int, request: Any) -> Any:
        late = watch.hit()
        failure = reply = None
        try:
            reply = await method(src, request)
        except RpcError as error:
            failure = error
        if late:
            await _sleep(kernel, watch.rule.value)
        if failure is not None:
            raise failure
        return reply

    return serve


async def _sleep(kernel: Kernel, nanoseconds: int) -> None:
    waiter = Waiter(kernel.ready)
    timer = kernel.timers.add(kernel.host.now_ns() + nanoseconds, waiter.wake)
    try:
        await park(waiter)
    finally:
        timer.cancel()


def _dropped(watch: _Watch, kernel: Kernel, task: Task, method: Service) -> Service:
    async def serve(src: int, request: Any) -> Any:
        return None if watch.hit() else await method(src, request)

    return serve


def _fatal(watch: _Watch, kernel: Kernel, task: Task, method: Service) -> Service:
    async def serve(src: int, request: Any) -> Any:
        dies = watch.hit()
        reply = None
        if not dies or watch.rule.value:
            try:
                reply = await method(src, request)
            except RpcError:
                if not dies:
                    raise
        if not dies:
            return reply
        if kernel.tasks.get(task.tid) is task:
            kernel.kill_server(task.tid)
        raise RpcError(ERR_ABORTED)

    return serve


_WRAPS = {"error": _failing, "delay": _delayed, "drop": _dropped, "kill": _fatal}
