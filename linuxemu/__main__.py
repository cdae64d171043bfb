"""`python -m linuxemu` is the `linuxemu` command."""

from __future__ import annotations

import sys

from linuxemu.cli import main

if __name__ == "__main__":
    sys.exit(main())
