"""Mounts, file handles, Landlock."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Annotated

from syscalls.missing.types import (
    EventFlags,
    FileHandle,
    FsConfigCommand,
    FsMountFlags,
    FsOpenFlags,
    FsPickFlags,
    HandleFlags,
    Hex,
    KnownHandle,
    MountAttributes,
    MoveMountFlags,
    OpenTreeFlags,
    RulesetFlags,
    RuleType,
    SetAttributesFlags,
)
from syscalls.signatures import missing
from syscalls.types import Arg, Count, DirFd, Fd, In, Out, Shown, Size, UserPath, UserStr


@missing
def open_tree(dirfd: DirFd, path: UserPath, flags: OpenTreeFlags) -> Fd:
    """Open a mount: man 2 open_tree."""


@missing
def move_mount(
    from_dirfd: DirFd, from_pathname: UserPath, to_dirfd: DirFd, to_pathname: UserPath, flags: MoveMountFlags
) -> int:
    """Move a mount: man 2 move_mount."""


@missing
def fsopen(fsname: UserStr, flags: FsOpenFlags) -> Fd:
    """Begin to configure a file system: man 2 fsopen."""


@missing
def fsconfig(
    fd: Fd,
    cmd: FsConfigCommand,
    key: Annotated[int, Arg(None, "fsconfig_key", pointer=True)],
    value: Annotated[int, Arg(None, "fsconfig_value", pointer=True)],
    aux: Annotated[int, Arg("s32", "fsconfig_aux")],
) -> int:
    """Configure a file system: man 2 fsconfig."""


@missing
def fsmount(fd: Fd, flags: FsMountFlags, attr_flags: MountAttributes) -> Fd:
    """Make a mount of a configured file system: man 2 fsmount."""


@missing
def fspick(dirfd: DirFd, path: UserPath, flags: FsPickFlags) -> Fd:
    """Begin to reconfigure a mounted file system: man 2 fspick."""


@missing
def mount_setattr(
    dirfd: DirFd,
    pathname: UserPath,
    flags: SetAttributesFlags,
    attr: Annotated[In[bytes], Shown("mount_attr"), Count("size")],
    size: Size,
) -> int:
    """Change attributes of mounts: man 2 mount_setattr."""


@missing
def name_to_handle_at(
    dirfd: DirFd,
    pathname: UserPath,
    handle: FileHandle,
    mount_id: Annotated[Out[int], Shown("ints")],
    flags: HandleFlags,
) -> int:
    """A file's handle: man 2 name_to_handle_at."""


@missing
def open_by_handle_at(mount_fd: Fd, handle: KnownHandle, flags: EventFlags) -> Fd:
    """Open a file by its handle: man 2 open_by_handle_at."""


@missing
def landlock_create_ruleset(
    attr: Annotated[In[bytes], Shown("landlock_ruleset"), Count("size")], size: Size, flags: RulesetFlags
) -> Fd:
    """Make a set of rules: man 2 landlock_create_ruleset."""


@missing
def landlock_add_rule(
    ruleset_fd: Fd, rule_type: RuleType, rule_attr: Annotated[In[bytes], Shown("landlock_rule")], flags: Hex
) -> int:
    """Add a rule: man 2 landlock_add_rule."""


@missing
def landlock_restrict_self(ruleset_fd: Fd, flags: Hex) -> int:
    """Restrict the caller: man 2 landlock_restrict_self."""
