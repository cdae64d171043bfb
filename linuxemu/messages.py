"""Every message of the system, one class each. Made by tools/generate_messages.py: do not edit.

A namespace of the interface definition is a class that holds its messages: `fs.Open(path="/etc/hostname")`,
whose reply is an `fs.OpenReply`. All are immutable tuples with named fields, see `linuxemu.idl.runtime`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linuxemu.idl.runtime import (
    HEADER_SIZE,
    ID_MASK,
    MESSAGE_SIZE,
    MSG_OOL,
    MSG_STR,
    ExceptionType,
    HvFrame,
    Message,
    TrapFrame,
)
from linuxemu.idl.runtime import field as _field
from linuxemu.idl.runtime import new as _new

if TYPE_CHECKING:
    from typing import Self, TypeAlias

    from linuxemu.idl.runtime import Field as _Field

    _HvFrame: TypeAlias = _Field[HvFrame]
    _TrapFrame: TypeAlias = _Field[TrapFrame]
    _Bool: TypeAlias = _Field[bool]
    _Bytes: TypeAlias = _Field[bytes]
    _Int: TypeAlias = _Field[int]
    _Str: TypeAlias = _Field[str]

_F0 = _field(0)
_F1 = _field(1)
_F2 = _field(2)
_F3 = _field(3)
_F4 = _field(4)
_F5 = _field(5)
_F6 = _field(6)
_F7 = _field(7)
_F8 = _field(8)
_F9 = _field(9)
_F10 = _field(10)
_F11 = _field(11)
_F12 = _field(12)

__all__ = [
    "BY_ID",
    "HEADER_SIZE",
    "ID_MASK",
    "MESSAGE_SIZE",
    "MSG_OOL",
    "MSG_STR",
    "AbiHook",
    "AbiHookReply",
    "AbiHookType",
    "Async",
    "ExceptionType",
    "Exception_",
    "HvFrame",
    "Invalid",
    "Message",
    "Notifications",
    "PageFault",
    "PageFaultReply",
    "TrapFrame",
    "benchmark",
    "blk",
    "clock",
    "console",
    "discovery",
    "dm",
    "entropy",
    "fs",
    "fsx",
    "hv",
    "net",
    "ool",
    "random",
    "rtc",
    "shm",
    "shm_test",
    "supervisor",
    "task",
    "tcpip",
    "time",
    "unpack",
    "vm",
    "vmx",
]


class AbiHookType:
    """Why the kernel calls `abi_hook`."""

    INITIAL: Final = 1
    SYSCALL: Final = 2


class Notifications(Message):
    """What a task receives when notifications are pending for it. `data` holds every
    pending bit (timer 1, irq 2, aborted 4, async 8); receiving them clears them.
    """

    __slots__ = ()
    ID = 1
    NAME = "notifications"
    TYPE_WORD = 0x00000001
    FIELDS = (("data", "notifications"),)
    FORMAT = "B"
    data: _Int = _F0

    def __new__(cls, data: int) -> Self:
        return _new(cls, (data,))


class Async(Message):
    """Asks the receiver for the oldest message it keeps queued for the caller, which comes
    as the answer. With nothing queued the answer is the error word ERR_EMPTY.
    """

    __slots__ = ()
    ID = 2
    NAME = "async"
    TYPE_WORD = 0x00000002

    def __new__(cls) -> Self:
        return _new(cls, ())


class Invalid(Message):
    """Stands for a message whose out-of-line payload could not be verified."""

    __slots__ = ()
    ID = 3
    NAME = "invalid"
    TYPE_WORD = 0x00000003

    def __new__(cls) -> Self:
        return _new(cls, ())


class Exception_(Message):
    """Tells a pager that one of its tasks has ended: by itself or by an exception."""

    __slots__ = ()
    ID = 4
    NAME = "exception"
    TYPE_WORD = 0x00000004
    FIELDS = (("task", "task"), ("exception", "exception_type"))
    FORMAT = "iI"
    task: _Int = _F0
    exception: _Int = _F1

    def __new__(cls, task: int, exception: int) -> Self:
        return _new(cls, (task, exception))


class PageFault(Message):
    """Asks a pager to map the page at `vaddr`; the task goes on when the reply comes.
    Bits of `fault`: 1 the page was present, 2 a write, 4 from user mode.
    """

    __slots__ = ()
    ID = 5
    NAME = "page_fault"
    TYPE_WORD = 0x00000005
    FIELDS = (("task", "task"), ("vaddr", "vaddr"), ("ip", "vaddr"), ("fault", "uint"))
    FORMAT = "i4xQQI"
    task: _Int = _F0
    vaddr: _Int = _F1
    ip: _Int = _F2
    fault: _Int = _F3

    def __new__(cls, task: int, vaddr: int, ip: int, fault: int) -> Self:
        return _new(cls, (task, vaddr, ip, fault))


class PageFaultReply(Message):
    """The reply to `page_fault`."""

    __slots__ = ()
    ID = 6
    NAME = "page_fault_reply"
    TYPE_WORD = 0x00000006

    def __new__(cls) -> Self:
        return _new(cls, ())


class AbiHook(Message):
    """Hands a task's system call to its pager, and before its first instruction asks for the
    registers to start with (`type` is an `abi_hook_type`). The task goes on with the replied frame.
    """

    __slots__ = ()
    ID = 7
    NAME = "abi_hook"
    TYPE_WORD = 0x00000007
    FIELDS = (("task", "task"), ("type", "int"), ("frame", "trap_frame"))
    FORMAT = "ii18Q"
    task: _Int = _F0
    type: _Int = _F1
    frame: _TrapFrame = _F2

    def __new__(cls, task: int, type: int, frame: TrapFrame) -> Self:
        return _new(cls, (task, type, frame))


class AbiHookReply(Message):
    """The reply to `abi_hook`."""

    __slots__ = ()
    ID = 8
    NAME = "abi_hook_reply"
    TYPE_WORD = 0x00000008
    FIELDS = (("frame", "trap_frame"),)
    FORMAT = "18Q"
    frame: _TrapFrame = _F0

    def __new__(cls, frame: TrapFrame) -> Self:
        return _new(cls, (frame,))


class hv:
    """Virtual machines with hardware support; the kernel makes these calls for the guest."""

    class X64Start(Message):
        """Asked once, before a guest first runs: where it starts and which page tables it uses."""

        __slots__ = ()
        ID = 9
        NAME = "hv.x64_start"
        TYPE_WORD = 0x00000009
        FIELDS = (("task", "task"),)
        FORMAT = "i"
        task: _Int = _F0

        def __new__(cls, task: int) -> Self:
            return _new(cls, (task,))

    class X64StartReply(Message):
        """The reply to `hv.x64_start`."""

        __slots__ = ()
        ID = 10
        NAME = "hv.x64_start_reply"
        TYPE_WORD = 0x0000000a
        FIELDS = (("guest_rip", "uint64"), ("ept_pml4", "paddr"), ("initial_rbx", "uint64"))
        FORMAT = "QQQ"
        guest_rip: _Int = _F0
        ept_pml4: _Int = _F1
        initial_rbx: _Int = _F2

        def __new__(cls, guest_rip: int, ept_pml4: int, initial_rbx: int) -> Self:
            return _new(cls, (guest_rip, ept_pml4, initial_rbx))

    class Halt(Message):
        """The guest is idle; the reply wakes it."""

        __slots__ = ()
        ID = 11
        NAME = "hv.halt"
        TYPE_WORD = 0x0000000b
        FIELDS = (("task", "task"),)
        FORMAT = "i"
        task: _Int = _F0

        def __new__(cls, task: int) -> Self:
            return _new(cls, (task,))

    class HaltReply(Message):
        """The reply to `hv.halt`."""

        __slots__ = ()
        ID = 12
        NAME = "hv.halt_reply"
        TYPE_WORD = 0x0000000c

        def __new__(cls) -> Self:
            return _new(cls, ())

    class GuestPageFault(Message):
        """The guest touched guest-physical memory that is not mapped, or is a device."""

        __slots__ = ()
        ID = 13
        NAME = "hv.guest_page_fault"
        TYPE_WORD = 0x0000000d
        FIELDS = (("task", "task"), ("gpaddr", "gpaddr"), ("frame", "hv_frame"))
        FORMAT = "i4xQ17QB7x"
        task: _Int = _F0
        gpaddr: _Int = _F1
        frame: _HvFrame = _F2

        def __new__(cls, task: int, gpaddr: int, frame: HvFrame) -> Self:
            return _new(cls, (task, gpaddr, frame))

    class GuestPageFaultReply(Message):
        """The reply to `hv.guest_page_fault`."""

        __slots__ = ()
        ID = 14
        NAME = "hv.guest_page_fault_reply"
        TYPE_WORD = 0x0000000e
        FIELDS = (("frame", "hv_frame"),)
        FORMAT = "17QB7x"
        frame: _HvFrame = _F0

        def __new__(cls, frame: HvFrame) -> Self:
            return _new(cls, (frame,))

    class IoportRead(Message):
        """The guest reads from an I/O port; `size` is 1, 2 or 4 bytes."""

        __slots__ = ()
        ID = 15
        NAME = "hv.ioport_read"
        TYPE_WORD = 0x0000000f
        FIELDS = (("task", "task"), ("port", "uint16"), ("size", "size"))
        FORMAT = "iH2xQ"
        task: _Int = _F0
        port: _Int = _F1
        size: _Int = _F2

        def __new__(cls, task: int, port: int, size: int) -> Self:
            return _new(cls, (task, port, size))

    class IoportReadReply(Message):
        """The reply to `hv.ioport_read`."""

        __slots__ = ()
        ID = 16
        NAME = "hv.ioport_read_reply"
        TYPE_WORD = 0x00000010
        FIELDS = (("value", "uint32"),)
        FORMAT = "I"
        value: _Int = _F0

        def __new__(cls, value: int) -> Self:
            return _new(cls, (value,))

    class IoportWrite(Message):
        """The guest writes to an I/O port; `size` is 1, 2 or 4 bytes."""

        __slots__ = ()
        ID = 17
        NAME = "hv.ioport_write"
        TYPE_WORD = 0x00000011
        FIELDS = (("task", "task"), ("port", "uint16"), ("size", "size"), ("value", "uint32"))
        FORMAT = "iH2xQI"
        task: _Int = _F0
        port: _Int = _F1
        size: _Int = _F2
        value: _Int = _F3

        def __new__(cls, task: int, port: int, size: int, value: int) -> Self:
            return _new(cls, (task, port, size, value))

    class IoportWriteReply(Message):
        """The reply to `hv.ioport_write`."""

        __slots__ = ()
        ID = 18
        NAME = "hv.ioport_write_reply"
        TYPE_WORD = 0x00000012

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Await(Message):
        """Asks for what is pending for the guest; the answer is `inject_irq`."""

        __slots__ = ()
        ID = 19
        NAME = "hv.await"
        TYPE_WORD = 0x00000013
        FIELDS = (("task", "task"),)
        FORMAT = "i"
        task: _Int = _F0

        def __new__(cls, task: int) -> Self:
            return _new(cls, (task,))

    class InjectIrq(Message):
        """The interrupt lines (bit n is IRQ n) to raise in the guest."""

        __slots__ = ()
        ID = 20
        NAME = "hv.inject_irq"
        TYPE_WORD = 0x00000014
        FIELDS = (("irq_bitmap", "uint32"),)
        FORMAT = "I"
        irq_bitmap: _Int = _F0

        def __new__(cls, irq_bitmap: int) -> Self:
            return _new(cls, (irq_bitmap,))


class benchmark:
    """For measuring message passing."""

    class Nop(Message):
        """A round trip with a payload of one word."""

        __slots__ = ()
        ID = 21
        NAME = "benchmark.nop"
        TYPE_WORD = 0x00000015
        FIELDS = (("value", "int"),)
        FORMAT = "i"
        value: _Int = _F0

        def __new__(cls, value: int) -> Self:
            return _new(cls, (value,))

    class NopReply(Message):
        """The reply to `benchmark.nop`."""

        __slots__ = ()
        ID = 22
        NAME = "benchmark.nop_reply"
        TYPE_WORD = 0x00000016
        FIELDS = (("value", "int"),)
        FORMAT = "i"
        value: _Int = _F0

        def __new__(cls, value: int) -> Self:
            return _new(cls, (value,))

    class NopWithOol(Message):
        """A round trip with an out-of-line payload."""

        __slots__ = ()
        ID = 23
        NAME = "benchmark.nop_with_ool"
        TYPE_WORD = 0x20000017
        FIELDS = (("data", "bytes"),)
        FORMAT = "QQ"
        OOL = "data"
        data: _Bytes = _F0

        def __new__(cls, data: bytes) -> Self:
            return _new(cls, (data,))

    class NopWithOolReply(Message):
        """The reply to `benchmark.nop_with_ool`."""

        __slots__ = ()
        ID = 24
        NAME = "benchmark.nop_with_ool_reply"
        TYPE_WORD = 0x20000018
        FIELDS = (("data", "bytes"),)
        FORMAT = "QQ"
        OOL = "data"
        data: _Bytes = _F0

        def __new__(cls, data: bytes) -> Self:
            return _new(cls, (data,))


class vm:
    """Memory pages."""

    class AllocPages(Message):
        """Gives the caller `num_pages` contiguous physical pages and a fresh virtual range for them.
        With `paddr` 0 any pages will do, otherwise exactly those at `paddr`.
        """

        __slots__ = ()
        ID = 25
        NAME = "vm.alloc_pages"
        TYPE_WORD = 0x00000019
        FIELDS = (("num_pages", "size"), ("paddr", "paddr"))
        FORMAT = "QQ"
        num_pages: _Int = _F0
        paddr: _Int = _F1

        def __new__(cls, num_pages: int, paddr: int) -> Self:
            return _new(cls, (num_pages, paddr))

    class AllocPagesReply(Message):
        """The reply to `vm.alloc_pages`."""

        __slots__ = ()
        ID = 26
        NAME = "vm.alloc_pages_reply"
        TYPE_WORD = 0x0000001a
        FIELDS = (("vaddr", "vaddr"), ("paddr", "paddr"))
        FORMAT = "QQ"
        vaddr: _Int = _F0
        paddr: _Int = _F1

        def __new__(cls, vaddr: int, paddr: int) -> Self:
            return _new(cls, (vaddr, paddr))


class discovery:
    """Which task offers which service."""

    class Serve(Message):
        """Makes the caller known under `name`."""

        __slots__ = ()
        ID = 27
        NAME = "discovery.serve"
        TYPE_WORD = 0x6000001b
        FIELDS = (("name", "str"),)
        FORMAT = "QQ"
        OOL = "name"
        name: _Str = _F0

        def __new__(cls, name: str) -> Self:
            return _new(cls, (name,))

    class ServeReply(Message):
        """The reply to `discovery.serve`."""

        __slots__ = ()
        ID = 28
        NAME = "discovery.serve_reply"
        TYPE_WORD = 0x0000001c

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Lookup(Message):
        """The task that serves `name`; waits until there is one."""

        __slots__ = ()
        ID = 29
        NAME = "discovery.lookup"
        TYPE_WORD = 0x6000001d
        FIELDS = (("name", "str"),)
        FORMAT = "QQ"
        OOL = "name"
        name: _Str = _F0

        def __new__(cls, name: str) -> Self:
            return _new(cls, (name,))

    class LookupReply(Message):
        """The reply to `discovery.lookup`."""

        __slots__ = ()
        ID = 30
        NAME = "discovery.lookup_reply"
        TYPE_WORD = 0x0000001e
        FIELDS = (("task", "task"),)
        FORMAT = "i"
        task: _Int = _F0

        def __new__(cls, task: int) -> Self:
            return _new(cls, (task,))


class task:
    """Task ids, starting tasks, and news of their end."""

    class Alloc(Message):
        """Reserves a task id, for a task that will have `pager` as its pager."""

        __slots__ = ()
        ID = 31
        NAME = "task.alloc"
        TYPE_WORD = 0x0000001f
        FIELDS = (("pager", "task"),)
        FORMAT = "i"
        pager: _Int = _F0

        def __new__(cls, pager: int) -> Self:
            return _new(cls, (pager,))

    class AllocReply(Message):
        """The reply to `task.alloc`."""

        __slots__ = ()
        ID = 32
        NAME = "task.alloc_reply"
        TYPE_WORD = 0x00000020
        FIELDS = (("task", "task"),)
        FORMAT = "i"
        task: _Int = _F0

        def __new__(cls, task: int) -> Self:
            return _new(cls, (task,))

    class Free(Message):
        """Gives a reserved id back; only the pager it was reserved for may."""

        __slots__ = ()
        ID = 33
        NAME = "task.free"
        TYPE_WORD = 0x00000021
        FIELDS = (("task", "task"),)
        FORMAT = "i"
        task: _Int = _F0

        def __new__(cls, task: int) -> Self:
            return _new(cls, (task,))

    class FreeReply(Message):
        """The reply to `task.free`."""

        __slots__ = ()
        ID = 34
        NAME = "task.free_reply"
        TYPE_WORD = 0x00000022

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Launch(Message):
        """Starts a program of the boot image; its command line follows the name after one space."""

        __slots__ = ()
        ID = 35
        NAME = "task.launch"
        TYPE_WORD = 0x60000023
        FIELDS = (("name_and_cmdline", "str"),)
        FORMAT = "QQ"
        OOL = "name_and_cmdline"
        name_and_cmdline: _Str = _F0

        def __new__(cls, name_and_cmdline: str) -> Self:
            return _new(cls, (name_and_cmdline,))

    class LaunchReply(Message):
        """The reply to `task.launch`."""

        __slots__ = ()
        ID = 36
        NAME = "task.launch_reply"
        TYPE_WORD = 0x00000024
        FIELDS = (("task", "task"),)
        FORMAT = "i"
        task: _Int = _F0

        def __new__(cls, task: int) -> Self:
            return _new(cls, (task,))

    class Watch(Message):
        """From now on the caller gets `exited` when the task ends."""

        __slots__ = ()
        ID = 37
        NAME = "task.watch"
        TYPE_WORD = 0x00000025
        FIELDS = (("task", "task"),)
        FORMAT = "i"
        task: _Int = _F0

        def __new__(cls, task: int) -> Self:
            return _new(cls, (task,))

    class WatchReply(Message):
        """The reply to `task.watch`."""

        __slots__ = ()
        ID = 38
        NAME = "task.watch_reply"
        TYPE_WORD = 0x00000026

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Unwatch(Message):
        """Takes one `watch` back."""

        __slots__ = ()
        ID = 39
        NAME = "task.unwatch"
        TYPE_WORD = 0x00000027
        FIELDS = (("task", "task"),)
        FORMAT = "i"
        task: _Int = _F0

        def __new__(cls, task: int) -> Self:
            return _new(cls, (task,))

    class UnwatchReply(Message):
        """The reply to `task.unwatch`."""

        __slots__ = ()
        ID = 40
        NAME = "task.unwatch_reply"
        TYPE_WORD = 0x00000028

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Exited(Message):
        """A watched task has ended."""

        __slots__ = ()
        ID = 41
        NAME = "task.exited"
        TYPE_WORD = 0x00000029
        FIELDS = (("task", "task"),)
        FORMAT = "i"
        task: _Int = _F0

        def __new__(cls, task: int) -> Self:
            return _new(cls, (task,))


class ool:
    """How out-of-line payloads travel from one address space to another."""

    class Recv(Message):
        """Offers a buffer for the next payload that somebody sends to the caller."""

        __slots__ = ()
        ID = 42
        NAME = "ool.recv"
        TYPE_WORD = 0x0000002a
        FIELDS = (("addr", "vaddr"), ("len", "size"))
        FORMAT = "QQ"
        addr: _Int = _F0
        len: _Int = _F1

        def __new__(cls, addr: int, len: int) -> Self:
            return _new(cls, (addr, len))

    class RecvReply(Message):
        """The reply to `ool.recv`."""

        __slots__ = ()
        ID = 43
        NAME = "ool.recv_reply"
        TYPE_WORD = 0x0000002b

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Send(Message):
        """Copies a payload of the caller into the buffer of `dst`, waiting until there is one.
        `id` then stands for the payload in the message itself.
        """

        __slots__ = ()
        ID = 44
        NAME = "ool.send"
        TYPE_WORD = 0x0000002c
        FIELDS = (("dst", "task"), ("addr", "vaddr"), ("len", "size"))
        FORMAT = "i4xQQ"
        dst: _Int = _F0
        addr: _Int = _F1
        len: _Int = _F2

        def __new__(cls, dst: int, addr: int, len: int) -> Self:
            return _new(cls, (dst, addr, len))

    class SendReply(Message):
        """The reply to `ool.send`."""

        __slots__ = ()
        ID = 45
        NAME = "ool.send_reply"
        TYPE_WORD = 0x0000002d
        FIELDS = (("id", "vaddr"),)
        FORMAT = "Q"
        id: _Int = _F0

        def __new__(cls, id: int) -> Self:
            return _new(cls, (id,))

    class Verify(Message):
        """Checks that `src` did send payload `id` of `len` bytes, and says where it lies."""

        __slots__ = ()
        ID = 46
        NAME = "ool.verify"
        TYPE_WORD = 0x0000002e
        FIELDS = (("src", "task"), ("id", "vaddr"), ("len", "size"))
        FORMAT = "i4xQQ"
        src: _Int = _F0
        id: _Int = _F1
        len: _Int = _F2

        def __new__(cls, src: int, id: int, len: int) -> Self:
            return _new(cls, (src, id, len))

    class VerifyReply(Message):
        """The reply to `ool.verify`."""

        __slots__ = ()
        ID = 47
        NAME = "ool.verify_reply"
        TYPE_WORD = 0x0000002f
        FIELDS = (("received_at", "vaddr"),)
        FORMAT = "Q"
        received_at: _Int = _F0

        def __new__(cls, received_at: int) -> Self:
            return _new(cls, (received_at,))


class fs:
    """Files by path name."""

    class Open(Message):
        """Opens an existing file."""

        __slots__ = ()
        ID = 48
        NAME = "fs.open"
        TYPE_WORD = 0x60000030
        FIELDS = (("path", "str"),)
        FORMAT = "QQ"
        OOL = "path"
        path: _Str = _F0

        def __new__(cls, path: str) -> Self:
            return _new(cls, (path,))

    class OpenReply(Message):
        """The reply to `fs.open`."""

        __slots__ = ()
        ID = 49
        NAME = "fs.open_reply"
        TYPE_WORD = 0x00000031
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class Create(Message):
        """Creates a file and opens it; with `exist_ok` an existing one is opened instead of an error."""

        __slots__ = ()
        ID = 50
        NAME = "fs.create"
        TYPE_WORD = 0x60000032
        FIELDS = (("path", "str"), ("exist_ok", "bool"))
        FORMAT = "QQ?"
        OOL = "path"
        path: _Str = _F0
        exist_ok: _Bool = _F1

        def __new__(cls, path: str, exist_ok: bool) -> Self:
            return _new(cls, (path, exist_ok))

    class CreateReply(Message):
        """The reply to `fs.create`."""

        __slots__ = ()
        ID = 51
        NAME = "fs.create_reply"
        TYPE_WORD = 0x00000033
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class Close(Message):
        """Gives a handle back."""

        __slots__ = ()
        ID = 52
        NAME = "fs.close"
        TYPE_WORD = 0x00000034
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class CloseReply(Message):
        """The reply to `fs.close`."""

        __slots__ = ()
        ID = 53
        NAME = "fs.close_reply"
        TYPE_WORD = 0x00000035

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Read(Message):
        """Up to `len` bytes from `offset` on; no bytes at the end of the file."""

        __slots__ = ()
        ID = 54
        NAME = "fs.read"
        TYPE_WORD = 0x00000036
        FIELDS = (("handle", "handle"), ("offset", "offset"), ("len", "size"))
        FORMAT = "i4xQQ"
        handle: _Int = _F0
        offset: _Int = _F1
        len: _Int = _F2

        def __new__(cls, handle: int, offset: int, len: int) -> Self:
            return _new(cls, (handle, offset, len))

    class ReadReply(Message):
        """The reply to `fs.read`."""

        __slots__ = ()
        ID = 55
        NAME = "fs.read_reply"
        TYPE_WORD = 0x20000037
        FIELDS = (("data", "bytes"),)
        FORMAT = "QQ"
        OOL = "data"
        data: _Bytes = _F0

        def __new__(cls, data: bytes) -> Self:
            return _new(cls, (data,))

    class Write(Message):
        """Writes all of `data` at `offset`; past the end the file grows."""

        __slots__ = ()
        ID = 56
        NAME = "fs.write"
        TYPE_WORD = 0x20000038
        FIELDS = (("handle", "handle"), ("offset", "offset"), ("data", "bytes"))
        FORMAT = "QQi4xQ"
        OOL = "data"
        handle: _Int = _F0
        offset: _Int = _F1
        data: _Bytes = _F2

        def __new__(cls, handle: int, offset: int, data: bytes) -> Self:
            return _new(cls, (handle, offset, data))

    class WriteReply(Message):
        """The reply to `fs.write`."""

        __slots__ = ()
        ID = 57
        NAME = "fs.write_reply"
        TYPE_WORD = 0x00000039

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Stat(Message):
        """The size of a file in bytes."""

        __slots__ = ()
        ID = 58
        NAME = "fs.stat"
        TYPE_WORD = 0x6000003a
        FIELDS = (("path", "str"),)
        FORMAT = "QQ"
        OOL = "path"
        path: _Str = _F0

        def __new__(cls, path: str) -> Self:
            return _new(cls, (path,))

    class StatReply(Message):
        """The reply to `fs.stat`."""

        __slots__ = ()
        ID = 59
        NAME = "fs.stat_reply"
        TYPE_WORD = 0x0000003b
        FIELDS = (("size", "size"),)
        FORMAT = "Q"
        size: _Int = _F0

        def __new__(cls, size: int) -> Self:
            return _new(cls, (size,))


class blk:
    """A disk."""

    class Read(Message):
        """Reads whole sectors of 512 bytes, from sector number `sector` on."""

        __slots__ = ()
        ID = 60
        NAME = "blk.read"
        TYPE_WORD = 0x0000003c
        FIELDS = (("sector", "offset"), ("num_sectors", "size"))
        FORMAT = "QQ"
        sector: _Int = _F0
        num_sectors: _Int = _F1

        def __new__(cls, sector: int, num_sectors: int) -> Self:
            return _new(cls, (sector, num_sectors))

    class ReadReply(Message):
        """The reply to `blk.read`."""

        __slots__ = ()
        ID = 61
        NAME = "blk.read_reply"
        TYPE_WORD = 0x2000003d
        FIELDS = (("data", "bytes"),)
        FORMAT = "QQ"
        OOL = "data"
        data: _Bytes = _F0

        def __new__(cls, data: bytes) -> Self:
            return _new(cls, (data,))

    class Write(Message):
        """Writes whole sectors of 512 bytes, from sector number `sector` on."""

        __slots__ = ()
        ID = 62
        NAME = "blk.write"
        TYPE_WORD = 0x2000003e
        FIELDS = (("sector", "offset"), ("data", "bytes"))
        FORMAT = "QQQ"
        OOL = "data"
        sector: _Int = _F0
        data: _Bytes = _F1

        def __new__(cls, sector: int, data: bytes) -> Self:
            return _new(cls, (sector, data))

    class WriteReply(Message):
        """The reply to `blk.write`."""

        __slots__ = ()
        ID = 63
        NAME = "blk.write_reply"
        TYPE_WORD = 0x0000003f

        def __new__(cls) -> Self:
            return _new(cls, ())


class net:
    """A network card."""

    class Rx(Message):
        """A received Ethernet frame, from the driver to the network stack."""

        __slots__ = ()
        ID = 64
        NAME = "net.rx"
        TYPE_WORD = 0x20000040
        FIELDS = (("payload", "bytes"),)
        FORMAT = "QQ"
        OOL = "payload"
        payload: _Bytes = _F0

        def __new__(cls, payload: bytes) -> Self:
            return _new(cls, (payload,))

    class Tx(Message):
        """An Ethernet frame to transmit, from the network stack to the driver."""

        __slots__ = ()
        ID = 65
        NAME = "net.tx"
        TYPE_WORD = 0x20000041
        FIELDS = (("payload", "bytes"),)
        FORMAT = "QQ"
        OOL = "payload"
        payload: _Bytes = _F0

        def __new__(cls, payload: bytes) -> Self:
            return _new(cls, (payload,))


class rtc:
    """The battery-backed clock."""

    class Read(Message):
        """The time of day as the clock chip has it; `day_of_week` 1 is Sunday."""

        __slots__ = ()
        ID = 66
        NAME = "rtc.read"
        TYPE_WORD = 0x00000042

        def __new__(cls) -> Self:
            return _new(cls, ())

    class ReadReply(Message):
        """The reply to `rtc.read`."""

        __slots__ = ()
        ID = 67
        NAME = "rtc.read_reply"
        TYPE_WORD = 0x00000043
        FIELDS = (
            ("year", "uint32"),
            ("month", "uint8"),
            ("day", "uint8"),
            ("day_of_week", "uint8"),
            ("hour", "uint8"),
            ("minute", "uint8"),
            ("second", "uint8"),
        )
        FORMAT = "IBBBBBB"
        year: _Int = _F0
        month: _Int = _F1
        day: _Int = _F2
        day_of_week: _Int = _F3
        hour: _Int = _F4
        minute: _Int = _F5
        second: _Int = _F6

        def __new__(
            cls,
            year: int,
            month: int,
            day: int,
            day_of_week: int,
            hour: int,
            minute: int,
            second: int,
        ) -> Self:
            return _new(cls, (year, month, day, day_of_week, hour, minute, second))


class time:
    """The time of day."""

    class Gettimeofday(Message):
        """Seconds since 1970-01-01 00:00 UTC."""

        __slots__ = ()
        ID = 68
        NAME = "time.gettimeofday"
        TYPE_WORD = 0x00000044

        def __new__(cls) -> Self:
            return _new(cls, ())

    class GettimeofdayReply(Message):
        """The reply to `time.gettimeofday`."""

        __slots__ = ()
        ID = 69
        NAME = "time.gettimeofday_reply"
        TYPE_WORD = 0x00000045
        FIELDS = (("unixtime", "uint64"),)
        FORMAT = "Q"
        unixtime: _Int = _F0

        def __new__(cls, unixtime: int) -> Self:
            return _new(cls, (unixtime,))


class shm:
    """Memory shared between tasks."""

    class Create(Message):
        """Makes a shared memory object of `size` pages."""

        __slots__ = ()
        ID = 70
        NAME = "shm.create"
        TYPE_WORD = 0x00000046
        FIELDS = (("size", "size"),)
        FORMAT = "Q"
        size: _Int = _F0

        def __new__(cls, size: int) -> Self:
            return _new(cls, (size,))

    class CreateReply(Message):
        """The reply to `shm.create`."""

        __slots__ = ()
        ID = 71
        NAME = "shm.create_reply"
        TYPE_WORD = 0x00000047
        FIELDS = (("shm_id", "int"),)
        FORMAT = "i"
        shm_id: _Int = _F0

        def __new__(cls, shm_id: int) -> Self:
            return _new(cls, (shm_id,))

    class Map(Message):
        """Maps an object into the caller."""

        __slots__ = ()
        ID = 72
        NAME = "shm.map"
        TYPE_WORD = 0x00000048
        FIELDS = (("shm_id", "int"), ("writable", "bool"))
        FORMAT = "i?"
        shm_id: _Int = _F0
        writable: _Bool = _F1

        def __new__(cls, shm_id: int, writable: bool) -> Self:
            return _new(cls, (shm_id, writable))

    class MapReply(Message):
        """The reply to `shm.map`."""

        __slots__ = ()
        ID = 73
        NAME = "shm.map_reply"
        TYPE_WORD = 0x00000049
        FIELDS = (("vaddr", "vaddr"),)
        FORMAT = "Q"
        vaddr: _Int = _F0

        def __new__(cls, vaddr: int) -> Self:
            return _new(cls, (vaddr,))

    class Close(Message):
        """Gives an object back."""

        __slots__ = ()
        ID = 74
        NAME = "shm.close"
        TYPE_WORD = 0x0000004a
        FIELDS = (("shm_id", "int"),)
        FORMAT = "i"
        shm_id: _Int = _F0

        def __new__(cls, shm_id: int) -> Self:
            return _new(cls, (shm_id,))

    class CloseReply(Message):
        """The reply to `shm.close`."""

        __slots__ = ()
        ID = 75
        NAME = "shm.close_reply"
        TYPE_WORD = 0x0000004b

        def __new__(cls) -> Self:
            return _new(cls, ())


class shm_test:
    """The partner of the shared memory test."""

    class Read(Message):
        """The object that the test server has written to."""

        __slots__ = ()
        ID = 76
        NAME = "shm_test.read"
        TYPE_WORD = 0x0000004c

        def __new__(cls) -> Self:
            return _new(cls, ())

    class ReadReply(Message):
        """The reply to `shm_test.read`."""

        __slots__ = ()
        ID = 77
        NAME = "shm_test.read_reply"
        TYPE_WORD = 0x0000004d
        FIELDS = (("shm_id", "int"),)
        FORMAT = "i"
        shm_id: _Int = _F0

        def __new__(cls, shm_id: int) -> Self:
            return _new(cls, (shm_id,))


class console:
    """The standard streams of whoever runs the machine: stream 0, 1 and 2. No call waits.

    Errors: ERR_WOULD_BLOCK, ERR_INVALID_ARG for another stream, and Linux errno values (`posix_error`).
    """

    class PollEvent:
        """Bits of the `events` arguments, as in poll(2)."""

        IN: Final = 1
        OUT: Final = 4
        ERR: Final = 8
        HUP: Final = 16

    class TcsetsAction:
        """When `tcsets` takes effect."""

        NOW: Final = 0
        DRAIN: Final = 1
        FLUSH: Final = 2

    class Info(Message):
        """What the stream is on the host: `mode` is its st_mode, `flags` its access mode and O_APPEND."""

        __slots__ = ()
        ID = 200
        NAME = "console.info"
        TYPE_WORD = 0x000000c8
        FIELDS = (("stream", "int"),)
        FORMAT = "i"
        stream: _Int = _F0

        def __new__(cls, stream: int) -> Self:
            return _new(cls, (stream,))

    class InfoReply(Message):
        """The reply to `console.info`."""

        __slots__ = ()
        ID = 201
        NAME = "console.info_reply"
        TYPE_WORD = 0x000000c9
        FIELDS = (
            ("mode", "uint32"),
            ("rdev", "uint64"),
            ("ino", "uint64"),
            ("size", "uint64"),
            ("tty", "bool"),
            ("flags", "uint32"),
        )
        FORMAT = "I4xQQQ?3xI"
        mode: _Int = _F0
        rdev: _Int = _F1
        ino: _Int = _F2
        size: _Int = _F3
        tty: _Bool = _F4
        flags: _Int = _F5

        def __new__(cls, mode: int, rdev: int, ino: int, size: int, tty: bool, flags: int) -> Self:
            return _new(cls, (mode, rdev, ino, size, tty, flags))

    class Read(Message):
        """What is there to read, at most `len` bytes; no bytes at the end of the file."""

        __slots__ = ()
        ID = 202
        NAME = "console.read"
        TYPE_WORD = 0x000000ca
        FIELDS = (("stream", "int"), ("len", "size"))
        FORMAT = "i4xQ"
        stream: _Int = _F0
        len: _Int = _F1

        def __new__(cls, stream: int, len: int) -> Self:
            return _new(cls, (stream, len))

    class ReadReply(Message):
        """The reply to `console.read`."""

        __slots__ = ()
        ID = 203
        NAME = "console.read_reply"
        TYPE_WORD = 0x200000cb
        FIELDS = (("data", "bytes"),)
        FORMAT = "QQ"
        OOL = "data"
        data: _Bytes = _F0

        def __new__(cls, data: bytes) -> Self:
            return _new(cls, (data,))

    class Write(Message):
        """Writes as much of `data` as can be written now, and says how much that is."""

        __slots__ = ()
        ID = 204
        NAME = "console.write"
        TYPE_WORD = 0x200000cc
        FIELDS = (("stream", "int"), ("data", "bytes"))
        FORMAT = "QQi"
        OOL = "data"
        stream: _Int = _F0
        data: _Bytes = _F1

        def __new__(cls, stream: int, data: bytes) -> Self:
            return _new(cls, (stream, data))

    class WriteReply(Message):
        """The reply to `console.write`."""

        __slots__ = ()
        ID = 205
        NAME = "console.write_reply"
        TYPE_WORD = 0x000000cd
        FIELDS = (("written", "size"),)
        FORMAT = "Q"
        written: _Int = _F0

        def __new__(cls, written: int) -> Self:
            return _new(cls, (written,))

    class Seek(Message):
        """Moves the position of a stream that has one; as lseek(2)."""

        __slots__ = ()
        ID = 206
        NAME = "console.seek"
        TYPE_WORD = 0x000000ce
        FIELDS = (("stream", "int"), ("offset", "int64"), ("whence", "int"))
        FORMAT = "i4xqi"
        stream: _Int = _F0
        offset: _Int = _F1
        whence: _Int = _F2

        def __new__(cls, stream: int, offset: int, whence: int) -> Self:
            return _new(cls, (stream, offset, whence))

    class SeekReply(Message):
        """The reply to `console.seek`."""

        __slots__ = ()
        ID = 207
        NAME = "console.seek_reply"
        TYPE_WORD = 0x000000cf
        FIELDS = (("offset", "int64"),)
        FORMAT = "q"
        offset: _Int = _F0

        def __new__(cls, offset: int) -> Self:
            return _new(cls, (offset,))

    class Poll(Message):
        """Which of `events` (bits of `poll_event`) hold now."""

        __slots__ = ()
        ID = 208
        NAME = "console.poll"
        TYPE_WORD = 0x000000d0
        FIELDS = (("stream", "int"), ("events", "uint32"))
        FORMAT = "iI"
        stream: _Int = _F0
        events: _Int = _F1

        def __new__(cls, stream: int, events: int) -> Self:
            return _new(cls, (stream, events))

    class PollReply(Message):
        """The reply to `console.poll`."""

        __slots__ = ()
        ID = 209
        NAME = "console.poll_reply"
        TYPE_WORD = 0x000000d1
        FIELDS = (("revents", "uint32"),)
        FORMAT = "I"
        revents: _Int = _F0

        def __new__(cls, revents: int) -> Self:
            return _new(cls, (revents,))

    class Watch(Message):
        """Asks for one `ready` as soon as one of `events` holds."""

        __slots__ = ()
        ID = 210
        NAME = "console.watch"
        TYPE_WORD = 0x000000d2
        FIELDS = (("stream", "int"), ("events", "uint32"))
        FORMAT = "iI"
        stream: _Int = _F0
        events: _Int = _F1

        def __new__(cls, stream: int, events: int) -> Self:
            return _new(cls, (stream, events))

    class WatchReply(Message):
        """The reply to `console.watch`."""

        __slots__ = ()
        ID = 211
        NAME = "console.watch_reply"
        TYPE_WORD = 0x000000d3

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Ready(Message):
        """The answer to `watch`."""

        __slots__ = ()
        ID = 212
        NAME = "console.ready"
        TYPE_WORD = 0x000000d4
        FIELDS = (("stream", "int"), ("events", "uint32"))
        FORMAT = "iI"
        stream: _Int = _F0
        events: _Int = _F1

        def __new__(cls, stream: int, events: int) -> Self:
            return _new(cls, (stream, events))

    class Tcgets(Message):
        """The terminal settings, as the 36 bytes of Linux's struct ktermios."""

        __slots__ = ()
        ID = 213
        NAME = "console.tcgets"
        TYPE_WORD = 0x000000d5
        FIELDS = (("stream", "int"),)
        FORMAT = "i"
        stream: _Int = _F0

        def __new__(cls, stream: int) -> Self:
            return _new(cls, (stream,))

    class TcgetsReply(Message):
        """The reply to `console.tcgets`."""

        __slots__ = ()
        ID = 214
        NAME = "console.tcgets_reply"
        TYPE_WORD = 0x200000d6
        FIELDS = (("termios", "bytes"),)
        FORMAT = "QQ"
        OOL = "termios"
        termios: _Bytes = _F0

        def __new__(cls, termios: bytes) -> Self:
            return _new(cls, (termios,))

    class Tcsets(Message):
        """Changes the terminal settings; `action` is a `tcsets_action`."""

        __slots__ = ()
        ID = 215
        NAME = "console.tcsets"
        TYPE_WORD = 0x200000d7
        FIELDS = (("stream", "int"), ("action", "int"), ("termios", "bytes"))
        FORMAT = "QQii"
        OOL = "termios"
        stream: _Int = _F0
        action: _Int = _F1
        termios: _Bytes = _F2

        def __new__(cls, stream: int, action: int, termios: bytes) -> Self:
            return _new(cls, (stream, action, termios))

    class TcsetsReply(Message):
        """The reply to `console.tcsets`."""

        __slots__ = ()
        ID = 216
        NAME = "console.tcsets_reply"
        TYPE_WORD = 0x000000d8

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Tcflush(Message):
        """Drops what is queued; `queue` as in tcflush(3)."""

        __slots__ = ()
        ID = 217
        NAME = "console.tcflush"
        TYPE_WORD = 0x000000d9
        FIELDS = (("stream", "int"), ("queue", "int"))
        FORMAT = "ii"
        stream: _Int = _F0
        queue: _Int = _F1

        def __new__(cls, stream: int, queue: int) -> Self:
            return _new(cls, (stream, queue))

    class TcflushReply(Message):
        """The reply to `console.tcflush`."""

        __slots__ = ()
        ID = 218
        NAME = "console.tcflush_reply"
        TYPE_WORD = 0x000000da

        def __new__(cls) -> Self:
            return _new(cls, ())

    class GetWinsize(Message):
        """The size of the terminal window."""

        __slots__ = ()
        ID = 219
        NAME = "console.get_winsize"
        TYPE_WORD = 0x000000db
        FIELDS = (("stream", "int"),)
        FORMAT = "i"
        stream: _Int = _F0

        def __new__(cls, stream: int) -> Self:
            return _new(cls, (stream,))

    class GetWinsizeReply(Message):
        """The reply to `console.get_winsize`."""

        __slots__ = ()
        ID = 220
        NAME = "console.get_winsize_reply"
        TYPE_WORD = 0x000000dc
        FIELDS = (("rows", "uint16"), ("cols", "uint16"), ("xpixel", "uint16"), ("ypixel", "uint16"))
        FORMAT = "HHHH"
        rows: _Int = _F0
        cols: _Int = _F1
        xpixel: _Int = _F2
        ypixel: _Int = _F3

        def __new__(cls, rows: int, cols: int, xpixel: int, ypixel: int) -> Self:
            return _new(cls, (rows, cols, xpixel, ypixel))

    class SetWinsize(Message):
        """Changes the size of the terminal window."""

        __slots__ = ()
        ID = 221
        NAME = "console.set_winsize"
        TYPE_WORD = 0x000000dd
        FIELDS = (
            ("stream", "int"),
            ("rows", "uint16"),
            ("cols", "uint16"),
            ("xpixel", "uint16"),
            ("ypixel", "uint16"),
        )
        FORMAT = "iHHHH"
        stream: _Int = _F0
        rows: _Int = _F1
        cols: _Int = _F2
        xpixel: _Int = _F3
        ypixel: _Int = _F4

        def __new__(cls, stream: int, rows: int, cols: int, xpixel: int, ypixel: int) -> Self:
            return _new(cls, (stream, rows, cols, xpixel, ypixel))

    class SetWinsizeReply(Message):
        """The reply to `console.set_winsize`."""

        __slots__ = ()
        ID = 222
        NAME = "console.set_winsize_reply"
        TYPE_WORD = 0x000000de

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Signal(Message):
        """The host sent the tool a signal that is meant for the foreground group of the guest."""

        __slots__ = ()
        ID = 223
        NAME = "console.signal"
        TYPE_WORD = 0x000000df
        FIELDS = (("signo", "int"),)
        FORMAT = "i"
        signo: _Int = _F0

        def __new__(cls, signo: int) -> Self:
            return _new(cls, (signo,))


