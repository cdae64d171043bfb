"""Who the caller is and may be: ids, groups, capabilities, process groups, sessions, personality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import EACCES, EINVAL, EPERM, ESRCH
from syscalls.abi.flags import (
    _LINUX_CAPABILITY_VERSION_1,
    _LINUX_CAPABILITY_VERSION_2,
    _LINUX_CAPABILITY_VERSION_3,
    ADDR_COMPAT_LAYOUT,
    ADDR_NO_RANDOMIZE,
    CAP_SETGID,
    CAP_SETPCAP,
    CAP_SETUID,
)
from syscalls.abi.structs import CapUserData, CapUserHeader
from syscalls.errors import SysError
from syscalls.objects.credentials import ALL_CAPS
from syscalls.registry import PARTIAL, syscall
from syscalls.types import Count, Gid, In, InOut, Int, OldPersona, Out, Persona, Pid, Shown, Signed, Uid

if TYPE_CHECKING:
    from syscalls.objects.credentials import Credentials
    from syscalls.objects.process import Process
    from syscalls.objects.task import Task

_KEEP = 0xFFFF_FFFF
"""The id -1: leave it as it is, or no id at all."""
_NGROUPS_MAX = 65536
_LOW_CAPS = 0xFFFF_FFFF
_PERSONALITY_QUERY = 0xFFFF_FFFF
_PERSONALITY_KNOWN = ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT


@syscall("getuid")
async def getuid(t: Task) -> int:
    """The real user id (man 2 getuid)."""
    return t.creds.uid


@syscall("geteuid")
async def geteuid(t: Task) -> int:
    """The effective user id (man 2 geteuid)."""
    return t.creds.euid


@syscall("getgid")
async def getgid(t: Task) -> int:
    """The real group id (man 2 getgid)."""
    return t.creds.gid


@syscall("getegid")
async def getegid(t: Task) -> int:
    """The effective group id (man 2 getegid)."""
    return t.creds.egid


@syscall("getresuid", errors="EFAULT")
async def getresuid(
    t: Task,
    ruid: Annotated[Out[int], Shown("ids")],
    euid: Annotated[Out[int], Shown("ids")],
    suid: Annotated[Out[int], Shown("ids")],
) -> None:
    """Real, effective and saved user id (man 2 getresuid)."""
    await t.mem.put_u32(ruid, t.creds.uid)
    await t.mem.put_u32(euid, t.creds.euid)
    await t.mem.put_u32(suid, t.creds.suid)


@syscall("getresgid", errors="EFAULT")
async def getresgid(
    t: Task,
    rgid: Annotated[Out[int], Shown("ids")],
    egid: Annotated[Out[int], Shown("ids")],
    sgid: Annotated[Out[int], Shown("ids")],
) -> None:
    """Real, effective and saved group id (man 2 getresgid)."""
    await t.mem.put_u32(rgid, t.creds.gid)
    await t.mem.put_u32(egid, t.creds.egid)
    await t.mem.put_u32(sgid, t.creds.sgid)


def commit_creds(t: Task, new: Credentials) -> None:
    """Give a task new credentials; whoever changes effective ids or gains a capability stops being dumpable.

    Linux keeps credentials per thread; it is the C library that makes all threads of a process change theirs.
    """
    old = t.creds
    t.creds = new
    same = (old.euid, old.egid, old.fsuid, old.fsgid) == (new.euid, new.egid, new.fsuid, new.fsgid)
    if not same or new.permitted & ~old.permitted:
        t.process.dumpable = 0
        t.pdeath_signal = 0


@syscall("setuid", errors="EINVAL EPERM")
async def setuid(t: Task, uid: Uid) -> None:
    """Become another user: all three ids with CAP_SETUID, else only the effective one (man 2 setuid)."""
    old = t.creds
    if uid == _KEEP:
        raise SysError(EINVAL)
    if old.capable(CAP_SETUID):
        new = old.with_uids(uid, uid, uid)
    elif uid in (old.uid, old.suid):
        new = old.with_uids(old.uid, uid, old.suid)
    else:
        raise SysError(EPERM)
    commit_creds(t, new)


@syscall("setgid", errors="EINVAL EPERM")
async def setgid(t: Task, gid: Gid) -> None:
    """Change the group: all three ids with CAP_SETGID, else only the effective one (man 2 setgid)."""
    old = t.creds
    if gid == _KEEP:
        raise SysError(EINVAL)
    if old.capable(CAP_SETGID):
        new = old.with_gids(gid, gid, gid)
    elif gid in (old.gid, old.sgid):
        new = old.with_gids(old.gid, gid, old.sgid)
    else:
        raise SysError(EPERM)
    commit_creds(t, new)


def _pair(wanted: tuple[int, int], old: tuple[int, int, int], privileged: bool) -> tuple[int, int, int]:
    """Real, effective and saved id after setreuid or setregid; -1 keeps one (man 2 setreuid)."""
    real, effective = wanted
    if not privileged:
        if real != _KEEP and real not in old[:2]:
            raise SysError(EPERM)
        if effective != _KEEP and effective not in old:
            raise SysError(EPERM)
    saved = old[2]
    new_real = old[0] if real == _KEEP else real
    new_effective = old[1] if effective == _KEEP else effective
    if real != _KEEP or (effective != _KEEP and effective != old[0]):
        saved = new_effective
    return new_real, new_effective, saved


@syscall("setreuid", errors="EPERM")
async def setreuid(t: Task, ruid: Uid, euid: Uid) -> None:
    """Set real and effective user id; the saved one follows when they part (man 2 setreuid)."""
    old = t.creds
    ids = _pair((ruid, euid), (old.uid, old.euid, old.suid), old.capable(CAP_SETUID))
    commit_creds(t, old.with_uids(*ids))


@syscall("setregid", errors="EPERM")
async def setregid(t: Task, rgid: Gid, egid: Gid) -> None:
    """Set real and effective group id; the saved one follows when they part (man 2 setregid)."""
    old = t.creds
    ids = _pair((rgid, egid), (old.gid, old.egid, old.sgid), old.capable(CAP_SETGID))
    commit_creds(t, old.with_gids(*ids))


def _triple(
    wanted: tuple[int, int, int], old: tuple[int, int, int], privileged: bool
) -> tuple[int, int, int]:
    """Real, effective and saved id after setresuid or setresgid; -1 keeps one (man 2 setresuid)."""
    if not privileged and any(id_ != _KEEP and id_ not in old for id_ in wanted):
        raise SysError(EPERM)
    real, effective, saved = (o if w == _KEEP else w for w, o in zip(wanted, old, strict=True))
    return real, effective, saved


@syscall("setresuid", errors="EPERM")
async def setresuid(t: Task, ruid: Uid, euid: Uid, suid: Uid) -> None:
    """Set real, effective and saved user id (man 2 setresuid)."""
    old = t.creds
    if _changes_nothing((ruid, euid, suid), (old.uid, old.euid, old.suid), old.fsuid):
        return
    ids = _triple((ruid, euid, suid), (old.uid, old.euid, old.suid), old.capable(CAP_SETUID))
    commit_creds(t, old.with_uids(*ids))


@syscall("setresgid", errors="EPERM")
async def setresgid(t: Task, rgid: Gid, egid: Gid, sgid: Gid) -> None:
    """Set real, effective and saved group id (man 2 setresgid)."""
    old = t.creds
    if _changes_nothing((rgid, egid, sgid), (old.gid, old.egid, old.sgid), old.fsgid):
        return
    ids = _triple((rgid, egid, sgid), (old.gid, old.egid, old.sgid), old.capable(CAP_SETGID))
    commit_creds(t, old.with_gids(*ids))


def _changes_nothing(wanted: tuple[int, int, int], old: tuple[int, int, int], fs_id: int) -> bool:
    """Whether setresuid keeps everything, fsuid too: naming the effective id resets that."""
    if any(w not in (_KEEP, o) for w, o in zip(wanted, old, strict=True)):
        return False
    return wanted[1] in (_KEEP, fs_id)


@syscall("setfsuid")
async def setfsuid(t: Task, fsuid: Uid) -> int:
    """Set the user id of file accesses; returns the former one, also on failure (man 2 setfsuid)."""
    old = t.creds
    allowed = fsuid in (old.uid, old.euid, old.suid, old.fsuid) or old.capable(CAP_SETUID)
    if fsuid not in (_KEEP, old.fsuid) and allowed:
        commit_creds(t, old.with_fsuid(fsuid))
    return old.fsuid


@syscall("setfsgid")
async def setfsgid(t: Task, fsgid: Gid) -> int:
    """Set the group id of file accesses; returns the former one, also on failure (man 2 setfsgid)."""
    old = t.creds
    allowed = fsgid in (old.gid, old.egid, old.sgid, old.fsgid) or old.capable(CAP_SETGID)
    if fsgid not in (_KEEP, old.fsgid) and allowed:
        commit_creds(t, old._replace(fsgid=fsgid))
    return old.fsgid


@syscall("getgroups", errors="EFAULT EINVAL")
async def getgroups(
    t: Task, size: Int, list: Annotated[Out[int], Shown("groups"), Count("result")]
) -> int:
    """The supplementary groups, or with size 0 how many there are (man 2 getgroups)."""
    groups = t.creds.groups
    if size < 0:
        raise SysError(EINVAL)
    if size:
        if len(groups) > size:
            raise SysError(EINVAL)
        if groups:
            await t.mem.write(list, b"".join(gid.to_bytes(4, "little") for gid in groups))
    return len(groups)


@syscall("setgroups", errors="EFAULT EINVAL EPERM")
async def setgroups(
    t: Task, size: Signed, list: Annotated[In[int], Shown("groups"), Count("size")]
) -> None:
    """Replace the supplementary groups; needs CAP_SETGID (man 2 setgroups)."""
    if not t.creds.capable(CAP_SETGID):
        raise SysError(EPERM)
    if size > _NGROUPS_MAX:
        raise SysError(EINVAL)
    raw = await t.mem.read(list, 4 * size) if size else b""
    groups = sorted(memoryview(raw).cast("I"))
    if groups and groups[-1] == _KEEP:
        raise SysError(EINVAL)
    commit_creds(t, t.creds._replace(groups=tuple(groups)))


async def _capability_words(t: Task, hdrp: int) -> int:
    """How many words of 32 capabilities the header's version has; EINVAL names the version of this kernel."""
    version = await t.mem.u32(hdrp)
    if version == _LINUX_CAPABILITY_VERSION_1:
        return 1
    if version in (_LINUX_CAPABILITY_VERSION_2, _LINUX_CAPABILITY_VERSION_3):
        return 2
    await t.mem.put_u32(hdrp, _LINUX_CAPABILITY_VERSION_3)
    raise SysError(EINVAL)


