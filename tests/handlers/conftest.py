"""Every test of this folder is held to what it says it proves, and handlers to the messages they are known to send.

With RECORD_RPCS=FILE the messages are written to a file instead (tools/record_rpcs.py).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from syscalls.rpcs import RPCS
from tests.handlers.cases import check_proofs
from tests.handlers.messages import Seen, seen_in

if TYPE_CHECKING:
    from collections.abc import Generator

RECORD = os.environ.get("RECORD_RPCS")
_recorded: Seen = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    result = yield
    arguments = getattr(item, "funcargs", {})
    proofs = getattr(getattr(item, "function", None), "proofs", ())
    if proofs:
        check_proofs(arguments["guest"], proofs)
    if "linuxemu_systems" in arguments:
        for name, sent in seen_in(arguments["linuxemu_systems"].logs).items():
            if RECORD:
                _recorded.setdefault(name, set()).update(sent)
            else:
                known = {"supervisor.wait", "async", *RPCS.get(name, "").split()}
                assert sent <= known, f"{name} sends {sent - known}: run tools/record_rpcs.py"
    return result


def pytest_sessionfinish() -> None:
    if RECORD:
        Path(RECORD).write_text(json.dumps({name: sorted(sent) for name, sent in _recorded.items()}))
