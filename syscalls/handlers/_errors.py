"""Error numbers that many declarations share."""

from __future__ import annotations

PATH_ERRORS = "EACCES EFAULT EIO ELOOP ENAMETOOLONG ENOENT ENOTDIR"
"""How a walk along a path from guest memory can fail."""
AT_ERRORS = f"{PATH_ERRORS} EBADF EINVAL"
"""The same with a descriptor to start at, and flags or other values that can be wrong."""