@syscall("capget", errors="EFAULT EINVAL ESRCH")
async def capget(
    t: Task, hdrp: InOut[CapUserHeader], datap: Annotated[Out[CapUserData], Shown("cap_data")]
) -> None:
    """The capability sets of a task; without datap, a query for the version (man 2 capget)."""
    try:
        words = await _capability_words(t, hdrp)
    except SysError as error:
        if not datap and error.errno == EINVAL:
            return
        raise
    if not datap:
        return
    pid = (await t.mem.struct(hdrp, CapUserHeader)).pid
    if pid < 0:
        raise SysError(EINVAL)
    creds = t.creds
    if pid not in (0, t.tid):
        other = t.process.table.find_task(pid)
        if other is None:
            raise SysError(ESRCH)
        creds = other.creds
    await t.mem.write(datap, _capability_data(creds, words))


def _capability_data(creds: Credentials, words: int) -> bytes:
    sets = (creds.effective, creds.permitted, creds.inheritable)
    return b"".join(
        CapUserData(*(caps >> 32 * word & _LOW_CAPS for caps in sets)).pack() for word in range(words)
    )


@syscall("capset", errors="EFAULT EINVAL EPERM")
async def capset(
    t: Task, hdrp: InOut[CapUserHeader], datap: Annotated[In[CapUserData], Shown("cap_data")]
) -> None:
    """Set the capability sets of the caller, within what it is permitted (man 2 capset)."""
    words = await _capability_words(t, hdrp)
    pid = (await t.mem.struct(hdrp, CapUserHeader)).pid
    if pid not in (0, t.tid):
        raise SysError(EPERM)
    effective = permitted = inheritable = 0
    raw = await t.mem.read(datap, words * CapUserData.SIZE)
    for word in range(words):
        part = CapUserData.unpack(raw, word * CapUserData.SIZE)
        effective |= part.effective << 32 * word
        permitted |= part.permitted << 32 * word
        inheritable |= part.inheritable << 32 * word
    commit_creds(t, _with_caps(t.creds, effective & ALL_CAPS, permitted & ALL_CAPS, inheritable & ALL_CAPS))


