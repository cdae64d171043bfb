"""Names in the tree: through which directory something was reached and what it is called now."""

from __future__ import annotations

from _weakref import ref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syscalls.vfs.inode import Inode
    from syscalls.vfs.mount import Mount


class _ChildRef(ref["Dentry"]):
    """A weak reference that knows where it is kept, so that it can be taken out."""

    __slots__ = ("children", "name")

    children: dict[bytes, _ChildRef]
    name: bytes


def _child_gone(child: _ChildRef) -> None:
    if child.children.get(child.name) is child:
        del child.children[child.name]


class Dentry:
    """A name in a directory, alive as long as somebody is there: a walk, an open file, a current directory.

    It is no cache of what the file system holds: each walk asks the file system and comes back to the same
    `Dentry` when the same inode still has the name. Whoever holds one sees it move with `rename`.

    Args:
        parent: the directory it is in; None at the root of a file system, and for what is in no directory.
        name: its name now; b"/" at a root. Without parent, any other name is shown as it is ("pipe:[5]").
        inode: what it names.
    """

    __slots__ = ("__weakref__", "_children", "deleted", "inode", "mounts", "name", "parent")

    def __init__(self, parent: Dentry | None, name: bytes, inode: Inode) -> None:
        self.parent = parent
        self.name = name
        self.inode = inode
        self.deleted = False
        """The name was removed; shown as " (deleted)" in /proc."""
        self.mounts: dict[Mount, Mount] | None = None
        """What is mounted here: by the mount through which one arrives. None when nothing is."""
        self._children: dict[bytes, _ChildRef] | None = None

    def child(self, name: bytes, inode: Inode) -> Dentry:
        """The dentry of an entry that the file system just confirmed."""
        children = self._children
        if children is None:
            children = self._children = {}
        else:
            held = children.get(name)
            known = held() if held is not None else None
            if known is not None:
                if known.inode is inode:
                    return known
                known.deleted = True
        made = Dentry(self, name, inode)
        self._remember(children, made)
        return made

    def detached(self, name: bytes, inode: Inode) -> Dentry:
        """A dentry in this directory that has no name there (O_TMPFILE); shown as deleted."""
        made = Dentry(self, name, inode)
        made.deleted = True
        return made

    @staticmethod
    def _remember(children: dict[bytes, _ChildRef], dentry: Dentry) -> None:
        held = _ChildRef(dentry, _child_gone)
        held.children = children
        held.name = dentry.name
        children[dentry.name] = held

    def live(self, name: bytes) -> Dentry | None:
        """The dentry of an entry if somebody holds it, without asking the file system."""
        if self._children is None:
            return None
        held = self._children.get(name)
        return held() if held is not None else None

    def entry_removed(self, name: bytes) -> None:
        """The entry was unlinked: who holds it has a deleted name."""
        dentry = self.live(name)
        if dentry is not None:
            dentry.deleted = True
            del self._children[name]  # type: ignore[union-attr]

    def entry_moved(self, name: bytes, newdir: Dentry, newname: bytes) -> None:
        """The entry was renamed, over `newname` if that existed."""
        dentry = self.live(name)
        newdir.entry_removed(newname)
        if dentry is not None:
            del self._children[name]  # type: ignore[union-attr]
            dentry._place(newdir, newname)

    def entries_exchanged(self, name: bytes, newdir: Dentry, newname: bytes) -> None:
        """Two entries changed places (RENAME_EXCHANGE)."""
        first, second = self.live(name), newdir.live(newname)
        if first is not None:
            del self._children[name]  # type: ignore[union-attr]
        if second is not None:
            del newdir._children[newname]  # type: ignore[union-attr]
        if first is not None:
            first._place(newdir, newname)
        if second is not None:
            second._place(self, name)

    def _place(self, parent: Dentry, name: bytes) -> None:
        self.parent = parent
        self.name = name
        if parent._children is None:
            parent._children = {}
        self._remember(parent._children, self)

    def is_below(self, ancestor: Dentry) -> bool:
        """Whether it is `ancestor` or somewhere inside of it."""
        dentry: Dentry | None = self
        while dentry is not None:
            if dentry is ancestor:
                return True
            dentry = dentry.parent
        return False
