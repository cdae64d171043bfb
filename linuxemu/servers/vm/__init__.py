"""The vm server: pages of physical memory for whoever asks."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_INVALID_ARG, ERR_NO_MEMORY, ERR_NOT_ACCEPTABLE
from linuxemu.kernel import Server, rpc
from linuxemu.messages import vm, vmx

if TYPE_CHECKING:
    from linuxemu.kernel.frames import FrameAllocator

_PAGE_SHIFT = 12
_PAGE_SIZE = 1 << _PAGE_SHIFT
_MAX_FRAMES = 1024
_KEPT_GRANTS = 8
_FIRST_VADDR = 0x1000_0000
_END_VADDR = 0xA00_0000_0000
"""Where the seed's tasks have their dynamic mappings."""


class VmStorage:
    """What the vm server knows of the pages it gave away; the pages themselves are the kernel's."""

    __slots__ = ("grants", "next_vaddr", "runs")

    def __init__(self) -> None:
        self.runs: dict[int, dict[int, int]] = {}
        """Task -> first frame of each run that it holds -> length."""
        self.next_vaddr: dict[int, int] = {}
        self.grants: dict[int, dict[int, bytes]] = {}
        """Task -> serial of each of its last grants of single pages -> the reply."""


class VmServer(Server):
    """Hands out contiguous pages and takes them back.

    Virtual ranges are reserved per task and never reused, as in the seed. What a task was given returns when
    it dies. Unlike the seed, running out of pages or addresses is an error of the caller's, never the end of
    the machine, and pages can be given back before.

    Args:
        storage: that of the server whose place this one takes.
    """

    name = "vm"

    def __init__(self, storage: VmStorage | None = None) -> None:
        super().__init__()
        self._storage = storage or VmStorage()
        self._runs = self._storage.runs
        self._next_vaddr = self._storage.next_vaddr
        self._grants = self._storage.grants

    def successor(self) -> VmServer:
        """A server that knows who has which pages."""
        return VmServer(self._storage)

    async def start(self) -> None:
        """Take back what tasks held that ended while there was no server."""
        for task in {*self._runs, *self._grants}:
            if not self.port.exists(task):
                self.task_died(task)

    @rpc(vm.AllocPages)
    async def alloc_pages(self, src: int, m: vm.AllocPages) -> vm.AllocPagesReply:
        """Any run of pages (`paddr` 0) or exactly the one at `paddr`, with fresh addresses for it."""
        pages = m.num_pages
        if not pages or m.paddr % _PAGE_SIZE:
            raise RpcError(ERR_INVALID_ARG)
        vaddr = self._next_vaddr.get(src, _FIRST_VADDR)
        if pages > (_END_VADDR - vaddr) >> _PAGE_SHIFT:
            raise RpcError(ERR_NO_MEMORY)
        frame = self._alloc(self.port.frames, m.paddr >> _PAGE_SHIFT, pages)
        self._next_vaddr[src] = vaddr + (pages << _PAGE_SHIFT)
        self._runs.setdefault(src, {})[frame] = pages
        return vm.AllocPagesReply(vaddr, frame << _PAGE_SHIFT)

    @staticmethod
    def _alloc(frames: FrameAllocator, wanted: int, pages: int) -> int:
        if not wanted:
            if pages > frames.available:
                raise RpcError(ERR_NO_MEMORY)
            return frames.alloc_run(pages)
        if not frames.first <= wanted <= frames.first + frames.total - pages:
            raise RpcError(ERR_NOT_ACCEPTABLE)
        frames.alloc_at(wanted, pages)
        return wanted

    @rpc(vmx.AllocFrames)
    async def alloc_frames(self, src: int, m: vmx.AllocFrames) -> vmx.AllocFramesReply:
        """Single pages for a pager; the kernel takes them back when nothing refers to them."""
        frames = self.port.frames
        grants = self._grants.setdefault(src, {})
        if m.serial in grants:
            return vmx.AllocFramesReply(grants[m.serial])
        if not 0 < m.num_pages <= _MAX_FRAMES:
            raise RpcError(ERR_INVALID_ARG)
        if m.num_pages > frames.available:
            raise RpcError(ERR_NO_MEMORY)
        granted = array("I", [frames.alloc() for _ in range(m.num_pages)]).tobytes()
        if m.serial:
            grants[m.serial] = granted
            if len(grants) > _KEPT_GRANTS:
                del grants[next(iter(grants))]
        return vmx.AllocFramesReply(granted)

    @rpc(vmx.FreePages)
    async def free_pages(self, src: int, m: vmx.FreePages) -> vmx.FreePagesReply:
        """Take back pages of one run that the caller holds: all of it or a part."""
        frame, offset = divmod(m.paddr, _PAGE_SIZE)
        pages = m.num_pages
        runs = self._runs.get(src, {})
        first = next((f for f, n in runs.items() if f <= frame and frame + pages <= f + n), None)
        if offset or not pages or first is None:
            raise RpcError(ERR_INVALID_ARG)
        end = first + runs.pop(first)
        if first < frame:
            runs[first] = frame - first
        if frame + pages < end:
            runs[frame + pages] = end - frame - pages
        self.port.frames.free_run(frame, pages)
        return vmx.FreePagesReply()

    @rpc(vmx.Stats)
    async def stats(self, src: int, m: vmx.Stats) -> vmx.StatsReply:
        """How many pages there are and how many are free."""
        frames = self.port.frames
        return vmx.StatsReply(frames.total, frames.available)

    def task_died(self, task: int) -> None:
        """Called by the kernel when a task has ended: its pages come back."""
        self._next_vaddr.pop(task, None)
        self._grants.pop(task, None)
        for frame, pages in self._runs.pop(task, {}).items():
            self.port.frames.free_run(frame, pages)
