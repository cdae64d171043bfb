"""execve and execveat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import E2BIG, EINVAL
from syscalls.abi.flags import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW
from syscalls.errors import SysError
from syscalls.objects.exec import execve as run_program
from syscalls.registry import syscall
from syscalls.types import AtFlags, DirFd, UserPath, UserPtr

if TYPE_CHECKING:
    from syscalls.objects.task import Task

_MAX_STRINGS = 1 << 20
_MAX_ARG_STRLEN = 131072


async def _strings(t: Task, vector: int) -> list[bytes]:
    """The strings of argv or envp; a null vector is an empty one, as Linux has it."""
    found: list[bytes] = []
    while vector:
        pointer = await t.mem.u64(vector)
        if not pointer:
            break
        try:
            found.append(await t.mem.cstr(pointer, _MAX_ARG_STRLEN))
        except SysError as error:
            raise SysError(E2BIG if error.errno == 36 else error.errno) from None
        if len(found) > _MAX_STRINGS:
            raise SysError(E2BIG)
        vector += 8
    return found


@syscall("execve")
async def execve(t: Task, pathname: UserPath, argv: UserPtr[bytes], envp: UserPtr[bytes]) -> int:
    """Run a program in place of the caller's (man 2 execve)."""
    path = await t.mem.path(pathname)
    await run_program(t, AT_FDCWD, path, await _strings(t, argv), await _strings(t, envp))
    return 0


@syscall("execveat")
async def execveat(
    t: Task, dirfd: DirFd, pathname: UserPath, argv: UserPtr[bytes], envp: UserPtr[bytes], flags: AtFlags
) -> int:
    """Run a program named relative to a directory, or an open one (man 2 execveat)."""
    if flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW):
        raise SysError(EINVAL)
    path = await t.mem.path(pathname)
    await run_program(t, dirfd, path, await _strings(t, argv), await _strings(t, envp), flags)
    return 0
