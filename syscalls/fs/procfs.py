"""/proc: processes and the state of the system as files (man 5 proc).

The root knows numbers, `self` and `thread-self`; everything else is made when somebody first looks for it,
by the modules beside this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.flags import DT_DIR, DT_LNK, PROC_SUPER_MAGIC
from syscalls.vfs.virtual import VirtualDirectory, VirtualFs, VirtualLink

if TYPE_CHECKING:
    from syscalls.fs.procpid import TaskDirectory
    from syscalls.objects.process import ProcessTable
    from syscalls.objects.task import Task
    from syscalls.server import LinuxServer
    from syscalls.vfs.inode import Inode
    from syscalls.vfs.virtual import Entry


class ProcFs(VirtualFs):
    """A proc file system.

    Args:
        server: whose processes it shows.
        table: the processes.
        dev: device number.
        time_ns: the times of its files, since 1970.
    """

    def __init__(self, server: LinuxServer, table: ProcessTable, dev: int, time_ns: int = 0) -> None:
        super().__init__("proc", dev, PROC_SUPER_MAGIC, time_ns)
        self.server = server
        self.table = table
        self._net: VirtualDirectory | None = None
        self.top = ProcRoot(self)

    @property
    def net(self) -> VirtualDirectory:
        """/proc/PID/net, the same for every process."""
        if self._net is None:
            from syscalls.fs.procnet import net_directory

            self._net = net_directory(self)
        return self._net


class ProcRoot(VirtualDirectory):
    """The root of /proc: system files, and a directory for each process.

    Args:
        fs: the file system.
    """

    __slots__ = ("_complete", "_proc", "_processes")

    def __init__(self, fs: ProcFs) -> None:
        super().__init__(fs, {}, ino=1)
        self._proc = fs
        self._complete = False
        self._processes: dict[int, TaskDirectory] = {}
        self.entries[b"self"] = VirtualLink(fs, _self)
        self.entries[b"thread-self"] = VirtualLink(fs, _thread_self)

    def _fill(self) -> None:
        """Make the system files; not done before somebody asks for one."""
        from syscalls.fs.procsystem import system_entries

        self._complete = True
        self.entries |= system_entries(self._proc)

    async def child(self, t: Task, name: bytes) -> Inode | None:
        """A process's directory or a system file."""
        if 0x30 <= name[0] <= 0x39:
            return self._process(name)
        inode = self.entries.get(name)
        if inode is None and not self._complete:
            self._fill()
            inode = self.entries.get(name)
        return inode

    def _process(self, name: bytes) -> TaskDirectory | None:
        """The directory of a process, or of a thread by its tid, which is there but not listed."""
        from syscalls.fs.procpid import TaskDirectory, is_number, own

        if not is_number(name):
            return None
        number = int(name)
        table = self._proc.table
        process = table.processes.get(number)
        if process is None:
            if number not in table.tasks:
                return None
            task, process = table.tasks[number], table.tasks[number].process
        else:
            task = process.leader
        known = self._processes.get(number)
        if known is None or known.task is not task:
            self._processes = {n: kept for n, kept in self._processes.items() if kept.exists()}
            known = self._processes[number] = TaskDirectory(self._proc, task, whole=True)
        own(known, process)
        return known

    async def children(self, t: Task) -> list[Entry]:
        """System files first, then the processes in the order of their numbers."""
        if not self._complete:
            self._fill()
        found = await super().children(t)
        found.sort(key=lambda entry: entry[2] != DT_LNK)
        for pid in sorted(self._proc.table.processes):
            directory = self._process(b"%d" % pid)
            if directory is not None:
                found.append((b"%d" % pid, directory.ino, DT_DIR))
        return found


async def _self(t: Task) -> bytes:
    return b"%d" % t.process.pid


async def _thread_self(t: Task) -> bytes:
    return b"%d/task/%d" % (t.process.pid, t.tid)
