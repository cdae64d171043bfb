"""What may differ between two traces of the same program, replaced by names that may not.

- A process is called by its place in the tree: `<1>` is the first, `<1.2>` the second that it made. Pids are
  replaced where a call or a field has one, never elsewhere.
- An address inside of a mapping, of the heap or of the stack is said relative to it: `map2+0x10`, in the order in which
  mappings were made. Addresses inside of the program itself are the same everywhere and stay. What malloc(3) gives is
  `heap`: it depends on all that was allocated before (the C library notes the vDSO, if there is one).
- An identifier of shared memory, semaphores or messages is `<ipc1>`, in the order in which they were made.
- What the kernel tells of the day (times, inodes, devices, random bytes) is `N`; zero stays zero. So are the size of a
  directory (with its blocks), and what a machine is called.
- The names of a directory are in order.
- SIGCHLD comes when the child ends, whatever its parent is doing then: it stands after the call that reaps the child.
  Without such a call the parent may be gone before: it is left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tests.trace.lines import Call, by_process, parse

if TYPE_CHECKING:
    from collections.abc import Callable

PID_ARGUMENTS = {
    "kill": (0,), "tkill": (0,), "tgkill": (0, 1), "rt_sigqueueinfo": (0,), "rt_tgsigqueueinfo": (0, 1),
    "wait4": (0,), "waitid": (1,), "setpgid": (0, 1), "getpgid": (0,), "getsid": (0,),
    "getpriority": (1,), "setpriority": (1,), "ioprio_get": (1,), "ioprio_set": (1,), "prlimit64": (0,),
    "sched_getparam": (0,), "sched_setparam": (0,), "sched_getscheduler": (0,), "sched_setscheduler": (0,),
    "sched_getattr": (0,), "sched_setattr": (0,), "sched_getaffinity": (0,), "sched_setaffinity": (0,),
    "sched_rr_get_interval": (0,), "get_robust_list": (0,), "kcmp": (0, 1), "pidfd_open": (0,),
    "process_vm_readv": (0,), "process_vm_writev": (0,), "ptrace": (1,), "move_pages": (0,), "migrate_pages": (0,),
}  # fmt: skip
IPC_CALLS = frozenset({
    "shmget", "shmat", "shmctl", "semget", "semop", "semtimedop", "semctl", "msgget", "msgsnd", "msgrcv", "msgctl",
})  # fmt: skip
IPC_MAKERS = frozenset({"shmget", "semget", "msgget"})
CREATORS = frozenset({"fork", "vfork", "clone", "clone3"})
PID_RESULTS = CREATORS | {
    "wait4", "getpid", "gettid", "getppid", "getpgrp", "getpgid", "getsid", "setsid", "set_tid_address",
}  # fmt: skip
REAPERS = frozenset({"wait4", "waitid"})
_PID = re.compile(r"(-?)(0x[0-9a-f]+|0|[1-9]\d*)(<[^>]*>)?")
_PID_FIELD = re.compile(
    r"\b((?:si_|l_|shm_[cl]|msg_l[sr])?pid|sigev_notify_thread_id|parent_tid|child_tid)=(\[?)(\d+)\b"
)
_PID_COMMANDS = {"F_SETOWN", "F_GETOWN", "TIOCGPGRP", "TIOCSPGRP", "TIOCGSID"}

# Arguments in which the kernel says what was used, and those in which it says a time or what it has counted.
USED = {"wait4": (3,), "waitid": (4,), "getrusage": (1,), "times": (0,), "sysinfo": (0,)}
COUNTED = {
    "clock_gettime": (1,), "gettimeofday": (0,), "time": (0,), "nanosleep": (1,), "clock_nanosleep": (3,),
    "getitimer": (1,), "setitimer": (2,), "timer_gettime": (1,), "timer_settime": (3,),
    "adjtimex": (0,), "clock_adjtime": (1,), "statfs": (1,), "fstatfs": (1,), "getcpu": (0, 1),
}  # fmt: skip
COUNTED_RESULTS = frozenset({"time", "times"})
_NUMBER = re.compile(r"(?<![\w.])[1-9]\d*(?:\*\d+)?\b")
_COUNT = re.compile(r"(?<![\w.])\d+\b(?: /\*[^*]*\*/)?")
_LEFT = re.compile(r"\bleft \{[^}]*\}")

_FIELDS = (
    (re.compile(r"\b(st_ino|stx_ino|d_ino|d_off|stx_mnt_id)=\w+"), r"\1=N"),
    (re.compile(r"\b(st_dev|stx_dev_major|stx_dev_minor)=(makedev\([^)]*\)|\w+)"), r"\1=N"),
    (re.compile(r"\b(si_[us]time)=\d+(?: /\*[^*]*\*/)?"), r"\1=N"),
    (re.compile(r"\b(st_mode=S_IFDIR\|[^{}]*?, )(?:st_blocks=\d+, )?st_size=\d+"), r"\1st_size=N"),
    # File systems and mounts differ, and so do schedulers.
    (re.compile(r"\b(stx_attributes_mask|f_flags)=[\w|]+"), r"\1=N"),
    (re.compile(r"\bf_fsid=\{val=\[\w+, \w+\]\}"), "f_fsid=N"),
    (re.compile(r"\|STATX_BTIME\b|\bstx_btime=\{[^}]*\}(?: /\*[^*]*\*/)?, "), ""),
    (re.compile(r"(\bsched_policy=SCHED_OTHER, .*\bsched_runtime)=\d+"), r"\1=N"),
    (re.compile(r"\b(sched_util_min|sched_util_max)=\d+"), r"\1=N"),
    (re.compile(r"\b((?:shm|sem|msg)_[adcosr]time)=[1-9]\d*"), r"\1=N"),
    # Times before 2002 were set by the program.
    (re.compile(r"\b(st_[amc]time)=\d{10} /\*[^*]*\*/, st_[amc]time_nsec=\d+"), r"\1=N"),
    (re.compile(r"\b(stx_[abcm]time)=\{tv_sec=\d{10}, tv_nsec=\d+\}(?: /\*[^*]*\*/)?"), r"\1=N"),
)
_MACHINE = re.compile(r'\b(nodename|release|version)="[^"]*"')
_ENTRY = re.compile(r"\{d_ino=[^{}]*\}")
_INODE = re.compile(r"\b(pipe|socket):\[(\d+)\]")
_ADDRESS = re.compile(r"\b0x[0-9a-f]{4,12}\b")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
STACK = range(0x7F00_0000_0000, 0x8000_0000_0000)

# By name, or by number with -X.
_CHILD_ENDED = re.compile(
    r"--- SIGCHLD \{.*si_code=(?:CLD_(?:EXITED|KILLED|DUMPED)|0x[123]\b).*, si_pid=(\d+)(<[^>]*>)?,.* ---"
)


class Region(NamedTuple):
    """A part of an address space that the kernel chose the place of."""

    name: str
    where: range
    known: int = 1 << 64
    """So many bytes at its beginning are the same in each run."""

    def say(self, value: int, exactly: bool) -> str:
        """An address in it."""
        offset = value - self.where.start
        return f"{self.name}+{offset:#x}" if offset and (exactly or offset < self.known) else self.name


def normalise(text: str) -> dict[str, list[str]]:
    """The normalised lines of each process, by its place in the tree."""
    return _Normaliser(by_process(text)).tree()


class _Normaliser:
    """One trace: which pid is which process, which inode is which."""

    def __init__(self, found: dict[int, list[str]]) -> None:
        self.found = found
        self.names: dict[int, str] = {}
        self.inodes: dict[str, int] = {}
        self.identifiers: dict[str, str] = {}

    def tree(self) -> dict[str, list[str]]:
        """All processes; those that nobody is seen to make (their calls are not traced) count from the first on."""
        made = {child for lines in self.found.values() for line in lines if (child := _made(parse(line)))}
        waiting: list[tuple[int, list[Region]]] = [(pid, []) for pid in self.found if pid not in made]
        for number, (pid, _) in enumerate(waiting, 1):
            self._name(pid, str(number))
        result: dict[str, list[str]] = {}
        while waiting:
            pid, regions = waiting.pop(0)
            process = _Process(self, regions)
            result[self.names[pid]] = [process.line(line) for line in settled(self.found[pid])]
            waiting += [(child, known) for child, known in process.made if child in self.found]
        return result

    def _name(self, pid: int, name: str) -> None:
        """Name a process and all that it makes."""
        self.names[pid] = name
        children = [child for line in self.found.get(pid, ()) if (child := _made(parse(line)))]
        for place, child in enumerate(children, 1):
            self._name(child, f"{name}.{place}")

    def pid(self, text: str) -> str:
        """A number that is a pid, or minus one, as the name of its process; a command's name behind it stays."""
        found = _PID.fullmatch(text)
        name = self.names.get(int(found[2], 0)) if found else None
        return f"{found[1]}<{name}>{found[3] or ''}" if found and name else text

    def ipc(self, call: Call) -> Call:
        """A call about System V objects, with their names."""
        if call.name in IPC_MAKERS and call.result.isdecimal():
            self.identifiers[call.name[:3] + call.result] = f"<ipc{len(self.identifiers) + 1}>"
        named = [self.identifiers.get(call.name[:3] + text, text) for text in (call.arguments[0], call.result)]
        if call.name in IPC_MAKERS:
            return Call(call.name, call.arguments, named[1])
        by_index = any(re.match("(?:SHM|SEM|MSG)_STAT", text) for text in call.arguments[1:3])
        result = named[1] if by_index else call.result
        return Call(call.name, [named[0], *call.arguments[1:]], result)

    def inode(self, match: re.Match[str]) -> str:
        """The inode of a pipe by its order of appearance."""
        number = self.inodes.setdefault(match[2], len(self.inodes) + 1)
        return f"{match[1]}:[N{number}]"


