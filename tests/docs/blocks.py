"""The blocks of code of the Markdown pages, with what the comments before them say about them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from markdown_it import MarkdownIt

from tests.helpers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from markdown_it.token import Token

MARKERS = ("not run", "file", "output of", "output")
_COMMENT = re.compile(r"<!--\s*([a-z ]+?)\s*(?::\s*(.*?))?\s*-->", re.DOTALL)


class Block(NamedTuple):
    """One fenced block."""

    page: str
    line: int
    number: int
    """Its place among the blocks of its page."""
    info: str
    """What stands behind the opening fence: the language, for text perhaps `diagram`."""
    text: str
    markers: dict[str, str]

    @property
    def place(self) -> str:
        """Where it stands, for people and for test ids."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every page of the checkout that people read."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: str, text: str) -> list[Block]:
    """The fenced blocks of a page, in order.

    Raises:
        ValueError: a comment directly before a block is none of MARKERS, or lacks its text.
    """
    found: list[Block] = []
    tokens = MarkdownIt("commonmark").parse(text)
    for index, token in enumerate(tokens):
        if token.type == "fence":
            markers = _markers(page, tokens[:index])
            line = token.map[0] + 1 if token.map else 0
            found.append(Block(page, line, len(found), token.info.strip(), token.content, markers))
    return found


def _markers(page: str, before: list[Token]) -> dict[str, str]:
    """What the comments say that end `before`."""
    markers: dict[str, str] = {}
    while before and before[-1].type == "html_block":
        comment = before.pop().content.strip()
        marker = _COMMENT.fullmatch(comment)
        if marker is None or marker[1] not in MARKERS:
            raise ValueError(f"{page}: {comment} stands before a block and means nothing")
        if marker[1] != "output" and not marker[2]:
            raise ValueError(f"{page}: {comment} says nothing")
        markers[marker[1]] = marker[2] or ""
    return markers
