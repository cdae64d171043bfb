"""Modules, kernels, quotas, accounting and name spaces."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Annotated

from syscalls.missing.types import (
    KexecFileFlags,
    KexecFlags,
    LoadFlags,
    NamespaceKind,
    NewNamespaces,
    QuotaCommand,
    QuotaData,
    QuotaId,
    Raw,
    UnloadFlags,
)
from syscalls.signatures import missing
from syscalls.types import Address, Arg, Count, Fd, In, Int, Out, Shown, Size, ULong, UserPath, UserStr


@missing
def init_module(module_image: Address, len: ULong, param_values: UserStr) -> int:
    """Load a module: man 2 init_module."""


@missing
def finit_module(fd: Fd, param_values: UserStr, flags: LoadFlags) -> int:
    """Load a module from a file: man 2 finit_module."""


@missing
def delete_module(name: UserStr, flags: UnloadFlags) -> int:
    """Unload a module: man 2 delete_module."""


@missing
def kexec_load(
    entry: Address,
    nr_segments: ULong,
    segments: Annotated[In[bytes], Shown("kexec_segments"), Count("nr_segments")],
    flags: KexecFlags,
) -> int:
    """Load another kernel: man 2 kexec_load."""


@missing
def kexec_file_load(
    kernel_fd: Fd,
    initrd_fd: Fd,
    cmdline_len: ULong,
    cmdline: Annotated[In[bytes], Shown("command_line"), Count("cmdline_len")],
    flags: KexecFileFlags,
) -> int:
    """Load another kernel from files: man 2 kexec_file_load."""


@missing
def quotactl(
    cmd: QuotaCommand,
    special: Annotated[int, Arg(None, "quota_special", pointer=True)],
    id: QuotaId,
    addr: QuotaData,
) -> int:
    """Control disk quotas: man 2 quotactl."""


@missing
def quotactl_fd(fd: Fd, cmd: QuotaCommand, id: QuotaId, addr: QuotaData) -> int:
    """Control disk quotas: man 2 quotactl_fd."""


@missing
def acct(filename: UserPath) -> int:
    """Account for processes: man 2 acct."""


@missing
def vhangup() -> int:
    """Hang up the terminal: man 2 vhangup."""


@missing
def unshare(flags: NewNamespaces) -> int:
    """Leave name spaces: man 2 unshare."""


@missing
def setns(fd: Fd, nstype: NamespaceKind) -> int:
    """Enter a name space: man 2 setns."""


@missing
def lookup_dcookie(cookie: ULong, buffer: Out[bytes], len: Size) -> int:
    """A path by its cookie: man 2 lookup_dcookie."""


@missing
def iopl(level: Int) -> int:
    """Change the I/O privilege level: man 2 iopl."""


@missing
def ioperm(start: Raw, num: Raw, turn_on: Int) -> int:
    """Allow access to I/O ports: man 2 ioperm."""


@missing
def modify_ldt(
    func: Int, ptr: Annotated[In[bytes], Shown("ldt_data"), Count("bytecount")], bytecount: ULong
) -> int:
    """Change the local descriptor table: man 2 modify_ldt."""
