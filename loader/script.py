"""Script files: the `#!` line, by the rules of Linux since 5.1 (man 2 execve, "Interpreter scripts")."""

from __future__ import annotations

from loader.errors import EACCES, ExecFormatError

HEAD_SIZE = 256
"""How much of a file execve looks at to tell what it is."""

MAX_DEPTH = 5
"""So many interpreters may stand between a script and a program; one more is ELOOP."""

_BLANKS = b" \t"


def parse_script(head: bytes) -> tuple[bytes, bytes | None] | None:
    """The interpreter that a script names, and the one optional argument.

    The argument is all that follows, inner blanks too; trailing blanks stay if the file ends before the line
    does. After 256 bytes of the file an argument is cut, while an interpreter is refused, for a cut path is
    another path.

    Args:
        head: the first `HEAD_SIZE` bytes of the file, fewer if it is shorter.

    Returns:
        None when the file is no script at all.

    Raises:
        ExecFormatError: the line names no interpreter or not all of it.
    """
    if not head.startswith(b"#!"):
        return None
    buffer = head[:HEAD_SIZE].ljust(HEAD_SIZE, b"\0")
    end = buffer.partition(b"\0")[0].find(b"\n")
    if end < 0:
        # The line is cut, or a file without newline ends in it: then the path must at least have an end.
        start = buffer[2:].lstrip(_BLANKS)
        if len(_first_word(start)) == len(start):
            raise ExecFormatError("script line is too long to hold its interpreter")
        end = HEAD_SIZE - 1
    line = buffer[2:end].strip(_BLANKS)
    if not line:
        raise ExecFormatError("script names no interpreter")
    name = _first_word(line)
    after = line[len(name) :]
    if not name:
        # Linux looks up the empty path, finds the working directory and cannot execute that.
        raise ExecFormatError("script names an empty interpreter", EACCES)
    if not after or after.startswith(b"\0"):
        return name, None
    return name, after.lstrip(_BLANKS).partition(b"\0")[0]


def _first_word(text: bytes) -> bytes:
    """What stands before the first blank or NUL."""
    return text.partition(b"\0")[0].partition(b" ")[0].partition(b"\t")[0]