class dm:
    """The device manager: devices on the PCI bus."""

    class AttachPciDevice(Message):
        """Takes the first device that matches; vendor 0 matches every vendor."""

        __slots__ = ()
        ID = 78
        NAME = "dm.attach_pci_device"
        TYPE_WORD = 0x0000004e
        FIELDS = (("vendor_id", "uint16"), ("device_id", "uint16"))
        FORMAT = "HH"
        vendor_id: _Int = _F0
        device_id: _Int = _F1

        def __new__(cls, vendor_id: int, device_id: int) -> Self:
            return _new(cls, (vendor_id, device_id))

    class AttachPciDeviceReply(Message):
        """The reply to `dm.attach_pci_device`."""

        __slots__ = ()
        ID = 79
        NAME = "dm.attach_pci_device_reply"
        TYPE_WORD = 0x0000004f
        FIELDS = (("vendor_id", "uint16"), ("device_id", "uint16"), ("handle", "handle"))
        FORMAT = "HHi"
        vendor_id: _Int = _F0
        device_id: _Int = _F1
        handle: _Int = _F2

        def __new__(cls, vendor_id: int, device_id: int, handle: int) -> Self:
            return _new(cls, (vendor_id, device_id, handle))

    class DetachDevice(Message):
        """Gives a device back."""

        __slots__ = ()
        ID = 80
        NAME = "dm.detach_device"
        TYPE_WORD = 0x00000050
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class DetachDeviceReply(Message):
        """The reply to `dm.detach_device`."""

        __slots__ = ()
        ID = 81
        NAME = "dm.detach_device_reply"
        TYPE_WORD = 0x00000051

        def __new__(cls) -> Self:
            return _new(cls, ())

    class PciGetConfig(Message):
        """The first memory window and the interrupt line of a device."""

        __slots__ = ()
        ID = 82
        NAME = "dm.pci_get_config"
        TYPE_WORD = 0x00000052
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class PciGetConfigReply(Message):
        """The reply to `dm.pci_get_config`."""

        __slots__ = ()
        ID = 83
        NAME = "dm.pci_get_config_reply"
        TYPE_WORD = 0x00000053
        FIELDS = (("bar0_addr", "uint32"), ("bar0_len", "uint32"), ("irq", "uint8"))
        FORMAT = "IIB"
        bar0_addr: _Int = _F0
        bar0_len: _Int = _F1
        irq: _Int = _F2

        def __new__(cls, bar0_addr: int, bar0_len: int, irq: int) -> Self:
            return _new(cls, (bar0_addr, bar0_len, irq))

    class PciReadConfig(Message):
        """Reads 1, 2 or 4 bytes of a device's configuration space."""

        __slots__ = ()
        ID = 84
        NAME = "dm.pci_read_config"
        TYPE_WORD = 0x00000054
        FIELDS = (("handle", "handle"), ("offset", "uint"), ("size", "uint"))
        FORMAT = "iII"
        handle: _Int = _F0
        offset: _Int = _F1
        size: _Int = _F2

        def __new__(cls, handle: int, offset: int, size: int) -> Self:
            return _new(cls, (handle, offset, size))

    class PciReadConfigReply(Message):
        """The reply to `dm.pci_read_config`."""

        __slots__ = ()
        ID = 85
        NAME = "dm.pci_read_config_reply"
        TYPE_WORD = 0x00000055
        FIELDS = (("value", "uint32"),)
        FORMAT = "I"
        value: _Int = _F0

        def __new__(cls, value: int) -> Self:
            return _new(cls, (value,))

    class PciWriteConfig(Message):
        """Writes 1, 2 or 4 bytes of a device's configuration space."""

        __slots__ = ()
        ID = 86
        NAME = "dm.pci_write_config"
        TYPE_WORD = 0x00000056
        FIELDS = (("handle", "handle"), ("offset", "uint"), ("size", "uint"), ("value", "uint32"))
        FORMAT = "iIII"
        handle: _Int = _F0
        offset: _Int = _F1
        size: _Int = _F2
        value: _Int = _F3

        def __new__(cls, handle: int, offset: int, size: int, value: int) -> Self:
            return _new(cls, (handle, offset, size, value))

    class PciWriteConfigReply(Message):
        """The reply to `dm.pci_write_config`."""

        __slots__ = ()
        ID = 87
        NAME = "dm.pci_write_config_reply"
        TYPE_WORD = 0x00000057

        def __new__(cls) -> Self:
            return _new(cls, ())

    class PciEnableBusMaster(Message):
        """Lets a device access memory by itself."""

        __slots__ = ()
        ID = 88
        NAME = "dm.pci_enable_bus_master"
        TYPE_WORD = 0x00000058
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class PciEnableBusMasterReply(Message):
        """The reply to `dm.pci_enable_bus_master`."""

        __slots__ = ()
        ID = 89
        NAME = "dm.pci_enable_bus_master_reply"
        TYPE_WORD = 0x00000059

        def __new__(cls) -> Self:
            return _new(cls, ())


