"""Fixtures that more than one folder of tests needs."""

from __future__ import annotations
