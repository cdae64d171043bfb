"""The text of fault rules: what is understood, what is refused and how, and that a rule's text is that rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxemu.idl.codes import ERR_NO_MEMORY, posix_error
from linuxemu.inject import InjectError, Rule, When, parse, parse_toml
from linuxemu.inject.rules import ALWAYS, check
from syscalls.abi.errno import EIO, EOPNOTSUPP


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("fs.write:error=EIO", Rule(("fs.write",), "error", posix_error(EIO))),
        ("fs.write:error=ENOTSUP", Rule(("fs.write",), "error", posix_error(EOPNOTSUPP))),
        ("vmx.*:error=ERR_NO_MEMORY", Rule(("vmx.*",), "error", ERR_NO_MEMORY)),
        ("fs.read,fsx.*:kill", Rule(("fs.read", "fsx.*"), "kill")),
        ("fs.*@/data:kill=after", Rule(("fs.*@/data",), "kill", 1)),
        ("*.write:delay=10ms", Rule(("*.write",), "delay", 10_000_000)),
        ("fs.read:delay=1.5us", Rule(("fs.read",), "delay", 1500)),
        ("fs.read:delay=2s", Rule(("fs.read",), "delay", 2_000_000_000)),
        ("notify.async:drop", Rule(("notify.async",), "drop")),
        ("fsx.forget:drop:when=3", Rule(("fsx.forget",), "drop", 0, When(3, 1, 3))),
        ("fs.read:kill:when=3+", Rule(("fs.read",), "kill", 0, When(3))),
        ("fs.read:kill:when=1+", Rule(("fs.read",), "kill")),
        ("fs.read:kill:when=3+2", Rule(("fs.read",), "kill", 0, When(3, 2))),
        ("fs.read:kill:when=2..5", Rule(("fs.read",), "kill", 0, When(2, 1, 5))),
        ("fs.read:kill:when=2..9+3", Rule(("fs.read",), "kill", 0, When(2, 3, 9))),
        ("fs.read:when=25%:seed=7:kill", Rule(("fs.read",), "kill", 0, When(percent=25), 7)),
        ("page_fault:delay=1ms", Rule(("page_fault",), "delay", 1_000_000)),
    ],
)
def test_understood(text: str, rule: Rule) -> None:
    assert parse(text) == rule
    assert parse(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "a message's name is missing"),
        (":kill", "a message's name is missing"),
        ("fs.read,:kill", "a message's name is missing"),
        ("fs.raed:kill", "no message is called 'fs.raed'"),
        ("fs:kill", "no message is called 'fs'"),
        ("*:kill", "no message is called '*'"),
        ("fs.read_reply:kill", "no message is called 'fs.read_reply'"),
        ("fs.read", "nothing is to be done"),
        ("fs.read:when=3", "nothing is to be done"),
        ("fs.read:kill:drop", "kill and drop is to be done"),
        ("fs.read:kill:kill", "kill is given twice"),
        ("fs.read:die", "'die' is none of"),
        ("fs.read:error", "error=: neither an errno"),
        ("fs.read:error=EFOO", "error=EFOO: neither an errno"),
        ("fs.read:error=errno_name", "neither an errno"),
        ("fs.read:error=ERR_FOO", "neither an errno"),
        ("fs.read:delay=10", "delay=10: not a time"),
        ("fs.read:delay=0s", "not a time"),
        ("fs.read:delay=2000000s", "not a time"),
        ("fs.read:kill=before", "kill takes no such value"),
        ("fsx.forget:drop=1", "drop takes no such value"),
        ("fs.read:drop", "has a reply that its caller waits for"),
        ("fsx.forget:error=EIO", "has no reply that could be an error"),
        ("notify.timer:kill", "can only be dropped"),
        ("notify.foo:drop", "no message is called"),
        *((f"fs.read:kill:when={bad}", f"when={bad}") for bad in ("0", "x", "", "3-5", "5..2", "0%", "101%", "1+0")),
        ("fs.read:kill:seed=-1", "seed=-1: not a number"),
        ("fs.read:kill:seed", "seed=: not a number"),
    ],
)  # fmt: skip
def test_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(InjectError) as caught:
        parse(text)
    line = str(caught.value)
    assert why in line
    assert line.startswith(f"{text!r}: ")
    assert "\n" not in line


def test_a_pattern_stands_for_what_the_action_can_be_done_to() -> None:
    rule = parse("fsx.*:error=EIO")
    assert rule.suits("fsx.lookup")
    assert not rule.suits("fsx.forget")
    assert parse("fsx.*:drop").suits("fsx.forget")


def test_servers_are_told_apart() -> None:
    rule = parse("fs.*@/data:kill")
    assert rule.matches("fs.read", ("fs", "/data"))
    assert not rule.matches("fs.read", ("fs", "/"))
    assert not rule.matches("fsx.lookup", ("fs", "/data"))
    assert parse("fs.*@fs:kill").matches("fs.read", ("fs", "/data"))


@pytest.mark.parametrize(
    ("when", "hits"),
    [("3", [3]), ("3+", [*range(3, 13)]), ("3+4", [3, 7, 11]), ("2..5", [2, 3, 4, 5]), ("2..9+3", [2, 5, 8])],
)
def test_counting(when: str, hits: list[int]) -> None:
    rule = parse(f"fs.read:kill:when={when}")
    assert [n for n in range(1, 13) if rule.when.hits(n, rule.seed)] == hits


def test_a_random_share_is_the_same_every_time() -> None:
    def hits(seed: int, percent: float = 25) -> list[int]:
        return [n for n in range(1, 4001) if When(percent=percent).hits(n, seed)]

    assert hits(1) == hits(1) != hits(2)
    assert 850 < len(hits(3)) < 1150
    assert len(hits(3, 100)) == 4000


NUMBERS = st.integers(1, 999_999_999)
WHENS = (
    st.just(ALWAYS)
    | st.builds(lambda first: When(first, 1, first), NUMBERS)
    | st.tuples(NUMBERS, NUMBERS).map(lambda pair: When(*pair))
    | st.builds(
        lambda first, more, step: When(first, step, first + more),
        st.integers(1, 10**8),
        st.integers(1, 10**8),
        NUMBERS,
    )
    | st.builds(lambda percent: When(percent=percent), st.integers(1, 100))
)
ACTIONS = (
    st.tuples(st.just("error"), st.integers(1, 40).map(posix_error) | st.integers(-13, -1))
    | st.tuples(st.just("delay"), st.integers(1, 10**9).map(lambda n: n * 1000))
    | st.tuples(st.just("kill"), st.integers(0, 1))
)


@given(
    st.lists(
        st.sampled_from(["fs.read", "fs.*", "*.write", "fsx.look*@/", "vmx.*@vm"]), min_size=1, max_size=3
    ),
    ACTIONS,
    WHENS,
    st.integers(0, 10**18 - 1),
)
def test_the_text_of_a_rule_is_that_rule(
    messages: list[str], action: tuple[str, int], when: When, seed: int
) -> None:
    rule = check(Rule(tuple(messages), *action, when, seed))
    assert parse(str(rule)) == rule


@given(st.text())
def test_any_text_is_a_rule_or_an_error(text: str) -> None:
    try:
        parse(text)
    except InjectError:
        pass


def test_toml() -> None:
    rules = parse_toml(
        """
        [[inject]]
        message = "fs.write"
        error = "EIO"
        when = 3

        [[inject]]
        message = ["fs.*@/", "fsx.*@/"]
        kill = "after"
        when = "5%"
        seed = 2

        [[inject]]
        message = "console.ready"
        drop = true
        """
    )
    assert [str(rule) for rule in rules] == [
        "fs.write:error=EIO:when=3",
        "fs.*@/,fsx.*@/:kill=after:when=5%:seed=2",
        "console.ready:drop",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("fs.write", "not TOML"),
        ("", "it must hold tables [[inject]]"),
        ("inject = 3", "it must hold tables [[inject]]"),
        ("[inject]\nmessage='fs.read'", "it must hold tables [[inject]]"),
        ("[[inject]]\n[[other]]", "it must hold tables [[inject]]"),
        ("[[inject]]\nmessage='fs.read'\nkill=true\n[[inject]]\nkill=true", "rule 2: a message's name"),
        ("[[inject]]\nmessage='fs.read'\nkill=false", "rule 1: nothing is to be done"),
        ("[[inject]]\nmessage='fs.read'\nkill=true\ncolour='red'", "rule 1: 'colour' is none of"),
        ("[[inject]]\nmessage='fs.read:kill'", "rule 1: a value has a colon"),
    ],
)
def test_toml_that_is_refused(text: str, why: str) -> None:
    with pytest.raises(InjectError, match=r"^[^\n]*$") as caught:
        parse_toml(text)
    assert why in str(caught.value)


def test_a_rule_made_by_hand_is_checked() -> None:
    with pytest.raises(InjectError, match="cannot be dropped"):
        check(Rule(("fs.read",), "drop"))
