"""The command `pack`: make the archive of a model's folder, once the server has been seen to serve it."""

import argparse
import sys
from pathlib import Path

from serving.cloud import archives, tryout
from serving.cloud.listing import ArchiveError


def run(options: argparse.Namespace) -> int:
    """Pack; the exit status is 1 where the archive cannot be made or is not served, with the reason on stderr."""
    try:
        packed = archives.pack(options.directory, options.output, _say, _try_out if options.load else lambda _: None)
        _say(packed.described(str(packed.path)))
    except (ArchiveError, OSError) as error:
        _say(str(error))
        return 1
    return 0


def _try_out(archive: Path) -> None:
    _say("trying it out")
    _say(tryout.try_out(archive))


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
