"""The interface definition language: what it accepts, what it means, what it refuses and where."""

from __future__ import annotations

import re
import sys
import types
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.errors import IdlError
from linuxemu.idl.generate import generate
from linuxemu.idl.ids import IdTable
from linuxemu.idl.interface import Interface, class_name, load
from linuxemu.idl.layout import FieldType, Slot
from linuxemu.idl.parser import parse
from linuxemu.idl.syntax import Alias, Const, Enum, Include, Message, Namespace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Load = Callable[..., Interface]


@pytest.fixture
def read(tmp_path: Path) -> Load:
    """Loads an interface from text; keyword arguments are further files, `__` standing for a slash."""

    def read(text: str, table: IdTable | None = None, **files: str) -> Interface:
        for name, content in files.items():
            path = tmp_path / (name.replace("__", "/") + ".idl")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (tmp_path / "root.idl").write_text(text)
        return load(tmp_path / "root.idl", table)

    return read


@pytest.fixture
def module(read: Load, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Loads an interface, generates the module of its messages and imports that."""

    def make(text: str, **files: str) -> Any:
        made = types.ModuleType(f"generated_{request.node.name}")
        request.addfinalizer(lambda: sys.modules.pop(made.__name__, None))
        sys.modules[made.__name__] = made
        exec(compile(generate(read(text, **files)), made.__name__, "exec"), made.__dict__)
        return made

    return make


def _ids(interface: Interface) -> dict[str, int]:
    return {m.full_name: m.id for m in interface.messages}


# Grammar


def test_every_statement_is_parsed() -> None:
    statements = parse(
        """
        oneway a(x: int, y: uint8[6]);
        rpc b() -> (z: str);
        async oneway c();
        enum e { A = 1, B = 0x10, };
        type t = uint16[3];
        const k: int = 7;
        namespace n { rpc m() -> (); namespace inner { oneway i(); } }
        include "more/*.idl";
        """,
        "x.idl",
    )
    assert [type(s) for s in statements] == [
        Message,
        Message,
        Message,
        Enum,
        Alias,
        Const,
        Namespace,
        Include,
    ]
    a, b, c, e, t, k, n, i = statements
    assert isinstance(a, Message)
    assert [(f.name, f.type.name, f.type.length) for f in a.fields] == [("x", "int", None), ("y", "uint8", 6)]
    assert (a.rpc, a.is_async, a.reply) == (False, False, None)
    assert isinstance(b, Message)
    assert b.rpc
    assert b.reply is not None
    assert isinstance(c, Message)
    assert (c.rpc, c.is_async) == (False, True)
    assert isinstance(e, Enum)
    assert [(item.name, item.value) for item in e.items] == [("A", 1), ("B", 16)]
    assert isinstance(t, Alias)
    assert isinstance(k, Const)
    assert k.value == 7
    assert isinstance(n, Namespace)
    assert isinstance(n.body[1], Namespace)
    assert isinstance(i, Include)
    assert i.pattern == "more/*.idl"
    assert (i.at.line, i.at.column) == (9, 17)


@pytest.mark.parametrize(
    "text", ["", "\n\n", "// nothing", "/// nobody's", "namespace n { }", "enum e { };", "//"]
)
def test_nothing_at_all_is_fine(text: str) -> None:
    parse(text, "x.idl")


def test_keywords_and_type_names_are_names_where_a_name_is_due() -> None:
    first, second, third = parse(
        """
        oneway async(int: int, rpc: bool);
        rpc type(enum: task) -> (const: size);
        namespace rpc { oneway include(); }
        """,
        "x.idl",
    )
    assert isinstance(first, Message)
    assert [f.name for f in first.fields] == ["int", "rpc"]
    assert isinstance(second, Message)
    assert second.name == "type"
    assert isinstance(third, Namespace)


def test_comments_stand_anywhere_and_a_bare_one_hides_its_own_line_only() -> None:
    (message,) = parse("oneway // here\n a ( x // there\n : int //\n , y: int) // last\n;//", "x.idl")
    assert isinstance(message, Message)
    assert [f.name for f in message.fields] == ["x", "y"]


def test_doc_comments_belong_to_the_next_statement_and_join() -> None:
    first, second, third = parse(
        "/// One.\n///  Indented.\n//not this\n///\n///Two.\noneway a();\noneway b();\n"
        "/// N.\nnamespace n { /// M\n oneway m(); }",
        "x.idl",
    )
    assert isinstance(first, Message)
    assert first.doc == "One.\n Indented.\n\nTwo."
    assert isinstance(second, Message)
    assert second.doc == ""
    assert isinstance(third, Namespace)
    assert third.doc == "N."
    inner = third.body[0]
    assert isinstance(inner, Message)
    assert inner.doc == "M"


# Errors: one line each, with the exact place


@pytest.mark.parametrize(
    ("text", "place", "complaint"),
    [
        ("rpc a();", "1:5", "rpc a needs a reply: write '-> ()' if it is empty"),
        ("oneway a(x: int)", "1:17", "unexpected end of the file; expected '->' or ';'"),
        ("oneway a();\noneway b(\n", "3:1", "unexpected end of the file; expected ')' or a name"),
        ("oneway a(x: int,);", "1:17", "unexpected ')'; expected a name"),
        ("oneway a(x int);", "1:12", "unexpected 'int'; expected ':'"),
        ("oneway 1a();", "1:8", "unexpected '1a'; expected a name"),
        ("oneway a(x: int) @", "1:18", "unexpected '@'; expected '->' or ';'"),
        ("  oops a();", "1:3", "unexpected 'oops'; expected"),
        ("rpcx a();", "1:1", "unexpected 'rpcx'; expected"),
        (
            "oneway a(/// doc\n);",
            "1:10",
            "a doc comment must stand before a statement; expected ')' or a name",
        ),
        ("oneway a(x: uint8[0]);", "1:19", "unexpected '0'; expected an array length"),
        ("oneway a(x: uint8[06]);", "1:19", "unexpected '06'; expected an array length"),
        ("enum e { A };", "1:12", "unexpected '}'; expected '='"),
        ("const k: int = 010;", "1:16", "unexpected '010'; expected a number"),
        ("const k: int = -1;", "1:16", "unexpected '-'; expected a number"),
        ("const k: int = x;", "1:16", "unexpected 'x'; expected a number"),
        ("namespace n {", "1:14", "unexpected end of the file; expected"),
        ("namespace n { };", "1:16", "unexpected ';'; expected"),
        ('include "a\n', "1:9", "unexpected '\"'; expected a quoted path"),
        ("oneway a();\n/// doc\0\noneway b();", "2:8", "a NUL is no text"),
    ],
)
def test_a_syntax_error_is_one_line_with_its_place(text: str, place: str, complaint: str) -> None:
    with pytest.raises(IdlError) as caught:
        parse(text, "some/x.idl")
    message = str(caught.value)
    assert message.startswith(f"some/x.idl:{place}: {complaint}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "place", "complaint"),
    [
        ("oneway a(x: nothing);", "1:13", "unknown type 'nothing'"),
        ("type t = nothing;", "1:10", "unknown type 'nothing'"),
        ("type t = u; type u = t;", "1:22", "type 't' is defined by itself"),
        ("type t = uint8[2]; oneway a(x: t[3]);", "1:32", "array of an array: 't' is uint8[2]"),
        ("oneway a(x: str, y: bytes);", "1:18", "second out-of-line field 'y'"),
        ("rpc a() -> (x: str, y: str);", "1:21", "second out-of-line field 'y'"),
        ("oneway a() -> (x: str, y: str);", "1:24", "second out-of-line field 'y'"),
        ("oneway a(x: int, x: int);", "1:18", "duplicate field 'x'"),
        ("oneway a(x_len: size, x: str);", "1:23", "duplicate field 'x_len'"),
        ("oneway a(x: str, x_len: size);", "1:18", "duplicate field 'x_len'"),
        ("oneway a(x: uint64[32]);", "1:10", "field 'x' ends at byte 264, a message has 256"),
        ("oneway a();\noneway a();", "2:8", "duplicate name 'a', first declared at {root}:1"),
        ("rpc a() -> ();\noneway a_reply();", "2:8", "duplicate name 'a_reply', first declared at"),
        ("oneway a_b();\noneway aB();", "2:8", "duplicate name 'aB', first declared at"),
        (
            "enum a { }; namespace n { oneway a(); } type a = int;",
            "1:46",
            "duplicate name 'a', first declared at",
        ),
        ("enum e { A = 1, B = 2, A = 3 };", "1:24", "duplicate name 'A' in enum e"),
        ("enum e { A = 4294967296 };", "1:10", "value 4294967296 does not fit an enum"),
        ("const a: int = 1; const A: int = 2;", "1:25", "duplicate name 'A', first declared at"),
        ("const a: uint8 = 256;", "1:7", "value 256 does not fit type uint8"),
        ("const a: int8 = 128;", "1:7", "value 128 does not fit type int8"),
        ("const a: bool = 2;", "1:7", "value 2 does not fit type bool"),
        ("const a: str = 1;", "1:10", "a constant cannot be of type str"),
        ("const a: uint8[2] = 1;", "1:10", "a constant cannot be of type uint8[2]"),
        ("const a: trap_frame = 1;", "1:10", "a constant cannot be of type trap_frame"),
        ("namespace int { }", "1:11", "namespace int would hide a word that the generated module needs"),
        ("namespace class { }", "1:11", "namespace class would hide"),
        ('include "root.idl";', "1:9", "{root} includes itself"),
    ],
)
def test_a_meaningless_file_is_one_error_with_its_place(
    read: Load, tmp_path: Path, text: str, place: str, complaint: str
) -> None:
    with pytest.raises(IdlError) as caught:
        read(text)
    root = str(tmp_path / "root.idl")
    assert str(caught.value).startswith(f"{root}:{place}: {complaint.format(root=root)}")


def test_an_error_in_an_included_file_names_that_file(read: Load, tmp_path: Path) -> None:
    with pytest.raises(IdlError, match=re.escape(f"{tmp_path}/sub/b.idl:2:8: unexpected '('")):
        read('include "sub/*.idl";', sub__a="oneway a();", sub__b="\noneway ();")


def test_files_that_cannot_be_read_are_named(read: Load, tmp_path: Path) -> None:
    with pytest.raises(IdlError, match=r"none.idl:1:1: cannot read .*none.idl: No such file or directory"):
        load(tmp_path / "none.idl")
    (tmp_path / "dir").mkdir()
    with pytest.raises(IdlError, match=r"root.idl:1:9: cannot read .*dir: Is a directory"):
        read('include "dir";')
    (tmp_path / "latin.idl").write_bytes(b"// ok\n// \xe9\n")
    with pytest.raises(IdlError, match=r"latin.idl:2:4: not UTF-8 text"):
        load(tmp_path / "latin.idl")


# Meaning: includes, namespaces, types, ids


def test_includes_are_relative_to_their_file_sorted_and_taken_in_place(read: Load) -> None:
    interface = read(
        'oneway first(); include "sub/*.idl"; include "none/*.idl"; oneway last();',
        sub__b="oneway b();",
        sub__a='oneway a(); include "deep/*.idl";',
        sub__deep__c="oneway c();",
    )
    assert _ids(interface) == {"first": 1, "a": 2, "c": 3, "b": 4, "last": 5}


def test_a_namespace_does_not_qualify_what_is_in_it_and_may_come_in_parts(read: Load) -> None:
    interface = read(
        '/// One.\nnamespace n { oneway a(); namespace m { oneway b(); } include "x.idl"; }\n'
        "/// Two.\nnamespace n { oneway d(); }",
        x="oneway c();",
    )
    assert _ids(interface) == {"n.a": 1, "m.b": 2, "n.c": 3, "n.d": 4}
    assert interface.scopes["n"].docs == ["One.", "Two."]


def test_a_reply_has_the_next_id_and_an_arrow_of_a_one_way_message_uses_one_up(read: Load) -> None:
    interface = read(
        "rpc a() -> (); oneway b() -> (x: int); async rpc c() -> (); async async oneway d(); oneway e();"
    )
    assert _ids(interface) == {"a": 1, "a_reply": 2, "b": 3, "c": 5, "d": 7, "e": 8}
    kinds = {m.name: m.kind for m in interface.messages}
    assert kinds == {
        "a": "request",
        "a_reply": "reply",
        "b": "oneway",
        "c": "async oneway",
        "d": "async oneway",
        "e": "oneway",
    }


def test_user_types_are_resolved_by_bare_name_and_hide_builtins(read: Load) -> None:
    interface = read(
        """
        enum color { RED = 1 };
        type mac = uint8[6];
        type int = int64;
        type text = str;
        namespace n {
            type size = uint16;
            oneway m(a: color, b: mac, c: int, d: size, e: late[2], f: text, g: color[3]);
        }
        type late = uint8;
        namespace other { oneway m(a: size, b: theirs); }
        namespace n { type theirs = int8; }
        """
    )
    types_of = {m.full_name: [str(f.type) for f in m.fields] for m in interface.messages}
    assert types_of["n.m"] == ["uint32", "uint8[6]", "int64", "uint16", "uint8[2]", "str", "uint32[3]"]
    assert types_of["other.m"] == ["uint16", "int8"]


def test_an_alias_may_hide_the_type_it_is_made_of(read: Load) -> None:
    (message,) = read("type int = int; type task = task[2]; oneway a(x: int, y: int[2], z: task);").messages
    assert [str(f.type) for f in message.fields] == ["int", "int[2]", "task[2]"]


def test_an_array_suffix_of_an_out_of_line_type_means_nothing(read: Load) -> None:
    (message,) = read("oneway a(x: bytes[4], y: int);").messages
    assert message.fields[0].type == FieldType("bytes")
    assert message.layout.slots[:2] == (Slot("x", "bytes*", 8, 8), Slot("x_len", "size", 16, 8))


def test_fields_lie_as_c_lays_them_out(read: Load) -> None:
    (message,) = read("oneway a(a: char, b: trap_frame, c: uint16[3], d: bytes, e: bool, f: size);").messages
    assert [(s.name, s.offset, s.size) for s in message.layout.slots] == [
        ("d", 8, 8),
        ("d_len", 16, 8),
        ("a", 24, 1),
        ("b", 25, 144),
        ("c", 170, 6),
        ("e", 176, 1),
        ("f", 184, 8),
    ]
    assert message.layout.size == 184
    (frame,) = read("oneway a(x: uint8, f: hv_frame);").messages
    assert [(s.name, s.offset, s.size) for s in frame.layout.slots] == [("x", 8, 1), ("f", 16, 144)]
    assert frame.layout.size == 152


# Ids of included messages


def test_included_messages_keep_their_ids_for_ever(read: Load) -> None:
    table = IdTable({"fixed.a": 78, "gone.x": 203})
    text = 'rpc a() -> (); include "sub/*.idl"; oneway b();'
    files = {"sub__a": "namespace fixed { oneway a(); }", "sub__b": "namespace n { rpc new() -> (); }"}
    assert _ids(read(text, table, **files)) == {
        "a": 1,
        "a_reply": 2,
        "b": 3,
        "fixed.a": 78,
        "n.new": 204,
        "n.new_reply": 205,
    }
    files["sub__b"] = "namespace n { oneway newer(); rpc new() -> (); }"
    assert _ids(read(text, table, **files))["n.newer"] == 206
    assert table.ids["gone.x"] == 203


def test_the_first_extension_id_is_200(read: Load) -> None:
    table = IdTable()
    assert _ids(read('include "x.idl";', table, x="oneway x();")) == {"x": 200}


def test_ids_that_meet_are_an_error(read: Load) -> None:
    with pytest.raises(IdlError, match=r"x.idl:1:8: x has id 2, as has b"):
        read('oneway a(); oneway b(); include "x.idl";', IdTable({"x": 2}), x="oneway x();")


def test_ids_end(read: Load) -> None:
    with pytest.raises(IdlError, match=r"x.idl:1:8: no id left for x"):
        read('include "x.idl";', IdTable({"last": 0xFFFF}), x="oneway x();")


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "ids.toml"
    path.write_text(IdTable({"b.x": 201, "a.y": 200}).text())
    assert path.read_text().splitlines()[1:] == ['"a.y" = 200', '"b.x" = 201']
    assert IdTable.load(path).ids == {"a.y": 200, "b.x": 201}
    assert IdTable.load(tmp_path / "none").ids == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("= 1", "not a table of ids"),
        ('"a" = 1\n"b" = 1', "b and a have the same id 1"),
        ('"a" = "1"', "a has no valid id"),
        ('"a" = 0', "a has no valid id"),
        ('"a" = 65536', "a has no valid id"),
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "ids.toml"
    path.write_text(text)
    with pytest.raises(IdlError, match=complaint):
        IdTable.load(path)


# The generated module


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("open", "Open"),
        ("nop_with_ool", "NopWithOol"),
        ("x64_start", "X64Start"),
        ("exception", "Exception_"),
        ("message", "Message_"),
        ("none", "None_"),
        ("_", "_"),
        ("_1", "_1"),
    ],
)
def test_class_names(name: str, expected: str) -> None:
    assert class_name(name) == expected


def test_docs_constants_and_enums_are_carried_over(module: Callable[..., Any]) -> None:
    made = module(
        '''
        /// How "many".
        const limit: uint = 0x10;
        /// A \\ and """ and
        /// more.
        oneway a();
        /// Of n.
        namespace n {
            const flag: bool = 1;
            /// Ends in "quotes"
            enum some_kind { A = 1, from = 2 };
            rpc b(from: int, count: int, cls: size) -> (pack: int);
        }
        '''
    )
    assert made.LIMIT == 16
    assert cleandoc(made.A.__doc__) == 'A \\ and """ and\nmore.'
    assert made.n.__doc__ == "Of n."
    assert made.n.FLAG == 1
    assert made.n.SomeKind.__doc__.strip() == 'Ends in "quotes"'
    assert (made.n.SomeKind.A, made.n.SomeKind.from_) == (1, 2)
    message = made.n.B(from_=1, count_=2, cls_=3)
    assert (message.from_, message.count_, message.cls_) == (1, 2, 3)
    assert repr(message) == "n.B(from_=1, count_=2, cls_=3)"
    assert made.n.BReply(4).pack_ == 4
    assert made.unpack(message.pack()) == message
    assert made.n.B.__doc__ == "`n.b`, request."


def test_out_of_line_fields_travel_beside_the_message(module: Callable[..., Any]) -> None:
    made = module("rpc a(x: uint16, s: str) -> (b: bytes);")
    message = made.A(7, "text")
    assert (made.A.TYPE_WORD, made.AReply.TYPE_WORD) == (0x6000_0001, 0x2000_0002)
    assert message.ool() == b"text\0"
    assert made.unpack(message.pack(), b"text\0") == message
    assert made.A.REPLY(b"x").ool() == b"x"


def test_arrays_travel(module: Callable[..., Any]) -> None:
    made = module("oneway a(x: uint8[3], y: uint16[2], z: char[2], w: bool);")
    message = made.A(b"abc", (1, 65535), b"\xff\0", True)
    data = message.pack()
    assert data[8:19] == b"abc\0\1\0\xff\xff\xff\0\1"
    assert made.unpack(data) == message
    with pytest.raises(ValueError, match="a: "):
        made.A(b"abc", (1, 2, 3), b"", True).pack()


def test_arrays_of_frames_travel(module: Callable[..., Any]) -> None:
    made = module("oneway a(x: hv_frame[1], y: uint8);")
    frame = made.HvFrame(*range(18))
    message = made.A((frame,), 7)
    back = made.unpack(message.pack())
    assert back == message
    assert back.x[0].inst_len == 17


def test_an_empty_interface_is_a_module(module: Callable[..., Any]) -> None:
    assert module("").BY_ID == {}
