"""Where traces go."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from linuxemu.trace.output import OutputError, open_output

if TYPE_CHECKING:
    from pathlib import Path


def test_any_number_of_tasks_has_a_file_each(tmp_path: Path) -> None:
    out = open_output(str(tmp_path / "log"), separate=True)
    before = len(os.listdir("/proc/self/fd"))
    for turn in range(2):
        for tid in range(600):
            out.write(tid, f"{turn} {tid}\n")
    assert len(os.listdir("/proc/self/fd")) < before + 300
    out.close()
    assert out.failure == ""
    texts = [(tmp_path / f"log.{tid}").read_text() for tid in range(600)]
    assert texts == [f"0 {tid}\n1 {tid}\n" for tid in range(600)]


def test_a_task_that_gets_an_old_number_goes_on_in_its_file(tmp_path: Path) -> None:
    out = open_output(str(tmp_path / "log"), separate=True)
    for text in ("a", "b"):
        out.write(7, text)
        out.ended(7)
    out.ended(7)
    out.close()
    assert (tmp_path / "log.7").read_text() == "ab"


def test_after_a_failure_nothing_is_written(tmp_path: Path) -> None:
    out = open_output(str(tmp_path / "log"), separate=True)
    (tmp_path / "log.2").mkdir()
    out.write(1, "a")
    out.write(2, "b")
    out.write(1, "c")
    out.close()
    assert out.failure == f"cannot open {tmp_path}/log.2: Is a directory"
    assert (tmp_path / "log.1").read_text() == "a"


def test_bytes_that_are_no_text_stay_what_they_are(tmp_path: Path) -> None:
    out = open_output(str(tmp_path / "log"))
    out.write(1, b"\xff\xc3\xa9\n".decode("utf-8", "surrogateescape"))
    out.close()
    assert (tmp_path / "log").read_bytes() == b"\xff\xc3\xa9\n"


def test_a_command_is_waited_for(tmp_path: Path) -> None:
    out = open_output(f"sleep 0.05; cat > {tmp_path}/log", command=True)
    out.write(1, "text\n")
    out.close()
    assert (tmp_path / "log").read_text() == "text\n"


@pytest.mark.parametrize("name", ["/proc/self/nothing/log", "a\0b"])
def test_what_cannot_be_opened(name: str) -> None:
    with pytest.raises(OutputError, match="cannot open "):
        open_output(name)


def test_a_command_that_cannot_be() -> None:
    with pytest.raises(OutputError, match="cannot run "):
        open_output("a\0b", command=True)
