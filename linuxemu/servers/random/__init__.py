"""The random server: the host's entropy, or a fixed sequence for runs that must repeat."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_TOO_LARGE
from linuxemu.kernel import Server, rpc
from linuxemu.messages import entropy, random

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_READ = (1 << 25) - 1
"""The most bytes of one `entropy.read`; Linux has the same limit for getrandom(2)."""


class RandomServer(Server):
    """Random numbers and bytes.

    Args:
        seed: with a seed the sequence is the same at every run (and no secret); without one it is the host's.
        source: that of the server whose place this one takes: its sequence goes on.
    """

    name = "random"

    def __init__(self, seed: int | None = None, source: Callable[[int], bytes] | None = None) -> None:
        super().__init__()
        self._bytes = source or os.urandom
        if seed is not None:
            from random import Random  # only here: it costs several milliseconds

            self._bytes = Random(seed).randbytes

    def successor(self) -> RandomServer:
        """A server that goes on with the sequence."""
        return RandomServer(source=self._bytes)

    @rpc(random.GetRandom)
    async def get_random(self, src: int, m: random.GetRandom) -> random.GetRandomReply:
        """One number of 32 bits."""
        return random.GetRandomReply(int.from_bytes(self._bytes(4), "little"))

    @rpc(entropy.Read)
    async def read(self, src: int, m: entropy.Read) -> entropy.ReadReply:
        """`len` bytes; ERR_TOO_LARGE above `MAX_READ`."""
        if m.len > MAX_READ:
            raise RpcError(ERR_TOO_LARGE)
        return entropy.ReadReply(self._bytes(m.len))
