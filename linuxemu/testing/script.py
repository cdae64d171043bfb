"""Scripted servers: what messages a test expects, what it answers, and what it says when others come.

Expectations form an order: each may have others that must be met first. By default that is the one declared before it
at the same server; `any_order` takes the order out of a group, `Script.sequence` orders expectations of several
servers.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NOT_ACCEPTABLE, posix_error
from linuxemu.kernel import Server, park
from linuxemu.messages import Message
from linuxemu.testing.show import differences, numbered, show_fields, show_message
from syscalls.abi.errno import EIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from linuxemu.kernel import Waiter
    from linuxemu.testing.log import RpcLog

DEFAULTS: dict[str, Any] = {"str": "", "bytes": b"", "bool": False}
"""What a field of a reply is when a test does not say; numbers are 0."""


class UnexpectedMessage(AssertionError):
    """A server got a message that no expectation allows; the text tells which ones were open."""


class UnmetExpectation(AssertionError):
    """The test is over and an expected message never came."""


class _Any:
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "ANY"


ANY: Any = _Any()
"""As a field of an expected message: whatever it is."""


class _Where:
    """Equal to what satisfies a predicate."""

    def __init__(self, predicate: Callable[[Any], object], text: str) -> None:
        self._predicate = predicate
        self._text = text

    def __eq__(self, other: object) -> bool:
        return bool(self._predicate(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return self._text


def where(predicate: Callable[[Any], object], text: str = "") -> Any:
    """As a field of an expected message: anything that satisfies `predicate`.

    Args:
        predicate: gets the field's value.
        text: how failures call it.
    """
    return _Where(predicate, text or getattr(predicate, "__name__", "where(...)"))


class Expectation:
    """One expected message, and the answer to it. Made by `Scripted.expect`; the methods return it, to be chained.

    Without any of them the answer is the message's reply with every field zero or empty.
    """

    def __init__(self, server: Scripted, wanted: Message, condition: Callable[[Any], object] | None) -> None:
        self._server = server
        self._wanted = wanted
        self._condition = condition
        self._answer: Callable[[Any], Message | None] = self._plain
        self._delay_ns = 0
        self._held = False
        self._silent = False
        self._released: list[tuple[Message | None, int | None]] = []
        self._waiting: list[Waiter] = []
        self.after: list[Expectation] = []
        """Expectations that must be met before this one."""
        self.most: int | None = 1
        """How many messages it takes; None for any number."""
        self.met = 0
        """How many it has taken."""

    # -- what the answer is ---------------------------------------------------------------------------------------

    def reply(self, **fields: Any) -> Expectation:
        """Answer with these fields; those not given are zero or empty.

        Raises:
            TypeError: the reply has no such field, or the message has no reply.
        """
        message = make_reply(type(self._wanted), fields)
        if self._held and self._waiting:
            self._release(message, None)
        else:
            self._answer = lambda _: message
        return self

    def error(self, code: int) -> Expectation:
        """Answer with an error: a positive Linux errno (ENOENT), or one of the kernel's negative words.

        Args:
            code: see `syscalls.abi.errno` and `linuxemu.idl.codes`.
        """
        word = posix_error(code) if code > 0 else code
        if self._held and self._waiting:
            self._release(None, word)
            return self

        def fail(_: Any) -> Message:
            raise RpcError(word)

        self._answer = fail
        return self

    def answer(self, function: Callable[[Any], Message | None]) -> Expectation:
        """Answer with what `function` makes of the request; it may raise `RpcError`."""
        self._answer = function
        return self

    def late(self, ns: int = 0, *, ms: float = 0, s: float = 0) -> Expectation:
        """Let the answer take this long on the virtual clock."""
        self._delay_ns = ns + int(ms * 1e6) + int(s * 1e9)
        return self

    def hold(self) -> Expectation:
        """Do not answer yet: `reply` or `error`, called when the message is there, releases it."""
        self._held = True
        return self

    def no_reply(self) -> Expectation:
        """Never answer."""
        self._silent = True
        return self

    # -- how often ------------------------------------------------------------------------------------------------

    def times(self, count: int) -> Expectation:
        """Expect exactly so many messages of this kind."""
        if count < 1:
            raise ValueError(f"times({count}): expect it at least once, or do not expect it")
        self.most = count
        return self

    def any_number(self) -> Expectation:
        """Allow any number of them, none included; order does not apply."""
        self.most = None
        self._server.reorder(self, self.after)
        self.after = []
        return self

    # -- for the server -------------------------------------------------------------------------------------------

    @property
    def is_met(self) -> bool:
        """Whether nothing is missing."""
        return self.most is None or self.met >= self.most

    @property
    def is_open(self) -> bool:
        """Whether a message may come now."""
        wants = self.most is None or self.met < self.most
        return wants and all(other.is_met for other in self.after)

    def matches(self, message: Message) -> bool:
        """Whether it is this message."""
        return self._wanted == message and (self._condition is None or bool(self._condition(message)))

    @property
    def kind(self) -> type[Message]:
        """The class of the message."""
        return type(self._wanted)

    async def serve(self, message: Message) -> Message | None:
        """Answer a message that it took."""
        if self._silent or self._held:
            waiter = self._server.port.waiter()
            self._waiting.append(waiter)
            reply, error = await park(waiter)
            if error is not None:
                raise RpcError(error)
            late: Message | None = reply
            return late
        if self._delay_ns:
            await self._server.sleep(self._delay_ns)
        return self._answer(message)

    def _release(self, reply: Message | None, error: int | None) -> None:
        self._waiting.pop(0).wake((reply, error))

    def _plain(self, _: Any) -> Message | None:
        return make_reply(type(self._wanted), {}) if type(self._wanted).REPLY is not None else None

    def why_not(self, message: Message) -> list[str]:
        """What keeps it from taking a message of its kind."""
        lines = differences(self._wanted, message)
        if not lines and not self.matches(message):
            lines.append("the test's condition does not hold")
        if not lines and self.is_met:
            lines.append(f"it came {self.met} times already")
        if not lines:
            lines.extend(f"before it: {other} is expected" for other in self.after if not other.is_met)
        return lines

    def __str__(self) -> str:
        times = "" if self.most == 1 else " any number of times" if self.most is None else f" {self.most} times"
        condition = " where the test's condition holds" if self._condition is not None else ""
        return f"{self._server.role}: {show_message(self._wanted)}{condition}{times}"

    __repr__ = __str__


def make_reply(request: type[Message], fields: dict[str, Any]) -> Message:
    """The reply to a kind of message.

    Args:
        request: the class of the request.
        fields: values by name; others are zero or empty.
    Raises:
        TypeError: it has no reply, or no such field.
    """
    reply = request.REPLY
    if reply is None:
        raise TypeError(f"{request.NAME} is a one-way message: it has no reply")
    known = dict(reply.FIELDS)
    for name in fields:
        if name not in known:
            raise TypeError(f"{reply.NAME} has no field {name!r}: it has {', '.join(known) or 'none'}")
    values = [fields[name] if name in fields else DEFAULTS.get(kind, 0) for name, kind in reply.FIELDS]
    return reply(*values)


class Script:
    """What the servers of one system expect together, and what went wrong.

    Args:
        log: the messages so far, shown with every failure.
        doing: what the guest is doing, for failures.
    """

    def __init__(self, log: RpcLog, doing: Callable[[], list[str]]) -> None:
        self.log = log
        self._doing = doing
        self.servers: list[Scripted] = []
        self.linux = 0
        """Task id of the Linux server."""
        self._failures: list[str] = []
        self._chain: list[Expectation] | None = None

    @contextmanager
    def sequence(self) -> Iterator[None]:
        """Expectations declared in this block, at whatever servers, must be met in this order."""
        outer, self._chain = self._chain, []
        try:
            yield
        finally:
            self._chain = outer

    def declared(self, expectation: Expectation) -> None:
        """An expectation is new: put it into the order."""
        if self._chain is not None:
            expectation.after += self._chain[-1:]
            self._chain.append(expectation)

    def unexpected(self, server: Scripted, message: Message) -> None:
        """Write down that a message came which nobody expects."""
        lines = [f"{server.role}: unexpected message", f"  got       {show_message(message)}"]
        same = [e for e in server.expectations if e.kind is type(message)]
        for expectation in same:
            lines.append(f"  expected  {expectation}")
            lines.extend(f"            {why}" for why in expectation.why_not(message))
        others = [e for e in server.expectations if e.is_open and e not in same and not e.is_met]
        lines.extend(f"  expected  {expectation}" for expectation in others)
        if not same and not others:
            lines.append("  expected  nothing")
        lines.extend(f"  in        {what}" for what in self._doing())
        lines += ["  messages so far:", *numbered(self.log)]
        self._failures.append("\n".join(lines))

    def check(self) -> None:
        """Fail if something unexpected came.

        Raises:
            UnexpectedMessage: it did.
        """
        __tracebackhide__ = True
        if self._failures:
            text = "\n\n".join(self._failures)
            self._failures.clear()
            raise UnexpectedMessage(text)

    def verify(self) -> None:
        """Fail if something unexpected came, or something expected did not.

        Raises:
            UnexpectedMessage: a message came that nobody expects.
            UnmetExpectation: an expected one is missing.
        """
        __tracebackhide__ = True
        self.check()
        missing = [e for server in self.servers for e in server.expectations if not e.is_met]
        if missing:
            lines = ["expected messages did not come:"]
            for expectation in missing:
                came = f" ({expectation.met} came)" if expectation.met else ""
                lines.append(f"  missing   {expectation}{came}")
            lines += ["  messages:", *numbered(self.log)]
            raise UnmetExpectation("\n".join(lines))


class Scripted(Server):
    """A server that answers as a test says.

    What no expectation takes goes to the real server behind it, if there is one, and else fails the test.

    Args:
        script: the system's script.
        role: what tests and failures call it, also its name.
        namespaces: the messages it serves, by namespace.
    """

    def __init__(self, script: Script, role: str, namespaces: tuple[str, ...]) -> None:
        super().__init__()
        self.name = self.role = role
        self._script = script
        self._group: list[Expectation] | None = None
        self._before: list[Expectation] = []
        """What the next expectation comes after."""
        self._ignored: set[type[Message]] = set()
        self.expectations: list[Expectation] = []
        self.behind: Server | None = None
        """The real server."""
        self._namespaces = namespaces
        self._listen()
        script.servers.append(self)

    def _listen(self) -> None:
        self.table.update((kind, self._serve) for kind in requests_of(self._namespaces))

    # -- for tests ------------------------------------------------------------------------------------------------

    def expect(
        self, message: Message | type[Message], *, condition: Callable[[Any], object] | None = None, **fields: Any
    ) -> Expectation:
        """Expect a message.

        Args:
            message: the message, in which fields may be `ANY` or `where(...)`; or its class.
            condition: must hold for the message too.
            fields: with a class, the fields that matter; the others may be anything.
        Raises:
            TypeError: it is no request of this server, or has no such field.
        """
        wanted = _wanted(message, fields)
        if type(wanted) not in self.table:
            raise TypeError(f"{self.role} never gets {type(wanted).NAME or type(wanted).__name__}")
        expectation = Expectation(self, wanted, condition)
        self.expectations.append(expectation)
        expectation.after = list(self._before)
        if self._group is None:
            self._before = [expectation]
        else:
            self._group.append(expectation)
        self._script.declared(expectation)
        return expectation

    @contextmanager
    def any_order(self) -> Iterator[None]:
        """Expectations declared in this block may be met in any order, after those declared before it."""
        outer, self._group = self._group, []
        try:
            yield
        finally:
            if self._group:
                self._before = self._group
            self._group = outer

    def reorder(self, expectation: Expectation, before: list[Expectation]) -> None:
        """The newest expectation is out of the order: the next one comes after what came before it."""
        if self._before == [expectation]:
            self._before = before

    def ignore(self, *kinds: type[Message]) -> None:
        """Answer messages of these kinds with an empty reply, whenever they come."""
        self._ignored.update(kinds)

    def serve(self, server: Server | None) -> None:
        """Let a real server answer what no expectation takes; None to have nothing answered any more.

        Args:
            server: any `Server` of the project, or one of yours with the same messages.
        """
        self.behind = server
        if server is not None:
            self.port.spawn(self.start())

    def post(self, message: Message) -> None:
        """Send a one-way message to the Linux server, as a real server does when something has happened."""
        self.port.async_send(self._script.linux, message)

    # -- for the kernel -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the real server."""
        if self.behind is not None:
            self.behind.port = self.port
            await self.behind.start()

    def killed(self) -> None:
        """The task was killed; the script goes on."""
        if self.behind is not None:
            self.behind.killed()

    def successor(self) -> Scripted:
        """The same script, and the successor of the real server behind it."""
        if self.behind is not None:
            self.behind = self.behind.successor()
        self._listen()
        return self

    async def sleep(self, ns: int) -> None:
        """Let time pass."""
        waiter = self.port.waiter()
        self.port.call_at(self.port.now_ns() + ns, waiter.wake)
        await park(waiter)

    async def _serve(self, src: int, message: Message) -> Any:
        muted = self._script.log.muted
        if not muted:
            for expectation in self.expectations:
                if expectation.is_open and expectation.matches(message):
                    expectation.met += 1
                    return await expectation.serve(message)
        if type(message) in self._ignored:
            return make_reply(type(message), {}) if type(message).REPLY is not None else None
        if self.behind is not None:
            return await self.behind.handle(src, message)
        if not muted:
            self._script.unexpected(self, message)
        raise RpcError(ERR_NOT_ACCEPTABLE if muted else posix_error(EIO))

    async def notified(self, bits: int) -> None:
        """Notifications are the real server's."""
        if self.behind is not None:
            await self.behind.notified(bits)

    def task_died(self, task: int) -> None:
        """Called by the kernel when a task has ended."""
        died = getattr(self.behind, "task_died", None)
        if died is not None:
            died(task)

    def stop(self) -> None:
        """The machine shuts down."""
        if self.behind is not None:
            self.behind.stop()


def _wanted(message: Message | type[Message], fields: dict[str, Any]) -> Message:
    """The pattern that an expectation compares with."""
    if not isinstance(message, type):
        if fields:
            raise TypeError(f"fields go with a class of messages: {type(message).__qualname__}, {show_fields(message)}")
        return message
    known = [name for name, _ in message.FIELDS]
    for name in fields:
        if name not in known:
            raise TypeError(f"{message.NAME} has no field {name!r}: it has {', '.join(known) or 'none'}")
    return message(*(fields.get(name, ANY) for name in known))


def requests_of(namespaces: tuple[str, ...]) -> list[type[Message]]:
    """The requests and one-way messages of namespaces."""
    from linuxemu import messages

    return [
        kind
        for name in namespaces
        for kind in vars(getattr(messages, name)).values()
        if isinstance(kind, type) and issubclass(kind, Message) and not kind.NAME.endswith("_reply")
    ]
