"""Reading a directory on after its server has died (man 3 readdir).

A position in a directory is one in the picture that the server took when the reading began, and the picture is lost
with the server. What was read of it so far is known here: the rest is what a new reading finds beyond that. So no
entry comes twice, none is missing that was there all the time, and positions once given stay valid.
"""

from __future__ import annotations

from struct import unpack_from
from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.messages import fsx
from syscalls.vfs.handle import handle_again

if TYPE_CHECKING:
    from syscalls.vfs.rpcfs import RpcDirectoryFile

Record = tuple[int, int, int, bytes]
"""Inode number, next cookie, DT_ type, name."""


def unpack_records(packed: bytes) -> list[Record]:
    """The records of a reply to fsx.readdir."""
    found: list[Record] = []
    at = 0
    while at < len(packed):
        ino, following, kind, length = unpack_from("<QQBH", packed, at)
        at += 19 + length
        found.append((ino, following, kind, packed[at - length : at]))
    return found


class Listing:
    """A whole directory: what was read of it already, then the rest.

    Args:
        known: records that the guest may have seen, with their cookies.
        present: what is in the directory now.
    """

    __slots__ = ("_records",)

    def __init__(self, known: list[Record], present: list[Record]) -> None:
        seen = {name for _, _, _, name in known}
        last = max((cookie for _, cookie, _, _ in known), default=0)
        rest = [record for record in present if record[3] not in seen]
        numbered = [(ino, last + n, kind, name) for n, (ino, _, kind, name) in enumerate(rest, 1)]
        self._records = {record[1]: record for record in [*known, *numbered]}

    def after(self, cookie: int) -> list[Record]:
        """All records behind a position."""
        records = list(self._records.values())
        if cookie in self._records:
            return records[records.index(self._records[cookie]) + 1 :]
        return records


async def relist(file: RpcDirectoryFile, read: list[bytes]) -> Listing:
    """Read a directory anew.

    Args:
        file: the directory, with a new handle.
        read: the replies that came before the server died.
    Raises:
        SysError: it cannot be read.
    """
    owner = file.inode.fs
    present: list[Record] = []
    cookie, handle = 0, file.handle
    while True:
        message = fsx.Readdir(file.handle, cookie, owner.chunk)
        try:
            packed = (await owner.port.call(owner.task, message)).entries
        except RpcError as error:
            packed = (await handle_again(file, message, error)).entries
        if cookie and file.handle != handle:  # it died again: the position means nothing
            present.clear()
            cookie, handle = 0, file.handle
            continue
        if not packed:
            return Listing([record for chunk in read for record in unpack_records(chunk)], present)
        present += unpack_records(packed)
        cookie = present[-1][1]
