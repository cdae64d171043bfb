"""Requests to a terminal (man 2 ioctl_tty)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from syscalls.abi.errno import EINVAL, EIO, ENOTTY, EPERM, ESRCH
from syscalls.abi.flags import (
    CAP_SYS_ADMIN,
    CBAUD,
    FIONREAD,
    N_TTY,
    SIGTTOU,
    SIGWINCH,
    TCFLSH,
    TCGETA,
    TCGETS,
    TCGETS2,
    TCIOFLUSH,
    TCION,
    TCSBRK,
    TCSBRKP,
    TCSETA,
    TCSETAF,
    TCSETAW,
    TCSETS,
    TCSETS2,
    TCSETSF,
    TCSETSF2,
    TCSETSW,
    TCSETSW2,
    TCXONC,
    TIOCCBRK,
    TIOCEXCL,
    TIOCGDEV,
    TIOCGETD,
    TIOCGEXCL,
    TIOCGPGRP,
    TIOCGSID,
    TIOCGWINSZ,
    TIOCNOTTY,
    TIOCNXCL,
    TIOCOUTQ,
    TIOCSBRK,
    TIOCSCTTY,
    TIOCSETD,
    TIOCSPGRP,
    TIOCSTI,
    TIOCSWINSZ,
    TIOCVHANGUP,
)
from syscalls.abi.structs import Termio, Termios, Winsize
from syscalls.errors import SysError
from syscalls.objects.device import CONSOLE_RDEV
from syscalls.objects.siginfo import SigInfo
from syscalls.objects.signal import send_group
from syscalls.types import s32

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.objects.task import Task
    from syscalls.objects.tty import Tty, TtyFile

_NOW, _DRAIN, _FLUSH = range(3)
_BAUD_MASK = 0o17
_BAUD_EXTRA = 0o10000
_SPEEDS = (0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400)
_FAST_SPEEDS = (0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000)


async def tty_ioctl(t: Task, file: TtyFile, cmd: int, arg: int) -> int:
    """Serve one request; ENOTTY for those that are not a terminal's."""
    tty = file.tty
    if tty.hung_up:
        raise SysError(ENOTTY if cmd == TIOCSPGRP else EIO)
    handler = _HANDLERS.get(cmd)
    if handler is None:
        raise SysError(ENOTTY)
    await handler(t, tty, arg)
    return 0


def _speed(c_cflag: int) -> int:
    """Bits per second of the CBAUD bits."""
    index = c_cflag & CBAUD & _BAUD_MASK
    if not c_cflag & _BAUD_EXTRA:
        return _SPEEDS[index]
    return _FAST_SPEEDS[index] if index < len(_FAST_SPEEDS) else 0


async def _tcgets(t: Task, tty: Tty, arg: int) -> None:
    await t.mem.put(arg, await tty.get_termios())


async def _tcgets2(t: Task, tty: Tty, arg: int) -> None:
    termios = await tty.get_termios()
    speed = _speed(termios.c_cflag)
    await t.mem.write(arg, termios.pack() + struct.pack("<II", speed, speed))


def _tcsets(action: int) -> Callable[[Task, Tty, int], Awaitable[None]]:
    async def tcsets(t: Task, tty: Tty, arg: int) -> None:
        tty.check_job(t, SIGTTOU)
        await tty.set_termios(action, await t.mem.struct(arg, Termios))

    return tcsets


async def _tcgeta(t: Task, tty: Tty, arg: int) -> None:
    termios = await tty.get_termios()
    await t.mem.put(
        arg,
        Termio(
            termios.c_iflag & 0xFFFF,
            termios.c_oflag & 0xFFFF,
            termios.c_cflag & 0xFFFF,
            termios.c_lflag & 0xFFFF,
            termios.c_line,
            termios.c_cc[:8],
        ),
    )


def _tcseta(action: int) -> Callable[[Task, Tty, int], Awaitable[None]]:
    async def tcseta(t: Task, tty: Tty, arg: int) -> None:
        tty.check_job(t, SIGTTOU)
        termio = await t.mem.struct(arg, Termio)
        now = await tty.get_termios()
        wanted = now.replace(
            c_iflag=now.c_iflag & ~0xFFFF | termio.c_iflag,
            c_oflag=now.c_oflag & ~0xFFFF | termio.c_oflag,
            c_cflag=now.c_cflag & ~0xFFFF | termio.c_cflag,
            c_lflag=now.c_lflag & ~0xFFFF | termio.c_lflag,
            c_line=termio.c_line,
            c_cc=termio.c_cc + now.c_cc[8:],
        )
        await tty.set_termios(action, wanted)

    return tcseta


async def _tiocgwinsz(t: Task, tty: Tty, arg: int) -> None:
    await t.mem.put(arg, Winsize(*await tty.get_winsize()))


async def _tiocswinsz(t: Task, tty: Tty, arg: int) -> None:
    size = await t.mem.struct(arg, Winsize)
    wanted = (size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel)
    if wanted == await tty.get_winsize():
        return
    await tty.set_winsize(wanted)
    if tty.foreground is not None:
        send_group(tty.foreground, SigInfo(SIGWINCH))


async def _tiocgpgrp(t: Task, tty: Tty, arg: int) -> None:
    if not tty.controls(t.process):
        raise SysError(ENOTTY)
    await t.mem.put_u32(arg, tty.foreground.pgid if tty.foreground is not None else 0)


