"""How the services beside deciding are asked: predictions, and customer data."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import force_setattr

from tallybook.client.addresses import check_url
from tallybook.deliver.settings import check_numbers
from tallybook.errors import ConfigError
from tallybook.model.text import excerpt

PREDICTION_ENDPOINT: Final = "https://prediction.cmab.optimizely.com/predict/{}"


class CmabSettings(Struct, frozen=True):
    """How predictions for contextual bandits are asked for and kept.

    Attributes:
        endpoint: The prediction service; ``{}`` in it stands for the rule's id.
        cache_size: Predictions that are kept; with 0 none is.
        cache_timeout_s: How long each is good; with 0 for ever.
        request_timeout_s: Patience with one request, to connect and between two reads. A request
            that fails is made once more.
        waits: Let decide calls wait for a prediction that is not kept. Otherwise they answer that
            there is none yet, and it is fetched in the background for the next time.
    """

    endpoint: str = PREDICTION_ENDPOINT
    cache_size: int = 10_000
    cache_timeout_s: float = 1800.0
    request_timeout_s: float = 10.0
    waits: bool = False

    def __post_init__(self) -> None:
        if self.endpoint is not PREDICTION_ENDPOINT:  # looking into a URL takes an import
            force_setattr(self, "endpoint", check_url("endpoint", self.endpoint))
        _check_flag("waits", self.waits)
        check_numbers(self, may_be_zero={"cache_size", "cache_timeout_s"})


class OdpSettings(Struct, frozen=True):
    """How a customer data platform is asked for segments and told of events.

    Attributes:
        disabled: Neither ask nor tell.
        cache_size: Users whose segments are kept; with 0 nobody's are.
        cache_timeout_s: How long they are good; with 0 for ever.
        segments_timeout_s: Patience with a request for segments, to connect and between two reads.
        events_timeout_s: The same for a request that carries events.
        flush_interval_s: How long the first event of a batch waits for company; with 0 each goes
            alone and at once.
    """

    disabled: bool = False
    cache_size: int = 10_000
    cache_timeout_s: float = 600.0
    segments_timeout_s: float = 10.0
    events_timeout_s: float = 10.0
    flush_interval_s: float = 1.0

    def __post_init__(self) -> None:
        _check_flag("disabled", self.disabled)
        check_numbers(self, may_be_zero={"cache_size", "cache_timeout_s", "flush_interval_s"})


def _check_flag(name: str, value: object) -> None:
    if type(value) is not bool:
        raise ConfigError(f"{name}: expected true or false, found {excerpt(value)}")
