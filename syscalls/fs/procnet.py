"""/proc/net: one loopback interface and no sockets (man 5 proc_pid_net)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.vfs.virtual import VirtualDirectory, VirtualFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.fs.procfs import ProcFs
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode

_QUEUES = b"st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
_NARROW = b"local_address rem_address   " + _QUEUES
_WIDE = b"local_address                         remote_address                        " + _QUEUES
_ROUTE = b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"

_TEXTS: dict[bytes, bytes] = {
    b"arp": b"IP address       HW type     Flags       HW address            Mask     Device\n",
    b"dev": (
        b"Inter-|   Receive                                                |  Transmit\n"
        b" face |bytes    packets errs drop fifo frame compressed multicast"
        b"|bytes    packets errs drop fifo colls carrier compressed\n"
        b"    lo:       0       0    0    0    0     0          0         0"
        b"        0       0    0    0    0     0       0          0\n"
    ),
    b"if_inet6": b"00000000000000000000000000000001 01 80 10 80       lo\n",
    b"igmp": (
        b"Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
        b"1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"
    ),
    b"netlink": (
        b"sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
    ),
    b"packet": b"sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n",
    b"raw": b"  sl  " + _NARROW + b" ref pointer drops\n",
    b"raw6": b"  sl  " + _WIDE + b" ref pointer drops\n",
    b"route": b"%-127s\n" % _ROUTE,
    b"sockstat": b"sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\n",
    b"tcp": b"%-149s\n" % (b"  sl  " + _NARROW),
    b"tcp6": b"  sl  " + _WIDE + b"\n",
    b"udp": b"%-127s\n" % (b"   sl  " + _NARROW + b" ref pointer drops"),
    b"udp6": b"  sl  " + _WIDE + b" ref pointer drops\n",
    b"unix": b"Num       RefCount Protocol Flags    Type St Inode Path\n",
}


def _constant(text: bytes) -> Callable[[Task], Awaitable[bytes]]:
    async def make(t: Task) -> bytes:
        return text

    return make


def net_directory(fs: ProcFs) -> VirtualDirectory:
    """The directory with its tables."""
    entries: dict[bytes, Inode] = {name: VirtualFile(fs, _constant(text)) for name, text in _TEXTS.items()}
    return VirtualDirectory(fs, entries)
