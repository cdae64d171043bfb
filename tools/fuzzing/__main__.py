"""`python -m tools.fuzzing`: what tools/fuzz runs."""

import sys

from tools.fuzzing.cli import main

sys.exit(main(sys.argv[1:]))
