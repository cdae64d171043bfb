"""The only directory that a fuzzed guest may change, and what around it must stay as it is."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tools.fuzzing.target import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDERS = ("dev", "proc", "sys", "tmp", "etc", "ro", "rw", "elf")


class Sandbox:
    """Directories of the host for one target.

    Args:
        program: the guest program, which stands as /fuzz in the root.
    """

    def __init__(self, program: Path) -> None:
        self._base = Path(tempfile.mkdtemp(prefix="linuxemu-fuzz-"))
        self.root, self.read_only = self._base / "root", self._base / "read-only"
        self.writable, outside = self._base / "writable", self._base / "outside"
        for name in _FOLDERS:
            (self.root / name).mkdir(parents=True)
        shutil.copy(program, self.root / "fuzz")
        (self.root / "fuzz").chmod(0o755)
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/:/fuzz\nuser:x:1000:1000::/tmp:/fuzz\n")
        (self.read_only / "dir").mkdir(parents=True)
        outside.mkdir()
        for path in (self.read_only / "file", self.read_only / "dir/other", outside / "kept"):
            path.write_text("nobody may change this\n" * 300)
            path.chmod(0o666)
        (self.read_only / "out").symlink_to(outside / "kept")
        self.renew()
        self.look()

    def renew(self) -> None:
        """Make the writable directory as it was in the beginning."""
        shutil.rmtree(self.writable, ignore_errors=True)
        self.writable.mkdir()
        self.writable.chmod(0o777)
        (self.writable / "file").write_text("anybody may change this\n" * 300)
        (self.writable / "file").chmod(0o666)
        (self.writable / "out").symlink_to(self._base / "outside/kept")
        (self.writable / "up").symlink_to("../outside")

    def look(self) -> None:
        """Take what is there now for what must stay."""
        self._before = self._state()

    def changes(self) -> Iterator[Failure]:
        """What differs from the beginning outside of the writable directory."""
        now = self._state()
        for path in sorted(self._before.keys() | now.keys()):
            if self._before.get(path) != now.get(path):
                yield Failure("outside", f"{path}: {self._before.get(path)} became {now.get(path)}", path)
        self._before = now

    def _state(self) -> dict[str, tuple[object, ...]]:
        found: dict[str, tuple[object, ...]] = {}
        for folder in (self._base, self.root, self.read_only, self._base / "outside"):
            for path in [folder, *(sorted(folder.rglob("*")) if folder != self._base else folder.iterdir())]:
                if path in (self._base, self.writable):
                    continue
                status = path.lstat()
                content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
                link = os.readlink(path) if path.is_symlink() else ""
                what = (status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns, link, content)
                found[str(path.relative_to(self._base))] = what
        return found

    def close(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self._base, ignore_errors=True)
