"""The walk from a path name to what it names (man 7 path_resolution).

Each component is looked up at the file system anew, so a directory that the host changes is never seen stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV
from syscalls.abi.flags import (
    AT_FDCWD,
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    NAME_MAX,
    RESOLVE_BENEATH,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    S_IFDIR,
    S_IFLNK,
)
from syscalls.errors import SysError
from syscalls.objects.credentials import MAY_EXEC, permission
from syscalls.vfs.mount import Path, covering, path_name, place_of_file

if TYPE_CHECKING:
    from syscalls.objects.credentials import Credentials
    from syscalls.objects.task import Task
    from syscalls.vfs.dentry import Dentry
    from syscalls.vfs.inode import Inode
    from syscalls.vfs.mount import Mount

MAX_SYMLINKS = 40
_SEARCH_CAPS = 1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH


class Walk:
    """One walk: where it stands and what is left of the path.

    Args:
        t: who walks.
        dirfd: where a relative path starts: AT_FDCWD, or a descriptor of a directory.
        path: the path, not empty.
        resolve: RESOLVE_* restrictions (man 2 openat2).
        creds: whose search permissions count; the task's if None.
    """

    __slots__ = (
        "_creds",
        "_free",
        "_known",
        "_links",
        "_names",
        "_resolve",
        "_root",
        "_start",
        "_t",
        "dentry",
        "mount",
        "opening",
        "over",
        "slash",
    )

    def __init__(
        self, t: Task, dirfd: int, path: bytes, resolve: int = 0, creds: Credentials | None = None
    ) -> None:
        self._t = t
        self._creds = t.creds if creds is None else creds
        # Every directory may be searched.
        self._free = self._creds.effective & _SEARCH_CAPS != 0
        self._resolve = resolve
        self._links = 0
        # The inode whose attributes were just seen: None where they may be old.
        self._known: Inode | None = None
        self._root = t.fs.root
        if path[0] == 0x2F and not resolve:
            start = self._root
        else:
            start = self._starting_point(dirfd, path)
        self._start = start
        self.mount: Mount = start.mount
        self.dentry: Dentry = start.dentry
        self.over: Mount = start.mount
        """The mount through which `step` arrived at what it returned."""
        self.slash = False
        """The path ends in a slash: it must name a directory."""
        self.opening = False
        """What it leads to is to be opened: where paths are all there is, finding it and opening it are one request."""
        self._names: list[bytes] = []
        self._push(path)

    def _starting_point(self, dirfd: int, path: bytes) -> Path:
        absolute = path[0] == 0x2F
        if absolute and self._resolve & RESOLVE_BENEATH:
            raise SysError(EXDEV)
        if absolute and not self._resolve & RESOLVE_IN_ROOT:
            return self._root
        start = place_of(self._t, dirfd)
        if start.inode.kind != S_IFDIR:
            raise SysError(ENOTDIR)
        if self._resolve & RESOLVE_IN_ROOT:
            self._root = start
        return start

    def _push(self, path: bytes) -> None:
        """Put the components of a path, or of a link's target, in front of what is left."""
        last = not self._names
        names = [name for name in path.split(b"/") if name and name != b"."]
        if last and path[-1] in b"/.":
            stripped = path.rstrip(b"/")
            if len(stripped) != len(path):
                self.slash = True
            if stripped.endswith(b".") and (stripped == b"." or stripped.endswith(b"/.")):
                # A final "." is a component of its own: some calls refuse it.
                names.append(b".")
        if not names:
            return
        names.reverse()
        self._names += names

    @property
    def path(self) -> Path:
        """Where the walk stands."""
        return Path(self.mount, self.dentry)

    async def to_last(self) -> bytes | None:
        """Walk until one component is left and return it; None when none is ("/", or after a magic link)."""
        names = self._names
        while len(names) > 1:
            if self.dentry.inode.fs.flat:
                self._join_names()
                if len(names) <= 1:
                    break
            child = await self.step(names.pop())
            if child.inode.kind == S_IFLNK:
                await self.follow(child)
            else:
                self.mount = self.over
                self.dentry = child
        return names.pop() if names else None

    async def step(self, name: bytes) -> Dentry:
        """Look one name up where the walk stands; what is mounted there counts. Does not go there yet.

        `over` is then the mount of what was found.
        """
        dentry = self.dentry
        inode = dentry.inode
        if not self._free or inode.kind != S_IFDIR:
            await self.check_search(inode)
        if name == b".." or name == b".":
            self.over = self.mount
            return self._up() if name == b".." else dentry
        if len(name) > NAME_MAX and not inode.fs.flat:
            raise SysError(ENAMETOOLONG)
        child = dentry.live(name)
        if child is None or child.mounts is None:
            if self.opening and inode.fs.flat:
                found = await inode.lookup_to_open(self._t, name)
            else:
                found = await inode.lookup(self._t, name)
            self._known = found
            if (
                child is None
                or child.inode is not found
                or child.parent is not dentry
                or child.deleted
                or child.name != name
            ):
                child = dentry.child(name, found)
            inode.fs.keep(child)
        self.over = self.mount
        if child.mounts is not None:
            child = self._cross(child)
        return child

    async def check_search(self, inode: Inode) -> None:
        """ENOTDIR unless it is a directory, EACCES unless the caller may search it."""
        if inode.kind != S_IFDIR:
            raise SysError(ENOTDIR)
        if not self._free:
            if self._known is not inode:
                await inode.getattr(self._t)
                self._known = inode
            if not permission(self._creds, inode.attr, MAY_EXEC):
                raise SysError(EACCES)

    async def refresh(self, inode: Inode) -> None:
        """Make sure that the attributes of where the walk ended are not older than the walk."""
        if self._known is not inode:
            await inode.getattr(self._t)

    def _cross(self, dentry: Dentry) -> Dentry:
        """Go up to what is mounted on a dentry."""
        above = covering(self.mount, dentry)
        if above.mount is not self.mount:
            if self._resolve & RESOLVE_NO_XDEV:
                raise SysError(EXDEV)
            self.over = above.mount
        return above.dentry

    def _up(self) -> Dentry:
        """The parent directory: never above the root, from the root of a mount to where it is mounted."""
        mount, dentry = self.mount, self.dentry
        root = self._root
        if self._resolve & RESOLVE_BENEATH and mount is self._start.mount and dentry is self._start.dentry:
            raise SysError(EXDEV)
        while mount is not root.mount or dentry is not root.dentry:
            if dentry is mount.root:
                parent, mountpoint = mount.parent, mount.mountpoint
                if parent is None or mountpoint is None:
                    break
                if self._resolve & RESOLVE_NO_XDEV:
                    raise SysError(EXDEV)
                mount, dentry = parent, mountpoint
                continue
            if dentry.parent is not None:
                dentry = dentry.parent
            break
        self.over = mount
        if dentry.mounts is not None:
            self.over, dentry = covering(mount, dentry)
        return dentry

    def _join_names(self) -> None:
        """Make the rest of the path one name, for a file system without directories."""
        names = self._names
        joined: list[bytes] = []
        while names:
            name = names.pop()
            if name == b"..":
                if not joined:
                    names.append(name)
                    return
                joined.pop()
            elif name != b".":
                joined.append(name)
        if joined:
            names.append(b"/".join(joined))

    async def follow(self, link: Dentry) -> None:
        """Go on with the target of a symbolic link that `step` found."""
        self._links += 1
        if self._links > MAX_SYMLINKS or self._resolve & RESOLVE_NO_SYMLINKS:
            raise SysError(ELOOP)
        place = await link.inode.follow(self._t)
        if place is not None:
            if self._resolve & RESOLVE_NO_MAGICLINKS:
                raise SysError(ELOOP)
            if self._resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_NO_XDEV):
                raise SysError(EXDEV)
            self._known = None
            self.mount, self.dentry = place
            return
        target = await link.inode.readlink(self._t)
        if not target:
            raise SysError(ENOENT)
        if target[0] == 0x2F:
            self._restart(self._root)
        self._push(target)

    def _restart(self, root: Path) -> None:
        if self._resolve & RESOLVE_BENEATH:
            raise SysError(EXDEV)
        if self._resolve & RESOLVE_NO_XDEV and root.mount is not self.mount:
            raise SysError(EXDEV)
        self._known = None
        self.mount, self.dentry = root

    async def resolve(self, follow: bool, directory: bool = False) -> Path:
        """Walk to the end. A final link is followed if `follow` says so or a slash comes after it."""
        while True:
            name = await self.to_last()
            if name is None:
                break
            child = await self.step(name)
            if child.inode.kind == S_IFLNK and (follow or self.slash):
                await self.follow(child)
                continue
            self.mount = self.over
            self.dentry = child
            break
        if (self.slash or directory) and self.dentry.inode.kind != S_IFDIR:
            raise SysError(ENOTDIR)
        return Path(self.mount, self.dentry)


