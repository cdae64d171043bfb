"""Requests of terminals: ioctl_tty(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import ioctl_tables as tables
from linuxemu.trace.formats.basic import address, flags, hexadecimal, named, structure
from linuxemu.trace.formats.ioctls import choice, decimal, gives, nothing, number, pointed, process, takes
from linuxemu.trace.formats.strings import text
from syscalls.abi import flags as constants
from syscalls.abi.structs import Termio, Termios, Termios2, Winsize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linuxemu.trace.call import Call

_SPEED = 0o10017
_INPUT_SHIFT = 16
_SIZE = 0o60
_DELAYS = 0o177400
_DELAY_NAMES = (
    (0o400, {0: "NL0", 0o400: "NL1"}),
    (0o3000, tables.RETURN_DELAYS),
    (0o14000, tables.TAB_DELAYS),
    (0o20000, {0: "BS0", 0o20000: "BS1"}),
    (0o40000, {0: "VT0", 0o40000: "VT1"}),
    (0o100000, {0: "FF0", 0o100000: "FF1"}),
)


def _flags(call: Call, value: int, names: Mapping[int, str]) -> str:
    """Flags, and nothing at all where none is set."""
    return flags(call, value, names, "") if value else ""


def _delays(call: Call, value: int) -> str:
    """c_oflag: how long the terminal needs for what, and the other flags."""
    parts = [named(call, value & mask, names, "") for mask, names in _DELAY_NAMES]
    return "|".join([*parts, _flags(call, value & ~_DELAYS, tables.OUTPUT_FLAGS)])


def _control(call: Call, value: int) -> str:
    """c_cflag: speeds, bits of a character, and the other flags."""
    text = named(call, value & _SPEED, tables.SPEEDS, "B???")
    entered = value >> _INPUT_SHIFT & _SPEED
    if entered:
        shift = named(call, _INPUT_SHIFT, {_INPUT_SHIFT: "IBSHIFT"}, "")
        text += f"|{named(call, entered, tables.SPEEDS, 'B???')}<<{shift}"
    rest = value & ~(_SPEED | _SPEED << _INPUT_SHIFT | _SIZE)
    return f"{text}|{named(call, value & _SIZE, tables.CHARACTER_SIZES, '')}|{_flags(call, rest, tables.CONTROL_FLAGS)}"


def termios(call: Call, value: Termios | Termios2 | Termio) -> str:
    """struct termios, termios2 or termio."""
    head = (
        f"{{c_iflag={_flags(call, value.c_iflag, tables.INPUT_FLAGS)}, c_oflag={_delays(call, value.c_oflag)}, "
        f"c_cflag={_control(call, value.c_cflag)}, c_lflag={_flags(call, value.c_lflag, tables.LOCAL_FLAGS)}, "
    )
    if call.plan.abbrev:
        return head + "...}"
    names = tables.CONTROL_CHARACTERS
    keys = (f"[{names.get(place, place)}]={hexadecimal(byte)}" for place, byte in enumerate(value.c_cc))
    head += f"c_line={named(call, value.c_line, tables.DISCIPLINES, 'N_???')}, c_cc=[{', '.join(keys)}]"
    if isinstance(value, Termios2):
        head += f", c_ispeed={value.c_ispeed}, c_ospeed={value.c_ospeed}"
    return head + "}"


def _window(call: Call, value: Winsize) -> str:
    return "{" + ", ".join(f"{name}={part}" for name, part in zip(value.FIELDS, value, strict=True)) + "}"


def _lines(call: Call, addr: int) -> str:
    """A pointer to the lines of a modem."""

    def show(data: bytes) -> str:
        return flags(call, int.from_bytes(data, "little"), tables.MODEM_LINES, "TIOCM_???")

    return pointed(call, addr, 4, show)


def _character(call: Call, addr: int) -> str:
    data = call.read(addr, 1) if addr else None
    return text(call, data) if data is not None else address(call, addr)


_TIOCGLCKTRMIOS, _TIOCSLCKTRMIOS = 0x5456, 0x5457

gives(structure(Termios, termios), constants.TCGETS, _TIOCGLCKTRMIOS)
takes(structure(Termios, termios), constants.TCSETS, constants.TCSETSW, constants.TCSETSF, _TIOCSLCKTRMIOS)
gives(structure(Termios2, termios), constants.TCGETS2)
takes(structure(Termios2, termios), constants.TCSETS2, constants.TCSETSW2, constants.TCSETSF2)
gives(structure(Termio, termios), constants.TCGETA)
takes(structure(Termio, termios), constants.TCSETA, constants.TCSETAW, constants.TCSETAF)
gives(structure(Winsize, _window), constants.TIOCGWINSZ)
takes(structure(Winsize, _window), constants.TIOCSWINSZ)
takes(choice(tables.FLOW_ACTIONS, "TC???"), constants.TCXONC)
takes(choice(tables.QUEUES, "TC???"), constants.TCFLSH)
takes(decimal, constants.TCSBRK, constants.TCSBRKP, constants.TIOCSCTTY)
nothing(constants.TIOCEXCL, constants.TIOCNXCL, constants.TIOCNOTTY, constants.TIOCCONS, constants.TIOCVHANGUP)
nothing(constants.TIOCSBRK, constants.TIOCCBRK, constants.TIOCSSERIAL)
gives(process, constants.TIOCGPGRP, constants.TIOCGSID)
takes(process, constants.TIOCSPGRP)
gives(number(4, True), constants.TIOCOUTQ, constants.TIOCGSOFTCAR, constants.TIOCGETD, constants.TIOCGEXCL)
gives(number(4), constants.TIOCGPTN, constants.TIOCGDEV)
takes(number(4, True), constants.TIOCSSOFTCAR, constants.TIOCPKT, constants.TIOCSETD, constants.TIOCSPTLCK)
gives(_lines, constants.TIOCMGET)
takes(_lines, constants.TIOCMSET, constants.TIOCMBIS, constants.TIOCMBIC)
takes(_character, constants.TIOCSTI)
