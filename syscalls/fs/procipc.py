"""System V objects and their limits in /proc: sysvipc and sys/kernel (man 5 proc_sysvipc, man 5 proc_sys_kernel)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EINVAL
from syscalls.errors import SysError
from syscalls.vfs.pagecache import PAGE
from syscalls.vfs.virtual import VirtualDirectory, VirtualFile

if TYPE_CHECKING:
    from syscalls.abi.ipc import IpcPerm
    from syscalls.fs.procfs import ProcFs
    from syscalls.objects.ipcns import IpcNamespace
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode

_INT_MAX = 0x7FFF_FFFF
_LONG_MAX = (1 << 64) - 1
_IPCMNI = 32768
_SEM_FIELDS = ("semmsl", "semmns", "semopm", "semmni")

LIMITS: dict[bytes, tuple[str, tuple[str, ...], int]] = {
    b"kernel/msgmax": ("msg", ("msgmax",), _INT_MAX),
    b"kernel/msgmnb": ("msg", ("msgmnb",), _INT_MAX),
    b"kernel/msgmni": ("msg", ("msgmni",), _IPCMNI),
    b"kernel/sem": ("sem", _SEM_FIELDS, _INT_MAX),
    b"kernel/shmall": ("shm", ("shmall",), _LONG_MAX),
    b"kernel/shmmax": ("shm", ("shmmax",), _LONG_MAX),
    b"kernel/shmmni": ("shm", ("shmmni",), _IPCMNI),
}
"""Settings in /proc/sys: the table that has them, its fields, and the highest value."""


def limit_text(ipc: IpcNamespace, name: bytes) -> bytes:
    """What a setting shows."""
    table, fields, _ = LIMITS[name]
    return b"\t".join(b"%d" % getattr(getattr(ipc, table), field) for field in fields)


def set_limit(ipc: IpcNamespace, name: bytes, values: list[int]) -> None:
    """Change a setting, or the first of its numbers; EINVAL for numbers that it cannot have."""
    table, fields, most = LIMITS[name]
    new = dict(zip(fields, values, strict=False))
    if len(values) > len(fields) or not all(0 <= value <= most for value in values):
        raise SysError(EINVAL)
    if new.get("semmni", 0) > _IPCMNI:
        raise SysError(EINVAL)
    for field, value in new.items():
        setattr(getattr(ipc, table), field, value)


def _owners(perm: IpcPerm) -> tuple[int, int, int, int]:
    return perm.uid, perm.gid, perm.cuid, perm.cgid


async def _shm(t: Task) -> bytes:
    lines = [
        b"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid"
        b"      atime      dtime      ctime                   rss                  swap\n"
    ]
    for it in t.server.ipc.shm:
        ds = await it.status(t)
        perm = ds.shm_perm
        lines.append(
            b"%10d %10d  %4o %21d %5d %5d  %5d %5d %5d %5d %5d %10d %10d %10d %21d %21d\n"
            % (
                perm.key, it.ipc.id, perm.mode, ds.shm_segsz, ds.shm_cpid, ds.shm_lpid, ds.shm_nattch, *_owners(perm),
                ds.shm_atime, ds.shm_dtime, ds.shm_ctime, len(it.frames) * PAGE, 0,
            )
        )  # fmt: skip
    return b"".join(lines)


async def _sem(t: Task) -> bytes:
    lines = [b"       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"]
    for it in t.server.ipc.sem:
        ds = await it.status(t)
        perm = ds.sem_perm
        lines.append(
            b"%10d %10d  %4o %10d %5d %5d %5d %5d %10d %10d\n"
            % (perm.key, it.ipc.id, perm.mode, ds.sem_nsems, *_owners(perm), ds.sem_otime, ds.sem_ctime)
        )
    return b"".join(lines)


async def _msg(t: Task) -> bytes:
    lines = [
        b"       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
        b"      stime      rtime      ctime\n"
    ]
    for it in t.server.ipc.msg:
        ds = await it.status(t)
        perm = ds.msg_perm
        lines.append(
            b"%10d %10d  %4o  %10d %10d %5d %5d %5d %5d %5d %5d %10d %10d %10d\n"
            % (
                perm.key, it.ipc.id, perm.mode, ds.msg_cbytes, ds.msg_qnum, ds.msg_lspid, ds.msg_lrpid, *_owners(perm),
                ds.msg_stime, ds.msg_rtime, ds.msg_ctime,
            )
        )  # fmt: skip
    return b"".join(lines)


def sysvipc_directory(fs: ProcFs) -> VirtualDirectory:
    """/proc/sysvipc."""
    files: dict[bytes, Inode] = {
        name: VirtualFile(fs, make) for name, make in ((b"msg", _msg), (b"sem", _sem), (b"shm", _shm))
    }
    return VirtualDirectory(fs, files)
