"""Calls that are about to get a handler."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Annotated

from syscalls.missing.types import Hex, MemfdFlags, Raw
from syscalls.signatures import missing
from syscalls.types import Arg, Fd, UserStr


@missing
def memfd_create(name: UserStr, flags: MemfdFlags) -> Fd:
    """Make an anonymous file: man 2 memfd_create."""


@missing
def membarrier(
    cmd: Annotated[int, Arg("u32", "choice", "MEMBARRIER_CMD_")],
    flags: Annotated[int, Arg("u32", "bits", "MEMBARRIER_CMD_FLAG_")],
    cpu_id: Annotated[int, Arg("s32", "membarrier_cpu")],
) -> Annotated[int, Arg("s64", "membarrier_result")]:
    """Order memory accesses of all threads: man 2 membarrier."""


@missing
def rseq(rseq: Raw, rseq_len: Hex, flags: Hex, sig: Hex) -> int:
    """Restartable sequences: man 2 rseq."""
