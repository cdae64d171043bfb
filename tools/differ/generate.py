"""Makes scripts: each argument by its declaration, and what earlier calls made is used by later ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

from syscalls.types import IN
from tools.differ import vocabulary as words
from tools.differ.code import arguments
from tools.differ.script import (
    Buffer,
    Call,
    Fork,
    Go,
    Group,
    Load,
    Number,
    Pass,
    Ref,
    Space,
    Text,
    Word,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from syscalls.types import Arg
    from tools.differ.script import Expression, Script, Statement

_T = TypeVar("_T")
_PAGE = 4096
_MAKES_FD = ("open", "openat", "openat2", "creat", "dup", "dup2", "dup3", "epoll_create", "epoll_create1",
             "eventfd", "eventfd2", "memfd_create", "mq_open")  # fmt: skip
_LENGTHS = ("count", "size", "len", "buflen", "bufsiz", "sigsetsize", "nfds", "iovcnt", "maxevents", "nr_segs")
_NULLABLE = 12
_LONGEST = 18


class _Maker:
    """Makes one script.

    Args:
        random: source of choices.
        subject: what it is about.
    """

    def __init__(self, random: Random, subject: str) -> None:
        self._random = random
        self._subject = subject
        self._about = words.SUBJECTS[subject]
        self._calls = words.calls(subject)
        self._fds: list[Expression] = []
        self._special: dict[str, list[Expression]] = {"epoll": [], "timer": [], "pid": []}
        self._children: list[str] = []
        self._made = 0
        self._depth = 0
        self._length = 8

    def pick(self, choices: Sequence[_T]) -> _T:
        """One of them."""
        return self._random.choice(choices)

    def either(self, *choices: Expression) -> Expression:
        """One of them, of whatever kind."""
        return choices[self._random.randrange(len(choices))]

    def chance(self, percent: int) -> bool:
        """True that often."""
        return self._random.randrange(100) < percent

    def script(self) -> Script:
        """All of it."""
        return (*self._stage(), *self._block(self._random.randint(3, _LONGEST), 0))

    def _stage(self) -> Iterator[Statement]:
        """How it begins."""
        known: set[str] = set()
        for statement in parse("\n".join(words.STAGE.get(self._subject, ()))):
            uses = {arg.name for arg in getattr(statement, "args", ()) if isinstance(arg, Ref | Load)}
            if not uses <= known or self.chance(20):
                continue
            yield statement
            if isinstance(statement, Buffer):
                known.add(statement.result)
            elif isinstance(statement, Call) and statement.result:
                known.add(statement.result)
                self._fds.append(Ref(statement.result))
            elif isinstance(statement, Call) and statement.name == "pipe2":
                name = min(uses)
                self._fds += [Load(name, 0), Load(name, 1)]

    def _block(self, size: int, depth: int) -> list[Statement]:
        made: list[Statement] = []
        for _ in range(size):
            made += self._statement(depth)
        return made

    def _statement(self, depth: int) -> list[Statement]:
        if depth < 2 and self._about.forks and self.chance(self._about.forks):
            return self._fork(depth)
        if self._about.probes and self.chance(self._about.probes):
            address = Word(("ARENA",), self.pick((0, 1, 4095, 4096, 8192, 12288, 16384, 20480)))
            return [self.pick((Call("poke", (address, Number(7))), Call("peek", (address,))))]
        if depth and self.chance(10):
            return [Pass()]
        if self._children and self.chance(8):
            return [Go(self.pick(self._children))]
        return self._call(self.pick(self._calls))

    def _name(self, letter: str) -> str:
        self._made += 1
        return f"{letter}{self._made}"

    def _fork(self, depth: int) -> list[Statement]:
        name = self._name("c")
        kept = list(self._fds), {key: list(value) for key, value in self._special.items()}, self._children
        self._children = []
        self._special["pid"] = []
        self._depth += 1
        body = self._block(self._random.randrange(5), depth + 1)
        if self.chance(40):
            body.append(Call("exit_group", (Number(self.pick((0, 1, 3, 255, 256))),)))
        self._depth -= 1
        self._fds, self._special, self._children = kept[0], kept[1], kept[2]
        self._children.append(name)
        self._special["pid"].append(Ref(name))
        return [Fork(name, tuple(body))]

    def _call(self, name: str) -> list[Statement]:
        before: list[Statement] = []
        made: list[Expression] = []
        self._length = 8
        for argument, arg in arguments(name):
            if arg.format == "pipe_fds" and not self.chance(5):
                buffer = self._name("p")
                before.append(Buffer(buffer, 8))
                made.append(Ref(buffer))
                self._fds += [Load(buffer, 0), Load(buffer, 1)]
            elif name == "timer_create" and argument == "timerid" and not self.chance(5):
                buffer = self._name("t")
                before.append(Buffer(buffer, 4))
                made.append(Ref(buffer))
                self._special["timer"].append(Load(buffer, 0))
            else:
                made.append(self._argument(name, argument, arg))
        result = self._result(name)
        return [*before, Call(name, tuple(self._safe(name, made)), result)]

    def _result(self, name: str) -> str:
        kind = "epoll" if name.startswith("epoll_create") else "fd" if name in _MAKES_FD else ""
        kind = "pid" if name in ("getpid", "gettid") else kind
        if not kind:
            return ""
        result = self._name("r")
        if kind != "pid":
            self._fds.append(Ref(result))
        if kind != "fd":
            self._special[kind].append(Ref(result))
        return result

    def _safe(self, name: str, made: list[Expression]) -> list[Expression]:
        """The arguments, changed where a script would wait for ever or differ without a reason."""
        if name in ("wait4", "waitid") and self.chance(70):
            at = 2 if name == "wait4" else 3
            extra = ("WNOHANG",) if name == "wait4" else ("WNOHANG", "WEXITED")
            old = made[at]
            made[at] = words.word(*(old.names if isinstance(old, Word) else ()), *extra)
        if name in ("mq_timedsend", "mq_timedreceive") and made[4] == Number(0):
            made[4] = Group((Number(0), Number(0)))
        if name == "flock" and isinstance(made[1], Word):
            made[1] = words.word(*made[1].names, "LOCK_NB")
        return made

    def _argument(self, call: str, name: str, arg: Arg) -> Expression:
        special = getattr(self, f"_of_{call}_{name}", None)
        if special is not None:
            return special()  # type: ignore[no-any-return]
        if (call, name) in words.FLAGS_OF:
            return self._flags(words.FLAGS_OF[call, name], one=name in ("advice", "which"))
        if arg.pointer and self.chance(_NULLABLE):
            return self._odd_pointer(arg)
        if name in _LENGTHS and not self.chance(12):
            return Number(self._length)
        made = getattr(self, f"_as_{arg.format}", None)
        if made is not None:
            return made(arg)  # type: ignore[no-any-return]
        if arg.pointer:
            return self._memory(arg)
        if arg.table:
            return self._flags(words.table(arg.table), one=arg.format in ("value", "wait_idtype", "sched_policy"))
        return Number(self.pick(words.INTS))

    def _odd_pointer(self, arg: Arg) -> Expression:
        if arg.format == "path":
            return self.either(Number(0), Word(("BAD",)))
        self._length = self.pick((1, 4, 8))
        if arg.format in ("iov", "argv", "pollfds", "epoll_sigset", "sigset", "sigset_arg", "fdset"):
            return Number(0)
        return self.either(Number(0), Number(0), Word(("BAD",)), Space(self.pick((0, 4, 8)), edge=True))

    # --- numbers ---

    def _flags(self, names: tuple[str, ...], *, one: bool = False) -> Expression:
        names = words.known(names)
        if self.chance(4):
            return Number(self.pick((1 << 30, -1, 99)))
        count = 1 if one else self.pick((0, 1, 1, 2, 3))
        return words.word(*(self.pick(names) for _ in range(count if names else 0)))

    def _as_fd(self, _: Arg) -> Expression:
        if not self._fds or self.chance(6):
            return self.either(Number(0), Number(-1), Number(39), Number(40), Number(1), Number(2))
        return self.pick(self._fds)

    def _as_dirfd(self, arg: Arg) -> Expression:
        return self._as_fd(arg) if self.chance(20) else Word(("AT_FDCWD",))

    def _as_path(self, _: Arg) -> Expression:
        return Text(self.pick(words.PATHS if self.chance(25) else words.USUAL_PATHS).encode())

    def _as_str(self, _: Arg) -> Expression:
        return Text(self.pick(words.NAMES))

    def _as_open_flags(self, _: Arg) -> Expression:
        extra = [self.pick(words.OPEN) for _ in range(self.pick((1, 0, 1, 2, 3)))]
        return words.word(self.pick(words.ACCESS_MODES), *extra, "O_NONBLOCK")

    def _as_mode(self, _: Arg) -> Expression:
        return Number(self.pick(words.MODES), octal=True)

    _as_create_mode = _as_umask = _as_mode

    def _as_node_mode(self, _: Arg) -> Expression:
        return Word((self.pick(words.NODE_KINDS), "0644")) if self.chance(80) else self._as_mode(_)

    def _as_node_dev(self, _: Arg) -> Expression:
        return Number(0)

    def _as_offset(self, _: Arg) -> Expression:
        return Number(self.pick(words.OFFSETS))

    _as_word = _as_offset

    def _as_hidden(self, _: Arg) -> Expression:
        return Number(0)

    def _as_size(self, _: Arg) -> Expression:
        return Number(self.pick(words.SIZES))

    def _as_uid(self, _: Arg) -> Expression:
        return Number(self.pick(words.UIDS))

    _as_gid = _as_uid

    def _as_pid(self, _: Arg) -> Expression:
        pids = self._special["pid"]
        return self.pick(pids) if pids and not self.chance(20) else self.either(Number(0), Number(99999))

    _as_priority_who = _as_pid

    def _of_kill_pid(self) -> Expression:
        """Children leave their parents alone: who ends first would be chance."""
        pids = self._special["pid"]
        if pids and not self.chance(15):
            return self.pick(pids)
        return Number(99999) if self._depth else self.either(Number(0), Number(99999))

    _of_tkill_tid = _of_tgkill_tgid = _of_tgkill_tid = _of_rt_sigqueueinfo_tgid = _of_kill_pid
    _of_rt_tgsigqueueinfo_tgid = _of_rt_tgsigqueueinfo_tid = _of_kill_pid

    def _as_wait_id(self, arg: Arg) -> Expression:
        return self._as_pid(arg)

    def _as_signal(self, _: Arg) -> Expression:
        return Number(self.pick((0, 64, 65, -1))) if self.chance(8) else Word((self.pick(words.SIGNALS),))

    def _as_fcntl_op(self, _: Arg) -> Expression:
        self._op = self.pick(words.known(words.FCNTL))
        return Word((self._op,))

    def _as_fcntl_arg(self, _: Arg) -> Expression:
        if self._op in words.FCNTL_LOCKS:
            kind = self.pick(("F_WRLCK", "F_RDLCK", "F_UNLCK"))
            place = (Number(self.pick((0, 5, 10))), Number(self.pick((0, 1, 10, -3))))
            return Group((Word((kind,)), Number(self.pick((0, 0, 1, 2, 3))), *place, Number(0)), kind="Flock")
        if self._op == "F_SETFL":
            return words.word("O_NONBLOCK", *(self.pick(("O_APPEND", "O_DIRECT", "O_NOATIME")) for _ in range(1)))
        if self._op == "F_SETOWN":
            return Number(0)
        if self._op == "F_ADD_SEALS":
            return self._flags(("F_SEAL_SEAL", "F_SEAL_WRITE", "F_SEAL_GROW", "F_SEAL_SHRINK", "F_SEAL_FUTURE_WRITE"))
        return Number(self.pick((0, 1, 4096, 8192, 100, -1, 39)))

    # --- memory maps ---

    def _as_address(self, _: Arg) -> Expression:
        if self.chance(8):
            return self.either(Number(0), Word(("ARENA",), 1), Word(("ARENA",), -_PAGE))
        return Word(("ARENA",), _PAGE * self.pick((0, 1, 2, 3, 4, 5, 8)))

    _as_mremap_address = _as_address

    def _of_mmap_length(self) -> Expression:
        return Number(self.pick((_PAGE, 2 * _PAGE, 4 * _PAGE, 8 * _PAGE, 1, 0, 5000)))

    _of_munmap_length = _of_mprotect_length = _of_msync_length = _of_mincore_length = _of_mmap_length
    _of_madvise_length = _of_mlock_length = _of_mlock2_length = _of_munlock_length = _of_mmap_length
    _of_mremap_old_size = _of_mremap_new_size = _of_mmap_length
    _of_mlock_len = _of_mlock2_len = _of_munlock_len = _of_mmap_length

    def _of_mmap_offset(self) -> Expression:
        return Number(self.pick((0, 0, 0, _PAGE, 2 * _PAGE, 1)))

    def _of_mmap_fd(self) -> Expression:
        return self._as_fd(arguments("close")[0][1]) if self.chance(50) else Number(-1)

    def _as_mmap_flags(self, _: Arg) -> Expression:
        kind = self.pick(("MAP_PRIVATE", "MAP_SHARED", "MAP_PRIVATE"))
        extra = [self.pick(words.MAP) for _ in range(self.pick((1, 1, 0, 2)))]
        anonymous = ["MAP_ANONYMOUS"] if self.chance(60) else []
        return words.word(kind, *anonymous, *extra)

    def _of_mincore_vec(self) -> Expression:
        return Space(self.pick((8, 2, 1, 16)))

    def _as_residence(self, _: Arg) -> Expression:
        return Space(16)

    # --- memory that calls read and write ---

    def _memory(self, arg: Arg) -> Expression:
        if arg.format == "buffer" and arg.direction == IN:
            data = self.pick(words.TEXTS)
            self._length = len(data)
            return Text(data)
        if arg.direction == "out" or arg.table == "bytes":
            self._length = self.pick((16, 8, 64, 128))
            return Space(256 if arg.table not in ("", "bytes", "int") else self._length)
        if arg.table == "int":
            return Group((Number(self.pick((0, 1, 3, 100, -1))),), array=True)
        made = getattr(self, f"_struct_{arg.table}", None)
        return made() if made is not None else Space(64)

    def _as_offset_at(self, _: Arg) -> Expression:
        return Number(0) if self.chance(70) else Group((Number(self.pick((0, 3, 100))),), array=True)

    _as_offset_changed = _as_offset_at

    def _struct_CapUserHeader(self) -> Group:
        return Group((Number(self.pick((0x20080522, 0x20080522, 0x19980330, 5))), Number(0)))

    def _as_dirents64(self, _: Arg) -> Expression:
        self._length = self.pick((1000, 1000, 1000, 10))
        return Space(1000)

    _as_dirents = _as_dirents64

    def _as_wait_info(self, _: Arg) -> Expression:
        return Space(128)

    def _as_wait_status(self, _: Arg) -> Expression:
        return Space(4)

    def _as_cwd(self, _: Arg) -> Expression:
        self._length = self.pick((64, 300, 1, 2, 0))
        return Space(64)

    def _as_iov(self, arg: Arg) -> Expression:
        count = self.pick((1, 2, 0, 3))
        self._length = count
        parts = []
        for _ in range(count):
            data = self.pick(words.TEXTS)
            memory = Text(data) if arg.direction == IN else Space(len(data))
            parts.append(Group((memory, Number(len(data)))))
        return Group(tuple(parts), array=True)

    def _as_pollfds(self, arg: Arg) -> Expression:
        self._length = self.pick((1, 2, 3, 0))
        return Group(
            tuple(
                Group((self._as_fd(arg), self._flags(words.EVENTS), Number(0))) for _ in range(self._length)
            ),
            array=True,
        )

    def _as_fdset(self, arg: Arg) -> Expression:
        if self.chance(40):
            return Number(0)
        return Group(tuple(self._as_fd(arg) for _ in range(self.pick((1, 2, 0)))), array=True)

    def _of_select_nfds(self) -> Expression:
        return Number(self.pick((10, 40, 3, 1, 0, -1)))

    _of_pselect6_nfds = _of_select_nfds

    def _as_sigset(self, _: Arg) -> Expression:
        self._length = 8
        return Group(tuple(Word((self.pick(words.SIGNALS),)) for _ in range(self.pick((1, 2, 0)))), array=True)

    _as_epoll_sigset = _as_pending_sigset = _as_sigset

    def _as_sigset_arg(self, arg: Arg) -> Expression:
        return Group((self._as_sigset(arg), Number(self.pick((8, 8, 8, 4)))))

    def _as_sigaction(self, arg: Arg) -> Expression:
        if arg.direction != IN:
            return Space(32)
        self._length = 8
        handler = self.either(Word(("HANDLER",)), Word(("HANDLER",)), Word(("HANDLER",)), Number(0), Number(1))
        flags = words.word("SA_SIGINFO", "SA_RESTORER", *(self.pick(words.SA) for _ in range(self.pick((0, 1, 2)))))
        return Group((handler, flags, Word(("RESTORER",)), self._as_sigset(arg)))

    def _as_siginfo(self, arg: Arg) -> Expression:
        if arg.direction != IN:
            return Space(128)
        head = (Number(self.pick((10, 0))), Number(0), Number(self.pick((-1, -2, -6, 0))), Number(0), Number(7))
        return Group((*head, Number(0), Number(5), *[Number(0)] * 25), array=True)

    def _as_sighow(self, _: Arg) -> Expression:
        return Number(self.pick((0, 1, 2, 0, 3)))

    def _as_epoll_change(self, _: Arg) -> Expression:
        return Group((self._flags(words.EPOLL_EVENTS), Number(self.pick((1, 2, 3)))))

    def _of_epoll_ctl_epfd(self) -> Expression:
        epolls = self._special["epoll"]
        return self.pick(epolls) if epolls and not self.chance(5) else self._as_fd(arguments("close")[0][1])

    _of_epoll_wait_epfd = _of_epoll_pwait_epfd = _of_epoll_pwait2_epfd = _of_epoll_ctl_epfd

    def _of_epoll_ctl_op(self) -> Expression:
        return Number(self.pick((1, 1, 1, 3, 2, 0)))

    def _of_epoll_wait_events(self) -> Expression:
        self._length = 4
        return Space(48)

    _of_epoll_pwait_events = _of_epoll_pwait2_events = _of_epoll_wait_events

    # --- times ---

    def _of_poll_timeout(self) -> Expression:
        return Number(self.pick((0, 0, 1, 5)))

    _of_epoll_wait_timeout = _of_epoll_pwait_timeout = _of_poll_timeout

    def _span(self, unit: int) -> Group:
        if self.chance(8):
            return Group((Number(0), self.either(Number(-1), Number(1_000_000_000))))
        return Group((Number(0), Number(self.pick(words.TIMES_NS) // unit)))

    def _struct_Timespec(self) -> Group:
        return self._span(1)

    def _struct_Timeval(self) -> Group:
        return self._span(1000)

    def _as_select_timeout(self, arg: Arg) -> Expression:
        return self._span(1 if arg.table == "Timespec" else 1000)

    def _as_epoll_timeout(self, _: Arg) -> Expression:
        return self._span(1)

    def _as_file_times(self, arg: Arg) -> Expression:
        second = ("UTIME_NOW", "UTIME_OMIT") if arg.table == "Timespec" else ()
        times = [
            Group((Number(self.pick((1, 1000, 86400))), self.either(Number(0), Number(5), *map(_word, second))))
            for _ in range(2)
        ]
        return Group(tuple(times), array=True)

    def _struct_MqAttr(self) -> Group:
        waits = self.either(Number(0), Word(("O_NONBLOCK",)))
        return Group((waits, Number(self.pick((1, 2, 2, 3, 0))), Number(self.pick((8, 8, 16, 64, -1))), Number(0)))

    def _of_mq_timedreceive_msg_len(self) -> Expression:
        return Number(self.pick((8, 16, 64, 64, 64, 8192)))

    def _of_mq_timedsend_msg_prio(self) -> Expression:
        return Number(self.pick((0, 0, 1, 5, 32767, 32768)))

    def _struct_Utimbuf(self) -> Group:
        return Group((Number(5), Number(self.pick((6, 1000)))))

    def _struct_Itimerval(self) -> Group:
        return Group((Number(0), Number(0), Number(self.pick((0, 100))), Number(0)))

    def _struct_Itimerspec(self) -> Group:
        far = self.pick((0, 10_000_000_000))
        return Group((Number(0), Number(0), Number(far), Number(self.pick((0, 0, 1_000_000_000)))))

    def _as_sigevent(self, _: Arg) -> Expression:
        return Group((Number(7), Word((self.pick(words.SIGNALS),)), Number(self.pick((0, 1, 2, 4, 9))), Number(0)))

    def _of_timer_settime_timerid(self) -> Expression:
        timers = self._special["timer"]
        return self.pick(timers) if timers and not self.chance(5) else Number(self.pick((0, 5, -1)))

    _of_timer_gettime_timerid = _of_timer_delete_timerid = _of_timer_getoverrun_timerid = _of_timer_settime_timerid

    def _of_rt_sigtimedwait_uts(self) -> Expression:
        return self._span(1)

    def _of_alarm_seconds(self) -> Expression:
        return Number(self.pick((0, 100)))

    def _of_timer_create_clockid(self) -> Expression:
        return Word((self.pick(words.CLOCKS),))

    _of_clock_nanosleep_clockid = _of_timer_create_clockid

    def _struct_Rlimit(self) -> Group:
        return Group((Number(self.pick((10, 0, 40, 1 << 20))), Number(self.pick((64, 100, 1 << 20, 5)))))

    def _struct_OpenHow(self) -> Group:
        self._length = 24
        resolve = self._flags(words.table("RESOLVE_"))
        return Group((self._as_open_flags(_ARG), self.either(Number(0), Number(0o644, octal=True)), resolve))

    def _as_open_how(self, _: Arg) -> Expression:
        return self._struct_OpenHow()

    def _struct_StackT(self) -> Group:
        place = Space(64) if self.chance(20) else Word(("ARENA",))
        return Group((place, Number(self.pick((0, 2, 0, 5))), Number(8192)))

    def _of_prctl_op(self) -> Expression:
        return Word((self.pick(words.known(words.PRCTL)),))

    def _of_prctl_arg2(self) -> Expression:
        return Number(self.pick((0, 1, 2, 17))) if self.chance(80) else Text(b"name")


_ARG = arguments("close")[0][1]


def _word(name: str) -> Word:
    return Word((name,))


@st.composite
def a_script(draw: st.DrawFn, subject: str) -> Script:
    """A strategy of scripts.

    Args:
        draw: given by Hypothesis.
        subject: one of `vocabulary.SUBJECTS`.
    """
    return _Maker(draw(st.randoms(use_true_random=False)), subject).script()


def scripts(subject: str, seed: int | str, count: int) -> list[Script]:
    """Different scripts, the same for the same seed.

    Args:
        subject: one of `vocabulary.SUBJECTS`.
        seed: any.
        count: about how many; some fewer, because equal ones count once.
    """
    made: dict[Script, None] = {}

    @hypothesis.seed(seed)
    @settings(
        max_examples=count, database=None, phases=[Phase.generate], deadline=None,
        suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet,
    )  # fmt: skip
    @given(a_script(subject))
    def collect(script: Script) -> None:
        made[script] = None

    collect()
    return list(made)
