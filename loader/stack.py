"""The first stack of a program: arguments, environment and auxiliary vector (man 2 execve, man 3 getauxval).

From the top down, as Linux lays it out: eight zero bytes, the file name, the environment strings, the
argument strings, the platform name, sixteen random bytes, the auxiliary vector, envp, argv, argc.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack
from typing import NamedTuple

from loader.errors import E2BIG, ExecFormatError

AT_NULL = 0
AT_PHDR = 3
AT_PHENT = 4
AT_PHNUM = 5
AT_PAGESZ = 6
AT_BASE = 7
AT_FLAGS = 8
AT_ENTRY = 9
AT_UID = 11
AT_EUID = 12
AT_GID = 13
AT_EGID = 14
AT_PLATFORM = 15
AT_HWCAP = 16
AT_CLKTCK = 17
AT_SECURE = 23
AT_RANDOM = 25
AT_HWCAP2 = 26
AT_RSEQ_FEATURE_SIZE = 27
AT_RSEQ_ALIGN = 28
AT_EXECFN = 31
AT_SYSINFO_EHDR = 33
AT_MINSIGSTKSZ = 51

PAGE_SIZE = 4096
CLOCK_TICKS = 100
RANDOM_SIZE = 16

MAX_ARG_STRLEN = 32 * PAGE_SIZE
"""Longest single string, its NUL included."""

_ARG_MAX = 32 * PAGE_SIZE
_MAX_TOTAL = (8 << 20) // 4 * 3
_WORD_SIZE = 8


class AuxValues(NamedTuple):
    """What the auxiliary vector says of the program, the process and the CPU."""

    phdr: int
    phent: int
    phnum: int
    entry: int
    base: int = 0
    uid: int = 0
    euid: int = 0
    gid: int = 0
    egid: int = 0
    secure: int = 0
    hwcap: int = 0
    hwcap2: int = 0
    minsigstksz: int = 2048
    flags: int = 0
    sysinfo_ehdr: int = 0
    """Address of the vDSO; 0 leaves the entry out."""


class InitialStack(NamedTuple):
    """The bytes to put at `sp` and the addresses that /proc/pid/stat and /proc/pid/cmdline speak of."""

    sp: int
    blob: bytes
    """From `sp` up to the top of the stack."""
    arg_start: int
    arg_end: int
    env_start: int
    env_end: int
    auxv: bytes
    """The auxiliary vector by itself, AT_NULL included: /proc/pid/auxv."""


def check_limits(argv: Sequence[bytes], envp: Sequence[bytes], execfn: bytes, stack_limit: int) -> None:
    """Refuses what execve refuses with E2BIG.

    A string has at most `MAX_ARG_STRLEN` bytes; all strings and their pointers together have a quarter of the
    stack limit, at most 6 MiB and at least 32 pages.

    Args:
        stack_limit: soft RLIMIT_STACK in bytes.

    Raises:
        ExecFormatError: with E2BIG.
    """
    limit = max(min(_MAX_TOTAL, stack_limit // 4), _ARG_MAX)
    pointers = (max(len(argv), 1) + len(envp)) * _WORD_SIZE
    if pointers >= limit:
        raise ExecFormatError(f"{len(argv)} arguments and {len(envp)} variables are too many", E2BIG)
    total = len(execfn) + 1
    for strings in (argv, envp):
        longest = max(map(len, strings), default=0)
        if longest >= MAX_ARG_STRLEN:
            raise ExecFormatError(f"a string of {longest} bytes is too long", E2BIG)
        total += sum(map(len, strings)) + len(strings)
    # While they are copied in, the strings must also fit the stack itself, which has a page at least.
    pages = total + _WORD_SIZE + PAGE_SIZE - 1 & -PAGE_SIZE
    if total > limit - pointers or pages > max(stack_limit, PAGE_SIZE):
        raise ExecFormatError(f"{total} bytes of arguments and environment are too many", E2BIG)


def build_stack(
    sp_top: int,
    argv: Sequence[bytes],
    envp: Sequence[bytes],
    aux: AuxValues,
    execfn: bytes,
    random: bytes,
    platform: bytes = b"x86_64",
    stack_limit: int = 8 << 20,
    extra: Sequence[tuple[int, int]] = (),
) -> InitialStack:
    """Lays out the first stack; an empty `argv` becomes one empty string, as on Linux since 5.18.

    Args:
        sp_top: end of the stack's mapping, page aligned.
        execfn: the path given to execve: a script's own, not its interpreter's.
        random: `RANDOM_SIZE` bytes for AT_RANDOM.
        stack_limit: soft RLIMIT_STACK in bytes.
        extra: further entries, put at the end as Linux does with AT_RSEQ_ALIGN.

    Raises:
        ExecFormatError: with E2BIG.
    """
    check_limits(argv, envp, execfn, stack_limit)
    argv = argv or [b""]
    args = b"".join([arg + b"\0" for arg in argv])
    environment = b"".join([variable + b"\0" for variable in envp])
    strings = args + environment + execfn + bytes(1 + _WORD_SIZE)
    arg_start = sp_top - len(strings)
    env_start = arg_start + len(args)
    env_end = env_start + len(environment)
    platform_at = (arg_start & -16) - len(platform) - 1
    random_at = platform_at - RANDOM_SIZE
    auxv = _auxv(aux, extra, random_at, env_end, platform_at)
    pointers = [len(argv), *_addresses(arg_start, argv), 0, *_addresses(env_start, envp), 0]
    vectors = pack(f"<{len(pointers)}Q", *pointers) + auxv
    sp = random_at - len(vectors) & -16
    blob = b"".join(
        (
            vectors.ljust(random_at - sp, b"\0"),
            random,
            (platform + b"\0").ljust(arg_start - platform_at, b"\0"),
            strings,
        )
    )
    return InitialStack(sp, blob, arg_start, env_start, env_start, env_end, auxv)


def _addresses(start: int, strings: Sequence[bytes]) -> list[int]:
    """Where each of the strings begins when they stand one behind the other from `start` on."""
    addresses = []
    for string in strings:
        addresses.append(start)
        start += len(string) + 1
    return addresses


def _auxv(
    aux: AuxValues, extra: Sequence[tuple[int, int]], random_at: int, execfn_at: int, platform_at: int
) -> bytes:
    """The auxiliary vector, in the order of Linux on x86-64."""
    entries = [
        *([(AT_SYSINFO_EHDR, aux.sysinfo_ehdr)] if aux.sysinfo_ehdr else []),
        (AT_MINSIGSTKSZ, aux.minsigstksz),
        (AT_HWCAP, aux.hwcap),
        (AT_PAGESZ, PAGE_SIZE),
        (AT_CLKTCK, CLOCK_TICKS),
        (AT_PHDR, aux.phdr),
        (AT_PHENT, aux.phent),
        (AT_PHNUM, aux.phnum),
        (AT_BASE, aux.base),
        (AT_FLAGS, aux.flags),
        (AT_ENTRY, aux.entry),
        (AT_UID, aux.uid),
        (AT_EUID, aux.euid),
        (AT_GID, aux.gid),
        (AT_EGID, aux.egid),
        (AT_SECURE, aux.secure),
        (AT_RANDOM, random_at),
        (AT_HWCAP2, aux.hwcap2),
        (AT_EXECFN, execfn_at),
        (AT_PLATFORM, platform_at),
        *extra,
        (AT_NULL, 0),
    ]
    return b"".join([pack("<2Q", *entry) for entry in entries])
