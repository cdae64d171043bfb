"""What a target is: a stream of cases, a way to run one, and ways to make it smaller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from linuxemu.errors import LinuxEmuError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

Case: TypeAlias = dict[str, Any]
"""What reproduces an input, fit for JSON."""


class FuzzError(LinuxEmuError):
    """The tool cannot do what it was asked for."""


class Failure(NamedTuple):
    """What must not happen, and has.

    Args:
        kind: exception, hang, peak, memory, descriptors, counters, ended or outside.
        text: what a person wants to read.
        place: of an exception, where it was raised, so that a smaller case can be told from another defect.
    """

    kind: str
    text: str
    place: str = ""

    def is_like(self, other: Failure) -> bool:
        """Whether this is the same defect, as far as one can tell."""
        return (self.kind, self.place) == (other.kind, other.place)


class Target:
    """One kind of input."""

    name = ""
    unit = "inputs"
    """What is counted."""
    limit_s = 30.0
    """A case that takes longer hangs, seconds."""
    peak_mib = 100.0
    """A case that needs more memory at once needs too much."""

    def open(self) -> None:
        """Make what cases need."""

    def close(self) -> None:
        """Undo that."""

    def cases(self, random: Random, count: int) -> Iterator[Case]:
        """Cases, for ever or until `count` units are in them."""
        raise NotImplementedError

    def run(self, case: Case) -> int:
        """Run one and return how many units it was.

        Raises:
            BaseException: anything that leaves this is a failure.
        """
        raise NotImplementedError

    def check(self) -> Iterator[Failure]:
        """What else is wrong after a case."""
        return iter(())

    def smaller(self, case: Case) -> Iterator[Case]:
        """Simpler cases, the simplest first."""
        return iter(())


def place_of(error: BaseException) -> str:
    """File, function and line of the innermost frame of our own packages, and the kind of exception."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if any(f"/{package}/" in code.co_filename for package in ("linuxemu", "syscalls", "loader", "rootfs")):
            name = "/".join(code.co_filename.rsplit("/", 2)[-2:])
            place = f"{name}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {place}"


def failure_of(error: BaseException, where: str = "") -> Failure:
    """An unexpected exception as a failure."""
    import traceback

    text = "".join(traceback.format_exception(error))
    kind = "hang" if type(error).__name__ == "Hang" else "exception"
    return Failure(kind, f"{where}\n{text}" if where else text, place_of(error))
