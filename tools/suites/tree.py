"""The root file system that a suite is run in, the same natively and in linuxemu."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from rootfs.busybox import find_busybox
from rootfs.skeleton import skeleton
from tools.suites.suite import HOME

_LOCALE = Path("/usr/lib/locale/C.utf8")


def make_root(root: Path, busybox: Path | None) -> None:
    """A plain directory with what linuxemu's own root holds, and a place for the suite.

    Args:
        root: the directory; what was there is removed.
        busybox: the BusyBox to take instead of the machine's.

    Raises:
        BootError: there is no BusyBox.
    """
    shutil.rmtree(root, ignore_errors=True)
    for name, mode, *_rest, content in skeleton():
        path = root / os.fsdecode(name)
        if stat.S_ISDIR(mode):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(stat.S_IMODE(mode))
        elif stat.S_ISLNK(mode):
            path.symlink_to(os.fsdecode(content))
        else:
            path.write_bytes(content)
            path.chmod(stat.S_IMODE(mode))
    found = find_busybox(os.fspath(busybox) if busybox else None, lambda _note: None)
    program = root / "bin/busybox"
    program.write_bytes(found.data)
    program.chmod(0o755)
    for applet in found.applets:
        if applet != "bin/busybox":
            (root / applet).symlink_to("/bin/busybox")
    if _LOCALE.is_dir():
        shutil.copytree(_LOCALE, root / "usr/lib/locale/C.utf8", symlinks=True)
    (root / HOME.lstrip("/")).mkdir()
