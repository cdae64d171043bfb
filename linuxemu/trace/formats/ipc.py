"""System V and POSIX inter-process communication."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, array, flag_names, hexadecimal, octal, worded
from linuxemu.trace.formats.choices import bits, choice, fields, pointed
from linuxemu.trace.formats.strings import bytes_at
from syscalls.abi import ipc, tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call
    from syscalls.abi.layout import Struct
    from syscalls.types import Arg

_SET, _STAT, _INFO = 1, 2, 3
_IPC_64 = 0x100
_CREAT = 0o100
_HUGE_SHIFT, _HUGE_MASK = 26, 63
_PERMISSIONS = 0o777


@shows("ipc_key")
def key(call: Call, value: int, arg: Arg) -> str:
    """A key: IPC_PRIVATE or a number in hexadecimal."""
    return choice(call, value, "IPC_PRIVATE") if not value else hexadecimal(value)


@shows("ipc_get")
def get_flags(call: Call, value: int, arg: Arg) -> str:
    """Flags and permissions."""
    mode = octal(value & _PERMISSIONS)
    value &= ~_PERMISSIONS
    parts = []
    if arg.table == "SHM_get":
        huge = value >> _HUGE_SHIFT & _HUGE_MASK
        value &= ~(_HUGE_MASK << _HUGE_SHIFT)
        parts = [f"{huge}<<{worded(call, _HUGE_SHIFT, 'SHM_HUGE_SHIFT')}"] if huge else []
    if not value:
        return "|".join([*parts, mode])
    known, _ = flag_names(value, tables.table(arg.table).names)
    if not known and not parts and call.style.constants != "raw":
        return f"{hexadecimal(value)}{mode}"  # strace forgets what should stand between them
    return "|".join([bits(call, value, arg.table), *parts, mode])


@shows("ipc_command")
def command(call: Call, value: int, arg: Arg) -> str:
    """What to do, with the mark of the newer structures."""
    if value & _IPC_64:
        return f"{choice(call, _IPC_64, 'IPC_64')}|{choice(call, value & ~_IPC_64, arg.table)}"
    return choice(call, value, arg.table)


def _set_perm(data: bytes) -> str:
    uid, gid, mode = struct.unpack_from("<4xIIxxxxxxxxI", data)
    return f"uid={_id(uid)}, gid={_id(gid)}, mode={octal(mode)}"


def _id(value: int) -> str:
    return "-1" if value == 0xFFFF_FFFF else str(value)


def _perm(data: bytes) -> str:
    number, cuid, cgid = struct.unpack_from("<I8xII", data)
    return f"{_set_perm(data)}, key={number}, cuid={_id(cuid)}, cgid={_id(cgid)}"


class _Control(NamedTuple):
    """What the commands of a kind of objects carry.

    Args:
        name: of the field with the owner.
        kind: the structure that tells of an object.
        stats: commands with it, beside IPC_STAT.
        infos: commands that tell of all objects, and their structures.
    """

    name: str
    kind: type[Struct]
    stats: tuple[int, ...]
    infos: dict[int, type[Struct]]

    def show(self, call: Call, addr: int, arg: Arg, more: Callable[[bytes, bool], str]) -> str:
        """The structure that a command has; `more` are its fields behind the owner."""
        what, size = call.argument("cmd") & ~_IPC_64, self.kind.SIZE
        if what == _SET and call.plan.verbose and addr:
            data = call.read(addr, size)
            if data is None:
                return address(call, addr)
            return f"{{{self.name}={{{_set_perm(data)}}}{more(data, True)}}}"
        if what == _STAT or what in self.stats:
            return pointed(
                call, addr, arg, size, lambda data: f"{{{self.name}={{{_perm(data)}}}{more(data, False)}}}"
            )
        info = self.infos.get(what)
        if info is None:
            return address(call, addr)
        return pointed(call, addr, arg, info.SIZE, lambda data: _named(info.unpack(data)))


def _named(told: Struct) -> str:
    parts = ", ".join(f"{name}={value}" for name, value in zip(told.FIELDS, told, strict=True))
    return f"{{{parts}}}"


_SHM = _Control("shm_perm", ipc.ShmidDs, (13, 15), {_INFO: ipc.Shminfo, 14: ipc.ShmInfo})
_MSG = _Control("msg_perm", ipc.MsqidDs, (11, 13), {_INFO: ipc.Msginfo, 12: ipc.Msginfo})
_SEM = _Control("sem_perm", ipc.SemidDs, (18, 20), {_INFO: ipc.Seminfo, 19: ipc.Seminfo})


@shows("shm_control")
def shm_control(call: Call, addr: int, arg: Arg) -> str:
    """A struct shmid_ds."""

    def more(data: bytes, setting: bool) -> str:
        if setting:
            return ""
        size, atime, dtime, ctime, cpid, lpid, nattch = struct.unpack_from("<QqqqiiQ", data, 48)
        return (
            f", shm_segsz={size}, shm_cpid={cpid}, shm_lpid={lpid}, shm_nattch={nattch}, shm_atime={atime}, "
            f"shm_dtime={dtime}, shm_ctime={ctime}"
        )

    return _SHM.show(call, addr, arg, more)


@shows("msg_control")
def msg_control(call: Call, addr: int, arg: Arg) -> str:
    """A struct msqid_ds."""

    def more(data: bytes, setting: bool) -> str:
        stime, rtime, ctime, _, qnum, qbytes, lspid, lrpid = struct.unpack_from("<qqqQQQii", data, 48)
        if setting:
            return f", msg_qbytes={qbytes}"
        return (
            f", msg_stime={stime}, msg_rtime={rtime}, msg_ctime={ctime}, msg_qnum={qnum}, msg_qbytes={qbytes}, "
            f"msg_lspid={lspid}, msg_lrpid={lrpid}"
        )

    return _MSG.show(call, addr, arg, more)


@shows("sem_control")
def sem_control(call: Call, addr: int, arg: Arg) -> str:
    """A struct semid_ds; what other commands take as a number."""

    def more(data: bytes, setting: bool) -> str:
        if setting:
            return ""
        otime, ctime, nsems = struct.unpack_from("<q8xq8xQ", data, 48)
        return f", sem_otime={otime}, sem_ctime={ctime}, sem_nsems={nsems}"

    return _SEM.show(call, addr, arg, more)


@shows("sembufs")
def sembufs(call: Call, addr: int, arg: Arg) -> str:
    """Operations on semaphores."""
    if not addr or not call.plan.verbose:
        return address(call, addr)

    def show(data: bytes) -> str:
        number, operation, how = struct.unpack("<HhH", data)
        return f"{{sem_num={number}, sem_op={operation}, sem_flg={bits(call, how, 'SEM_op')}}}"

    return array(call, addr, call.argument(arg.length), 6, show)


@shows("msgbuf")
def msgbuf(call: Call, addr: int, arg: Arg) -> str:
    """A message with its type."""
    count = call.argument("msgsz")

    def show(data: bytes) -> str:
        return f"{{{fields(data, '<q', 'mtype')}, mtext={bytes_at(call, addr + 8, count)}}}"

    return pointed(call, addr, arg, 8, show)


# -- POSIX message queues ----------------------------------------------------------------------------------------


@shows("mq_mode")
def mqoctal(call: Call, value: int, arg: Arg) -> str | None:
    """The mode of a queue, if one may be made."""
    return octal(value) if _makes(call) else None


@shows("mq_open_attr")
def mq_open_attr(call: Call, addr: int, arg: Arg) -> str | None:
    """The attributes of a queue, if one may be made; its flags are a number here."""
    return _attributes(call, addr, arg, hexadecimal) if _makes(call) else None


def _makes(call: Call) -> bool:
    return bool(call.argument("oflag") & _CREAT)


@shows("mq_attr")
def mq_attr(call: Call, addr: int, arg: Arg) -> str:
    """A struct mq_attr."""
    return _attributes(call, addr, arg, lambda how: bits(call, how, "MQ_flags"))


def _attributes(call: Call, addr: int, arg: Arg, flags: Callable[[int], str]) -> str:
    def show(data: bytes) -> str:
        how = flags(int.from_bytes(data[:8], "little"))
        return f"{{mq_flags={how}, {fields(data[8:], '<qqq', 'mq_maxmsg mq_msgsize mq_curmsgs')}}}"

    return pointed(call, addr, arg, 32, show)
