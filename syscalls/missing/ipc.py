"""POSIX message queues."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Annotated

from syscalls.missing.types import (
    MqAttributes,
    MqFlags,
    MqMode,
    Timeout,
)
from syscalls.signatures import missing
from syscalls.types import Fd, In, Out, Shown, Size, UInt, UserStr


@missing
def mq_open(
    name: UserStr, oflag: MqFlags, mode: MqMode, attr: Annotated[In[bytes], Shown("mq_open_attr")]
) -> Fd:
    """Open a message queue: man 2 mq_open."""


@missing
def mq_unlink(name: UserStr) -> int:
    """Remove a message queue: man 2 mq_unlink."""


@missing
def mq_timedsend(mqdes: Fd, msg_ptr: In[bytes], msg_len: Size, msg_prio: UInt, abs_timeout: Timeout) -> int:
    """Send a message: man 2 mq_timedsend."""


@missing
def mq_timedreceive(
    mqdes: Fd,
    msg_ptr: Out[bytes],
    msg_len: Size,
    msg_prio: Annotated[Out[int], Shown("uints")],
    abs_timeout: Timeout,
) -> int:
    """Receive a message: man 2 mq_timedreceive."""


@missing
def mq_notify(mqdes: Fd, sevp: Annotated[In[bytes], Shown("sigevent")]) -> int:
    """Be told of a message: man 2 mq_notify."""


@missing
def mq_getsetattr(mqdes: Fd, newattr: MqAttributes, oldattr: Annotated[Out[bytes], Shown("mq_attr")]) -> int:
    """Read and change a message queue's attributes: man 2 mq_getsetattr."""
