"""Signatures of classes and functions as the reference of the Python API shows them."""  # noqa: INP001 - beside the pages it writes

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final

import griffe

Member = griffe.Object | griffe.Alias

WIDTH: Final = 88  # of a signature on one line
_STARS: Final = {
    griffe.ParameterKind.var_positional: "*",
    griffe.ParameterKind.var_keyword: "**",
}
_RECORDS: Final = frozenset({"NamedTuple", "Struct"})  # fields are arguments, as of a dataclass


def final(member: Member) -> griffe.Object:
    """The object behind a name."""
    return member.final_target if isinstance(member, griffe.Alias) else member


def is_enum(target: griffe.Class) -> bool:
    """True for a closed set of values."""
    return any(str(base).endswith("Enum") for base in target.bases)


def is_record(target: griffe.Class) -> bool:
    """True for a class that is its fields."""
    return "dataclass" in target.labels or not _RECORDS.isdisjoint(map(str, target.bases))


class Signatures:
    """Writes signatures; ``documented`` holds the paths of what has a heading of its own."""

    def __init__(self, package: Member, documented: Container[str]) -> None:
        self._package = package
        self._documented = documented

    def of_class(self, path: str, target: griffe.Class) -> list[str]:
        """How to make one; its bases where nobody makes one, or nothing is needed."""
        bases = [base for base in map(str, target.bases) if not base.startswith("_")]
        parameters = [p for p in target.parameters if p.name != "self"] or _fields(target)
        is_ours_to_make = any(p.required and self._is_internal(p.annotation) for p in parameters)
        if is_enum(target) or "Protocol" in bases or is_ours_to_make or not parameters:
            return [f"class {path}({', '.join(bases)})" if bases else f"class {path}"]
        return _wrapped(f"class {path}", self._parameters(parameters), "")

    def of_function(self, path: str, function: griffe.Function) -> list[str]:
        """How to call it, and what it returns."""
        how = "async def" if "async" in function.labels else "def"
        returns = f" -> {self.of_type(function.returns)}" if function.returns else ""
        return _wrapped(f"{how} {path}", self._parameters(function.parameters), returns)

    def _parameters(self, parameters: Iterable[griffe.Parameter]) -> list[str]:
        shown: list[str] = []
        for parameter in parameters:
            if parameter.name in ("self", "cls"):
                continue
            is_keyword = parameter.kind is griffe.ParameterKind.keyword_only
            if is_keyword and not any(part.startswith("*") for part in shown):
                shown.append("*")
            shown.append(self._parameter(parameter))
        return shown

    def _parameter(self, parameter: griffe.Parameter) -> str:
        stars = _STARS.get(parameter.kind, "") if parameter.kind else ""
        typed = f": {self.of_type(parameter.annotation)}" if parameter.annotation else ""
        is_given = parameter.default is not None and not stars
        default = f" = {self._value(parameter.default)}" if is_given else ""
        return f"{stars}{parameter.name}{typed}{default}"

    def of_type(self, annotation: griffe.Expr | str | None) -> str:
        """An annotation, in which aliases that have no heading are spelt out."""
        if not isinstance(annotation, griffe.Expr):
            return str(annotation)
        pieces = annotation.iterate(flat=True)
        return "".join(p if isinstance(p, str) else self._alias(p) for p in pieces)

    def _alias(self, name: griffe.Expr) -> str:
        meant = self.found(name.canonical_path)
        if not isinstance(meant, griffe.Attribute) or meant.path in self._documented:
            return str(name)
        # A class's attribute is no alias but a member of an enum.
        return self.meaning_of(meant) if isinstance(meant.parent, griffe.Module) else str(name)

    def meaning_of(self, target: griffe.Object) -> str:
        """What an alias stands for, or a constant is."""
        return self.of_type(target.value) if isinstance(target, griffe.Attribute) else ""

    def _value(self, value: griffe.Expr | str | None) -> str:
        """A default; a constant of the package by its value."""
        meant = self.found(value.canonical_path) if isinstance(value, griffe.ExprName) else None
        return str(meant.value if isinstance(meant, griffe.Attribute) else value)

    def _is_internal(self, annotation: griffe.Expr | str | None) -> bool:
        if not isinstance(annotation, griffe.Expr):
            return False
        meant = self.found(annotation.canonical_path)
        return isinstance(meant, griffe.Class) and meant.path not in self._documented

    def found(self, path: str) -> griffe.Object | None:
        """An object of the package by a path that leads to it."""
        package, _, inside = path.partition(".")
        try:
            return final(self._package[inside]) if package == "tallybook" and inside else None
        except (KeyError, griffe.AliasResolutionError):
            return None


def _fields(target: griffe.Class) -> list[griffe.Parameter]:
    """The arguments of a record that is no dataclass, of which Griffe knows them."""
    if not is_record(target):
        return []
    return [
        griffe.Parameter(
            field.name,
            annotation=field.annotation,
            kind=griffe.ParameterKind.positional_or_keyword,
            default=field.value,
        )
        for field in target.members.values()
        if isinstance(field, griffe.Attribute) and "property" not in field.labels
    ]


def _wrapped(opening: str, parts: list[str], closing: str) -> list[str]:
    line = f"{opening}({', '.join(parts)}){closing}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{opening}(", *(f"    {part}," for part in parts), f"){closing}"]
