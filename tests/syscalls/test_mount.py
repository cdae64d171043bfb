"""mount, umount2, pivot_root, and the mount table as /proc shows it."""

from __future__ import annotations

from typing import Any

import pytest

from syscalls.abi.errno import (
    EACCES,
    EAGAIN,
    EBUSY,
    EINVAL,
    ELOOP,
    ENODEV,
    ENOENT,
    ENOSYS,
    ENOTDIR,
    EPERM,
    EROFS,
    EXDEV,
)
from syscalls.abi.flags import (
    MNT_DETACH,
    MNT_EXPIRE,
    MNT_FORCE,
    MS_BIND,
    MS_MGC_VAL,
    MS_MOVE,
    MS_NOATIME,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    MS_SHARED,
    MS_SLAVE,
    O_CREAT,
    O_RDONLY,
    O_WRONLY,
    S_IFCHR,
    S_IFREG,
    UMOUNT_NOFOLLOW,
)
from syscalls.objects.credentials import Credentials
from syscalls.vfs.mount import Path
from tests.syscalls.vfs_rig import Out, Rig


def rig_with_dirs() -> Rig:
    rig = Rig()
    for path in (b"/a", b"/b", b"/a/in", b"/m"):
        rig.call("mkdir", path, 0o755)
    rig.call("mknod", b"/f", S_IFREG | 0o644, 0)
    return rig


def mount(rig: Rig, source: Any, target: Any, kind: Any, flags: int = 0, data: Any = 0, t: Any = None) -> int:
    return rig.call("mount", source, target, kind, flags, data, t=t)


def test_tmpfs_covers_a_directory_until_unmounted() -> None:
    rig = rig_with_dirs()
    rig.call("mknod", b"/m/below", S_IFREG, 0)
    assert mount(rig, b"none", b"/m", b"tmpfs", 0, b"mode=750,uid=5,size=1m") == 0
    attr = rig.place(b"/m").inode.attr
    assert (attr.mode & 0o7777, attr.uid, attr.gid) == (0o750, 5, 0)
    assert rig.call("stat", b"/m/below", Out(144)) == -ENOENT
    assert rig.call("mknod", b"/m/above", S_IFREG, 0) == 0
    assert rig.call("stat", b"/m/../m/above", Out(144)) == 0
    assert rig.place(b"/m/..") == rig.root
    assert rig.call("rename", b"/m/above", b"/above") == -EXDEV
    assert rig.call("link", b"/m/above", b"/above") == -EXDEV
    assert rig.call("umount2", b"/m", 0) == 0
    assert rig.call("stat", b"/m/below", Out(144)) == 0


def test_file_systems_by_name() -> None:
    rig = rig_with_dirs()
    for kind in (b"ramfs", b"devtmpfs", b"proc", b"sysfs"):
        assert (kind, mount(rig, b"none", b"/m", kind)) == (kind, 0)
        assert rig.place(b"/m").mount.fs.kind.encode() == kind
    assert rig.call("umount2", b"/m", 0) == 0
    assert rig.call("umount2", b"/m", 0) == 0
    assert rig.call("open", b"/m/null", O_WRONLY, 0) == 3


def test_mounts_stack() -> None:
    rig = rig_with_dirs()
    mount(rig, b"one", b"/m", b"tmpfs")
    rig.call("mknod", b"/m/first", S_IFREG, 0)
    mount(rig, b"two", b"/m", b"tmpfs")
    assert rig.call("stat", b"/m/first", Out(144)) == -ENOENT
    assert rig.call("umount2", b"/m", 0) == 0
    assert rig.call("stat", b"/m/first", Out(144)) == 0


def test_bind_shows_a_directory_twice() -> None:
    rig = rig_with_dirs()
    assert mount(rig, b"/a", b"/b", 0, MS_BIND) == 0
    rig.call("mknod", b"/b/new", S_IFREG, 0)
    assert rig.call("stat", b"/a/new", Out(144)) == 0
    rig.call("chdir", b"/b/in")
    assert rig.step("getcwd", Out(20), 20)[1][0].startswith(b"/b/in\0")
    assert rig.call("chdir", b"../..") == 0
    assert rig.step("getcwd", Out(20), 20)[1][0].startswith(b"/\0")
    assert rig.call("rename", b"/a/new", b"/b/new2") == -EXDEV


