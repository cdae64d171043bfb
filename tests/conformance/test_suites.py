"""A slice of each foreign suite, as tools/conformance runs it: what says much in a short time."""

from __future__ import annotations

import pytest

from tools.suites import cli
from tools.suites.debian import fetch
from tools.suites.suite import Unreachable

pytestmark = [pytest.mark.slow, pytest.mark.native, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", ["busybox", "posix"])
def test_a_slice_of_a_suite_is_as_expected(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    suite = cli.SUITES[name]
    try:
        fetch(suite.package, suite.programs, cli.cache_dir())
    except Unreachable as error:
        pytest.skip(str(error))
    status = cli.main([name, "--slice", "--output", "--jobs", "2"])
    output = capfd.readouterr()
    if status == 2 and "native runs need" in output.err:
        pytest.skip(output.err.splitlines()[-1])
    assert status == 0, output.out + output.err
