"""Sentence of the results: what an experiment has shown, by which query, and why."""

from __future__ import annotations

from tallybook.analyse.request import Request
from tallybook.analyse.results import results, sql
from tallybook.analyse.subject import Catalog
from tallybook.analyse.why import Why, why

__all__ = ["Catalog", "Request", "Why", "results", "sql", "why"]
