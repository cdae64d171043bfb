"""Standing between callers and servers: what replaces handlers, for `Kernel(wrap=...)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from linuxemu.kernel.kernel import Kernel
    from linuxemu.kernel.task import Service, Task

    Wrap: TypeAlias = Callable[[Kernel, Task, type, Service], Service]
    """Called with kernel, server task, message class and handler; returns the handler to use instead."""


def chain(*wraps: Wrap | None) -> Wrap | None:
    """Several as one, the first being the outermost: it sees a request first and its reply last.

    Returns:
        None if there are none, so that nothing is paid.
    """
    inner_first = [wrap for wrap in reversed(wraps) if wrap is not None]
    if len(inner_first) < 2:
        return inner_first[0] if inner_first else None

    def wrap_all(kernel: Kernel, task: Task, message: type, method: Service) -> Service:
        for wrap in inner_first:
            method = wrap(kernel, task, message, method)
        return method

    return wrap_all
