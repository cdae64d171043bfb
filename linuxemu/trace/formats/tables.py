"""Tables of names whose order or extent is not that of `syscalls.abi.flags`.

Flags are shown in the order of their table, and where one covers others it comes first.
"""

from __future__ import annotations

from syscalls.abi import flags as constants

_AT = "AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_RECURSIVE"
_OPEN = (
    "O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC __O_SYNC=0x100000 O_DSYNC O_DIRECT O_LARGEFILE "
    "O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH O_TMPFILE __O_TMPFILE=0x400000 O_DIRECTORY FASYNC"
)
_STATX = (
    "STATX_ALL STATX_BASIC_STATS STATX_TYPE STATX_MODE STATX_NLINK STATX_UID STATX_GID STATX_ATIME STATX_MTIME "
    "STATX_CTIME STATX_INO STATX_SIZE STATX_BLOCKS STATX_BTIME STATX_MNT_ID STATX_DIOALIGN"
)

LISTED: dict[str, tuple[str, str]] = {
    "O_": (_OPEN, "O_???"),
    "AT_": (_AT, "AT_???"),
    "AT_E": ("AT_SYMLINK_NOFOLLOW AT_EACCESS AT_EMPTY_PATH", "AT_???"),
    "AT_STATX_": ("AT_STATX_SYNC_AS_STAT AT_STATX_FORCE_SYNC AT_STATX_DONT_SYNC AT_STATX_SYNC_TYPE", "AT_STATX_???"),
    "?_OK": ("F_OK R_OK W_OK X_OK", "?_OK"),
    "STATX_": (_STATX, "STATX_???"),
    "ST_": (
        "ST_VALID ST_RDONLY ST_NOSUID ST_NODEV ST_NOEXEC ST_SYNCHRONOUS ST_MANDLOCK ST_NOATIME ST_NODIRATIME "
        "ST_RELATIME ST_NOSYMFOLLOW",
        "ST_???",
    ),
    "LOCK_": ("LOCK_SH LOCK_EX LOCK_NB LOCK_UN LOCK_MAND LOCK_RW LOCK_READ LOCK_WRITE", "LOCK_???"),
    "XATTR_": ("XATTR_CREATE XATTR_REPLACE", "XATTR_???"),
    "RENAME_": ("RENAME_NOREPLACE RENAME_EXCHANGE RENAME_WHITEOUT", "RENAME_??"),
    "MNT_": ("MNT_FORCE MNT_DETACH MNT_EXPIRE UMOUNT_NOFOLLOW", "MNT_???"),
    "F_LCK": ("F_RDLCK F_WRLCK F_UNLCK F_EXLCK F_SHLCK", "F_???"),
    "F_SEAL_": ("F_SEAL_SEAL F_SEAL_SHRINK F_SEAL_GROW F_SEAL_WRITE F_SEAL_FUTURE_WRITE", "F_SEAL_???"),
    "MS_MOUNT": (
        "MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC MS_SYNCHRONOUS MS_REMOUNT MS_MANDLOCK MS_DIRSYNC MS_NOSYMFOLLOW "
        "MS_NOATIME MS_NODIRATIME MS_BIND MS_MOVE MS_REC MS_SILENT MS_POSIXACL MS_UNBINDABLE MS_PRIVATE MS_SLAVE "
        "MS_SHARED MS_RELATIME MS_KERNMOUNT MS_I_VERSION MS_STRICTATIME MS_LAZYTIME MS_SUBMOUNT=0x4000000 "
        "MS_NOREMOTELOCK=0x8000000 MS_NOSEC=0x10000000 MS_BORN=0x20000000 MS_ACTIVE=0x40000000 MS_NOUSER=0x80000000",
        "MS_???",
    ),
    "F_": (
        "F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_GETLK F_SETLK F_SETLKW F_SETOWN F_GETOWN F_SETSIG F_GETSIG "
        "F_GETLK64=12 F_SETLK64=13 F_SETLKW64=14 F_SETOWN_EX F_GETOWN_EX F_GETOWNER_UIDS F_OFD_GETLK F_OFD_SETLK "
        "F_OFD_SETLKW F_SETLEASE F_GETLEASE F_NOTIFY F_CANCELLK F_DUPFD_CLOEXEC F_SETPIPE_SZ F_GETPIPE_SZ "
        "F_ADD_SEALS F_GET_SEALS",
        "F_???",
    ),
}
"""By prefix, or another key: names in order (with values where `syscalls.abi` has none), and what stands for a value
that has no name."""


def listed(key: str) -> dict[int, str] | None:
    """Value to name of a table of `LISTED`; None if it has no such table."""
    found = LISTED.get(key)
    if found is None:
        return None
    names: dict[int, str] = {}
    for entry in found[0].split():
        name, _, value = entry.partition("=")
        names.setdefault(int(value, 0) if value else getattr(constants, name), name)
    return names


def unknown(key: str) -> str:
    """What stands for a value that a table has no name for."""
    found = LISTED.get(key)
    return found[1] if found is not None else f"{key}???"
