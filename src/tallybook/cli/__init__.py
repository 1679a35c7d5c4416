"""Face at the prompt: the ``tallybook`` command."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("argon2", "cyclopts", "deltalake", "duckdb", "litestar", "sqlalchemy")


def main() -> None:
    """Run the command line and leave with its status: 0 done, 1 failed, 2 wrongly asked."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        print(
            f"tallybook: the command needs the server's packages ({', '.join(missing)} missing); "
            "install them with: pip install 'tallybook[server]'",
            file=sys.stderr,
        )
        sys.exit(2)
    from tallybook.cli.app import run  # noqa: PLC0415 - only now are its imports known to be there

    sys.exit(run(sys.argv[1:]))
