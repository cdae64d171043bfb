"""Calls as text, shown here and by strace(1) from the same registers, memory and results.

A file of `tests/trace/injected/` has two lines a call: what is called, with its result, and what strace 6.1 shows of
it. `# -v` begins a part with options. strace does not make the calls (`-e inject`), so that nothing depends on the
machine and nothing happens to it; their results and the memory that they would have filled are what the file says.

    python -m tests.trace.injected FILE...

fills in what strace shows.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from struct import pack
from types import SimpleNamespace
from typing import Any, NamedTuple

HERE = Path(__file__).parent / "injected"
BASE = 0x1000_0000
END = BASE + 0x4000
_FIRST = BASE + 0x100
_MASK = (1 << 64) - 1
_INDENT = "    "


class Data:
    """Bytes that an argument, or a word of other data, points to.

    Args:
        parts: bytes, numbers of 64 bits, or data to point to.
        edge: it ends where mapped memory ends.
    """

    def __init__(self, *parts: Any, edge: bool = False) -> None:
        self.parts = parts
        self.edge = edge


def ptr(*parts: Any) -> Data:
    """A pointer to words and bytes."""
    return Data(*parts)


def edge(*parts: Any) -> Data:
    """A pointer to words and bytes that are the last ones of mapped memory."""
    return Data(*parts, edge=True)


def s(text: bytes) -> Data:
    """A pointer to a string with its NUL."""
    return Data(text + b"\0")


def i32(*values: int) -> bytes:
    """Ints."""
    return b"".join(pack("<i" if value < 1 << 31 else "<I", value) for value in values)


def u16(*values: int) -> bytes:
    """Unsigned shorts."""
    return pack(f"<{len(values)}H", *values)


class Item(NamedTuple):
    """One call of a file."""

    source: str
    options: tuple[str, ...]
    name: str
    words: tuple[int, ...]
    memory: tuple[tuple[int, bytes], ...]
    result: int
    shown: str


def place(args: tuple[Any, ...]) -> tuple[tuple[int, ...], tuple[tuple[int, bytes], ...]]:
    """The registers of a call, and the memory it needs."""
    memory: list[tuple[int, bytes]] = []
    free = _FIRST

    def word(value: Any) -> int:
        nonlocal free
        if isinstance(value, bytes):
            value = Data(value)
        if not isinstance(value, Data):
            return int(value) & _MASK
        size = sum(len(part) if isinstance(part, bytes) else 8 for part in value.parts)
        at = free
        if value.edge:
            at = END - size
        else:
            free += size + 15 & -16
        parts = [part if isinstance(part, bytes) else pack("<Q", word(part)) for part in value.parts]
        memory.append((at, b"".join(parts)))
        return at

    words = [word(value) for value in args]
    return tuple([*words, 0, 0, 0, 0, 0, 0][:6]), tuple(memory)


def read(path: Path) -> list[Item]:
    """The calls of a file."""
    items: list[Item] = []
    options: tuple[str, ...] = ()
    for line in path.read_text().splitlines():
        if line.startswith("# "):
            options = tuple(line[2:].split())
        elif line.startswith(_INDENT):
            items[-1] = items[-1]._replace(shown=line.strip())
        elif line:
            call, _, result = line.rpartition(" = ")
            name, _, rest = call.partition("(")
            args = eval(f"({rest[:-1]},)" if rest != ")" else "()", {**globals(), **_names()})
            words, memory = place(args)
            items.append(Item(line, options, name, words, memory, int(result, 0), ""))
    return items


def _names() -> dict[str, Any]:
    from syscalls.abi import structs

    return vars(structs)


def style_of(options: tuple[str, ...]) -> tuple[Any, Any]:
    """Style and plans for strace's options."""
    from linuxemu.trace.plan import Plans
    from linuxemu.trace.style import Style

    style = Style()
    for option in options:
        if option.startswith("-X"):
            style = style._replace(constants=option[2:])
        elif option.startswith("-s"):
            style = style._replace(string_limit=int(option[2:]))
    none, every = range(0), range(1 << 32)
    return style, Plans(none, none if "-v" in options else every, none if "-everbose=none" in options else every)


class Memory:
    """The memory of a task that does nothing but one call."""

    def __init__(self, memory: tuple[tuple[int, bytes], ...]) -> None:
        self._bytes = bytearray(END - BASE)
        for at, data in memory:
            self._bytes[at - BASE : at - BASE + len(data)] = data

    def resident(self, addr: int, n: int) -> bytes:
        """See `syscalls.objects.memory.UserMemory.resident`."""
        if not BASE <= addr < END:
            return b""
        return bytes(self._bytes[addr - BASE : min(addr + n, END) - BASE])