class fsx:
    """File systems by inode number, for a server that does its own path walk, caching and permission checks.

    Names are raw bytes without slash and NUL. Times are nanoseconds since 1970. `version` changes whenever
    the contents change; 0 means that nobody knows. Errors are Linux errno values (`posix_error`), except that
    an unknown handle is ERR_NOT_FOUND as in `fs`. A successful reply of lookup, mknod, mkdir, symlink or link
    counts one reference to its inode, which `forget` gives back; root, getattr and setattr count none.
    """

    class XattrFlag:
        """The `flags` of `setxattr`, as in setxattr(2)."""

        CREATE: Final = 1
        REPLACE: Final = 2

    class SetattrValid:
        """Which arguments of `setattr` are meant."""

        MODE: Final = 1
        UID: Final = 2
        GID: Final = 4
        SIZE: Final = 8
        ATIME: Final = 16
        MTIME: Final = 32
        CTIME: Final = 64

    class RenameFlag:
        """The `flags` of `rename`, as in renameat2."""

        NOREPLACE: Final = 1
        EXCHANGE: Final = 2

    class Root(Message):
        """The attributes of the root directory."""

        __slots__ = ()
        ID = 224
        NAME = "fsx.root"
        TYPE_WORD = 0x000000e0

        def __new__(cls) -> Self:
            return _new(cls, ())

    class RootReply(Message):
        """The reply to `fsx.root`."""

        __slots__ = ()
        ID = 225
        NAME = "fsx.root_reply"
        TYPE_WORD = 0x000000e1
        FIELDS = (
            ("ino", "uint64"),
            ("mode", "uint32"),
            ("nlink", "uint32"),
            ("uid", "uint32"),
            ("gid", "uint32"),
            ("rdev", "uint64"),
            ("size", "uint64"),
            ("blocks", "uint64"),
            ("blksize", "uint32"),
            ("atime_ns", "int64"),
            ("mtime_ns", "int64"),
            ("ctime_ns", "int64"),
            ("version", "uint64"),
        )
        FORMAT = "QIIIIQQQI4xqqqQ"
        ino: _Int = _F0
        mode: _Int = _F1
        nlink: _Int = _F2
        uid: _Int = _F3
        gid: _Int = _F4
        rdev: _Int = _F5
        size: _Int = _F6
        blocks: _Int = _F7
        blksize: _Int = _F8
        atime_ns: _Int = _F9
        mtime_ns: _Int = _F10
        ctime_ns: _Int = _F11
        version: _Int = _F12

        def __new__(
            cls,
            ino: int,
            mode: int,
            nlink: int,
            uid: int,
            gid: int,
            rdev: int,
            size: int,
            blocks: int,
            blksize: int,
            atime_ns: int,
            mtime_ns: int,
            ctime_ns: int,
            version: int,
        ) -> Self:
            return _new(cls, (
                ino,
                mode,
                nlink,
                uid,
                gid,
                rdev,
                size,
                blocks,
                blksize,
                atime_ns,
                mtime_ns,
                ctime_ns,
                version,
            ))

    class Lookup(Message):
        """The entry `name` of the directory `parent`."""

        __slots__ = ()
        ID = 226
        NAME = "fsx.lookup"
        TYPE_WORD = 0x200000e2
        FIELDS = (("parent", "uint64"), ("name", "bytes"))
        FORMAT = "QQQ"
        OOL = "name"
        parent: _Int = _F0
        name: _Bytes = _F1

        def __new__(cls, parent: int, name: bytes) -> Self:
            return _new(cls, (parent, name))

    class LookupReply(Message):
        """The reply to `fsx.lookup`."""

        __slots__ = ()
        ID = 227
        NAME = "fsx.lookup_reply"
        TYPE_WORD = 0x000000e3
        FIELDS = (
            ("ino", "uint64"),
            ("mode", "uint32"),
            ("nlink", "uint32"),
            ("uid", "uint32"),
            ("gid", "uint32"),
            ("rdev", "uint64"),
            ("size", "uint64"),
            ("blocks", "uint64"),
            ("blksize", "uint32"),
            ("atime_ns", "int64"),
            ("mtime_ns", "int64"),
            ("ctime_ns", "int64"),
            ("version", "uint64"),
        )
        FORMAT = "QIIIIQQQI4xqqqQ"
        ino: _Int = _F0
        mode: _Int = _F1
        nlink: _Int = _F2
        uid: _Int = _F3
        gid: _Int = _F4
        rdev: _Int = _F5
        size: _Int = _F6
        blocks: _Int = _F7
        blksize: _Int = _F8
        atime_ns: _Int = _F9
        mtime_ns: _Int = _F10
        ctime_ns: _Int = _F11
        version: _Int = _F12

        def __new__(
            cls,
            ino: int,
            mode: int,
            nlink: int,
            uid: int,
            gid: int,
            rdev: int,
            size: int,
            blocks: int,
            blksize: int,
            atime_ns: int,
            mtime_ns: int,
            ctime_ns: int,
            version: int,
        ) -> Self:
            return _new(cls, (
                ino,
                mode,
                nlink,
                uid,
                gid,
                rdev,
                size,
                blocks,
                blksize,
                atime_ns,
                mtime_ns,
                ctime_ns,
                version,
            ))

    class Forget(Message):
        """Gives `nlookup` references to an inode back."""

        __slots__ = ()
        ID = 228
        NAME = "fsx.forget"
        TYPE_WORD = 0x000000e4
        FIELDS = (("ino", "uint64"), ("nlookup", "uint64"))
        FORMAT = "QQ"
        ino: _Int = _F0
        nlookup: _Int = _F1

        def __new__(cls, ino: int, nlookup: int) -> Self:
            return _new(cls, (ino, nlookup))

    class Getattr(Message):
        """The attributes of an inode."""

        __slots__ = ()
        ID = 229
        NAME = "fsx.getattr"
        TYPE_WORD = 0x000000e5
        FIELDS = (("ino", "uint64"),)
        FORMAT = "Q"
        ino: _Int = _F0

        def __new__(cls, ino: int) -> Self:
            return _new(cls, (ino,))

    class GetattrReply(Message):
        """The reply to `fsx.getattr`."""

        __slots__ = ()
        ID = 230
        NAME = "fsx.getattr_reply"
        TYPE_WORD = 0x000000e6
        FIELDS = (
            ("ino", "uint64"),
            ("mode", "uint32"),
            ("nlink", "uint32"),
            ("uid", "uint32"),
            ("gid", "uint32"),
            ("rdev", "uint64"),
            ("size", "uint64"),
            ("blocks", "uint64"),
            ("blksize", "uint32"),
            ("atime_ns", "int64"),
            ("mtime_ns", "int64"),
            ("ctime_ns", "int64"),
            ("version", "uint64"),
        )
        FORMAT = "QIIIIQQQI4xqqqQ"
        ino: _Int = _F0
        mode: _Int = _F1
        nlink: _Int = _F2
        uid: _Int = _F3
        gid: _Int = _F4
        rdev: _Int = _F5
        size: _Int = _F6
        blocks: _Int = _F7
        blksize: _Int = _F8
        atime_ns: _Int = _F9
        mtime_ns: _Int = _F10
        ctime_ns: _Int = _F11
        version: _Int = _F12

        def __new__(
            cls,
            ino: int,
            mode: int,
            nlink: int,
            uid: int,
            gid: int,
            rdev: int,
            size: int,
            blocks: int,
            blksize: int,
            atime_ns: int,
            mtime_ns: int,
            ctime_ns: int,
            version: int,
        ) -> Self:
            return _new(cls, (
                ino,
                mode,
                nlink,
                uid,
                gid,
                rdev,
                size,
                blocks,
                blksize,
                atime_ns,
                mtime_ns,
                ctime_ns,
                version,
            ))

    class Setattr(Message):
        """Changes the attributes that `valid` (bits of `setattr_valid`) names."""

        __slots__ = ()
        ID = 231
        NAME = "fsx.setattr"
        TYPE_WORD = 0x000000e7
        FIELDS = (
            ("ino", "uint64"),
            ("valid", "uint32"),
            ("mode", "uint32"),
            ("uid", "uint32"),
            ("gid", "uint32"),
            ("size", "uint64"),
            ("atime_ns", "int64"),
            ("mtime_ns", "int64"),
            ("ctime_ns", "int64"),
        )
        FORMAT = "QIIIIQqqq"
        ino: _Int = _F0
        valid: _Int = _F1
        mode: _Int = _F2
        uid: _Int = _F3
        gid: _Int = _F4
        size: _Int = _F5
        atime_ns: _Int = _F6
        mtime_ns: _Int = _F7
        ctime_ns: _Int = _F8

        def __new__(
            cls,
            ino: int,
            valid: int,
            mode: int,
            uid: int,
            gid: int,
            size: int,
            atime_ns: int,
            mtime_ns: int,
            ctime_ns: int,
        ) -> Self:
            return _new(cls, (ino, valid, mode, uid, gid, size, atime_ns, mtime_ns, ctime_ns))

    class SetattrReply(Message):
        """The reply to `fsx.setattr`."""

        __slots__ = ()
        ID = 232
        NAME = "fsx.setattr_reply"
        TYPE_WORD = 0x000000e8
        FIELDS = (
            ("ino", "uint64"),
            ("mode", "uint32"),
            ("nlink", "uint32"),
            ("uid", "uint32"),
            ("gid", "uint32"),
            ("rdev", "uint64"),
            ("size", "uint64"),
            ("blocks", "uint64"),
            ("blksize", "uint32"),
            ("atime_ns", "int64"),
            ("mtime_ns", "int64"),
            ("ctime_ns", "int64"),
            ("version", "uint64"),
        )
        FORMAT = "QIIIIQQQI4xqqqQ"
        ino: _Int = _F0
        mode: _Int = _F1
        nlink: _Int = _F2
        uid: _Int = _F3
        gid: _Int = _F4
        rdev: _Int = _F5
        size: _Int = _F6
        blocks: _Int = _F7
        blksize: _Int = _F8
        atime_ns: _Int = _F9
        mtime_ns: _Int = _F10
        ctime_ns: _Int = _F11
        version: _Int = _F12

        def __new__(
            cls,
            ino: int,
            mode: int,
            nlink: int,
            uid: int,
            gid: int,
            rdev: int,
            size: int,
            blocks: int,
            blksize: int,
            atime_ns: int,
            mtime_ns: int,
            ctime_ns: int,
            version: int,
        ) -> Self:
            return _new(cls, (
                ino,
                mode,
                nlink,
                uid,
                gid,
                rdev,
                size,
                blocks,
                blksize,
                atime_ns,
                mtime_ns,
                ctime_ns,
                version,
            ))

    class Readdir(Message):
        """Directory entries from `cookie` on, 0 being the start, in at most `len` bytes of packed records:
        ino u64, next_cookie u64, type u8 (DT_*), namelen u16, name. No "." and "..". Cookies stay
        valid while entries come and go. No bytes mean the end.
        """

        __slots__ = ()
        ID = 233
        NAME = "fsx.readdir"
        TYPE_WORD = 0x000000e9
        FIELDS = (("handle", "handle"), ("cookie", "uint64"), ("len", "size"))
        FORMAT = "i4xQQ"
        handle: _Int = _F0
        cookie: _Int = _F1
        len: _Int = _F2

        def __new__(cls, handle: int, cookie: int, len: int) -> Self:
            return _new(cls, (handle, cookie, len))

    class ReaddirReply(Message):
        """The reply to `fsx.readdir`."""

        __slots__ = ()
        ID = 234
        NAME = "fsx.readdir_reply"
        TYPE_WORD = 0x200000ea
        FIELDS = (("entries", "bytes"),)
        FORMAT = "QQ"
        OOL = "entries"
        entries: _Bytes = _F0

        def __new__(cls, entries: bytes) -> Self:
            return _new(cls, (entries,))

    class Readlink(Message):
        """What a symbolic link points to."""

        __slots__ = ()
        ID = 235
        NAME = "fsx.readlink"
        TYPE_WORD = 0x000000eb
        FIELDS = (("ino", "uint64"),)
        FORMAT = "Q"
        ino: _Int = _F0

        def __new__(cls, ino: int) -> Self:
            return _new(cls, (ino,))

    class ReadlinkReply(Message):
        """The reply to `fsx.readlink`."""

        __slots__ = ()
        ID = 236
        NAME = "fsx.readlink_reply"
        TYPE_WORD = 0x200000ec
        FIELDS = (("target", "bytes"),)
        FORMAT = "QQ"
        OOL = "target"
        target: _Bytes = _F0

        def __new__(cls, target: bytes) -> Self:
            return _new(cls, (target,))

    class Mknod(Message):
        """Makes a file that is neither directory nor symbolic link; regular files too."""

        __slots__ = ()
        ID = 237
        NAME = "fsx.mknod"
        TYPE_WORD = 0x200000ed
        FIELDS = (
            ("parent", "uint64"),
            ("mode", "uint32"),
            ("rdev", "uint64"),
            ("uid", "uint32"),
            ("gid", "uint32"),
            ("name", "bytes"),
        )
        FORMAT = "QQQI4xQII"
        OOL = "name"
        parent: _Int = _F0
        mode: _Int = _F1
        rdev: _Int = _F2
        uid: _Int = _F3
        gid: _Int = _F4
        name: _Bytes = _F5

        def __new__(cls, parent: int, mode: int, rdev: int, uid: int, gid: int, name: bytes) -> Self:
            return _new(cls, (parent, mode, rdev, uid, gid, name))

    class MknodReply(Message):
        """The reply to `fsx.mknod`."""

        __slots__ = ()
        ID = 238
        NAME = "fsx.mknod_reply"
        TYPE_WORD = 0x000000ee
        FIELDS = (
            ("ino", "uint64"),
            ("mode", "uint32"),
            ("nlink", "uint32"),
            ("uid", "uint32"),
            ("gid", "uint32"),
            ("rdev", "uint64"),
            ("size", "uint64"),
            ("blocks", "uint64"),
            ("blksize", "uint32"),
            ("atime_ns", "int64"),
            ("mtime_ns", "int64"),
            ("ctime_ns", "int64"),
            ("version", "uint64"),
        )
        FORMAT = "QIIIIQQQI4xqqqQ"
        ino: _Int = _F0
        mode: _Int = _F1
        nlink: _Int = _F2
        uid: _Int = _F3
        gid: _Int = _F4
        rdev: _Int = _F5
        size: _Int = _F6
        blocks: _Int = _F7
        blksize: _Int = _F8
        atime_ns: _Int = _F9
        mtime_ns: _Int = _F10
        ctime_ns: _Int = _F11
        version: _Int = _F12

        def __new__(
            cls,
            ino: int,
            mode: int,
            nlink: int,
            uid: int,
            gid: int,
            rdev: int,
            size: int,
            blocks: int,
            blksize: int,
            atime_ns: int,
            mtime_ns: int,
            ctime_ns: int,
            version: int,
        ) -> Self:
            return _new(cls, (
                ino,
                mode,
                nlink,
                uid,
                gid,
                rdev,
                size,
                blocks,
                blksize,
                atime_ns,
                mtime_ns,
                ctime_ns,
                version,
            ))

    class Mkdir(Message):
        """Makes a directory."""

        __slots__ = ()
        ID = 239
        NAME = "fsx.mkdir"
        TYPE_WORD = 0x200000ef
        FIELDS = (
            ("parent", "uint64"),
            ("mode", "uint32"),
            ("uid", "uint32"),
            ("gid", "uint32"),
            ("name", "bytes"),
        )
        FORMAT = "QQQIII"
        OOL = "name"
        parent: _Int = _F0
        mode: _Int = _F1
        uid: _Int = _F2
        gid: _Int = _F3
        name: _Bytes = _F4

        def __new__(cls, parent: int, mode: int, uid: int, gid: int, name: bytes) -> Self:
            return _new(cls, (parent, mode, uid, gid, name))

    class MkdirReply(Message):
        """The reply to `fsx.mkdir`."""

        __slots__ = ()
        ID = 240
        NAME = "fsx.mkdir_reply"
        TYPE_WORD = 0x000000f0
        FIELDS = (
            ("ino", "uint64"),
            ("mode", "uint32"),
            ("nlink", "uint32"),
            ("uid", "uint32"),
            ("gid", "uint32"),
            ("rdev", "uint64"),
            ("size", "uint64"),
            ("blocks", "uint64"),
            ("blksize", "uint32"),
            ("atime_ns", "int64"),
            ("mtime_ns", "int64"),
            ("ctime_ns", "int64"),
            ("version", "uint64"),
        )
        FORMAT = "QIIIIQQQI4xqqqQ"
        ino: _Int = _F0
        mode: _Int = _F1
        nlink: _Int = _F2
        uid: _Int = _F3
        gid: _Int = _F4
        rdev: _Int = _F5
        size: _Int = _F6
        blocks: _Int = _F7
        blksize: _Int = _F8
        atime_ns: _Int = _F9
        mtime_ns: _Int = _F10
        ctime_ns: _Int = _F11
        version: _Int = _F12

        def __new__(
            cls,
            ino: int,
            mode: int,
            nlink: int,
            uid: int,
            gid: int,
            rdev: int,
            size: int,
            blocks: int,
            blksize: int,
            atime_ns: int,
            mtime_ns: int,
            ctime_ns: int,
            version: int,
        ) -> Self:
            return _new(cls, (
                ino,
                mode,
                nlink,
                uid,
                gid,
                rdev,
                size,
                blocks,
                blksize,
                atime_ns,
                mtime_ns,
                ctime_ns,
                version,
            ))

    class Symlink(Message):
        """Makes a symbolic link; `names` is its name, NUL, its target."""

        __slots__ = ()
        ID = 241
        NAME = "fsx.symlink"
        TYPE_WORD = 0x200000f1
        FIELDS = (("parent", "uint64"), ("uid", "uint32"), ("gid", "uint32"), ("names", "bytes"))
        FORMAT = "QQQII"
        OOL = "names"
        parent: _Int = _F0
        uid: _Int = _F1
        gid: _Int = _F2
        names: _Bytes = _F3

        def __new__(cls, parent: int, uid: int, gid: int, names: bytes) -> Self:
            return _new(cls, (parent, uid, gid, names))

    class SymlinkReply(Message):
        """The reply to `fsx.symlink`."""

        __slots__ = ()
        ID = 242
        NAME = "fsx.symlink_reply"
        TYPE_WORD = 0x000000f2
        FIELDS = (
            ("ino", "uint64"),
            ("mode", "uint32"),
            ("nlink", "uint32"),
            ("uid", "uint32"),
            ("gid", "uint32"),
            ("rdev", "uint64"),
            ("size", "uint64"),
            ("blocks", "uint64"),
            ("blksize", "uint32"),
            ("atime_ns", "int64"),
            ("mtime_ns", "int64"),
            ("ctime_ns", "int64"),
            ("version", "uint64"),
        )
        FORMAT = "QIIIIQQQI4xqqqQ"
        ino: _Int = _F0
        mode: _Int = _F1
        nlink: _Int = _F2
        uid: _Int = _F3
        gid: _Int = _F4
        rdev: _Int = _F5
        size: _Int = _F6
        blocks: _Int = _F7
        blksize: _Int = _F8
        atime_ns: _Int = _F9
        mtime_ns: _Int = _F10
        ctime_ns: _Int = _F11
        version: _Int = _F12

        def __new__(
            cls,
            ino: int,
            mode: int,
            nlink: int,
            uid: int,
            gid: int,
            rdev: int,
            size: int,
            blocks: int,
            blksize: int,
            atime_ns: int,
            mtime_ns: int,
            ctime_ns: int,
            version: int,
        ) -> Self:
            return _new(cls, (
                ino,
                mode,
                nlink,
                uid,
                gid,
                rdev,
                size,
                blocks,
                blksize,
                atime_ns,
                mtime_ns,
                ctime_ns,
                version,
            ))

    class Link(Message):
        """Gives an inode one more name."""

        __slots__ = ()
        ID = 243
        NAME = "fsx.link"
        TYPE_WORD = 0x200000f3
        FIELDS = (("ino", "uint64"), ("newparent", "uint64"), ("name", "bytes"))
        FORMAT = "QQQQ"
        OOL = "name"
        ino: _Int = _F0
        newparent: _Int = _F1
        name: _Bytes = _F2

        def __new__(cls, ino: int, newparent: int, name: bytes) -> Self:
            return _new(cls, (ino, newparent, name))

    class LinkReply(Message):
        """The reply to `fsx.link`."""

        __slots__ = ()
        ID = 244
        NAME = "fsx.link_reply"
        TYPE_WORD = 0x000000f4
        FIELDS = (
            ("ino", "uint64"),
            ("mode", "uint32"),
            ("nlink", "uint32"),
            ("uid", "uint32"),
            ("gid", "uint32"),
            ("rdev", "uint64"),
            ("size", "uint64"),
            ("blocks", "uint64"),
            ("blksize", "uint32"),
            ("atime_ns", "int64"),
            ("mtime_ns", "int64"),
            ("ctime_ns", "int64"),
            ("version", "uint64"),
        )
        FORMAT = "QIIIIQQQI4xqqqQ"
        ino: _Int = _F0
        mode: _Int = _F1
        nlink: _Int = _F2
        uid: _Int = _F3
        gid: _Int = _F4
        rdev: _Int = _F5
        size: _Int = _F6
        blocks: _Int = _F7
        blksize: _Int = _F8
        atime_ns: _Int = _F9
        mtime_ns: _Int = _F10
        ctime_ns: _Int = _F11
        version: _Int = _F12

        def __new__(
            cls,
            ino: int,
            mode: int,
            nlink: int,
            uid: int,
            gid: int,
            rdev: int,
            size: int,
            blocks: int,
            blksize: int,
            atime_ns: int,
            mtime_ns: int,
            ctime_ns: int,
            version: int,
        ) -> Self:
            return _new(cls, (
                ino,
                mode,
                nlink,
                uid,
                gid,
                rdev,
                size,
                blocks,
                blksize,
                atime_ns,
                mtime_ns,
                ctime_ns,
                version,
            ))

    class Unlink(Message):
        """Removes a name that is no directory."""

        __slots__ = ()
        ID = 245
        NAME = "fsx.unlink"
        TYPE_WORD = 0x200000f5
        FIELDS = (("parent", "uint64"), ("name", "bytes"))
        FORMAT = "QQQ"
        OOL = "name"
        parent: _Int = _F0
        name: _Bytes = _F1

        def __new__(cls, parent: int, name: bytes) -> Self:
            return _new(cls, (parent, name))

    class UnlinkReply(Message):
        """The reply to `fsx.unlink`."""

        __slots__ = ()
        ID = 246
        NAME = "fsx.unlink_reply"
        TYPE_WORD = 0x000000f6

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Rmdir(Message):
        """Removes an empty directory."""

        __slots__ = ()
        ID = 247
        NAME = "fsx.rmdir"
        TYPE_WORD = 0x200000f7
        FIELDS = (("parent", "uint64"), ("name", "bytes"))
        FORMAT = "QQQ"
        OOL = "name"
        parent: _Int = _F0
        name: _Bytes = _F1

        def __new__(cls, parent: int, name: bytes) -> Self:
            return _new(cls, (parent, name))

    class RmdirReply(Message):
        """The reply to `fsx.rmdir`."""

        __slots__ = ()
        ID = 248
        NAME = "fsx.rmdir_reply"
        TYPE_WORD = 0x000000f8

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Rename(Message):
        """Moves an entry; `names` is the old name, NUL, the new name; `flags` are bits of `rename_flag`."""

        __slots__ = ()
        ID = 249
        NAME = "fsx.rename"
        TYPE_WORD = 0x200000f9
        FIELDS = (("parent", "uint64"), ("newparent", "uint64"), ("flags", "uint32"), ("names", "bytes"))
        FORMAT = "QQQQI"
        OOL = "names"
        parent: _Int = _F0
        newparent: _Int = _F1
        flags: _Int = _F2
        names: _Bytes = _F3

        def __new__(cls, parent: int, newparent: int, flags: int, names: bytes) -> Self:
            return _new(cls, (parent, newparent, flags, names))

    class RenameReply(Message):
        """The reply to `fsx.rename`."""

        __slots__ = ()
        ID = 250
        NAME = "fsx.rename_reply"
        TYPE_WORD = 0x000000fa

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Open(Message):
        """Opens an inode, directories too; `flags` are the access mode bits of Linux. The handle serves fs.read,
        fs.write, fs.close, readdir, fsync and fallocate, and keeps an unlinked inode alive.
        """

        __slots__ = ()
        ID = 251
        NAME = "fsx.open"
        TYPE_WORD = 0x000000fb
        FIELDS = (("ino", "uint64"), ("flags", "uint32"))
        FORMAT = "QI"
        ino: _Int = _F0
        flags: _Int = _F1

        def __new__(cls, ino: int, flags: int) -> Self:
            return _new(cls, (ino, flags))

    class OpenReply(Message):
        """The reply to `fsx.open`."""

        __slots__ = ()
        ID = 252
        NAME = "fsx.open_reply"
        TYPE_WORD = 0x000000fc
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class Fsync(Message):
        """Waits until what was written is stored; with `datasync` only what is needed to read it back."""

        __slots__ = ()
        ID = 253
        NAME = "fsx.fsync"
        TYPE_WORD = 0x000000fd
        FIELDS = (("handle", "handle"), ("datasync", "bool"))
        FORMAT = "i?"
        handle: _Int = _F0
        datasync: _Bool = _F1

        def __new__(cls, handle: int, datasync: bool) -> Self:
            return _new(cls, (handle, datasync))

    class FsyncReply(Message):
        """The reply to `fsx.fsync`."""

        __slots__ = ()
        ID = 254
        NAME = "fsx.fsync_reply"
        TYPE_WORD = 0x000000fe

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Fallocate(Message):
        """Reserves or frees room in a file; `mode` as in fallocate(2)."""

        __slots__ = ()
        ID = 255
        NAME = "fsx.fallocate"
        TYPE_WORD = 0x000000ff
        FIELDS = (("handle", "handle"), ("mode", "uint32"), ("offset", "uint64"), ("len", "uint64"))
        FORMAT = "iIQQ"
        handle: _Int = _F0
        mode: _Int = _F1
        offset: _Int = _F2
        len: _Int = _F3

        def __new__(cls, handle: int, mode: int, offset: int, len: int) -> Self:
            return _new(cls, (handle, mode, offset, len))

    class FallocateReply(Message):
        """The reply to `fsx.fallocate`."""

        __slots__ = ()
        ID = 256
        NAME = "fsx.fallocate_reply"
        TYPE_WORD = 0x00000100

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Statfs(Message):
        """The state of the whole file system, as in statfs(2)."""

        __slots__ = ()
        ID = 257
        NAME = "fsx.statfs"
        TYPE_WORD = 0x00000101

        def __new__(cls) -> Self:
            return _new(cls, ())

    class StatfsReply(Message):
        """The reply to `fsx.statfs`."""

        __slots__ = ()
        ID = 258
        NAME = "fsx.statfs_reply"
        TYPE_WORD = 0x00000102
        FIELDS = (
            ("type", "uint64"),
            ("bsize", "uint64"),
            ("blocks", "uint64"),
            ("bfree", "uint64"),
            ("bavail", "uint64"),
            ("files", "uint64"),
            ("ffree", "uint64"),
            ("namelen", "uint64"),
            ("flags", "uint64"),
        )
        FORMAT = "QQQQQQQQQ"
        type: _Int = _F0
        bsize: _Int = _F1
        blocks: _Int = _F2
        bfree: _Int = _F3
        bavail: _Int = _F4
        files: _Int = _F5
        ffree: _Int = _F6
        namelen: _Int = _F7
        flags: _Int = _F8

        def __new__(
            cls,
            type: int,
            bsize: int,
            blocks: int,
            bfree: int,
            bavail: int,
            files: int,
            ffree: int,
            namelen: int,
            flags: int,
        ) -> Self:
            return _new(cls, (type, bsize, blocks, bfree, bavail, files, ffree, namelen, flags))

    class Getxattr(Message):
        """The value of an extended attribute (man 7 xattr)."""

        __slots__ = ()
        ID = 275
        NAME = "fsx.getxattr"
        TYPE_WORD = 0x20000113
        FIELDS = (("ino", "uint64"), ("name", "bytes"))
        FORMAT = "QQQ"
        OOL = "name"
        ino: _Int = _F0
        name: _Bytes = _F1

        def __new__(cls, ino: int, name: bytes) -> Self:
            return _new(cls, (ino, name))

    class GetxattrReply(Message):
        """The reply to `fsx.getxattr`."""

        __slots__ = ()
        ID = 276
        NAME = "fsx.getxattr_reply"
        TYPE_WORD = 0x20000114
        FIELDS = (("value", "bytes"),)
        FORMAT = "QQ"
        OOL = "value"
        value: _Bytes = _F0

        def __new__(cls, value: bytes) -> Self:
            return _new(cls, (value,))

    class Setxattr(Message):
        """Sets an extended attribute; `attribute` is its name, NUL, its value; `flags` are bits of `xattr_flag`.
        """

        __slots__ = ()
        ID = 277
        NAME = "fsx.setxattr"
        TYPE_WORD = 0x20000115
        FIELDS = (("ino", "uint64"), ("flags", "uint32"), ("attribute", "bytes"))
        FORMAT = "QQQI"
        OOL = "attribute"
        ino: _Int = _F0
        flags: _Int = _F1
        attribute: _Bytes = _F2

        def __new__(cls, ino: int, flags: int, attribute: bytes) -> Self:
            return _new(cls, (ino, flags, attribute))

    class SetxattrReply(Message):
        """The reply to `fsx.setxattr`."""

        __slots__ = ()
        ID = 278
        NAME = "fsx.setxattr_reply"
        TYPE_WORD = 0x00000116

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Listxattr(Message):
        """The names of all extended attributes, whoever may see them, each with a NUL behind it."""

        __slots__ = ()
        ID = 279
        NAME = "fsx.listxattr"
        TYPE_WORD = 0x00000117
        FIELDS = (("ino", "uint64"),)
        FORMAT = "Q"
        ino: _Int = _F0

        def __new__(cls, ino: int) -> Self:
            return _new(cls, (ino,))

    class ListxattrReply(Message):
        """The reply to `fsx.listxattr`."""

        __slots__ = ()
        ID = 280
        NAME = "fsx.listxattr_reply"
        TYPE_WORD = 0x20000118
        FIELDS = (("names", "bytes"),)
        FORMAT = "QQ"
        OOL = "names"
        names: _Bytes = _F0

        def __new__(cls, names: bytes) -> Self:
            return _new(cls, (names,))

    class Removexattr(Message):
        """Removes an extended attribute."""

        __slots__ = ()
        ID = 281
        NAME = "fsx.removexattr"
        TYPE_WORD = 0x20000119
        FIELDS = (("ino", "uint64"), ("name", "bytes"))
        FORMAT = "QQQ"
        OOL = "name"
        ino: _Int = _F0
        name: _Bytes = _F1

        def __new__(cls, ino: int, name: bytes) -> Self:
            return _new(cls, (ino, name))

    class RemovexattrReply(Message):
        """The reply to `fsx.removexattr`."""

        __slots__ = ()
        ID = 282
        NAME = "fsx.removexattr_reply"
        TYPE_WORD = 0x0000011a

        def __new__(cls) -> Self:
            return _new(cls, ())


