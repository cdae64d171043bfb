"""`pytest -p tests.shuffle`: the tests in an order that follows from SHUFFLE_SEED (0)."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    Random(int(os.environ.get("SHUFFLE_SEED", "0"))).shuffle(items)
