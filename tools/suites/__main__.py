"""`python -m tools.suites`: what tools/conformance runs."""

import sys

from tools.suites.cli import main

sys.exit(main(sys.argv[1:]))
