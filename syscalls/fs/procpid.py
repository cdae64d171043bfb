"""/proc/PID and /proc/PID/task/TID: the directory of a process or a task (man 5 proc_pid)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EACCES, ENOENT, ESRCH
from syscalls.abi.flags import CAP_SYS_PTRACE, DT_DIR, DT_LNK, DT_REG, O_CLOEXEC
from syscalls.errors import SysError
from syscalls.objects.file import READ, WRITE
from syscalls.vfs.mount import anonymous_path
from syscalls.vfs.virtual import VirtualDirectory, VirtualFile, VirtualLink
from syscalls.vfs.walk import path_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from syscalls.fs.procfs import ProcFs
    from syscalls.objects.file import File
    from syscalls.objects.process import Process
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode
    from syscalls.vfs.mount import Path
    from syscalls.vfs.virtual import Entry

_TASK_INO = 1 << 32
_ROOM = 1 << 7
"""Inode numbers that the directory of one task may use."""
_FD_INO = 1 << 52
_FDS = 1 << 21
_LINK_SIZE = 64
_WORLD_READABLE = 0o040555

_FILES: dict[bytes, int] = {
    b"auxv": 0o400,
    b"cgroup": 0o444,
    b"cmdline": 0o444,
    b"comm": 0o644,
    b"environ": 0o400,
    b"gid_map": 0o644,
    b"io": 0o400,
    b"limits": 0o444,
    b"maps": 0o444,
    b"mountinfo": 0o444,
    b"mounts": 0o444,
    b"oom_score": 0o444,
    b"oom_score_adj": 0o644,
    b"personality": 0o400,
    b"schedstat": 0o444,
    b"setgroups": 0o644,
    b"stat": 0o444,
    b"statm": 0o444,
    b"status": 0o444,
    b"uid_map": 0o644,
    b"wchan": 0o444,
}
"""Mode of each file that a process and a task have; `proctask.CONTENTS` knows what is in it."""
_PROCESS_FILES: dict[bytes, int] = {b"coredump_filter": 0o644, b"mountstats": 0o400, b"timerslack_ns": 0o666}
_TASK_FILES: dict[bytes, int] = {b"children": 0o444}
_LINKS = (b"cwd", b"exe", b"root")
_DIRECTORIES = (b"fd", b"fdinfo", b"net", b"ns")


def _kinds(more: Iterable[bytes], directories: Iterable[bytes]) -> dict[bytes, tuple[int, int]]:
    """Every name of a directory with its number and DT_ type, in a stable order."""
    kinds = dict.fromkeys([*_FILES, *more], DT_REG)
    kinds |= dict.fromkeys(_LINKS, DT_LNK) | dict.fromkeys(directories, DT_DIR)
    return {name: (number, kind) for number, (name, kind) in enumerate(kinds.items(), 1)}


_IN_PROCESS = _kinds(_PROCESS_FILES, (*_DIRECTORIES, b"task"))
_IN_TASK = _kinds(_TASK_FILES, _DIRECTORIES)


def may_inspect(t: Task, task: Task) -> bool:
    """Whether a task may look into another: same ids and dumpable, or CAP_SYS_PTRACE (man 2 ptrace)."""
    if task.process is t.process:
        return True
    own, other = t.creds, task.creds
    same_user = own.fsuid == other.euid == other.suid == other.uid
    same_group = own.fsgid == other.egid == other.sgid == other.gid
    if own.capable(CAP_SYS_PTRACE):
        return True
    return same_user and same_group and task.process.dumpable == 1


def task_named(process: Process, name: bytes) -> Task | None:
    """The task of a process with this number."""
    return process.tasks.get(int(name)) if is_number(name) else None


def is_number(name: bytes) -> bool:
    """Whether a name is a number as /proc writes them: no sign, no leading zero."""
    return name.isdigit() and (name[0] != 0x30 or len(name) == 1) and len(name) < 10


def own(inode: Inode, process: Process) -> None:
    """Give an inode the owner that Linux computes: the process's, root's if it is not dumpable."""
    creds = process.creds
    attr = inode.attr
    open_to_all = attr.mode == _WORLD_READABLE
    uid, gid = (creds.euid, creds.egid) if process.dumpable == 1 or open_to_all else (0, 0)
    if attr.uid != uid or attr.gid != gid:
        inode.attr = attr._replace(uid=uid, gid=gid)


_GUARDED = (b"auxv", b"environ", b"maps")
"""Files that show memory: only who may inspect the process can open them."""
_PLACED = (b"auxv", b"cmdline", b"environ", b"oom_score_adj")
"""Files that pwrite knows, as they are no sequences of records."""


class TaskDirectory(VirtualDirectory):
    """/proc/PID, or /proc/PID/task/TID.

    Args:
        fs: the proc file system.
        task: what is shown: for a process, its leader.
        whole: it is the process's directory.
    """

    __slots__ = ("_base", "_names", "_proc", "task", "whole")

    def __init__(self, fs: ProcFs, task: Task, whole: bool) -> None:
        self._base = _TASK_INO + task.tid * 2 * _ROOM + (0 if whole else _ROOM)
        super().__init__(fs, {}, ino=self._base)
        self._proc = fs
        self._names = _IN_PROCESS if whole else _IN_TASK
        self.task = task
        self.whole = whole
        self.attr = self.attr._replace(nlink=9 if whole else 7)
        own(self, task.process)

    def exists(self) -> bool:
        """Whether the process was not reaped and the task is still there."""
        task = self.task
        process = task.process
        if process.table.processes.get(process.pid) is not process:
            return False
        return self.whole or task.tid in process.tasks

    async def children(self, t: Task) -> list[Entry]:
        """Everything there is; ENOENT once the process is gone."""
        if not self.exists():
            raise SysError(ENOENT)
        return [(name, self._base + number, kind) for name, (number, kind) in self._names.items()]

    async def child(self, t: Task, name: bytes) -> Inode | None:
        """The entry, with the owner that the process has now."""
        if not self.exists():
            return None
        inode = self.entries.get(name)
        if inode is None:
            if name not in self._names:
                return None
            inode = self.entries[name] = self._make(name, self._base + self._names[name][0])
        if name != b"net":
            own(inode, self.task.process)
        return inode

    def _make(self, name: bytes, ino: int) -> Inode:
        fs = self._proc
        task = self.task
        if name in _LINKS:
            return task_link(fs, task, _PLACES[name], ino)
        if name == b"net":
            return fs.net
        if name == b"ns":
            return _namespaces(fs, ino)
        if name == b"fd":
            return FdDirectory(fs, task, ino, info=False)
        if name == b"fdinfo":
            return FdDirectory(fs, task, ino, info=True)
        if name == b"task":
            return TasksDirectory(fs, task, ino)
        return self._file(name, ino)

    def _file(self, name: bytes, ino: int) -> VirtualFile:
        # Only what a program reads is imported: nearly every one looks at /proc/self/exe and nothing else.
        from syscalls.fs.proctask import CONTENTS, TAKERS

        task, whole = self.task, self.whole
        mode = _FILES.get(name) or (_PROCESS_FILES if whole else _TASK_FILES)[name]
        show = CONTENTS[name]
        take = TAKERS.get(name)

        async def make(t: Task) -> bytes:
            if not self.exists():
                raise SysError(ESRCH)
            return await show(t, task, whole)

        async def store(t: Task, data: bytes, offset: int) -> int:
            if not self.exists():
                raise SysError(ESRCH)
            assert take is not None
            take(t, task, data)
            return len(data)

        def allow(t: Task) -> bool:
            return task.process.mm is None or may_inspect(t, task)

        return VirtualFile(
            self._proc,
            make,
            mode,
            store=store if take is not None else None,
            can_splice=False,
            can_pwrite=name in _PLACED,
            allow=allow if name in _GUARDED else None,
            ino=ino,
        )


class TasksDirectory(VirtualDirectory):
    """/proc/PID/task: the directories of the tasks.

    Args:
        fs: the proc file system.
        task: the leader of the process.
        ino: inode number.
    """

    __slots__ = ("_proc", "_process")

    def __init__(self, fs: ProcFs, task: Task, ino: int) -> None:
        super().__init__(fs, {}, ino=ino)
        self._proc = fs
        self._process = task.process

    async def children(self, t: Task) -> list[Entry]:
        """The tasks that are there now."""
        first = _TASK_INO + _ROOM
        return [(b"%d" % tid, first + tid * 2 * _ROOM, DT_DIR) for tid in sorted(self._process.tasks)]

    async def child(self, t: Task, name: bytes) -> Inode | None:
        """The directory of a task; those of tasks that are gone are forgotten."""
        task = task_named(self._process, name)
        if task is None:
            return None
        inode = self.entries.get(name)
        if not isinstance(inode, TaskDirectory) or inode.task is not task:
            self.entries = {n: i for n, i in self.entries.items() if task_named(self._process, n) is not None}
            inode = self.entries[name] = TaskDirectory(self._proc, task, whole=False)
        own(inode, self._process)
        return inode


class FdDirectory(VirtualDirectory):
    """/proc/PID/fd, a magic link for each descriptor, or /proc/PID/fdinfo (man 5 proc_pid_fd).

    Args:
        fs: the proc file system.
        task: whose descriptors.
        ino: inode number.
        info: it is fdinfo.
    """

    __slots__ = ("_files", "_info", "_proc", "task")

    def __init__(self, fs: ProcFs, task: Task, ino: int, *, info: bool) -> None:
        super().__init__(fs, {}, 0o555 if info else 0o500, ino=ino)
        self._proc = fs
        self.task = task
        self._info = info
        self._files: dict[int, tuple[File, Inode]] = {}

    def _open(self) -> list[int]:
        return self.task.files.numbers() if self.task.process.mm is not None else []

    def _number(self, fd: int) -> int:
        return _FD_INO + ((self.task.tid * 2 + self._info) * _FDS + fd)

    async def children(self, t: Task) -> list[Entry]:
        """The descriptors that are open now."""
        kind = DT_REG if self._info else DT_LNK
        return [(b"%d" % fd, self._number(fd), kind) for fd in self._open()]

    async def child(self, t: Task, name: bytes) -> Inode | None:
        """The entry of a descriptor, a new one each time it stands for another file."""
        if not is_number(name) or int(name) not in self._open():
            return None
        fd = int(name)
        file = self.task.files.get_any(fd)
        known = self._files.get(fd)
        if known is not None and known[0] is file:
            return known[1]
        inode = self._info_file(fd) if self._info else self._link(fd, file)
        own(inode, self.task.process)
        still = set(self._open())
        self._files = {n: kept for n, kept in self._files.items() if n in still}
        self._files[fd] = (file, inode)
        return inode

    def _link(self, fd: int, file: File) -> VirtualLink:
        mode = 0o500 if file.access & READ else 0
        mode |= 0o300 if file.access & WRITE else 0

        async def where(t: Task, task: Task) -> Path:
            return file.path or anonymous_path(file.inode.fs, file.proc_name(), file.inode)

        link = task_link(self._proc, self.task, where, self._number(fd), mode)
        link.attr = link.attr._replace(size=_LINK_SIZE)
        return link

    def _info_file(self, fd: int) -> VirtualFile:
        task = self.task

        async def make(t: Task) -> bytes:
            if fd not in self._open():
                raise SysError(ENOENT)
            file = task.files.get_any(fd)
            flags = file.flags | (O_CLOEXEC if task.files.get_cloexec(fd) else 0)
            mount = file.path.mount.number if file.path is not None else 0
            values = (file.pos, flags, mount, file.inode.ino)
            rows = b"pos:\t%d\nflags:\t0%o\nmnt_id:\t%d\nino:\t%d\n" % values
            more = getattr(file, "fdinfo", None)
            return rows + more() if more is not None else rows

        return VirtualFile(self._proc, make, 0o444, can_splice=False, can_pwrite=False, ino=self._number(fd))


def task_link(
    fs: ProcFs, task: Task, where: Callable[[Task, Task], Awaitable[Path]], ino: int, mode: int = 0o777
) -> VirtualLink:
    """A magic link to a place of a task: EACCES for who may not look into it.

    Args:
        fs: the proc file system.
        task: whose place.
        where: finds the place for (reader, task).
        ino: inode number.
        mode: permission bits that are shown.
    """

    async def jump(t: Task) -> Path:
        if not may_inspect(t, task):
            raise SysError(EACCES)
        return await where(t, task)

    async def target(t: Task) -> bytes:
        return await path_bytes(await jump(t), t.fs.root)

    return VirtualLink(fs, target, jump=jump, mode=mode, ino=ino)


async def _cwd(t: Task, task: Task) -> Path:
    if task.process.mm is None:
        raise SysError(ENOENT)
    return task.fs.cwd


async def _root(t: Task, task: Task) -> Path:
    if task.process.mm is None:
        raise SysError(ENOENT)
    return task.fs.root


async def _exe(t: Task, task: Task) -> Path:
    exe = task.process.exe
    if task.process.mm is None or exe is None:
        raise SysError(ENOENT)
    return exe


_PLACES = {b"cwd": _cwd, b"exe": _exe, b"root": _root}


def _namespaces(fs: ProcFs, ino: int) -> VirtualDirectory:
    """The ns directory: one namespace of each kind exists (man 7 namespaces)."""
    from syscalls.fs.proctask import NAMESPACES

    entries: dict[bytes, Inode] = {}
    for name, kind, number in NAMESPACES:
        entries[name] = VirtualLink(fs, _text(b"%s:[%d]" % (kind, number)))
    return VirtualDirectory(fs, entries, 0o511, ino=ino)


def _text(contents: bytes) -> Callable[[Task], Awaitable[bytes]]:
    async def target(t: Task) -> bytes:
        return contents

    return target
