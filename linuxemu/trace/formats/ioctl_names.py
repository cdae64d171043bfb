"""Requests of ioctl(2) by name. The same number may be a request of several drivers."""

from __future__ import annotations

from functools import cache
from pkgutil import get_data

from linuxemu.trace.formats.basic import hexadecimal
from linuxemu.trace.formats.ioctl_tables import AXES, EVENT_TYPES

_NONE, _WRITE, _READ = 0, 1, 2
_DIRECTIONS = {_NONE: "_IOC_NONE", _WRITE: "_IOC_WRITE", _READ: "_IOC_READ", _READ | _WRITE: "_IOC_READ|_IOC_WRITE"}
_SIZED = {0x06: "NAME", 0x07: "PHYS", 0x08: "UNIQ", 0x09: "PROP", 0x18: "KEY", 0x19: "LED", 0x1A: "SND", 0x1B: "SW"}
_EV_BITS, _ABS_BITS, _ABS_SET = 0x20, 0x40, 0xC0
_INPUT, _JOYSTICK = ord("E"), ord("j")
_JS_NAME = 0x13


@cache
def names() -> dict[int, str]:
    """Number to names, joined by "or" where there are several."""
    data = get_data(__package__ or "", "ioctls.txt") or b""
    found: dict[int, str] = {}
    for line in data.decode("ascii").splitlines():
        number, *known = line.split()
        found[int(number, 16)] = " or ".join(known)
    return found


def name(request: int) -> str | None:
    """The name of a request, None if it has none."""
    return names().get(request) or _parametrised(request)


def spelled(request: int) -> str:
    """A request without a name, by its parts."""
    direction, size, kind, number = request >> 30, request >> 16 & 0x3FFF, request >> 8 & 0xFF, request & 0xFF
    return f"_IOC({_DIRECTIONS[direction]}, {hexadecimal(kind)}, {hexadecimal(number)}, {hexadecimal(size)})"


def _parametrised(request: int) -> str | None:
    """Requests whose numbers have parameters in them: those of input devices and joysticks."""
    direction, size, kind, number = request >> 30, request >> 16 & 0x3FFF, request >> 8 & 0xFF, request & 0xFF
    if kind == _JOYSTICK:
        return f"JSIOCGNAME({size})" if direction == _READ and number == _JS_NAME else None
    if kind != _INPUT:
        return None
    if direction == _READ:
        if number in _SIZED:
            return f"EVIOCG{_SIZED[number]}({size})"
        if _EV_BITS <= number < _ABS_BITS:
            event = number - _EV_BITS
            return f"EVIOCGBIT({EVENT_TYPES.get(event, hexadecimal(event)) if event else 0}, {size})"
        if _ABS_BITS <= number < _ABS_BITS + 0x40:
            return f"EVIOCGABS({_axis(number - _ABS_BITS)})"
    if direction == _WRITE and number >= _ABS_SET:
        return f"EVIOCSABS({_axis(number - _ABS_SET)})"
    return None


def _axis(number: int) -> str:
    return AXES.get(number) or f"{hexadecimal(number)} /* ABS_??? */"
