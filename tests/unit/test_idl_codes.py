"""The error words, and Linux errno values among them."""

from __future__ import annotations

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl import codes


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("OK", 0),
        ("ERR_NO_MEMORY", -1),
        ("ERR_NOT_PERMITTED", -2),
        ("ERR_WOULD_BLOCK", -3),
        ("ERR_ABORTED", -4),
        ("ERR_TOO_LARGE", -5),
        ("ERR_TOO_SMALL", -6),
        ("ERR_NOT_FOUND", -7),
        ("ERR_INVALID_ARG", -8),
        ("ERR_INVALID_TASK", -9),
        ("ERR_ALREADY_EXISTS", -10),
        ("ERR_UNAVAILABLE", -11),
        ("ERR_NOT_ACCEPTABLE", -12),
        ("ERR_EMPTY", -13),
        ("DONT_REPLY", -14),
        ("ERR_IN_USE", -15),
        ("ERR_TRY_AGAIN", -16),
    ],
)
def test_error_words_are_the_seed_s(name: str, number: int) -> None:
    assert getattr(codes, name) == number
    assert codes.error_name(number) == name
    assert codes.posix_errno(number) is None


def test_a_linux_errno_has_an_error_word_of_its_own() -> None:
    assert codes.posix_error(39) == -1039
    assert codes.posix_errno(-1039) == 39
    assert codes.error_name(-1039) == "POSIX error 39"
    assert codes.error_name(-99) == "error -99"
    assert str(RpcError(codes.ERR_EMPTY)) == "ERR_EMPTY"
