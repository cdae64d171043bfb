"""What stat(2), statx(2) and statfs(2) tell, what utimensat(2) sets, entries of directories."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from linuxemu.trace.clock import date
from linuxemu.trace.formats import shows, shows_struct
from linuxemu.trace.formats.basic import (
    address,
    device,
    flags,
    follows,
    hexadecimal,
    named,
    octal,
    table,
    worded,
)
from linuxemu.trace.formats.magics import MAGICS
from linuxemu.trace.formats.strings import quote
from linuxemu.trace.formats.tables import unknown
from syscalls.abi import structs
from syscalls.abi.flags import (
    AT_STATX_SYNC_TYPE,
    S_IFBLK,
    S_IFCHR,
    S_IFMT,
    S_ISGID,
    S_ISUID,
    S_ISVTX,
    STATX_ATIME,
    STATX_BTIME,
    STATX_CTIME,
    STATX_MTIME,
    UTIME_NOW,
    UTIME_OMIT,
)

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.abi.structs import Stat, Statfs, Statx, StatxTimestamp, Utimbuf
    from syscalls.types import Arg

_KINDS = {
    0o140000: "S_IFSOCK", 0o120000: "S_IFLNK", 0o100000: "S_IFREG", 0o60000: "S_IFBLK", 0o40000: "S_IFDIR",
    0o20000: "S_IFCHR", 0o10000: "S_IFIFO",
}  # fmt: skip
_SPECIAL = ((S_ISUID, "S_ISUID"), (S_ISGID, "S_ISGID"), (S_ISVTX, "S_ISVTX"))
_DT = table("DT_")
_DIRENT = Struct("<QqH")
_STATX_TIMES = (("atime", STATX_ATIME), ("btime", STATX_BTIME), ("ctime", STATX_CTIME), ("mtime", STATX_MTIME))
_ENTRIES = 4096
_LIST = 1 << 20


def file_mode(call: Call, value: int) -> str:
    """Type and permissions of a file, by name and in octal."""
    number = octal(value)
    kind = _KINDS.get(value & S_IFMT)
    if kind is None and value & S_IFMT:
        return number
    parts = [kind or "", *(name for bit, name in _SPECIAL if value & bit), octal(value & 0o777)]
    return worded(call, number, "|".join(parts) if kind is not None else number)


@shows("node_mode")
def node_mode(call: Call, value: int, arg: Arg) -> str:
    """The type and permissions of a new file."""
    return file_mode(call, value)


@shows("node_dev")
def node_dev(call: Call, value: int, arg: Arg) -> str | None:
    """The number of a new device; not shown for other files."""
    return device(call, value, arg) if call.argument("mode") & S_IFMT in (S_IFCHR, S_IFBLK) else None


@shows_struct("Stat")
def stat(call: Call, value: Stat) -> str:
    """struct stat: type, size or device, and the rest unless abbreviated."""
    whole = not call.plan.abbrev
    parts = []
    if whole:
        parts = [f"st_dev={device(call, value.st_dev)}", f"st_ino={value.st_ino}"]
    parts.append(f"st_mode={file_mode(call, value.st_mode)}")
    if whole:
        parts += [f"st_nlink={value.st_nlink}", f"st_uid={value.st_uid}", f"st_gid={value.st_gid}"]
        parts += [f"st_blksize={value.st_blksize}", f"st_blocks={value.st_blocks}"]
    if value.st_mode & S_IFMT in (S_IFCHR, S_IFBLK):
        parts.append(f"st_rdev={device(call, value.st_rdev)}")
    else:
        parts.append(f"st_size={value.st_size}")
    if not whole:
        return "{" + ", ".join(parts) + ", ...}"
    for name in ("atime", "mtime", "ctime"):
        seconds, ns = getattr(value, f"st_{name}"), getattr(value, f"st_{name}_nsec")
        parts.append(f"st_{name}={seconds}{date(seconds, ns)}")
        parts.append(f"st_{name}_nsec={ns}")
    return "{" + ", ".join(parts) + "}"


@shows("statx_flags")
def statx_flags(call: Call, value: int, arg: Arg) -> str:
    """How statx(2) synchronises, and its other flags."""
    value &= 0xFFFF_FFFF
    if call.style.constants == "raw":
        sync, others = value & AT_STATX_SYNC_TYPE, value & ~AT_STATX_SYNC_TYPE
        return (f"{sync:#x}" if sync else "") + (f"|{others:#x}" if others else "")
    text = flags(call, value & AT_STATX_SYNC_TYPE, table("AT_STATX_"), unknown("AT_STATX_"))
    rest = value & ~AT_STATX_SYNC_TYPE
    return f"{text}|{flags(call, rest, table('AT_'), '')}" if rest else text


@shows_struct("Statx")
def statx(call: Call, value: Statx) -> str:
    """struct statx."""
    whole = not call.plan.abbrev
    attributes = table("STATX_ATTR_")
    parts = [f"stx_mask={flags(call, value.stx_mask, table('STATX_'), unknown('STATX_'))}"]
    if whole:
        parts.append(f"stx_blksize={value.stx_blksize}")
    parts.append(f"stx_attributes={flags(call, value.stx_attributes, attributes, 'STATX_ATTR_???')}")
    if whole:
        parts += [f"stx_nlink={value.stx_nlink}", f"stx_uid={value.stx_uid}", f"stx_gid={value.stx_gid}"]
    parts.append(f"stx_mode={file_mode(call, value.stx_mode)}")
    if whole:
        parts.append(f"stx_ino={value.stx_ino}")
    parts.append(f"stx_size={value.stx_size}")
    return "{" + ", ".join(parts) + (_statx_rest(call, value, attributes) if whole else ", ...") + "}"


def _statx_rest(call: Call, value: Statx, attributes: dict[int, str]) -> str:
    parts = ["", f"stx_blocks={value.stx_blocks}"]
    parts.append(f"stx_attributes_mask={flags(call, value.stx_attributes_mask, attributes, 'STATX_ATTR_???')}")
    for name, known in _STATX_TIMES:
        if not value.stx_mask & known:
            continue
        moment: StatxTimestamp = getattr(value, f"stx_{name}")
        comment = date(moment.tv_sec, moment.tv_nsec)
        parts.append(f"stx_{name}={{tv_sec={moment.tv_sec}, tv_nsec={moment.tv_nsec}}}{comment}")
    parts += [f"stx_{name}={getattr(value, f'stx_{name}')}" for name in ("rdev_major", "rdev_minor")]
    parts += [f"stx_{name}={getattr(value, f'stx_{name}')}" for name in ("dev_major", "dev_minor")]
    parts.append(f"stx_mnt_id={value.stx_mnt_id:#x}" if value.stx_mnt_id else "stx_mnt_id=0")
    return ", ".join(parts)


@shows_struct("Statfs")
def statfs(call: Call, value: Statfs) -> str:
    """struct statfs."""
    parts = [f"f_type={named(call, value.f_type, MAGICS, '')}"]
    numbers = ("bsize", "blocks", "bfree", "bavail", "files", "ffree")
    parts += [f"f_{name}={getattr(value, f'f_{name}')}" for name in numbers]
    first, second = value.f_fsid0 & 0xFFFF_FFFF, value.f_fsid1 & 0xFFFF_FFFF
    parts.append(f"f_fsid={{val=[{hexadecimal(first)}, {hexadecimal(second)}]}}")
    parts += [f"f_namelen={value.f_namelen}", f"f_frsize={value.f_frsize}"]
    parts.append(f"f_flags={flags(call, value.f_flags, table('ST_'), unknown('ST_'))}")
    return "{" + ", ".join(parts) + "}"


@shows("file_times")
def file_times(call: Call, addr: int, arg: Arg) -> str:
    """Two times for a file, struct timespec or struct timeval."""
    if not follows(call, addr, arg):
        return address(call, addr)
    data = call.read(addr, 32)
    if data is None:
        return address(call, addr)
    one = _timespec if arg.table == "Timespec" else _timeval
    first, second = structs.Timespec.unpack(data), structs.Timespec.unpack(data, 16)
    return f"[{one(first.tv_sec, first.tv_nsec)}, {one(second.tv_sec, second.tv_nsec)}]"


def _timespec(seconds: int, ns: int) -> str:
    if ns == UTIME_NOW:
        return "UTIME_NOW"
    if ns == UTIME_OMIT:
        return "UTIME_OMIT"
    return f"{{tv_sec={seconds}, tv_nsec={ns & 0xFFFF_FFFF_FFFF_FFFF}}}{date(seconds, ns)}"


def _timeval(seconds: int, us: int) -> str:
    return f"{{tv_sec={seconds}, tv_usec={us & 0xFFFF_FFFF_FFFF_FFFF}}}{date(seconds, us * 1000, 6)}"


@shows_struct("Utimbuf")
def utimbuf(call: Call, value: Utimbuf) -> str:
    """struct utimbuf."""
    parts = (f"{name}={seconds}{date(seconds)}" for name, seconds in (("actime", value[0]), ("modtime", value[1])))
    return "{" + ", ".join(parts) + "}"


@shows("cwd")
def cwd(call: Call, addr: int, arg: Arg) -> str:
    """The path that getcwd(2) stores."""
    if not addr or call.failed:
        return address(call, addr)
    found = call.cstr(addr, min(call.argument("result"), 4096))
    return address(call, addr) if found is None else quote(found[0], call.style.hex_strings)


@shows("dirents64", "dirents")
def dirents(call: Call, addr: int, arg: Arg) -> str:
    """Entries of a directory: how many there are, or each; at most 4096 of 1 MiB."""
    if not follows(call, addr, arg) or call.argument("result") < 0:
        return address(call, addr)
    data = call.read(addr, min(call.argument("result"), _LIST))
    if data is None:
        return address(call, addr)
    old = arg.format == "dirents"
    entries: list[bytes] = []
    position, first = 0, 18 if old else 19
    while len(data) - position >= first and len(entries) < _ENTRIES:
        length = int.from_bytes(data[position + 16 : position + 18], "little")
        if length < first:
            break
        entries.append(data[position : position + length])
        position += length
    if call.plan.abbrev:
        return f"{address(call, addr)} /* {len(entries)} entries */"
    return f"[{', '.join(_entry(call, entry, old) for entry in entries)}]"


def _entry(call: Call, entry: bytes, old: bool) -> str:
    inode, offset, length = _DIRENT.unpack_from(entry)
    kind = entry[-1] if old else entry[18]
    name = entry[18 if old else 19 : -1 if old else None].split(b"\0", 1)[0]
    parts = [f"d_ino={inode}", f"d_off={offset}", f"d_reclen={length}", f"d_name={quote(name, call.style.hex_strings)}"]
    parts.insert(4 if old else 3, f"d_type={named(call, kind, _DT, 'DT_???')}")
    return "{" + ", ".join(parts) + "}"