def task(memory: tuple[tuple[int, bytes], ...] = (), tid: int = 1) -> Any:
    """What stands for a task."""
    return SimpleNamespace(mem=Memory(memory), tid=tid, server=SimpleNamespace(tasks={}), files=None)


def called(item: Item) -> tuple[Any, list[str], list[str]]:
    """A call of a file, as it is when it has ended, and its texts of both ends."""
    from linuxemu.messages import TrapFrame
    from linuxemu.trace import formats
    from linuxemu.trace.call import Call
    from syscalls import handlers
    from syscalls.abi.numbers import X86_64

    handlers.load()
    formats.load()
    style, plans = style_of(item.options)
    rdi, rsi, rdx, r10, r8, r9 = item.words
    frame = TrapFrame._make([0] * 18)._replace(rdi=rdi, rsi=rsi, rdx=rdx, r10=r10, r8=r8, r9=r9)
    call = Call(task(item.memory), plans.of(X86_64[item.name]), frame, style)
    early = texts(call, call.plan.entry)
    call.result = item.result
    return call, early, texts(call, call.plan.exit)


def texts(call: Any, phase: Any) -> list[str]:
    """What a formatter says once it knows which pages are missing, as `Tracer` asks it."""
    from linuxemu.trace.call import PAGE, NotResident

    while True:
        try:
            found = list(phase(call))
        except NotResident as miss:
            if BASE <= miss.addr < END:
                raise LookupError(f"{miss.addr:#x} is there") from miss
            call.unreadable = {*(call.unreadable or ()), miss.addr // PAGE}
            call.partial = call.partial or {}
        else:
            call.partial = None
            return found


def show(item: Item) -> str:
    """The line of a call here."""
    from linuxemu.trace.text import Layout, TextLog

    call, early, late = called(item)
    lines: list[str] = []
    out: Any = SimpleNamespace(write=lambda tid, text: lines.append(text), close=lambda: None)
    log = TextLog(out, Layout(pids="", column=0), None, frozenset(), lambda: 0)
    log.enter(call, early)
    log.leave(call, late)
    return "".join(lines).rstrip("\n")


def build(folder: Path) -> Path:
    """Compile the program that strace watches."""
    driver = folder / "driver"
    command = "gcc -O1 -static -nostdlib -fno-stack-protector -fno-builtin"
    guest = f"-Wl,--section-start=.guest={BASE:#x}"
    subprocess.run([*command.split(), guest, "-o", driver, HERE / "driver.c"], check=True)
    return driver


def strace(items: list[Item], driver: Path) -> list[str]:
    """The lines that strace shows, for calls with the same options and results."""
    from syscalls.abi.numbers import X86_64

    names = ",".join({item.name for item in items})
    result = items[0].result
    injected = f"error={-result}" if -4096 < result < 0 else f"retval={result & _MASK}"
    script = b""
    for item in items:
        patches = [pack("<QQ", at, len(data)) + data for at, data in [(BASE, bytes(END - BASE)), *item.memory]]
        script += pack("<Q", len(patches)) + b"".join(patches)
        script += pack("<7Q", X86_64[item.name], *item.words)
    log = driver.with_suffix(".log")
    subprocess.run(
        ["strace", "-a0", "-o", log, "-etrace=" + names, f"-einject={names}:{injected}", *items[0].options, driver],
        input=script,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    lines = log.read_text().splitlines()
    return [line.removesuffix(" (INJECTED)") for line in lines if " (INJECTED)" in line]


def all_strace(items: list[Item], driver: Path) -> dict[str, str]:
    """What strace shows of many calls, by options and source."""
    groups: dict[tuple[Any, ...], list[Item]] = {}
    for item in items:
        groups.setdefault((item.options, item.result), []).append(item)
    found = {}
    for group in groups.values():
        lines = strace(group, driver)
        assert len(lines) == len(group), (group, lines)
        for item, line in zip(group, lines, strict=True):
            found[f"{item.options}{item.source}"] = line
    return found


def fill(path: Path, driver: Path) -> None:
    """Write into a file what strace shows."""
    items = read(path)
    found = all_strace(items, driver)
    options: tuple[str, ...] = ()
    lines = []
    for line in path.read_text().splitlines():
        if line.startswith("# "):
            options = tuple(line[2:].split())
        if line.startswith(_INDENT):
            continue
        lines.append(line)
        if line and not line.startswith("# "):
            lines.append(_INDENT + re.sub(r"\s+$", "", found[f"{options}{line}"]))
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for argument in sys.argv[1:]:
            fill(Path(argument), build(Path(folder)))