def test_bind_of_a_file() -> None:
    rig = rig_with_dirs()
    rig.call("mknod", b"/g", S_IFREG, 0)
    assert mount(rig, b"/f", b"/g", 0, MS_BIND) == 0
    assert rig.place(b"/g").inode is rig.place(b"/f").inode
    assert mount(rig, b"/f", b"/m", 0, MS_BIND) == -ENOTDIR
    assert mount(rig, b"/m", b"/f", 0, MS_BIND) == -ENOTDIR
    assert rig.call("unlink", b"/g") == -EBUSY


def test_recursive_bind_takes_inner_mounts_along() -> None:
    rig = rig_with_dirs()
    mount(rig, b"none", b"/a/in", b"tmpfs")
    rig.call("mknod", b"/a/in/f", S_IFREG, 0)
    assert mount(rig, b"/a", b"/m", 0, MS_BIND) == 0
    assert rig.call("stat", b"/m/in/f", Out(144)) == -ENOENT
    assert rig.call("umount2", b"/m", 0) == 0
    assert mount(rig, b"/a", b"/m", 0, MS_BIND | MS_REC) == 0
    assert rig.call("stat", b"/m/in/f", Out(144)) == 0
    assert rig.call("umount2", b"/m", 0) == -EBUSY
    assert rig.call("umount2", b"/m", MNT_DETACH) == 0
    assert rig.call("stat", b"/a/in/f", Out(144)) == 0


def test_move_takes_a_mount_elsewhere() -> None:
    rig = rig_with_dirs()
    mount(rig, b"none", b"/a", b"tmpfs")
    rig.call("mkdir", b"/a/sub", 0o755)
    mount(rig, b"none", b"/a/sub", b"tmpfs")
    assert mount(rig, b"/a", b"/a/sub", 0, MS_MOVE) == -ELOOP
    assert mount(rig, b"/b", b"/m", 0, MS_MOVE) == -EINVAL
    assert mount(rig, b"/", b"/m", 0, MS_MOVE) == -EINVAL
    assert mount(rig, b"/a", b"/f", 0, MS_MOVE) == -ENOTDIR
    assert mount(rig, 0, b"/m", 0, MS_MOVE) == -EINVAL
    assert mount(rig, b"/a", b"/m", 0, MS_MOVE) == 0
    assert rig.call("stat", b"/m/sub", Out(144)) == 0
    assert rig.call("stat", b"/a/in", Out(144)) == 0
    inner = [inner.mountpoint.name for inner in rig.server.namespace.below(rig.root)]
    assert inner == [b"m", b"sub"]


def test_remount_changes_flags() -> None:
    rig = rig_with_dirs()
    mount(rig, b"none", b"/m", b"tmpfs", MS_NOSUID)
    rig.call("mknod", b"/m/f", S_IFREG | 0o755, 0)
    assert mount(rig, 0, b"/m", 0, MS_REMOUNT | MS_RDONLY | MS_NOEXEC) == 0
    assert rig.call("open", b"/m/f", O_WRONLY, 0) == -EROFS
    assert rig.call("access", b"/m/f", 1) == -EACCES
    assert mount(rig, 0, b"/a", 0, MS_REMOUNT | MS_RDONLY) == -EINVAL
    assert mount(rig, 0, b"/m", 0, MS_REMOUNT | MS_BIND) == 0
    assert rig.call("open", b"/m/f", O_WRONLY, 0) == 3


def test_nodev_mount_opens_no_device() -> None:
    rig = rig_with_dirs()
    mount(rig, b"none", b"/m", b"tmpfs", MS_NODEV | MS_MGC_VAL)
    rig.call("mknod", b"/m/null", S_IFCHR | 0o666, 0x103)
    rig.call("mknod", b"/null", S_IFCHR | 0o666, 0x103)
    assert rig.call("open", b"/m/null", O_RDONLY, 0) == -EACCES
    assert rig.call("open", b"/null", O_RDONLY, 0) == 3


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((b"none", b"/nope", b"tmpfs"), ENOENT),
        ((b"none", b"/f", b"tmpfs"), ENOTDIR),
        ((b"none", b"/m", b"nofs"), ENODEV),
        ((b"none", b"/m", 0), EINVAL),
        ((b"none", b"/m", b"tmpfs", 0, b"uid=root"), EINVAL),
        ((0, b"/m", 0, MS_BIND), EINVAL),
        ((b"/nope", b"/m", 0, MS_BIND), ENOENT),
        ((0, b"/m", 0, MS_PRIVATE), EINVAL),
        ((0, b"/", 0, MS_PRIVATE | MS_SHARED), EINVAL),
    ],
)
def test_mount_errors(arguments: tuple[Any, ...], error: int) -> None:
    assert mount(rig_with_dirs(), *arguments) == -error


