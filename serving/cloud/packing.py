"""The command `pack`: make the archive of a model's folder, and see that the server serves it."""

import argparse
import sys

from serving.cloud import archives, tryout
from serving.cloud.listing import ArchiveError


def run(options: argparse.Namespace) -> int:
    """Pack; the exit status is 1 where the archive cannot be made or is not served, with the reason on stderr."""
    try:
        packed = archives.pack(options.directory, options.output)
        sys.stderr.write(f"{packed.described}\n")
        if options.load:
            sys.stderr.write(f"{tryout.try_out(packed.path)}\n")
    except (ArchiveError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
