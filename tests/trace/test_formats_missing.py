"""Calls without a handler are shown as strace 6.1 shows them: its recorded lines are the expectation."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from linuxemu.trace import formats
from syscalls import handlers, registry
from syscalls.abi import flags
from syscalls.abi.numbers import X86_64
from syscalls.abi.tables import table, texts
from syscalls.missing import _MODULES, load
from syscalls.signatures import MISSING, missing, signature_of
from tests.trace.pieces import S, control, message
from tests.trace.recording import MODES, Mode, placed, recorded, shown, strace
from tests.trace.tampered import BASE

FAMILIES = [name for name in _MODULES if name != "recent"]
handlers.load()
load()


def calls(family: str) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = import_module(f"tests.trace.calls_{family}").CALLS
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", FAMILIES)
def test_calls_are_shown_as_strace_shows_them(family: str, mode: str) -> None:
    lines = [re.sub(r"\) += ", ") = ", line) for line in shown(calls(family), MODES[mode])]
    assert lines == recorded(family, mode)


@pytest.mark.native
@pytest.mark.parametrize("mode", MODES)
def test_the_records_are_those_of_strace(mode: str, tmp_path: Path) -> None:
    version = subprocess.run(["strace", "-V"], capture_output=True, text=True) if shutil.which("strace") else None
    if version is None or " 6.1\n" not in version.stdout or not shutil.which("gcc"):
        pytest.skip("needs strace 6.1 and gcc")
    for family in FAMILIES:
        assert strace(calls(family), MODES[mode], tmp_path) == recorded(family, mode), family


def test_every_call_is_declared_in_one_place() -> None:
    for name, number in X86_64.items():
        declared = signature_of(number)
        assert declared is not None, name
        assert declared.name == name
    assert set(MISSING) & set(registry.TABLE) == set()
    assert set(MISSING) | set(registry.TABLE) == set(X86_64.values())


def test_every_call_without_a_handler_is_tried() -> None:
    tried = {call[0] for family in FAMILIES for call in calls(family)}
    recent = {call.name for call in MISSING.values() if call.handler.__module__ == "syscalls.missing.recent"}
    # Its signal needs the format of signals.
    assert {call.name for call in MISSING.values()} - tried - recent == {"pidfd_send_signal"}


@pytest.mark.parametrize("number", sorted(MISSING))
def test_a_declaration_says_what_it_has_to_say(number: int) -> None:
    call = MISSING[number]
    assert call.support == "unsupported"
    assert call.errors == ("ENOSYS",)
    assert call.handler.__doc__
    assert len(call.arguments()) <= 6
    assert [name for name, _ in call.arguments()] == list(call.names)
    assert call.result().format


def test_a_call_is_declared_once() -> None:
    signature_of(X86_64["socket"])
    with pytest.raises(ValueError, match="socket is declared twice"):

        @missing
        def socket() -> int:
            return 0


def test_a_format_has_one_formatter() -> None:
    """Modules are loaded at different times: one that took the place of another would change what is shown."""
    registrations = [line for text in _sources() for line in re.findall(r"^@shows\((.*)\)", text, re.M)]
    names = [name for line in registrations for name in _words(line)]
    assert {name for name in names if names.count(name) > 1} - {"hex"} == set()


def _sources() -> list[str]:
    folder = Path(formats.__file__).parent
    return [path.read_text("utf-8") for path in folder.glob("*.py")]


def _words(listed: str) -> list[str]:
    return re.findall(r'"([^"]+)"', listed)


def test_recent_calls_are_shown_with_names() -> None:
    tried = [
        ("cachestat", 3, 0x1000, 0x2000, 1),
        ("mseal", 0x1000, 4096, 0),
        ("futex_wake", 0, 2**64 - 1, 1, 2),
        ("uretprobe",),
    ]
    lines = shown(tried, Mode())
    assert [line.partition(" = ")[0].rstrip() for line in lines] == [
        "cachestat(3, 0x1000, 0x2000, 0x1)",
        "mseal(0x1000, 4096, 0)",
        "futex_wake(NULL, 0xffffffffffffffff, 1, 0x2)",
        "uretprobe()",
    ]


def test_microseconds_of_a_message_are_unsigned() -> None:
    received = message(controls=control(1, 29, S("qq", 5, -1)))
    (line,) = shown([("recvmsg", 3, received, 0)], Mode(0))
    assert "cmsg_type=SO_TIMESTAMP_OLD, cmsg_data={tv_sec=5, tv_usec=18446744073709551615}" in line


@pytest.mark.parametrize(
    ("constants", "text"), [("abbrev", "-EPERM"), ("raw", "-1"), ("verbose", "-1 /* -EPERM */")]
)
def test_pages_that_could_not_be_moved(constants: str, text: str) -> None:
    tried = ("move_pages", 5, 2, 0, 0, S("ii", 0, -1), 0)
    (line,) = shown([tried], Mode(0, (f"-X{constants}",)))
    assert line == f"move_pages(5, 2, NULL, NULL, [0, {text}], 0) = 0"


@pytest.mark.parametrize("name", sorted(texts()))
def test_tables_agree_with_the_constants_of_the_abi(name: str) -> None:
    for value, constant in table(name).names.items():
        known = getattr(flags, constant, value)
        assert known in (value, value - (1 << 32)), constant


@pytest.mark.parametrize("constants", ["raw", "verbose"])
@pytest.mark.parametrize("family", FAMILIES)
def test_other_styles_show_every_call(family: str, constants: str) -> None:
    mode = Mode(2, ("-v", f"-X{constants}", "-xx", "-s3"))
    assert len(shown(calls(family), mode)) == len(calls(family))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("result", [-38, 0, 2**31])
def test_any_argument_can_be_anything(family: str, result: int) -> None:
    """Counts, lengths and pointers come from the guest: no formatter fails, or takes long."""
    size = len(placed(calls(family))[0].memory.data)
    odd = [0, 1, -1, 2**31, 2**63, BASE + 1, BASE + size - 3]
    for name in sorted({str(call[0]) for call in calls(family)}):
        for value in odd:
            for other in odd:
                tried = [other if n % 2 else value for n in range(6)]
                shown([(name, *tried)], Mode(result))
