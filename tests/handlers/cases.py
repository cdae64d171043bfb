"""What every handler is tested for: success, each error, EFAULT on each pointer, the messages it sends.

A test module of this folder has a list CASES of `Case`, one system call each, and functions marked with `proves` for
what takes more than one call. `test_cases.py` runs the cases; `test_complete.py` compares what they prove with what
the declarations promise. Of each case that succeeds two kinds of tests are made without further words: one for each
pointer, which is replaced by an address where nothing is; and one in which the first server asked answers EIO.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from linuxemu.testing import BAD, NULL, Edge, Guest, Iov, Out
from linuxemu.testing.stepping import SYSCALL_AT
from syscalls.abi.errno import errno_name
from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from linuxemu.testing import Call, GuestThread, Rpc

    _F = TypeVar("_F", bound=Callable[..., object])

SUCCESS = 0
BOOKKEEPING = frozenset({"fsx.forget", "task.free"})
"""Sent after the call, whenever there is a moment."""


class Case(NamedTuple):
    """One system call and its outcome.

    Args:
        name: the call.
        args: its arguments; a function makes them of the guest, for what is known only then.
        errno: the error it fails with, SUCCESS for none.
        returns: what it returns; None for anything.
        rpcs: names of the messages it sends, in order, "fsx.lookup" for example; a successful case must say. None: not
            looked at.
        setup: is called with the guest before; the messages of this do not count.
        check: is called with the guest and the ended call.
        root: what / is, see `Guest`; with "memfs" it holds what `standard_tree` makes.
        user: uid and gid of the caller.
        unfaulted: pointers that this call does not touch, by name, with the reason: "argument: reason".
        survives_eio: the first server's failure does not fail the call; the reason.
        ends: its task ends in it.
        label: tells apart cases of one call with one outcome.
    """

    name: str
    args: tuple[Any, ...] | Callable[[Guest], tuple[Any, ...]] = ()
    errno: int = SUCCESS
    returns: int | None = None
    rpcs: Sequence[str] | None = None
    setup: Callable[[Guest], object] | None = None
    check: Callable[[Guest, Call], object] | None = None
    root: str = "memfs"
    user: tuple[int, int] = (0, 0)
    unfaulted: Sequence[str] = ()
    survives_eio: str = ""
    ends: bool = False
    label: str = ""

    def __str__(self) -> str:
        outcome = errno_name(self.errno) if self.errno else "ok"
        return "-".join(filter(None, (self.name, outcome, self.label.replace(" ", "_"))))

    def guest(self, new_guest: Callable[..., Guest]) -> Guest:
        """The guest that makes the call, after `setup`."""
        made = new_guest(root=self.root, user=self.user)
        if self.root == "memfs":
            standard_tree(made)
        if self.setup is not None:
            self.setup(made)
        made.rpc.clear()
        return made

    def arguments(self, guest: Guest) -> tuple[Any, ...]:
        """The arguments of the call."""
        return self.args(guest) if callable(self.args) else self.args


def ok(name: str, *args: Any, rpcs: Sequence[str], **rest: Any) -> Case:
    """A case that succeeds; `args` may be one function that makes them of the guest."""
    return Case(name, _arguments(args), SUCCESS, rpcs=rpcs, **rest)


def fails(name: str, errno: int, *args: Any, **rest: Any) -> Case:
    """A case that fails with an error number."""
    return Case(name, _arguments(args), errno, **rest)


def recorded(*whats: str) -> Callable[[Guest, Call], None]:
    """A check: these requests, and no others, were recorded as missing."""

    def check(guest: Guest, call: Call) -> None:
        assert [missing.what for missing in guest.unsupported] == list(whats)

    return check


def _arguments(args: tuple[Any, ...]) -> Any:
    return args[0] if len(args) == 1 and callable(args[0]) else args


def standard_tree(guest: Guest) -> None:
    """Make what cases find.

    /file (root's, 0644, "contents"), /dir with /dir/inner, /private (root's, 0600), /user (uid 1000's, 0644), /link to
    /file, /dangling to /none, /loop to itself, /fifo, /program (0755).
    """
    files = guest.files
    files.write("/file", b"contents")
    files.mkdir("/dir")
    files.write("/dir/inner", b"inner")
    files.write("/private", b"secret", mode=0o600)
    files.write("/user", b"mine", uid=1000, gid=1000)
    files.write("/program", b"#!/none\n", mode=0o755)
    files.symlink("/file", "/link")
    files.symlink("/none", "/dangling")
    files.symlink("/loop", "/loop")
    files.mknod("/fifo", 0o010644)


# -- what a test function proves ------------------------------------------------------------------------------------


class Proof(NamedTuple):
    """What a test function proves of a system call.

    Args:
        name: the call.
        errno: an error it fails with, SUCCESS for none.
        rpcs: the messages of its last such call; None: not looked at.
        pointers: names of pointer arguments whose EFAULT it proves.
    """

    name: str
    errno: int
    rpcs: Sequence[str] | None
    pointers: Sequence[str]


def proves(
    name: str, *errnos: int, rpcs: Sequence[str] | None = None, pointers: Sequence[str] = ()
) -> Callable[[_F], _F]:
    """Mark a test function that takes the fixture `guest` with what it proves; conftest.py sees that it does.

    Args:
        name: the call.
        errnos: the errors it fails with, SUCCESS where it does not fail.
        rpcs: names of the messages that the last successful call (else the last failed one) sends.
        pointers: pointer arguments whose EFAULT is among it.
    """

    def mark(function: _F) -> _F:
        proofs = [Proof(name, errno, rpcs if index == 0 else None, pointers) for index, errno in enumerate(errnos)]
        function.__dict__.setdefault("proofs", []).extend(proofs)
        return function

    return mark


def outcomes(guest: Guest, name: str) -> list[tuple[int, list[str]]]:
    """Errno, 0 for none, and messages of each call of a name that has ended, and was not made again."""
    found = []
    for trap in guest.rpc.log.calls(name):
        rax = None if trap.pending else _result(guest, trap)
        if rax is None:
            continue
        errno = (1 << 64) - rax if rax > (1 << 64) - 4096 else 0
        sent = [entry.request.NAME for entry in guest.rpc.log.during(trap) if not entry.is_trap]
        found.append((errno, [name for name in sent if name not in BOOKKEEPING]))
    return found


def _result(guest: Guest, trap: Rpc) -> int | None:
    """What the guest finds in rax; None where it makes the call again. If a handler runs first, that is known later."""
    if trap.reply is None:
        return 0
    frame = trap.reply.frame  # type: ignore[attr-defined]
    if frame.rip in guest.handlers:
        returns = [entry for entry in guest.rpc.log.calls("rt_sigreturn") if entry.first > trap.first]
        frames = [entry.reply.frame for entry in returns if entry.tid == trap.tid and entry.reply is not None]
        frame = next((frame for frame in frames if frame.rip not in guest.handlers), None)
    elif trap.request.frame.rax == X86_64["rt_sigreturn"]:  # type: ignore[attr-defined]
        return 0  # the result of what the handler interrupted
    return None if frame is None or frame.rip == SYSCALL_AT else frame.rax


def check_proofs(guest: Guest, proofs: Sequence[Proof]) -> None:
    """Fail if a test did not do what it says."""
    for proof in proofs:
        seen = [sent for errno, sent in outcomes(guest, proof.name) if errno == proof.errno]
        what = f"{proof.name} -> {errno_name(proof.errno) if proof.errno else 'success'}"
        assert seen, f"the test says that it proves {what}, and no such call was made"
        if proof.rpcs is not None:
            assert seen[-1] == list(proof.rpcs), f"{what} sent other messages than the test says"


# -- pointers -------------------------------------------------------------------------------------------------------


def pointers_of(name: str) -> list[tuple[int, str]]:
    """Position and name of each pointer argument of a call, as its declaration says."""
    from syscalls.registry import TABLE

    call = next(call for call in TABLE.values() if call.name == name)
    return [(index, name) for index, (name, arg) in enumerate(call.arguments()) if arg.pointer]


def faults(case: Case) -> list[tuple[int, str]]:
    """The pointers of a successful case that are to fault: those that it passes and that the call touches."""
    untouched = {text.partition(":")[0] for text in case.unfaulted}
    if callable(case.args):
        return [(index, name) for index, name in pointers_of(case.name) if name not in untouched]
    return [
        (index, name)
        for index, name in pointers_of(case.name)
        if name not in untouched and index < len(case.args) and _points(case.args[index])
    ]


def _points(value: Any) -> bool:
    return value is not None and not (isinstance(value, int) and value == NULL)


def run(case: Case, guest: Guest, args: Sequence[Any]) -> Call:
    """Make the call of a case and let it end."""
    call = guest.main.begin(_number(case.name), case.name, tuple(args))
    return guest.complete(call)


def _number(name: str) -> int:
    return X86_64[name]


def open_file(guest: Guest, path: str = "/file", flags: int = 2) -> int:
    """A descriptor, for `setup` and argument functions."""
    fd: int = guest.syscall.open(path, flags)
    return fd


def pipe(guest: Guest, flags: int = 0, thread: GuestThread | None = None) -> tuple[int, int]:
    """Both ends of a pipe."""
    ends = Out("<ii")
    (thread or guest.main).syscall.pipe2(ends, flags)
    both: tuple[int, int] = ends.value
    return both


__all__ = [
    "BAD", "NULL", "SUCCESS", "Case", "Edge", "Iov", "Out", "check_proofs", "fails", "faults", "ok", "open_file",
    "outcomes", "pipe", "pointers_of", "proves", "run", "standard_tree",
]  # fmt: skip
