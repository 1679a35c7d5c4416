"""Sentence of the app: definition → catalog → revision → datafile."""

from __future__ import annotations

from tallybook.publish.applied import Applied, apply, plan
from tallybook.publish.differences import Action, Change, Plan
from tallybook.publish.imported import Imported, import_datafile

__all__ = ["Action", "Applied", "Change", "Imported", "Plan", "apply", "import_datafile", "plan"]
