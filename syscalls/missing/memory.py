"""Memory of other processes, placement of memory, protection keys, swap."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Annotated

from syscalls.missing.types import (
    Advice,
    Hex,
    KeyRights,
    LongMemoryPolicy,
    MemoryPolicy,
    NodeMask,
    PageMove,
    PolicyMove,
    PolicyWhat,
    Protection,
    Raw,
    RemapFlags,
    SecretFlags,
    SwapFlags,
)
from syscalls.signatures import missing
from syscalls.types import Address, Count, Fd, In, Int, Out, Pid, Shown, Size, ULong, UserPath


@missing
def process_vm_readv(
    pid: Pid,
    local_iov: Annotated[Out[bytes], Shown("data_vector"), Count("liovcnt")],
    liovcnt: ULong,
    remote_iov: Annotated[In[bytes], Shown("vector"), Count("riovcnt")],
    riovcnt: ULong,
    flags: ULong,
) -> int:
    """Read another process's memory: man 2 process_vm_readv."""


@missing
def process_vm_writev(
    pid: Pid,
    local_iov: Annotated[In[bytes], Shown("data_vector"), Count("liovcnt")],
    liovcnt: ULong,
    remote_iov: Annotated[In[bytes], Shown("vector"), Count("riovcnt")],
    riovcnt: ULong,
    flags: ULong,
) -> int:
    """Write another process's memory: man 2 process_vm_writev."""


@missing
def process_madvise(
    pidfd: Fd,
    iovec: Annotated[In[bytes], Shown("vector"), Count("vlen")],
    vlen: Size,
    advice: Advice,
    flags: Hex,
) -> int:
    """Advise on another process's memory: man 2 process_madvise."""


@missing
def process_mrelease(pidfd: Fd, flags: Hex) -> int:
    """Free the memory of a process that ends: man 2 process_mrelease."""


@missing
def mbind(
    addr: Address, len: ULong, mode: LongMemoryPolicy, nodemask: NodeMask, maxnode: ULong, flags: PolicyMove
) -> int:
    """Say on which nodes memory shall be: man 2 mbind."""


@missing
def set_mempolicy(mode: MemoryPolicy, nodemask: NodeMask, maxnode: ULong) -> int:
    """Say on which nodes a thread's memory shall be: man 2 set_mempolicy."""


@missing
def get_mempolicy(
    mode: Annotated[Out[int], Shown("policy_pointer")],
    nodemask: Annotated[Out[bytes], Shown("node_mask"), Count("maxnode")],
    maxnode: ULong,
    addr: Address,
    flags: PolicyWhat,
) -> int:
    """Read where memory shall be: man 2 get_mempolicy."""


@missing
def set_mempolicy_home_node(start: Address, len: ULong, home_node: ULong, flags: Raw) -> int:
    """Name the preferred node of memory: man 2 set_mempolicy_home_node."""


@missing
def migrate_pages(pid: Pid, maxnode: ULong, old_nodes: NodeMask, new_nodes: NodeMask) -> int:
    """Move a process's memory to other nodes: man 2 migrate_pages."""


@missing
def move_pages(
    pid: Pid,
    count: ULong,
    pages: Annotated[In[bytes], Shown("page_addresses"), Count("count")],
    nodes: Annotated[In[bytes], Shown("page_nodes"), Count("count")],
    status: Annotated[Out[bytes], Shown("page_status"), Count("count")],
    flags: PageMove,
) -> int:
    """Move pages to other nodes: man 2 move_pages."""


@missing
def pkey_alloc(flags: Raw, access_rights: KeyRights) -> int:
    """Get a protection key: man 2 pkey_alloc."""


@missing
def pkey_free(pkey: Int) -> int:
    """Give a protection key back: man 2 pkey_free."""


@missing
def pkey_mprotect(addr: Address, len: Size, prot: Protection, pkey: Int) -> int:
    """Change protection and key of memory: man 2 pkey_mprotect."""


@missing
def remap_file_pages(addr: Address, size: ULong, prot: Protection, pgoff: ULong, flags: RemapFlags) -> int:
    """Rearrange a mapping: man 2 remap_file_pages."""


@missing
def memfd_secret(flags: SecretFlags) -> Fd:
    """Make memory that the kernel does not see: man 2 memfd_secret."""


@missing
def swapon(path: UserPath, swapflags: SwapFlags) -> int:
    """Swap to a file: man 2 swapon."""


@missing
def swapoff(path: UserPath) -> int:
    """Swap to a file no longer: man 2 swapoff."""
