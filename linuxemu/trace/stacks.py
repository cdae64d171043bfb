"""The user stacks of traced tasks: their memory, and the files that they run, for `linuxemu.trace.unwind`."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, TypeVar

from linuxemu.errors import RpcError
from linuxemu.trace import instruction
from linuxemu.trace.call import PAGE, NotResident
from linuxemu.trace.module import LARGEST, Mapping, Modules
from linuxemu.trace.stack import Place, place_of, stack_lines
from linuxemu.trace.unwind import Frame, registers_of, unwind
from syscalls.abi.flags import PROT_EXEC
from syscalls.errors import SysError
from syscalls.vfs.pagecache import fetch
from syscalls.vfs.walk import path_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.messages import TrapFrame
    from linuxemu.trace.module import Module
    from syscalls.objects.task import Task
    from syscalls.objects.vma import Vma
    from syscalls.vfs.regular import RegularFile


_T = TypeVar("_T")


class Stacks:
    """Finds stacks; what it has read of programs and libraries it keeps."""

    def __init__(self) -> None:
        self._modules = Modules()

    async def lines(self, t: Task, frame: TrapFrame) -> list[str]:
        """The lines of -k, with the instruction that made the call first.

        Args:
            t: a task in a system call.
            frame: its registers.
        """
        memory = _Memory(t)
        frames = await self._frames(memory, await self._mappings(t), frame)
        found = await memory.ask(lambda: instruction.at_call(frame.rip, memory.read))
        head = [f" > {found.text} [{found.address:#x}]"] if found is not None else []
        return head + stack_lines(frames)

    async def places(self, t: Task, frame: TrapFrame) -> list[Place]:
        """The functions that have not returned, the one that made the call first; arguments as of `lines`."""
        frames = await self._frames(_Memory(t), await self._mappings(t), frame)
        return [place_of(found) for found in frames]

    async def site(self, t: Task, frame: TrapFrame) -> Place:
        """Where a call comes from: the function that holds the `syscall`, or its nearest caller with a line of source.

        Without lines of source it is the nearest one with a name.
        """
        found = await self.places(t, frame)
        if not found:
            return Place("", "", 0, frame.rip, "", 0, frame.rip)
        with_line = (place for place in found if place.file)
        return next(with_line, None) or next((place for place in found if place.function), found[0])

    async def _frames(self, memory: _Memory, mappings: _Mappings, frame: TrapFrame) -> list[Frame]:
        return await memory.ask(lambda: unwind(registers_of(frame), memory.read, mappings.find))

    async def _mappings(self, t: Task) -> _Mappings:
        """The executable memory of a task."""
        areas = [vma for vma in t.mm.vmas if vma.prot & PROT_EXEC]
        return _Mappings([(vma.start, vma.end, await self._mapping(t, vma)) for vma in areas])

    async def _mapping(self, t: Task, vma: Vma) -> Mapping:
        file = vma.file
        if file is None:
            return Mapping(vma.name, vma.start, 0, None)
        path = await path_bytes(file.path, t.fs.root) if file.path is not None else file.proc_name()
        return Mapping(path, vma.start, vma.offset, await self._module(t, file))

    async def _module(self, t: Task, file: RegularFile) -> Module:
        attr = file.inode.attr
        key = (file.inode, attr.size, attr.version)
        module = self._modules.get(key)
        if module is None:
            try:
                data = await fetch(file, 0, attr.size) if attr.size <= LARGEST else b""
            except (SysError, RpcError):
                data = b""
            module = self._modules.add(key, data)
        return module


class _Mappings:
    """Finds the mapping of an address."""

    def __init__(self, mappings: list[tuple[int, int, Mapping]]) -> None:
        self._starts = [start for start, _, _ in mappings]
        self._mappings = mappings

    def find(self, address: int) -> Mapping | None:
        """The executable memory that an address is in."""
        position = bisect_right(self._starts, address) - 1
        if position < 0:
            return None
        _, end, mapping = self._mappings[position]
        return mapping if address < end else None


class _Memory:
    """A task's memory for somebody who does not wait: it is asked again when pages were brought in."""

    def __init__(self, t: Task) -> None:
        self._mem, self._mm = t.mem, t.mm
        self._unreadable: set[int] = set()

    def read(self, address: int, length: int) -> bytes | None:
        """All of some bytes, or None; raises NotResident."""
        data = self._mem.resident(address, length)
        if len(data) == length:
            return data
        missing = address + len(data)
        if missing // PAGE in self._unreadable or self._mm.find(missing) is None:
            return None
        raise NotResident(missing)

    async def ask(self, question: Callable[[], _T]) -> _T:
        """The answer of a function that reads, once all pages are there that it needs."""
        while True:
            try:
                return question()
            except NotResident as miss:
                try:
                    await self._mem.read_some(miss.addr, 1)
                except (SysError, RpcError):
                    self._unreadable.add(miss.addr // PAGE)
