"""How the calls of processes, memory, identity, resources and the system are shown: as strace(1) shows them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.trace.injected import HERE, Item, all_strace, build, read, show

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted(HERE.glob("*.txt"))


def _id(item: Item) -> str:
    return f"{' '.join(item.options)} {item.source}".strip()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_calls_are_shown_as_the_tables_say(path: Path) -> None:
    differing = [(_id(item), shown, item.shown) for item in read(path) if (shown := show(item)) != item.shown]
    assert differing == []


@pytest.mark.skipif(not shutil.which("strace") or not shutil.which("gcc"), reason="needs strace and gcc")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_strace_shows_them_so(path: Path, tmp_path: Path) -> None:
    items = read(path)
    found = all_strace(items, build(tmp_path))
    differing = [
        (_id(item), found[f"{item.options}{item.source}"], item.shown)
        for item in items
        if found[f"{item.options}{item.source}"] != item.shown
    ]
    assert differing == []
