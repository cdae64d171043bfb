"""How values are spelled: what the options of strace(1) choose, apart from which calls are shown."""

from __future__ import annotations

from typing import NamedTuple


class Style(NamedTuple):
    """The look of arguments and results.

    Args:
        string_limit: bytes of a string that are shown (-s).
        hex_strings: "" for escapes only, "non-ascii" when a string has others (-x), "all" (-xx).
        constants: "abbrev" for names, "raw" for numbers, "verbose" for both (-X).
        fds: what is shown with file descriptors: any of "path", "dev", "socket", "pidfd" (-y, -yy).
        pids: command names stand with process ids (-Y).
    """

    string_limit: int = 32
    hex_strings: str = ""
    constants: str = "abbrev"
    fds: frozenset[str] = frozenset()
    pids: bool = False