class random:
    """Random numbers."""

    class GetRandom(Message):
        """One random number."""

        __slots__ = ()
        ID = 90
        NAME = "random.get_random"
        TYPE_WORD = 0x0000005a

        def __new__(cls) -> Self:
            return _new(cls, ())

    class GetRandomReply(Message):
        """The reply to `random.get_random`."""

        __slots__ = ()
        ID = 91
        NAME = "random.get_random_reply"
        TYPE_WORD = 0x0000005b
        FIELDS = (("random_number", "uint32"),)
        FORMAT = "I"
        random_number: _Int = _F0

        def __new__(cls, random_number: int) -> Self:
            return _new(cls, (random_number,))


class entropy:
    """Random bytes."""

    class Read(Message):
        """`len` random bytes."""

        __slots__ = ()
        ID = 259
        NAME = "entropy.read"
        TYPE_WORD = 0x00000103
        FIELDS = (("len", "size"),)
        FORMAT = "Q"
        len: _Int = _F0

        def __new__(cls, len: int) -> Self:
            return _new(cls, (len,))

    class ReadReply(Message):
        """The reply to `entropy.read`."""

        __slots__ = ()
        ID = 260
        NAME = "entropy.read_reply"
        TYPE_WORD = 0x20000104
        FIELDS = (("data", "bytes"),)
        FORMAT = "QQ"
        OOL = "data"
        data: _Bytes = _F0

        def __new__(cls, data: bytes) -> Self:
            return _new(cls, (data,))


