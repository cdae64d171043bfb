"""loader.stack: the first stack of a program, compared byte for byte with the host's."""

from __future__ import annotations

import os
import resource
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import E2BIG, ExecFormatError
from loader.stack import MAX_ARG_STRLEN, AuxValues, InitialStack, build_stack, check_limits
from tests.unit.loader_files import write_program

TOP = 0x7FFFFFFFF000
RANDOM = bytes(range(16))
AUX = AuxValues(
    phdr=0x400040, phent=56, phnum=9, entry=0x401000, base=0x7F0000000000, uid=1, euid=2, gid=3, egid=4,
    secure=1, hwcap=0x178BFBFF, hwcap2=2, minsigstksz=3376,
)  # fmt: skip
KIB = 1 << 10
MIB = 1 << 20


class Parsed(NamedTuple):
    """What a program finds on its stack."""

    argv: list[bytes]
    envp: list[bytes]
    auxv: list[tuple[int, int]]


def string_at(stack: InitialStack, address: int) -> bytes:
    return stack.blob[address - stack.sp :].split(b"\0", 1)[0]


def parsed(stack: InitialStack) -> Parsed:
    """Reads a stack as the start code of a libc does."""
    words = [word for (word,) in struct.iter_unpack("<Q", stack.blob[: len(stack.blob) & -8])]
    argc = words[0]
    assert words[1 + argc] == 0
    first = 2 + argc
    last = words.index(0, first)
    auxv = []
    position = last + 1
    while words[position]:
        auxv.append((words[position], words[position + 1]))
        position += 2
    return Parsed(
        [string_at(stack, address) for address in words[1 : 1 + argc]],
        [string_at(stack, address) for address in words[first:last]],
        auxv,
    )


def build(*argv: bytes, envp: tuple[bytes, ...] = (), execfn: bytes = b"/bin/true") -> InitialStack:
    return build_stack(TOP, argv, envp, AUX, execfn, RANDOM)


def test_program_finds_what_it_was_given() -> None:
    stack = build(b"true", b"", b"x y", envp=(b"A=1", b"PATH=/bin"))
    found = parsed(stack)
    assert found.argv == [b"true", b"", b"x y"]
    assert found.envp == [b"A=1", b"PATH=/bin"]
    aux = dict(found.auxv)
    assert [aux[key] for key in (3, 4, 5, 7, 9)] == [AUX.phdr, 56, 9, AUX.base, AUX.entry]
    assert [aux[key] for key in (11, 12, 13, 14, 23)] == [1, 2, 3, 4, 1]
    assert [aux[key] for key in (6, 8, 16, 17, 26, 51)] == [4096, 0, AUX.hwcap, 100, 2, 3376]
    assert string_at(stack, aux[31]) == b"/bin/true"
    assert string_at(stack, aux[15]) == b"x86_64"
    random_at = aux[25] - stack.sp
    assert stack.blob[random_at : random_at + 16] == RANDOM


def test_blob_reaches_the_top_and_sp_is_aligned() -> None:
    for length in range(40):
        stack = build(b"a" * length)
        assert stack.sp % 16 == 0
        assert stack.sp + len(stack.blob) == TOP
        assert stack.blob.endswith(bytes(8))


def test_strings_lie_side_by_side() -> None:
    stack = build(b"true", b"x", envp=(b"A=1",))
    assert (stack.arg_end - stack.arg_start, stack.env_end - stack.env_start) == (7, 4)
    assert stack.arg_end == stack.env_start
    tail = stack.blob[stack.arg_start - stack.sp :]
    assert tail == b"true\0x\0A=1\0/bin/true\0" + bytes(8)


def test_auxv_is_on_the_stack() -> None:
    stack = build(b"true")
    assert stack.auxv in stack.blob
    assert stack.auxv.endswith(bytes(16))
    assert dict(struct.iter_unpack("<QQ", stack.auxv))[3] == AUX.phdr


def test_empty_argv_becomes_one_empty_string() -> None:
    stack = build()
    assert parsed(stack).argv == [b""]
    assert stack.arg_end - stack.arg_start == 1


