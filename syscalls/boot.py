"""Bringing Linux up: mounts, the standard streams, and the first program."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from syscalls.abi.errno import (
    E2BIG,
    EACCES,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOEXEC,
    ENOTDIR,
    ETXTBSY,
    errno_name,
)
from syscalls.abi.flags import AT_FDCWD, CLOCK_REALTIME, MS_RDONLY, S_IFDIR, S_IFREG
from syscalls.errors import SysError
from syscalls.objects.exec import execve
from syscalls.objects.fdtable import FdTable
from syscalls.vfs.context import FsContext
from syscalls.vfs.dentry import Dentry
from syscalls.vfs.mount import Mount, Path
from syscalls.vfs.rpcfs import file_system_of
from syscalls.vfs.walk import lookup, lookup_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syscalls.objects.credentials import Credentials
    from syscalls.objects.task import Task
    from syscalls.server import LinuxServer
    from syscalls.vfs.filesystem import FileSystem


class BindMount(NamedTuple):
    """A file server's directory, or one file in it, to be seen at a place of the guest.

    Args:
        task: the file server.
        guest: absolute path.
        name: the file in the server's root directory, empty to show the directory itself.
        readonly: the guest cannot change it.
        source: what /proc/mounts calls it.
    """

    task: int
    guest: bytes
    name: bytes
    readonly: bool
    source: bytes


class BootPlan(NamedTuple):
    """What the first program gets.

    Args:
        root: task id of the root's file server.
        root_kind: its type in /proc/mounts.
        make_mount_points: create missing directories for mounts; not in a root that belongs to the host.
        binds: what else to mount.
        argv: the program and its arguments.
        envp: its environment.
        cwd: its directory, None for the root directory.
        creds: whose it is.
    """

    root: int
    root_kind: str
    make_mount_points: bool
    binds: Sequence[BindMount]
    argv: list[bytes]
    envp: list[bytes]
    cwd: bytes | None
    creds: Credentials


class StartError(Exception):
    """The first program cannot be started.

    Args:
        text: why, in one line.
        exit_status: what a shell exits with: 127 not found, 126 cannot be executed, 2 for a wrong directory.
    """

    def __init__(self, text: str, exit_status: int) -> None:
        super().__init__(text)
        self.exit_status = exit_status


async def boot(server: LinuxServer, plan: BootPlan) -> None:
    """Mount everything and start the first program.

    Raises:
        StartError: the program, or its directory, is not there or cannot be used.
    """
    server.boot_ns = server.port.now_ns()
    server.table_of_processes.limit_to(server.port.room.size)
    root_fs = await file_system_of(server.port, plan.root, plan.root_kind, server.namespace.new_dev())
    root = await server.namespace.mount_root(root_fs)
    t = server.table_of_processes.spawn(plan.creds)
    server.main = t.process
    t.start_ns = server.boot_ns
    t.files = FdTable(t.process.rlimits, server.port.room)
    t.fs = FsContext(root, root)
    await mount_system(t, plan.make_mount_points)
    for bind in plan.binds:
        await _bind(t, bind, plan.make_mount_points)
    t.fs.cwd = await _working_directory(t, plan.cwd)
    await server.console.start()
    await server.console.install(t)
    await _start(t, plan)
    await server.create_task(t, None)


async def mount_system(t: Task, create: bool) -> None:
    """Mount /proc, /sys and /dev.

    Args:
        t: on whose behalf, with the rights to do it.
        create: make directories that are missing.
    """
    from syscalls.fs.devfs import populate
    from syscalls.fs.procfs import ProcFs
    from syscalls.fs.sysfs import SysFs

    server = t.server
    namespace = server.namespace
    now_ns = await server.clock_ns(CLOCK_REALTIME)
    server.devices.anonfs.time_ns = now_ns
    for where in (b"/proc", b"/sys", b"/dev"):
        place = await _mount_point(t, where, S_IFDIR, create)
        if place is None:
            continue
        dev = namespace.new_dev()
        fs: FileSystem
        if where == b"/proc":
            fs = ProcFs(server, server.table_of_processes, dev, now_ns)
        elif where == b"/sys":
            fs = SysFs(server, dev, now_ns)
        else:
            fs = await file_system_of(server.port, server.new_memfs(), "devtmpfs", dev)
            await populate(t, await fs.root())
        await namespace.mount(fs, place, 0, fs.kind.encode())


async def _mount_point(t: Task, where: bytes, kind: int, create: bool) -> Path | None:
    """The place to mount at, made if it is missing and may be made; None where there is none."""
    path = b""
    for name in where.split(b"/")[1:]:
        path += b"/" + name
        wanted = kind if path == where else S_IFDIR
        try:
            found = await lookup(t, AT_FDCWD, path)
            if path == where and (found.inode.kind == S_IFDIR) != (kind == S_IFDIR):
                raise StartError(
                    f"{where.decode(errors='replace')}: file and directory do not go together", 2
                )
            continue
        except SysError as error:
            if error.errno not in (ENOENT, ENOTDIR) or not create:
                return None
        try:
            parent, last = await lookup_parent(t, AT_FDCWD, path)
            if wanted == S_IFDIR:
                await parent.inode.mkdir(t, last, 0o755, 0, 0)
            else:
                await parent.inode.mknod(t, last, S_IFREG | 0o644, 0, 0, 0)
        except SysError:
            return None
    return await lookup(t, AT_FDCWD, where)


async def _bind(t: Task, bind: BindMount, create: bool) -> None:
    server = t.server
    fs = await file_system_of(server.port, bind.task, "hostfs", server.namespace.new_dev())
    flags = MS_RDONLY if bind.readonly else 0
    kind = S_IFREG if bind.name else S_IFDIR
    place = await _mount_point(t, bind.guest, kind, create)
    shown = bind.guest.decode(errors="replace")
    if place is None:
        raise StartError(f"--bind: the guest has no {shown}, and it cannot be made", 2)
    if bind.name:
        directory = await fs.root_dentry()
        dentry = Dentry(directory, bind.name, await directory.inode.lookup(t, bind.name))
        hidden = Mount(0, fs, directory, flags, bind.source)
        server.namespace.bind(Path(hidden, dentry), place)
    else:
        await server.namespace.mount(fs, place, flags, bind.source)


async def _working_directory(t: Task, cwd: bytes | None) -> Path:
    if cwd is None:
        return t.fs.root
    try:
        return await lookup(t, AT_FDCWD, cwd, directory=True)
    except SysError as error:
        raise StartError(f"--cwd: {cwd.decode(errors='replace')}: {_why(error.errno)}", 2) from None


_WORDS = {
    ENOENT: "no such file or directory",
    ENOTDIR: "not a directory",
    EACCES: "permission denied",
    ENOEXEC: "not a format that can be executed",
    ELOOP: "too many levels of symbolic links or interpreters",
    E2BIG: "argument list too long",
    ETXTBSY: "the file is being written",
    ENAMETOOLONG: "name too long",
}


def _why(errno: int) -> str:
    return _WORDS.get(errno) or errno_name(errno)


async def _start(t: Task, plan: BootPlan) -> None:
    """Find the program as a shell does and execute it."""
    name = plan.argv[0]
    shown = name.decode(errors="replace")
    refused: SysError | None = None

    async def arguments() -> tuple[list[bytes], list[bytes]]:
        return plan.argv, plan.envp

    for candidate in _candidates(name, plan.envp):
        try:
            await execve(t, AT_FDCWD, candidate, arguments)
            if t.server.tracer is not None:
                await t.server.tracer.started(t, candidate, plan.argv, plan.envp)
            return
        except SysError as error:
            if error.errno in (ENOENT, ENOTDIR):
                continue
            refused = error
            if error.errno != EACCES:
                break
    if refused is None:
        raise StartError(f"{shown}: not found in the guest", 127)
    reason = refused.__cause__
    detail = f": {reason}" if reason is not None else ""
    raise StartError(f"{shown}: cannot execute: {_why(refused.errno)}{detail}", 126)


def _candidates(name: bytes, envp: list[bytes]) -> list[bytes]:
    if b"/" in name:
        return [name]
    search = next((entry[5:] for entry in envp if entry.startswith(b"PATH=")), b"/bin:/usr/bin")
    return [(directory or b".") + b"/" + name for directory in search.split(b":")]
