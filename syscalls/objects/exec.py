"""Running a program: from a path to a new address space (man 2 execve).

Up to the point of no return every failure leaves the caller as it was; behind it a failure is the end of the process,
as on Linux.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from linuxemu.arch.x86_64 import FLAGS_DEFAULT, FullRegs
from linuxemu.errors import RpcError
from linuxemu.messages import TrapFrame
from loader.cache import HEAD_SIZE
from loader.errors import ExecFormatError
from loader.plan import brk_start, load_bias, plan
from loader.script import MAX_DEPTH, parse_script
from loader.stack import (
    AT_RSEQ_ALIGN,
    AT_RSEQ_FEATURE_SIZE,
    RANDOM_SIZE,
    AuxValues,
    build_stack,
    check_limits,
)
from syscalls.abi.errno import EACCES, ELOOP, ETXTBSY
from syscalls.abi.flags import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    MAP_ANONYMOUS,
    MAP_GROWSDOWN,
    MAP_PRIVATE,
    MS_NOEXEC,
    MS_NOSUID,
    O_RDONLY,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    RLIM_INFINITY,
    RLIMIT_STACK,
    S_IFLNK,
    S_IFREG,
    S_ISGID,
    S_ISUID,
    S_IXGRP,
    SIGKILL,
    SIGSEGV,
)
from syscalls.abi.structs import Rseq
from syscalls.errors import OutOfMemory, SysError
from syscalls.objects.credentials import MAY_EXEC, MAY_READ, permission
from syscalls.objects.device import random_bytes
from syscalls.objects.exit import end_other_threads, exit_group
from syscalls.objects.memory import UserMemory
from syscalls.objects.mm import PAGE, STACK_TOP, MemoryMap
from syscalls.objects.rseq import RSEQ_ALIGN, forget
from syscalls.objects.task import NO_ALTSTACK, TASK_COMM_LEN, TaskExited
from syscalls.sigframe_x86_64 import INITIAL_FXSAVE
from syscalls.vfs.pagecache import fetch, pages_of
from syscalls.vfs.regular import RegularFile
from syscalls.vfs.walk import lookup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from loader.image import Image
    from loader.stack import InitialStack
    from syscalls.objects.credentials import Credentials
    from syscalls.objects.task import Task
    from syscalls.vfs.mount import Path
    from syscalls.vfs.pagecache import PageCache

    Arguments: TypeAlias = Callable[[], Awaitable[tuple[list[bytes], list[bytes]]]]

_STACK_PAGES = 33
_HWCAP = 0x0F8B_FBFF
"""CPUID.1:EDX of the emulated CPU: what AT_HWCAP is on x86."""
_SCRIPT_HEAD = 256
_RSEQ_AUXV = ((AT_RSEQ_FEATURE_SIZE, Rseq.SIZE), (AT_RSEQ_ALIGN, RSEQ_ALIGN))


class Program(NamedTuple):
    """A program that passed every check and can be mapped."""

    file: RegularFile
    path: Path
    image: Image
    pages: PageCache
    interpreter: Program | None
    """The dynamic linker (PT_INTERP), itself without one."""

    async def close(self) -> None:
        """Drop its files, and its dynamic linker's."""
        await self.file.put()
        if self.interpreter is not None:
            await self.interpreter.file.put()


async def execve(t: Task, dirfd: int, name: bytes, arguments: Arguments, flags: int = 0) -> None:
    """Replace the program of the calling process; its registers are in `t.frame` and in the kernel afterwards.

    Args:
        t: the calling task; one without memory yet gets its first program.
        dirfd: where a relative path starts.
        name: path of the program or script.
        arguments: reads arguments, the name first, and environment, "NAME=VALUE" each, once there is a program.
        flags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW (man 2 execveat).
    Raises:
        SysError: the old program goes on.
        TaskExited: the new program could not be set up and the process is gone.
    """
    limit = t.process.rlimits[RLIMIT_STACK][0]
    stack_limit = limit if limit != RLIM_INFINITY else 1 << 47
    try:
        program, argv, envp, script_path = await _prepare(t, dirfd, name, arguments, flags, stack_limit)
    except ExecFormatError as error:
        raise SysError(error.errno) from error
    try:
        creds = await _new_credentials(t, program)
        if hasattr(t, "mm"):
            await end_other_threads(t)
        execfn = name if dirfd == AT_FDCWD or name.startswith(b"/") else b"/dev/fd/%d/%s" % (dirfd, name)
        if not name:
            execfn = b"/dev/fd/%d" % dirfd
        await _point_of_no_return(t, program, creds, (name or execfn) if script_path is None else script_path)
        try:
            await _set_up(t, program, argv, envp, execfn, stack_limit)
        except (ExecFormatError, SysError):
            await exit_group(t, SIGSEGV)
            raise TaskExited from None
        except (RpcError, OutOfMemory):
            await exit_group(t, SIGKILL)
            raise TaskExited from None
    finally:
        await program.close()


