"""Structures of System V inter-process communication, laid out as x86-64 Linux has them (man 2 shmctl and others)."""

from __future__ import annotations

from syscalls.abi.layout import Struct

_PERM = "i5IH22x"


class IpcPerm(Struct, layout="<" + _PERM):
    """struct ipc64_perm: who an object belongs to."""

    key: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    mode: int
    seq: int


class ShmidDs(Struct, layout="<" + _PERM + "QqqqiiQ16x"):
    """shmctl(2): a shared memory segment."""

    shm_perm: IpcPerm
    shm_segsz: int
    shm_atime: int
    shm_dtime: int
    shm_ctime: int
    shm_cpid: int
    shm_lpid: int
    shm_nattch: int


class Shminfo(Struct, layout="<5Q32x"):
    """shmctl(2), IPC_INFO: limits."""

    shmmax: int
    shmmin: int
    shmmni: int
    shmseg: int
    shmall: int


class ShmInfo(Struct, layout="<i4x5Q"):
    """shmctl(2), SHM_INFO: what all segments take, pages."""

    used_ids: int
    shm_tot: int
    shm_rss: int
    shm_swp: int = 0
    swap_attempts: int = 0
    swap_successes: int = 0


class Sembuf(Struct, layout="<HhH"):
    """semop(2): what is done to one semaphore."""

    sem_num: int
    sem_op: int
    sem_flg: int


class SemidDs(Struct, layout="<" + _PERM + "q8xq8xQ16x"):
    """semctl(2): a set of semaphores."""

    sem_perm: IpcPerm
    sem_otime: int
    sem_ctime: int
    sem_nsems: int


class Seminfo(Struct, layout="<10i"):
    """semctl(2), IPC_INFO and SEM_INFO: limits, and what all sets take."""

    semmap: int
    semmni: int
    semmns: int
    semmnu: int
    semmsl: int
    semopm: int
    semume: int
    semusz: int
    semvmx: int
    semaem: int


class MsqidDs(Struct, layout="<" + _PERM + "qqqQQQii16x"):
    """msgctl(2): a message queue."""

    msg_perm: IpcPerm
    msg_stime: int
    msg_rtime: int
    msg_ctime: int
    msg_cbytes: int
    msg_qnum: int
    msg_qbytes: int
    msg_lspid: int
    msg_lrpid: int


class Msginfo(Struct, layout="<7iH2x"):
    """msgctl(2), IPC_INFO and MSG_INFO: limits, and what all queues take."""

    msgpool: int
    msgmap: int
    msgmax: int
    msgmnb: int
    msgmni: int
    msgssz: int
    msgtql: int
    msgseg: int
