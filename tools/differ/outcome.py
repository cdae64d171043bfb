"""What the processes of a script saw, as lines that may be compared: what cannot be equal is replaced.

Replaced are addresses outside of what scripts lay out themselves, points in time that no script set, what is left of a
time, numbers of inodes and devices, and what of a file system depends on how full it is. A pid is told by its distance
from the script's own.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from syscalls.abi import structs
from syscalls.abi.errno import errno_name
from syscalls.abi.layout import Struct
from tools.differ import script as language
from tools.differ.code import UNTOUCHED
from tools.differ.script import ARENA, Call, Fork, line, statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tools.differ.code import Compiled, Record
    from tools.differ.running import Process, Raw
    from tools.differ.script import Script, Statement

_ADDRESSES = ("mmap", "mremap", "brk")
_PIDS = ("getpid", "gettid", "getppid", "getpgid", "getpgrp", "getsid", "setsid", "set_tid_address", "wait4")
_CLOCKS = ("time", "times")
_LARGEST_ARENA = 1 << 28
_SET_BY_SCRIPTS_S = 1 << 20
"""Times of files up to here (1970) are of the script's making."""
_SIGNALLED_BY_CHILD, _SIGCHLD = range(1, 7), 17
_HEAD = struct.Struct("<BBHq")


def lines(script: Script, compiled: Compiled, raw: Raw) -> list[str]:
    """What a script saw, process by process.

    Args:
        script: the script.
        compiled: the same, compiled.
        raw: how it ran.
    """
    numbered = list(statements(script))
    pids = [process.pid for process in raw.processes]
    found = []
    for index, process in enumerate(raw.processes):
        if index:
            found.append(f"process {index}:")
        found += _Log(process, pids, numbered, compiled).lines()
    found.append("it takes too long" if raw.slow else f"it ends with status {raw.status:#x}")
    if raw.complaint:
        found.append(f"linuxemu: {raw.complaint}")
    return found


class _Log:
    """The log of a process."""

    def __init__(
        self, process: Process, pids: Sequence[int], numbered: Sequence[Statement], compiled: Compiled
    ) -> None:
        self._log, self._pids = process.log, pids
        self._numbered, self._compiled = numbered, compiled

    def lines(self) -> Iterator[str]:
        at = 0
        while at + _HEAD.size <= len(self._log):
            kind, count, number, result = _HEAD.unpack_from(self._log, at)
            at += _HEAD.size
            parts = []
            for _ in range(count):
                size = int.from_bytes(self._log[at : at + 2], "little")
                parts.append(self._log[at + 2 : at + 2 + size])
                at += 2 + size
            yield self._line(chr(kind), number, result, parts)

    def _line(self, kind: str, number: int, result: int, parts: list[bytes]) -> str:
        if kind == "S":
            return f"signal {_siginfo(parts[0], self._pid) if parts else number}"
        if kind == "E":
            return "end"
        statement = self._numbered[number]
        if kind == "P":
            shown = str(result) if result >= 0 else f"signal {-result >> 8} code {-result & 255}"
            return f"{line(statement)} = {shown}"
        text = f"{line(statement)} = {self._result(statement, result)}"
        for record, data in zip(self._compiled.records.get(number, ()), parts, strict=False):
            text += f"  {record.name}: {self._memory(statement, record, data)}"
        return text

    def _result(self, statement: Statement, result: int) -> str:
        if -4096 < result < 0:
            return errno_name(-result)
        name = statement.name if isinstance(statement, Call) else ""
        if name in _ADDRESSES:
            return _address(result)
        if isinstance(statement, Fork) or name in _PIDS:
            return self._pid(result)
        if name in _CLOCKS:
            return "time"
        if name == "prctl" or (name == "fcntl" and "F_GETOWN" in line(statement)):
            return self._pid(result)
        return str(result)

    def _pid(self, pid: int) -> str:
        near = pid - self._pids[0]
        return f"pid {near}" if pid > 1 and -1 <= near < 100 else str(pid)

    def _memory(self, statement: Statement, record: Record, data: bytes) -> str:
        if data == bytes([UNTOUCHED]) * len(data):
            return "-"
        arg = record.arg
        if arg.format in _FORMATS:
            return _FORMATS[arg.format](data)
        if "siginfo" in arg.format or arg.format == "wait_info":
            return _siginfo(data, self._pid)
        found = getattr(structs, arg.table, None) if arg.table else None
        if isinstance(found, type) and issubclass(found, Struct):
            return _structs(found, data, statement) if len(data) >= found.SIZE else "a part"
        if arg.table == "int" and arg.format == "ints":
            return str([int.from_bytes(data[i : i + 4], "little", signed=True) for i in range(0, len(data), 4)])
        return _bytes(data)


