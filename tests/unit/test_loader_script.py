"""loader.script: the `#!` line, compared with the host's kernel."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import EACCES, ENOEXEC, ExecFormatError
from loader.script import HEAD_SIZE, MAX_DEPTH, parse_script
from tests.unit.loader_files import native_status, write_program

ARGS = r"""
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        fwrite(argv[i], 1, strlen(argv[i]) + 1, stdout);
}
"""

# %I stands for the path of an interpreter that prints its arguments.
LINES: dict[str, bytes] = {
    "plain": b"#!%I\n",
    "argument": b"#!%I a\nrest",
    "one argument however many words": b"#!%I a b  c\n",
    "trailing blanks": b"#!%I a b \t \n",
    "leading blanks": b"#! \t%I\t a\n",
    "only trailing blanks": b"#!%I  \t\n",
    "no newline": b"#!%I",
    "no newline, argument": b"#!%I a b",
    "no newline, trailing blanks stay": b"#!%I a  ",
    "no newline, an empty argument": b"#!%I  ",
    "NUL ends the path": b"#!%I\0junk\n",
    "NUL ends the argument": b"#!%I a\0b\n",
    "carriage return belongs to the path": b"#!%I\r\n",
    "long argument": b"#!%I " + b"a" * 300,
    "newlines only": b"#!%I" + b"\n" * 300,
    "blanks to the end": b"#!%I" + b" " * 300,
    "blanks to the end of the buffer": b"#!%I%Px",
    "argument and blanks to the end of the buffer": b"#!%I a%Px",
    "newline as byte 256": b"#!%I %P\n",
    "nothing": b"#!",
    "nothing but a newline": b"#!\n",
    "nothing but blanks": b"#!  \t\n",
    "nothing but blanks, no newline": b"#!  ",
    "NUL first": b"#!\0%I\n",
    "path too long": b"#!/" + b"a" * 300,
    "path up to byte 254": b"#!/".ljust(254, b"a") + b" x",
    "path up to byte 255": b"#!/".ljust(255, b"a") + b" x",
    "path up to byte 256": b"#!/".ljust(256, b"a") + b" x",
    "blanks only, more than fit": b"#!" + b" " * 300,
    "path at the last byte": b"#!".ljust(255, b" ") + b"x",
}


def filled(line: bytes, interpreter: bytes) -> bytes:
    """A line with its place-holders filled in; %P pads with blanks up to the last byte of the buffer."""
    line = line.replace(b"%I", interpreter)
    before, pad, after = line.partition(b"%P")
    return before.ljust(HEAD_SIZE - 1) + after if pad else line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"#!/bin/sh\n", (b"/bin/sh", None)),
        (b"#!/bin/sh", (b"/bin/sh", None)),
        (b"#! /bin/sh \t-e  -x \t\necho", (b"/bin/sh", b"-e  -x")),
        (b"#!sh  ", (b"sh", b"")),
        (b"#!/bin/sh a\0b", (b"/bin/sh", b"a")),
        (b"#!/bin/sh " + b"a" * 300, (b"/bin/sh", b"a" * 245)),
        (b"", None),
        (b"#", None),
        (b" #!/bin/sh\n", None),
        (b"\x7fELF", None),
    ],
)
def test_line(line: bytes, expected: tuple[bytes, bytes | None] | None) -> None:
    assert parse_script(line) == expected
    assert parse_script(line[:HEAD_SIZE]) == expected


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"#!\n", ENOEXEC),
        (b"#! \t\n", ENOEXEC),
        (b"#!/" + b"a" * 300, ENOEXEC),
        (b"#!" + b" " * 300, ENOEXEC),
        (b"#!", EACCES),
        (b"#!\0/bin/sh\n", EACCES),
    ],
)
def test_refused(line: bytes, code: int) -> None:
    with pytest.raises(ExecFormatError) as info:
        parse_script(line)
    assert (info.value.errno, info.value.fatal) == (code, False)


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A program that prints its arguments."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc here")
    directory = tmp_path_factory.mktemp("i")
    source = directory / "args.c"
    source.write_text(ARGS)
    subprocess.run([compiler, "-static", "-o", directory / "args", source], check=True)
    return os.fsencode(directory / "args")


@pytest.mark.native
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_linux_agrees(line: bytes, interpreter: bytes, tmp_path: Path) -> None:
    data = filled(line, interpreter)
    script = write_program(tmp_path, data, "script")
    native: list[bytes] | int | None
    try:
        output = subprocess.run([script, "x"], capture_output=True, env={}, cwd=tmp_path).stdout
        native = output.split(b"\0")[:-1]
    except OSError as e:
        native = e.errno
    ours: list[bytes] | int | None
    try:
        parsed = parse_script(data[:HEAD_SIZE])
    except ExecFormatError as e:
        ours = e.errno
    else:
        assert parsed is not None
        name, argument = parsed
        ours = [name, *([] if argument is None else [argument]), os.fsencode(script), b"x"]
        if not os.access(os.path.join(os.fsencode(tmp_path), name), os.X_OK):
            ours = 2
    assert ours == native


@given(st.binary(max_size=300), st.sampled_from((b"", b"#!", b"#! \t", b"#!/bin/sh ")))
def test_noise_never_raises_anything_else(data: bytes, start: bytes) -> None:
    try:
        parsed = parse_script(start + data)
    except ExecFormatError:
        return
    if parsed is not None:
        name, argument = parsed
        assert name
        assert not set(name) & set(b"\0\n \t")
        assert argument is None or b"\0" not in argument


@pytest.mark.native
@pytest.mark.parametrize(("scripts", "error"), [(MAX_DEPTH, None), (MAX_DEPTH + 1, errno.ELOOP)])
def test_linux_follows_as_many_interpreters(
    scripts: int, error: int | None, interpreter: bytes, tmp_path: Path
) -> None:
    path = interpreter
    for number in range(scripts):
        path = os.fsencode(write_program(tmp_path, b"#!" + path + b"\n", f"script{number}"))
    native = -1000 - error if error else 0
    assert native_status(Path(os.fsdecode(path))) == native
