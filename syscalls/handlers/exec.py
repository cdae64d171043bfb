"""execve and execveat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import E2BIG, EINVAL
from syscalls.abi.flags import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW
from syscalls.errors import SysError
from syscalls.objects.exec import execve as run_program
from syscalls.registry import syscall
from syscalls.types import DirFd, ExecveatFlags, In, Shown, UserPath

if TYPE_CHECKING:
    from syscalls.objects.task import Task

_ERRORS = "E2BIG EACCES EFAULT EINVAL EIO ELIBBAD ELOOP ENAMETOOLONG ENOENT ENOEXEC ENOMEM ENOTDIR ETXTBSY"
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


async def _execve(t: Task, dirfd: int, path: bytes, argv: int, envp: int, flags: int = 0) -> int:
    async def arguments() -> tuple[list[bytes], list[bytes]]:
        return await _strings(t, argv), await _strings(t, envp)

    await run_program(t, dirfd, path, arguments, flags)
    return 0


@syscall("execve", errors=_ERRORS)
async def execve(
    t: Task,
    pathname: UserPath,
    argv: Annotated[In[bytes], Shown("argv")],
    envp: Annotated[In[bytes], Shown("envp")],
) -> int:
    """Run a program in place of the caller's (man 2 execve)."""
    return await _execve(t, AT_FDCWD, await t.mem.path(pathname), argv, envp)


@syscall("execveat", errors=f"EBADF {_ERRORS}")
async def execveat(
    t: Task,
    dirfd: DirFd,
    pathname: UserPath,
    argv: Annotated[In[bytes], Shown("argv")],
    envp: Annotated[In[bytes], Shown("envp")],
    flags: ExecveatFlags,
) -> int:
    """Run a program named relative to a directory, or an open one (man 2 execveat)."""
    path = await t.mem.path(pathname)
    if flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW):
        raise SysError(EINVAL)
    return await _execve(t, dirfd, path, argv, envp, flags)
