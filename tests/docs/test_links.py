"""Links from one page or file of the checkout to another lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.docs.blocks import pages
from tests.helpers import ROOT


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links(page: Path) -> None:
    tokens = MarkdownIt("commonmark").parse(page.read_text("utf-8"))
    links = [
        str(token.attrs.get("href") or token.attrs.get("src"))
        for inline in tokens
        for token in inline.children or ()
        if token.type in ("link_open", "image")
    ]
    files = [link.partition("#")[0] for link in links if ":" not in link]
    assert [file for file in files if file and not (page.parent / file).exists()] == []
