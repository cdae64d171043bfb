"""No handler without tests: success, each declared error, EFAULT on each pointer, the messages it sends."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from functools import cache

import pytest

from syscalls.abi import errno as errnos
from syscalls.abi.errno import errno_name
from syscalls.registry import PARTIAL, TABLE, Syscall
from tests.handlers import test_socket
from tests.handlers.cases import pointers_of
from tests.handlers.modules import cases, names_of, never, pointer_cases, proofs, unfaulted

CALLS = sorted(TABLE.values(), key=lambda call: call.name)


def proven(name: str) -> set[int]:
    """The outcomes of a call that tests show, 0 for success."""
    shown = {item.errno for item in [*cases(), *proofs()] if item.name == name}
    if any(case.name == name for case, _, _ in pointer_cases()):
        shown.add(errnos.EFAULT)
    return shown


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_success_is_tested(call: Syscall) -> None:
    assert (0 in proven(call.name)) != bool(never().get(call.name))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_each_declared_error_is_tested(call: Syscall) -> None:
    shown = {errno_name(errno) for errno in proven(call.name) if errno}
    if any(case.name == call.name and case.rpcs and not case.survives_eio for case in cases() if not case.errno):
        shown.add("EIO")
    assert set(call.errors) - shown == set(), "declared and not tested"
    assert shown - {"EIO"} - set(call.errors) == set(), "tested and not declared"


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_errors_raised_in_the_handler_are_declared(call: Syscall) -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(call.handler)))
    raised = {
        node.args[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "SysError"
        and isinstance(node.args[0], ast.Name)
    }
    assert raised - set(call.errors) == set()


SILENT = {
    "ioprio_set": "a hint",
    "mlockall": "nothing is ever swapped out, so that memory is locked anyway",
}
SILENT |= dict.fromkeys(test_socket.NEVER, "that a socket was wanted is recorded when one was to be made")
"""Partial calls that record nothing, with the reason."""


@pytest.mark.parametrize("call", [call for call in CALLS if call.support == PARTIAL], ids=lambda call: call.name)
def test_what_a_partial_call_lacks_is_recorded(call: Syscall) -> None:
    assert records(call) != bool(SILENT.get(call.name))


def records(call: Syscall) -> bool:
    """Whether a handler, or a function of this package that it uses, records what is missing."""
    seen: set[tuple[str, str]] = set()
    waiting = [(call.handler.__module__, call.handler.__name__)]
    while waiting:
        module, name = found = waiting.pop()
        body = bodies(module).get(name)
        if body is None:  # imported from somewhere, perhaps
            home = getattr(getattr(sys.modules[module], name, None), "__module__", "")
            if home.startswith("syscalls.") and home != module:
                waiting.append((home, name))
            continue
        if found in seen:
            continue
        seen.add(found)
        for node in ast.walk(body):
            if isinstance(node, ast.Attribute) and node.attr == "unsupported":
                return True
            if isinstance(node, ast.Name):
                waiting.append((module, node.id))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = getattr(sys.modules[module], node.value.id, None)
                if inspect.ismodule(owner) and owner.__name__.startswith("syscalls."):
                    waiting.append((owner.__name__, node.attr))
    return False


@cache
def bodies(module: str) -> dict[str, ast.AST]:
    """The functions and the tables of a module."""
    found: dict[str, ast.AST] = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[node.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update({target.id: node for target in targets if isinstance(target, ast.Name)})
    return found


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_declared_errors_exist(call: Syscall) -> None:
    assert [name for name in call.errors if not hasattr(errnos, name)] == []


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_each_pointer_is_tested(call: Syscall) -> None:
    tested = {name for case, _, name in pointer_cases() if case.name == call.name}
    tested |= {name for proof in proofs() if proof.name == call.name for name in proof.pointers}
    exempt = unfaulted()
    missing = [name for _, name in pointers_of(call.name) if name not in tested and (call.name, name) not in exempt]
    assert missing == [], "EFAULT is not tested"
    assert all(exempt[key] for key in exempt), "an exemption has no reason"


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_messages_are_tested(call: Syscall) -> None:
    tests = [item for item in [*cases(), *proofs()] if item.name == call.name and item.rpcs is not None]
    if call.name not in never():
        tests = [item for item in tests if not item.errno]
    assert tests, "no successful test says which messages it sends"


def test_tests_are_of_calls_that_exist() -> None:
    assert (names_of(cases()) | names_of(proofs())) - {call.name for call in CALLS} == set()
