"""What the audit of one file says: its system calls with their support here, and what could not be followed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from linuxemu.audit.image import Image
from linuxemu.audit.sweep import Sweep
from linuxemu.audit.trail import Lost, Site, Trail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sized

UNSUPPORTED, PARTIAL, SUPPORTED, NOT_IN_LINUX = "unsupported", "partial", "supported", "not in Linux"
_ORDER = (UNSUPPORTED, PARTIAL, SUPPORTED, NOT_IN_LINUX)
_FEW = 3
"""So many functions of a call are printed, if not all are asked for."""
_SWEEP_SHARE = 0.4
"""The part of the time that the pass over the code takes, as far as progress is concerned."""


class Call(NamedTuple):
    """A system call that a program can make."""

    number: int
    name: str
    support: str
    notes: str
    """What is missing, of a partial one."""
    functions: tuple[str, ...]


class Report(NamedTuple):
    """The result for one file."""

    stripped: bool
    """It has no names of functions: they are shown by address."""
    dynamic: bool
    """It is linked to libraries, whose calls are not here."""
    sites: tuple[Site, ...]
    calls: tuple[Call, ...]
    """Unsupported ones first, then partial ones, by number."""

    @property
    def unresolved(self) -> list[Site]:
        """The sites that other numbers than those found may reach."""
        return [site for site in self.sites if site.lost]

    @property
    def unsupported(self) -> list[Call]:
        """The calls that are answered with ENOSYS."""
        return [call for call in self.calls if call.support == UNSUPPORTED]

    def as_json(self, path: str) -> dict[str, Any]:
        """What `--json` prints for a file."""
        return {
            "path": path,
            "stripped": self.stripped,
            "dynamic": self.dynamic,
            "sites": len(self.sites),
            "calls": [{**call._asdict(), "functions": list(call.functions)} for call in self.calls],
            "unresolved": [
                {
                    "address": hex(site.address),
                    "function": site.function,
                    "numbers": list(site.numbers),
                    "lost": [{**lost._asdict(), "address": hex(lost.address)} for lost in site.lost],
                }
                for site in self.unresolved
            ],
        }

    def as_text(self, path: str, *, everything: bool) -> str:
        """What is printed for a file.

        Args:
            path: its name.
            everything: all functions and trails, not just a few.
        """
        lost = self.unresolved
        share = f" ({len(lost) / len(self.sites):.1%})" if lost else ""
        counts = f"{_count(self.calls, 'system call')} at {_count(self.sites, 'site')}"
        lines = [f"{path}: {counts}, {len(lost)} unresolved{share}"]
        widths = [max((len(column) for column in columns), default=0) for columns in self._columns()]
        for call in self.calls:
            head = f"{call.number:>6}  {call.name:<{widths[0]}}  {call.support:<{widths[1]}}"
            lines.append(f"{head}  {_some(call.functions, everything)}")
        if lost:
            lines.append("unresolved:")
            lines += (f"  {site.address:#x} {site.function}: {_why(site, everything)}" for site in lost)
        return "\n".join(lines)

    def _columns(self) -> Iterator[list[str]]:
        yield [call.name for call in self.calls]
        yield [call.support for call in self.calls]


def examine(data: bytes, progress: Callable[[float], None]) -> Report:
    """Audit a file.

    Args:
        data: its content.
        progress: is told from time to time what part is done.

    Raises:
        AuditError: it cannot be audited.
    """
    image = Image(data)
    size = sum(len(section.data) for section in image.code)
    sweep = Sweep(image, _steps(progress, 0.0, _SWEEP_SHARE / size))
    count = max(len(sweep.sites), 1)
    sites = Trail(image, sweep).sites(_steps(progress, _SWEEP_SHARE, (1 - _SWEEP_SHARE) / count))
    return Report(image.stripped, image.dynamic, tuple(sites), _calls(sites))


def _steps(progress: Callable[[float], None], start: float, step: float) -> Callable[[int], None]:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(start + done * step)

    return advance


def _calls(sites: list[Site]) -> tuple[Call, ...]:
    functions: dict[int, set[str]] = {}
    for site in sites:
        for number, names in site.numbers.items():
            functions.setdefault(number, set()).update(names)
    calls = [_call(number, tuple(sorted(names))) for number, names in functions.items()]
    return tuple(sorted(calls, key=lambda call: (_ORDER.index(call.support), call.number)))


def _call(number: int, functions: tuple[str, ...]) -> Call:
    from syscalls.registry import FULL, TABLE

    name = _names().get(number)
    if name is None:
        return Call(number, "-", NOT_IN_LINUX, "", functions)
    known = TABLE.get(number)
    if known is None:
        return Call(number, name, UNSUPPORTED, "", functions)
    return Call(number, name, SUPPORTED if known.support == FULL else PARTIAL, known.notes, functions)


@cache
def _names() -> dict[int, str]:
    from syscalls import handlers
    from syscalls.abi.numbers import X86_64

    handlers.load()  # fills the table that says what is supported
    return {number: name for name, number in X86_64.items()}


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _some(words: tuple[str, ...], everything: bool) -> str:
    if everything or len(words) <= _FEW + 1:
        return ", ".join(words)
    return f"{', '.join(words[:_FEW])} ... and {len(words) - _FEW} more"


def _why(site: Site, everything: bool) -> str:
    return _some(tuple(_trail(site, lost) for lost in site.lost), everything)


def _trail(site: Site, lost: Lost) -> str:
    place = "" if lost.address == site.address else f" at {lost.address:#x} in {lost.function}"
    return f"{lost.why}{place}"
