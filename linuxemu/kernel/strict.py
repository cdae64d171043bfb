"""Strict IPC: every message is packed to bytes and unpacked again on its way, in both directions.

Strings and byte strings do not fit a message: they travel through the ool server, as every task of the seed sends
them. A system that works like this could have its servers in other processes, or behind a wire to a real kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_ALREADY_EXISTS
from linuxemu.messages import unpack

if TYPE_CHECKING:
    from linuxemu.kernel.kernel import Kernel
    from linuxemu.kernel.task import Service, Task


class Carrier(Protocol):
    """The ool server, as far as it carries payloads."""

    def carry(self, src: int, dst: int, payload: bytes) -> bytes:
        """Take a payload from one task to another through their buffers."""


class StrictIpc:
    """Wraps handlers so that their requests and replies travel as bytes; for `Kernel(wrap=...)`.

    Args:
        carrier: the ool server.
    """

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def _carry(self, message: Any, src: int, dst: int) -> Any:
        """What arrives of a message after its trip."""
        payload = message.ool()
        if payload is not None:
            try:
                payload = self._carrier.carry(src, dst, payload)
            except RpcError as error:
                # The receiver talks to the ool server itself just now: its buffer is not ours to use.
                if error.code != ERR_ALREADY_EXISTS:
                    raise
        return unpack(message.pack(src), payload)

    def __call__(self, kernel: Kernel, task: Task, message: type, method: Service) -> Service:
        """The handler that serves in place of `method`."""

        async def serve(src: int, request: Any) -> Any:
            try:
                reply = await method(src, self._carry(request, src, task.tid))
            except RpcError as error:
                word = error.code.to_bytes(4, "little", signed=True)
                raise RpcError(int.from_bytes(word, "little", signed=True)) from None
            return None if reply is None else self._carry(reply, task.tid, src)

        return serve
