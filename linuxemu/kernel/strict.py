"""Strict IPC: every message is packed to bytes and unpacked again on its way, in both directions.

A system that works like this could have its servers in other processes, or behind a wire to a real kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.errors import RpcError
from linuxemu.messages import BY_ID

if TYPE_CHECKING:
    from linuxemu.kernel.kernel import Kernel
    from linuxemu.kernel.task import Service, Task

_ID_MASK = 0xFFFF


def carry(message: Any, src: int) -> Any:
    """What arrives of a message after a trip as bytes."""
    payload = message.ool()
    wire = message.pack(src, 0x1000_0000 if payload is not None else 0)
    kind = BY_ID[int.from_bytes(wire[:4], "little") & _ID_MASK]
    return kind.unpack(wire, payload)


def strict(kernel: Kernel, task: Task, message: type, method: Service) -> Service:
    """Wrap a handler so that its request and its reply travel as bytes; for `Kernel(wrap=...)`."""

    async def serve(src: int, request: Any) -> Any:
        try:
            reply = await method(src, carry(request, src))
        except RpcError as error:
            word = error.code.to_bytes(4, "little", signed=True)
            raise RpcError(int.from_bytes(word, "little", signed=True)) from None
        return None if reply is None else carry(reply, task.tid)

    return serve
