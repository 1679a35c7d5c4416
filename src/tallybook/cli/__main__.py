"""``python -m tallybook.cli``: the command without its script."""

from __future__ import annotations

from tallybook.cli import main

if __name__ == "__main__":
    main()
