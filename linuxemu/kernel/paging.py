"""Address spaces: real x86-64 page tables in guest-physical memory.

The CPU needs nothing but the root. Beside the tables each space keeps a dictionary of its last-level tables, so
that software finds an entry with one lookup instead of a four-level walk. Every nonzero last-level entry holds a
reference to its frame, present or not (an entry without PRESENT keeps a page that nobody may touch just now).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import (
    PTE_ADDRESS,
    PTE_DIRTY,
    PTE_NX,
    PTE_PRESENT,
    PTE_USER,
    PTE_WRITABLE,
    SHARED_TO_WRITABLE_SHIFT,
    TABLE_SHARED,
    TABLE_WRITABLE,
)
from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NO_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from linuxemu.kernel.frames import FrameAllocator

_WRITE_READY = PTE_PRESENT | PTE_WRITABLE
_TABLE_LINK = PTE_PRESENT | PTE_WRITABLE | PTE_USER
_EAGER_COPIES = 48
"""How many recently written pages a clone copies instead of sharing them."""


class AddressSpace:
    """The user mappings of one or more tasks.

    Args:
        frames: where tables come from and where references to mapped frames are counted.
    """

    __slots__ = ("_frames", "_refs", "_tables", "_words", "generation", "leaves", "root", "users")

    def __init__(self, frames: FrameAllocator) -> None:
        self._frames = frames
        self._refs = frames.refs
        self._words = frames.ram.words
        top = frames.alloc_zeroed()
        self._tables = {0: top}
        self.root = top << 12
        """Guest-physical address of the top table, for the CPU."""
        self.leaves: dict[int, int] = {}
        """Address >> 21 -> index of the first word of the last-level table."""
        self.generation = frames.epoch
        """Grows whenever an entry is taken away or narrowed, so that engines know to forget what they cached."""
        frames.epoch += 1 << 40
        self.users = 1

    def _leaf(self, key: int) -> int:
        """Make the last-level table of `key` (an address >> 21) and what leads to it."""
        table = self._tables[0]
        for level, shift in ((1, 18), (2, 9), (3, 0)):
            path = (level << 40) | (key >> shift)
            below = self._tables.get(path)
            if below is None:
                below = self._frames.alloc_zeroed()
                self._tables[path] = below
                self._words[(table << 9) + ((key >> shift) & 511)] = (below << 12) | _TABLE_LINK
            table = below
        self.leaves[key] = table << 9
        return table << 9

    def _drop_leaf(self, key: int) -> None:
        """Give back an empty last-level table, and what leads to it if that is empty then."""
        words, data = self._words, self._frames.ram.data
        del self.leaves[key]
        for level, shift in ((3, 0), (2, 9), (1, 18)):
            path = key >> shift
            self._frames.release(self._tables.pop((level << 40) | path))
            above = self._tables[((level - 1) << 40) | (path >> 9) if level > 1 else 0]
            words[(above << 9) + (path & 511)] = 0
            if level == 1 or data[above << 12 : (above + 1) << 12].tobytes() != _ZEROS_BYTES:
                return

    def reserve(self, vaddr: int) -> None:
        """Make the tables that an entry for `vaddr` needs, so that mapping there cannot fail.

        Raises:
            RpcError: ERR_NO_MEMORY.
        """
        if vaddr >> 21 not in self.leaves:
            self._leaf(vaddr >> 21)

    def entry(self, vaddr: int) -> int:
        """The last-level entry of an address, 0 where there is none."""
        leaf = self.leaves.get(vaddr >> 21)
        return self._words[leaf + ((vaddr >> 12) & 511)] if leaf is not None else 0

    def is_clear(self, vaddr: int) -> bool:
        """Whether the eight bytes at an address, a multiple of 8, can be written and are zero."""
        entry = self.entry(vaddr)
        return entry & _WRITE_READY == _WRITE_READY and not self._words[(entry & PTE_ADDRESS | vaddr & 0xFF8) >> 3]

    def map(self, vaddr: int, frame: int, flags: int) -> None:
        """Map one page, taking a reference to the frame; an existing mapping is replaced.

        Args:
            vaddr: page-aligned address below 2**47.
            frame: frame number.
            flags: page-table bits.
        """
        leaf = self.leaves.get(vaddr >> 21)
        if leaf is None:
            leaf = self._leaf(vaddr >> 21)
        index = leaf + ((vaddr >> 12) & 511)
        old = self._words[index]
        self._refs[frame] += 1
        self._words[index] = (frame << 12) | flags
        if not flags & PTE_NX:
            self._frames.code[frame] = 1
        if old:
            self._frames.release((old & PTE_ADDRESS) >> 12)
            self.generation += 1

    def map_missing(self, vaddr: int, frames: Sequence[int], flags: int) -> None:
        """Map consecutive pages inside one last-level table, leaving alone those that have an entry.

        Args:
            vaddr: address of the first page.
            frames: a frame number for each page, 0 to skip one.
            flags: page-table bits.
        """
        leaf = self.leaves.get(vaddr >> 21)
        if leaf is None:
            leaf = self._leaf(vaddr >> 21)
        words, refs = self._words, self._refs
        index = leaf + ((vaddr >> 12) & 511)
        code = None if flags & PTE_NX else self._frames.code
        for frame in frames:
            if frame and not words[index]:
                words[index] = (frame << 12) | flags
                refs[frame] += 1
                if code is not None:
                    code[frame] = 1
            index += 1

    def map_owned(self, vaddr: int, frame: int, flags: int) -> None:
        """Map one page where nothing is mapped or a CPU has just faulted; the caller's reference goes to the mapping.

        Unlike `map` this never needs the CPU to forget anything: it walks the tables anew after a fault.
        """
        leaf = self.leaves.get(vaddr >> 21)
        if leaf is None:
            leaf = self._leaf(vaddr >> 21)
        index = leaf + ((vaddr >> 12) & 511)
        old = self._words[index]
        self._words[index] = (frame << 12) | flags
        if not flags & PTE_NX:
            self._frames.code[frame] = 1
        if old:
            self._frames.release((old & PTE_ADDRESS) >> 12)

    def grant(self, vaddr: int, flags: int) -> None:
        """Give an existing entry more rights: `flags` replace its bits."""
        index = self.leaves[vaddr >> 21] + ((vaddr >> 12) & 511)
        entry = self._words[index] & PTE_ADDRESS
        if not flags & PTE_NX:
            self._frames.code[entry >> 12] = 1
        self._words[index] = entry | flags

    def set_flags(self, vaddr: int, flags: int) -> None:
        """Replace the bits of an existing entry, which may take rights away."""
        self.grant(vaddr, flags)
        self.generation += 1

    def mark(self, vaddr: int, bits: int) -> None:
        """Set bits (accessed, dirty) of an existing entry, as the CPU does."""
        self._words[self.leaves[vaddr >> 21] + ((vaddr >> 12) & 511)] |= bits

    def clear_dirty(self, vaddr: int) -> None:
        """The page was written back; the next store sets the bit again."""
        self._words[self.leaves[vaddr >> 21] + ((vaddr >> 12) & 511)] &= ~PTE_DIRTY
        self.generation += 1

    def entries(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Address and entry of every page with an entry in [start, end)."""
        words = self._words
        for key in self._keys(start, end):
            leaf = self.leaves[key]
            base = key << 21
            first = max(start - base, 0) >> 12
            last = min(end - base, 1 << 21) >> 12
            for index, entry in enumerate(words[leaf + first : leaf + last].tolist(), first):
                if entry:
                    yield base + (index << 12), entry

    def _keys(self, start: int, end: int) -> list[int]:
        """Keys of the last-level tables that touch [start, end), in order."""
        low, high = start >> 21, (end + (1 << 21) - 1) >> 21
        if high - low <= len(self.leaves):
            return [key for key in range(low, high) if key in self.leaves]
        return sorted(key for key in self.leaves if low <= key < high)

    def unmap(self, start: int, end: int) -> None:
        """Remove every page of [start, end), dropping the references."""
        words, release, data = self._words, self._frames.release, self._frames.ram.data
        for key in self._keys(start, end):
            leaf = self.leaves[key]
            base = key << 21
            first = leaf + (max(start - base, 0) >> 12)
            last = leaf + (min(end - base, 1 << 21) >> 12)
            found = words[first:last].tolist()
            if any(found):
                words[first:last] = _zero_words(last - first)
                for entry in found:
                    if entry:
                        release((entry & PTE_ADDRESS) >> 12)
                self.generation += 1
            if data[leaf << 3 : (leaf << 3) + 4096].tobytes() == _ZEROS_BYTES:
                self._drop_leaf(key)

    def protect(self, start: int, end: int, keep: int, add: int) -> None:
        """Change the bits of every entry in [start, end) to (bits & keep) | add."""
        words, code = self._words, self._frames.code
        changed = False
        for vaddr, entry in self.entries(start, end):
            new = (entry & (keep | PTE_ADDRESS)) | add
            if new != entry:
                words[self.leaves[vaddr >> 21] + ((vaddr >> 12) & 511)] = new
                changed = True
                if not new & PTE_NX:
                    code[(new & PTE_ADDRESS) >> 12] = 1
        if changed:
            self.generation += 1

    def move(self, old: int, new: int, length: int) -> None:
        """Move the entries of [old, old + length) to `new`; nothing may be mapped there, the ranges do not overlap.

        Raises:
            RpcError: ERR_NO_MEMORY; nothing has moved then.
        """
        words = self._words
        moving = list(self.entries(old, old + length))
        for vaddr, _ in moving:
            self.reserve(vaddr - old + new)
        for vaddr, entry in moving:
            target = vaddr - old + new
            words[self.leaves[target >> 21] + ((target >> 12) & 511)] = entry
            words[self.leaves[vaddr >> 21] + ((vaddr >> 12) & 511)] = 0
        self.generation += 1

    def clone(self) -> AddressSpace:
        """A copy that shares every frame; pages become read-only on both sides unless they are marked SHARED.

        What is writable now was written since the last clone, and will be again soon on both sides: a few such pages
        are copied at once, which is much cheaper than the two faults that each would cost later.
        """
        if self._frames.available < len(self._tables) + _EAGER_COPIES:
            raise RpcError(ERR_NO_MEMORY)
        other = AddressSpace(self._frames)
        words, refs = self._words, self._refs
        data = self._frames.ram.data
        eager = _EAGER_COPIES
        for key in sorted(self.leaves, reverse=True):
            leaf = self.leaves[key]
            start = leaf << 3
            page = int.from_bytes(data[start : start + 4096], "little")
            if not page:
                continue
            target = other._leaf(key)
            private = page & TABLE_WRITABLE & ~((page & TABLE_SHARED) >> SHARED_TO_WRITABLE_SHIFT)
            copy = (page ^ private).to_bytes(4096, "little")
            data[target << 3 : (target << 3) + 4096] = copy
            if private:
                if private.bit_count() <= eager:
                    eager -= private.bit_count()
                    self._copy_pages(leaf, target, private)
                    private = 0
                else:
                    data[start : start + 4096] = copy
                    self.generation += 1
            for entry in filter(None, words[target : target + 512].tolist()):
                refs[(entry & PTE_ADDRESS) >> 12] += 1
        return other

    def _copy_pages(self, leaf: int, target: int, writable: int) -> None:
        """Give a clone its own copies of the pages whose writable bit is set in `writable`."""
        words, data, alloc = self._words, self._frames.ram.data, self._frames.alloc
        while writable:
            low = writable & -writable
            writable ^= low
            index = low.bit_length() >> 6
            entry = words[leaf + index]
            at = entry & PTE_ADDRESS
            frame = alloc()
            data[frame << 12 : (frame + 1) << 12] = data[at : at + 4096]
            words[target + index] = (entry & ~PTE_ADDRESS) | (frame << 12)
            self._frames.refs[frame] = 0  # counted with the rest of the table
            if not entry & PTE_NX:
                self._frames.code[frame] = 1

    def destroy(self) -> None:
        """Drop every mapping and the tables themselves."""
        words, release = self._words, self._frames.release
        for leaf in self.leaves.values():
            for entry in filter(None, words[leaf : leaf + 512].tolist()):
                release((entry & PTE_ADDRESS) >> 12)
        for table in self._tables.values():
            release(table)
        self.leaves.clear()
        self._tables.clear()
        self.root = 0


_ZEROS_BYTES = bytes(4096)
_ZEROS = memoryview(_ZEROS_BYTES).cast("Q")


def _zero_words(count: int) -> memoryview:
    return _ZEROS[:count]