async def _tiocspgrp(t: Task, tty: Tty, arg: int) -> None:
    """Linux also takes a process that leads no group, and looks at the number before the terminal's session."""
    try:
        tty.check_job(t, SIGTTOU)
    except SysError:
        raise SysError(ENOTTY) from None
    if not tty.controls(t.process):
        raise SysError(ENOTTY)
    pgid = s32(await t.mem.u32(arg))
    if pgid < 0:
        raise SysError(EINVAL)
    pgrp = t.process.table.groups.get(pgid)
    if pgrp is None:
        raise SysError(ESRCH)
    if pgrp.session is not t.process.session:
        raise SysError(EPERM)
    tty.foreground = pgrp


async def _tiocgsid(t: Task, tty: Tty, arg: int) -> None:
    if not tty.controls(t.process) or tty.session is None:
        raise SysError(ENOTTY)
    await t.mem.put_u32(arg, tty.session.sid)


async def _tiocsctty(t: Task, tty: Tty, arg: int) -> None:
    process = t.process
    session = process.session
    if tty.session is session and session.leader is process:
        return
    if session.leader is not process or session.tty is not None:
        raise SysError(EPERM)
    if tty.session is not None and not (arg == 1 and t.creds.capable(CAP_SYS_ADMIN)):
        raise SysError(EPERM)
    tty.give_to(session, process.pgrp)


async def _tiocnotty(t: Task, tty: Tty, arg: int) -> None:
    if not tty.controls(t.process):
        raise SysError(ENOTTY)
    # Here the terminal belongs to the session as a whole: another member than the leader cannot let go alone.
    if t.process.session.leader is t.process:
        tty.take_away(exiting=False)


async def _tcflsh(t: Task, tty: Tty, arg: int) -> None:
    tty.check_job(t, SIGTTOU)
    if arg > TCIOFLUSH:
        raise SysError(EINVAL)
    await tty.flush(arg)


async def _tcsbrk(t: Task, tty: Tty, arg: int) -> None:
    """Breaks have no effect on a terminal without a line."""
    tty.check_job(t, SIGTTOU)


async def _tcxonc(t: Task, tty: Tty, arg: int) -> None:
    tty.check_job(t, SIGTTOU)
    if arg > TCION:
        raise SysError(EINVAL)


async def _tiocoutq(t: Task, tty: Tty, arg: int) -> None:
    await t.mem.put_u32(arg, 0)


async def _fionread(t: Task, tty: Tty, arg: int) -> None:
    await t.mem.put_u32(arg, await tty.pending())


async def _tiocexcl(t: Task, tty: Tty, arg: int) -> None:
    tty.exclusive = True


async def _tiocnxcl(t: Task, tty: Tty, arg: int) -> None:
    tty.exclusive = False


async def _tiocgexcl(t: Task, tty: Tty, arg: int) -> None:
    await t.mem.put_u32(arg, int(tty.exclusive))


async def _tiocsti(t: Task, tty: Tty, arg: int) -> None:
    raise SysError(EIO)  # as with dev.tty.legacy_tiocsti = 0


async def _tiocgetd(t: Task, tty: Tty, arg: int) -> None:
    await t.mem.put_u32(arg, N_TTY)


async def _tiocsetd(t: Task, tty: Tty, arg: int) -> None:
    tty.check_job(t, SIGTTOU)
    if await t.mem.u32(arg) != N_TTY:
        raise SysError(EINVAL)


async def _tiocgdev(t: Task, tty: Tty, arg: int) -> None:
    await t.mem.put_u32(arg, CONSOLE_RDEV)


async def _tiocvhangup(t: Task, tty: Tty, arg: int) -> None:
    if not t.creds.capable(CAP_SYS_ADMIN):
        raise SysError(EPERM)
    tty.hang_up()


_HANDLERS: dict[int, Callable[[Task, Tty, int], Awaitable[None]]] = {
    TCGETS: _tcgets,
    TCGETS2: _tcgets2,
    TCSETS: _tcsets(_NOW),
    TCSETSW: _tcsets(_DRAIN),
    TCSETSF: _tcsets(_FLUSH),
    TCSETS2: _tcsets(_NOW),
    TCSETSW2: _tcsets(_DRAIN),
    TCSETSF2: _tcsets(_FLUSH),
    TCGETA: _tcgeta,
    TCSETA: _tcseta(_NOW),
    TCSETAW: _tcseta(_DRAIN),
    TCSETAF: _tcseta(_FLUSH),
    TCSBRK: _tcsbrk,
    TCSBRKP: _tcsbrk,
    TIOCSBRK: _tcsbrk,
    TIOCCBRK: _tcsbrk,
    TCXONC: _tcxonc,
    TCFLSH: _tcflsh,
    TIOCEXCL: _tiocexcl,
    TIOCNXCL: _tiocnxcl,
    TIOCGEXCL: _tiocgexcl,
    TIOCSCTTY: _tiocsctty,
    TIOCNOTTY: _tiocnotty,
    TIOCGPGRP: _tiocgpgrp,
    TIOCSPGRP: _tiocspgrp,
    TIOCGSID: _tiocgsid,
    TIOCGWINSZ: _tiocgwinsz,
    TIOCSWINSZ: _tiocswinsz,
    TIOCOUTQ: _tiocoutq,
    FIONREAD: _fionread,
    TIOCSTI: _tiocsti,
    TIOCGETD: _tiocgetd,
    TIOCSETD: _tiocsetd,
    TIOCGDEV: _tiocgdev,
    TIOCVHANGUP: _tiocvhangup,
}
