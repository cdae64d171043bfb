"""The server of the `console` namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_INVALID_ARG
from linuxemu.kernel.server import Server, rpc
from linuxemu.messages import console
from linuxemu.servers.console.streams import POLLERR, POLLHUP, POLLIN, POLLOUT, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

_TERMIOS_SIZE = 36
_FD_READ = 1
_FD_WRITE = 4


class Listeners:
    """Who has to hear that a console server was started again."""

    __slots__ = ("restarted", "subscriber", "watchers")

    def __init__(self) -> None:
        self.subscriber: int | None = None
        """The task that hears of the host's signals."""
        self.watchers: dict[int, None] = {}
        """Tasks that ever watched a stream."""
        self.restarted = False


class ConsoleServer(Server):
    """Serves the standard streams 0, 1 and 2. No request ever waits: `watch` tells when to try again.

    Args:
        stdin: stream 0.
        stdout: stream 1.
        stderr: stream 2.
        listeners: those of the server whose place this one takes.
    """

    name = "console"

    def __init__(
        self, stdin: Stream, stdout: Stream, stderr: Stream, listeners: Listeners | None = None
    ) -> None:
        super().__init__()
        self._streams = (stdin, stdout, stderr)
        self._waiting: tuple[dict[int, int], ...] = ({}, {}, {})
        """Per stream, what each task waits for."""
        self._cancel: list[Callable[[], None] | None] = [None, None, None]
        self._listeners = listeners or Listeners()

    def successor(self) -> ConsoleServer:
        """A server of the same streams."""
        self._listeners.restarted = True
        return ConsoleServer(*self._streams, self._listeners)

    async def start(self) -> None:
        """Tell who may still wait for a predecessor's `ready` what holds now; so they ask again for the rest."""
        if not self._listeners.restarted:
            return
        for task in self._listeners.watchers:
            if self.port.exists(task):
                for number, stream in enumerate(self._streams):
                    self.port.async_send(task, console.Ready(number, stream.poll(POLLIN | POLLOUT)))

    def killed(self) -> None:
        """Stop watching; the streams stay as they are."""
        for number in range(len(self._streams)):
            self._disarm(number)

    def stop(self) -> None:
        """Stop watching and give the terminal its settings back."""
        for number, stream in enumerate(self._streams):
            self._disarm(number)
            stream.close()

    def deliver_host_signal(self, signo: int) -> bool:
        """Pass a signal that the host sent to this process on to the guest's foreground group.

        Args:
            signo: Linux's number of the signal.
        Returns:
            False if no client listens, so that the caller should do what the signal does by default.
        """
        if self._listeners.subscriber is None:
            return False
        self.port.async_send(self._listeners.subscriber, console.Signal(signo))
        return True

    def _stream(self, src: int, number: int) -> Stream:
        if self._listeners.subscriber is None:
            self._listeners.subscriber = src
        if not 0 <= number <= 2:
            raise RpcError(ERR_INVALID_ARG)
        return self._streams[number]

    @rpc(console.Info)
    async def info(self, src: int, m: console.Info) -> console.InfoReply:
        """What a stream is; the first task that asks anything also hears of the host's signals."""
        return self._stream(src, m.stream).info()

    @rpc(console.Read)
    async def read(self, src: int, m: console.Read) -> console.ReadReply:
        """What is there to read now."""
        return console.ReadReply(self._stream(src, m.stream).read(m.len))

    @rpc(console.Write)
    async def write(self, src: int, m: console.Write) -> console.WriteReply:
        """Write what can be written now."""
        return console.WriteReply(self._stream(src, m.stream).write(m.data))

    @rpc(console.Seek)
    async def seek(self, src: int, m: console.Seek) -> console.SeekReply:
        """Move the position of a file."""
        return console.SeekReply(self._stream(src, m.stream).seek(m.offset, m.whence))

    @rpc(console.Poll)
    async def poll(self, src: int, m: console.Poll) -> console.PollReply:
        """Which events hold now."""
        return console.PollReply(self._stream(src, m.stream).poll(m.events))

    # -- waiting ------------------------------------------------------------------------------------------

    @rpc(console.Watch)
    async def watch(self, src: int, m: console.Watch) -> console.WatchReply:
        """Send `ready` once, as soon as one of the events holds; never, if that cannot come to be."""
        stream = self._stream(src, m.stream)
        self._listeners.watchers[src] = None
        holds = stream.poll(m.events)
        if holds:
            self.port.async_send(src, console.Ready(m.stream, holds))
        elif stream.fd >= 0:
            waiting = self._waiting[m.stream]
            waiting[src] = waiting.get(src, 0) | m.events
            self._arm(m.stream)
        return console.WatchReply()

    def _disarm(self, number: int) -> None:
        cancel = self._cancel[number]
        if cancel is not None:
            self._cancel[number] = None
            cancel()

    def _arm(self, number: int) -> None:
        """Watch the host's descriptor for all that somebody waits for."""
        self._disarm(number)
        wanted = 0
        for events in self._waiting[number].values():
            wanted |= events
        # Who waits for a hang-up alone watches for what this stream never does: a hang-up comes unasked.
        events = (_FD_READ if wanted & POLLIN else 0) | (_FD_WRITE if wanted & POLLOUT else 0)
        events = events or (_FD_READ if number else _FD_WRITE)
        self._cancel[number] = self.port.watch_fd(
            self._streams[number].fd, events, lambda _: self._fired(number)
        )

    def _fired(self, number: int) -> None:
        self._cancel[number] = None
        waiting = self._waiting[number]
        for task, events in list(waiting.items()):
            holds = self._streams[number].poll(events)
            if holds & (events | POLLERR | POLLHUP):
                del waiting[task]
                self.port.async_send(task, console.Ready(number, holds))
        if waiting:
            self._arm(number)

    # -- terminals ----------------------------------------------------------------------------------------

    @rpc(console.Tcgets)
    async def tcgets(self, src: int, m: console.Tcgets) -> console.TcgetsReply:
        """Terminal settings."""
        return console.TcgetsReply(self._stream(src, m.stream).tcgets())

    @rpc(console.Tcsets)
    async def tcsets(self, src: int, m: console.Tcsets) -> console.TcsetsReply:
        """Change the terminal settings."""
        if len(m.termios) != _TERMIOS_SIZE or not 0 <= m.action <= 2:
            raise RpcError(ERR_INVALID_ARG)
        self._stream(src, m.stream).tcsets(m.action, m.termios)
        return console.TcsetsReply()

    @rpc(console.Tcflush)
    async def tcflush(self, src: int, m: console.Tcflush) -> console.TcflushReply:
        """Drop what is queued."""
        if not 0 <= m.queue <= 2:
            raise RpcError(ERR_INVALID_ARG)
        self._stream(src, m.stream).tcflush(m.queue)
        return console.TcflushReply()

    @rpc(console.GetWinsize)
    async def get_winsize(self, src: int, m: console.GetWinsize) -> console.GetWinsizeReply:
        """Size of the terminal window."""
        return console.GetWinsizeReply(*self._stream(src, m.stream).get_winsize())

    @rpc(console.SetWinsize)
    async def set_winsize(self, src: int, m: console.SetWinsize) -> console.SetWinsizeReply:
        """Change the size of the terminal window."""
        self._stream(src, m.stream).set_winsize((m.rows, m.cols, m.xpixel, m.ypixel))
        return console.SetWinsizeReply()
