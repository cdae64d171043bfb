"""Whether a call is about certain paths (-P)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.trace.formats.descriptors import file_name, opened, place_name
from syscalls.abi.flags import AT_FDCWD
from syscalls.errors import SysError
from syscalls.signatures import signature_of
from syscalls.vfs.walk import lookup

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from linuxemu.trace.call import Call
    from syscalls.objects.task import Task

_PATH_MAX = 4096
_DESCRIPTORS = frozenset(("fd", "dirfd"))
_POLLFD = 8
_POLL = frozenset(("poll", "ppoll"))
_SELECT = frozenset(("select", "pselect6"))
_FDS_MAX = 1024
"""Descriptors of poll and select that are looked at."""


class Paths:
    """The paths that calls are to be about.

    Args:
        paths: of the command line.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._given = [path.encode("utf-8", "surrogateescape") for path in paths]
        self._paths = set(self._given)

    async def resolve(self, t: Task) -> None:
        """Find what the paths lead to. As with strace it counts when the trace begins; what is not there yet stays.

        Args:
            t: the first program's task; relative paths count from its working directory.
        """
        for path in self._given:
            try:
                self._paths.add(place_name(await lookup(t, AT_FDCWD, path)))
            except (SysError, RpcError):
                pass

    def __call__(self, call: Call) -> bool:
        """Whether a call that begins names one of the paths, literally, or has a descriptor of one of the files.

        The file that open(2) is about to open counts by its name. Raises NotResident.
        """
        return matches(call, self._paths)

    def __contains__(self, path: bytes) -> bool:
        """Whether a path is one of them."""
        return path in self._paths


def matches(call: Call, paths: Container[bytes]) -> bool:
    """Whether a call names one of these paths, literally, or has a descriptor of one of these files.

    Asked when the call begins: the file that open(2) is about to open counts by its name.

    Args:
        paths: absolute ones for descriptors; those that programs name relatively are compared as they stand.

    Raises:
        NotResident: a page has to be brought in first.
    """
    for position, is_path in _looked_at(call.plan.number):
        value = call.args[position]
        if is_path:
            found = call.cstr(value, _PATH_MAX - 1) if value else None
            if found is not None and found[1] and found[0] in paths:
                return True
        elif _refers(call, value, paths):
            return True
    return any(_refers(call, fd, paths) for fd in _waited_for(call))


def _refers(call: Call, fd: int, paths: Container[bytes]) -> bool:
    file = opened(call.t, fd) if fd >= 0 else None
    if file is None:
        return False
    name = file_name(file)
    if file.path is not None and file.path.dentry.deleted:
        name += b" (deleted)"
    return name in paths


@cache
def _looked_at(number: int) -> tuple[tuple[int, bool], ...]:
    """Positions of the arguments that count, and whether each is a path or a descriptor."""
    declared = signature_of(number)
    arguments = declared.arguments() if declared is not None else []
    kinds = [(position, arg.format) for position, (_, arg) in enumerate(arguments)]
    return tuple((position, kind == "path") for position, kind in kinds if kind == "path" or kind in _DESCRIPTORS)


def _waited_for(call: Call) -> Iterator[int]:
    """The descriptors of poll(2) and select(2), which stand in memory."""
    if call.plan.name in _POLL:
        for place in range(min(call.args[1], _FDS_MAX)):
            data = call.read(call.args[0] + place * _POLLFD, 4)
            if data is None:
                return
            yield int.from_bytes(data, "little", signed=True)
    elif call.plan.name in _SELECT:
        count = min(call.args[0], _FDS_MAX)
        for addr in call.args[1:4]:
            data = call.read(addr, (count + 63) // 64 * 8) if addr and count > 0 else None
            bits = int.from_bytes(data, "little") if data is not None else 0
            yield from (fd for fd in range(max(count, 0)) if bits >> fd & 1)
