"""The microkernel: frames, address spaces, tasks, messages, timers, scheduler."""

from __future__ import annotations

from linuxemu.kernel.activity import Waiter as Waiter
from linuxemu.kernel.activity import WaitQueue as WaitQueue
from linuxemu.kernel.activity import park as park
from linuxemu.kernel.kernel import Kernel as Kernel
from linuxemu.kernel.paging import AddressSpace as AddressSpace
from linuxemu.kernel.port import Port as Port
from linuxemu.kernel.server import Server as Server
from linuxemu.kernel.server import rpc as rpc
