"""Runs the cases of this folder, each in a guest of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linuxemu.testing import BAD
from syscalls.abi.errno import EFAULT, EIO, ENOSYS, errno_name
from tests.handlers.cases import Case, outcomes, run
from tests.handlers.modules import cases, pointer_cases, successes

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Guest

_FAILING = ("fs", "fsx", "time", "clock")


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return out


def _named(errno: int) -> str:
    return errno_name(errno) if errno else "success"


@pytest.fixture
def made(request: pytest.FixtureRequest, new_guest: Callable[..., Guest]) -> Guest:
    """The guest of a case."""
    case: Case = request.getfixturevalue("case")
    return case.guest(new_guest)


@pytest.mark.parametrize("case", cases(), ids=_unique([str(case) for case in cases()]))
def test_case(case: Case, made: Guest) -> None:
    args = case.arguments(made)
    made.rpc.clear()
    call = run(case, made, args)
    assert call.gone == case.ends, call
    if not call.gone:
        assert _named(call.errno) == _named(case.errno), call
    if case.returns is not None:
        assert call.returned == case.returns
    if case.rpcs is not None:
        assert outcomes(made, case.name)[-1][1] == list(case.rpcs)
    if case.errno == ENOSYS:
        assert made.unsupported, "a program saw ENOSYS, and nobody will know"
    if case.check is not None:
        case.check(made, call)


@pytest.mark.parametrize(
    ("case", "index"),
    [(case, index) for case, index, _ in pointer_cases()],
    ids=_unique([f"{case.name}-{name}" for case, _, name in pointer_cases()]),
)
def test_pointer_faults(case: Case, index: int, made: Guest) -> None:
    args = list(case.arguments(made))
    args[index] = BAD
    call = run(case, made, args)
    assert call.errno == EFAULT, call


_ASKING = [case for case in successes() if case.rpcs and case.rpcs[0].partition(".")[0] in _FAILING]


@pytest.mark.parametrize("case", _ASKING, ids=_unique([str(case) for case in _ASKING]))
def test_first_server_fails(case: Case, made: Guest) -> None:
    assert case.rpcs
    args = case.arguments(made)
    namespace, _, name = case.rpcs[0].partition(".")
    server = made.time if namespace in ("time", "clock") else made.fs
    kind = next(kind for kind in server.table if kind.NAME == case.rpcs[0])  # type: ignore[attr-defined]
    failure = server.expect(kind).error(EIO)
    call = run(case, made, args)
    if case.survives_eio:
        failure.any_number()  # another server of its kind may be the one that was asked
    expected = 0 if case.survives_eio else EIO
    assert call.errno == expected, f"{call}, where {namespace}.{name} failed"
