"""The official SDK's exceptions: handed to error handlers, or raised by what cannot be built."""

# ruff: noqa: N818 - names as official
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tallybook.errors import DatafileVersionError, InputError, TallybookError


class CmabError(Exception):
    """No decision of a contextual bandit was had."""


class CmabFetchError(CmabError):
    """The prediction service did not answer."""


class CmabInvalidResponseError(CmabError):
    """The prediction service answered something else than a prediction."""


class InvalidAttributeException(Exception):
    """Attributes that are no dictionary, or one that the datafile does not have."""


class InvalidAudienceException(Exception):
    """An audience that the datafile does not have."""


class InvalidEventException(Exception):
    """An event that the datafile does not have."""


class InvalidEventTagException(Exception):
    """Event tags that are no dictionary."""


class InvalidExperimentException(Exception):
    """An experiment that the datafile does not have."""


class InvalidGroupException(Exception):
    """A group that the datafile does not have."""


class InvalidInputException(Exception):
    """An argument of a constructor that cannot be used."""


class InvalidVariationException(Exception):
    """A variation that the datafile does not have."""


class UnsupportedDatafileVersionException(Exception):
    """A datafile of a version this SDK does not read."""


class OdpNotEnabled(Exception):
    """The customer data platform is switched off."""


class OdpNotIntegrated(Exception):
    """The datafile does not integrate the customer data platform."""


class OdpInvalidData(Exception):
    """Data that the customer data platform does not take."""


_BY_SUBJECT: Final[Mapping[str, type[Exception]]] = {
    "attribute": InvalidAttributeException,
    "attributes": InvalidAttributeException,
    "audience": InvalidAudienceException,
    "event": InvalidEventException,
    "event_tags": InvalidEventTagException,
    "experiment": InvalidExperimentException,
    "variation": InvalidVariationException,
}


def official(error: TallybookError) -> Exception:
    """The exception that the official SDK has for what ``error`` says."""
    if isinstance(error, InputError):
        return _BY_SUBJECT.get(error.subject, InvalidInputException)(str(error))
    if isinstance(error, DatafileVersionError):
        return UnsupportedDatafileVersionException(str(error))
    return InvalidInputException(str(error))
