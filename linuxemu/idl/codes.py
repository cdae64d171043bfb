"""The error words of a reply, and the range in which file and console servers answer Linux errno values."""

from __future__ import annotations

OK = 0
ERR_NO_MEMORY = -1
ERR_NOT_PERMITTED = -2
ERR_WOULD_BLOCK = -3
ERR_ABORTED = -4
ERR_TOO_LARGE = -5
ERR_TOO_SMALL = -6
ERR_NOT_FOUND = -7
ERR_INVALID_ARG = -8
ERR_INVALID_TASK = -9
ERR_ALREADY_EXISTS = -10
ERR_UNAVAILABLE = -11
ERR_NOT_ACCEPTABLE = -12
ERR_EMPTY = -13
DONT_REPLY = -14
ERR_IN_USE = -15
ERR_TRY_AGAIN = -16

_NAMES = {value: name for name, value in list(globals().items()) if isinstance(value, int)}
_POSIX_BASE = -1000


def posix_error(errno: int) -> int:
    """The error word that carries a Linux errno (an extension: the seed's words end at -17)."""
    return _POSIX_BASE - errno


def posix_errno(code: int) -> int | None:
    """The Linux errno inside an error word, or None for one of the seed's own words."""
    return _POSIX_BASE - code if code < _POSIX_BASE else None


def error_name(code: int) -> str:
    """A readable name of an error word."""
    errno = posix_errno(code)
    return f"POSIX error {errno}" if errno is not None else _NAMES.get(code, f"error {code}")
