"""Where the BusyBox of the default root comes from."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from linuxemu.errors import BootError
from loader.errors import ExecFormatError
from loader.image import Image

PACKAGE = "busybox-static"

_MAX_SIZE = 64 << 20
_DOWNLOAD_TIMEOUT_S = 300
_HINT = f"install one (apt install {PACKAGE}) or name one: linuxemu rootfs build --busybox PATH"


class BusyBox(NamedTuple):
    """A static BusyBox for x86-64, checked."""

    origin: str
    """Where it was found, for people."""
    data: bytes
    image: Image
    applets: list[str]
    """Its links: "bin/sh", "usr/bin/awk" ..."""


class _Unsuitable(Exception):
    """A file is no static x86-64 BusyBox; the text says why."""


def find_busybox(path: str | None, note: Callable[[str], None]) -> BusyBox:
    """A BusyBox from `path`, or else from the host's PATH, or else from the Debian package.

    Args:
        path: a file named by the user; then nothing else is tried, and the file is never run on the host.
        note: is told what was passed over and what is downloaded.

    Raises:
        BootError: there is none; the text says what to do.
    """
    if path is not None:
        try:
            return _load(path, path, may_run=False)
        except _Unsuitable as e:
            raise BootError(f"cannot use {path} as busybox: {e}") from None
    reasons = []
    for attempt in (_from_path, _from_package):
        try:
            return attempt(note)
        except _Unsuitable as e:
            reasons.append(str(e))
            note(f"busybox: {e}")
    raise BootError(f"no static x86-64 busybox: {'; '.join(reasons)}; {_HINT}")


def _from_path(_note: Callable[[str], None]) -> BusyBox:
    """The first static BusyBox of the host's PATH."""
    passed = []
    for folder in (os.environ.get("PATH", "") + os.pathsep + os.defpath).split(os.pathsep):
        path = os.path.join(folder, "busybox")
        if not os.path.isabs(path) or not os.access(path, os.X_OK) or not os.path.isfile(path):
            continue
        try:
            return _load(path, path, may_run=True)
        except _Unsuitable as e:
            passed.append(f"{path}: {e}")
    raise _Unsuitable("; ".join(passed) or "none in PATH")


def _from_package(note: Callable[[str], None]) -> BusyBox:
    """The one of the Debian package, unpacked by the host's own package tools; none of this needs root."""
    import shutil
    import tempfile

    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise _Unsuitable("no apt-get to download it with")
    note(f"downloading the Debian package {PACKAGE}")
    try:
        with tempfile.TemporaryDirectory(prefix="linuxemu-") as folder:
            return _unpack_package(folder)
    except OSError as e:
        raise _Unsuitable(f"no room to download it: {e.strerror}") from None


def _unpack_package(folder: str) -> BusyBox:
    tree = os.path.join(folder, "tree")
    _run(["apt-get", "download", f"{PACKAGE}:amd64"], folder)
    packages = [name for name in sorted(os.listdir(folder)) if name.endswith(".deb")]
    if not packages:
        raise _Unsuitable("apt-get downloaded nothing")
    _run(["dpkg-deb", "--extract", packages[0], tree], folder)
    for place in ("bin/busybox", "usr/bin/busybox"):
        path = os.path.join(tree, place)
        if os.path.exists(path):
            package = packages[0].removesuffix(".deb").replace("%3a", ":")
            return _load(path, f"Debian package {package}", may_run=True)
    raise _Unsuitable(f"no busybox in {packages[0]}")


def _run(command: list[str], folder: str) -> None:
    import subprocess

    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_DOWNLOAD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Unsuitable(f"{command[0]} took more than {_DOWNLOAD_TIMEOUT_S} s") from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").split("\n")
        errors = [line.removeprefix("E: ").strip() for line in lines if line.startswith(("E:", "dpkg-deb:"))]
        raise _Unsuitable(f"{command[0]} failed: {errors[-1] if errors else done.returncode}")


def _load(path: str, origin: str, *, may_run: bool) -> BusyBox:
    """Reads and checks a file."""
    from rootfs.applets import list_applets, read_applets

    data = _read(path)
    image = _check(data)
    applets = read_applets(data) or (list_applets(path) if may_run else None)
    if not applets:
        raise _Unsuitable("it is no busybox: it holds no table of applets")
    return BusyBox(origin, data, image, applets)


def _read(path: str) -> bytes:
    try:
        if not os.path.isfile(path):
            os.stat(path)
            raise _Unsuitable("it is no regular file")
        if os.path.getsize(path) > _MAX_SIZE:
            raise _Unsuitable("it is too large")
        with open(path, "rb") as file:
            return file.read()
    except OSError as e:
        raise _Unsuitable((e.strerror or str(e)).lower()) from None
    except ValueError as e:
        raise _Unsuitable(str(e)) from None


def _check(data: bytes) -> Image:
    """Refuses what the loader would refuse, and what needs an interpreter."""
    from loader.elf import parse
    from loader.plan import load_bias, plan

    try:
        image = parse(lambda offset, length: data[offset : offset + length], len(data))
        plan(image, load_bias(image), len(data))
    except ExecFormatError as e:
        raise _Unsuitable(f"it cannot be executed: {e}") from None
    if image.interp is not None:
        raise _Unsuitable("it is dynamically linked")
    return image
