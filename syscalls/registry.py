"""The table of system calls: one typed declaration each.

`@syscall` reads nothing but the function's name; annotations are compiled when a call is first made, so that
importing the handlers stays cheap and no call inspects anything afterwards.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Awaitable, Callable
from functools import cache
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
ARGUMENT_INDEX = (8, 9, 7, 12, 10, 11)


class Syscall:
    """One system call: number, name, handler, level of support, the errors it can fail with."""

    __slots__ = ("_errors", "handler", "name", "notes", "number", "support")
    _FIRST = 1
    """The first parameter of the function that is an argument: the one before is the task."""

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

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arguments, in order."""
        code = self.handler.__code__
        return code.co_varnames[self._FIRST : code.co_argcount]

    def arguments(self) -> list[tuple[str, Arg]]:
        """Name and `Arg` of each argument, in order."""
        hints = self._hints()
        names = self.names
        found = [(name, self._arg(name, hints[name])) for name in names]
        for index, (name, arg) in enumerate(found):
            if arg.format == "buffer" and not arg.length:
                last = index + 1 == len(names)
                length = "result" if arg.direction == "out" or last else names[index + 1]
                found[index] = (name, arg._replace(length=length))
        return found

    def result(self) -> Arg:
        """How the result is shown."""
        from syscalls.types import Arg

        hint = self._hints()["return"]
        marks = [mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Arg)]
        return marks[0] if marks else Arg("s64", "int")

    def _hints(self) -> dict[str, Any]:
        """The handler's annotations, evaluated."""
        from typing import get_type_hints

        names = ChainMap(self.handler.__globals__, _annotation_names())
        return get_type_hints(self.handler, localns=names, include_extras=True)

    def _arg(self, name: str, hint: Any) -> Arg:
        """What an annotation says."""
        from syscalls.types import Arg, Count, Shown, UserPtr

        marks = getattr(hint, "__metadata__", ())
        kind = hint.__origin__ if marks else hint
        pointer = getattr(kind, "__origin__", kind)
        given = next((mark for mark in marks if isinstance(mark, Arg)), None)
        if not issubclass(pointer, UserPtr):
            if given is None:
                raise TypeError(f"{self.name}: argument {name} has no system call type")
            return given
        target = getattr(kind.__args__[0], "__name__", "") if hasattr(kind, "__args__") else ""
        shown = next((mark for mark in marks if isinstance(mark, Shown)), None)
        usual = {"bytes": "buffer", "int": "ints"}.get(target, "struct")
        count = next((mark for mark in marks if isinstance(mark, Count)), "")
        return Arg(None, shown or usual, target, pointer.DIRECTION, str(count), pointer=True)

    def compile(self) -> Invoke:
        """A function that takes task and trap frame and calls the handler with decoded arguments."""
        arguments = [arg for _, arg in self.arguments()]
        invoke: Invoke = decoder(arguments, "handler(t, {})", "t, ", handler=self.handler)
        return invoke


def decoder(arguments: list[Arg], form: str, before: str = "", **names: Any) -> Any:
    """A compiled function of a trap frame that decodes a call's arguments.

    Args:
        arguments: of the call, in order.
        form: an expression with "{}" for the decoded arguments, separated by commas.
        before: parameters in front of the frame.
        names: what `form` refers to.
    """
    from syscalls.types import DECODERS

    parts = [
        f"{arg.decode}(f[{index}])" if arg.decode else f"f[{index}]"
        for index, arg in zip(ARGUMENT_INDEX, arguments, strict=False)
    ]
    expression = form.format(", ".join(parts)) if parts else form.replace(", {}", "").replace("{},", "")
    return eval(f"lambda {before}f: {expression}", {**DECODERS, **names})


@cache
def _annotation_names() -> dict[str, Any]:
    """What handlers import for annotations alone: the task, structs that pointers point to, types of arguments."""
    from syscalls import types
    from syscalls.abi import structs

    return {"Task": object, **vars(structs), **vars(types)}


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
