"""rootfs.skeleton: what surrounds BusyBox."""

from __future__ import annotations

import hashlib
import stat

from rootfs.cache import ROOT_VERSION
from rootfs.skeleton import skeleton

TEXTS = (
    "fstab group hostname hosts inittab issue nsswitch.conf os-release passwd profile protocols resolv.conf "
)
TEXTS += "services shadow shells"


def contents() -> dict[str, bytes]:
    return {entry[0].decode(): entry[6] for entry in skeleton()}


def modes() -> dict[str, int]:
    return {entry[0].decode(): entry[1] for entry in skeleton()}


def test_version_goes_up_with_every_change() -> None:
    """When this fails: put up ROOT_VERSION, or whoever has a root keeps the old one; then note the digest."""
    digest = hashlib.sha256(repr(sorted(skeleton())).encode()).hexdigest()
    assert (ROOT_VERSION, digest[:16]) == (1, "64a1f96204f08937")


def test_directories() -> None:
    found = modes()
    assert [oct(found[path]) for path in ("tmp", "root", "usr/bin", "var/tmp")] == [
        "0o41777", "0o40700", "0o40755", "0o41777",
    ]  # fmt: skip
    for path in found:
        parent = path.rpartition("/")[0]
        assert stat.S_ISDIR(found[parent]), path


def test_mount_points_are_empty() -> None:
    for point in ("dev", "proc", "sys", "mnt"):
        assert not [path for path in modes() if path.startswith(point + "/")]


def test_texts() -> None:
    found = contents()
    for name in TEXTS.split():
        assert found[f"etc/{name}"].endswith(b"\n"), name
        assert b"\r" not in found[f"etc/{name}"]
    assert {path for path, mode in modes().items() if stat.S_ISREG(mode)} == {
        f"etc/{name}" for name in TEXTS.split()
    }


def test_shadow_is_for_its_group_only() -> None:
    [entry] = [entry for entry in skeleton() if entry[0] == b"etc/shadow"]
    _, mode, uid, gid, *_ = entry
    assert (mode, uid, gid) == (0o100640, 0, 42)
    assert b"shadow:x:42:" in contents()["etc/group"]


def test_users_and_groups_agree() -> None:
    found = contents()
    users = [line.split(":") for line in found["etc/passwd"].decode().splitlines()]
    groups = {line.split(":")[2] for line in found["etc/group"].decode().splitlines()}
    shadows = [line.split(":") for line in found["etc/shadow"].decode().splitlines()]
    assert all(len(user) == 7 and user[3] in groups for user in users)
    assert [user[0] for user in users] == [shadow[0] for shadow in shadows]
    assert all(len(shadow) == 9 for shadow in shadows)
    assert users[0][:4] == ["root", "x", "0", "0"]


def test_links_lead_to_what_is_there() -> None:
    found = contents()
    assert found["var/run"] == b"../run"
    assert found["etc/mtab"] == b"../proc/self/mounts"
    assert "run" in found
    assert "run/lock" in found


def test_equal_every_time() -> None:
    assert skeleton() == skeleton()
