"""The committed message classes: ids, layout and bytes are those of the seed kernel."""

from __future__ import annotations

import copy
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxemu import messages
from linuxemu.idl.ids import IdTable
from linuxemu.idl.interface import load
from linuxemu.idl.layout import BUILTINS
from linuxemu.messages import (
    BY_ID,
    AbiHook,
    AbiHookReply,
    HvFrame,
    Message,
    Notifications,
    PageFault,
    TrapFrame,
    blk,
    discovery,
    fs,
    fsx,
    hv,
    net,
    tcpip,
    time,
)

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    line.split("\t") for line in (ROOT / "tests/unit/data/resea-messages.tsv").read_text().splitlines()[1:]
]
BY_NAME = {cls.NAME: cls for cls in BY_ID.values()}
INTERFACE = load(ROOT / "linuxemu/interface.idl", IdTable.load(ROOT / "linuxemu/idl/ids.toml"))
DECLARED = {m.full_name: m for m in INTERFACE.messages}


@pytest.mark.parametrize("row", ROWS, ids=[row[3] for row in ROWS])
def test_seed_message_has_the_seed_s_id_flags_and_layout(row: list[str]) -> None:
    number, _, flags, name, kind, size, fields = row
    cls = BY_ID[int(number)]
    declared = DECLARED[name]
    assert cls.NAME == name
    assert int(number) == cls.ID
    assert int(number) | int(flags, 16) == cls.TYPE_WORD
    assert declared.kind == kind
    assert declared.layout.size == int(size)
    slots = [f"{s.name}:{s.type}@{s.offset}+{s.size}" for s in declared.layout.slots]
    assert slots == fields.split()
    assert (cls.REPLY is not None) == (kind == "request")
    assert cls.REPLY is None or name + "_reply" == cls.REPLY.NAME


def test_the_seed_s_ids_are_all_there_and_extensions_start_at_200() -> None:
    ids = sorted(BY_ID)
    assert ids[:110] == list(range(1, 111))
    assert ids[110:] == list(range(200, 200 + len(ids) - 110))
    assert len(ROWS) == 110


# What a running seed kernel sent, up to the end of the last field.
CAPTURES = [
    (
        "05000000 00000000 04000000 00000000 e7d7400000000000 e7d7400000000000 04000000",
        PageFault(task=4, vaddr=0x40D7E7, ip=0x40D7E7, fault=4),
    ),
    (
        "05000000 00000000 04000000 00000000 f89f00e000000000 f8d7400000000000 06000000",
        PageFault(task=4, vaddr=0xE0009FF8, ip=0x40D7F8, fault=6),
    ),
    ("01000000 00000000 02", Notifications(2)),
]
FRAME = TrapFrame(
    fsbase=0xBAD0FFFF, gsbase=0xBAD0EEEE, rip=0x418708, rflags=0x206, rbp=1, rax=158, rbx=0x420DB8, rdx=0xE7,
    rdi=0x1002, rsi=0x420DB8, r8=0x20000, r9=0, r10=0x20000, r12=0xE000A008, r13=0x40D8AD, r14=0, r15=0,
    rsp=0xE0009E68,
)  # fmt: skip
CAPTURES += [
    (
        """07000000 00000000 04000000 02000000 ffffd0ba00000000 eeeed0ba00000000 0887410000000000
        0602000000000000 0100000000000000 9e00000000000000 b80d420000000000 e700000000000000
        0210000000000000 b80d420000000000 0000020000000000 0000000000000000 0000020000000000
        08a000e000000000 add8400000000000 0000000000000000 0000000000000000 689e00e000000000""",
        AbiHook(4, messages.AbiHookType.SYSCALL, FRAME),
    ),
    (
        """08000000 00000000 b80d420000000000 eeeed0ba00000000 0887410000000000 0602000000000000
        0100000000000000 0000000000000000 b80d420000000000 e700000000000000 0210000000000000
        b80d420000000000 0000020000000000 0000000000000000 0000020000000000 08a000e000000000
        add8400000000000 0000000000000000 0000000000000000 689e00e000000000""",
        AbiHookReply(FRAME._replace(fsbase=0x420DB8, rax=0)),
    ),
]


@pytest.mark.parametrize(("capture", "message"), CAPTURES, ids=lambda value: getattr(value, "NAME", ""))
def test_bytes_are_those_that_the_seed_kernel_sends(capture: str, message: Message) -> None:
    data = bytes.fromhex(capture)
    leftovers = data.ljust(256, b"\xaa")
    assert message.pack()[: len(data)] == data
    assert len(message.pack()) == 256
    assert messages.unpack(leftovers) == message
    assert type(message).unpack(data) == message


def test_initial_hook_of_the_seed_kernel_is_understood() -> None:
    data = bytes.fromhex("07000000 00000000 04000000 01000000").ljust(256, b"\xfe")
    hook = AbiHook.unpack(data)
    assert (hook.task, hook.type) == (4, messages.AbiHookType.INITIAL)


