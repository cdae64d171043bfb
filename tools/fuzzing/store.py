"""Failures as files: written, made smaller, read again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.fuzzing.target import Case, Failure, FuzzError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.fuzzing.target import Target

_ROOT = Path(__file__).resolve().parents[2]


def save(folder: Path, target: str, case: Case, failure: Failure) -> Path:
    """Write a failure.

    Args:
        folder: where.
        target: the name of the target.
        case: what reproduces it.
        failure: what happened.

    Returns:
        The file; one defect has one name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(f"{failure.kind} {failure.place}".encode()).hexdigest()[:10]
    path = folder / f"{target}-{failure.kind}-{key}.json"
    said = failure._replace(text=failure.text.replace(f"{_ROOT}/", ""))  # it is to be read, and kept, anywhere
    found = {"target": target, "case": case, "failure": said._asdict()}
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path


def load(path: Path) -> tuple[str, Case, Failure]:
    """Target, case and failure of a file.

    Raises:
        FuzzError: it is none of ours.
    """
    try:
        found: Any = json.loads(path.read_text())
        return str(found["target"]), dict(found["case"]), Failure(**found["failure"])
    except OSError as error:
        raise FuzzError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise FuzzError(f"{path}: not a file of tools/fuzz") from None


def shrink(
    target: Target, case: Case, failure: Failure, attempt: Callable[[Case], list[Failure]], tries: int
) -> Case:
    """A smaller case that fails in the same way.

    Args:
        target: knows what is smaller.
        case: what fails.
        failure: how.
        attempt: runs a case and tells its failures.
        tries: how many runs it may cost.
    """
    found = True
    while found:
        found = False
        for smaller in target.smaller(case):
            if tries <= 0:
                return case
            tries -= 1
            if any(failure.is_like(other) for other in attempt(smaller)):
                case, found = smaller, True
                break
    return case
