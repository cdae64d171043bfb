"""Test one system call at a time: a guest that a test drives, servers that it scripts, time that it owns.

The pytest plugin of this distribution gives a `Guest` as the fixture `guest`. The supported API is what `__all__`
lists; it is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linuxemu.testing.files import Files as Files
    from linuxemu.testing.guest import BAD as BAD
    from linuxemu.testing.guest import Clock as Clock
    from linuxemu.testing.guest import Guest as Guest
    from linuxemu.testing.guest import HandlerFailed as HandlerFailed
    from linuxemu.testing.guest import Rpcs as Rpcs
    from linuxemu.testing.log import Rpc as Rpc
    from linuxemu.testing.log import RpcLog as RpcLog
    from linuxemu.testing.program import CompileError as CompileError
    from linuxemu.testing.program import NoCompiler as NoCompiler
    from linuxemu.testing.program import ProgramResult as ProgramResult
    from linuxemu.testing.program import ProgramRunner as ProgramRunner
    from linuxemu.testing.program import Result as Result
    from linuxemu.testing.program import SyscallRecord as SyscallRecord
    from linuxemu.testing.script import ANY as ANY
    from linuxemu.testing.script import Expectation as Expectation
    from linuxemu.testing.script import Scripted as Scripted
    from linuxemu.testing.script import UnexpectedMessage as UnexpectedMessage
    from linuxemu.testing.script import UnmetExpectation as UnmetExpectation
    from linuxemu.testing.script import where as where
    from linuxemu.testing.system import fresh_attr as fresh_attr
    from linuxemu.testing.thread import Blocked as Blocked
    from linuxemu.testing.thread import Call as Call
    from linuxemu.testing.thread import Calls as Calls
    from linuxemu.testing.thread import GuestThread as GuestThread
    from linuxemu.testing.thread import SignalHandler as SignalHandler
    from linuxemu.testing.thread import SyscallError as SyscallError
    from linuxemu.testing.thread import TaskEnded as TaskEnded
    from linuxemu.testing.values import NULL as NULL
    from linuxemu.testing.values import Edge as Edge
    from linuxemu.testing.values import InOut as InOut
    from linuxemu.testing.values import Iov as Iov
    from linuxemu.testing.values import Out as Out

_HOMES = {
    "ANY": "script",
    "BAD": "guest",
    "Blocked": "thread",
    "Call": "thread",
    "Calls": "thread",
    "Clock": "guest",
    "CompileError": "program",
    "Edge": "values",
    "Expectation": "script",
    "Files": "files",
    "Guest": "guest",
    "GuestThread": "thread",
    "HandlerFailed": "guest",
    "InOut": "values",
    "Iov": "values",
    "NULL": "values",
    "NoCompiler": "program",
    "Out": "values",
    "ProgramResult": "program",
    "ProgramRunner": "program",
    "Result": "program",
    "Rpc": "log",
    "RpcLog": "log",
    "Rpcs": "guest",
    "Scripted": "script",
    "SignalHandler": "thread",
    "SyscallError": "thread",
    "SyscallRecord": "program",
    "TaskEnded": "thread",
    "UnexpectedMessage": "script",
    "UnmetExpectation": "script",
    "fresh_attr": "system",
    "where": "script",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - a list of names, pinned by tests/unit/test_api.py


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'linuxemu.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"linuxemu.testing.{home}"), name)
