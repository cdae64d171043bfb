"""The path walk, dentries and mounts by direct calls."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from linuxemu.servers.fs.memfs import MemFs
from syscalls.abi.errno import ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV
from syscalls.abi.flags import AT_FDCWD, O_CREAT, O_PATH, O_RDONLY, RESOLVE_NO_XDEV, S_IFREG
from syscalls.errors import SysError
from syscalls.vfs.dentry import Dentry
from syscalls.vfs.mount import Path, anonymous_path, path_name
from syscalls.vfs.virtual import VirtualDirectory, VirtualFs, VirtualLink
from syscalls.vfs.walk import Walk, lookup, lookup_parent, path_bytes
from tests.syscalls.vfs_rig import Out, Rig


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    for path in (b"/a", b"/a/b", b"/a/b/c"):
        rig.call("mkdir", path, 0o755)
    rig.call("mknod", b"/a/f", S_IFREG | 0o644, 0)
    rig.call("symlink", b"/a/b", b"/abs")
    rig.call("symlink", b"../a/./f", b"/a/rel")
    return rig


def errno_of(rig: Rig, coro: Any) -> int:
    with pytest.raises(SysError) as caught:
        rig.run(coro)
    return caught.value.errno


def name_of(rig: Rig, place: Path) -> bytes:
    name: bytes = rig.run(path_bytes(place, rig.root))
    return name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/", b"/"),
        (b"//", b"/"),
        (b".", b"/"),
        (b"a/b/c", b"/a/b/c"),
        (b"a//b/./c/", b"/a/b/c"),
        (b"abs/c", b"/a/b/c"),
        (b"/a/rel", b"/a/f"),
        (b"abs/../f", b"/a/f"),
        (b"../../a", b"/a"),
        (b"a/b/..", b"/a"),
        (b"a/b/.", b"/a/b"),
    ],
)
def test_walks_end_at(rig: Rig, path: bytes, name: bytes) -> None:
    assert name_of(rig, rig.place(path)) == name


def test_same_place_is_the_same_objects(rig: Rig) -> None:
    first, second = rig.place(b"/a/b"), rig.place(b"/abs")
    assert first == second
    assert first.dentry is second.dentry
    assert first.inode is second.inode


def test_final_link_is_followed_only_on_request(rig: Rig) -> None:
    assert name_of(rig, rig.place(b"/a/rel", follow=False)) == b"/a/rel"
    assert errno_of(rig, lookup(rig.task, AT_FDCWD, b"/a/rel/", False)) == ENOTDIR
    assert name_of(rig, rig.place(b"/abs/", follow=False)) == b"/a/b"


def test_empty_path_needs_leave(rig: Rig) -> None:
    assert errno_of(rig, lookup(rig.task, AT_FDCWD, b"")) == ENOENT
    assert errno_of(rig, lookup_parent(rig.task, AT_FDCWD, b"")) == ENOENT
    assert rig.run(lookup(rig.task, AT_FDCWD, b"", empty_ok=True)) == rig.root
    assert rig.call("open", b"/a/f", O_PATH, 0) == 3
    assert rig.run(lookup(rig.task, 3, b"", empty_ok=True)) == rig.place(b"/a/f")


def test_directory_can_be_demanded(rig: Rig) -> None:
    assert errno_of(rig, lookup(rig.task, AT_FDCWD, b"/a/f", directory=True)) == ENOTDIR
    assert errno_of(rig, lookup(rig.task, AT_FDCWD, b"/a/" + b"n" * 256)) == ENAMETOOLONG


def test_parent_and_last_name(rig: Rig) -> None:
    for path, parent, name in (
        (b"/a/new", b"/a", b"new"),
        (b"new/", b"/", b"new"),
        (b"/", b"/", b""),
        (b"/a/..", b"/a", b".."),
        (b"a/.", b"/a", b"."),
    ):
        place, last = rig.run(lookup_parent(rig.task, AT_FDCWD, path))
        assert (name_of(rig, place), last) == (parent, name)


def test_no_xdev_stays_in_the_mount(rig: Rig) -> None:
    rig.run(rig.server.namespace.mount(rig.file_system(MemFs()), rig.place(b"/a/b")))
    assert errno_of(rig, Walk(rig.task, AT_FDCWD, b"a/b", RESOLVE_NO_XDEV).resolve(True)) == EXDEV
    rig.call("chdir", b"/a/b")
    assert errno_of(rig, Walk(rig.task, AT_FDCWD, b"..", RESOLVE_NO_XDEV).resolve(True)) == EXDEV
    rig.call("symlink", b"/a", b"/a/b/out")
    assert errno_of(rig, Walk(rig.task, AT_FDCWD, b"out", RESOLVE_NO_XDEV).resolve(True)) == EXDEV


def test_magic_links_lead_straight_there(rig: Rig) -> None:
    place = rig.place(b"/a/b/c")
    made = VirtualFs("proc", 99, 0x9FA0)

    async def target(t: Any) -> bytes:
        return b"nonsense"

    async def jump(t: Any) -> Path:
        return place

    made.top = VirtualDirectory(made, {b"magic": VirtualLink(made, target, jump=jump)})
    rig.call("mkdir", b"/proc", 0o555)
    rig.run(rig.server.namespace.mount(made, rig.place(b"/proc")))
    assert rig.place(b"/proc/magic") == place
    assert rig.place(b"/proc/magic/..") == rig.place(b"/a/b")
    rig.call("rename", b"/a/b", b"/a/z")
    assert name_of(rig, rig.place(b"/proc/magic")) == b"/a/z/c"
    result, (text,) = rig.step("readlink", b"/proc/magic", Out(20), 20)
    assert text[:result] == b"nonsense"
    assert errno_of(rig, Walk(rig.task, AT_FDCWD, b"/proc/magic", 2).resolve(True)) == ELOOP


def test_deleted_names_are_marked(rig: Rig) -> None:
    place = rig.place(b"/a/f")
    assert rig.call("unlink", b"/a/f") == 0
    assert name_of(rig, place) == b"/a/f (deleted)"
    directory = rig.place(b"/a/b/c")
    assert rig.call("rmdir", b"/a/b/c") == 0
    assert directory.dentry.deleted
    assert directory.inode.removed
    over, under = rig.place(b"/a/b"), rig.place(b"/a/rel", follow=False)
    rig.call("mkdir", b"/new", 0o755)
    assert rig.call("rename", b"/new", b"/a/b") == 0
    assert over.dentry.deleted
    assert not under.dentry.deleted


def test_name_taken_over_by_another_inode_is_a_new_dentry(rig: Rig) -> None:
    """A host directory may be changed by others: the walk believes what the file system says."""
    root = Dentry(None, b"/", rig.root.inode)
    old = root.child(b"x", rig.place(b"/a").inode)
    assert root.child(b"x", rig.place(b"/a").inode) is old
    new = root.child(b"x", rig.place(b"/a/f").inode)
    assert new is not old
    assert old.deleted
    assert root.live(b"x") is new


def test_dentries_go_when_nobody_holds_them(rig: Rig) -> None:
    root = Dentry(None, b"/", rig.root.inode)
    root.child(b"x", rig.place(b"/a").inode)
    gc.collect()
    assert root.live(b"x") is None
    assert root._children == {}


def test_anonymous_places_show_their_name(rig: Rig) -> None:
    place = anonymous_path(rig.fs, b"pipe:[7]", rig.place(b"/a/f").inode)
    assert path_name(place, rig.root) == (b"pipe:[7]", False)
    assert name_of(rig, place) == b"pipe:[7]"


def test_name_as_seen_from_a_chroot(rig: Rig) -> None:
    assert path_name(rig.place(b"/a/b/c"), rig.place(b"/a")) == (b"/b/c", True)
    assert path_name(rig.place(b"/a"), rig.place(b"/a")) == (b"/", True)
    assert path_name(rig.place(b"/"), rig.place(b"/a")) == (b"/", False)
    assert path_name(rig.place(b"/a/f"), rig.place(b"/a/b")) == (b"/a/f", False)


def test_tmpfile_is_shown_as_deleted(rig: Rig) -> None:
    assert rig.call("open", b"/a", 0o20200002, 0o600) == 3
    name = name_of(rig, rig.task.files.get(3).path)
    assert name.startswith(b"/a/#")
    assert name.endswith(b" (deleted)")


def test_lookup_in_what_others_removed(rig: Rig) -> None:
    rig.call("chdir", b"/a/b/c")
    other = rig.new_task()
    assert rig.call("rmdir", b"/a/b/c", t=other) == 0
    assert rig.call("open", b"x", O_CREAT | O_RDONLY, 0o600) == -ENOENT
    assert rig.place(b"..") == rig.place(b"/a/b")