def _with_caps(old: Credentials, effective: int, permitted: int, inheritable: int) -> Credentials:
    allowed = old.inheritable | old.bounding
    if not old.capable(CAP_SETPCAP):
        allowed &= old.inheritable | old.permitted
    if inheritable & ~allowed or permitted & ~old.permitted or effective & ~permitted:
        raise SysError(EPERM)
    return old._replace(
        effective=effective,
        permitted=permitted,
        inheritable=inheritable,
        ambient=old.ambient & permitted & inheritable,
    )


@syscall("getpid")
async def getpid(t: Task) -> Pid:
    """The process id (man 2 getpid)."""
    return t.process.pid


@syscall("getppid")
async def getppid(t: Task) -> Pid:
    """The process id of the parent (man 2 getppid)."""
    return t.process.ppid


@syscall("gettid")
async def gettid(t: Task) -> Pid:
    """The id of the calling thread (man 2 gettid)."""
    return t.tid


def _find(t: Task, pid: int) -> Process:
    """The process of a pid or tid, 0 for the caller's; ESRCH."""
    if pid == 0:
        return t.process
    table = t.process.table
    found = table.processes.get(pid)
    if found is None:
        task = table.tasks.get(pid)
        if task is None:
            raise SysError(ESRCH)
        found = task.process
    return found


