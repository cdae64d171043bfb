"""/sys: one CPU, the devices of /dev, a loopback interface (man 5 sysfs)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.flags import SYSFS_MAGIC
from syscalls.vfs.virtual import VirtualDirectory, VirtualFile, VirtualFs, VirtualLink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.objects.task import Task
    from syscalls.server import LinuxServer
    from syscalls.vfs.inode import Inode
    from syscalls.vfs.virtual import Entry

_CPU = "devices/system/cpu"
_NODE = "devices/system/node"
_LO = "devices/virtual/net/lo"
_PAGE = 4096

_FILES = {
    f"{_CPU}/online": "0",
    f"{_CPU}/possible": "0",
    f"{_CPU}/present": "0",
    f"{_CPU}/offline": "",
    f"{_CPU}/isolated": "",
    f"{_CPU}/kernel_max": "0",
    f"{_CPU}/smt/active": "0",
    f"{_CPU}/smt/control": "notsupported",
    f"{_CPU}/cpu0/topology/core_cpus": "1",
    f"{_CPU}/cpu0/topology/core_cpus_list": "0",
    f"{_CPU}/cpu0/topology/core_id": "0",
    f"{_CPU}/cpu0/topology/core_siblings": "1",
    f"{_CPU}/cpu0/topology/core_siblings_list": "0",
    f"{_CPU}/cpu0/topology/package_cpus": "1",
    f"{_CPU}/cpu0/topology/package_cpus_list": "0",
    f"{_CPU}/cpu0/topology/physical_package_id": "0",
    f"{_CPU}/cpu0/topology/thread_siblings": "1",
    f"{_CPU}/cpu0/topology/thread_siblings_list": "0",
    f"{_NODE}/online": "0",
    f"{_NODE}/possible": "0",
    f"{_NODE}/has_cpu": "0",
    f"{_NODE}/has_memory": "0",
    f"{_NODE}/node0/cpulist": "0",
    f"{_NODE}/node0/cpumap": "1",
    f"{_LO}/addr_len": "6",
    f"{_LO}/address": "00:00:00:00:00:00",
    f"{_LO}/broadcast": "00:00:00:00:00:00",
    f"{_LO}/carrier": "1",
    f"{_LO}/flags": "0x9",
    f"{_LO}/ifindex": "1",
    f"{_LO}/iflink": "1",
    f"{_LO}/mtu": "65536",
    f"{_LO}/operstate": "unknown",
    f"{_LO}/tx_queue_len": "1000",
    f"{_LO}/type": "772",
    f"{_LO}/statistics/rx_bytes": "0",
    f"{_LO}/statistics/rx_packets": "0",
    f"{_LO}/statistics/tx_bytes": "0",
    f"{_LO}/statistics/tx_packets": "0",
    "kernel/address_bits": "64",
    "kernel/cpu_byteorder": "little",
    "kernel/fscaps": "0",
    "kernel/mm/transparent_hugepage/defrag": "always defer defer+madvise madvise [never]",
    "kernel/mm/transparent_hugepage/enabled": "always madvise [never]",
    "kernel/mm/transparent_hugepage/hpage_pmd_size": "2097152",
    "kernel/uevent_seqnum": "0",
    "power/state": "",
}
"""Path -> text; all are read-only."""

_DEVICES = (
    ("mem", "full", 1, 7),
    ("mem", "kmsg", 1, 11),
    ("mem", "null", 1, 3),
    ("mem", "random", 1, 8),
    ("mem", "urandom", 1, 9),
    ("mem", "zero", 1, 5),
    ("tty", "console", 5, 1),
    ("tty", "tty", 5, 0),
)
"""Class, name and number of each character device."""

_EMPTY = (
    "block", "bus", "class/block", "dev/block", "firmware", "fs/cgroup", "hypervisor", "kernel/debug",
    "kernel/security", "module",
)  # fmt: skip


class SysFs(VirtualFs):
    """A sysfs file system.

    Args:
        server: the Linux server; nothing here depends on its state.
        dev: device number.
        time_ns: the times of its files, since 1970.
    """

    def __init__(self, server: LinuxServer, dev: int, time_ns: int = 0) -> None:
        super().__init__("sysfs", dev, SYSFS_MAGIC, time_ns)
        self.top = _SysRoot(self)


class _SysRoot(VirtualDirectory):
    """The root, filled when somebody looks."""

    __slots__ = ("_sysfs",)

    def __init__(self, fs: SysFs) -> None:
        super().__init__(fs, {}, ino=1)
        self._sysfs = fs

    async def child(self, t: Task, name: bytes) -> Inode | None:
        """A top directory."""
        if not self.entries:
            _fill(self._sysfs, self)
        return self.entries.get(name)

    async def children(self, t: Task) -> list[Entry]:
        """All top directories."""
        if not self.entries:
            _fill(self._sysfs, self)
        return await super().children(t)


def _constant(text: str) -> Callable[[Task], Awaitable[bytes]]:
    data = text.encode()

    async def make(t: Task) -> bytes:
        return data

    return make


def _directory(fs: SysFs, top: VirtualDirectory, path: str) -> VirtualDirectory:
    """The directory of this path, made with those above it where missing."""
    where = top
    for name in path.encode().split(b"/") if path else ():
        below = where.entries.get(name)
        if not isinstance(below, VirtualDirectory):
            below = where.entries[name] = VirtualDirectory(fs, mode=0o755)
            where.attr = where.attr._replace(nlink=where.attr.nlink + 1)
        where = below
    return where


def _file(fs: SysFs, top: VirtualDirectory, path: str, text: str) -> None:
    folder, _, name = path.rpartition("/")
    inode = VirtualFile(fs, _constant(text + "\n"))
    inode.attr = inode.attr._replace(size=_PAGE)
    _directory(fs, top, folder).entries[name.encode()] = inode


def _link(fs: SysFs, top: VirtualDirectory, path: str, target: str) -> None:
    """A link to another path of the tree, spelled relatively as sysfs does."""
    folder, _, name = path.rpartition("/")
    up = "../" * (folder.count("/") + 1)
    _directory(fs, top, folder).entries[name.encode()] = VirtualLink(fs, _constant(up + target))


def _fill(fs: SysFs, top: VirtualDirectory) -> None:
    for path in _EMPTY:
        _directory(fs, top, path)
    for path, text in _FILES.items():
        _file(fs, top, path, text)
    for kind, name, major, minor in _DEVICES:
        home = f"devices/virtual/{kind}/{name}"
        _file(fs, top, f"{home}/dev", f"{major}:{minor}")
        _file(fs, top, f"{home}/uevent", f"MAJOR={major}\nMINOR={minor}\nDEVNAME={name}")
        _link(fs, top, f"{home}/subsystem", f"class/{kind}")
        _link(fs, top, f"class/{kind}/{name}", home)
        _link(fs, top, f"dev/char/{major}:{minor}", home)
    _link(fs, top, f"{_LO}/subsystem", "class/net")
    _link(fs, top, "class/net/lo", _LO)
