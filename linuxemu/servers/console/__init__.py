"""The console server: the standard streams of whoever runs the machine."""

from __future__ import annotations

from linuxemu.servers.console.server import ConsoleServer as ConsoleServer
from linuxemu.servers.console.streams import InputStream as InputStream
from linuxemu.servers.console.streams import NullStream as NullStream
from linuxemu.servers.console.streams import OutputStream as OutputStream
from linuxemu.servers.console.streams import Stream as Stream
