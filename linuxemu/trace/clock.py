"""Time stamps in the host's time zone."""

from __future__ import annotations

import time

_NS = 1_000_000_000


def time_stamp(ns: int, form: str, digits: int) -> str:
    """A time stamp of -t, -tt or -ttt.

    Args:
        ns: since 1970.
        form: "time" for the time of day, "unix" for seconds since 1970.
        digits: of the fraction of the second.
    """
    whole, rest = divmod(ns, _NS)
    text = str(whole) if form == "unix" else time.strftime("%H:%M:%S", time.localtime(whole))
    return f"{text}.{f'{rest:09}'[:digits]}" if digits else text


def date(seconds: int, ns: int = 0, digits: int = 9) -> str:
    """A moment in the host's time zone as a comment; nothing for one that is out of range.

    Args:
        seconds: since 1970.
        ns: behind the second.
        digits: of the second's fraction that are shown if it has one.
    """
    if not 0 <= ns < _NS or (not seconds and not ns):
        return ""
    try:
        moment = time.localtime(seconds)
        day, zone = time.strftime("%Y-%m-%dT%H:%M:%S", moment), time.strftime("%z", moment)
    except (OverflowError, OSError, ValueError):
        return ""
    fraction = f".{ns:09}"[: digits + 1] if ns else ""
    return f" /* {day}{fraction}{zone} */"
