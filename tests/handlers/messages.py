"""Which messages system calls were seen to send, to be held against `syscalls.rpcs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.kernel.traps import HOOK_SYSCALL
from linuxemu.messages import AbiHook
from syscalls.registry import TABLE
from tests.handlers.cases import BOOKKEEPING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from linuxemu.testing import Rpc, RpcLog

Seen = dict[str, set[str]]
"""Messages by the name of the call."""


def seen_in(logs: Iterable[RpcLog]) -> Seen:
    """What each call sent, as far as it can be told: not where another trap came in between."""
    found: Seen = {}
    for log in logs:
        for name, sent in _calls(log):
            found.setdefault(name, set()).update(sent)
    return found


def _calls(log: RpcLog) -> Iterator[tuple[str, set[str]]]:
    for entry in log:
        call = _syscall(entry)
        if call is None or entry.pending:
            continue
        during = log.during(entry)
        if not any(other.is_trap for other in during):
            yield call, {other.request.NAME for other in during if other.dst != "linux"} - BOOKKEEPING


def _syscall(entry: Rpc) -> str | None:
    """The name of the system call that a message is, None if it is none that has a handler."""
    request = entry.request
    if not isinstance(request, AbiHook) or request.type != HOOK_SYSCALL:
        return None
    call = TABLE.get(request.frame.rax)
    return call.name if call is not None else None
