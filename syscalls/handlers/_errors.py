"""Error numbers that many declarations share."""

from __future__ import annotations

PATH_ERRORS = "EACCES EFAULT EIO ELOOP ENAMETOOLONG ENOENT ENOTDIR"
"""How the walk to a path fails."""
