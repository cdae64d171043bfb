"""System V inter-process communication."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Annotated

from syscalls.missing.types import (
    IpcKey,
    Long,
    MsgCommand,
    MsgFlags,
    MsgGetFlags,
    Raw,
    SemCommand,
    SemGetFlags,
    SemOperations,
    ShmAtFlags,
    ShmCommand,
    ShmGetFlags,
    Timeout,
)
from syscalls.signatures import missing
from syscalls.types import Address, Count, In, Int, Out, Shown, Size, UInt


@missing
def shmget(key: IpcKey, size: Size, shmflg: ShmGetFlags) -> int:
    """Find or make shared memory: man 2 shmget."""


@missing
def shmat(shmid: Int, shmaddr: Address, shmflg: ShmAtFlags) -> Raw:
    """Map shared memory: man 2 shmat."""


@missing
def shmdt(shmaddr: Address) -> int:
    """Unmap shared memory: man 2 shmdt."""


@missing
def shmctl(shmid: Int, cmd: ShmCommand, buf: Annotated[Out[bytes], Shown("shm_control")]) -> int:
    """Control shared memory: man 2 shmctl."""


@missing
def semget(key: IpcKey, nsems: Int, semflg: SemGetFlags) -> int:
    """Find or make semaphores: man 2 semget."""


@missing
def semop(semid: Int, sops: SemOperations, nsops: UInt) -> int:
    """Change semaphores: man 2 semop."""


@missing
def semtimedop(semid: Int, sops: SemOperations, nsops: UInt, timeout: Timeout) -> int:
    """Change semaphores, for a limited time: man 2 semtimedop."""


@missing
def semctl(
    semid: Int, semnum: Int, cmd: SemCommand, arg: Annotated[Out[bytes], Shown("sem_control")]
) -> int:
    """Control semaphores: man 2 semctl."""


@missing
def msgget(key: IpcKey, msgflg: MsgGetFlags) -> int:
    """Find or make a message queue: man 2 msgget."""


@missing
def msgsnd(
    msqid: Int, msgp: Annotated[In[bytes], Shown("msgbuf"), Count("msgsz")], msgsz: Size, msgflg: MsgFlags
) -> int:
    """Send a message: man 2 msgsnd."""


@missing
def msgrcv(
    msqid: Int,
    msgp: Annotated[Out[bytes], Shown("msgbuf"), Count("result")],
    msgsz: Size,
    msgtyp: Long,
    msgflg: MsgFlags,
) -> int:
    """Receive a message: man 2 msgrcv."""


@missing
def msgctl(msqid: Int, cmd: MsgCommand, buf: Annotated[Out[bytes], Shown("msg_control")]) -> int:
    """Control a message queue: man 2 msgctl."""
