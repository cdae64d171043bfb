"""What every rig has: coroutines that run until they sleep, and system calls with decoded arguments."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from syscalls.abi.errno import errno_name
from syscalls.abi.numbers import X86_64
from syscalls.errors import SysError
from syscalls.registry import TABLE
from syscalls.types import DECODERS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from linuxemu.kernel import Waiter


class Job:
    """A coroutine in progress."""

    def __init__(self, coro: Coroutine[Any, Any, Any]) -> None:
        self.coro = coro
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def value(self) -> Any:
        """Its result, or its exception raised."""
        assert self.done, "still asleep"
        if self.error is not None:
            raise self.error
        return self.result


class Jobs:
    """Runs coroutines as the kernel does, one at a time."""

    def __init__(self) -> None:
        self.ready: deque[Waiter] = deque()

    def spawn(self, coro: Coroutine[Any, Any, Any]) -> Job:
        """Start a coroutine and run it until it sleeps."""
        job = Job(coro)
        self._step(job, None)
        return job

    def _step(self, job: Job, value: Any) -> None:
        try:
            waiter = job.coro.send(value)
        except StopIteration as stop:
            job.done, job.result = True, stop.value
        except BaseException as error:  # noqa: BLE001
            job.done, job.error = True, error
        else:
            waiter.activity = job
            if waiter.woken:
                self.ready.append(waiter)

    def settle(self) -> None:
        """Run until everybody sleeps; time stands still."""
        while self.ready:
            waiter = self.ready.popleft()
            job: Any = waiter.activity
            if not job.done:
                self._step(job, waiter.value)


def invoke(name: str, t: Any, args: Sequence[int]) -> Any:
    """The coroutine of a system call, its arguments decoded as from registers."""
    call = TABLE[X86_64[name]]
    kinds = [arg for _, arg in call.arguments()]
    raw = [value & (1 << 64) - 1 for value in args] + [0] * (len(kinds) - len(args))
    decoded = [
        DECODERS[kind.decode](value) if kind.decode else value for kind, value in zip(kinds, raw, strict=True)
    ]
    return call.handler(t, *decoded)


def error_of(call: Callable[..., Any], *args: Any) -> int:
    """The errno of something that fails."""
    with pytest.raises(SysError) as caught:
        call(*args)
    return caught.value.errno


def named(result: int) -> str:
    """A result as a message shows it: the name of the errno, or the number."""
    return errno_name(-result) if -4096 < result < 0 else str(result)
