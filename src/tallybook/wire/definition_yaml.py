"""YAML text as plain values: strict where YAML is generous, and every fault has an address.

YAML 1.1 reads ``on`` and ``off`` as booleans, ``1:30`` as 90 and a repeated key as its last value.
People who write definition files mean variations called ``on`` and ``off``, so scalars follow YAML
1.2 (only ``true`` and ``false`` are booleans, dates stay text), keys are always text, and no key
may be repeated.
"""

from __future__ import annotations

import math
import re
from typing import Final

import yaml

from tallybook.errors import DefinitionError

WHOLE: Final = "definition"  # the path of the document itself
_MAX_DEPTH: Final = 60  # far beyond any definition; parsers recurse
_MAX_NODES: Final = 500_000  # an alias may be used often, but not to blow the document up

_STANDARD_TAGS: Final = "tag:yaml.org,2002:"
_TEXT_TAG: Final = _STANDARD_TAGS + "str"
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})\Z")  # longer ones are ids: text
_FLOAT: Final = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\Z")
_WORDS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}


def plain_values(text: str | bytes) -> object:
    """The document's mappings, lists and scalars.

    Raises:
        DefinitionError: It is not UTF-8, not YAML, or repeats a key.
    """
    source = _decoded(text)
    try:
        _check_depth(source)
        root = yaml.compose(source, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise _not_yaml(error) from None
    return None if root is None else _Reader().value(root, "")


def join(path: str, key: str) -> str:
    """The path of ``key`` inside the mapping at ``path``; the document itself has path ``""``."""
    return f"{path}.{key}" if path else key


def _decoded(text: str | bytes) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DefinitionError(
            WHOLE, f"byte {error.start} is not UTF-8; save the file as UTF-8 text"
        ) from None


def _check_depth(source: str) -> None:
    # The stream of parsing events is flat, so it can be measured before anything recurses over it.
    depth = 0
    for event in yaml.parse(source, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise _too_deep()


def _too_deep() -> DefinitionError:
    return DefinitionError(WHOLE, f"is nested deeper than {_MAX_DEPTH} levels")


def _not_yaml(error: yaml.YAMLError) -> DefinitionError:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    problem = getattr(error, "problem", None) or str(error)
    return DefinitionError(WHOLE, f"{where}is not YAML: {' '.join(str(problem).split())}")


class _Reader:
    """Walks composed nodes; counts them, so that aliases cannot multiply without end."""

    def __init__(self) -> None:
        self._nodes = 0
        self._above: list[yaml.Node] = []

    def value(self, node: yaml.Node, path: str) -> object:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise DefinitionError(path, f"the document has more than {_MAX_NODES} values")
        if any(node is ancestor for ancestor in self._above):
            raise DefinitionError(path, "an alias contains itself")
        if len(self._above) > _MAX_DEPTH:  # by aliases of aliases
            raise _too_deep()
        if not node.tag.startswith(_STANDARD_TAGS):
            raise DefinitionError(path or WHOLE, f"the tag `{node.tag}` is unknown; leave it out")
        self._above.append(node)
        value = self._by_kind(node, path)
        self._above.pop()
        return value

    def _by_kind(self, node: yaml.Node, path: str) -> object:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, f"{path}[{i}]") for i, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, object]:
        mapping: dict[str, object] = {}
        lines: dict[str, int] = {}
        for name, item in node.value:
            line = name.start_mark.line + 1
            if not isinstance(name, yaml.ScalarNode):
                raise DefinitionError(path or WHOLE, f"line {line}: a key must be text")
            key = name.value
            if key in mapping:
                reason = f"is given twice, on lines {lines[key]} and {line}; keep one"
                raise DefinitionError(join(path, key), reason)
            lines[key] = line
            mapping[key] = self.value(item, join(path, key))
        return mapping


def _scalar(node: yaml.Node) -> object:
    text = str(node.value)
    if node.tag == _TEXT_TAG:  # quoted, or nothing else
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    number = float(text) if _FLOAT.match(text) else math.inf
    return number if math.isfinite(number) else text
