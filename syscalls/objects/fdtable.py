"""The table of file descriptors of a process (man 2 dup, man 2 close)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EBADF, EMFILE
from syscalls.abi.flags import RLIMIT_NOFILE
from syscalls.errors import SysError
from syscalls.objects.file import ANY, File

if TYPE_CHECKING:
    from collections.abc import ItemsView, Mapping, ValuesView

    from linuxemu.kernel.room import Room

FILE_SIZE = 1024
"""What a descriptor and its file take in memory, bytes."""
_BATCH = 16


class FdTable:
    """Descriptors of one or more tasks: number -> open file description.

    Tasks made with CLONE_FILES share one table: `share` and `drop` count them.

    Args:
        rlimits: the process's resource limits, number -> (soft, hard); RLIMIT_NOFILE is read each time.
        room: of the machine; None for any.
    """

    __slots__ = ("_cloexec", "_files", "_lowest", "_paid", "_room", "refs", "rlimits")

    def __init__(self, rlimits: Mapping[int, tuple[int, int]], room: Room | None = None) -> None:
        self.rlimits = rlimits
        self.refs = 1
        self._room = room
        self._paid = 0
        # For so many descriptors room is taken.
        self._files: dict[int, File] = {}
        self._cloexec: set[int] = set()
        # Every number below is in use.
        self._lowest = 0

    def get(self, fd: int, want: int = ANY) -> File:
        """The file of a descriptor; EBADF if it is closed, O_PATH, or open for none of `want`.

        Args:
            want: READ, WRITE or ANY of `syscalls.objects.file`.
        """
        file = self._files.get(fd)
        if file is None or not file.access & want:
            raise SysError(EBADF)
        return file

    def get_any(self, fd: int) -> File:
        """The file of a descriptor, O_PATH too; EBADF if it is closed."""
        file = self._files.get(fd)
        if file is None:
            raise SysError(EBADF)
        return file

    def alloc(self, file: File, cloexec: bool = False, minimum: int = 0) -> int:
        """Give the file the lowest free number not below `minimum`.

        The table takes over the caller's reference, except when it fails: EMFILE at RLIMIT_NOFILE.
        """
        fd = self.lowest_free(minimum)
        self._files[fd] = file
        if cloexec:
            self._cloexec.add(fd)
        return fd

    def lowest_free(self, minimum: int = 0) -> int:
        """The number that `alloc` would give; EMFILE if there is none below the limit, or no memory for its file."""
        files = self._files
        if len(files) >= self._paid:
            self._pay(len(files) + _BATCH)
        start = self._lowest
        fd = minimum if minimum > start else start
        while fd in files:
            fd += 1
        if minimum <= start:
            self._lowest = fd
        if fd >= self.rlimits[RLIMIT_NOFILE][0]:
            raise SysError(EMFILE)
        return fd

    def _pay(self, count: int) -> None:
        """Take room for so many descriptors and their files; EMFILE if there is none."""
        more = (count - self._paid) * FILE_SIZE
        if self._room is not None and more > 0:
            if not self._room.fits(more):
                raise SysError(EMFILE)
            self._room.add(more)
        self._paid = count

    async def install(self, fd: int, file: File, cloexec: bool = False) -> None:
        """Put the file at a given number and close what was there (man 2 dup2).

        The table takes over the caller's reference, except when it fails: EBADF for a negative number or one
        not below RLIMIT_NOFILE, EMFILE without memory.
        """
        if not 0 <= fd < self.rlimits[RLIMIT_NOFILE][0]:
            raise SysError(EBADF)
        old = self._files.get(fd)
        if old is None and len(self._files) >= self._paid:
            self._pay(len(self._files) + _BATCH)
        self._files[fd] = file
        self.set_cloexec(fd, cloexec)
        if old is not None:
            await self._put(old)

    async def close(self, fd: int) -> None:
        """Free the number and drop its file; EBADF if it is closed. It is free even if releasing fails."""
        file = self._files.pop(fd, None)
        if file is None:
            raise SysError(EBADF)
        self._cloexec.discard(fd)
        if fd < self._lowest:
            self._lowest = fd
        # A process's record locks on a file go with any of its descriptors of that file (man 2 fcntl).
        locks = file.inode.locks
        if locks is not None:
            locks.release(self)
        if file.flushes:
            file.flush(self)
        file.refs -= 1
        if file.refs == 0:
            if locks is not None:
                locks.release(file)
            await file.release()

    async def _put(self, file: File) -> None:
        if file.inode.locks is not None:
            file.inode.locks.release(self)
        if file.flushes:
            file.flush(self)
        await file.put()

    def get_cloexec(self, fd: int) -> bool:
        """FD_CLOEXEC of an open descriptor."""
        return fd in self._cloexec

    def set_cloexec(self, fd: int, cloexec: bool) -> None:
        """Set or clear FD_CLOEXEC of an open descriptor."""
        if cloexec:
            self._cloexec.add(fd)
        else:
            self._cloexec.discard(fd)

    def clone(self, rlimits: Mapping[int, tuple[int, int]] | None = None) -> FdTable:
        """A copy for a forked process: the same open file descriptions (man 2 fork)."""
        copy = FdTable(self.rlimits if rlimits is None else rlimits, self._room)
        copy._paid = len(self._files)
        if self._room is not None:
            self._room.add(copy._paid * FILE_SIZE)
        copy._files = dict(self._files)
        copy._cloexec = set(self._cloexec)
        copy._lowest = self._lowest
        for file in copy._files.values():
            file.refs += 1
        return copy

    def share(self) -> FdTable:
        """One more task uses this very table (CLONE_FILES)."""
        self.refs += 1
        return self

    async def drop(self) -> None:
        """A task is done with the table; the last one closes everything."""
        self.refs -= 1
        if self.refs == 0:
            await self.close_all()

    async def close_all(self) -> None:
        """Close every descriptor, lowest first, whatever fails."""
        for fd in sorted(self._files):
            await self._close_quietly(fd)
        if self._room is not None:
            self._room.add(-self._paid * FILE_SIZE)
        self._paid = 0

    async def close_on_exec(self) -> None:
        """Close what has FD_CLOEXEC (man 2 execve)."""
        for fd in sorted(self._cloexec):
            await self._close_quietly(fd)

    async def close_range(self, first: int, last: int) -> None:
        """Close the descriptors from `first` to `last`, both included (man 2 close_range)."""
        for fd in self.numbers(first, last):
            await self._close_quietly(fd)

    async def _close_quietly(self, fd: int) -> None:
        # A failure to release has nobody to go to; a number that another task closed meanwhile is none.
        try:
            await self.close(fd)
        except SysError:
            pass

    def numbers(self, first: int = 0, last: int = 0xFFFF_FFFF) -> list[int]:
        """The open descriptors of a range, ascending."""
        return sorted(fd for fd in self._files if first <= fd <= last)

    def items(self) -> ItemsView[int, File]:
        """Number and file of every open descriptor."""
        return self._files.items()

    def files(self) -> ValuesView[File]:
        """The file of every open descriptor."""
        return self._files.values()

    def __contains__(self, fd: int) -> bool:
        return fd in self._files

    def __len__(self) -> int:
        return len(self._files)