def _address(value: int) -> str:
    if ARENA <= value < ARENA + _LARGEST_ARENA:
        return f"ARENA+{value - ARENA:#x}"
    return "address" if value else "0"


def _bytes(data: bytes) -> str:
    """Bytes, with what was not touched at the end as a number."""
    used = data.rstrip(bytes([UNTOUCHED]))
    body, rest = used.rstrip(b"\0"), len(used)
    zeros = f"+{rest - len(body)}*0" if rest > len(body) else ""
    left = f"+{len(data) - rest} untouched" if len(data) > rest else ""
    return f"{language.quote(body)}{zeros}{left}"


def _siginfo(data: bytes, pid: Callable[[int], str]) -> str:
    if len(data) < 28:
        return _bytes(data)
    number, error, code, _, first, second, third = struct.unpack_from("<7i", data)
    text = f"signo {number} errno {error} code {code}"
    if number == _SIGCHLD and code in _SIGNALLED_BY_CHILD:
        return f"{text} {pid(first)} uid {second} status {third}"
    if code in (0, -1, -6):
        return f"{text} {pid(first)} uid {second}" + (f" value {third}" if code == -1 else "")
    if code == -2:
        return f"{text} overrun {second} value {third}"
    return text


def _entries(data: bytes, head: int) -> str:
    """Directory entries: names with their types, sorted, as the order is the file system's own."""
    found, at = [], 0
    while at + head < len(data) and data[at : at + 8] != bytes([UNTOUCHED]) * 8:
        size = int.from_bytes(data[at + 16 : at + 18], "little")
        if not head < size <= len(data) - at:
            break
        entry = data[at : at + size]
        kind = entry[18] if head == 19 else entry[-1]
        found.append(f"{entry[head:].split(bytes(1))[0].decode('latin-1')}:{kind}")
        at += size
    return " ".join(sorted(found)) or _bytes(data)


def _wait_status(data: bytes) -> str:
    return f"{int.from_bytes(data[:4], 'little'):#x}"


_FORMATS: dict[str, Callable[[bytes], str]] = {
    "dirents64": lambda data: _entries(data, 19),
    "dirents": lambda data: _entries(data, 18),
    "wait_status": _wait_status,
    "wait_rusage": lambda _: "usage",
    "remaining": lambda _: "a time",
    "select_timeout": lambda _: "a time",
    "residence": lambda _: "pages",  # what else was brought in is the kernel's affair
    "stored_time": lambda _: "a time",
    "stored_address": lambda _: "address",
}


def _structs(kind: type[Struct], data: bytes, statement: Statement) -> str:
    """Structures of one kind, those that were touched; fields that cannot be equal as what they are."""
    found = []
    for at in range(0, len(data) - kind.SIZE + 1, kind.SIZE):
        piece = data[at : at + kind.SIZE]
        if piece == bytes([UNTOUCHED]) * kind.SIZE:
            break
        name = statement.name if isinstance(statement, Call) else ""
        found.append(_struct(kind.__name__, kind.unpack(piece), name))
    return " ".join(found)


def _struct(kind: str, value: Struct, call: str) -> str:
    hidden = _HIDDEN.get(kind, ())
    shown = []
    for field, content in zip(value.FIELDS, value, strict=True):
        if kind == "Timespec" and call in _TIMES:
            return "a time"
        if kind == "Timeval" and call in _TIMES:
            return "a time"
        if field in hidden or hidden == "*":
            continue
        shown.append(f"{field}={_field(kind, field, content, value)}")
    return f"{{{' '.join(shown)}}}"


_TIMES = ("clock_gettime", "gettimeofday", "ppoll", "sched_rr_get_interval")
_HIDDEN: dict[str, tuple[str, ...] | str] = {
    "Stat": ("st_dev", "st_ino", "st_blksize"),
    "Statx": ("stx_blksize", "stx_ino", "stx_dev_major", "stx_dev_minor", "stx_mnt_id", "stx_attributes_mask"),
    "Statfs": ("f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_fsid"),
    "SchedAttr": ("sched_runtime", "sched_util_max"),
    "Rusage": "*",
    "Tms": "*",
}


def _field(kind: str, field: str, content: Any, value: Struct) -> str:
    if "time" in field and kind in ("Stat", "Statx"):
        seconds = content[0] if isinstance(content, Struct) else content
        return str(content) if 0 <= seconds <= _SET_BY_SCRIPTS_S and not field.endswith("nsec") else "time"
    if field == "it_value":
        return "set" if any(content) else "0"
    if field in ("sa_handler", "sa_restorer", "handler", "restorer", "ss_sp"):
        return _address(content) if content > 1 else str(content)
    return hex(content) if "mode" in field or "mask" in field else str(content)
