"""Writes syscalls/rpcs.py: the messages that each system call was seen to send in tests/handlers.

The tests themselves fail when a call sends one that is not there, so this runs only when they say so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "syscalls/rpcs.py"

_HEAD = '''\
"""The messages that each system call may send to servers, by its name. Made by tools/record_rpcs.py: do not edit.

A call that is not here sends none. Left out are those that any call may send: `fsx.forget`, `task.free`, `async` when a
server had news, and `supervisor.wait` when one has died.
"""

from __future__ import annotations

RPCS: dict[str, str] = {
'''
_ANY = {"supervisor.wait", "async"}


def main() -> int:
    """Run the tests and write the table."""
    with tempfile.TemporaryDirectory() as directory:
        record = Path(directory) / "rpcs.json"
        line = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "tests/handlers"]
        done = subprocess.run(line, cwd=ROOT, env={**os.environ, "RECORD_RPCS": str(record)}, check=False)
        if done.returncode:
            return done.returncode
        seen: dict[str, list[str]] = json.loads(record.read_text())
    lines = []
    for name, sent in sorted(seen.items()):
        messages = sorted(set(sent) - _ANY)
        if messages:
            lines.append(f'    "{name}": "{" ".join(messages)}",\n')
    TARGET.write_text(_HEAD + "".join(lines) + "}\n", encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(lines)} system calls send messages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
