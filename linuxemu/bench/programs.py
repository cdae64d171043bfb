"""The benchmark's guest programs. Each does one thing many times and writes when it began and ended."""

from __future__ import annotations

from linuxemu.testing.assembler import DATA, Assembler

# System call numbers of x86-64 Linux.
_READ, _WRITE, _OPEN, _CLOSE, _MMAP, _PREAD, _PWRITE, _PIPE = 0, 1, 2, 3, 9, 17, 18, 22
_FORK, _EXECVE, _EXIT, _WAIT4, _GETPPID, _CLOCK_GETTIME = 57, 59, 60, 61, 110, 228
_MONOTONIC = 1
_O_RDWR_CREAT = 0o102

# Where things stand in the writable segment.
_BEGIN, _END, _STATUS, _RUSAGE = DATA, DATA + 16, DATA + 32, DATA + 64
_PIPES, _ARGV, _BUFFER = DATA + 256, DATA + 512, DATA + 4096

RESULT_SIZE = 32
"""A timed program writes two timespecs: begin and end."""

LAUNCH_SIZE = 64 + 144
"""The launcher writes those, the wait status padded to 32 bytes, and the rusage."""

_COUNTER = "rbx"


def _begin(a: Assembler) -> None:
    a.call(_CLOCK_GETTIME, _MONOTONIC, _BEGIN)


def _end(a: Assembler) -> None:
    a.call(_CLOCK_GETTIME, _MONOTONIC, _END)
    a.call(_WRITE, 1, _BEGIN, RESULT_SIZE)
    a.call(_EXIT, 0)


def _loop(a: Assembler, count: int, name: str = "loop") -> None:
    a.set(_COUNTER, count)
    a.label(name)


def _again(a: Assembler, name: str = "loop") -> None:
    a.add(_COUNTER, -1)
    a.jump("jnz", name)


def null_call(count: int) -> bytes:
    """getppid over and over."""
    a = Assembler()
    _begin(a)
    _loop(a, count)
    a.call(_GETPPID)
    _again(a)
    _end(a)
    return a.elf()


def page_touch(count: int) -> bytes:
    """Fresh anonymous pages, each written to once."""
    a = Assembler()
    a.call(_MMAP, 0, count * 4096, 3, 0x22, -1, 0)
    a.set("r14", "rax")
    _begin(a)
    _loop(a, count)
    a.touch("r14")
    a.add("r14", 4096)
    _again(a)
    _end(a)
    return a.elf()


def ping_pong(count: int) -> bytes:
    """A byte to another process and back, through two pipes."""
    a = Assembler()
    a.call(_PIPE, _PIPES)
    a.call(_PIPE, _PIPES + 8)
    a.call(_FORK)
    a.test("rax")
    a.jump("jz", "child")
    _begin(a)
    _loop(a, count)
    _transfer(a, _WRITE, 4)
    _transfer(a, _READ, 8)
    _again(a)
    _end(a)
    a.label("child")
    _loop(a, count, "echo")
    _transfer(a, _READ, 0)
    _transfer(a, _WRITE, 12)
    _again(a, "echo")
    a.call(_EXIT, 0)
    return a.elf()


def _transfer(a: Assembler, call: int, offset: int) -> None:
    a.load("rdi", _PIPES + offset)
    a.call(call, "rdi", _BUFFER, 1)


def fork_wait(count: int) -> bytes:
    """A child that exits at once, waited for."""
    return _spawn(count, None)


def fork_exec_wait(count: int, argv: list[str]) -> bytes:
    """A child that executes a program, waited for."""
    return _spawn(count, argv)


def _spawn(count: int, argv: list[str] | None) -> bytes:
    a = Assembler()
    if argv:
        for index, word in enumerate(argv):
            a.store_address(_ARGV + 8 * index, word.encode())
    _begin(a)
    _loop(a, count)
    a.call(_FORK)
    a.test("rax")
    a.jump("jz", "child")
    a.call(_WAIT4, -1, _STATUS, 0, 0)
    a.load("rax", _STATUS)
    a.test("rax")
    a.jump("jnz", "failed")
    _again(a)
    _end(a)
    a.label("child")
    if argv:
        a.call(_EXECVE, argv[0].encode(), _ARGV, 0)
        a.call(_EXIT, 1)
    a.call(_EXIT, 0)
    a.label("failed")
    a.call(_EXIT, 1)
    return a.elf()


def file_io(count: int, path: str, *, write: bool) -> bytes:
    """4 KiB at the start of a file, read or written over and over."""
    a = Assembler()
    a.call(_OPEN, path.encode(), _O_RDWR_CREAT, 0o600)
    a.set("r14", "rax")
    a.call(_PWRITE, "r14", _BUFFER, 4096, 0)
    _begin(a)
    _loop(a, count)
    a.call(_PWRITE if write else _PREAD, "r14", _BUFFER, 4096, 0)
    _again(a)
    _end(a)
    return a.elf()


def open_close(count: int, path: str) -> bytes:
    """A file opened and closed."""
    a = Assembler()
    _begin(a)
    _loop(a, count)
    a.call(_OPEN, path.encode(), 0, 0)
    a.set("rdi", "rax")
    a.call(_CLOSE, "rdi")
    _again(a)
    _end(a)
    return a.elf()


def launcher() -> bytes:
    """For the host: run argv[1:] with this program's environment, write the times and its rusage to fd 3.

    A process's peak memory includes what it was before it executed the program, so it must not be forked from
    something large: this program is a page.
    """
    a = Assembler()
    a.load_above_stack("r14", 16)
    a.address_above_stack("r15", 16)
    # The environment begins behind argv and its NULL: at rsp + 8 * (argc + 2), found by walking the words.
    a.load_above_stack("rbx", 0)
    a.set("rbp", "rsp")
    a.add("rbp", 16)
    a.label("skip")
    a.add("rbp", 8)
    a.add("rbx", -1)
    a.jump("jnz", "skip")
    _begin(a)
    a.call(_FORK)
    a.test("rax")
    a.jump("jz", "child")
    a.call(_WAIT4, -1, _STATUS, 0, _RUSAGE)
    a.call(_CLOCK_GETTIME, _MONOTONIC, _END)
    a.call(_WRITE, 3, _BEGIN, LAUNCH_SIZE)
    a.call(_EXIT, 0)
    a.label("child")
    a.call(_CLOSE, 3)
    a.call(_EXECVE, "r14", "r15", "rbp")
    a.call(_EXIT, 127)
    return a.elf()


def shell_script() -> str:
    """200 lines of shell with 300 forks, 120 of which execute a program."""
    lines = []
    for n in range(60):
        lines.append(f"v{n}=$(echo {n})")
        lines.append(f'echo "line {n}" | cat > /dev/null')
        lines.append(f"(exit {n}) || :; busybox true")
        if n % 3 == 0:
            lines.append(f"case $v{n} in {n}) total=$((${{total:-0}} + v{n})) ;; *) exit 1 ;; esac")
    return "\n".join(lines) + "\n"
