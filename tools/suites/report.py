"""What a run says: a line for each case, a summary, and a JUnit file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tools.suites.verdict import FAILED, NOT_JUDGED, XFAILED, XPASSED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tools.suites.verdict import Figures, Verdict

# What XML 1.0 cannot hold.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_NAME = 200


def line(verdict: Verdict) -> str:
    """A case in a line."""
    name = verdict.case if len(verdict.case) <= _MAX_NAME else verdict.case[:_MAX_NAME] + "..."
    return f"{verdict.kind:<6}{name}" + (f"  ({verdict.text})" if verdict.text else "")


def summary(name: str, version: str, counted: Figures, *, native_only: bool) -> str:
    """How the suite stands, in a line."""
    text = f"{name} {version}: {counted.cases} cases, {counted.native} pass natively ({counted.native_s:.0f} s)"
    if native_only:
        return text
    return f"{text}, {counted.here} of these here ({counted.percent}, {counted.here_s:.0f} s)"


def write_junit(path: Path, name: str, verdicts: Sequence[Verdict], outputs: Mapping[str, str]) -> None:
    """Write a JUnit file.

    Args:
        path: the file.
        name: the suite's name.
        verdicts: all of them.
        outputs: what the unit of an unexpected case printed, by case.
    """
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(verdicts)),
        failures=str(sum(verdict.unexpected for verdict in verdicts)),
        errors="0",
        skipped=str(sum(verdict.kind in (NOT_JUDGED, XFAILED) for verdict in verdicts)),
        time=f"{sum(verdict.seconds for verdict in verdicts):.3f}",
    )
    for verdict in verdicts:
        unit, _, case = verdict.case.partition("/")
        element = ET.SubElement(
            suite,
            "testcase",
            classname=_xml(f"{name}.{unit}"),
            name=_xml(case or unit),
            time=f"{verdict.seconds:.3f}",
        )
        if verdict.kind in (FAILED, XPASSED):
            failure = ET.SubElement(element, "failure", message=_xml(verdict.text))
            failure.text = _xml(outputs.get(verdict.case, ""))
        elif verdict.kind in (NOT_JUDGED, XFAILED):
            ET.SubElement(element, "skipped", message=_xml(verdict.text))
    tree = ET.ElementTree(ET.Element("testsuites"))
    root = tree.getroot()
    assert root is not None
    root.append(suite)
    ET.indent(tree)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _xml(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