@pytest.mark.parametrize(
    ("message", "layout"),
    [
        (fs.Write(handle=7, offset=9, data=b"xyz"), ("<iiQQi4xQ", (0x20000038, 5, 0x1000, 3, 7, 9))),
        (blk.Write(sector=9, data=b""), ("<iiQQQ", (0x2000003E, 5, 0x1000, 0, 9))),
        (tcpip.Write(handle=7, data=b"x"), ("<iiQQi", (0x20000064, 5, 0x1000, 1, 7))),
        (fs.Create("/a", exist_ok=True), ("<iiQQB", (0x60000032, 5, 0x1000, 3, 1))),
    ],
    ids=lambda value: getattr(value, "NAME", ""),
)
def test_out_of_line_field_comes_first_on_the_wire(
    message: Message, layout: tuple[str, tuple[int, ...]]
) -> None:
    data = message.pack(src=5, ool_addr=0x1000)
    assert struct.unpack_from(layout[0], data) == layout[1]
    assert messages.unpack(data, message.ool()) == message


# Any message of the system, with any values of its types.


def _values(kind: str) -> st.SearchStrategy[Any]:
    base, _, length = kind.partition("[")
    if length:
        return st.binary(min_size=int(length[:-1]), max_size=int(length[:-1]))
    if base == "str":
        return st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
    if base == "bytes":
        return st.binary()
    if base == "bool":
        return st.booleans()
    if base == "trap_frame":
        return st.tuples(*[_values("uint64")] * 18).map(TrapFrame._make)
    if base == "hv_frame":
        return st.tuples(*[_values("uint64")] * 17, _values("uint8")).map(HvFrame._make)
    bits = BUILTINS[base].size * 8
    if BUILTINS[base].format.islower():
        return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)
    return st.integers(0, (1 << bits) - 1)


def _messages(cls: type[Message]) -> st.SearchStrategy[Message]:
    return st.builds(lambda values: cls(*values), st.tuples(*(_values(kind) for _, kind in cls.FIELDS)))


@settings(deadline=None, derandomize=True)
@given(st.sampled_from(list(BY_ID.values())).flatmap(_messages), st.integers(-(1 << 31), (1 << 31) - 1))
def test_what_is_packed_is_what_comes_out(message: Message, src: int) -> None:
    data = message.pack(src, 0x7000)
    back = messages.unpack(data, message.ool())
    assert back == message
    assert type(back) is type(message)
    assert hash(back) == hash(message)
    assert [type(value) for value in back] == [type(value) for value in message]
    assert data[4:8] == src.to_bytes(4, "little", signed=True)
    assert data == bytes(back.pack(src, 0x7000))


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=256), st.none() | st.binary())
def test_any_bytes_are_a_message_or_a_value_error(data: bytes, ool: bytes | None) -> None:
    for candidate in (data, b"\x38\x00\x00\x20" + data):
        try:
            messages.unpack(candidate, ool)
        except ValueError:
            pass


def test_text_is_sent_with_its_nul_and_any_byte_survives() -> None:
    assert fs.Open("/é").ool() == b"/\xc3\xa9\0"
    undecodable = b"/\xff".decode("utf-8", "surrogateescape")
    message = fs.Open(undecodable)
    assert message.ool() == b"/\xff\0"
    assert fs.Open.unpack(message.pack(), message.ool()).path == undecodable
    assert fs.OpenReply(3).ool() is None
    assert fs.ReadReply(b"").ool() == b""
    assert discovery.Serve("").ool() == b"\0"


def test_text_with_a_nul_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match=r"fs\.open: NUL in path"):
        fs.Open("a\0b").pack()


def test_a_value_that_does_not_fit_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match=r"fs\.open_reply: "):
        fs.OpenReply(1 << 31).pack()
    with pytest.raises(ValueError, match=r"fs\.read: "):
        fs.Read(1, -1, 1).pack()


@pytest.mark.parametrize(
    ("data", "ool", "complaint"),
    [
        (fs.OpenReply(3).pack()[:11], None, "11 bytes are too short"),
        (fs.OpenReply(3).pack(), None, "type word is 0x31, not 0x20000037"),
        (fs.ReadReply(b"ab").pack(), None, "announces a payload of 2 bytes, there is none"),
        (fs.ReadReply(b"ab").pack(), b"abc", "announces a payload of 2 bytes, there is 3 bytes"),
    ],
)
def test_bytes_of_something_else_are_refused(data: bytes, ool: bytes | None, complaint: str) -> None:
    cls = fs.OpenReply if "too short" in complaint else fs.ReadReply
    with pytest.raises(ValueError, match=complaint):
        cls.unpack(data, ool)


@pytest.mark.parametrize("word", [0, -7, 111, 0xFFFF, 0x200])
def test_an_unknown_type_word_is_refused(word: int) -> None:
    with pytest.raises(ValueError, match="no message has the type word"):
        messages.unpack(word.to_bytes(4, "little", signed=True).ljust(256, b"\0"))


# The classes as Python objects.


