"""strace's command line: what strace 6.1 accepts, refuses and notes, and that linuxemu says the same."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from linuxemu.trace.filters import OptionError
from linuxemu.trace.reader import read

LINES = Path(__file__).with_name("data") / "strace_lines.txt"
VERSION = "strace -- version 6.1\n"


def recorded() -> list[tuple[str, str, str]]:
    """Words, "=>" or "~>" or "", and what strace says."""
    found = []
    for line in LINES.read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        for sign in ("=>", "~>"):
            words, separator, text = line.partition(f" {sign} ")
            if separator:
                found.append((words, sign, text))
                break
        else:
            found.append((line, "", ""))
    return found


def ours(words: str) -> tuple[str, str]:
    try:
        notes = read([*shlex.split(words), "true"]).options.notes
    except OptionError as error:
        return "=>", str(error)
    return "~>" if notes else "", " | ".join(notes)


@pytest.mark.parametrize(("words", "sign", "text"), recorded(), ids=lambda value: str(value)[:50])
def test_the_same_is_said_as_recorded(words: str, sign: str, text: str) -> None:
    assert ours(words) == (sign, text)


def natively(strace: str, words: str) -> tuple[str, str]:
    line = ["strace", *shlex.split(words), "true"]  # it begins what it says with this name
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        line, executable=strace, env=environment, capture_output=True, text=True, errors="replace", timeout=60
    )
    said = [text.removeprefix("strace: ") for text in done.stderr.splitlines() if text.startswith("strace: ")]
    text = " | ".join(said)
    return ("=>" if done.returncode == 1 else "~>" if said else ""), text


@pytest.mark.native
def test_strace_says_what_is_recorded() -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace (Debian: apt-get install strace)")
    version = subprocess.run([strace, "-V"], capture_output=True, text=True).stdout
    if not version.startswith(VERSION):
        pytest.skip("strace is not version 6.1, whose words are recorded")
    wrong = {words: said for words, *text in recorded() if (said := natively(strace, words)) != tuple(text)}
    assert not wrong
