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
