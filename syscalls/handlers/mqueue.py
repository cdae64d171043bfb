"""POSIX message queues: mq_open, mq_unlink, mq_timedsend, mq_timedreceive, mq_notify, mq_getsetattr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import (
    EACCES,
    EBADF,
    EEXIST,
    EINVAL,
    EMSGSIZE,
    ENAMETOOLONG,
    ENOENT,
    ENOTSOCK,
)
from syscalls.abi.flags import (
    NAME_MAX,
    O_ACCMODE,
    O_CREAT,
    O_EXCL,
    O_NOCTTY,
    O_NONBLOCK,
    O_PATH,
    O_TRUNC,
    SIGEV_NONE,
    SIGEV_SIGNAL,
    SIGEV_THREAD,
    SIGRTMAX,
)
from syscalls.abi.structs import MqAttr, Sigevent, Timespec
from syscalls.errors import SysError
from syscalls.fs.mqueuefs import QueueDirectory, QueueFile, child_of, message_queues
from syscalls.objects.credentials import MAY_READ, MAY_WRITE, permission
from syscalls.objects.file import ANY, READ, WRITE, OPathFile
from syscalls.objects.mqueue import MQ_PRIO_MAX, Message
from syscalls.registry import syscall
from syscalls.types import Fd, In, MqMode, OpenFlags, Out, Shown, Size, UInt, UserStr
from syscalls.vfs.modify import may_create, remove_entry
from syscalls.vfs.mount import Path

if TYPE_CHECKING:
    from syscalls.objects.file import File
    from syscalls.objects.task import Task
    from syscalls.vfs.dentry import Dentry

_NOT_KEPT = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC
_WANT = (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE)
_UINT_MAX = 0xFFFF_FFFF
_COOKIE_SIZE = 32
"""What SIGEV_THREAD sends: NOTIFY_COOKIE_LEN of Linux."""


@syscall("mq_open", errors="EACCES EEXIST EFAULT EINVAL EIO EMFILE ENAMETOOLONG ENOENT ENOMEM ENOSPC")
async def mq_open(
    t: Task, name: UserStr, oflag: OpenFlags, mode: MqMode, attr: Annotated[In[MqAttr], Shown("mq_open_attr")]
) -> Fd:
    """Open a message queue, or make one (man 2 mq_open). The descriptor is closed on execve in any case."""
    asked = await t.mem.struct(attr, MqAttr) if attr else None
    text = await _name(t, name)
    t.files.lowest_free()
    place = await (await message_queues(t)).place()
    found = _find(place.dentry, text)
    if found is None:
        if not oflag & O_CREAT:
            raise SysError(ENOENT)
        found = await _make(t, place.dentry, text, mode & ~t.fs.umask, asked)
    else:
        _check_access(t, found, oflag)
    file = await _open(t, Path(place.mount, found), oflag & ~_NOT_KEPT & _UINT_MAX)
    return t.files.alloc(file, cloexec=True)


async def _name(t: Task, address: int) -> bytes:
    text = await t.mem.path(address)
    if not text:
        raise SysError(ENOENT)
    return text


def _find(directory: Dentry, name: bytes) -> Dentry | None:
    """What has a name, None if nothing has; the C library has taken the slash before it away."""
    if name in (b".", b"..") or b"/" in name:
        raise SysError(EACCES)
    if len(name) > NAME_MAX:
        raise SysError(ENAMETOOLONG)
    return child_of(directory, name)


async def _make(t: Task, directory: Dentry, name: bytes, mode: int, asked: MqAttr | None) -> Dentry:
    await may_create(t, directory.inode)
    attributes = (asked.mq_maxmsg, asked.mq_msgsize) if asked is not None else None
    assert isinstance(directory.inode, QueueDirectory)
    return directory.child(name, directory.inode.make_queue(t, name, mode, attributes))


def _check_access(t: Task, found: Dentry, oflag: int) -> None:
    if oflag & O_CREAT and oflag & O_EXCL:
        raise SysError(EEXIST)
    access = oflag & O_ACCMODE
    if access == O_ACCMODE:
        raise SysError(EINVAL)
    if not permission(t.creds, found.inode.attr, _WANT[access]):
        raise SysError(EACCES)


async def _open(t: Task, place: Path, flags: int) -> File:
    return OPathFile(place.inode, flags, place) if flags & O_PATH else await place.inode.open(t, flags, place)


@syscall("mq_unlink", errors="EACCES EBUSY EFAULT EIO ENAMETOOLONG ENOENT EPERM")
async def mq_unlink(t: Task, name: UserStr) -> None:
    """Remove the name of a message queue, which is gone when nobody has it open (man 2 mq_unlink)."""
    text = await _name(t, name)
    directory = (await (await message_queues(t)).place()).dentry
    found = _find(directory, text)
    if found is None:
        raise SysError(ENOENT)
    await remove_entry(t, directory, text, found)


def _queue_file(t: Task, mqdes: int, want: int = ANY) -> QueueFile:
    """The open queue of a descriptor; EBADF if it is none, or not open for what is wanted."""
    file = t.files.get(mqdes, want)
    if not isinstance(file, QueueFile):
        raise SysError(EBADF)
    return file


async def _until(t: Task, abs_timeout: int) -> int | None:
    """The time of CLOCK_REALTIME at which a wait ends; None for a null pointer."""
    if not abs_timeout:
        return None
    time = await t.mem.struct(abs_timeout, Timespec)
    if not time.valid():
        raise SysError(EINVAL)
    return time.ns()


@syscall("mq_timedsend", errors="EAGAIN EBADF EFAULT EINTR EINVAL EIO EMSGSIZE ENOMEM ETIMEDOUT")
async def mq_timedsend(
    t: Task, mqdes: Fd, msg_ptr: In[bytes], msg_len: Size, msg_prio: UInt, abs_timeout: In[Timespec]
) -> int:
    """Send a message, and wait for room if it must until a time of CLOCK_REALTIME (man 2 mq_timedsend)."""
    until_ns = await _until(t, abs_timeout)
    if msg_prio >= MQ_PRIO_MAX:
        raise SysError(EINVAL)
    file = _queue_file(t, mqdes, WRITE)
    queue = file.inode.queue
    if msg_len > queue.msgsize:
        raise SysError(EMSGSIZE)
    file.get()
    try:
        message = Message(msg_prio, await t.mem.read(msg_ptr, msg_len))
        await queue.send(t, message, until_ns, not file.flags & O_NONBLOCK)
    finally:
        await file.put()
    return 0


@syscall("mq_timedreceive", errors="EAGAIN EBADF EFAULT EINTR EINVAL EIO EMSGSIZE ETIMEDOUT")
async def mq_timedreceive(
    t: Task,
    mqdes: Fd,
    msg_ptr: Out[bytes],
    msg_len: Size,
    msg_prio: Annotated[Out[int], Shown("uints")],
    abs_timeout: In[Timespec],
) -> int:
    """Take the oldest message of the highest priority, and wait for one if it must (man 2 mq_timedreceive).

    A message that cannot be stored where the caller wants it is lost.
    """
    until_ns = await _until(t, abs_timeout)
    file = _queue_file(t, mqdes, READ)
    queue = file.inode.queue
    if msg_len < queue.msgsize:
        raise SysError(EMSGSIZE)
    file.get()
    try:
        message = await queue.receive(t, until_ns, not file.flags & O_NONBLOCK)
    finally:
        await file.put()
    if msg_prio:
        await t.mem.put_u32(msg_prio, message.priority)
    await t.mem.write(msg_ptr, message.data)
    return len(message.data)


@syscall("mq_notify", errors="EBADF EBUSY EFAULT EINVAL ENOTSOCK")
async def mq_notify(t: Task, mqdes: Fd, sevp: Annotated[In[Sigevent], Shown("sigevent")]) -> int:
    """Be told once when a message comes into an empty queue for which nobody waits (man 2 mq_notify).

    A signal, or nothing: the C library makes SIGEV_THREAD of a netlink socket, and there are no sockets. If
    processes share their descriptors (CLONE_FILES without CLONE_THREAD), a close by any of them ends it.
    """
    event = await t.mem.struct(sevp, Sigevent) if sevp else None
    if event is not None:
        await _check_event(t, event)
    inode = _queue_file(t, mqdes).inode
    if event is not None:
        inode.queue.notify(t, event.sigev_notify, event.sigev_signo, event.sigev_value)
    elif not inode.queue.dismiss(t):
        return 0
    inode.looked_at()
    return 0


async def _check_event(t: Task, event: Sigevent) -> None:
    if event.sigev_notify not in (SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD):
        raise SysError(EINVAL)
    if event.sigev_notify == SIGEV_SIGNAL and not 0 <= event.sigev_signo <= SIGRTMAX:
        raise SysError(EINVAL)
    if event.sigev_notify == SIGEV_THREAD:
        await t.mem.read(event.sigev_value, _COOKIE_SIZE)
        t.files.get(event.sigev_signo)
        raise SysError(ENOTSOCK)


@syscall("mq_getsetattr", errors="EBADF EFAULT EINVAL")
async def mq_getsetattr(
    t: Task,
    mqdes: Fd,
    newattr: Annotated[In[MqAttr], Shown("mq_attr")],
    oldattr: Annotated[Out[MqAttr], Shown("mq_attr")],
) -> int:
    """The attributes of a queue; of the new ones O_NONBLOCK alone counts (man 2 mq_getsetattr)."""
    new = await t.mem.struct(newattr, MqAttr) if newattr else None
    if new is not None and new.mq_flags & ~O_NONBLOCK:
        raise SysError(EINVAL)
    file = _queue_file(t, mqdes)
    queue = file.inode.queue
    old = MqAttr(file.flags & O_NONBLOCK, queue.maxmsg, queue.msgsize, len(queue))
    if new is not None:
        file.flags = file.flags & ~O_NONBLOCK | new.mq_flags
        file.inode.looked_at()
    if oldattr:
        await t.mem.put(oldattr, old)
    return 0
