"""`python -m serving`."""

import sys

from serving.cli import run

sys.exit(run())
