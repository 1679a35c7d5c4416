"""Options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

DataOption = Annotated[
    Path | None,
    Parameter(name="--data", help="Data directory (else TALLYBOOK_DATA, else ./tallybook-data)."),
]
