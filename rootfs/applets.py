"""Which commands a BusyBox has, and in which directories `busybox --install -s` puts their links.

A BusyBox can tell (`busybox --list-full`), but only on a host that can run it, and a file that is to be
emulated is better not run there. So its own tables are read: applet names, sorted, each ended by NUL, and the
directory of each in four bits, the first name in the low half of the first byte.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"\[\[?|[a-z][a-z0-9_.+-]*")
_NAME_RUN = re.compile(rb"(?:(?:\[\[?|[a-z][a-z0-9_.+-]*)\0){8,}")

_DIRECTORIES = ("", "bin", "sbin", "usr/bin", "usr/sbin")
"""Index is BusyBox's number of the directory."""

# Commands whose place no version ever changed: by them the table of directories is recognised.
_LANDMARKS = {
    1: "ash cat chmod chown cp date dd df echo ls mkdir mount mv ps rm rmdir sh sleep sync umount uname",
    2: "halt ifconfig init insmod lsmod mkswap pivot_root poweroff reboot rmmod route swapoff swapon",
    3: "[ awk basename cut dirname du env expr find head id less printf sort tail test tr wc which xargs",
    4: "chroot crond httpd inetd telnetd",
}
_LANDMARK_OF = {name: number for number, names in _LANDMARKS.items() for name in names.split()}
_MIN_LANDMARKS = 4

_LESS_COMMON = (
    "ar arping bc bunzip2 bzcat bzip2 cal clear cmp comm crontab cryptpw dc deallocvt diff dos2unix eject "
    "factor flock fold free ftpget ftpput fuser groups gunzip hd hexdump hexedit hostid install ipcrm "
    "ipcs killall last logger logname lsof lzcat lzma md5sum mesg microcom mkfifo mkpasswd nc nl nohup "
    "nproc nslookup od openvt passwd paste patch pgrep pkill pmap printenv pstree pwdx readlink realpath "
    "renice reset resize rpm2cpio seq sha1sum sha256sum sha3sum sha512sum shred shuf split ssl_client "
    "strings sum tac tee telnet tftp time timeout top traceroute truncate ts tty uniq unix2dos unlink "
    "unlzma unshare unxz unzip uptime users uudecode uuencode vi vlock volname w wall wget who whoami xxd "
    "xz xzcat yes"
)
_FALLBACK = {**dict.fromkeys(_LESS_COMMON.split(), 3), **_LANDMARK_OF, "[[": 3, "linuxrc": 0}


def read_applets(binary: bytes) -> list[str] | None:
    """The links of a BusyBox by its own tables, as `--list-full` prints them: "usr/bin/[", "bin/ash" ...

    Returns:
        None when the file holds no table of names.
    """
    names = _names(binary)
    if not names:
        return None
    numbers = _places(binary, names) or [_FALLBACK.get(name, 1) for name in names]
    return [f"{_DIRECTORIES[number]}/{name}".lstrip("/") for name, number in zip(names, numbers, strict=True)]


def list_applets(path: str) -> list[str] | None:
    """The links of a BusyBox by running it; None when this host cannot or it does not know the option."""
    import subprocess

    try:
        done = subprocess.run(
            [path, "--list-full"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return lines if done.returncode == 0 and lines and all(map(_is_link, lines)) else None


def _is_link(path: str) -> bool:
    directory, slash, name = path.rpartition("/")
    return directory in _DIRECTORIES and bool(directory) == bool(slash) and bool(_NAME.fullmatch(name))


def _names(binary: bytes) -> list[str]:
    """The longest sorted run of names; what happens to stand around it is not in order."""
    best: list[bytes] = []
    for match in _NAME_RUN.finditer(binary):
        run: list[bytes] = []
        for name in match[0][:-1].split(b"\0"):
            if run and name <= run[-1]:
                best = max(best, run, key=len)
                run = []
            run.append(name)
        best = max(best, run, key=len)
    return [name.decode() for name in best] if {b"sh", b"ash", b"cat", b"ls"} & set(best) else []


def _places(binary: bytes, names: list[str]) -> list[int] | None:
    """The directory number of each name, if exactly one table in the file fits the landmarks."""
    places = [_LANDMARK_OF.get(name) for name in names]
    if len(set(places) - {None}) < 2 or len(places) - places.count(None) < _MIN_LANDMARKS:
        return None
    places += [0] * (len(places) % 2)
    pattern = b"".join(_pair(low, high) for low, high in zip(places[::2], places[1::2], strict=True))
    tables = {match[1] for match in re.finditer(b"(?=(" + pattern + b"))", binary, re.DOTALL)}
    if len(tables) != 1:
        return None
    [table] = tables
    return [place for byte in table for place in (byte & 15, byte >> 4)][: len(names)]


def _pair(low: int | None, high: int | None) -> bytes:
    """A pattern for the byte that holds two directory numbers, of which either may be unknown."""
    lows, highs = ([known] if known is not None else range(len(_DIRECTORIES)) for known in (low, high))
    return b"[" + b"".join(b"\\x%02x" % (one | other << 4) for one in lows for other in highs) + b"]"
