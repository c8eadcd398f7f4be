#!/usr/bin/python3 -P
"""The image's entry point, there as /usr/local/bin/graviton-serving: the same program as `python -m serving`.

A file of its own instead of `python3 -m serving`, so that `docker exec CONTAINER graviton-serving inspect` works too.
-P keeps this folder off the module path. The kernel starts Python itself, with no shell between: Python is process 1
and gets SageMaker's SIGTERM.
"""

import sys

from serving.cli import run

sys.exit(run())