class supervisor:
    """The servers that are started again when they die, under the same task id and on what they had stored.
    """

    class Wait(Message):
        """Waits until a server runs, and says how many times it was started again. ERR_NOT_FOUND: nobody starts
        this task again. ERR_UNAVAILABLE: it could not be started again.
        """

        __slots__ = ()
        ID = 273
        NAME = "supervisor.wait"
        TYPE_WORD = 0x00000111
        FIELDS = (("task", "task"),)
        FORMAT = "i"
        task: _Int = _F0

        def __new__(cls, task: int) -> Self:
            return _new(cls, (task,))

    class WaitReply(Message):
        """The reply to `supervisor.wait`."""

        __slots__ = ()
        ID = 274
        NAME = "supervisor.wait_reply"
        TYPE_WORD = 0x00000112
        FIELDS = (("restarts", "uint32"),)
        FORMAT = "I"
        restarts: _Int = _F0

        def __new__(cls, restarts: int) -> Self:
            return _new(cls, (restarts,))


class tcpip:
    """The network stack. Addresses (a.b.c.d is 0xaabbccdd) and ports are plain numbers in host byte order.
    """

    class RegisterDevice(Message):
        """A network driver makes itself known; the caller's task id stands for the card."""

        __slots__ = ()
        ID = 92
        NAME = "tcpip.register_device"
        TYPE_WORD = 0x0000005c
        FIELDS = (("macaddr", "uint8[6]"),)
        FORMAT = "6s"
        macaddr: _Bytes = _F0

        def __new__(cls, macaddr: bytes) -> Self:
            return _new(cls, (macaddr,))

    class RegisterDeviceReply(Message):
        """The reply to `tcpip.register_device`."""

        __slots__ = ()
        ID = 93
        NAME = "tcpip.register_device_reply"
        TYPE_WORD = 0x0000005d

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Connect(Message):
        """Starts to connect; the handle comes at once."""

        __slots__ = ()
        ID = 94
        NAME = "tcpip.connect"
        TYPE_WORD = 0x0000005e
        FIELDS = (("dst_addr", "uint32"), ("dst_port", "uint16"))
        FORMAT = "IH"
        dst_addr: _Int = _F0
        dst_port: _Int = _F1

        def __new__(cls, dst_addr: int, dst_port: int) -> Self:
            return _new(cls, (dst_addr, dst_port))

    class ConnectReply(Message):
        """The reply to `tcpip.connect`."""

        __slots__ = ()
        ID = 95
        NAME = "tcpip.connect_reply"
        TYPE_WORD = 0x0000005f
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class Listen(Message):
        """Waits for clients at a port."""

        __slots__ = ()
        ID = 96
        NAME = "tcpip.listen"
        TYPE_WORD = 0x00000060
        FIELDS = (("port", "uint16"), ("backlog", "int"))
        FORMAT = "H2xi"
        port: _Int = _F0
        backlog: _Int = _F1

        def __new__(cls, port: int, backlog: int) -> Self:
            return _new(cls, (port, backlog))

    class ListenReply(Message):
        """The reply to `tcpip.listen`."""

        __slots__ = ()
        ID = 97
        NAME = "tcpip.listen_reply"
        TYPE_WORD = 0x00000061
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class Close(Message):
        """Closes a socket."""

        __slots__ = ()
        ID = 98
        NAME = "tcpip.close"
        TYPE_WORD = 0x00000062
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class CloseReply(Message):
        """The reply to `tcpip.close`."""

        __slots__ = ()
        ID = 99
        NAME = "tcpip.close_reply"
        TYPE_WORD = 0x00000063

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Write(Message):
        """Queues data for sending."""

        __slots__ = ()
        ID = 100
        NAME = "tcpip.write"
        TYPE_WORD = 0x20000064
        FIELDS = (("handle", "handle"), ("data", "bytes"))
        FORMAT = "QQi"
        OOL = "data"
        handle: _Int = _F0
        data: _Bytes = _F1

        def __new__(cls, handle: int, data: bytes) -> Self:
            return _new(cls, (handle, data))

    class WriteReply(Message):
        """The reply to `tcpip.write`."""

        __slots__ = ()
        ID = 101
        NAME = "tcpip.write_reply"
        TYPE_WORD = 0x00000065

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Read(Message):
        """What has arrived, at most `len` bytes, maybe none; never waits."""

        __slots__ = ()
        ID = 102
        NAME = "tcpip.read"
        TYPE_WORD = 0x00000066
        FIELDS = (("handle", "handle"), ("len", "size"))
        FORMAT = "i4xQ"
        handle: _Int = _F0
        len: _Int = _F1

        def __new__(cls, handle: int, len: int) -> Self:
            return _new(cls, (handle, len))

    class ReadReply(Message):
        """The reply to `tcpip.read`."""

        __slots__ = ()
        ID = 103
        NAME = "tcpip.read_reply"
        TYPE_WORD = 0x20000067
        FIELDS = (("data", "bytes"),)
        FORMAT = "QQ"
        OOL = "data"
        data: _Bytes = _F0

        def __new__(cls, data: bytes) -> Self:
            return _new(cls, (data,))

    class Accept(Message):
        """The next client of a listening socket; ERR_NOT_FOUND if there is none."""

        __slots__ = ()
        ID = 104
        NAME = "tcpip.accept"
        TYPE_WORD = 0x00000068
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class AcceptReply(Message):
        """The reply to `tcpip.accept`."""

        __slots__ = ()
        ID = 105
        NAME = "tcpip.accept_reply"
        TYPE_WORD = 0x00000069
        FIELDS = (("new_handle", "handle"),)
        FORMAT = "i"
        new_handle: _Int = _F0

        def __new__(cls, new_handle: int) -> Self:
            return _new(cls, (new_handle,))

    class DnsResolve(Message):
        """The address of a host."""

        __slots__ = ()
        ID = 106
        NAME = "tcpip.dns_resolve"
        TYPE_WORD = 0x6000006a
        FIELDS = (("hostname", "str"),)
        FORMAT = "QQ"
        OOL = "hostname"
        hostname: _Str = _F0

        def __new__(cls, hostname: str) -> Self:
            return _new(cls, (hostname,))

    class DnsResolveReply(Message):
        """The reply to `tcpip.dns_resolve`."""

        __slots__ = ()
        ID = 107
        NAME = "tcpip.dns_resolve_reply"
        TYPE_WORD = 0x0000006b
        FIELDS = (("addr", "uint32"),)
        FORMAT = "I"
        addr: _Int = _F0

        def __new__(cls, addr: int) -> Self:
            return _new(cls, (addr,))

    class Closed(Message):
        """The peer has closed the connection."""

        __slots__ = ()
        ID = 108
        NAME = "tcpip.closed"
        TYPE_WORD = 0x0000006c
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class Received(Message):
        """Data has arrived."""

        __slots__ = ()
        ID = 109
        NAME = "tcpip.received"
        TYPE_WORD = 0x0000006d
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))

    class NewClient(Message):
        """A client waits to be accepted."""

        __slots__ = ()
        ID = 110
        NAME = "tcpip.new_client"
        TYPE_WORD = 0x0000006e
        FIELDS = (("handle", "handle"),)
        FORMAT = "i"
        handle: _Int = _F0

        def __new__(cls, handle: int) -> Self:
            return _new(cls, (handle,))