async def _prepare(
    t: Task, dirfd: int, name: bytes, arguments: Arguments, flags: int, stack_limit: int
) -> tuple[Program, list[bytes], list[bytes], bytes | None]:
    """All that can fail without harm: the program, its arguments and environment, the script's path if it is one."""
    file, path = await _open_executable(t, dirfd, name, flags)
    try:
        argv, envp = await arguments()
        check_limits(argv, envp, name, stack_limit)
    except BaseException:
        await file.put()
        raise
    program, argv, script_path = await _open_program(t, file, path, name or b"/dev/fd/%d" % dirfd, argv)
    if script_path is not None:
        try:
            check_limits(argv, envp, name, stack_limit)
        except ExecFormatError:
            await program.close()
            raise
    return program, argv, envp, script_path


async def _open_program(
    t: Task, file: RegularFile, path: Path, shown: bytes, argv: list[bytes]
) -> tuple[Program, list[bytes], bytes | None]:
    """Follow `#!` lines until a program is found; returns it, its arguments, and the script's path if it is one.

    Args:
        t: the calling task.
        file: what was named, opened; it is closed unless it is the program.
        path: where it is.
        shown: its name, as scripts see it.
        argv: the arguments.
    """
    script: bytes | None = None
    for _ in range(MAX_DEPTH + 1):
        try:
            head = await fetch(file, 0, HEAD_SIZE)
            found = parse_script(head[:_SCRIPT_HEAD])
            if found is None:
                return await _load(t, file, path, head), argv, script
        except BaseException:
            await file.put()
            raise
        interpreter, argument = found
        argv = [interpreter, *([argument] if argument is not None else []), shown, *argv[1:]]
        script = script if script is not None else shown
        shown = interpreter
        await file.put()
        file, path = await _open_executable(t, AT_FDCWD, interpreter, 0)
    await file.put()
    raise SysError(ELOOP)


async def _open_executable(t: Task, dirfd: int, name: bytes, flags: int) -> tuple[RegularFile, Path]:
    """Open a file for execution: regular, executable by the caller, not on a noexec mount, not being written."""
    follow = not flags & AT_SYMLINK_NOFOLLOW
    path = await lookup(t, dirfd, name, follow=follow, empty_ok=bool(flags & AT_EMPTY_PATH))
    inode = path.inode
    attr = await inode.getattr(t)
    if inode.kind == S_IFLNK:
        raise SysError(ELOOP)
    if inode.kind != S_IFREG or path.mount.flags & MS_NOEXEC or not permission(t.creds, attr, MAY_EXEC):
        raise SysError(EACCES)
    if inode.writers:
        raise SysError(ETXTBSY)
    file = await inode.open(t, O_RDONLY, path)
    if not isinstance(file, RegularFile):
        await file.put()
        raise SysError(EACCES)
    return file, path


async def _load(t: Task, file: RegularFile, path: Path, head: bytes, *, interpreter: bool = False) -> Program:
    """Parse a program, or find out that it was parsed before, and open its dynamic linker if it names one."""
    cache = t.server.images
    image = cache.find(head, interpreter=interpreter)
    if image is None:
        from loader.elf import parse_async

        async def read(offset: int, length: int) -> bytes:
            return await fetch(file, offset, length)

        size = (await file.inode.getattr(t)).size
        image = await parse_async(read, size, interpreter=interpreter)
        cache.add(head, image, interpreter=interpreter)
    pages = await pages_of(t, file)
    linker = None
    if image.interp is not None and not interpreter:
        linker_file, linker_path = await _open_executable(t, AT_FDCWD, image.interp, 0)
        try:
            linker_head = await fetch(linker_file, 0, HEAD_SIZE)
            linker = await _load(t, linker_file, linker_path, linker_head, interpreter=True)
        except BaseException:
            await linker_file.put()
            raise
    return Program(file, path, image, pages, linker)


async def _new_credentials(t: Task, program: Program) -> Credentials:
    """Set-user-ID and set-group-ID take effect unless the mount or the task forbids it."""
    attr = await program.file.inode.getattr(t)
    uid = gid = None
    if not t.no_new_privs and not program.path.mount.flags & MS_NOSUID:
        if attr.mode & S_ISUID:
            uid = attr.uid
        if attr.mode & S_ISGID and attr.mode & S_IXGRP:
            gid = attr.gid
    return t.creds.for_exec(uid, gid)