def test_propagation_is_accepted_and_what_differs_recorded() -> None:
    rig = rig_with_dirs()
    assert mount(rig, 0, b"/", 0, MS_PRIVATE | MS_REC) == 0
    assert rig.server.complaints == []
    assert mount(rig, 0, b"/", 0, MS_SLAVE) == 0
    assert rig.server.complaints == ["mount: MS_SHARED, MS_SLAVE, MS_UNBINDABLE"]


def test_only_root_mounts() -> None:
    rig = rig_with_dirs()
    user = rig.new_task(Credentials.user(1000, 1000))
    assert mount(rig, b"none", b"/m", b"tmpfs", t=user) == -EPERM
    mount(rig, b"none", b"/m", b"tmpfs")
    assert rig.call("umount2", b"/m", 0, t=user) == -EPERM
    assert rig.call("pivot_root", b"/m", b"/m", t=user) == -EPERM
    assert rig.call("pivot_root", b"/m", b"/m") == -ENOSYS
    assert rig.server.complaints == ["pivot_root"]


def test_busy_mounts_stay() -> None:
    rig = rig_with_dirs()
    mount(rig, b"none", b"/m", b"tmpfs")
    assert rig.call("open", b"/m/f", O_CREAT | O_WRONLY, 0o644) == 3
    assert rig.call("umount2", b"/m", 0) == -EBUSY
    rig.call("close", 3)
    rig.call("chdir", b"/m")
    assert rig.call("umount2", b"/m", MNT_FORCE) == -EBUSY
    assert rig.call("umount2", b"/m", MNT_DETACH) == 0
    assert rig.call("stat", b"f", Out(144)) == 0
    assert rig.step("getcwd", Out(30), 30)[1][0].startswith(b"(unreachable)/\0")
    assert rig.call("stat", b"/m/f", Out(144)) == -ENOENT


def test_umount_errors() -> None:
    rig = rig_with_dirs()
    rig.call("symlink", b"/m", b"/l")
    mount(rig, b"none", b"/m", b"tmpfs")
    assert rig.call("umount2", b"/a", 0) == -EINVAL
    assert rig.call("umount2", b"/nope", 0) == -ENOENT
    assert rig.call("umount2", b"/m", 64) == -EINVAL
    assert rig.call("umount2", b"/", 0) == -EBUSY
    assert rig.call("umount2", b"/l", UMOUNT_NOFOLLOW) == -EINVAL
    assert rig.call("umount2", b"/m", MNT_EXPIRE | MNT_FORCE) == -EINVAL
    assert rig.call("umount2", b"/m", MNT_EXPIRE) == -EAGAIN
    assert rig.call("umount2", b"/l", 0) == 0


def test_tables_of_proc() -> None:
    rig = rig_with_dirs()
    rig.call("mkdir", b"/a b\\", 0o755)
    mount(rig, b"none", b"/a b\\", b"tmpfs", MS_NOSUID | MS_NODEV | MS_NOATIME)
    mount(rig, b"/a/in", b"/m", 0, MS_BIND)
    namespace = rig.server.namespace
    assert namespace.mounts_text(rig.root).splitlines() == [
        b"tmpfs / tmpfs rw 0 0",
        b"none /a\\040b\\134 tmpfs rw,nosuid,nodev,noatime 0 0",
        b"tmpfs /m tmpfs rw 0 0",
    ]
    assert namespace.mountinfo_text(rig.root).splitlines() == [
        b"20 1 0:20 / / rw - tmpfs tmpfs rw",
        b"21 20 0:21 / /a\\040b\\134 rw,nosuid,nodev,noatime - tmpfs none rw",
        b"22 20 0:20 /a/in /m rw - tmpfs tmpfs rw",
    ]
    inside = Path(rig.place(b"/m").mount, rig.place(b"/m").dentry)
    assert namespace.mounts_text(inside) == b"tmpfs / tmpfs rw 0 0\n"
