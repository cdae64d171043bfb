"""Shows the name of a file above its text: `<!-- file: NAME -->` before a block of code becomes its caption."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARKER = re.compile(r"<!-- file: (.+?) -->")


class FileCaptions(SphinxTransform):
    """Wraps each block that a marker names."""

    default_priority = 200  # before Sphinx numbers what has a caption

    def apply(self, **_: Any) -> None:
        """Called by Sphinx for each page."""
        for comment in list(self.document.findall(nodes.raw)):
            marker = MARKER.match(comment.astext())
            block = comment.next_node(descend=False, siblings=True)
            if marker and isinstance(block, nodes.literal_block):
                caption = nodes.caption(marker[1], "", nodes.Text(marker[1]))
                wrapper = nodes.container("", literal_block=True, classes=["literal-block-wrapper"])
                block.replace_self(wrapper)
                wrapper += [caption, block]
                comment.parent.remove(comment)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_transform(FileCaptions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
