"""Keys: keyrings(7)."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Annotated

from syscalls.missing.types import Keyring
from syscalls.signatures import missing
from syscalls.types import Arg, In, Size, UserStr


@missing
def add_key(type: UserStr, description: UserStr, payload: In[bytes], plen: Size, keyring: Keyring) -> int:
    """Add a key: man 2 add_key."""


@missing
def request_key(type: UserStr, description: UserStr, callout_info: UserStr, dest_keyring: Keyring) -> int:
    """Find or ask for a key: man 2 request_key."""


@missing
def keyctl(
    operation: Annotated[int, Arg("s32", "choice", "KEYCTL_")],
    arg2: Annotated[int, Arg(None, "keyctl", "2", "out")],
    arg3: Annotated[int, Arg(None, "keyctl", "3", "out")],
    arg4: Annotated[int, Arg(None, "keyctl", "4", "out")],
    arg5: Annotated[int, Arg(None, "keyctl", "5", "out")],
) -> int:
    """Control keys: man 2 keyctl."""
