"""How Sphinx builds the documentation; tools/docs runs it."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE / "_ext")]  # document this checkout, whatever is installed

INNER = (
    "arrived", "begin", "complete", "declared", "ended", "equip", "peek", "place", "place_at_edge", "stopped", "wrap",
)  # fmt: skip
"""Methods with which the classes of the harness talk to each other; no test calls them."""

project = "linuxemu"
author = "the linuxemu authors"
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated", "captions"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_ext"]
smartquotes_action = "D"  # dashes only: quotes in the text are often a shell's
default_role = "code"  # docstrings are written with single backticks
highlight_language = "text"

myst_enable_extensions = ["colon_fence"]  # directives in colons: what stands in backticks is code, and run
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # included pages start at their own second level

autodoc_default_options = {"members": True, "exclude-members": ",".join(INNER)}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
maximum_signature_line_length = 80  # one argument per line where it is longer
toc_object_entries = False  # the contents of a page are its sections; its objects would be hundreds
python_use_unqualified_type_names = True

nitpicky = True
nitpick_ignore_regex = [
    # The standard library: linking to it would need the network for each build.
    (r"py:.*", r"(collections|typing|types|pathlib|os)\..*"),
    (r"py:.*", r"(str|bytes|bool|int|float|tuple|dict|list|set|object|None|Exception)"),
    (r"py:.*", r"(Sequence|Mapping|Callable|Iterator|Iterable)"),
    # A server's record of what was asked for in vain: a plain tuple, of no interest by itself.
    (r"py:.*", r"(syscalls\.server\.)?Unsupported"),
    # What lies behind the supported names.
    (r"py:.*", r"(linuxemu\.(idl|kernel|messages|testing\.(system|script))|syscalls)\..*"),
    (r"py:.*", r"(Message|TrapFrame|Kernel|KernelTask|Task|Service|Server|Trace|Wrap|Handler|LinuxServer|SysError)"),
    (r"py:.*", r"AbstractContextManager"),
]

html_theme = "furo"
html_title = f"linuxemu {release}"
html_static_path = ["_static"]
html_css_files = ["linuxemu.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
