"""The command line: `linuxemu run | trace | rootfs | audit | syscalls | bench`.

Each command is a module of its own, imported only when it is asked for: the time from `linuxemu run` to the
guest's first instruction is part of what people measure.
"""

from __future__ import annotations

import errno
import sys

from linuxemu.cli.options import complain, version

__all__ = ["main"]

_HELP = """\
usage: linuxemu COMMAND [ARGUMENT...]

Run, test and understand Linux programs on a microkernel's Linux ABI layer.

commands:
  run        run a Linux program as a task of the microkernel
  trace      run one and show its system calls, as strace does
  rootfs     build root file systems for it
  audit      list the system calls that programs can make, without running them
  syscalls   list the system calls of Linux, and how far each is supported
  bench      measure it beside native runs and qemu-user

options:
  -h, --help     show this help; `linuxemu COMMAND --help` shows a command's
  --version      show the version
"""

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_COMMANDS = ("run", "trace", "rootfs", "audit", "syscalls", "bench")


def main(arguments: list[str] | None = None) -> int:
    """Run the tool and return its exit status.

    Args:
        arguments: what stands after the tool's name; the process's own when None.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        status = _dispatch(words)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        _forget_stdout()
        complain(f"linuxemu {words[0]}" if words else "linuxemu", f"cannot write: {error.strerror}")
        return 2
    return status


def _dispatch(words: list[str]) -> int:
    command = words[0] if words else ""
    rest = words[1:]
    if command == "run":
        from linuxemu.cli import run

        return run.main(rest)
    if command == "trace":
        from linuxemu.cli import trace

        return trace.main(rest)
    if command == "rootfs":
        from linuxemu.cli import rootfs

        return rootfs.main(rest)
    if command == "audit":
        from linuxemu.cli import audit

        return audit.main(rest)
    if command == "syscalls":
        from linuxemu.cli import syscalls

        return syscalls.main(rest)
    if command == "bench":
        from linuxemu.cli import bench

        return bench.main(rest)
    return _general(command)


def _general(word: str) -> int:
    if word in ("-h", "--help", "help"):
        print(_HELP, end="")
        return 0
    if word == "--version":
        print(f"linuxemu {version()}")
        return 0
    if not word:
        complain(
            "linuxemu", f"no command given (there are {', '.join(_COMMANDS)}); linuxemu --help tells more"
        )
        return 2
    if word.startswith("-"):
        why = f"unknown option {word} (a command's options come after its name: linuxemu run {word} ...)"
    else:
        there_are = ", ".join(_COMMANDS)
        why = f"unknown command {word!r} (there are {there_are}; to run a program: linuxemu run {word})"
    complain("linuxemu", why)
    return 2


def _forget_stdout() -> None:
    """Nobody reads our output any more: the interpreter's last flush shall go nowhere and not complain."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
