"""Handles that outlive their server: an open file gets another one when the server that gave it has died."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NOT_FOUND
from linuxemu.kernel.recovery import call_again
from syscalls.abi.errno import EBADF
from syscalls.errors import SysError
from syscalls.vfs.filesystem import errno_of

if TYPE_CHECKING:
    from typing import Any, Protocol

    from linuxemu.messages import Message
    from syscalls.vfs.rpcfs import RpcInode

    class Opened(Protocol):
        """An open file, as far as its handle is concerned."""

        handle: int
        flags: int
        inode: RpcInode


_new = tuple.__new__


async def handle_again(file: Opened, message: Message, error: RpcError) -> Any:
    """What to do when a request with a file's handle has failed.

    If the server has died since the handle was given, the file gets another one and the request is made again.

    Args:
        file: the open file.
        message: the request; its first field is the handle.
        error: how it failed.
    Raises:
        SysError: the server's error for the guest; a handle that the server does not know is a bad descriptor.
    """
    owner = file.inode.fs
    used = message[0]

    async def renew() -> Message:
        nonlocal used
        if file.handle == used:
            handle = await file.inode.reopen(file.flags)
            if file.handle == used:
                file.handle = handle
            else:  # another request of the same file was faster
                await owner.close_handle(handle)
        used = file.handle
        return _new(type(message), (used, *message[1:]))

    try:
        return await call_again(owner.port, owner.task, message, error, renew)
    except RpcError as failure:
        bad = failure.code == ERR_NOT_FOUND
        raise SysError(EBADF if bad else errno_of(failure.code)) from None
