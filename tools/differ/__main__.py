"""`python -m tools.differ`: what tools/difftest runs."""

import sys

from tools.differ.cli import main

sys.exit(main(sys.argv[1:]))
