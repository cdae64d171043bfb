"""A directory of the host as a file system."""

from __future__ import annotations

import os
from stat import S_IMODE, S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.runtime import new
from linuxemu.messages import fs, fsx
from linuxemu.servers.fs import errno as e
from linuxemu.servers.fs.base import (
    MAX_READ,
    MAX_SIZE,
    NAME_MAX,
    O_ACCMODE,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    Handle,
    check_name,
    check_target,
    split_names,
)
from linuxemu.servers.fs.hosttree import (
    O_CLOEXEC,
    O_DIRECTORY,
    O_NOFOLLOW,
    O_PATH,
    HostNode,
    HostStorage,
    host_key,
)
from linuxemu.servers.fs.hostxattr import HostXattrs

if TYPE_CHECKING:
    from collections.abc import Callable

EXT4_MAGIC = 0xEF53
_ST_RDONLY = 1
_NOREPLACE = fsx.RenameFlag.NOREPLACE
_V = fsx.SetattrValid


class HostFs(HostXattrs):
    """The file server of a host directory. The host's owners, modes and times are shown as they are.

    Devices, FIFOs and sockets of the host can be seen but not opened (ENXIO), and no devices are made
    (EPERM). Renaming with NOREPLACE is a hard link and an unlink, for directories a mkdir and a rename over
    it, so it never replaces anything; where the host's file system cannot make hard links it is EINVAL, and
    so is EXCHANGE. What is made belongs to the client's user where the host allows that, and else to
    whoever runs the machine. The change time cannot be set. A write that fails half way may have written a
    part.

    Args:
        path: the directory. Links in this path are followed, links inside of it are for the client to read.
        writable: whether requests may change it; EROFS otherwise.
        max_fds: how many directories stay open between requests.
        fs_type: what statfs(2) calls the file system.
        name: service name to register, see `FsServer`.
        storage: the inodes of the server whose place this one takes; `path` is not opened then.
    Raises:
        BootError: the directory cannot be opened, or this host system lacks what it takes.
    """

    def __init__(
        self,
        path: str,
        *,
        writable: bool = False,
        max_fds: int = 256,
        fs_type: int = EXT4_MAGIC,
        name: str = "fs",
        storage: HostStorage | None = None,
    ) -> None:
        super().__init__(max(1, max_fds), name, storage or HostStorage(path), writable)
        self._path = path
        self._type = fs_type

    def successor(self) -> HostFs:
        """A server of the same directory."""
        return HostFs(
            self._path,
            writable=self._writable,
            max_fds=self._max_fds,
            fs_type=self._type,
            name=self.name,
            storage=self._store,
        )

    # -- looking -------------------------------------------------------------------------------------

    async def root(self, src: int, m: fsx.Root) -> fsx.RootReply:
        """Attributes of the root."""
        return new(fsx.RootReply, self._attr(self._root, os.fstat(self._root.fd)))

    async def lookup(self, src: int, m: fsx.Lookup) -> fsx.LookupReply:
        """Attributes of a directory's entry."""
        parent = self._dir(m.parent)
        name = check_name(m.name)
        try:
            found = os.stat(name, dir_fd=self._dirfd(parent), follow_symlinks=False)
        except OSError as error:
            raise e.host_failure(error) from None
        node = self._adopt(parent, name, found)
        node.nlookup += 1
        return new(fsx.LookupReply, self._attr(node, found))

    async def forget(self, src: int, m: fsx.Forget) -> None:
        """Give references back."""
        node = self._by_ino.get(m.ino)
        if node is not None:
            node.nlookup = max(0, node.nlookup - m.nlookup)
            self._release(node)

    async def getattr(self, src: int, m: fsx.Getattr) -> fsx.GetattrReply:
        """Attributes of an inode; of one without a name, as far as they are known."""
        node = self._node(m.ino)
        return new(fsx.GetattrReply, self._attributes(node))

    def _attributes(self, node: HostNode) -> tuple[int, ...]:
        if node.last is not None and not node.places and not node.descriptors():
            return node.last
        return self._attr(node, self._state(node))

    async def readlink(self, src: int, m: fsx.Readlink) -> fsx.ReadlinkReply:
        """The target of a symbolic link, unchanged."""
        parent, name, found = self._locate(self._node(m.ino))
        if not S_ISLNK(found.st_mode):
            raise e.fail(e.EINVAL)
        try:
            return fsx.ReadlinkReply(os.readlink(name, dir_fd=parent.fd))
        except OSError as error:
            raise e.host_failure(error) from None

    async def statfs(self, src: int, m: fsx.Statfs) -> fsx.StatfsReply:
        """Sizes of the host's file system."""
        try:
            found = os.statvfs(self._root.fd)
        except OSError as error:
            raise e.host_failure(error) from None
        return fsx.StatfsReply(
            self._type,
            found.f_frsize,
            found.f_blocks,
            found.f_bfree,
            found.f_bavail,
            found.f_files,
            found.f_ffree,
            min(found.f_namemax, NAME_MAX),
            0 if self._writable else _ST_RDONLY,
        )

    # -- open files ----------------------------------------------------------------------------------

    async def open(self, src: int, m: fsx.Open) -> fsx.OpenReply:
        """Open a regular file or a directory."""
        node = self._node(m.ino)
        access = m.flags & O_ACCMODE
        self._check_handles(src)
        try:
            found = self._state(node)
            if S_ISDIR(found.st_mode):
                if access:
                    raise e.fail(e.EISDIR)
                flags = os.O_RDONLY | O_DIRECTORY | O_CLOEXEC
                fd = self._host_open(b".", flags, self._dirfd(node))
            elif S_ISREG(found.st_mode):
                if access:
                    self._check_writable()
                fd = self._open_again(node, access)
            else:
                raise e.fail(e.ELOOP if S_ISLNK(found.st_mode) else e.ENXIO)
        except OSError as error:
            raise e.host_failure(error) from None
        node.opened.append((fd, access))
        return fsx.OpenReply(self._add_handle(src, Handle(node, access, fd)))

    async def _closed(self, handle: Handle[HostNode]) -> None:
        handle.node.opened.remove((handle.fd, handle.flags))
        os.close(handle.fd)
        self._release(handle.node)

    async def read(self, src: int, m: fs.Read) -> fs.ReadReply:
        """Up to `len` bytes of an open file."""
        handle = self._handle(src, m.handle)
        if handle.node.is_dir or m.offset > MAX_SIZE:
            return fs.ReadReply(b"")
        try:
            return fs.ReadReply(os.pread(handle.fd, min(m.len, MAX_READ), m.offset))
        except OSError as error:
            raise e.host_failure(error) from None

    async def write(self, src: int, m: fs.Write) -> fs.WriteReply:
        """Write all of `data`."""
        handle = self._handle(src, m.handle)
        if handle.node.is_dir:
            raise e.fail(e.EISDIR)
        if m.offset + len(m.data) > MAX_SIZE:
            raise e.fail(e.EFBIG)
        handle.node.writes += 1
        view = memoryview(m.data)
        offset = m.offset
        try:
            while view:
                written = os.pwrite(handle.fd, view, offset)
                view = view[written:]
                offset += written
        except OSError as error:
            raise e.host_failure(error) from None
        return fs.WriteReply()

    async def fsync(self, src: int, m: fsx.Fsync) -> fsx.FsyncReply:
        """Wait until the host has stored what was written."""
        handle = self._handle(src, m.handle)
        try:
            if m.datasync and hasattr(os, "fdatasync"):
                os.fdatasync(handle.fd)
            else:
                os.fsync(handle.fd)
        except OSError as error:
            raise e.host_failure(error) from None
        return fsx.FsyncReply()

    async def fallocate(self, src: int, m: fsx.Fallocate) -> fsx.FallocateReply:
        """Reserve room, growing the file; the other modes of fallocate(2) are EOPNOTSUPP."""
        handle = self._handle(src, m.handle)
        if not m.len:
            raise e.fail(e.EINVAL)
        if m.mode or not hasattr(os, "posix_fallocate"):
            raise e.fail(e.EOPNOTSUPP)
        if handle.node.is_dir:
            raise e.fail(e.EISDIR)
        if m.offset + m.len > MAX_SIZE:
            raise e.fail(e.EFBIG)
        handle.node.writes += 1
        try:
            os.posix_fallocate(handle.fd, m.offset, m.len)
        except OSError as error:
            raise e.host_failure(error) from None
        return fsx.FallocateReply()

    # -- attributes ----------------------------------------------------------------------------------

    async def setattr(self, src: int, m: fsx.Setattr) -> fsx.SetattrReply:
        """Change attributes, as far as the host permits."""
        self._check_writable()
        node = self._node(m.ino)
        try:
            if m.valid & _V.SIZE:
                self._truncate(node, m.size)
            if m.valid & (_V.UID | _V.GID):
                uid = m.uid if m.valid & _V.UID else -1
                gid = m.gid if m.valid & _V.GID else -1
                self._change(node, lambda path, **where: os.chown(path, uid, gid, **where))
            if m.valid & _V.MODE:
                self._chmod(node, m.mode & 0o7777)
            if m.valid & (_V.ATIME | _V.MTIME):
                found = self._state(node)
                atime_ns = m.atime_ns if m.valid & _V.ATIME else found.st_atime_ns
                mtime_ns = m.mtime_ns if m.valid & _V.MTIME else found.st_mtime_ns
                self._change(node, lambda path, **where: os.utime(path, ns=(atime_ns, mtime_ns), **where))
        except OSError as error:
            raise e.host_failure(error) from None
        return new(fsx.SetattrReply, self._attributes(node))

    def _change(self, node: HostNode, change: Callable[..., None]) -> None:
        """Call `change` with what names the node: a descriptor, or a name and its directory."""
        descriptors = node.descriptors()
        if descriptors:
            change(descriptors[0][0])
        else:
            parent, name, _ = self._locate(node)
            change(name, dir_fd=parent.fd, follow_symlinks=False)

    def _truncate(self, node: HostNode, size: int) -> None:
        found = self._state(node)
        if not S_ISREG(found.st_mode):
            raise e.fail(e.EISDIR if S_ISDIR(found.st_mode) else e.EINVAL)
        if size > MAX_SIZE:
            raise e.fail(e.EFBIG)
        node.writes += 1
        for fd, access in node.descriptors():
            if access != os.O_RDONLY:
                os.ftruncate(fd, size)
                return
        fd = self._open_again(node, os.O_WRONLY)
        try:
            os.ftruncate(fd, size)
        finally:
            os.close(fd)

    def _chmod(self, node: HostNode, mode: int) -> None:
        """Change permissions without following a link that may be swapped in."""
        for fd, _ in node.descriptors():
            os.chmod(fd, mode)
            return
        parent, name, found = self._locate(node)
        if S_ISLNK(found.st_mode):
            raise e.fail(e.EOPNOTSUPP)
        if not O_PATH:
            os.chmod(name, mode, dir_fd=parent.fd, follow_symlinks=False)
            return
        with self._pinned(node) as path:
            os.chmod(path, mode)

    # -- making names --------------------------------------------------------------------------------

    def _created(self, parent: HostNode, name: bytes, mode: int, uid: int, gid: int) -> tuple[int, ...]:
        """Give what was just made its owner and mode; returns its attributes, with one reference counted."""
        dir_fd = self._dirfd(parent)
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        if (found.st_uid, found.st_gid) != (uid, gid):
            try:
                os.chown(name, uid, gid, dir_fd=dir_fd, follow_symlinks=False)
            except PermissionError:
                pass  # only a privileged tool can give files away
        node = self._adopt(parent, name, found)
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        if not S_ISLNK(found.st_mode) and S_IMODE(found.st_mode) != mode & 0o7777:
            self._chmod(node, mode & 0o7777)
        node.nlookup += 1
        return self._attributes(node)

    async def mknod(self, src: int, m: fsx.Mknod) -> fsx.MknodReply:
        """Make a regular file, FIFO or socket; EPERM for a device."""
        self._check_writable()
        parent = self._dir(m.parent)
        name = check_name(m.name)
        kind = m.mode & S_IFMT or S_IFREG
        if kind in (S_IFCHR, S_IFBLK, S_IFDIR):
            raise e.fail(e.EPERM)
        try:
            dir_fd = self._dirfd(parent)
            if kind == S_IFREG:
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | O_NOFOLLOW | O_CLOEXEC
                os.close(self._host_open(name, flags, dir_fd, m.mode & 0o777))
            elif kind == S_IFIFO:
                os.mkfifo(name, m.mode & 0o777, dir_fd=dir_fd)
            elif kind == S_IFSOCK:
                os.mknod(name, kind | (m.mode & 0o777), dir_fd=dir_fd)
            else:
                raise e.fail(e.EINVAL)
            return new(fsx.MknodReply, self._created(parent, name, m.mode, m.uid, m.gid))
        except OSError as error:
            raise e.host_failure(error) from None

    async def mkdir(self, src: int, m: fsx.Mkdir) -> fsx.MkdirReply:
        """Make a directory."""
        self._check_writable()
        parent = self._dir(m.parent)
        name = check_name(m.name)
        try:
            os.mkdir(name, m.mode & 0o777, dir_fd=self._dirfd(parent))
            return new(fsx.MkdirReply, self._created(parent, name, m.mode, m.uid, m.gid))
        except OSError as error:
            raise e.host_failure(error) from None

    async def symlink(self, src: int, m: fsx.Symlink) -> fsx.SymlinkReply:
        """Make a symbolic link; the host never follows it on our behalf."""
        self._check_writable()
        parent = self._dir(m.parent)
        name, target = split_names(m.names)
        check_name(name)
        check_target(target)
        try:
            os.symlink(target, name, dir_fd=self._dirfd(parent))
            return new(fsx.SymlinkReply, self._created(parent, name, 0, m.uid, m.gid))
        except OSError as error:
            raise e.host_failure(error) from None

    async def link(self, src: int, m: fsx.Link) -> fsx.LinkReply:
        """Give an inode one more name."""
        self._check_writable()
        node = self._node(m.ino)
        parent = self._dir(m.newparent)
        name = check_name(m.name)
        if node.is_dir:
            raise e.fail(e.EPERM)
        try:
            self._link(node, parent, name)
            found = os.stat(name, dir_fd=self._dirfd(parent), follow_symlinks=False)
        except OSError as error:
            raise e.host_failure(error) from None
        node.nlookup += 1
        return new(fsx.LinkReply, self._attr(node, found))

    def _link(self, node: HostNode, parent: HostNode, name: bytes) -> None:
        source, old, _ = self._locate(node)
        from_fd, dir_fd = self._two_dirfds(source, parent)
        os.link(old, name, src_dir_fd=from_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        if host_key(found) != node.key:  # somebody swapped the name we linked
            os.unlink(name, dir_fd=dir_fd)
            raise e.fail(e.ESTALE)
        self._adopt(parent, name, found)

    # -- taking names away ---------------------------------------------------------------------------

    async def unlink(self, src: int, m: fsx.Unlink) -> fsx.UnlinkReply:
        """Remove a name that is no directory."""
        self._check_writable()
        self._remove(self._dir(m.parent), check_name(m.name), directory=False)
        return fsx.UnlinkReply()

    async def rmdir(self, src: int, m: fsx.Rmdir) -> fsx.RmdirReply:
        """Remove an empty directory."""
        self._check_writable()
        self._remove(self._dir(m.parent), check_name(m.name), directory=True)
        return fsx.RmdirReply()

    def _remove(self, parent: HostNode, name: bytes, *, directory: bool) -> None:
        try:
            dir_fd = self._dirfd(parent)
            found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
            if S_ISDIR(found.st_mode) is not directory:
                raise e.fail(e.ENOTDIR if directory else e.EISDIR)
            if directory:
                os.rmdir(name, dir_fd=dir_fd)
            else:
                self._keep_open(parent, name, found)
                os.unlink(name, dir_fd=dir_fd)
        except OSError as error:
            raise e.host_failure(error) from None
        self._lost(parent, name, found)

    def _keep_open(self, parent: HostNode, name: bytes, found: os.stat_result) -> None:
        """A file loses a name, perhaps its last: a client may have it open from a server that died."""
        node = self._by_key.get(host_key(found))
        if not self._journal.incarnation or not S_ISREG(found.st_mode) or node is None or node.descriptors():
            return
        for access in (os.O_RDWR, os.O_RDONLY):
            try:
                node.kept.append((self._open_again(node, access), access))
            except (OSError, RpcError):
                continue
            return

    def _lost(self, parent: HostNode, name: bytes, found: os.stat_result) -> None:
        """A name is gone; remember what its inode was, should somebody still refer to it."""
        key = host_key(found)
        node = self._aliases.get((parent, name, key)) or self._by_key.get(key)
        if node is None or (parent, name) not in node.places:
            return
        self._forget_place(node, (parent, name))
        if not node.places:
            attr = self._attr(node, found)
            node.last = (*attr[:2], 0 if node.is_dir else max(0, attr[2] - 1), *attr[3:])
            self._close_dir(node)
        self._release(node)

    # -- rename --------------------------------------------------------------------------------------

    async def rename(self, src: int, m: fsx.Rename) -> fsx.RenameReply:
        """Move a name; with NOREPLACE without replacing another, see the class."""
        self._check_writable()
        source, target = self._dir(m.parent), self._dir(m.newparent)
        old, name = split_names(m.names)
        check_name(old)
        check_name(name)
        if m.flags not in (0, _NOREPLACE):
            raise e.fail(e.EINVAL)
        try:
            from_fd, to_fd = self._two_dirfds(source, target)
            moved = os.stat(old, dir_fd=from_fd, follow_symlinks=False)
            try:
                victim = os.stat(name, dir_fd=to_fd, follow_symlinks=False)
            except FileNotFoundError:
                victim = None
            if victim is not None:
                self._keep_open(target, name, victim)
            if m.flags:
                _rename_new(old, name, from_fd, to_fd, S_ISDIR(moved.st_mode))
            else:
                os.rename(old, name, src_dir_fd=from_fd, dst_dir_fd=to_fd)
        except OSError as error:
            raise e.host_failure(error) from None
        self._moved(source, old, target, name, moved, victim)
        return fsx.RenameReply()

    def _moved(
        self,
        source: HostNode,
        old: bytes,
        target: HostNode,
        name: bytes,
        moved: os.stat_result,
        victim: os.stat_result | None,
    ) -> None:
        """Bring the table up to date with a rename that succeeded."""
        if victim is not None:
            if host_key(victim) == host_key(moved):
                return  # two names of one inode: nothing happened
            self._lost(target, name, victim)
        key = host_key(moved)
        node = self._aliases.pop((source, old, key), None) or self._by_key.get(key)
        if node is not None and (source, old) in node.places:
            self._forget_place(node, (source, old))
            node.places[target, name] = None
            target.pins += 1


def _rename_new(old: bytes, name: bytes, from_fd: int, to_fd: int, directory: bool) -> None:
    """Rename without replacing anything.

    A hard link fails if the name exists; so does mkdir, whose empty directory the rename then replaces.
    """
    if directory:
        os.mkdir(name, dir_fd=to_fd)
        try:
            os.rename(old, name, src_dir_fd=from_fd, dst_dir_fd=to_fd)
        except OSError:
            os.rmdir(name, dir_fd=to_fd)
            raise
        return
    try:
        os.link(old, name, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if e.linux_errno(error.errno) in (e.EPERM, e.EOPNOTSUPP, e.EMLINK):
            raise e.fail(e.EINVAL) from None
        raise
    os.unlink(old, dir_fd=from_fd)
