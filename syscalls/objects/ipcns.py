"""The IPC namespace: all System V objects of a machine (man 7 ipc_namespaces)."""

from __future__ import annotations

from syscalls.objects.ipc import Room
from syscalls.objects.msg import MsgTable
from syscalls.objects.sem import SemTable
from syscalls.objects.shm import SegmentTable


class IpcNamespace:
    """Shared memory, semaphores and message queues; there is one for all processes.

    Args:
        room: bytes that semaphores and messages can take.
    """

    __slots__ = ("msg", "room", "sem", "shm")

    def __init__(self, room: int) -> None:
        self.room = Room(room)
        self.shm = SegmentTable()
        self.sem = SemTable(self.room)
        self.msg = MsgTable(self.room)