@syscall("getpgrp")
async def getpgrp(t: Task) -> int:
    """The process group of the caller (man 2 getpgrp)."""
    return t.process.pgrp.pgid


@syscall("getpgid", errors="ESRCH")
async def getpgid(t: Task, pid: Pid) -> int:
    """The process group of a process (man 2 getpgid)."""
    return _find(t, pid).pgrp.pgid


@syscall("setpgid", errors="EACCES EINVAL EPERM ESRCH")
async def setpgid(t: Task, pid: Pid, pgid: Int) -> None:
    """Put the caller, or a child that has not called execve, into a process group (man 2 setpgid)."""
    caller = t.process
    pid = pid or caller.pid
    pgid = pgid or pid
    if pgid < 0:
        raise SysError(EINVAL)
    target = _find(t, pid)
    if target.pid != pid:
        raise SysError(EINVAL)
    if target.parent is caller:
        if target.session is not caller.session:
            raise SysError(EPERM)
        if target.did_exec:
            raise SysError(EACCES)
    elif target is not caller:
        raise SysError(ESRCH)
    if target.session.sid == target.pid:
        raise SysError(EPERM)
    _move_to_group(target, pgid)


def _move_to_group(target: Process, pgid: int) -> None:
    group = target.table.groups.get(pgid)
    if pgid != target.pid and (group is None or group.session is not target.session):
        raise SysError(EPERM)
    if group is None:
        target.table.new_group(target)
    elif group is not target.pgrp:
        target.join(group)


@syscall("getsid", errors="ESRCH")
async def getsid(t: Task, pid: Pid) -> int:
    """The session of a process (man 2 getsid)."""
    return _find(t, pid).session.sid


@syscall("setsid", errors="EPERM")
async def setsid(t: Task) -> int:
    """Make the caller leader of a new session without a terminal; EPERM for a group leader (man 2 setsid)."""
    process = t.process
    if process.pid in process.table.groups:
        raise SysError(EPERM)
    return process.table.new_session(process).sid


@syscall("personality", support=PARTIAL, notes="kept and inherited; only address randomization looks at it")
async def personality(t: Task, persona: Persona) -> OldPersona:
    """Set the execution domain, or with 0xffffffff only return it (man 2 personality)."""
    old = t.personality
    if persona != _PERSONALITY_QUERY:
        if persona & ~_PERSONALITY_KNOWN:
            t.server.unsupported(f"personality {persona:#x}", t)
        t.personality = persona
    return old
