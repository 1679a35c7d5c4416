"""The server that is measured: the real one, but for what the command line changes.

``python -m benchmarks.intake.server DATA DRAIN_EVERY_S [unsafe]``. With ``unsafe`` nothing is
synced, so that what syncing costs can be seen. No setting of Tallybook does that.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tallybook.server.run import ServerSettings, serve


def _main(data: str, drain_every_s: str, *options: str) -> int:
    if "unsafe" in options:
        os.fdatasync = lambda _descriptor: None
    return serve(ServerSettings(Path(data), port=0, drain_every_s=float(drain_every_s)))


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
