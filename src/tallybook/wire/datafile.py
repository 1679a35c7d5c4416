"""Datafile JSON, versions 2 to 4, to a :class:`Project` and back.

Reading checks every field it uses; a fault has its JSON path. Writing gives the layout of version
4, which the official SDKs accept, and the same bytes for the same project.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallybook.errors import DatafileError, DatafileVersionError
from tallybook.model.project import Project
from tallybook.model.text import is_text, plain
from tallybook.wire.datafile_reading import project_of
from tallybook.wire.datafile_shapes import DatafileItem

VERSIONS: Final = ("2", "3", "4")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_AT: Final = " - at `"
_MISSING: Final = "Object missing required field `"

_decoder = msgspec.json.Decoder(DatafileItem)
_encoder = msgspec.json.Encoder(order="deterministic")


def read_datafile(text: str | bytes) -> Project:
    """The project a datafile describes; fields nothing here uses are ignored.

    Args:
        text: The datafile's JSON, as text or as UTF-8 bytes.

    Raises:
        DatafileError: The text is no JSON, a required field is missing, a field has another type
            than it should, an id refers to nothing, or the version is not among ``VERSIONS``.
    """
    return project_of(parse_datafile(text))


def parse_datafile(text: str | bytes) -> DatafileItem:
    """The datafile as it is written, checked field by field; ids in it may still lead nowhere.

    Raises:
        DatafileError: The text is no JSON, a field is missing or has another type than it should,
            or the version is not among ``VERSIONS``.
    """
    if is_text(text):
        text = plain(text).removeprefix("\ufeff")
    elif issubclass(type(text), bytes):
        text = bytes.removeprefix(text, _BYTE_ORDER_MARK)  # type: ignore[arg-type]  # they are
    else:
        raise DatafileError("$", f"expected JSON as str or bytes, found {type(text).__name__}")
    try:
        item = _decoder.decode(text)
    except msgspec.ValidationError as error:
        raise _error_at_its_path(str(error)) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise DatafileError("$", f"expected a JSON object: {error}") from error
    if item.version not in VERSIONS:
        known = ", ".join(f'"{version}"' for version in VERSIONS)
        raise DatafileVersionError("$.version", f'expected one of {known}, got "{item.version}"')
    return item


def write_datafile(project: Project) -> bytes:
    """The datafile of ``project`` as UTF-8 JSON; equal projects give equal bytes.

    Experiments of a group stand in their group, after those that have none.
    """
    from tallybook.wire.datafile_writing import datafile_of  # noqa: PLC0415 - services never write

    return _encoder.encode(datafile_of(project))


def _error_at_its_path(message: str) -> DatafileError:
    reason, _, place = message.partition(_AT)
    path = place.removesuffix("`") or "$"
    if reason.startswith(_MISSING):
        name = reason.removeprefix(_MISSING).removesuffix("`")
        return DatafileError(f"{path}.{name}", "is required")
    return DatafileError(path, reason[0].lower() + reason[1:].replace("`", ""))