def place_of(t: Task, dirfd: int) -> Path:
    """The place that a dirfd argument stands for; EBADF for a closed descriptor."""
    return t.fs.cwd if dirfd == AT_FDCWD else place_of_file(t.files.get_any(dirfd))


async def lookup(
    t: Task, dirfd: int, path: bytes, follow: bool = True, empty_ok: bool = False, directory: bool = False
) -> Path:
    """What a path names.

    Args:
        t: who asks: its root, current directory, descriptors and credentials count.
        dirfd: where a relative path starts, or AT_FDCWD.
        path: the path.
        follow: follow a final symbolic link.
        empty_ok: an empty path names what `dirfd` is itself (AT_EMPTY_PATH).
        directory: it must be a directory.
    """
    if not path:
        if not empty_ok:
            raise SysError(ENOENT)
        return place_of(t, dirfd)
    return await Walk(t, dirfd, path).resolve(follow, directory)


async def lookup_parent(t: Task, dirfd: int, path: bytes) -> tuple[Path, bytes]:
    """The directory that the last component of a path is, or would be, in; and that component.

    The name is b"" for the root, and may be b"." or b"..". Slashes after it are ignored.
    """
    if not path:
        raise SysError(ENOENT)
    walk = Walk(t, dirfd, path)
    name = await walk.to_last()
    if name is None:
        return walk.path, b""
    await walk.check_search(walk.dentry.inode)
    return walk.path, name


async def path_bytes(path: Path, root: Path) -> bytes:
    """The name of a place as /proc shows it, " (deleted)" after a removed one."""
    name = path_name(path, root)[0]
    return name + b" (deleted)" if path.dentry.deleted else name
