"""Write down what strace prints of `tests.trace.calls_FAMILY`: python -m tests.trace.record FAMILY..."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.trace.recording import HERE, MODES, strace


def main(families: list[str]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for family in families:
            calls = import_module(f"tests.trace.calls_{family}").CALLS
            for mode, how in MODES.items():
                text = "\n".join(strace(calls, how, folder))
                (HERE / "recorded" / f"{family}.{mode}.txt").write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
