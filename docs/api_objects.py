"""How a class, a function or a constant is written down in the reference of the Python API."""  # noqa: INP001 - beside the pages it writes

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import griffe
from api_signatures import Member, Signatures, final, is_record

Kind = griffe.DocstringSectionKind

_ROLE: Final = re.compile(r":\w+:`~?([\w.]+)`")
_SPECIAL: Final = frozenset({"__call__"})  # methods with two underscores that are worth a heading
_INTERNAL: Final = frozenset({"begin_in_child"})  # what a fork asks of a part, and no user
_GOOGLE: Final[Mapping[str, Any]] = {
    "warnings": False,
    "returns_named_value": False,
    "returns_multiple_items": False,
}


@dataclass(frozen=True)
class Documented:
    """An object and the module it is imported from, which need not be where it stands."""

    module: str
    name: str
    target: griffe.Object

    @property
    def anchor(self) -> str:
        """What a link to its heading ends with."""
        return self.name.lower()


@dataclass(frozen=True)
class Scope:
    """Whose docstring it is, and below which heading it stands."""

    target: griffe.Object
    documented: Documented


def is_public(member: Member) -> bool:
    """True for what users are meant to call."""
    is_hidden = member.name.startswith("_") and member.name not in _SPECIAL
    return not is_hidden and member.name not in _INTERNAL


class Writer:
    """Writes objects as Markdown; ``places`` says on which page an object's path has a heading."""

    def __init__(self, package: Member, places: Mapping[str, str]) -> None:
        self._places = places
        self._signatures = Signatures(package, places)

    def summary(self, documented: Documented) -> str:
        """The first sentence an object says of itself, or what it stands for."""
        target = documented.target
        if target.docstring is None:
            return f"`{self._signatures.meaning_of(target)}`".replace("|", "\\|")
        said = " ".join(target.docstring.value.split("\n\n")[0].split())
        first = re.match(r".*?\.(?=\s+[A-Z(]|$)", said)
        text = first[0] if first else said
        return self._prose(text, Scope(target, documented)).replace("|", "\\|")

    def blocks(self, documented: Documented) -> Iterator[str]:
        """An object's heading, and everything below it."""
        target, path = documented.target, f"{documented.module}.{documented.name}"
        yield f"## `{documented.name}`"
        if isinstance(target, griffe.Class):
            yield _code(self._signatures.of_class(path, target))
        elif isinstance(target, griffe.Function):
            yield _code(self._signatures.of_function(path, target))
        elif isinstance(target, griffe.Attribute):
            yield f"`{path}` stands for `{self._signatures.meaning_of(target)}`."
        yield from self._docstring(target, documented)
        if isinstance(target, griffe.Class):
            yield from self._members(documented, target)

    def _members(self, documented: Documented, target: griffe.Class) -> Iterator[str]:
        for base in target.mro():
            if base.path in self._places and any(map(is_public, base.members.values())):
                yield f"Has everything that [`{base.name}`]({self._places[base.path]}) has."
        if "__enter__" in target.members:
            is_both = "__aenter__" in target.members
            yield f"Works with `with`{' and `async with`' if is_both else ''}."
        members = list(self._public_members(target))
        if not is_record(target):
            yield from _constants(members)
        for member in members:
            is_property = isinstance(member, griffe.Attribute) and "property" in member.labels
            if isinstance(member, griffe.Function) or is_property:
                yield from self._member(documented, member)

    def _member(self, documented: Documented, member: griffe.Object) -> Iterator[str]:
        yield f"### `{documented.name}.{member.name}`"
        if isinstance(member, griffe.Function):
            forms = member.overloads or [member]
            yield _code([line for f in forms for line in self._signatures.of_function(f.name, f)])
        elif isinstance(member, griffe.Attribute):
            yield _code([f"{member.name}: {self._signatures.of_type(member.annotation)}"])
        yield from self._docstring(member, documented)

    def _public_members(self, target: griffe.Class) -> Iterator[griffe.Object]:
        """Those of the class and of bases without a heading, which readers need not know of."""
        known = {n for base in target.mro() if base.path in self._places for n in base.all_members}
        inherited = [m for name, m in target.inherited_members.items() if name not in known]
        return (final(m) for m in [*target.members.values(), *inherited] if is_public(m))

    def _docstring(self, target: griffe.Object, documented: Documented) -> Iterator[str]:
        if target.docstring is None:
            return
        scope = Scope(target, documented)
        for section in target.docstring.parse("google", **_GOOGLE):
            if section.kind is Kind.admonition and section.value.kind == "example":
                yield from self._example(section.value.description, scope)
            else:
                yield self._section(section, scope)

    def _section(self, section: griffe.DocstringSection, scope: Scope) -> str:
        value = section.value
        if section.kind is Kind.text:
            return self._prose(value, scope)
        if section.kind is Kind.returns:
            return f"**Returns:** {self._line(value[0].description, scope)}"
        if section.kind is Kind.admonition:
            return f"**{section.title}:** {self._line(value.description, scope)}"
        if section.kind is Kind.raises:
            named = [(self._link(str(item.annotation), scope), item) for item in value]
            return self._listed("Raises", named, scope)
        if section.kind in (Kind.parameters, Kind.attributes):
            title = "Arguments" if section.kind is Kind.parameters else "Attributes"
            return self._listed(title, [(f"`{item.name}`", item) for item in value], scope)
        raise ValueError(f"{scope.target.path}: a docstring's {section.kind} cannot be shown")

    def _listed(self, title: str, items: list[tuple[str, Any]], scope: Scope) -> str:
        lines = [f"- {shown}: {self._line(item.description, scope)}" for shown, item in items]
        return "\n".join([f"**{title}:**", "", *lines])

    def _line(self, text: str, scope: Scope) -> str:
        return self._prose(" ".join(text.split()), scope)

    def _prose(self, text: str, scope: Scope) -> str:
        """A docstring's text: code in single backticks, and links for what a role names."""
        return _ROLE.sub(lambda role: self._link(role[1], scope), text).replace("``", "`")

    def _link(self, name: str, scope: Scope) -> str:
        """A name as code, and a link where it has a heading."""
        owner, _, member = name.rpartition(".")
        for sibling in self._owners(name, scope.documented.target):
            return f"[`{sibling.name}.{name}`]({self._places[sibling.path]}{name.lower()})"
        shown = name.removeprefix("tallybook.")
        place = self._place(name, scope)
        if place is None and owner:
            of_a_class = self._place(owner, scope)
            place = of_a_class and of_a_class + member.lower()
        return f"[`{shown}`]({place})" if place else f"`{shown}`"

    def _owners(self, name: str, target: griffe.Object) -> Iterator[griffe.Class]:
        """The class, or the bases of it, below whose heading there is one of that member."""
        if isinstance(target, griffe.Class):
            for owner in (target, *target.mro()):
                if owner.path in self._places and name in (
                    member.name for member in self._public_members(owner)
                ):
                    yield owner

    def _place(self, name: str, scope: Scope) -> str | None:
        try:
            path = name if name.startswith("tallybook.") else scope.target.module.resolve(name)
        except griffe.NameResolutionError:
            return None
        found = self._signatures.found(path)
        return self._places.get(found.path) if found else None

    def _example(self, text: str, scope: Scope) -> Iterator[str]:
        for part in text.split("\n\n"):
            if part.startswith(">>>"):
                imports = [f">>> {line}" for line in _imports(part, scope.documented)]
                yield "\n".join(["```pycon", *imports, part, "```"])
            else:
                yield self._prose(part, scope)


