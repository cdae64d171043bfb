"""Where a trace goes: standard error, a file, a file per task, or a command's input."""

from __future__ import annotations

import os
from typing import Protocol


class Output(Protocol):
    """Takes the text of a trace."""

    def write(self, tid: int, text: str) -> None:
        """Text of a task; it goes out at once."""

    def close(self) -> None:
        """The end."""


class FileOutput:
    """All tasks in one file.

    Args:
        fd: descriptor of the file.
        name: what error messages call it.
    """

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self.name = name
        self.failure: OSError | None = None
        """Why writing had to end, if it had to."""

    def write(self, tid: int, text: str) -> None:
        """See `Output`. After an error nothing more is written."""
        if self.failure is not None:
            return
        data = text.encode("utf-8", "surrogateescape")
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self.failure = error

    def close(self) -> None:
        """See `Output`."""
