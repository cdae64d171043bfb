"""Calls as strace(1) shows them natively, with results that it injects.

strace does not make the calls (`-e inject`), so that nothing depends on the machine and nothing happens to it: their
results, and the memory that they would have filled, are what a test says.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from struct import pack
from typing import TYPE_CHECKING

from syscalls.abi.numbers import X86_64
from tests.trace.fakecall import WORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.trace.fakecall import Made

BASE = 0x1000_0000
"""Where the memory of such calls begins."""
_DRIVER = Path(__file__).with_name("driver.c")
_MARK = " (INJECTED)"


def strace(calls: Sequence[Made], result: int, options: Sequence[str], folder: Path) -> list[str]:
    """The lines of calls that have the same result, and memory of the same size.

    Args:
        calls: by name.
        result: what each returns, negative for an error.
        options: of strace.
        folder: for the program that makes the calls, and for the log.
    """
    names = ",".join(sorted({str(call.name) for call in calls}))
    injected = f"error={-result}" if -4096 < result < 0 else f"retval={result & WORD}"
    script = b"".join(
        bytes(call.memory.data) + pack("<7Q", X86_64[str(call.name)], *call.words) for call in calls
    )
    log = folder / "log"
    driver = _driver(folder, len(calls[0].memory.data))
    words = ["strace", "-a0", "-o", log, f"-etrace={names}", f"-einject={names}:{injected}", *options, driver]
    subprocess.run(words, input=script, stderr=subprocess.DEVNULL, check=True)
    found = [line.removesuffix(_MARK) for line in log.read_text("utf-8").splitlines() if line.endswith(_MARK)]
    assert len(found) == len(calls), (names, found)
    return found


def _driver(folder: Path, size: int) -> Path:
    """The program that strace watches, with memory of `size` bytes."""
    driver = folder / f"driver-{size}"
    if not driver.exists():
        command = f"gcc -O1 -static -nostdlib -fno-stack-protector -fno-builtin -DSIZE={size}"
        subprocess.run([*command.split(), f"-Wl,--section-start=.guest={BASE:#x}", "-o", driver, _DRIVER], check=True)
    return driver
