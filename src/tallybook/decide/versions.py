"""Semantic versions compared as audiences compare them: by the parts the condition names."""

from __future__ import annotations

from msgspec import Struct

_MAX_NUMBERS = 3  # major.minor.patch


class Version(Struct, frozen=True):
    """A version taken apart: its numbers as text, and its suffix as one more part."""

    parts: list[str]
    is_prerelease: bool
    is_build: bool


def version_of(text: str) -> Version | None:
    """The version that ``text`` is, ``None`` if it is no version."""
    if " " in text:
        return None
    dash, plus = text.find("-"), text.find("+")
    is_prerelease = dash >= 0 and (plus < 0 or dash < plus)
    is_build = plus >= 0 and (dash < 0 or plus < dash)
    separator = "-" if is_prerelease else "+"
    numbers, *suffix = text.split(separator, 1) if is_prerelease or is_build else [text]
    parts = numbers.split(".")
    if len(parts) > _MAX_NUMBERS:
        return None
    for part in parts:
        if not part.isdigit():
            return None
    return Version(parts + suffix, is_prerelease, is_build)


def compare_versions(user: str, target: str) -> int | None:
    """-1, 0 or 1 as ``user`` is before, at or after ``target``; ``None`` if either is no version.

    Only the parts ``target`` has are looked at, so ``2.0.1`` is at ``2.0``; suffixes are
    text.
    """
    return order_of(version_of(user), version_of(target))


def order_of(given: Version | None, wanted: Version | None) -> int | None:
    """What :func:`compare_versions` answers, for versions that are taken apart already."""
    if wanted is None or given is None:
        return None
    for index, part in enumerate(wanted.parts):
        if index == len(given.parts):
            return 1 if wanted.is_prerelease or wanted.is_build else -1
        order = _compare_parts(given.parts[index], part, given, wanted)
        if order != 0:
            return order
    return -1 if given.is_prerelease and not wanted.is_prerelease else 0


def _compare_parts(actual: str, expected: str, given: Version, wanted: Version) -> int | None:
    if actual.isdigit():
        return _compare_numbers(actual, expected)
    if actual < expected:
        return 1 if wanted.is_prerelease and not given.is_prerelease else -1
    if actual > expected:
        return -1 if given.is_prerelease and not wanted.is_prerelease else 1
    return 0


def _compare_numbers(actual: str, expected: str) -> int | None:
    try:
        left, right = int(actual), int(expected)
    except ValueError:  # a word against a number, a digit such as "²", or thousands of digits
        return None
    return (left > right) - (left < right)
