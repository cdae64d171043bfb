"""What all file servers know of extended attributes: classes of names, limits, packed lists (man 7 xattr).

Who may touch which class is decided by the client, as Linux does above its file systems.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.messages import fsx
from linuxemu.servers.fs import errno as e

if TYPE_CHECKING:
    from collections.abc import Iterable

USER = b"user."
CLASSES = (USER, b"trusted.", b"security.")
"""Beginnings of the names that are kept. `system.` is not among them: access lists are supported nowhere."""
CAPABILITY = b"security.capability"
"""The capabilities of a file: they end when its contents or its owner change (man 7 capabilities)."""
VALUE_MAX = 1 << 16
_NAME_MAX = 255
_FLAGS = fsx.XattrFlag.CREATE | fsx.XattrFlag.REPLACE


def is_kept(name: bytes) -> bool:
    """Whether a file may have an attribute of this name."""
    return name.startswith(CLASSES) and name not in CLASSES and len(name) <= _NAME_MAX and b"\0" not in name


def check_xattr_name(name: bytes) -> bytes:
    """A name of a class that is kept; EOPNOTSUPP for another class, EINVAL or ERANGE for what is no name."""
    if not name.startswith(CLASSES):
        raise e.fail(e.EOPNOTSUPP)
    if name in CLASSES or b"\0" in name:
        raise e.fail(e.EINVAL)
    if len(name) > _NAME_MAX:
        raise e.fail(e.ERANGE)
    return name


def split_attribute(m: fsx.Setxattr) -> tuple[bytes, bytes]:
    """Name and value of a request to set an attribute, which are checked, and its flags with them."""
    name, separator, value = m.attribute.partition(b"\0")
    check_xattr_name(name)
    if not separator or m.flags & ~_FLAGS:
        raise e.fail(e.EINVAL)
    if len(value) > VALUE_MAX:
        raise e.fail(e.E2BIG)
    return name, value


def pack_names(names: Iterable[bytes]) -> bytes:
    """The `names` of a reply to listxattr."""
    return b"".join([name + b"\0" for name in names])


def unpack_names(names: bytes) -> list[bytes]:
    """The reverse of `pack_names`."""
    return names.split(b"\0")[:-1]
