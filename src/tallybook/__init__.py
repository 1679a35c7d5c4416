"""Tallybook: feature experimentation whose numbers add up."""

from __future__ import annotations
