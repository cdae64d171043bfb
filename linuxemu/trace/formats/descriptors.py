"""What file descriptors refer to (-y, -yy)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.flags import S_IFBLK, S_IFCHR
from syscalls.abi.structs import dev_major, dev_minor
from syscalls.errors import SysError
from syscalls.vfs.mount import path_name

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.objects.file import File
    from syscalls.objects.task import Task
    from syscalls.vfs.mount import Path

_DEVICES = {S_IFCHR: "char", S_IFBLK: "block"}


def target(call: Call, fd: int, t: Task | None = None) -> str:
    """What an open descriptor refers to, in angle brackets; nothing for one that is not open.

    Args:
        call: the call that it is an argument of.
        fd: the descriptor.
        t: whose it is, if not the caller's.
    """
    file = opened(t or call.t, fd)
    if file is None or "path" not in call.style.fds:
        return ""
    text = escaped(file_name(file), call.style.hex_strings)
    attr = file.inode.attr
    kind = _DEVICES.get(file.inode.kind)
    if kind is not None and "dev" in call.style.fds:
        text += f"<{kind} {dev_major(attr.rdev)}:{dev_minor(attr.rdev)}>"
    removed = file.path is not None and file.path.dentry.deleted
    return f"<{text}>(deleted)" if removed else f"<{text}>"


def cwd(call: Call) -> str:
    """The current directory of the calling task in angle brackets, for AT_FDCWD."""
    place = call.t.fs.cwd
    if "path" not in call.style.fds:
        return ""
    return f"<{escaped(place_name(place), call.style.hex_strings)}{' (deleted)' if place.dentry.deleted else ''}>"


def opened(t: Task, fd: int) -> File | None:
    """The open file of a descriptor."""
    try:
        return t.files.get_any(fd)
    except SysError:
        return None


def file_name(file: File) -> bytes:
    """What /proc/pid/fd says of a file, from the root of everything, without a word on its removal."""
    return file.proc_name() if file.path is None else place_name(file.path)


def place_name(path: Path) -> bytes:
    """A place from the root of everything."""
    mount = path.mount
    while mount.parent is not None:
        mount = mount.parent
    return path_name(path, path._replace(mount=mount, dentry=mount.root))[0]


def escaped(name: bytes, hex_strings: str = "") -> str:
    """A name within angle brackets, in hexadecimal as -x and -xx say."""
    from linuxemu.trace.formats.strings import quote

    text = quote(name, hex_strings)[1:-1]
    if "<" not in text and ">" not in text:
        return text
    parts = []
    for place, sign in enumerate(text):
        digit = text[place + 1 : place + 2].isdigit()
        parts.append(sign if sign not in "<>" else f"\\{ord(sign):03o}" if digit else f"\\{ord(sign):o}")
    return "".join(parts)
