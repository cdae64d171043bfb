"""Extended attributes, which no file system has: what each call checks before it says so (man 7 xattr)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.messages import fsx
from linuxemu.testing import BAD, Guest
from syscalls.abi.errno import (
    E2BIG,
    EACCES,
    EBADF,
    EFAULT,
    EINVAL,
    EIO,
    ENODATA,
    ENOENT,
    ENOTDIR,
    EOPNOTSUPP,
    EPERM,
    ERANGE,
    EROFS,
)
from syscalls.abi.flags import (
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_WRONLY,
    XATTR_CREATE,
    XATTR_REPLACE,
    XATTR_SIZE_MAX,
)
from tests.handlers.cases import Edge, fails, ok, open_file, pipe, proves, recorded
from tests.handlers.namecases import LOOKUP, SEARCHED, USER, readonly, refused, walk_failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.handlers.cases import Case

_KINDS = ("setxattr", "getxattr", "removexattr")
NEVER = {prefix + name: "no file system has extended attributes" for prefix in ("", "l", "f") for name in _KINDS}
NAME = "user.a"
LONGEST = "user." + "n" * 250
ACL = "system.posix_acl_access"
FOLLOWED = ["fsx.lookup", "fsx.readlink", "fsx.lookup"]
ASKED = [*FOLLOWED, "fsx.getattr"]
UNREAD = ("value: there is never a value to write",)
UNTOUCHED = ("list: there is never a name to write",)


def _rest(name: str) -> tuple[Any, ...]:
    """The arguments after the name of the attribute."""
    if name.endswith("setxattr"):
        return b"value", 5, 0
    return (BAD, 5) if name.endswith("getxattr") else ()


def _prepared(guest: Guest) -> None:
    """Make /sticky, where everybody may make names, and /secret, which everybody may write and only root read."""
    guest.files.mkdir("/sticky", mode=0o1777)
    guest.files.write("/secret", mode=0o622)


def _path(guest: Guest, path: str) -> str:
    return path


def _descriptor(guest: Guest, path: str) -> int:
    return open_file(guest, path, O_NONBLOCK | (O_WRONLY if path == "/secret" else O_RDONLY))


def _cases(name: str) -> list[Case]:
    """Whom a call allows what, for which attributes.

    A call that takes a path finds it first; what the checks of a descriptor send is the rest.
    """
    place, found, through = (_descriptor, [], []) if name.startswith("f") else (_path, LOOKUP, SEARCHED)
    changes, rest = "get" not in name, _rest(name)

    def f(errno: int, path: str, attribute: str, *, setup: Any = _prepared, **options: Any) -> Case:
        return fails(name, errno, lambda guest: (place(guest, path), attribute, *rest), setup=setup, **options)

    denied = EPERM if changes else ENODATA
    asked = [*found, "fsx.getattr"]
    by_user = {"user": USER, "rpcs": [*through, "fsx.getattr"]}
    unasked = {"user": USER, "rpcs": through}
    return [
        f(EOPNOTSUPP, "/file", NAME, rpcs=asked),
        f(EOPNOTSUPP, "/file", LONGEST, rpcs=asked, label="longest name"),
        f(EOPNOTSUPP, "/dir", "trusted.a", rpcs=found, label="trusted"),
        f(EOPNOTSUPP, "/fifo", "security.capability", rpcs=found, label="security"),
        f(EOPNOTSUPP, "/file", ACL, **unasked, label="access list"),
        f(EOPNOTSUPP, "/user", NAME, **by_user, label="one's own file"),
        f(EACCES, "/file" if changes else "/secret", NAME, **by_user),
        f(EACCES, "/file" if changes else "/secret", "other", **by_user, label="no class"),
        f(denied, "/fifo", NAME, rpcs=found, label="no file"),
        f(denied, "/user", "trusted.a", **unasked, label="trusted by a user"),
        f(EIO, "/file", NAME, setup=refused(fsx.Getattr, EIO), rpcs=asked, label="the server fails"),
        *(_changes(f, by_user, unasked) if changes else _reads(f, by_user, unasked)),
    ]


def _changes(f: Callable[..., Case], by_user: dict[str, Any], unasked: dict[str, Any]) -> list[Case]:
    return [
        f(EPERM, "/sticky", NAME, **by_user, label="sticky directory"),
        f(EOPNOTSUPP, "/sticky", "other", **by_user, label="sticky directory, no class"),
        f(EPERM, "/user", "security.a", **unasked, label="security by a user"),
        f(EPERM, "/user", "security.capability", **unasked, label="capabilities by a user"),
        f(EROFS, "/dir/f", "trusted.a", setup=readonly, rpcs=None),
    ]


def _reads(f: Callable[..., Case], by_user: dict[str, Any], unasked: dict[str, Any]) -> list[Case]:
    return [
        f(EOPNOTSUPP, "/sticky", NAME, **by_user, label="sticky directory"),
        f(EOPNOTSUPP, "/user", "security.capability", **unasked, label="capabilities by a user"),
        f(EOPNOTSUPP, "/dir/f", NAME, setup=readonly, label="read-only mount"),
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
        fails(name, EBADF, -100, *rest, rpcs=[], label="AT_FDCWD"),
        fails(name, EBADF, lambda guest: (open_file(guest, "/file", O_PATH), *rest), rpcs=[], label="O_PATH"),
    ]


def _of_pipes(name: str) -> list[Case]:
    rest, denied = _rest(name), ENODATA if "get" in name else EPERM
    return [
        fails(name, denied, lambda guest: (pipe(guest)[0], NAME, *rest), rpcs=[], label="pipe"),
        fails(name, EOPNOTSUPP, lambda guest: (pipe(guest)[0], "security.a", *rest), rpcs=[], label="pipe, security"),
    ]  # fmt: skip


CASES = [
    *(case for name in NEVER for case in (*_early(name), *_cases(name))),
    *(case for name in NEVER if name[0] != "f" for case in _walks(name, (NAME, *_rest(name)))),
    *(case for name in NEVER if name[0] == "f" for case in (*_starts(name, (NAME, *_rest(name))), *_of_pipes(name))),
    fails("setxattr", EOPNOTSUPP, "/link", NAME, b"", 0, XATTR_CREATE, rpcs=ASKED,
          check=recorded("extended attributes"), label="link"),
    fails("getxattr", EOPNOTSUPP, "/link", NAME, BAD, 0, rpcs=ASKED, unfaulted=UNREAD, check=recorded(), label="link"),
    fails("removexattr", EOPNOTSUPP, "/link", NAME, rpcs=ASKED, label="link"),
    fails("lsetxattr", EPERM, "/link", NAME, BAD, 0, XATTR_REPLACE, rpcs=LOOKUP, label="link"),
    fails("lgetxattr", ENODATA, "/link", NAME, BAD, 0, rpcs=LOOKUP, label="link", unfaulted=UNREAD),
    fails("fgetxattr", EOPNOTSUPP, lambda guest: (open_file(guest), NAME, BAD, 0), label="size 0", unfaulted=UNREAD),
    fails("lremovexattr", EPERM, "/link", NAME, rpcs=LOOKUP, label="link"),

    ok("listxattr", "/link", BAD, 5, returns=0, rpcs=FOLLOWED, unfaulted=UNTOUCHED),
    ok("llistxattr", "/dangling", BAD, 5, returns=0, rpcs=LOOKUP, unfaulted=UNTOUCHED),
    ok("flistxattr", lambda guest: (pipe(guest)[0], BAD, 5), returns=0, rpcs=[], unfaulted=UNTOUCHED, label="pipe"),
    ok("flistxattr", lambda guest: (open_file(guest), BAD, 0), returns=0, rpcs=[], unfaulted=UNTOUCHED),
    *_walks("listxattr", (BAD, 5)),
    *_walks("llistxattr", (BAD, 5)),
    *_starts("flistxattr", (BAD, 5)),
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
    for name in NEVER:
        _bad_pointers(guest, name)
