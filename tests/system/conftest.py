"""What of this folder is no test of ours."""

from __future__ import annotations

collect_ignore = ["outside"]
