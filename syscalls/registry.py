"""The table of system calls: one typed declaration each.

`@syscall` reads nothing but the function's name; annotations are compiled when a call is first made, so that
importing the handlers stays cheap and no call inspects anything afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from linuxemu.messages import TrapFrame
    from syscalls.objects.task import Task
    from syscalls.types import Arg

FULL = "full"
PARTIAL = "partial"

Handler = Callable[..., Awaitable[int | None]]
Invoke = Callable[["Task", "TrapFrame"], Awaitable[int | None]]
_H = TypeVar("_H", bound=Handler)

# Positions in TrapFrame of rdi, rsi, rdx, r10, r8, r9: where Linux passes arguments.
_ARGUMENT_INDEX = (8, 9, 7, 12, 10, 11)


class Syscall:
    """One system call: number, name, handler, level of support, the errors it can fail with."""

    __slots__ = ("_errors", "handler", "name", "notes", "number", "support")

    def __init__(
        self, number: int, name: str, handler: Handler, support: str, notes: str, errors: str = ""
    ) -> None:
        self.number = number
        self.name = name
        self.handler = handler
        self.support = support
        self.notes = notes
        self._errors = errors

    @property
    def errors(self) -> tuple[str, ...]:
        """Names of the error numbers that the handler can return, sorted."""
        return tuple(sorted(set(self._errors.split())))

    def arguments(self) -> list[tuple[str, Arg]]:
        """Name and `Arg` of each argument, in order."""
        from typing import get_type_hints

        from syscalls.abi import structs
        from syscalls.types import Arg, UserPtr

        # What handlers import for annotations alone: the task, and structs that pointers point to.
        names = {"Task": object, **vars(structs)}
        hints = get_type_hints(self.handler, localns=names, include_extras=True)
        code = self.handler.__code__
        found: list[tuple[str, Arg]] = []
        for name in code.co_varnames[1 : code.co_argcount]:
            hint: Any = hints[name]
            marks = [m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Arg)]
            if marks:
                found.append((name, marks[0]))
            elif getattr(hint, "__origin__", hint) is UserPtr:
                found.append(
                    (
                        name,
                        Arg(
                            None,
                            "pointer",
                            getattr(hint.__args__[0], "__name__", "") if hasattr(hint, "__args__") else "",
                        ),
                    )
                )
            else:
                raise TypeError(f"{self.name}: argument {name} has no system call type")
        return found

    def compile(self) -> Invoke:
        """A function that takes task and trap frame and calls the handler with decoded arguments."""
        from syscalls.types import DECODERS

        parts = []
        for index, (_, arg) in zip(_ARGUMENT_INDEX, self.arguments(), strict=False):
            parts.append(f"{arg.decode}(f[{index}])" if arg.decode else f"f[{index}]")
        source = f"lambda t, f: handler({', '.join(['t', *parts])})"
        invoke: Invoke = eval(source, {"handler": self.handler, **DECODERS})
        return invoke


TABLE: dict[int, Syscall] = {}


def syscall(name: str, *, errors: str = "", support: str = FULL, notes: str = "") -> Callable[[_H], _H]:
    """Declare the handler of a system call.

    Args:
        name: Linux's name; its number comes from the generated table (an unknown name raises KeyError at import).
        errors: names of the error numbers it can fail with, with spaces between them. ENOSYS stands for a part that
            Linux has and this handler lacks.
        support: FULL, or PARTIAL with `notes` saying what is missing.
    """
    number = X86_64[name]

    def declare(handler: _H) -> _H:
        if number in TABLE:
            raise ValueError(f"system call {name} is declared twice")
        TABLE[number] = Syscall(number, name, handler, support, notes, errors)
        return handler

    return declare
