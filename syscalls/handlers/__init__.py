"""The system call handlers, one family per module."""

from __future__ import annotations

FAMILIES = (
    "directory", "epoll", "eventfd", "exec", "fcntl", "file", "futex", "identity", "ioctl", "memfd", "memory",
    "mount", "mqueue", "mremap", "msg", "pipe", "poll", "prctl", "process", "resource", "rseq", "sem", "shm", "signal",
    "socket", "splice", "stat", "system", "thread", "time", "xattr",
)  # fmt: skip


def load() -> None:
    """Import every family, which declares its system calls."""
    from importlib import import_module

    for family in FAMILIES:
        import_module(f"syscalls.handlers.{family}")