class clock:
    """Clocks in nanoseconds."""

    class ClockId:
        """The clocks there are, with Linux's numbers; coarse and raw ones are asked for as these."""

        REALTIME: Final = 0
        MONOTONIC: Final = 1
        BOOTTIME: Final = 7

    class Gettime(Message):
        """What a clock shows."""

        __slots__ = ()
        ID = 261
        NAME = "clock.gettime"
        TYPE_WORD = 0x00000105
        FIELDS = (("clock", "int"),)
        FORMAT = "i"
        clock: _Int = _F0

        def __new__(cls, clock: int) -> Self:
            return _new(cls, (clock,))

    class GettimeReply(Message):
        """The reply to `clock.gettime`."""

        __slots__ = ()
        ID = 262
        NAME = "clock.gettime_reply"
        TYPE_WORD = 0x00000106
        FIELDS = (("ns", "int64"),)
        FORMAT = "q"
        ns: _Int = _F0

        def __new__(cls, ns: int) -> Self:
            return _new(cls, (ns,))

    class Getres(Message):
        """The step of a clock."""

        __slots__ = ()
        ID = 263
        NAME = "clock.getres"
        TYPE_WORD = 0x00000107
        FIELDS = (("clock", "int"),)
        FORMAT = "i"
        clock: _Int = _F0

        def __new__(cls, clock: int) -> Self:
            return _new(cls, (clock,))

    class GetresReply(Message):
        """The reply to `clock.getres`."""

        __slots__ = ()
        ID = 264
        NAME = "clock.getres_reply"
        TYPE_WORD = 0x00000108
        FIELDS = (("ns", "int64"),)
        FORMAT = "q"
        ns: _Int = _F0

        def __new__(cls, ns: int) -> Self:
            return _new(cls, (ns,))

    class Settime(Message):
        """Sets this machine's real-time clock, never below the monotonic one; the host's is not touched."""

        __slots__ = ()
        ID = 265
        NAME = "clock.settime"
        TYPE_WORD = 0x00000109
        FIELDS = (("clock", "int"), ("ns", "int64"))
        FORMAT = "i4xq"
        clock: _Int = _F0
        ns: _Int = _F1

        def __new__(cls, clock: int, ns: int) -> Self:
            return _new(cls, (clock, ns))

    class SettimeReply(Message):
        """The reply to `clock.settime`."""

        __slots__ = ()
        ID = 266
        NAME = "clock.settime_reply"
        TYPE_WORD = 0x0000010a

        def __new__(cls) -> Self:
            return _new(cls, ())


