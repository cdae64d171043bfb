"""Time stamps in the host's time zone."""

from __future__ import annotations

import time

_NS = 1_000_000_000


def time_stamp(ns: int, clock: str) -> str:
    """A time stamp of -t, -tt or -ttt.

    Args:
        ns: since 1970.
        clock: "s" or "us" for the time of day, "unix" for seconds since 1970 with microseconds.
    """
    whole, rest = divmod(ns, _NS)
    if clock == "unix":
        return f"{whole}.{rest // 1000:06}"
    day = time.strftime("%H:%M:%S", time.localtime(whole))
    return day if clock == "s" else f"{day}.{rest // 1000:06}"