def _imports(example: str, documented: Documented) -> Iterator[str]:
    """What a reader of an example has to import, which in the module's own doctest is there."""
    lines = (line[4:] for line in example.splitlines() if line[:4] in (">>> ", "... "))
    tree = ast.parse("\n".join(lines))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    imported = [
        name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names
    ]
    given = {node.id for node in nodes if isinstance(node.ctx, ast.Store)}
    given |= {name.asname or name.name for name in imported} | set(vars(builtins))
    around = documented.target.module.members
    for name in sorted({node.id for node in nodes} - given):
        meant = around.get(name)
        if name == documented.name:
            yield f"from {documented.module} import {name}"
        elif isinstance(meant, griffe.Alias):
            yield f"from {meant.target_path.rpartition('.')[0]} import {name}"


def _constants(members: Iterable[griffe.Object]) -> Iterator[str]:
    constants = [m for m in members if isinstance(m, griffe.Attribute) and m.value is not None]
    rows = [f"| `{m.name}` | `{m.value}` |" for m in constants if "class-attribute" in m.labels]
    if rows:
        yield "\n".join(["| name | value |", "|---|---|", *rows])


def _code(lines: list[str]) -> str:
    # `py` and not `python`: a signature is no program, and the programs of these pages are run.
    return "\n".join(["```py", *lines, "```"])