class vmx:
    """What memory management needs beyond `vm`."""

    class FreePages(Message):
        """Gives pages of vm.alloc_pages back; any part of a range that the caller was given."""

        __slots__ = ()
        ID = 267
        NAME = "vmx.free_pages"
        TYPE_WORD = 0x0000010b
        FIELDS = (("paddr", "paddr"), ("num_pages", "size"))
        FORMAT = "QQ"
        paddr: _Int = _F0
        num_pages: _Int = _F1

        def __new__(cls, paddr: int, num_pages: int) -> Self:
            return _new(cls, (paddr, num_pages))

    class FreePagesReply(Message):
        """The reply to `vmx.free_pages`."""

        __slots__ = ()
        ID = 268
        NAME = "vmx.free_pages_reply"
        TYPE_WORD = 0x0000010c

        def __new__(cls) -> Self:
            return _new(cls, ())

    class Stats(Message):
        """The pages of the machine: all, and those free."""

        __slots__ = ()
        ID = 269
        NAME = "vmx.stats"
        TYPE_WORD = 0x0000010d

        def __new__(cls) -> Self:
            return _new(cls, ())

    class StatsReply(Message):
        """The reply to `vmx.stats`."""

        __slots__ = ()
        ID = 270
        NAME = "vmx.stats_reply"
        TYPE_WORD = 0x0000010e
        FIELDS = (("total", "size"), ("free", "size"))
        FORMAT = "QQ"
        total: _Int = _F0
        free: _Int = _F1

        def __new__(cls, total: int, free: int) -> Self:
            return _new(cls, (total, free))

    class AllocFrames(Message):
        """Allocates single pages wherever they are free, for pagers that map them one by one: `frames` holds a
        little-endian uint32 frame number for each. The kernel counts who refers to a page; one that nobody
        refers to any more is free again without being given back. Asked again with one of the caller's last
        eight serials, the answer is the same pages: so a caller may ask twice. Serial 0 is always new.
        """

        __slots__ = ()
        ID = 271
        NAME = "vmx.alloc_frames"
        TYPE_WORD = 0x0000010f
        FIELDS = (("num_pages", "size"), ("serial", "uint32"))
        FORMAT = "QI"
        num_pages: _Int = _F0
        serial: _Int = _F1

        def __new__(cls, num_pages: int, serial: int) -> Self:
            return _new(cls, (num_pages, serial))

    class AllocFramesReply(Message):
        """The reply to `vmx.alloc_frames`."""

        __slots__ = ()
        ID = 272
        NAME = "vmx.alloc_frames_reply"
        TYPE_WORD = 0x20000110
        FIELDS = (("frames", "bytes"),)
        FORMAT = "QQ"
        OOL = "frames"
        frames: _Bytes = _F0

        def __new__(cls, frames: bytes) -> Self:
            return _new(cls, (frames,))


