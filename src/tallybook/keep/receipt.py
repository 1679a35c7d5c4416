"""The receipt of a deletion: what was removed from where and when, without saying whose it was."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from tallybook.errors import StorageError
from tallybook.lake.durable import force
from tallybook.model.time import EPOCH

RECEIPTS: Final = "receipts"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was removed of one visitor.

    Attributes:
        visitor_hash: What stands for the id: ``blake2b(id, key=salt, digest_size=16)``.
        salt: The hash's key, hexadecimal. Whoever knows the id can tell that the receipt is its.
        until_ms: What the visitor did up to then is not kept, even if it arrives later.
        finished_ms: When the deletion was done.
        decisions: Rows removed from the lake, further copies too.
        conversions: The same.
        dead_letters: Rows removed from the lake, those whose body mentions the visitor.
        erased_files: Parquet files of earlier versions or unfinished commits that were erased.
        damaged_segments: Damaged segments of the log that mentioned the visitor and were erased.
        waiting_segments: Segments that a server has not drained meanwhile, and that may hold more.
    """

    visitor_hash: str
    salt: str
    until_ms: int
    finished_ms: int
    decisions: int
    conversions: int
    dead_letters: int
    erased_files: int
    damaged_segments: int
    waiting_segments: int

    @property
    def is_complete(self) -> bool:
        """True when nothing of the visitor is left anywhere."""
        return self.waiting_segments == 0

    @property
    def document(self) -> dict[str, Any]:
        """The receipt as JSON."""
        values = asdict(self)
        times = {name: _moment(values.pop(f"{name}_ms")) for name in ("until", "finished")}
        return {**times, **values, "complete": self.is_complete}

    @property
    def text(self) -> str:
        """Lines for people."""
        rows = (
            f"removed {self.decisions:,} decisions, {self.conversions:,} conversions "
            f"and {self.dead_letters:,} dead letters"
        )
        files = (
            f"erased {self.erased_files:,} files of earlier versions "
            f"and {self.damaged_segments:,} damaged log segments"
        )
        later = f"what happened until {_moment(self.until_ms)} is not kept, however late it arrives"
        lines = [rows, files, later]
        if not self.is_complete:
            lines.append(
                f"NOT YET ALL: {self.waiting_segments:,} segments of the log wait for their "
                "server; when it has drained them, run this again"
            )
        return "\n".join(lines)

    def keep(self, data: Path) -> Path:
        """Write the receipt to the data directory, for its owner alone; return the file.

        Raises:
            StorageError: The disk refused.
        """
        name = f"forget-{self.finished_ms}-{self.visitor_hash[:8]}.json"
        path = data / RECEIPTS / name
        fresh = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps(self.document, indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
            force(path.parent)
        except OSError as error:
            raise StorageError(f"{path}: cannot keep the receipt: {error.strerror}") from error
        return path


def _moment(at_ms: int) -> str:
    moment = EPOCH + timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