def test_vdso_comes_first_and_extra_entries_last() -> None:
    aux = AUX._replace(sysinfo_ehdr=0x7FFE0000)
    found = parsed(build_stack(TOP, [b"a"], [], aux, b"a", RANDOM, extra=[(27, 28), (28, 32)]))
    assert found.auxv[0] == (33, 0x7FFE0000)
    assert found.auxv[-2:] == [(27, 28), (28, 32)]
    assert 33 not in dict(parsed(build(b"a")).auxv)


texts = st.binary(max_size=40).map(lambda text: text.replace(b"\0", b"0"))


@given(st.lists(texts, min_size=1), st.lists(texts), texts)
def test_any_strings_are_found_again(argv: list[bytes], envp: list[bytes], execfn: bytes) -> None:
    stack = build_stack(TOP, argv, envp, AUX, execfn, RANDOM)
    found = parsed(stack)
    assert (found.argv, found.envp) == (argv, envp)
    assert string_at(stack, dict(found.auxv)[31]) == execfn


FITS = MAX_ARG_STRLEN - 1
# (strings of the environment, stack limit, whether execve takes them); argv is one string of 4, execfn "/p".
LIMITS = {
    "longest string": ([FITS], 8 * MIB, True),
    "string too long": ([FITS + 1], 8 * MIB, False),
    "32 pages whatever the stack limit": ([FITS - 8 * 2 - 5 - 3], 256 * KIB, True),
    "a byte more than 32 pages": ([FITS - 8 * 2 - 5 - 3 + 1], 256 * KIB, False),
    "a quarter of the stack limit": ([FITS] * 7 + [FITS - 8 * 9 - 5 - 3], 4 * MIB, True),
    "a byte more than a quarter": ([FITS] * 7 + [FITS - 8 * 9 - 5 - 3 + 1], 4 * MIB, False),
    "6 MiB whatever the stack limit": ([FITS] * 47 + [FITS - 8 * 49 - 5 - 3], 100 * MIB, True),
    "a byte more than 6 MiB": ([FITS] * 47 + [FITS - 8 * 49 - 5 - 3 + 1], 100 * MIB, False),
    "two pages of stack": ([8192 - 8 - 5 - 3 - 1], 8192, True),
    "a byte more than two pages of stack": ([8192 - 8 - 5 - 3], 8192, False),
    "one page whatever the stack limit": ([4096 - 8 - 5 - 3 - 1], 1, True),
    "a byte more than one page": ([4096 - 8 - 5 - 3], 1, False),
    "pointers only": ([0] * (2 * MIB // 9 - 2), 8 * MIB, True),
    "too many pointers": ([0] * (2 * MIB // 8), 8 * MIB, False),
}


def environment(lengths: list[int]) -> list[bytes]:
    return [b"x" * length for length in lengths]


@pytest.mark.parametrize(("lengths", "stack_limit", "fits"), LIMITS.values(), ids=LIMITS)
def test_limits(lengths: list[int], stack_limit: int, fits: bool) -> None:
    if fits:
        check_limits([b"prog"], environment(lengths), b"/p", stack_limit)
        return
    with pytest.raises(ExecFormatError) as info:
        check_limits([b"prog"], environment(lengths), b"/p", stack_limit)
    assert (info.value.errno, info.value.fatal) == (E2BIG, False)


def test_build_stack_checks_the_limits() -> None:
    with pytest.raises(ExecFormatError):
        build(b"a" * MAX_ARG_STRLEN)


def test_pointer_of_the_added_argument_counts() -> None:
    variables = environment([MAX_ARG_STRLEN - 1 - 16 - 3])
    check_limits([], variables, b"/p", 256 * KIB)
    with pytest.raises(ExecFormatError):
        check_limits([b""], variables, b"/p", 256 * KIB)


EXECVE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
/* limit count last directory: count strings of 131071 bytes, one of last bytes; or only empty ones */
int main(int argc, char **argv) {
    struct rlimit limit = {strtoul(argv[1], 0, 0), strtoul(argv[1], 0, 0)};
    size_t count = strtoul(argv[2], 0, 0), last = strtoul(argv[3], 0, 0), i;
    char **env = calloc(count + 2, sizeof *env), *full = malloc(131072), *end = malloc(last + 1);
    memset(full, 'x', 131071), full[131071] = 0;
    memset(end, 'x', last), end[last] = 0;
    for (i = 0; i < count; i++) env[i] = last ? full : "";
    if (last) env[i] = end;
    char *args[] = {"prog", 0};
    chdir(argv[4]);
    setrlimit(RLIMIT_STACK, &limit);
    execve("/p", args, env);
    return errno;
}
"""


@pytest.mark.native
@pytest.mark.parametrize(("lengths", "stack_limit", "fits"), LIMITS.values(), ids=LIMITS)
def test_linux_has_the_same_limits(lengths: list[int], stack_limit: int, fits: bool, tmp_path: Path) -> None:
    """Arguments are refused before the file is looked at: one that is no program tells the errors apart."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc here")
    directory = write_program(tmp_path, b"no program", "p").parent
    (tmp_path / "e.c").write_text(EXECVE.replace('"/p"', '"./p"').replace('"prog"', '"pro"'))
    subprocess.run([compiler, "-w", "-o", tmp_path / "e", tmp_path / "e.c"], check=True)
    count, last = (len(lengths) - 1, lengths[-1]) if lengths[-1] else (len(lengths), 0)
    arguments = [str(stack_limit), str(count), str(last), str(directory)]
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    if hard != resource.RLIM_INFINITY and hard < stack_limit:
        pytest.skip("the stack limit here is too low")
    result = subprocess.run([tmp_path / "e", *arguments])
    assert result.returncode == (8 if fits else E2BIG)


DUMP = r"""
__asm__(".globl _start\n_start: mov %rsp, %rdi\n call begin\n");
static long call(long n, long a, long b, long c) {
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "0"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return r;
}
void begin(char *sp) {
    char *top = (char *)(((unsigned long)sp | 4095) + 1);
    call(1, 1, (long)&sp, 8);
    while (call(1, 1, (long)sp, top - sp) > 0) sp = top, top += 4096;
    call(60, 0, 0, 0);
}
"""


@pytest.mark.native
@pytest.mark.parametrize(
    ("argv", "envp"),
    [
        ([b"dump"], []),
        ([b"dump", b"", b"a b"], [b"A=1", b"", b"LONG=" + b"x" * 5000]),
        ([], [b"A=1"]),
    ],
)
def test_linux_builds_the_same_bytes(argv: list[bytes], envp: list[bytes], tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc here")
    (tmp_path / "dump.c").write_text(DUMP)
    options = ["-static", "-nostdlib", "-O1", "-fno-stack-protector", "-fcf-protection=none"]
    subprocess.run([compiler, *options, "-o", tmp_path / "dump", tmp_path / "dump.c"], check=True)
    script = "import ctypes, sys; c = ctypes.CDLL(None); c.personality(0x40000); c.execve(*eval(sys.argv[1]))"
    path = os.fsencode(tmp_path / "dump")
    c_strings = [f"(ctypes.c_char_p * {len(texts) + 1})(*{texts!r})" for texts in (argv, envp)]
    command = [sys.executable, "-c", script, f"({path!r}, {', '.join(c_strings)})"]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    sp = int.from_bytes(output[:8], "little")
    native = output[8:]
    found = parsed(InitialStack(sp, native, 0, 0, 0, 0, b""))
    aux = dict(found.auxv)
    values = {
        "phdr": 3,
        "phent": 4,
        "phnum": 5,
        "entry": 9,
        "base": 7,
        "uid": 11,
        "euid": 12,
        "gid": 13,
        "egid": 14,
    }
    values |= {"secure": 23, "hwcap": 16, "hwcap2": 26, "minsigstksz": 51, "sysinfo_ehdr": 33}
    extra = [(key, value) for key, value in found.auxv if key in (27, 28)]
    random = native[aux[25] - sp :][:16]
    ours_aux = AuxValues(**{name: aux.get(key, 0) for name, key in values.items()})
    ours = build_stack(sp + len(native), argv, envp, ours_aux, path, random, extra=extra)
    assert found.argv == (argv or [b""])
    assert (ours.sp, ours.blob) == (sp, native)