PageFault.REPLY = PageFaultReply
AbiHook.REPLY = AbiHookReply
hv.X64Start.REPLY = hv.X64StartReply
hv.Halt.REPLY = hv.HaltReply
hv.GuestPageFault.REPLY = hv.GuestPageFaultReply
hv.IoportRead.REPLY = hv.IoportReadReply
hv.IoportWrite.REPLY = hv.IoportWriteReply
benchmark.Nop.REPLY = benchmark.NopReply
benchmark.NopWithOol.REPLY = benchmark.NopWithOolReply
vm.AllocPages.REPLY = vm.AllocPagesReply
discovery.Serve.REPLY = discovery.ServeReply
discovery.Lookup.REPLY = discovery.LookupReply
task.Alloc.REPLY = task.AllocReply
task.Free.REPLY = task.FreeReply
task.Launch.REPLY = task.LaunchReply
task.Watch.REPLY = task.WatchReply
task.Unwatch.REPLY = task.UnwatchReply
ool.Recv.REPLY = ool.RecvReply
ool.Send.REPLY = ool.SendReply
ool.Verify.REPLY = ool.VerifyReply
fs.Open.REPLY = fs.OpenReply
fs.Create.REPLY = fs.CreateReply
fs.Close.REPLY = fs.CloseReply
fs.Read.REPLY = fs.ReadReply
fs.Write.REPLY = fs.WriteReply
fs.Stat.REPLY = fs.StatReply
blk.Read.REPLY = blk.ReadReply
blk.Write.REPLY = blk.WriteReply
rtc.Read.REPLY = rtc.ReadReply
time.Gettimeofday.REPLY = time.GettimeofdayReply
shm.Create.REPLY = shm.CreateReply
shm.Map.REPLY = shm.MapReply
shm.Close.REPLY = shm.CloseReply
shm_test.Read.REPLY = shm_test.ReadReply
dm.AttachPciDevice.REPLY = dm.AttachPciDeviceReply
dm.DetachDevice.REPLY = dm.DetachDeviceReply
dm.PciGetConfig.REPLY = dm.PciGetConfigReply
dm.PciReadConfig.REPLY = dm.PciReadConfigReply
dm.PciWriteConfig.REPLY = dm.PciWriteConfigReply
dm.PciEnableBusMaster.REPLY = dm.PciEnableBusMasterReply
random.GetRandom.REPLY = random.GetRandomReply
tcpip.RegisterDevice.REPLY = tcpip.RegisterDeviceReply
tcpip.Connect.REPLY = tcpip.ConnectReply
tcpip.Listen.REPLY = tcpip.ListenReply
tcpip.Close.REPLY = tcpip.CloseReply
tcpip.Write.REPLY = tcpip.WriteReply
tcpip.Read.REPLY = tcpip.ReadReply
tcpip.Accept.REPLY = tcpip.AcceptReply
tcpip.DnsResolve.REPLY = tcpip.DnsResolveReply
console.Info.REPLY = console.InfoReply
console.Read.REPLY = console.ReadReply
console.Write.REPLY = console.WriteReply
console.Seek.REPLY = console.SeekReply
console.Poll.REPLY = console.PollReply
console.Watch.REPLY = console.WatchReply
console.Tcgets.REPLY = console.TcgetsReply
console.Tcsets.REPLY = console.TcsetsReply
console.Tcflush.REPLY = console.TcflushReply
console.GetWinsize.REPLY = console.GetWinsizeReply
console.SetWinsize.REPLY = console.SetWinsizeReply
fsx.Root.REPLY = fsx.RootReply
fsx.Lookup.REPLY = fsx.LookupReply
fsx.Getattr.REPLY = fsx.GetattrReply
fsx.Setattr.REPLY = fsx.SetattrReply
fsx.Readdir.REPLY = fsx.ReaddirReply
fsx.Readlink.REPLY = fsx.ReadlinkReply
fsx.Mknod.REPLY = fsx.MknodReply
fsx.Mkdir.REPLY = fsx.MkdirReply
fsx.Symlink.REPLY = fsx.SymlinkReply
fsx.Link.REPLY = fsx.LinkReply
fsx.Unlink.REPLY = fsx.UnlinkReply
fsx.Rmdir.REPLY = fsx.RmdirReply
fsx.Rename.REPLY = fsx.RenameReply
fsx.Open.REPLY = fsx.OpenReply
fsx.Fsync.REPLY = fsx.FsyncReply
fsx.Fallocate.REPLY = fsx.FallocateReply
fsx.Statfs.REPLY = fsx.StatfsReply
entropy.Read.REPLY = entropy.ReadReply
clock.Gettime.REPLY = clock.GettimeReply
clock.Getres.REPLY = clock.GetresReply
clock.Settime.REPLY = clock.SettimeReply
vmx.FreePages.REPLY = vmx.FreePagesReply
vmx.Stats.REPLY = vmx.StatsReply
vmx.AllocFrames.REPLY = vmx.AllocFramesReply
supervisor.Wait.REPLY = supervisor.WaitReply
fsx.Getxattr.REPLY = fsx.GetxattrReply
fsx.Setxattr.REPLY = fsx.SetxattrReply
fsx.Listxattr.REPLY = fsx.ListxattrReply
fsx.Removexattr.REPLY = fsx.RemovexattrReply

BY_ID: Final[dict[int, type[Message]]] = {
    1: Notifications,
    2: Async,
    3: Invalid,
    4: Exception_,
    5: PageFault,
    6: PageFaultReply,
    7: AbiHook,
    8: AbiHookReply,
    9: hv.X64Start,
    10: hv.X64StartReply,
    11: hv.Halt,
    12: hv.HaltReply,
    13: hv.GuestPageFault,
    14: hv.GuestPageFaultReply,
    15: hv.IoportRead,
    16: hv.IoportReadReply,
    17: hv.IoportWrite,
    18: hv.IoportWriteReply,
    19: hv.Await,
    20: hv.InjectIrq,
    21: benchmark.Nop,
    22: benchmark.NopReply,
    23: benchmark.NopWithOol,
    24: benchmark.NopWithOolReply,
    25: vm.AllocPages,
    26: vm.AllocPagesReply,
    27: discovery.Serve,
    28: discovery.ServeReply,
    29: discovery.Lookup,
    30: discovery.LookupReply,
    31: task.Alloc,
    32: task.AllocReply,
    33: task.Free,
    34: task.FreeReply,
    35: task.Launch,
    36: task.LaunchReply,
    37: task.Watch,
    38: task.WatchReply,
    39: task.Unwatch,
    40: task.UnwatchReply,
    41: task.Exited,
    42: ool.Recv,
    43: ool.RecvReply,
    44: ool.Send,
    45: ool.SendReply,
    46: ool.Verify,
    47: ool.VerifyReply,
    48: fs.Open,
    49: fs.OpenReply,
    50: fs.Create,
    51: fs.CreateReply,
    52: fs.Close,
    53: fs.CloseReply,
    54: fs.Read,
    55: fs.ReadReply,
    56: fs.Write,
    57: fs.WriteReply,
    58: fs.Stat,
    59: fs.StatReply,
    60: blk.Read,
    61: blk.ReadReply,
    62: blk.Write,
    63: blk.WriteReply,
    64: net.Rx,
    65: net.Tx,
    66: rtc.Read,
    67: rtc.ReadReply,
    68: time.Gettimeofday,
    69: time.GettimeofdayReply,
    70: shm.Create,
    71: shm.CreateReply,
    72: shm.Map,
    73: shm.MapReply,
    74: shm.Close,
    75: shm.CloseReply,
    76: shm_test.Read,
    77: shm_test.ReadReply,
    78: dm.AttachPciDevice,
    79: dm.AttachPciDeviceReply,
    80: dm.DetachDevice,
    81: dm.DetachDeviceReply,
    82: dm.PciGetConfig,
    83: dm.PciGetConfigReply,
    84: dm.PciReadConfig,
    85: dm.PciReadConfigReply,
    86: dm.PciWriteConfig,
    87: dm.PciWriteConfigReply,
    88: dm.PciEnableBusMaster,
    89: dm.PciEnableBusMasterReply,
    90: random.GetRandom,
    91: random.GetRandomReply,
    92: tcpip.RegisterDevice,
    93: tcpip.RegisterDeviceReply,
    94: tcpip.Connect,
    95: tcpip.ConnectReply,
    96: tcpip.Listen,
    97: tcpip.ListenReply,
    98: tcpip.Close,
    99: tcpip.CloseReply,
    100: tcpip.Write,
    101: tcpip.WriteReply,
    102: tcpip.Read,
    103: tcpip.ReadReply,
    104: tcpip.Accept,
    105: tcpip.AcceptReply,
    106: tcpip.DnsResolve,
    107: tcpip.DnsResolveReply,
    108: tcpip.Closed,
    109: tcpip.Received,
    110: tcpip.NewClient,
    200: console.Info,
    201: console.InfoReply,
    202: console.Read,
    203: console.ReadReply,
    204: console.Write,
    205: console.WriteReply,
    206: console.Seek,
    207: console.SeekReply,
    208: console.Poll,
    209: console.PollReply,
    210: console.Watch,
    211: console.WatchReply,
    212: console.Ready,
    213: console.Tcgets,
    214: console.TcgetsReply,
    215: console.Tcsets,
    216: console.TcsetsReply,
    217: console.Tcflush,
    218: console.TcflushReply,
    219: console.GetWinsize,
    220: console.GetWinsizeReply,
    221: console.SetWinsize,
    222: console.SetWinsizeReply,
    223: console.Signal,
    224: fsx.Root,
    225: fsx.RootReply,
    226: fsx.Lookup,
    227: fsx.LookupReply,
    228: fsx.Forget,
    229: fsx.Getattr,
    230: fsx.GetattrReply,
    231: fsx.Setattr,
    232: fsx.SetattrReply,
    233: fsx.Readdir,
    234: fsx.ReaddirReply,
    235: fsx.Readlink,
    236: fsx.ReadlinkReply,
    237: fsx.Mknod,
    238: fsx.MknodReply,
    239: fsx.Mkdir,
    240: fsx.MkdirReply,
    241: fsx.Symlink,
    242: fsx.SymlinkReply,
    243: fsx.Link,
    244: fsx.LinkReply,
    245: fsx.Unlink,
    246: fsx.UnlinkReply,
    247: fsx.Rmdir,
    248: fsx.RmdirReply,
    249: fsx.Rename,
    250: fsx.RenameReply,
    251: fsx.Open,
    252: fsx.OpenReply,
    253: fsx.Fsync,
    254: fsx.FsyncReply,
    255: fsx.Fallocate,
    256: fsx.FallocateReply,
    257: fsx.Statfs,
    258: fsx.StatfsReply,
    259: entropy.Read,
    260: entropy.ReadReply,
    261: clock.Gettime,
    262: clock.GettimeReply,
    263: clock.Getres,
    264: clock.GetresReply,
    265: clock.Settime,
    266: clock.SettimeReply,
    267: vmx.FreePages,
    268: vmx.FreePagesReply,
    269: vmx.Stats,
    270: vmx.StatsReply,
    271: vmx.AllocFrames,
    272: vmx.AllocFramesReply,
    273: supervisor.Wait,
    274: supervisor.WaitReply,
    275: fsx.Getxattr,
    276: fsx.GetxattrReply,
    277: fsx.Setxattr,
    278: fsx.SetxattrReply,
    279: fsx.Listxattr,
    280: fsx.ListxattrReply,
    281: fsx.Removexattr,
    282: fsx.RemovexattrReply,
}
"""Every message class by its id."""


def unpack(data: bytes | bytearray | memoryview, ool: bytes | None = None) -> Message:
    """The message in `data`, of whatever class its type word says.

    Raises:
        ValueError: no such message, or not its bytes.
    """
    word = int.from_bytes(data[:4], "little", signed=True)
    found = BY_ID.get(word & ID_MASK) if word > 0 else None
    if found is None:
        raise ValueError(f"no message has the type word {word & 0xFFFFFFFF:#x}")
    return found.unpack(data, ool)
