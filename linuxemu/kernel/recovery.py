"""Calls that outlive their server: a request whose server died is made again once the server is back.

The root server (`linuxemu.servers.task`) starts dead servers again under their old task id. Their storage outlives
them, their handles do not. So a client that wants to notice nothing waits until the server is back, renews its
handles, and asks again; requests that must not happen twice are recognised by the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_ABORTED, ERR_INVALID_TASK, ERR_NOT_FOUND
from linuxemu.messages import supervisor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from linuxemu.kernel.port import Port
    from linuxemu.messages import Message

LOST = frozenset((ERR_ABORTED, ERR_INVALID_TASK))
"""How a call fails whose server dies, or is dead."""
DEATHS = 3
"""A server that dies so often in one request is not asked again."""
_ATTEMPTS = 2 * DEATHS
"""A handle that was lost before is no death in this request, but a server must not answer that for ever."""


async def wait_for(port: Port, server: int) -> int | None:
    """Wait until a server runs that may have died.

    Returns:
        how many times it was started again; None if nobody starts it again, or in vain.
    """
    for _ in range(DEATHS):
        try:
            restarts: int = (await port.call(port.root, supervisor.Wait(server))).restarts
        except RpcError as error:
            if error.code not in LOST:
                return None
        else:
            return restarts
    return None


async def call(port: Port, server: int, message: Message) -> Any:
    """Call a server, and again if it dies meanwhile.

    Raises:
        RpcError: its error word; ERR_ABORTED if it dies again and again.
    """
    try:
        return await port.call(server, message)
    except RpcError as error:
        return await call_again(port, server, message, error)


async def call_again(
    port: Port,
    server: int,
    message: Message,
    error: RpcError,
    renew: Callable[[], Awaitable[Message]] | None = None,
) -> Any:
    """What to do when a call has failed: make it again if its server died, else fail with the same error.

    Args:
        port: the caller's.
        server: the task that was called.
        message: the request.
        error: how it failed.
        renew: makes the request anew, for one with a handle, which is lost with its server.
    Raises:
        RpcError: `error`, or what came of the next attempts.
    """
    deaths = 0
    for _ in range(_ATTEMPTS):
        stale = renew is not None and error.code == ERR_NOT_FOUND
        deaths += error.code in LOST
        if deaths == DEATHS or not (stale or error.code in LOST):
            break
        restarts = await wait_for(port, server)
        if restarts is None or (stale and not restarts):
            break
        try:
            if renew is not None:
                message = await renew()
            return await port.call(server, message)
        except RpcError as failure:
            error = failure
    raise error
