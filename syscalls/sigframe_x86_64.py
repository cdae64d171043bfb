"""The signal frame of x86-64 Linux: what a handler finds on its stack, and what rt_sigreturn takes back.

The layout is that of struct rt_sigframe: return address, ucontext, siginfo; above it the FXSAVE image, and
above that the 128 bytes of red zone which the ABI lets a leaf function use below its stack pointer.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import USER_CS, USER_END, USER_SS, FullRegs, canonical
from linuxemu.messages import TrapFrame
from syscalls.abi.errno import EFAULT, EINVAL, ENOMEM, EPERM
from syscalls.abi.flags import (
    MINSIGSTKSZ,
    SA_ONSTACK,
    SA_RESTORER,
    SA_SIGINFO,
    SI_KERNEL,
    SIGSEGV,
    SS_AUTODISARM,
    SS_DISABLE,
    SS_ONSTACK,
)
from syscalls.errors import SysError
from syscalls.objects.siginfo import SIGINFO_SIZE, UNBLOCKABLE
from syscalls.objects.signal import SigInfo, force_segv, force_signal
from syscalls.objects.task import AltStack

if TYPE_CHECKING:
    from syscalls.objects.siginfo import SigAction
    from syscalls.objects.task import Task

# pretcode; uc_flags uc_link; ss_sp ss_flags ss_size; r8-r15 di si bp bx dx ax cx sp ip flags; cs gs fs ss;
# err trapno oldmask cr2 fpstate; 8 reserved words; uc_sigmask.
_FRAME = Struct("<Q QQ QI4xQ 18Q 4H 5Q 64x Q")
FRAME_SIZE = _FRAME.size + SIGINFO_SIZE
UCONTEXT_OFFSET = 8
SIGINFO_OFFSET = _FRAME.size
FXSAVE_SIZE = 512
_RED_ZONE = 128
_MXCSR_OFFSET = 24
_MXCSR_MASK = 0xFFFF

UC_SIGCONTEXT_SS = 2
UC_STRICT_RESTORE_SS = 4

# rflags that a program may set for itself: CF PF AF ZF SF TF DF OF RF AC.
_USER_FLAGS = 0x0005_0DD5
_HANDLER_CLEARS = 0x0001_0500
"""TF, DF and RF: clear when a handler begins."""

INITIAL_FXSAVE = b"\x7f\x03" + bytes(22) + b"\x80\x1f\0\0" + b"\xff\xff\0\0" + bytes(480)
"""FPU state at the start of a program and of a handler: x87 control word 0x37f, MXCSR 0x1f80."""


def on_stack(stack: AltStack, sp: int) -> bool:
    """Whether a stack pointer is on the alternate stack; SS_AUTODISARM hides that."""
    return not stack.flags & SS_AUTODISARM and _inside(stack, sp)


def _inside(stack: AltStack, sp: int) -> bool:
    return stack.sp < sp <= stack.sp + stack.size


def stack_state(stack: AltStack, sp: int) -> int:
    """ss_flags as sigaltstack reports them, without SS_AUTODISARM."""
    if not stack.size:
        return SS_DISABLE
    return SS_ONSTACK if on_stack(stack, sp) else 0


def change_altstack(t: Task, new: AltStack, sp: int, minimum: int = MINSIGSTKSZ) -> None:
    """Replace the alternate stack (man 2 sigaltstack): EPERM on it, EINVAL for flags, ENOMEM if too small."""
    if on_stack(t.sigaltstack, sp):
        raise SysError(EPERM)
    mode = new.flags & ~SS_AUTODISARM
    if mode not in (SS_DISABLE, SS_ONSTACK, 0):
        raise SysError(EINVAL)
    if new == t.sigaltstack:
        return
    if mode == SS_DISABLE:
        new = AltStack(0, new.flags, 0)
    elif new.size < minimum:
        raise SysError(ENOMEM)
    t.sigaltstack = new


def _place(t: Task, sp: int, flags: int) -> tuple[int, int]:
    """Addresses of the frame and of the FXSAVE image; EFAULT if the alternate stack is too small for them."""
    stack = t.sigaltstack
    sp -= _RED_ZONE
    nested = on_stack(stack, sp)
    entering = False
    if flags & SA_ONSTACK and stack_state(stack, sp) == 0:
        sp = stack.sp + stack.size
        entering = True
    fpstate = (sp - FXSAVE_SIZE) & ~63
    frame = ((fpstate - FRAME_SIZE) & ~15) - 8
    if (nested or entering) and not _inside(stack, frame):
        raise SysError(EFAULT)
    if frame < 0 or fpstate + FXSAVE_SIZE > USER_END:
        raise SysError(EFAULT)
    return frame, fpstate


def _pack(t: Task, regs: FullRegs, action: SigAction, mask: int, fpstate: int) -> bytes:
    f, stack = regs.frame, t.sigaltstack
    return _FRAME.pack(
        action.restorer,
        UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS, 0,
        stack.sp, stack.flags, stack.size,
        f.r8, f.r9, f.r10, regs.r11, f.r12, f.r13, f.r14, f.r15,
        f.rdi, f.rsi, f.rbp, f.rbx, f.rdx, f.rax, regs.rcx, f.rsp, f.rip, f.rflags,
        USER_CS, 0, 0, USER_SS,
        t.trap_error, t.trap_number, mask & 0xFFFF_FFFF_FFFF_FFFF, t.trap_cr2, fpstate,
        mask,
    )  # fmt: skip


async def push_frame(t: Task, regs: FullRegs, info: SigInfo, action: SigAction) -> TrapFrame:
    """Write the frame of a handler to the task's stack; returns the registers with which the handler begins.

    EFAULT if that fails: no room, no memory, or no SA_RESTORER, without which x86-64 has no way back.

    Args:
        t: the task.
        regs: what the handler interrupts.
        info: the signal.
        action: its handler.
    """
    frame, fpstate = _place(t, regs.frame.rsp, action.flags)
    if not action.flags & SA_RESTORER:
        raise SysError(EFAULT)
    mask = t.blocked if t.saved_blocked is None else t.saved_blocked
    data = _pack(t, regs, action, mask, fpstate)
    if action.flags & SA_SIGINFO:
        data += info.pack()
    await t.mem.write(frame, data.ljust(fpstate - frame, b"\0") + regs.fxsave)
    f = regs.frame
    # The order of TrapFrame: rip rflags rbp rax rbx rdx rdi rsi.
    return TrapFrame(
        f.fsbase, f.gsbase, action.handler, f.rflags & ~_HANDLER_CLEARS, f.rbp, 0, f.rbx,
        frame + UCONTEXT_OFFSET, info.signo, frame + SIGINFO_OFFSET,
        f.r8, f.r9, f.r10, f.r12, f.r13, f.r14, f.r15, frame,
    )  # fmt: skip


async def _restore_fpu(t: Task, fpstate: int) -> bytes:
    """The FPU state a frame points to; EFAULT if it is not there or could not be loaded."""
    if not fpstate:
        return INITIAL_FXSAVE
    image = await t.mem.read(fpstate, FXSAVE_SIZE)
    if int.from_bytes(image[_MXCSR_OFFSET : _MXCSR_OFFSET + 4], "little") & ~_MXCSR_MASK:
        raise SysError(EFAULT)
    return image


async def pop_frame(t: Task) -> FullRegs | None:
    """Take back the frame just below the stack pointer (man 2 rt_sigreturn): mask, registers, stack.

    SIGSEGV is the answer to a frame that cannot be read (then the result is None) or not be loaded.
    """
    f = t.frame
    try:
        words = _FRAME.unpack(await t.mem.read((f.rsp - 8) & 0xFFFF_FFFF_FFFF_FFFF, _FRAME.size))
    except SysError:
        force_segv(t)
        return None
    t.blocked = words[33] & ~UNBLOCKABLE
    regs = _registers(f, words)
    try:
        regs.fxsave = await _restore_fpu(t, words[32])
    except SysError:
        force_segv(t)
        return regs
    try:
        change_altstack(t, AltStack(words[3], words[4], words[5]), regs.frame.rsp)
    except SysError:
        pass  # Linux ignores a stack it would not take from sigaltstack
    strict = words[1] & UC_STRICT_RESTORE_SS
    if words[24] | 3 != USER_CS or (strict and words[27] | 3 != USER_SS) or not canonical(regs.frame.rip):
        # The CPU would refuse these on the way to user mode, and Linux then blames the program.
        force_signal(t, SigInfo(SIGSEGV, SI_KERNEL))
    return regs


def _registers(f: TrapFrame, words: tuple[int, ...]) -> FullRegs:
    r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags = words[6:24]
    rflags = (f.rflags & ~_USER_FLAGS) | (rflags & _USER_FLAGS)
    frame = TrapFrame(
        f.fsbase, f.gsbase, rip, rflags, rbp, rax, rbx, rdx, rdi, rsi, r8, r9, r10, r12, r13, r14, r15, rsp
    )
    return FullRegs(frame, rcx, r11, INITIAL_FXSAVE)