class _Process:
    """The lines of one process from its start on; `regions` is what it inherited."""

    def __init__(self, trace: _Normaliser, regions: list[Region]) -> None:
        self.trace = trace
        self.regions = list(regions)
        self.made: list[tuple[int, list[Region]]] = []

    def line(self, text: str) -> str:
        """One line, normalised."""
        call = parse(text)
        if call is None:
            return self._common(text)
        if call.name in IPC_CALLS:
            call = self.trace.ipc(call)
        self._note_regions(call)
        if child := _made(call):
            self.made.append((child, list(self.regions)))
        line = self._common(str(self._counted(self._pids(call))))
        if call.name in {"execve", "execveat"} and call.result == "0":
            self.regions = []
        return line

    def _pids(self, call: Call) -> Call:
        """A call with the names of processes where it has pids."""
        arguments = list(call.arguments)
        places = PID_ARGUMENTS.get(call.name, ())
        if len(arguments) > 2 and arguments[1] in _PID_COMMANDS:
            places = (2,)
        for place in places:
            if place < len(arguments):
                arguments[place] = re.sub(r"-?\d+", lambda m: self.trace.pid(m[0]), arguments[place], count=1)
        value, space, rest = call.result.partition(" ")
        if call.name in PID_RESULTS or arguments[1:2] == ["F_GETOWN"]:
            named = self.trace.pid(value)
            # Who started the first process: the tracer, or nobody.
            value = "<outside>" if call.name == "getppid" and named == value else named
        return Call(call.name, arguments, value + space + rest)

    def _counted(self, call: Call) -> Call:
        """A call without what the kernel has measured or drawn."""
        arguments = list(call.arguments)
        for places, numbers in ((USED, _COUNT), (COUNTED, _NUMBER)):
            for place in places.get(call.name, ()):
                if place < len(arguments) and not arguments[place].startswith("0x"):
                    arguments[place] = numbers.sub("N", arguments[place])
        if call.name == "getrandom" and arguments[:1] and arguments[0].startswith('"'):
            arguments[0] = '"random"' + ("..." if arguments[0].endswith("...") else "")
        if call.name == "uname":
            arguments[0] = _MACHINE.sub(r'\1="N"', arguments[0])
        if call.name in {"getdents", "getdents64"}:
            arguments[1] = _in_order(arguments[1])
        result = _LEFT.sub("left {N}", call.result)
        if call.name in COUNTED_RESULTS:
            result = _NUMBER.sub("N", result)
        return Call(call.name, arguments, result)

    def _common(self, text: str) -> str:
        """What holds in every line: fields of structures, inodes of pipes, addresses."""
        exactly = text.startswith("brk(")
        return _INODE.sub(self.trace.inode, _outside_strings(text, lambda part: self._fields(part, exactly)))

    def _fields(self, text: str, exactly: bool) -> str:
        text = _PID_FIELD.sub(lambda m: f"{m[1]}={m[2]}{self.trace.pid(m[3])}", text)
        for pattern, new in _FIELDS:
            text = pattern.sub(new, text)
        return _ADDRESS.sub(lambda m: self._address(int(m[0], 16), m[0], exactly), text)

    def _address(self, value: int, text: str, exactly: bool) -> str:
        for region in reversed(self.regions):
            # One behind the end is how ends are said.
            if value in region.where or value == region.where.stop:
                return region.say(value, exactly)
        return "STACK" if value in STACK else text

    def _note_regions(self, call: Call) -> None:
        """Remember the mapping that a call made, or where the heap begins."""
        if not re.fullmatch("0x[0-9a-f]+", call.result):
            return
        start = int(call.result, 16)
        if call.name == "brk":
            heap = next((region for region in self.regions if region.name == "heap"), None)
            where = range(heap.where.start if heap else start, start)
            # What the C library takes before malloc(3) begins: its thread's own memory, in a static program.
            known = heap.known if heap and heap.where else len(where)
            self.regions = [region for region in self.regions if region.name != "heap"]
            self.regions.append(Region("heap", where, known))
        elif call.name in {"mmap", "mremap"}:
            length = int(call.arguments[1 if call.name == "mmap" else 2], 0)
            number = sum(region.name.startswith("map") for region in self.regions) + 1
            self.regions.append(Region(f"map{number}", range(start, start + -(-length // 4096) * 4096)))


def settled(lines: list[str]) -> list[str]:
    """The lines of a process, with those of the end of its children where they cannot depend on the moment.

    SIGCHLD (and the return from its handler) stands behind the call that reaps the child; a handler that makes calls
    stays in place. Where it interrupted a call that then began again, the call stands once. Of several children at once
    two may end together, and one signal be enough for both: theirs are left out, and calls that reap them one directly
    after another are in the order in which the children were made.
    """
    rest, told = _without_ends(lines)
    result: list[str] = []
    children: list[str] = []
    living: list[str] = []
    together: dict[str, str] = {}
    for line in rest:
        call = parse(line)
        if child := _made(call):
            children.append(str(child))
            living.append(str(child))
        reaped = _reaped(call)
        if reaped not in living or (len(living) == 1 and not together):
            result += [*together.values(), line, *told.pop(reaped, ())]
            together = {}
        else:
            together = dict(sorted([*together.items(), (reaped, line)], key=lambda pair: children.index(pair[0])))
            told.pop(reaped, None)
        if reaped in living:
            living.remove(reaped)
    return [*result, *together.values()]


def _without_ends(lines: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The lines without SIGCHLD, and for each child the lines that were left out."""
    rest: list[str] = []
    told: dict[str, list[str]] = {}
    waiting = list(reversed(lines))
    while waiting:
        line = waiting.pop()
        ended = _CHILD_ENDED.fullmatch(line)
        if ended is None:
            rest.append(line)
            continue
        # Whether the command's name is still known then (-Y) is a matter of the moment, too.
        told[ended[1]] = [line.replace(ended[2], "", 1) if ended[2] else line]
        if waiting and waiting[-1].startswith("rt_sigreturn("):
            waiting.pop()
            told[ended[1]].append("rt_sigreturn(...) = ...")
        if rest and waiting and _begins_again(parse(rest[-1]), parse(waiting[-1])):
            rest.pop()
    return rest, told


def _begins_again(before: Call | None, after: Call | None) -> bool:
    """The first of two calls was interrupted, the second is the kernel's second try."""
    return (
        before is not None
        and after is not None
        and before.result.startswith("? ERESTART")
        and (before.name == after.name or after.name == "restart_syscall")
    )


def _reaped(call: Call | None) -> str:
    """The pid of the child that a call waited for with success, or nothing."""
    if call is None or call.name not in REAPERS or "WNOWAIT" in call.arguments[-2]:
        return ""
    if call.name == "wait4":
        return call.result if "WIFEXITED" in call.arguments[1] or "WIFSIGNALED" in call.arguments[1] else ""
    found = re.search(r"CLD_(?:EXITED|KILLED|DUMPED), si_pid=(\d+)", call.arguments[2])
    return found[1] if found else ""


def _made(call: Call | None) -> int | None:
    """The pid of the process or thread that a call made."""
    found = _PID.fullmatch(call.result) if call is not None and call.name in CREATORS else None
    return int(found[2]) if found and not found[1] else None


def _in_order(text: str) -> str:
    """The entries of a directory, in the order of their names."""
    entries = sorted(_ENTRY.findall(text), key=lambda entry: entry.partition("d_name=")[2])
    return _ENTRY.sub(lambda _: entries.pop(0), text)


def _outside_strings(text: str, change: Callable[[str], str]) -> str:
    """Change what stands outside of quotation marks."""
    result, at = [], 0
    for match in _STRING.finditer(text):
        result += [change(text[at : match.start()]), match[0]]
        at = match.end()
    return "".join([*result, change(text[at:])])