async def _point_of_no_return(t: Task, program: Program, creds: Credentials, shown: bytes) -> None:
    """Give up the old program: memory, handlers, descriptors marked for it, timers."""
    process = t.process
    old = getattr(t, "mm", None)
    space = t.server.port.new_space()
    t.mm = MemoryMap(t.server, space, process.rlimits)
    t.mm.pid = process.pid
    t.mem = UserMemory(t.mm)
    t.mm.set_exe(program.file)
    if old is not None:
        t.server.port.set_space(t.ktask, space)
        t.clear_child_tid = 0
        await old.release()
        process.finish_vfork()
        if t.files.refs > 1:
            private = t.files.clone()
            await t.files.drop()
            t.files = private
    process.sighand = process.sighand.exec_clone()
    t.sigaltstack = NO_ALTSTACK
    t.robust_list = 0
    if t.rseq is not None:
        forget(t)
    t.restart_block = None
    for timer in list(process.posix_timers.values()):
        timer.cancel()
    process.posix_timers.clear()
    await t.files.close_on_exec()
    attr = program.file.inode.attr
    changed = creds.euid != t.creds.euid or creds.egid != t.creds.egid
    process.dumpable = 0 if changed or not permission(t.creds, attr, MAY_READ) else 1
    if changed:
        t.pdeath_signal = 0
    t.creds = creds
    process.did_exec = True
    process.exe = program.path
    t.comm = shown.rpartition(b"/")[2][: TASK_COMM_LEN - 1]


async def _set_up(
    t: Task, program: Program, argv: list[bytes], envp: list[bytes], execfn: bytes, stack_limit: int
) -> None:
    """Map the program and its dynamic linker, build the stack, set the registers."""
    mm = t.mm
    image = program.image
    bias = load_bias(image)
    await _map_image(t, program, bias)
    mm.brk_start = mm.brk = brk_start(image, bias)
    entry = image.entry + bias
    base, start = await _map_interpreter(t, program.interpreter, entry)
    creds = t.creds
    aux = AuxValues(
        phdr=image.phdr_vaddr + bias if image.phdr_vaddr else 0,
        phent=image.phent,
        phnum=image.phnum,
        entry=entry,
        base=base,
        uid=creds.uid,
        euid=creds.euid,
        gid=creds.gid,
        egid=creds.egid,
        secure=int(creds.is_secure_exec()),
        hwcap=_HWCAP,
    )
    random = await random_bytes(t, RANDOM_SIZE)
    stack = build_stack(STACK_TOP, argv, envp, aux, execfn, random, stack_limit=stack_limit, extra=_RSEQ_AUXV)
    await _map_stack(t, stack, PROT_READ | PROT_WRITE | (PROT_EXEC if image.stack_exec else 0))
    t.frame = TrapFrame(0, 0, start, FLAGS_DEFAULT, *(0,) * 13, stack.sp)
    if t.ktask:
        t.server.port.set_regs(t.ktask, FullRegs(t.frame, 0, 0, INITIAL_FXSAVE))


async def _map_interpreter(t: Task, interpreter: Program | None, entry: int) -> tuple[int, int]:
    """Map the dynamic linker of a program; returns its base (AT_BASE), and where the process starts."""
    if interpreter is None:
        return 0, entry
    linker = interpreter.image
    length = linker.max_vaddr - linker.min_vaddr + PAGE
    base = load_bias(linker, t.mm.find_gap((length + PAGE - 1) & -PAGE))
    await _map_image(t, interpreter, base)
    return base, linker.entry + base


async def _map_stack(t: Task, stack: InitialStack, prot: int) -> None:
    mm = t.mm
    size = max(_STACK_PAGES * PAGE, (len(stack.blob) + PAGE - 1) & -PAGE)
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN
    await mm.map(STACK_TOP - size, size, prot, flags, name=b"[stack]")
    await t.mem.write(stack.sp, stack.blob)
    mm.arg_start, mm.arg_end = stack.arg_start, stack.arg_end
    mm.env_start, mm.env_end = stack.env_start, stack.env_end
    mm.auxv = stack.auxv
    mm.start_stack = stack.sp


async def _map_image(t: Task, program: Program, bias: int) -> None:
    """Map the segments of an image and clear what lies between the end of its data and the next page."""
    mm = t.mm
    for mapping in plan(program.image, bias, program.pages.size):
        length = mapping.end - mapping.start
        if mapping.anonymous:
            await mm.map(mapping.start, length, mapping.prot, MAP_PRIVATE | MAP_ANONYMOUS)
            continue
        await mm.map(
            mapping.start, length, mapping.prot, MAP_PRIVATE, program.file, mapping.file_offset, program.pages
        )
        if mapping.file_bytes_end < mapping.end:
            await t.mem.write(mapping.file_bytes_end, bytes(mapping.end - mapping.file_bytes_end))
        if program.interpreter is not None or program.image.interp is None:
            if mapping.prot & PROT_EXEC:
                mm.start_code = min(mm.start_code or mapping.start, mapping.start)
                mm.end_code = max(mm.end_code, mapping.end)
            if mapping.prot & PROT_WRITE:
                mm.start_data = mapping.start
                mm.end_data = max(mm.end_data, mapping.file_bytes_end)
