"""Extended attributes: whom each call allows what, and what it asks the file server then (man 7 xattr)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from linuxemu.messages import fsx
from linuxemu.testing import BAD, Guest, Out
from syscalls.abi.errno import (
    E2BIG,
    EACCES,
    EBADF,
    EEXIST,
    EFAULT,
    EINVAL,
    EIO,
    ENODATA,
    ENOENT,
    ENOSPC,
    ENOTDIR,
    EOPNOTSUPP,
    EPERM,
    ERANGE,
    EROFS,
)
from syscalls.abi.flags import (
    AT_FDCWD,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_WRONLY,
    XATTR_CREATE,
    XATTR_REPLACE,
    XATTR_SIZE_MAX,
)
from tests.handlers.cases import Edge, fails, ok, open_file, pipe, proves, recorded
from tests.handlers.namecases import LOOKUP, SEARCHED, USER, mounted, readonly, refused, walk_failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call
    from tests.handlers.cases import Case

_KINDS = ("setxattr", "getxattr", "removexattr")
NAMED = [prefix + name for prefix in ("", "l", "f") for name in _KINDS]
NAME = "user.a"
LONGEST = "user." + "n" * 250
ACL = "system.posix_acl_access"
CAPABILITY = "security.capability"
FOLLOWED = ["fsx.lookup", "fsx.readlink", "fsx.lookup"]
REVISION_2 = struct.pack("<5I", 0x0200_0001, 1, 0, 0, 0)
REVISION_3 = struct.pack("<6I", 0x0300_0001, 1, 0, 0, 0, 0)
OF_1000 = struct.pack("<6I", 0x0300_0001, 1, 0, 0, 0, 1000)
OF_NOBODY = struct.pack("<6I", 0x0300_0001, 1, 0, 0, 0, 0xFFFF_FFFF)
UNREAD = ("value: there is nothing to write",)
UNTOUCHED = ("list: there is no name to write",)


def _rest(name: str) -> tuple[Any, ...]:
    """The arguments after the name of the attribute."""
    if name.endswith("setxattr"):
        return b"value", 5, 0
    return (BAD, 5) if name.endswith("getxattr") else ()


def _asks(name: str) -> str:
    """The message that a call ends with."""
    return "fsx." + name.lstrip("lf")


def _prepared(guest: Guest) -> None:
    """Make what cases find.

    /sticky, where everybody may make names, and /secret, which everybody may write and only root read; attributes of
    the class `user.` on these and on /file, /user and /dir, and of others on /user and /link.
    """
    files = guest.files
    files.mkdir("/sticky", mode=0o1777)
    files.write("/secret", mode=0o622)
    for path in ("/sticky", "/secret", "/file", "/user", "/dir"):
        files.setxattr(path, NAME, b"value")
    for name in ("trusted.a", "security.a", CAPABILITY):
        files.setxattr("/user", name, REVISION_2)
    files.setxattr("/link", "trusted.a", b"link")


def _path(guest: Guest, path: str) -> str:
    return path


def _descriptor(guest: Guest, path: str) -> int:
    return open_file(guest, path, O_NONBLOCK | (O_WRONLY if path == "/secret" else O_RDONLY))


def _cases(name: str) -> list[Case]:
    """Whom a call allows what, for which attributes.

    A call that takes a path finds it first; what the checks of a descriptor send is the rest.
    """
    place, found, through = (_descriptor, [], []) if name.startswith("f") else (_path, LOOKUP, SEARCHED)
    changes, rest, asks = "get" not in name, _rest(name), [_asks(name)]

    def f(errno: int, path: str, attribute: str, *, setup: Any = _prepared, **options: Any) -> Case:
        return fails(name, errno, lambda guest: (place(guest, path), attribute, *rest), setup=setup, **options)

    denied = EPERM if changes else ENODATA
    asked = [*found, "fsx.getattr"]
    by_user = {"user": USER, "rpcs": [*through, "fsx.getattr"]}
    unasked = {"user": USER, "rpcs": through}
    return [
        f(EINVAL, "/file", "user.", rpcs=[*asked, *asks], label="no name in the class"),
        f(EOPNOTSUPP, "/file", "other", rpcs=[*asked, *asks], label="no class"),
        f(EOPNOTSUPP, "/file", ACL, user=USER, rpcs=[*through, *asks], label="access list"),
        f(EACCES, "/file" if changes else "/secret", NAME, **by_user),
        f(EACCES, "/file" if changes else "/secret", "other", **by_user, label="no class"),
        f(denied, "/fifo", NAME, rpcs=found, label="no file"),
        f(denied, "/user", "trusted.a", **unasked, label="trusted by a user"),
        f(EIO, "/file", NAME, setup=refused(fsx.Getattr, EIO), rpcs=asked, label="the server fails"),
        *(_changes(name, f, by_user, unasked, asks) if changes else _reads(f, asked, found, asks)),
    ]


def _changes(
    name: str, f: Callable[..., Case], by_user: dict[str, Any], unasked: dict[str, Any], asks: list[str]
) -> list[Case]:
    found = [] if name.startswith("f") else LOOKUP
    other = {"user": USER, "rpcs": [*by_user["rpcs"], *asks]}
    both = [
        f(EPERM, "/sticky", NAME, **by_user, label="sticky directory"),
        f(EOPNOTSUPP, "/sticky", "other", **other, label="sticky directory, no class"),
        f(EPERM, "/user", "security.a", **unasked, label="security by a user"),
        f(EROFS, "/dir/f", "trusted.a", setup=readonly, rpcs=None),
    ]
    if "set" in name:
        return both
    return [
        *both,
        f(EPERM, "/user", CAPABILITY, **unasked, label="capabilities by a user"),
        f(ENODATA, "/file", LONGEST, rpcs=[*found, "fsx.getattr", *asks], label="longest name"),
        f(ENODATA, "/dir", "trusted.none", rpcs=[*found, *asks], label="trusted"),
    ]


def _reads(f: Callable[..., Case], asked: list[str], found: list[str], asks: list[str]) -> list[Case]:
    return [
        f(ENODATA, "/file", LONGEST, rpcs=[*asked, *asks], label="longest name"),
        f(ENODATA, "/fifo", CAPABILITY, rpcs=[*found, *asks], label="security"),
        f(ENODATA, "/dir/f", NAME, setup=readonly, label="read-only mount"),
        f(ERANGE, "/user", "trusted.a", rpcs=[*found, *asks]),
        f(ERANGE, "/user", CAPABILITY, rpcs=[*found, *asks], label="capabilities"),
    ]


def _early(name: str) -> list[Case]:
    """What a call looks at before it looks for the file."""
    nowhere, rest = 99 if name.startswith("f") else BAD, _rest(name)
    found = [
        fails(name, ERANGE, nowhere, "", *rest, rpcs=[], label="no name"),
        fails(name, ERANGE, nowhere, "n" * 256, *rest, rpcs=[], label="name too long"),
        fails(name, EFAULT, nowhere, BAD, *rest, rpcs=[], label="name"),
    ]
    if not name.endswith("setxattr"):
        return found
    return [
        *found,
        fails(name, EINVAL, nowhere, BAD, BAD, 1 << 40, 4, rpcs=[]),
        fails(name, ERANGE, nowhere, "", BAD, 1 << 40, 0, rpcs=[], label="before the size"),
        fails(name, E2BIG, nowhere, NAME, BAD, XATTR_SIZE_MAX + 1, 0, rpcs=[]),
        fails(name, EFAULT, nowhere, NAME, Edge(b"value"), 6, 0, rpcs=[], label="value"),
    ]


def _walks(name: str, rest: tuple[Any, ...]) -> list[Case]:
    """How a path is walked."""
    return [
        *walk_failures(name, "", *rest),
        fails(name, ENOENT, "/none", *rest, rpcs=LOOKUP),
        fails(name, ENOTDIR, "/file/", *rest, rpcs=LOOKUP, label="slash behind a file"),
        fails(name, EIO, "/file", *rest, setup=refused(fsx.Lookup, EIO), rpcs=LOOKUP, label="the walk fails"),
    ]


def _starts(name: str, rest: tuple[Any, ...]) -> list[Case]:
    """What a descriptor may be."""
    return [
        fails(name, EBADF, 99, *rest, rpcs=[]),
        fails(name, EBADF, -1, *rest, rpcs=[], label="negative"),
        fails(name, EBADF, lambda guest: (open_file(guest, "/file", O_PATH), *rest), rpcs=[], label="O_PATH"),
    ]


def _of_pipes(name: str) -> list[Case]:
    rest, denied = _rest(name), ENODATA if "get" in name else EPERM
    return [
        fails(name, denied, lambda guest: (pipe(guest)[0], NAME, *rest), rpcs=[], label="pipe"),
        fails(name, EOPNOTSUPP, lambda guest: (pipe(guest)[0], "security.a", *rest), rpcs=[], check=recorded(),
              label="pipe, security"),
    ]  # fmt: skip


# -- what succeeds --------------------------------------------------------------------------------------------------


def _value_is(path: str, name: str, value: bytes | None) -> Callable[[Guest, Call], None]:
    """A check: a file, or link itself, has an attribute of this value; None: it has no such attribute."""

    def check(guest: Guest, call: Call) -> None:
        read = Out(64)
        size = guest.syscall.lgetxattr(path, name, read, 64) if value is not None else -ENODATA
        if value is None:
            assert guest.start.lgetxattr(path, name, read, 64).errno == ENODATA
        else:
            assert read.value[:size] == value

    return check


def _writes(value: bytes) -> Callable[[Guest, Call], None]:
    """A check: what the call wrote."""

    def check(guest: Guest, call: Call) -> None:
        (written,) = call.outs
        assert written.value[: len(value)] == value

    return check


def _with(path: str, *attributes: tuple[str, bytes]) -> Callable[[Guest], None]:
    """A setup: a file has these attributes."""

    def setup(guest: Guest) -> None:
        for name, value in attributes:
            guest.files.setxattr(path, name, value)

    return setup


def _many(guest: Guest) -> None:
    """Give /file names of more than 65536 bytes together."""
    _with("/file", *((f"user.{number:0250}", b"") for number in range(257)))(guest)


def _sets() -> list[Case]:
    asked = [*LOOKUP, "fsx.getattr", "fsx.setxattr"]
    unasked = [*LOOKUP, "fsx.setxattr"]
    return [
        ok("setxattr", "/link", NAME, b"value", 5, 0, returns=0, rpcs=[*FOLLOWED, "fsx.getattr", "fsx.setxattr"],
           check=_value_is("/file", NAME, b"value")),
        ok("lsetxattr", "/link", "trusted.a", b"value", 5, XATTR_CREATE, returns=0, rpcs=unasked,
           check=_value_is("/link", "trusted.a", b"value")),
        ok("fsetxattr", lambda guest: (open_file(guest, "/dir", O_RDONLY), NAME, b"value", 5, 0), returns=0,
           rpcs=["fsx.getattr", "fsx.setxattr"], check=_value_is("/dir", NAME, b"value")),
        ok("fsetxattr", AT_FDCWD, NAME, b"value", 5, 0, returns=0, rpcs=["fsx.getattr", "fsx.setxattr"],
           check=_value_is("/", NAME, b"value"), label="AT_FDCWD"),
        ok("setxattr", "/user", NAME, b"value", 5, XATTR_REPLACE, returns=0, setup=_prepared, user=USER,
           rpcs=[*SEARCHED, "fsx.getattr", "fsx.setxattr"], label="one's own file"),
        ok("setxattr", "/file", LONGEST, b"x" * XATTR_SIZE_MAX, XATTR_SIZE_MAX, 0, returns=0, rpcs=asked, label="most"),
        ok("setxattr", "/file", NAME, BAD, 0, 0, returns=0, rpcs=asked, check=_value_is("/file", NAME, b""),
           unfaulted=("value: there is nothing to read",), label="empty"),
        ok("setxattr", "/fifo", CAPABILITY, REVISION_2, 20, 0, returns=0, rpcs=unasked,
           check=recorded("file capabilities"), label="capabilities"),
        ok("setxattr", "/file", CAPABILITY, REVISION_3, 24, 0, returns=0, rpcs=unasked,
           check=_value_is("/file", CAPABILITY, REVISION_2), label="capabilities with root"),
        ok("setxattr", "/user", CAPABILITY, b"", 0, 0, returns=0, user=USER, rpcs=[*SEARCHED, "fsx.setxattr"],
           label="no capabilities by a user"),
        fails("setxattr", EINVAL, "/none/x", NAME, b"", 0, 8, rpcs=[], label="unknown flag"),
        fails("setxattr", EPERM, "/file", CAPABILITY, REVISION_2, 20, 0, user=USER, rpcs=SEARCHED,
              label="capabilities by a user"),
        *(fails("setxattr", EINVAL, "/file", CAPABILITY, value, len(value), 0, rpcs=LOOKUP, label=label)
          for label, value in (("no capabilities", b"value"), ("short capabilities", REVISION_3[:20]),
                               ("long capabilities", REVISION_2 + b"root"), ("capabilities of nobody", OF_NOBODY))),
        fails("setxattr", EOPNOTSUPP, "/file", ACL, b"value", 5, 0, rpcs=unasked, check=recorded("access lists"),
              label="access list is recorded"),
        fails("setxattr", EOPNOTSUPP, "/dir", "trusted.a", b"value", 5, 0, check=recorded("extended attributes"),
              setup=mounted("sysfs"), rpcs=[], label="file system without"),
        fails("setxattr", EOPNOTSUPP, "/file", "other", b"value", 5, 0, rpcs=asked, check=recorded(),
              label="no class is not recorded"),
    ]  # fmt: skip


def _stored(name: str) -> list[Case]:
    """What the file server says of a new attribute."""
    place: Any = open_file if name.startswith("f") else lambda guest: "/file"
    found = [] if name.startswith("f") else LOOKUP

    def f(errno: int, attribute: str, flags: int, **options: Any) -> Case:
        rpcs = [*found, "fsx.setxattr"]
        return fails(name, errno, lambda guest: (place(guest), attribute, b"v", 1, flags), rpcs=rpcs, **options)

    there = {"setup": _with("/file", ("trusted.a", b""))}
    return [
        f(ENODATA, "trusted.a", XATTR_REPLACE),
        f(EEXIST, "trusted.a", XATTR_CREATE, **there),
        f(EEXIST, "trusted.a", XATTR_CREATE | XATTR_REPLACE, **there, label="both flags"),
        f(ENOSPC, "trusted.a", 0, setup=refused(fsx.Setxattr, ENOSPC)),
    ]


def _gets() -> list[Case]:
    got = {"returns": 5, "check": _writes(b"value"), "setup": _prepared}
    unasked = [*LOOKUP, "fsx.getxattr"]
    return [
        ok("getxattr", "/link", NAME, Out(64), 64, rpcs=[*FOLLOWED, "fsx.getattr", "fsx.getxattr"], **got),
        ok("lgetxattr", "/file", NAME, Out(64), 5, rpcs=[*LOOKUP, "fsx.getattr", "fsx.getxattr"], **got),
        ok("fgetxattr", lambda guest: (open_file(guest), NAME, Out(64), 64), setup=_prepared, returns=5,
           rpcs=["fsx.getattr", "fsx.getxattr"]),
        ok("fgetxattr", AT_FDCWD, NAME, Out(64), 64, setup=_with("/", (NAME, b"value")), returns=5,
           rpcs=["fsx.getattr", "fsx.getxattr"], label="AT_FDCWD"),
        ok("getxattr", "/user", NAME, Out(64), 64, user=USER, rpcs=[*SEARCHED, "fsx.getattr", "fsx.getxattr"],
           **got, label="one's own file"),
        ok("getxattr", "/user", "security.a", Out(64), 64, user=USER, rpcs=[*SEARCHED, "fsx.getxattr"], returns=20,
           setup=_prepared, label="security by a user"),
        ok("lgetxattr", "/link", "trusted.a", Out(64), 64, rpcs=unasked, returns=4, setup=_prepared,
           check=_writes(b"link"), label="link"),
        ok("getxattr", "/user", "trusted.a", BAD, 0, rpcs=unasked, returns=20, setup=_prepared,
           unfaulted=("value: only its size is asked for",), label="size"),
        ok("getxattr", "/user", "trusted.b", BAD, 9, rpcs=unasked, returns=0, setup=_with("/user", ("trusted.b", b"")),
           unfaulted=UNREAD, label="empty"),
        ok("getxattr", "/file", CAPABILITY, Out(64), 20, rpcs=unasked, returns=20, check=_writes(REVISION_2),
           setup=_with("/file", (CAPABILITY, REVISION_3)), label="capabilities with root"),
        ok("getxattr", "/file", CAPABILITY, Out(64), 64, rpcs=unasked, returns=24, check=_writes(OF_1000),
           setup=_with("/file", (CAPABILITY, OF_1000)), label="capabilities of a user"),
        fails("getxattr", EINVAL, "/file", CAPABILITY, BAD, 0, setup=_with("/file", (CAPABILITY, b"")), rpcs=unasked,
              label="no capabilities"),
    ]  # fmt: skip


def _removes() -> list[Case]:
    return [
        ok("removexattr", "/link", NAME, returns=0, setup=_prepared, check=_value_is("/file", NAME, None),
           rpcs=[*FOLLOWED, "fsx.getattr", "fsx.removexattr"]),
        ok("lremovexattr", "/link", "trusted.a", returns=0, setup=_prepared, rpcs=[*LOOKUP, "fsx.removexattr"],
           check=_value_is("/link", "trusted.a", None)),
        ok("fremovexattr", lambda guest: (open_file(guest), NAME), returns=0, setup=_prepared,
           rpcs=["fsx.getattr", "fsx.removexattr"], check=_value_is("/file", NAME, None)),
        ok("removexattr", "/user", CAPABILITY, returns=0, setup=_prepared, rpcs=[*LOOKUP, "fsx.removexattr"],
           label="capabilities"),
        fails("fremovexattr", EBADF, AT_FDCWD, NAME, rpcs=[], label="AT_FDCWD"),
    ]  # fmt: skip


def _lists(name: str) -> list[Case]:
    """What a list holds, for whom, and how long it may be."""
    place: Any = (lambda guest, path: open_file(guest, path, O_RDONLY)) if name[0] == "f" else _path
    found, through = ([], []) if name[0] == "f" else (LOOKUP, SEARCHED)

    def args(path: str, *rest: Any) -> Callable[[Guest], tuple[Any, ...]]:
        return lambda guest: (place(guest, path), *rest)

    rpcs, all_names = [*found, "fsx.listxattr"], b"user.a\0trusted.a\0security.capability\0security.a\0"
    return [
        ok(name, args("/user", Out(64), 64), returns=len(all_names), setup=_prepared, rpcs=rpcs),
        ok(name, args("/user", Out(64), len(all_names)), returns=len(all_names), setup=_prepared, rpcs=rpcs,
           check=_writes(all_names), label="just long enough"),
        ok(name, args("/user", BAD, 0), returns=len(all_names), setup=_prepared, rpcs=rpcs,
           unfaulted=("list: only its size is asked for",), label="size"),
        ok(name, args("/user", Out(64), 64), returns=38, setup=_prepared, user=USER, rpcs=[*through, "fsx.listxattr"],
           check=_writes(b"user.a\0security.capability\0security.a\0"), label="by a user"),
        ok(name, args("/dir", BAD, 5), returns=0, rpcs=rpcs, unfaulted=UNTOUCHED, label="nothing"),
        ok(name, args("/file", BAD, 0), returns=257 * 256, setup=_many, rpcs=rpcs, unfaulted=UNTOUCHED, label="many"),
        fails(name, ERANGE, args("/user", BAD, len(all_names) - 1), setup=_prepared, rpcs=rpcs),
        fails(name, E2BIG, args("/file", BAD, 1 << 20), setup=_many, rpcs=rpcs),
        fails(name, ERANGE, args("/file", BAD, (1 << 16) - 1), setup=_many, rpcs=rpcs, label="many"),
        fails(name, EIO, args("/file", BAD, 5), setup=refused(fsx.Listxattr, EIO), rpcs=rpcs, label="the server fails"),
    ]  # fmt: skip


LISTS = ("listxattr", "llistxattr", "flistxattr")
CASES = [
    *(case for name in NAMED for case in (*_early(name), *_cases(name))),
    *(case for name in NAMED if name[0] != "f" for case in _walks(name, (NAME, *_rest(name)))),
    *(case for name in NAMED if name[0] == "f" for case in (*_starts(name, (NAME, *_rest(name))), *_of_pipes(name))),
    *_sets(),
    *(case for name in ("setxattr", "lsetxattr", "fsetxattr") for case in _stored(name)),
    *_gets(),
    *_removes(),
    *(case for name in LISTS for case in _lists(name)),
    fails("lsetxattr", EPERM, "/link", NAME, BAD, 0, XATTR_REPLACE, rpcs=LOOKUP, label="link"),
    fails("lgetxattr", ENODATA, "/link", NAME, BAD, 0, rpcs=LOOKUP, label="link"),
    fails("lremovexattr", EPERM, "/link", NAME, rpcs=LOOKUP, label="link"),
    ok("llistxattr", "/link", Out(64), 64, returns=10, rpcs=[*LOOKUP, "fsx.listxattr"], setup=_prepared,
       check=_writes(b"trusted.a\0"), label="link"),
    ok("llistxattr", "/dangling", BAD, 5, returns=0, rpcs=[*LOOKUP, "fsx.listxattr"], unfaulted=UNTOUCHED,
       label="dangling"),
    ok("flistxattr", lambda guest: (pipe(guest)[0], BAD, 5), returns=0, rpcs=[], unfaulted=UNTOUCHED, label="pipe"),
    *_walks("listxattr", (BAD, 5)),
    *_walks("llistxattr", (BAD, 5)),
    *_starts("flistxattr", (BAD, 5)),
    fails("flistxattr", EBADF, AT_FDCWD, BAD, 5, rpcs=[], label="AT_FDCWD"),
]  # fmt: skip


def _bad_pointers(guest: Guest, name: str) -> None:
    """Let each pointer of a call point to nothing, one at a time."""
    where = 0 if name.startswith("f") else "/"
    good = (where, NAME, *((b"value", 5, 0) if name.endswith("setxattr") else _rest(name)))
    pointers = [index for index in range(len(good)) if isinstance(good[index], (str, bytes))]
    for index in pointers:
        call = getattr(guest.start, name)(*good[:index], BAD, *good[index + 1 :])
        assert call.errno == EFAULT, call
    assert guest.rpc.log.names("fs") == []


@proves("setxattr", EFAULT, pointers=("path", "name", "value"), rpcs=[])
@proves("lsetxattr", EFAULT, pointers=("path", "name", "value"), rpcs=[])
@proves("fsetxattr", EFAULT, pointers=("name", "value"), rpcs=[])
@proves("getxattr", EFAULT, pointers=("path", "name"), rpcs=[])
@proves("lgetxattr", EFAULT, pointers=("path", "name"), rpcs=[])
@proves("fgetxattr", EFAULT, pointers=("name",), rpcs=[])
@proves("removexattr", EFAULT, pointers=("path", "name"), rpcs=[])
@proves("lremovexattr", EFAULT, pointers=("path", "name"), rpcs=[])
@proves("fremovexattr", EFAULT, pointers=("name",), rpcs=[])
def test_pointers_to_nothing(guest: Guest) -> None:
    for name in NAMED:
        _bad_pointers(guest, name)
