"""What a file server has to know of its former incarnations, so that a client can go on after a death.

A client whose request was lost with the server makes it again, and cannot know whether it was carried out. Reading,
writing at an offset and setting attributes may happen twice. Changes of names and of extended attributes may not: the
second mkdir fails where the first succeeded. A server does one thing at a time, so only the reply to the last change
that a dead server made can be lost; this is kept, and whoever asks for just this again gets the reply and nothing
happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linuxemu.kernel.task import Service
    from linuxemu.messages import Message

_HANDLE_BITS = 20
_INCARNATIONS = 2000
_PATIENCE = 8

Change = tuple[int, "Message", Any]
"""Client, request, reply."""


class Journal:
    """The part of a file server's storage that all file servers have."""

    __slots__ = ("_changes", "_last", "_lost", "incarnation")

    def __init__(self) -> None:
        self.incarnation = -1
        self._last: Change | None = None
        self._lost: Change | None = None
        """The last change of the incarnation before, until it is asked for or clearly never will be."""
        self._changes = 0

    def begin(self) -> int:
        """A new incarnation begins. Returns the number before its first handle.

        No handle is ever one of an incarnation before: so a client finds out that a handle was lost, instead of
        reading another file.
        """
        self.incarnation += 1
        self._lost = self._last
        self._changes = 0
        return self.incarnation % _INCARNATIONS << _HANDLE_BITS

    def once(self, method: Service) -> Service:
        """The handler of a change that must not happen twice."""

        async def serve(src: int, m: Any) -> Any:
            lost = self._lost
            if lost is not None:
                if lost[0] == src and lost[1] == m:
                    self._last, self._lost = lost, None
                    return lost[2]
                self._changes += 1
                if self._changes > _PATIENCE:
                    self._lost = None
            reply = await method(src, m)
            self._last = src, m, reply
            return reply

        return serve

    def forget(self, client: int) -> None:
        """A client has died: it asks for nothing again."""
        if self._last is not None and self._last[0] == client:
            self._last = None
        if self._lost is not None and self._lost[0] == client:
            self._lost = None
