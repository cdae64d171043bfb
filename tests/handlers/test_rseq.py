"""rseq, membarrier (man 2 rseq, man 2 membarrier)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.arch.x86_64 import USER_END
from linuxemu.testing import Guest
from linuxemu.testing.stepping import AFTER_SYSCALL
from syscalls.abi.errno import EBUSY, EFAULT, EINVAL, EPERM
from syscalls.abi.flags import (
    MEMBARRIER_CMD_FLAG_CPU,
    MEMBARRIER_CMD_GET_REGISTRATIONS,
    MEMBARRIER_CMD_GLOBAL,
    MEMBARRIER_CMD_GLOBAL_EXPEDITED,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
    MEMBARRIER_CMD_QUERY,
    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
    RSEQ_FLAG_UNREGISTER,
    SIGSEGV,
    SIGUSR1,
)
from syscalls.abi.structs import Rseq, RseqCs, Timespec
from syscalls.objects.rseq import RSEQ_ALIGN
from tests.handlers.cases import BAD, NULL, SUCCESS, fails, ok, proves

if TYPE_CHECKING:
    from linuxemu.testing import Call, GuestThread

SIGNATURE = 0x5305_3053
SIZE = 32
AREA = 0x2100_0000
"""Where the struct of a case lies: the first thing that is put into memory."""
FILLED = Rseq(*(0x1111 * n for n in range(1, 7))).replace(rseq_cs=0)
RUNNING = Rseq(flags=FILLED.flags)
GONE = RUNNING.replace(cpu_id=0xFFFF_FFFF)
_UCONTEXT_RIP = 168


def _with_area(guest: Guest) -> None:
    assert guest.put(FILLED.pack() + bytes(SIZE), align=RSEQ_ALIGN) == AREA


def _registered(guest: Guest) -> None:
    _with_area(guest)
    guest.syscall.rseq(AREA, SIZE, 0, SIGNATURE)


def _shows(wanted: Rseq) -> Any:
    def check(guest: Guest, call: Call) -> None:
        assert Rseq.unpack(guest.read(AREA, Rseq.SIZE)) == wanted

    return check


def _registered_longer(guest: Guest) -> None:
    _with_area(guest)
    guest.syscall.rseq(AREA, SIZE + 1, 0, SIGNATURE)


CASES = [
    ok("rseq", AREA, SIZE, 0, SIGNATURE, returns=0, rpcs=[], setup=_with_area, check=_shows(RUNNING)),
    ok("rseq", AREA, SIZE + 1, 0, SIGNATURE, returns=0, rpcs=[], setup=_with_area, label="later version"),
    ok("rseq", AREA, SIZE, RSEQ_FLAG_UNREGISTER, SIGNATURE, returns=0, rpcs=[], setup=_registered,
       check=_shows(GONE), label="unregister"),
    ok("rseq", AREA, SIZE + 1, RSEQ_FLAG_UNREGISTER, SIGNATURE, returns=0, rpcs=[], setup=_registered_longer,
       label="unregister a later version"),
    fails("rseq", EFAULT, NULL, SIZE, 0, SIGNATURE, rpcs=[], label="null"),
    fails("rseq", EFAULT, USER_END - SIZE, SIZE + 1, 0, SIGNATURE, rpcs=[], label="beyond user space"),
    fails("rseq", EINVAL, AREA, SIZE, 2, SIGNATURE, rpcs=[], label="unknown flag"),
    fails("rseq", EINVAL, AREA, SIZE, 3, SIGNATURE, rpcs=[], setup=_registered, label="unregister with unknown flag"),
    fails("rseq", EINVAL, BAD, SIZE - 1, 0, SIGNATURE, rpcs=[], label="too short"),
    fails("rseq", EINVAL, BAD + 16, SIZE, 0, SIGNATURE, rpcs=[], label="not aligned"),
    fails("rseq", EINVAL, BAD + 16, SIZE + 8, 0, SIGNATURE, rpcs=[], label="later version not aligned"),
    fails("rseq", EINVAL, NULL, 0, RSEQ_FLAG_UNREGISTER, 0, rpcs=[], label="nothing registered"),
    fails("rseq", EINVAL, AREA + 32, SIZE, 0, SIGNATURE, rpcs=[], setup=_registered, label="another address"),
    fails("rseq", EINVAL, AREA, SIZE + 1, 0, 0, rpcs=[], setup=_registered, label="another length"),
    fails("rseq", EINVAL, AREA + 32, SIZE, 1, 0, rpcs=[], setup=_registered, label="unregister another address"),
    fails("rseq", EINVAL, AREA, SIZE + 1, 1, 0, rpcs=[], setup=_registered, label="unregister another length"),
    fails("rseq", EPERM, AREA, SIZE, 0, 0, rpcs=[], setup=_registered, label="another signature"),
    fails("rseq", EPERM, AREA, SIZE, RSEQ_FLAG_UNREGISTER, 0, rpcs=[], setup=_registered),
    fails("rseq", EBUSY, AREA, SIZE, 0, SIGNATURE, rpcs=[], setup=_registered),
    ok("membarrier", MEMBARRIER_CMD_QUERY, 0, 0, returns=0x3FF, rpcs=[]),
    ok("membarrier", MEMBARRIER_CMD_GLOBAL, 0, 0, returns=0, rpcs=[], label="global"),
    ok("membarrier", MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0, returns=0, rpcs=[], label="global expedited"),
    ok("membarrier", MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0, returns=0, rpcs=[], label="no registrations"),
    fails("membarrier", EINVAL, 3, 0, 0, rpcs=[], label="two at once"),
    fails("membarrier", EINVAL, 1024, 0, 0, rpcs=[], label="unknown"),
    fails("membarrier", EINVAL, -1, 0, 0, rpcs=[], label="negative"),
    fails("membarrier", EINVAL, MEMBARRIER_CMD_QUERY, 1, 0, rpcs=[], label="flags"),
    fails("membarrier", EINVAL, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 2, 0, rpcs=[], label="unknown flag"),
    fails("membarrier", EPERM, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0, rpcs=[]),
    fails("membarrier", EPERM, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0, rpcs=[], label="core"),
    fails("membarrier", EPERM, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU, 0, rpcs=[],
          label="rseq"),
]  # fmt: skip


# -- registration ---------------------------------------------------------------------------------------------------


@proves("rseq", EFAULT, rpcs=[])
def test_what_is_unmapped_stays_registered(guest: Guest) -> None:
    _registered(guest)
    guest.syscall.munmap(AREA, 4096)
    assert guest.start.rseq(AREA, SIZE, RSEQ_FLAG_UNREGISTER, SIGNATURE).errno == EFAULT
    assert guest.main.t.rseq is not None


def test_a_critical_section_from_before_is_forgotten(guest: Guest) -> None:
    _with_area(guest)
    guest.write(AREA, FILLED.replace(rseq_cs=8).pack())
    guest.syscall.rseq(AREA, SIZE, 0, SIGNATURE)
    _shows(RUNNING)(guest, None)


@pytest.mark.parametrize(("rseq_cs", "gone"), [(0, True), (8, False)])
def test_a_struct_that_cannot_be_written(guest: Guest, rseq_cs: int, gone: bool) -> None:
    call = guest.start.rseq(guest.read_only(Rseq(rseq_cs=rseq_cs).pack()), SIZE, 0, SIGNATURE)
    assert (call.gone, guest.main.signal) == (gone, SIGSEGV if gone else None)
    assert gone or call.errno == EFAULT


def test_a_forked_child_has_it_and_a_thread_has_not(guest: Guest) -> None:
    _registered(guest)
    child, thread = guest.fork(), guest.thread()
    assert child.start.rseq(AREA, SIZE, 0, SIGNATURE).errno == EBUSY
    assert thread.start.rseq(AREA + SIZE, SIZE, 0, SIGNATURE).result == 0


# -- critical sections ----------------------------------------------------------------------------------------------


class Section:
    """A critical section around the instruction behind `syscall`, with an abort handler at an address of its own."""

    def __init__(self, guest: Guest, **changes: int) -> None:
        _registered(guest)
        guest.write(AREA, RUNNING.replace(flags=0).pack())
        self.guest = guest
        self.abort_ip = guest.put(SIGNATURE.to_bytes(4, "little")) + 4
        section = RseqCs(0, 0, AFTER_SYSCALL - 1, 2, self.abort_ip)
        self.at = guest.put(section.replace(**changes))

    def enter(self) -> None:
        """What the program stores on its way into the section."""
        self.guest.write(AREA + 8, self.at.to_bytes(8, "little"))

    def sleep(self) -> Call:
        """Let others run while the thread is in the section."""
        self.enter()
        call = self.guest.start.nanosleep(Timespec(1, 0), NULL)
        self.guest.clock.advance(s=2)
        return call

    @property
    def left(self) -> bool:
        """Whether none is noted any more."""
        return Rseq.unpack(self.guest.read(AREA, Rseq.SIZE)) == Rseq()


def _interrupted_at(guest: Guest, thread: GuestThread) -> int:
    return int.from_bytes(guest.read(thread.regs.rdx + _UCONTEXT_RIP, 8), "little")


def test_when_others_ran_the_abort_handler_runs(guest: Guest) -> None:
    section = Section(guest)
    section.sleep()
    assert (guest.main.stopped_at, section.left) == (section.abort_ip, True)


@pytest.mark.parametrize(
    "changes", [{"post_commit_offset": 1}, {"post_commit_offset": 0}, {"start_ip": AFTER_SYSCALL + 1}]
)
def test_outside_of_its_section_a_thread_goes_on(guest: Guest, changes: dict[str, int]) -> None:
    section = Section(guest, **changes)
    assert section.sleep().result == 0
    assert section.left


def test_a_call_that_does_not_wait_leaves_it_alone(guest: Guest) -> None:
    section = Section(guest)
    section.enter()
    guest.syscall.getppid()
    assert not section.left


def test_the_handler_of_a_signal_returns_to_the_abort_handler(guest: Guest) -> None:
    section, handler = Section(guest), guest.on_signal(SIGUSR1, hold=True)
    section.enter()
    guest.start.kill(guest.main.pid, SIGUSR1)
    assert (guest.main.held_in, section.left) == (handler, True)
    assert _interrupted_at(guest, guest.main) == section.abort_ip
    guest.main.sigreturn()
    assert guest.main.stopped_at == section.abort_ip


def test_nothing_is_left_once_it_is_unregistered(guest: Guest) -> None:
    section = Section(guest)
    guest.syscall.rseq(AREA, SIZE, RSEQ_FLAG_UNREGISTER, SIGNATURE)
    assert section.sleep().result == 0


BROKEN: list[dict[str, int]] = [
    {"version": 1}, {"flags": 1}, {"abort_ip": AFTER_SYSCALL}, {"abort_ip": USER_END}, {"abort_ip": 2},
    {"abort_ip": AREA + 1}, {"post_commit_offset": (1 << 64) - 1}, {"start_ip": USER_END},
]  # fmt: skip


@pytest.mark.parametrize("changes", BROKEN)
def test_what_is_no_section_is_the_end(guest: Guest, changes: dict[str, int]) -> None:
    call = Section(guest, **changes).sleep()
    assert (call.gone, guest.main.signal) == (True, SIGSEGV)


@pytest.mark.parametrize("where", [8, USER_END, BAD])
def test_a_section_that_cannot_be_read_is_the_end(guest: Guest, where: int) -> None:
    section = Section(guest)
    section.at = where
    assert (section.sleep().gone, guest.main.signal) == (True, SIGSEGV)


@pytest.mark.parametrize(("length", "gone"), [(0, False), (2, True)])
def test_flags_of_the_struct_are_refused_in_a_section_only(guest: Guest, length: int, gone: bool) -> None:
    section = Section(guest, post_commit_offset=length)
    guest.write(AREA, Rseq(flags=1).pack())
    assert section.sleep().gone is gone


def test_a_broken_section_at_a_signal(guest: Guest) -> None:
    section, handler = Section(guest, version=1), guest.on_signal(SIGUSR1)
    section.enter()
    call = guest.start.kill(guest.main.pid, SIGUSR1)
    assert (call.gone, guest.main.signal, handler.signals) == (True, SIGSEGV, [])


@pytest.mark.parametrize("protect", [False, True])
def test_a_struct_that_went_away_is_the_end_when_others_ran(guest: Guest, protect: bool) -> None:
    _registered(guest)
    if protect:
        guest.syscall.mprotect(AREA, 4096, 1)
    else:
        guest.syscall.munmap(AREA, 4096)
    call = guest.start.nanosleep(Timespec(1, 0), guest.put(bytes(16), align=8192))
    guest.clock.advance(s=2)
    assert (call.gone, guest.main.signal) == (True, SIGSEGV)


def test_a_child_does_not_begin_in_a_critical_section(guest: Guest) -> None:
    section = Section(guest)
    section.enter()
    child = guest.thread_of(guest.syscall.fork())
    assert child.stopped_at == section.abort_ip
    assert Rseq.unpack(guest.read(AREA, Rseq.SIZE, thread=child)) == Rseq()
    assert not section.left


# -- barriers -------------------------------------------------------------------------------------------------------

REGISTERED = [
    (MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0),
    (MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
     MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED),
    (MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
     MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED),
    (MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0),
]  # fmt: skip


@pytest.mark.parametrize(("register", "barrier", "besides"), REGISTERED)
@proves("membarrier", SUCCESS, rpcs=[])
def test_a_process_registers_for_a_barrier(guest: Guest, register: int, barrier: int, besides: int) -> None:
    assert guest.syscall.membarrier(register, 0, 0) == 0
    assert guest.syscall.membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0) == register | besides
    assert guest.syscall.membarrier(barrier, 0, 0) == 0
    for _, other, _ in REGISTERED[:3]:
        assert guest.start.membarrier(other, 0, 0).errno == (SUCCESS if other == barrier else EPERM)
    assert guest.fork().syscall.membarrier(barrier, 0, 0) == 0
    assert guest.process().syscall.membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0) == 0


def test_a_barrier_of_one_cpu(guest: Guest) -> None:
    guest.syscall.membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0)
    for cpu in (-1, 0, 9999):
        guest.syscall.membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU, cpu)
