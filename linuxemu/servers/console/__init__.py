"""The console server: the standard streams of whoever runs the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import BootError, RpcError
from linuxemu.idl.codes import ERR_INVALID_ARG, ERR_WOULD_BLOCK
from linuxemu.kernel import Server, rpc
from linuxemu.messages import console
from linuxemu.servers.console.streams import CapturedOutput, GivenInput, Stream

if TYPE_CHECKING:
    from linuxemu.servers.console.host import HostStream

_STREAMS = 3
_TERMIOS_SIZE = 36


class ConsoleServer(Server):
    """Serves streams 0, 1 and 2. Nothing blocks: who wants to wait asks to be told with `watch`.

    Args:
        streams: the three streams.
        inherited: they are the tool's own, so its signals are meant for the guest.
    """

    name = "console"

    def __init__(self, streams: list[Stream], inherited: bool) -> None:
        super().__init__()
        self._streams = streams
        self.inherited = inherited
        self._listener = 0

    def captured(self, stream: int) -> bytes:
        """What was written to a stream that is captured; empty for any other."""
        found = self._streams[stream]
        return bytes(found.data) if isinstance(found, CapturedOutput) else b""

    def deliver_host_signal(self, signo: int) -> None:
        """The user of the host sent the tool a signal that is meant for the guest's foreground program."""
        if self._listener:
            self.port.async_send(self._listener, console.Signal(signo))

    def stop(self) -> None:
        """Give the terminal its settings back."""
        for stream in self._streams:
            stream.close()

    def _stream(self, number: int) -> Stream:
        if not 0 <= number < _STREAMS:
            raise RpcError(ERR_INVALID_ARG)
        return self._streams[number]

    def _terminal(self, number: int) -> HostStream:
        stream = self._stream(number)
        stream.terminal()
        return stream  # type: ignore[return-value]  # only host streams are terminals

    @rpc(console.Info)
    async def info(self, src: int, m: console.Info) -> console.InfoReply:
        """What a stream is; the asking task is the one that gets the user's signals."""
        self._listener = src
        return console.InfoReply(*self._stream(m.stream).info())

    @rpc(console.Read)
    async def read(self, src: int, m: console.Read) -> console.ReadReply:
        """Bytes that are there now."""
        data = self._stream(m.stream).read(m.len)
        if data is None:
            raise RpcError(ERR_WOULD_BLOCK)
        return console.ReadReply(data)

    @rpc(console.Write)
    async def write(self, src: int, m: console.Write) -> console.WriteReply:
        """Write what fits now."""
        written = self._stream(m.stream).write(m.data)
        if written is None:
            raise RpcError(ERR_WOULD_BLOCK)
        return console.WriteReply(written)

    @rpc(console.Seek)
    async def seek(self, src: int, m: console.Seek) -> console.SeekReply:
        """Move the position of a file."""
        return console.SeekReply(self._stream(m.stream).seek(m.offset, m.whence))

    @rpc(console.Poll)
    async def poll(self, src: int, m: console.Poll) -> console.PollReply:
        """Which events hold now."""
        return console.PollReply(self._stream(m.stream).poll(m.events))

    @rpc(console.Watch)
    async def watch(self, src: int, m: console.Watch) -> console.WatchReply:
        """Tell the caller once when one of the events holds."""
        stream = self._stream(m.stream)
        number = m.stream

        def ready(events: int) -> None:
            self.port.async_send(src, console.Ready(number, events))

        now = stream.poll(m.events)
        if now or stream.fd is None:
            ready(now or m.events)
        else:
            self.port.watch_fd(stream.fd, m.events, ready)
        return console.WatchReply()

    @rpc(console.Tcgets)
    async def tcgets(self, src: int, m: console.Tcgets) -> console.TcgetsReply:
        """The terminal's settings."""
        return console.TcgetsReply(self._terminal(m.stream).tcgets())

    @rpc(console.Tcsets)
    async def tcsets(self, src: int, m: console.Tcsets) -> console.TcsetsReply:
        """Change the terminal's settings."""
        stream = self._terminal(m.stream)
        if len(m.termios) != _TERMIOS_SIZE or not 0 <= m.action <= 2:
            raise RpcError(ERR_INVALID_ARG)
        stream.tcsets(m.action, m.termios)
        return console.TcsetsReply()

    @rpc(console.Tcflush)
    async def tcflush(self, src: int, m: console.Tcflush) -> console.TcflushReply:
        """Discard what the terminal has queued."""
        if not 0 <= m.queue <= 2:
            raise RpcError(ERR_INVALID_ARG)
        self._terminal(m.stream).tcflush(m.queue)
        return console.TcflushReply()

    @rpc(console.GetWinsize)
    async def get_winsize(self, src: int, m: console.GetWinsize) -> console.GetWinsizeReply:
        """The terminal's size."""
        return console.GetWinsizeReply(*self._terminal(m.stream).get_winsize())

    @rpc(console.SetWinsize)
    async def set_winsize(self, src: int, m: console.SetWinsize) -> console.SetWinsizeReply:
        """Change the terminal's size."""
        self._terminal(m.stream).set_winsize(m.rows, m.cols, m.xpixel, m.ypixel)
        return console.SetWinsizeReply()


def open_console(stdin: str | bytes, stdout: str, stderr: str) -> ConsoleServer:
    """A console server for what `Machine` was given.

    Args:
        stdin: "inherit", or bytes to read.
        stdout: "inherit" or "capture".
        stderr: the same.
    Raises:
        BootError: anything else.
    """
    from linuxemu.servers.console.host import host_stream

    streams: list[Stream] = []
    if isinstance(stdin, bytes):
        streams.append(GivenInput(stdin))
    elif stdin == "inherit":
        streams.append(host_stream(0))
    else:
        raise BootError(f"stdin is {stdin!r}: it must be bytes or 'inherit'")
    for number, given in ((1, stdout), (2, stderr)):
        if given not in ("inherit", "capture"):
            raise BootError(f"stream {number} is {given!r}: it must be 'inherit' or 'capture'")
        streams.append(host_stream(number) if given == "inherit" else CapturedOutput())
    return ConsoleServer(streams, inherited=stdin == "inherit")


