"""Which id a message has.

The messages of the root file are counted from 1, as the seed kernel counts them. Those of included files
have their ids from a committed table: an id once given stays, also when its message is gone, and a new
message takes the next free one from 200 on.
"""

from __future__ import annotations

from pathlib import Path

from linuxemu.errors import IdlError

FIRST_EXTENSION_ID = 200
LAST_ID = 0xFFFF


class IdTable:
    """The table of ids of included messages, by full name."""

    def __init__(self, ids: dict[str, int] | None = None) -> None:
        self.ids = dict(ids or {})
        self._next = max([FIRST_EXTENSION_ID - 1, *self.ids.values()]) + 1

    @classmethod
    def load(cls, path: Path) -> IdTable:
        """Read a table; a missing file is an empty one.

        Raises:
            IdlError: the file is no table, or gives an id twice.
        """
        import tomllib

        if not path.exists():
            return cls()
        try:
            ids = tomllib.loads(path.read_text("utf-8"))
        except tomllib.TOMLDecodeError as problem:
            raise IdlError(f"{path}:1:1: not a table of ids: {problem}") from None
        owners: dict[int, str] = {}
        for name, number in ids.items():
            if type(number) is not int or not 0 < number <= LAST_ID:
                raise IdlError(f"{path}:1:1: {name} has no valid id")
            if number in owners:
                raise IdlError(f"{path}:1:1: {name} and {owners[number]} have the same id {number}")
            owners[number] = name
        return cls(ids)

    def id_of(self, name: str) -> int:
        """The id of a message, given now if it has none."""
        if name not in self.ids:
            self.ids[name] = self._next
            self._next += 1
        return self.ids[name]

    def text(self) -> str:
        """The table as it is committed."""
        lines = [
            f'"{name}" = {number}\n' for name, number in sorted(self.ids.items(), key=lambda item: item[1])
        ]
        head = (
            "# Ids of messages in included files, kept by tools/generate_messages.py. Never change a line.\n"
        )
        return head + "".join(lines)
