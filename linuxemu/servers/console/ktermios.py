"""Linux's terminal settings (struct ktermios, 36 bytes) on hosts that number them differently."""

from __future__ import annotations

from struct import Struct
from types import ModuleType
from typing import Any

KTERMIOS = Struct("<IIIIB19s")
_DISABLED = b"\0"  # Linux's value for "no such control character"

_INPUT = {
    "IGNBRK": 0o1,
    "BRKINT": 0o2,
    "IGNPAR": 0o4,
    "PARMRK": 0o10,
    "INPCK": 0o20,
    "ISTRIP": 0o40,
    "INLCR": 0o100,
    "IGNCR": 0o200,
    "ICRNL": 0o400,
    "IXON": 0o2000,
    "IXANY": 0o4000,
    "IXOFF": 0o10000,
    "IMAXBEL": 0o20000,
    "IUTF8": 0o40000,
}
_OUTPUT = {
    "OPOST": 0o1,
    "ONLCR": 0o4,
    "OCRNL": 0o10,
    "ONOCR": 0o20,
    "ONLRET": 0o40,
    "OFILL": 0o100,
    "OFDEL": 0o200,
}
_CONTROL = {
    "CSTOPB": 0o100,
    "CREAD": 0o200,
    "PARENB": 0o400,
    "PARODD": 0o1000,
    "HUPCL": 0o2000,
    "CLOCAL": 0o4000,
}
_LOCAL = {
    "ISIG": 0o1,
    "ICANON": 0o2,
    "ECHO": 0o10,
    "ECHOE": 0o20,
    "ECHOK": 0o40,
    "ECHONL": 0o100,
    "NOFLSH": 0o200,
    "TOSTOP": 0o400,
    "ECHOCTL": 0o1000,
    "ECHOPRT": 0o2000,
    "ECHOKE": 0o4000,
    "FLUSHO": 0o10000,
    "PENDIN": 0o40000,
    "IEXTEN": 0o100000,
}
_TABLES = (_INPUT, _OUTPUT, _CONTROL, _LOCAL)
_SIZES = {"CS5": 0, "CS6": 0o20, "CS7": 0o40, "CS8": 0o60}
_SIZE_MASK = 0o60
_SLOW = (0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400)
_FAST = (57600, 115200, 230400)
_SPEEDS = {f"B{baud}": number for number, baud in enumerate(_SLOW)}
_SPEEDS |= {f"B{baud}": number for number, baud in enumerate(_FAST, 0o10001)}
_SPEED_MASK = 0o10017
_DEFAULT_SPEED = "B38400"
_CHARACTERS = (
    "VINTR",
    "VQUIT",
    "VERASE",
    "VKILL",
    "VEOF",
    "VTIME",
    "VMIN",
    "VSWTC",
    "VSTART",
    "VSTOP",
    "VSUSP",
    "VEOL",
    "VREPRINT",
    "VDISCARD",
    "VWERASE",
    "VLNEXT",
    "VEOL2",
)
_COUNTS = ("VTIME", "VMIN")


def pack_settings(host: ModuleType, attributes: list[Any]) -> bytes:
    """Linux's form of the host's settings.

    Args:
        host: the module with the host's numbers (`termios`).
        attributes: what its `tcgetattr` returned.
    """
    flags = []
    for table, value in zip(_TABLES, attributes[:4], strict=True):
        flags.append(sum(number for name, number in table.items() if value & getattr(host, name, 0)))
    size = attributes[2] & host.CSIZE
    flags[2] |= next(number for name, number in _SIZES.items() if getattr(host, name) == size)
    speeds = {getattr(host, name): number for name, number in _SPEEDS.items() if hasattr(host, name)}
    flags[2] |= speeds.get(attributes[5], _SPEEDS[_DEFAULT_SPEED])
    characters = bytearray(19)
    for index, name in enumerate(_CHARACTERS):
        position = getattr(host, name, None)
        if position is not None:
            value = attributes[6][position]
            value = value if isinstance(value, bytes) else bytes([value])
            if name not in _COUNTS and value == _host_disabled(host):
                value = _DISABLED
            characters[index : index + 1] = value
    return KTERMIOS.pack(*flags, 0, bytes(characters))


def unpack_settings(host: ModuleType, settings: bytes, attributes: list[Any]) -> list[Any]:
    """The host's form of Linux's settings; what Linux does not know stays as it is in `attributes`."""
    *flags, _, characters = KTERMIOS.unpack(settings)
    result = list(attributes)
    for index, table in enumerate(_TABLES):
        for name, number in table.items():
            bit = getattr(host, name, 0)
            result[index] = (result[index] & ~bit) | (bit if flags[index] & number else 0)
    size = next(name for name, number in _SIZES.items() if number == flags[2] & _SIZE_MASK)
    result[2] = (result[2] & ~host.CSIZE) | getattr(host, size)
    speed = next((name for name, number in _SPEEDS.items() if number == flags[2] & _SPEED_MASK), "")
    if hasattr(host, speed):
        result[4] = result[5] = getattr(host, speed)
    result[6] = list(result[6])
    canonical = result[3] & host.ICANON
    for index, name in enumerate(_CHARACTERS):
        position = getattr(host, name, None)
        if position is None or (canonical and name in _COUNTS):
            continue
        value = characters[index : index + 1]
        if name in _COUNTS:
            result[6][position] = value[0]
        else:
            result[6][position] = _host_disabled(host) if value == _DISABLED else value
    return result


def _host_disabled(host: ModuleType) -> bytes:
    """The host's value for "no such control character": 0 on Linux, 255 on the BSDs."""
    return b"\0" if hasattr(host, "TCGETS") else b"\xff"
