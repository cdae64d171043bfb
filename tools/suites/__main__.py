"""`python -m tools.suites`: what tools/conformance runs."""

import signal
import sys

from tools.suites.cli import main

# Both ends of a run stop what runs, and leave the results that there are.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.default_int_handler)
sys.exit(main(sys.argv[1:]))
