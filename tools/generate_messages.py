#!/usr/bin/env python3
"""Writes linuxemu/messages.py from the interface definitions, and keeps the table of message ids."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from linuxemu.errors import IdlError  # noqa: E402
from linuxemu.idl.generate import generate  # noqa: E402
from linuxemu.idl.ids import IdTable  # noqa: E402
from linuxemu.idl.interface import load  # noqa: E402


def main(argv: Sequence[str] | None = None) -> int:
    """Write the generated files, or with --check say whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a committed file is stale"
    )
    parser.add_argument(
        "--interface", type=Path, default=ROOT / "linuxemu/interface.idl", help="the root file"
    )
    parser.add_argument("--ids", type=Path, default=ROOT / "linuxemu/idl/ids.toml", help="the table of ids")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "linuxemu/messages.py", help="the module to write"
    )
    options = parser.parse_args(argv)
    try:
        table = IdTable.load(options.ids)
        source = generate(load(options.interface, table))
    except IdlError as problem:
        print(problem, file=sys.stderr)
        return 1
    files = {options.ids: table.text(), options.output: source}
    stale = [path for path, text in files.items() if _stale(path, text)]
    if options.check:
        for path in stale:
            print(f"{path} is stale: run tools/generate_messages.py", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(files[path], "utf-8")
    return 0


def _stale(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text("utf-8") != text


if __name__ == "__main__":
    sys.exit(main())
