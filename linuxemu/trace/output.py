"""Where a trace goes: standard error, a file, a file per task, or a command's input."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
from typing import Protocol

from linuxemu.errors import LinuxEmuError

_SHELL = "/bin/sh"
_MOST_FILES = 256
"""Files of tasks that are open at a time; those of others are opened again when they have something to say."""


class OutputError(LinuxEmuError):
    """The trace cannot be written where it was told to; the text says why."""


class Output(Protocol):
    """Takes the text of a trace."""

    failure: str
    """Why writing had to end, empty if it had not to; what was written before is there."""

    def write(self, tid: int, text: str) -> None:
        """Text of a task, which goes out at once. After a failure nothing more is written."""

    def ended(self, tid: int) -> None:
        """A task will not write any more."""

    def close(self) -> None:
        """The end; waits for a command."""


class FileOutput:
    """All tasks in one file.

    Args:
        fd: descriptor of the file.
        name: what failures call it.
        owned: `close` closes the descriptor.
    """

    def __init__(self, fd: int, name: str, owned: bool = False) -> None:
        self._fd = fd
        self._name = name
        self._owned = owned
        self.failure = ""

    def write(self, tid: int, text: str) -> None:
        """See `Output`."""
        if self.failure:
            return
        data = text.encode("utf-8", "surrogateescape")
        try:
            while data:
                data = data[self._write_some(data) :]
        except OSError as error:
            self.failure = f"{self._name}: {error.strerror}"

    def _write_some(self, data: bytes) -> int:
        while True:
            try:
                return os.write(self._fd, data)
            except BlockingIOError:  # whoever shares the file has made it a non-blocking one
                poller = select.poll()
                poller.register(self._fd, select.POLLOUT)
                poller.poll()

    def ended(self, tid: int) -> None:
        """See `Output`."""

    def close(self) -> None:
        """See `Output`."""
        if self._owned:
            self._owned = False
            try:
                os.close(self._fd)
            except OSError as error:  # some file systems say only now that there was no room
                self.failure = self.failure or f"{self._name}: {error.strerror}"


class SeparateOutput:
    """Each task in a file of its own, NAME.TID.

    Args:
        name: the beginning of the files' names.
        append: keep what is in them.
    """

    def __init__(self, name: str, append: bool) -> None:
        self._name = name
        self._append = append
        self._files: dict[int, FileOutput] = {}
        self._seen: set[int] = set()
        self.failure = ""

    def write(self, tid: int, text: str) -> None:
        """See `Output`."""
        if self.failure:
            return
        file = self._files.get(tid)
        if file is None:
            try:
                file = open_file(f"{self._name}.{tid}", self._append or tid in self._seen)
            except OutputError as error:
                self.failure = str(error)
                return
            self._files[tid] = file
            self._seen.add(tid)
            if len(self._files) > _MOST_FILES:
                self.ended(next(iter(self._files)))
        file.write(tid, text)
        self.failure = file.failure

    def ended(self, tid: int) -> None:
        """See `Output`."""
        file = self._files.pop(tid, None)
        if file is not None:
            file.close()
            self.failure = self.failure or file.failure

    def close(self) -> None:
        """See `Output`."""
        for tid in list(self._files):
            self.ended(tid)


class CommandOutput(FileOutput):
    """The input of a shell's command.

    Args:
        command: as `sh -c` takes it.
    Raises:
        OutputError: there is no shell to run it.
    """

    def __init__(self, command: str) -> None:
        try:
            # ^C is for the program, the command reads on to the end. It stays in the group of the terminal all the
            # same: pagers ask it for keys.
            line = [_SHELL, "-c", f"trap '' INT QUIT\n{command}"]
            self._process = subprocess.Popen(line, stdin=subprocess.PIPE, bufsize=0)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise OutputError(f"cannot run {command!r}: {why}") from None
        assert self._process.stdin is not None
        super().__init__(self._process.stdin.fileno(), f"| {command}")

    def close(self) -> None:
        """See `Output`."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()


def open_file(name: str, append: bool = False) -> FileOutput:
    """A file to write a trace to.

    Args:
        name: its path.
        append: keep what is in it.
    Raises:
        OutputError: it cannot be opened.
    """
    how = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_APPEND if append else os.O_TRUNC)
    try:
        return FileOutput(os.open(name, how, 0o666), name, owned=True)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputError(f"cannot open {name}: {why}") from None


def _standard_error() -> FileOutput:
    # A descriptor of its own: should the caller have closed number 2, the next file to be opened would take it.
    try:
        return FileOutput(fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 3), "standard error", owned=True)
    except OSError as error:
        raise OutputError(f"cannot write to standard error: {error.strerror}") from None


def open_output(name: str | None, command: bool = False, append: bool = False, separate: bool = False) -> Output:
    """What -o, -A and -ff ask for.

    Args:
        name: a path or a command; None for standard error.
        command: it is a command.
        append: -A, keep what is in files.
        separate: -ff, a file per task.
    Raises:
        OutputError: it cannot be written to.
    """
    if name is None:
        return _standard_error()
    if command:
        return CommandOutput(name)
    if not separate:
        return open_file(name, append)
    folder = os.path.dirname(name) or "."
    if not os.path.isdir(folder):
        raise OutputError(f"cannot open {name}.PID: {folder} is not a directory")
    return SeparateOutput(name, append)
