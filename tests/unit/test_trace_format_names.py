"""Each format of the trace has one owner: of two the one that is imported last would win."""

from __future__ import annotations

import ast

import pytest

from tests.helpers import ROOT

FOLDER = ROOT / "linuxemu" / "trace" / "formats"


@pytest.mark.parametrize("kind", ["shows", "after", "shows_struct"])
def test_no_name_is_registered_twice(kind: str) -> None:
    names = []
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == kind:
                names += [word.value for word in node.args if isinstance(word, ast.Constant)]
    assert len(names) > 1
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
