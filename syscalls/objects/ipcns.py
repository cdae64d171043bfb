"""The IPC namespace: all System V objects of a machine (man 7 ipc_namespaces)."""

from __future__ import annotations

from syscalls.objects.msg import MsgTable
from syscalls.objects.sem import SemTable
from syscalls.objects.shm import SegmentTable


class IpcNamespace:
    """Shared memory, semaphores and message queues; there is one for all processes."""

    __slots__ = ("msg", "sem", "shm")

    def __init__(self) -> None:
        self.shm = SegmentTable()
        self.sem = SemTable()
        self.msg = MsgTable()
