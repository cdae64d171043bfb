"""Every test of this folder is held to what it says it proves, and handlers to the errors they declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.handlers.cases import check_proofs

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    result = yield
    proofs = getattr(getattr(item, "function", None), "proofs", ())
    if proofs:
        check_proofs(item.funcargs["guest"], proofs)  # type: ignore[attr-defined]
    return result
