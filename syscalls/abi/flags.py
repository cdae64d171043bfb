"""Flags and other constants of the Linux ABI for x86-64, each in Linux's own spelling.

The values stand in one module per subject; everyone imports them from here.
"""

from __future__ import annotations

from syscalls.abi._device_flags import *  # noqa: F403
from syscalls.abi._file_flags import *  # noqa: F403
from syscalls.abi._memory_flags import *  # noqa: F403
from syscalls.abi._process_flags import *  # noqa: F403

# Names that a star import leaves out: wait4(2), capget(2).
__WNOTHREAD = 0x2000_0000
__WALL = 0x4000_0000
__WCLONE = 0x8000_0000
_LINUX_CAPABILITY_VERSION_1 = 0x1998_0330
_LINUX_CAPABILITY_VERSION_2 = 0x2007_1026
_LINUX_CAPABILITY_VERSION_3 = 0x2008_0522


def names(prefix: str) -> dict[int, str]:
    """Value to name of every constant with this prefix, for a tracer; the first name of a value wins.

    Args:
        prefix: as Linux groups them, such as `O_`; one without the underscore, such as `SIG` or `W`, leaves
            out the groups that have one after it (`SIG_BLOCK`, `W_OK`).
    """
    found: dict[int, str] = {}
    whole = prefix.endswith("_")
    for name, value in globals().items():
        if name.startswith(prefix) and isinstance(value, int) and (whole or "_" not in name[len(prefix) :]):
            found.setdefault(value, name)
    return found
