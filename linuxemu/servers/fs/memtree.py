"""The tree of the in-memory file system, and how it rests on a lower file server.

Only names, attributes and pages that changed are here; everything else is asked of the lower server when it
is needed. A request therefore may sleep in the middle, while others change the same directory. So each
operation first collects all it needs, then makes sure that nothing moved meanwhile (`DirNode.epoch`), then
changes things without sleeping again.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NOT_FOUND, posix_errno
from linuxemu.idl.runtime import new
from linuxemu.kernel.recovery import DEATHS, LOST, call, call_again, wait_for
from linuxemu.messages import fs, fsx
from linuxemu.servers.fs import errno as e
from linuxemu.servers.fs.base import S_IFMT, Entry, FsServer, Handle, dirent_type
from linuxemu.servers.fs.memnode import DirNode, FileNode, LinkNode, MemStorage, Node, make_node
from linuxemu.servers.fs.pages import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from linuxemu.messages import Message

_LIST_CHUNK = 1 << 16
_RECORD = Struct("<QQBH")


class MemTree(FsServer[Node]):
    """Inode table, names and lower file system of `MemFs`.

    Args:
        name: service name to register, see `FsServer`.
        storage: the file system itself.
    """

    def __init__(self, name: str, storage: MemStorage) -> None:
        super().__init__(name, storage.journal)
        storage.close_handles()
        self._store = storage
        self._lower = storage.lower or 0
        self._now = storage.now_ns
        self._nodes = storage.nodes
        self._by_lower = storage.by_lower
        self._renumbered = storage.renumbered

    async def start(self) -> None:
        """Drop what only the handles of a predecessor kept."""
        for node in list(self._nodes.values()):
            self._release(node)

    async def _root_node(self) -> DirNode:
        """The root; it is learnt from the lower server when first needed."""
        store = self._store
        if store.root is None:
            attr = await self._ask_lower(fsx.Root())
            if store.root is None:
                node = self._adopt(attr, None)
                if not isinstance(node, DirNode):
                    raise e.fail(e.ENOTDIR)
                store.root = node
        return store.root

    # -- the inode table -----------------------------------------------------------------------------

    def _node(self, ino: int) -> Node:
        try:
            return self._nodes[ino]
        except KeyError:
            raise e.fail(e.ESTALE) from None

    def _dir(self, ino: int) -> DirNode:
        node = self._nodes.get(ino)
        if type(node) is not DirNode:
            raise e.fail(e.ESTALE if node is None else e.ENOTDIR)
        return node

    def _unused_ino(self) -> int:
        store = self._store
        while store.next_ino in store.nodes:
            store.next_ino += 1
        store.next_ino += 1
        return store.next_ino - 1

    def _make(self, mode: int) -> Node:
        """A new inode of our own."""
        node = make_node(self._unused_ino(), mode)
        self._nodes[node.ino] = node
        node.atime_ns = node.mtime_ns = node.ctime_ns = self._now()
        return node

    def _release(self, node: Node) -> None:
        """Drop an inode that nobody refers to and that holds nothing worth keeping."""
        current: Node | None = node
        while current is not None:
            if (
                current.nlookup
                or current.opens
                or (current.owned and current.nlink)
                or current is self._store.root
            ):
                return
            parent = None
            if isinstance(current, DirNode):
                if current.pins:
                    return
                parent = current.parent
                self._set_parent(current, None)
            elif isinstance(current, FileNode):
                self._store.add_pages(-current.data.allocated)
                current.data.truncate(0)
            elif isinstance(current, LinkNode):
                self._store.add_pages(-current.allocated)
            for attribute in (current.xattrs or {}).items():
                self._store.drop_xattr(*attribute)
            if self._nodes.get(current.ino) is current:
                del self._nodes[current.ino]
            self._forget_lower(current)
            current = parent

    def _forget_lower(self, node: Node) -> None:
        if node.lower is None:
            return
        if self._by_lower.get(node.lower) is node:
            del self._by_lower[node.lower]
        references, node.lower_refs = node.lower_refs, 0
        if references:
            try:
                self.port.post(self._lower, fsx.Forget(node.lower, references))
            except RpcError:
                pass  # the lower server has ended, and its counts with it

    def _unhold(self, *nodes: Node | None) -> None:
        """End the hold that `_find_held` began."""
        for node in nodes:
            if node is not None:
                node.opens -= 1
                self._release(node)

    # -- room ----------------------------------------------------------------------------------------

    def _charge(self, pages: int) -> None:
        """ENOSPC unless so many more pages fit."""
        if not self._store.has_room(pages):
            raise e.fail(e.ENOSPC)

    # -- names ---------------------------------------------------------------------------------------

    def _set_parent(self, node: DirNode, parent: DirNode | None) -> None:
        if node.parent is not parent:
            if node.parent is not None:
                node.parent.pins -= 1
            if parent is not None:
                parent.pins += 1
            node.parent = parent

    def _within(self, node: DirNode, ancestor: DirNode) -> bool:
        """Whether a directory is another or below it."""
        current: DirNode | None = node
        for _ in range(len(self._nodes) + 1):  # a lower file system may lie about its shape
            if current is None or current is ancestor:
                return current is ancestor
            current = current.parent
        return False

    def _check_room_for_name(self, parent: DirNode) -> None:
        if not parent.nlink:
            raise e.fail(e.ENOENT)
        if not self._store.has_room_for_name():
            raise e.fail(e.ENOSPC)

    def _insert(self, parent: DirNode, name: bytes, node: Node) -> None:
        """Give an owned inode a name; whatever had it is removed already."""
        parent.entries[name] = node
        self._store.add_names(1)
        if type(node) is DirNode:
            self._set_parent(node, parent)

    def _remove(self, parent: DirNode, name: bytes) -> None:
        """Take a name away, here or by hiding what is below."""
        if parent.entries.pop(name, None) is None:
            parent.hidden.add(name)
        else:
            self._store.add_names(-1)

    async def _find(self, parent: DirNode, name: bytes) -> Node | None:
        """The inode that has a name, None if there is none."""
        node = parent.entries.get(name)
        if node is not None or parent.below is None or name in parent.hidden:
            return node
        try:
            attr = await self._ask_lower(fsx.Lookup(parent.below, name))
        except RpcError as error:
            if posix_errno(error.code) == e.ENOENT:
                return None
            raise
        return self._adopt(attr, parent)

    async def _find_held(self, parent: DirNode, name: bytes) -> Node | None:
        """As `_find`; the node is not dropped before `_unhold`."""
        node = await self._find(parent, name)
        if node is not None:
            node.opens += 1
        return node

    def _presence(self, node: Node) -> Callable[[bytes], bool] | None:
        assert isinstance(node, DirNode)
        entries, hidden = node.entries, node.hidden
        if node.below is None:
            return entries.__contains__
        return lambda name: name in entries or name not in hidden

    async def _list(self, handle: Handle[Node]) -> Sequence[Entry]:
        node = handle.node
        if not isinstance(node, DirNode):
            raise e.fail(e.ENOTDIR)
        below = await self._list_below(node)
        found = [(child.ino, dirent_type(child.mode), name) for name, child in node.entries.items()]
        found += [entry for entry in below if entry[2] not in node.entries and entry[2] not in node.hidden]
        return found

    async def _check_empty(self, node: DirNode) -> None:
        """ENOTEMPTY for a directory with a name in it."""
        if node.entries or any(name not in node.hidden for _, _, name in await self._list_below(node)):
            raise e.fail(e.ENOTEMPTY)

    # -- the lower file system -----------------------------------------------------------------------

    async def _ask_lower(self, message: Message) -> Any:
        """Ask the lower server, and again if it dies meanwhile."""
        return await call(self.port, self._lower, message)

    def _number(self, lower: int) -> int:
        """Our number of a lower inode: the lower one's own, unless something else has it here."""
        node = self._by_lower.get(lower)
        if node is not None:
            return node.ino
        ino = self._renumbered.get(lower)
        if ino is not None:
            return ino
        if lower not in self._nodes:
            return lower
        ino = self._renumbered[lower] = self._unused_ino()
        return ino

    def _adopt(self, attr: Sequence[int], parent: DirNode | None) -> Node:
        """The node of a lower inode that was just looked up."""
        lower, mode = attr[0], attr[1]
        node = self._by_lower.get(lower)
        reused = node is not None and not node.owned and (node.mode ^ mode) & S_IFMT  # the number, below
        if node is None or reused:
            node = make_node(self._number(lower), mode, lower)
            self._nodes[node.ino] = self._by_lower[lower] = node
        if parent is not None:
            node.lower_refs += 1
            if type(node) is DirNode and not node.owned:
                self._set_parent(node, parent)
        return node

    async def _own(self, node: Node) -> None:
        """Keep a node's attributes here from now on, because they are about to change."""
        if node.owned or node.lower is None:
            return
        attr = await self._ask_lower(fsx.Getattr(node.lower))
        if isinstance(node, LinkNode):
            target = (await self._ask_lower(fsx.Readlink(node.lower))).target
            if not node.owned:
                node.target = target
                node.take(attr)
                self._store.add_pages(node.allocated)
        elif not node.owned:
            node.take(attr)

    async def _lower_attr(self, node: Node) -> fsx.GetattrReply:
        """The attributes of a node that is not owned."""
        reply: fsx.GetattrReply = await self._ask_lower(fsx.Getattr(node.lower or 0))
        return reply if node.ino == node.lower else new(fsx.GetattrReply, (node.ino, *reply[1:]))

    async def _open_lower(self, node: FileNode) -> None:
        """Get a handle at the lower server for as long as the file is open here."""
        if node.lower is None or node.lower_handle is not None or (node.owned and not node.data.floor):
            return
        handle = (await self._ask_lower(fsx.Open(node.lower, 0))).handle
        if node.lower_handle is None:
            node.lower_handle = handle
        else:
            await self._close_below(handle)

    async def _close_lower(self, node: FileNode) -> None:
        handle = node.lower_handle
        if handle is not None:
            node.lower_handle = None
            await self._close_below(handle)

    async def _close_below(self, handle: int) -> None:
        try:
            await self.port.call(self._lower, fs.Close(handle))
        except RpcError as error:
            if error.code not in LOST and error.code != ERR_NOT_FOUND:
                raise  # else it was closed by the lower server's death

    async def _read_below(self, node: FileNode, offset: int, length: int) -> fs.ReadReply:
        """One read of an open file's lower part."""
        message = fs.Read(node.lower_handle or 0, offset, length)
        try:
            reply: fs.ReadReply = await self.port.call(self._lower, message)
        except RpcError as error:
            reply = await self._read_again(node, message, error)
        return reply

    async def _read_again(self, node: FileNode, message: fs.Read, error: RpcError) -> fs.ReadReply:
        """A read below failed: if the lower server has died, the file gets another handle."""
        used = message.handle

        async def renew() -> fs.Read:
            nonlocal used
            if node.lower_handle == used:
                handle = (await self.port.call(self._lower, fsx.Open(node.lower or 0, 0))).handle
                if node.lower_handle == used:
                    node.lower_handle = handle
                else:  # another request was faster
                    await self._close_below(handle)
            used = node.lower_handle or 0
            return fs.Read(used, message.offset, message.len)

        reply: fs.ReadReply = await call_again(self.port, self._lower, message, error, renew)
        return reply

    async def _read_lower(self, node: FileNode, start: int, end: int) -> bytes:
        """The lower file's bytes; zeros where it turns out to be shorter than it said."""
        parts: list[bytes] = []
        position = start
        while position < end and node.lower_handle is not None:
            reply = await self._read_below(node, position, end - position)
            if not reply.data:
                break
            parts.append(reply.data)
            position += len(reply.data)
        return b"".join(parts).ljust(end - start, b"\0")

    async def _read_merged(self, node: FileNode, offset: int, end: int) -> bytes:
        parts = []
        for start, stop, below in node.data.lower_runs(offset, end):
            if below:
                parts.append(await self._read_lower(node, start, stop))
            else:
                parts.append(node.data.read(start, stop))
        return b"".join(parts)

    async def _fetch(self, node: FileNode, offset: int, end: int) -> dict[int, bytes]:
        """The lower pages that a change of the range needs, to be given to `PageMap.fill`."""
        return {
            index: await self._read_lower(node, index * PAGE, min((index + 1) * PAGE, node.data.floor))
            for index in node.data.edges(offset, end)
        }

    async def _list_below(self, node: DirNode) -> list[Entry]:
        """The entries of the lower directory, with our inode numbers."""
        if node.below is None:
            return []
        for deaths in range(1, DEATHS + 1):
            try:
                return await self._list_lower(node.below)
            except RpcError as error:
                if error.code not in LOST and error.code != ERR_NOT_FOUND:
                    raise
                if deaths == DEATHS or not await wait_for(self.port, self._lower):
                    raise
        raise AssertionError

    async def _list_lower(self, directory: int) -> list[Entry]:
        ask, lower = self.port.call, self._lower
        handle = (await ask(lower, fsx.Open(directory, 0))).handle
        found: list[Entry] = []
        try:
            cookie = 0
            while True:
                records = (await ask(lower, fsx.Readdir(handle, cookie, _LIST_CHUNK))).entries
                if not records:
                    return found
                position = 0
                while position < len(records):
                    ino, cookie, kind, length = _RECORD.unpack_from(records, position)
                    position += _RECORD.size + length
                    found.append((self._number(ino), kind, records[position - length : position]))
        finally:
            await self._close_below(handle)