def test_messages_are_made_by_position_and_by_name() -> None:
    assert fs.Read(3, 0, 10) == fs.Read(handle=3, offset=0, len=10)
    with pytest.raises(TypeError):
        fs.Read(3, 0)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        fs.Read(3, 0, 10, 11)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        fs.Read(3, 0, length=10)  # type: ignore[call-arg]


def test_messages_show_what_they_are() -> None:
    assert repr(fs.Open(path="/etc/hostname")) == "fs.Open(path='/etc/hostname')"
    assert repr(messages.Async()) == "Async()"
    assert repr(fs.ReadReply(b"\0")) == "fs.ReadReply(data=b'\\x00')"
    assert fs.Open.__doc__ == "Opens an existing file."
    assert fs.OpenReply.__doc__ == "The reply to `fs.open`."


def test_messages_are_immutable() -> None:
    message = fs.Open("/")
    with pytest.raises(AttributeError):
        message.path = "/other"  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        message.other = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        message[0] = "/other"  # type: ignore[index]
    assert not hasattr(message, "__dict__")


def test_messages_of_different_classes_are_never_equal() -> None:
    close, free = fs.Close(3), messages.task.Free(3)
    assert close == fs.Close(3)
    assert not close != fs.Close(3)  # noqa: SIM202 - != has a method of its own
    assert close != fs.Close(4)
    assert close != free
    assert close != (3,)
    assert (3,) != close
    assert len({close, free, fs.Close(3), (3,)}) == 3
    assert hash(close) == hash(fs.Close(3))


def test_messages_can_be_copied_and_pickled() -> None:
    for message in (fs.Read(1, 2, 3), fs.OpenReply(1), AbiHookReply(FRAME), messages.Async()):
        assert copy.copy(message) == message
        assert copy.deepcopy(message) == message
        assert pickle.loads(pickle.dumps(message)) == message
        assert type(pickle.loads(pickle.dumps(message))) is type(message)


def test_messages_match_by_field_name() -> None:
    match fs.Read(3, 4, 5):
        case fs.Read(handle=handle, len=length):
            assert (handle, length) == (3, 5)
        case _:
            pytest.fail("no match")


def test_class_attributes_describe_a_message() -> None:
    assert (fs.Read.ID, fs.Read.NAME, fs.Read.OOL, fs.Read.REPLY) == (54, "fs.read", None, fs.ReadReply)
    assert fs.Read.FIELDS == (("handle", "handle"), ("offset", "offset"), ("len", "size"))
    assert fs.ReadReply.OOL == "data"
    assert tcpip.RegisterDevice.FIELDS == (("macaddr", "uint8[6]"),)
    assert messages.Exception_.NAME == "exception"
    assert hv.Await.REPLY is None
    assert net.Rx.OOL == "payload"
    assert time.Gettimeofday.REPLY is time.GettimeofdayReply
    assert (fsx.SetattrValid.MODE, fsx.SetattrValid.CTIME) == (1, 64)


def test_every_reply_carries_the_attributes_in_one_order() -> None:
    attributes = fsx.RootReply.FIELDS
    assert [name for name, _ in attributes][:3] == ["ino", "mode", "nlink"]
    for cls in (fsx.LookupReply, fsx.GetattrReply, fsx.SetattrReply, fsx.MknodReply, fsx.MkdirReply):
        assert attributes == cls.FIELDS
    assert attributes == fsx.SymlinkReply.FIELDS == fsx.LinkReply.FIELDS


def test_frames_are_used_like_named_tuples() -> None:
    changed = FRAME.with_rax(0xFFFF_FFFF_FFFF_FFDA)
    assert changed == FRAME._replace(rax=0xFFFF_FFFF_FFFF_FFDA)
    assert type(changed) is type(FRAME._replace(rsp=1)) is TrapFrame
    assert TrapFrame._make(range(18)) == TrapFrame(*range(18))
    assert TrapFrame(*range(18))._asdict() == {name: i for i, name in enumerate(TrapFrame._fields)}
    assert [getattr(HvFrame(*range(18)), name) for name in HvFrame._fields] == list(range(18))
    assert pickle.loads(pickle.dumps(FRAME)) == FRAME
    assert repr(FRAME).startswith("TrapFrame(fsbase=0xbad0ffff, gsbase=0xbad0eeee, rip=0x418708, ")
    with pytest.raises(AttributeError):
        FRAME.rax = 1  # type: ignore[assignment]
    with pytest.raises(TypeError):
        TrapFrame(1)  # type: ignore[call-arg]
    with pytest.raises(ValueError):
        FRAME._replace(eax=1)


def test_everything_public_is_exported() -> None:
    assert set(messages.__all__) == {
        name
        for name, value in vars(messages).items()
        if name[0] not in "_@" and name not in ("annotations", "TYPE_CHECKING", "Final")  # "@": pytest's own
    } | {"unpack"}


def test_importing_messages_costs_little() -> None:
    program = "import sys; import linuxemu.messages; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(found.stdout.split())
    assert not loaded & {"lark", "dataclasses", "inspect", "pathlib", "logging", "linuxemu.idl.parser"}
