"""Calls that Linux has no longer, or never had: syscalls(2). Most are shown with raw arguments."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Annotated

from syscalls.missing.types import Pointer, Raw
from syscalls.signatures import missing
from syscalls.types import Dev, In, InOut, Out, Shown, UserPath


@missing
def uselib(library: UserPath) -> int:
    """Load a library: man 2 uselib."""


@missing
def ustat(dev: Dev, ubuf: Pointer) -> int:
    """Statistics of a file system: man 2 ustat."""


@missing
def sysfs(option: Raw, arg1: Raw, arg2: Raw) -> int:
    """Types of file systems: man 2 sysfs."""


@missing
def _sysctl(args: Annotated[In[bytes], Shown("sysctl_args")]) -> int:
    """Read and change kernel parameters: man 2 sysctl."""


@missing
def create_module(name: Raw, size: Raw) -> int:
    """Make room for a module: man 2 create_module."""


@missing
def get_kernel_syms(table: Pointer) -> int:
    """Symbols of the kernel: man 2 get_kernel_syms."""


@missing
def query_module(name: Raw, which: Raw, buf: Raw, bufsize: Raw, ret: Raw) -> int:
    """Look at modules: man 2 query_module."""


@missing
def nfsservctl(cmd: Raw, argp: Raw, resp: Raw) -> int:
    """Control the NFS server: man 2 nfsservctl."""


@missing
def getpmsg(fd: Raw, ctlptr: Raw, dataptr: Raw, bandp: Raw, flagsp: Raw) -> int:
    """Read from a stream: man 2 unimplemented."""


@missing
def putpmsg(fd: Raw, ctlptr: Raw, dataptr: Raw, band: Raw, flags: Raw) -> int:
    """Write to a stream: man 2 unimplemented."""


@missing
def afs_syscall(a1: Raw, a2: Raw, a3: Raw, a4: Raw, a5: Raw) -> int:
    """Andrew file system: man 2 unimplemented."""


@missing
def tuxcall(a1: Raw, a2: Raw, a3: Raw) -> int:
    """The Tux web server: man 2 unimplemented."""


@missing
def security(a1: Raw, a2: Raw, a3: Raw) -> int:
    """Security modules: man 2 unimplemented."""


@missing
def vserver(a1: Raw, a2: Raw, a3: Raw, a4: Raw, a5: Raw) -> int:
    """Virtual servers: man 2 unimplemented."""


@missing
def epoll_ctl_old(epfd: Raw, op: Raw, fd: Raw, event: Raw) -> int:
    """The first form of epoll_ctl(2)."""


@missing
def epoll_wait_old(epfd: Raw, events: Raw, maxevents: Raw, timeout: Raw) -> int:
    """The first form of epoll_wait(2)."""


@missing
def set_thread_area(u_info: Annotated[InOut[bytes], Shown("set_user_desc")]) -> int:
    """Set an entry for thread-local storage: man 2 set_thread_area."""


@missing
def get_thread_area(u_info: Annotated[Out[bytes], Shown("get_user_desc")]) -> int:
    """Read an entry for thread-local storage: man 2 get_thread_area."""
