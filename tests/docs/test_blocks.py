"""Every block of code of every page does what the page says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import Block, blocks_of, pages
from tests.docs.running import Page
from tests.helpers import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

PAGES = {
    name: blocks_of(name, page.read_text("utf-8"))
    for page in pages()
    for name in [page.relative_to(ROOT).as_posix()]
}


@pytest.fixture(scope="session")
def follow(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Page]:
    """A page by its name, the same for all of its blocks."""
    followed: dict[str, Page] = {}

    def get(name: str) -> Page:
        if name not in followed:
            followed[name] = Page(PAGES[name], tmp_path_factory.mktemp("page"))
        return followed[name]

    return get


@pytest.mark.native
@pytest.mark.usefixtures("busybox")
@pytest.mark.parametrize(
    "block",
    [
        # Blocks of a page build on each other: one worker has them all.
        pytest.param(block, id=f"{block.place}-{block.info}")
        for blocks in PAGES.values()
        for block in blocks
    ],
)
def test_block(block: Block, follow: Callable[[str], Page]) -> None:
    if "not run" in block.markers:
        pytest.skip(f"not run: {block.markers['not run']}")
    follow(block.page).check(block)
