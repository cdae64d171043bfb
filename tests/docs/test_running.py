"""The runner of the documentation's blocks finds what is wrong in a page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of
from tests.docs.compare import check_output
from tests.docs.running import Page

FAILING = "<!-- file: test_x.py -->\n```python\ndef test_x() -> None:\n    assert 1 == 2\n```\n"
PASSING = FAILING.replace("1 == 2", "1 == 1")
SHOWN = """
<!-- output of: python -m pytest -q -p no:cacheprovider test_x.py -->
```text
F ... [100%]
=== FAILURES ===
...
E       assert 1 == 2
...
1 failed in 0.01s
```
"""


def follow(page: str, directory: Path) -> None:
    """Run all blocks of a page of docs/."""
    blocks = blocks_of("docs/page.md", page)
    reader = Page(blocks, directory)
    for block in blocks:
        reader.check(block)


HOLD = {
    "names carry over": "```python\nx = 1\n```\n\n```python\nassert x == 1\n```\n",
    "output of a script": "```python\nprint(1)\n```\n<!-- output -->\n```text\n1\n```\n",
    "file": "<!-- file: a/b.txt -->\n```text diagram\nhere\n```\n\n```console\n$ cat a/b.txt; false\nhere\n```\n",
    "commands of one shell": "```console\n$ cd /\n$ pwd\n/\n```\n",
    "long command": "```console\n$ echo 1 \\\n> 2\n1 2\n```\n",
    "ellipsis": "```console\n$ seq 5\n1\n...\n5\n```\n",
    "directory": "```console\n$ pwd\n/home/you/project\n```\n",
    "not run": "<!-- not run: it never ends -->\n```console\n$ sleep inf\n```\n",
    "toml": "```toml\na = 1\n```\n",
    "idl": "```idl\nrpc nop() -> ();\n```\n",
    "test file": PASSING,
    "failure as shown": FAILING + SHOWN,
    "shown, then mended": FAILING + SHOWN + PASSING,
}


@pytest.mark.parametrize("page", HOLD.values(), ids=HOLD)
def test_pages_that_hold(page: str, tmp_path: Path) -> None:
    follow(page, tmp_path)


BREAK = {
    "assertion": ("```python\nassert 1 == 2, 'no'\n```\n", "no"),
    "output of a script": ("```python\nprint(1)\n```\n<!-- output -->\n```text\n2\n```\n", r"-2\n\+1"),
    "command": ("```console\n$ echo 1\n2\n```\n", r" \$ echo 1\n-2\n\+1"),
    "shell": ("```console\n$ exit\n```\n", "ended early"),
    "no command": ("```console\necho 1\n```\n", "output without a command"),
    "text": ("```text\nwho wrote this?\n```\n", "page.md:1: say what writes this"),
    "no language": ("```\nno language\n```\n", "nothing runs a block of ''"),
    "other language": ("```ruby\nputs 1\n```\n", "nothing runs a block of 'ruby'"),
    "toml": ("```toml\na = \n```\n", "Invalid value"),
    "idl": ("```idl\nrpc nop();\n```\n", "page.md:1:1:5"),
    "test file": (FAILING, "1 failed"),
    "success, failure shown": (PASSING + SHOWN, "1 passed"),
    "shown, not mended": (FAILING + SHOWN + FAILING, "1 failed"),
    "file": ("<!-- file: x.py -->\n```python\n)\n```\n", "unmatched"),
}


@pytest.mark.parametrize(("page", "complaint"), BREAK.values(), ids=BREAK)
def test_pages_that_do_not(page: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises((Exception, pytest.fail.Exception), match=complaint):
        follow(page, tmp_path)


def test_a_block_that_failed_fails_again(tmp_path: Path) -> None:
    blocks = blocks_of("docs/page.md", "```python\nraise KeyError\n```\n\n```python\nx = 1\n```\n")
    reader = Page(blocks, tmp_path)
    reader.check(blocks[1])
    with pytest.raises(KeyError):
        reader.check(blocks[0])


def test_indented_code_is_no_block() -> None:
    assert blocks_of("page.md", "    a diagram\n") == []


@pytest.mark.parametrize(
    "comment", ["<!-- not run -->", "<!-- not run: -->", "<!-- run: never -->", "<!-- -->"]
)
def test_comments_before_a_block_mean_something(comment: str) -> None:
    with pytest.raises(ValueError, match=r"says nothing|means nothing"):
        blocks_of("page.md", f"{comment}\n```python\n```\n")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc (Debian: apt-get install gcc)")
def test_c(tmp_path: Path) -> None:
    follow("```c\nint main(void) { return 0; }\n```\n\n```c\nint f(int x);\n```\n", tmp_path)
    (tmp_path / "again").mkdir()
    with pytest.raises(AssertionError, match="unused"):
        follow("```c\nint main(void) { int x; return 0; }\n```\n", tmp_path / "again")


def test_what_is_volatile() -> None:
    check_output("=== 1 passed in 0.01s ===\n", "======= 1 passed in 12.5s =======")
    check_output("at 0x7f0000001000", "at 0x7fffdeadbeef  \n\n")
    with pytest.raises(AssertionError):
        check_output("at 0x401000", "at 0x402000")
