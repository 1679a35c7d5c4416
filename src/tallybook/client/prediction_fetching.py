"""Asking the prediction service, and saying in the log what fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from tallybook.client.predictions import Attributes
from tallybook.deliver.answer import Http
from tallybook.deliver.predictions import (
    FetchedPrediction,
    PredictionRequest,
    PredictionRetries,
    fetch_prediction,
)
from tallybook.model.text import readable


class Says(Protocol):
    """What logs a line; ``cause`` names lines of one kind."""

    def __call__(self, level: int, cause: str, message: str, *values: object) -> None:
        """Log ``message % values``."""
        ...


class PredictionFetcher(Struct, frozen=True):
    """Asks one service.

    ``say`` logs each attempt that failed: all of them where somebody waits, and where nobody does,
    now and then.
    """

    http: Http
    endpoint: str
    say: Says
    retries: PredictionRetries = PredictionRetries()
    sleep: Callable[[float], object] | None = None

    def __call__(
        self, rule_id: str, user_id: str, attributes: Attributes, cmab_uuid: str
    ) -> FetchedPrediction:
        """Ask for a prediction, by attributes' ids and values; nothing is raised."""
        request = PredictionRequest(rule_id, user_id, attributes, cmab_uuid)
        waiting = {} if self.sleep is None else {"sleep": self.sleep}
        fetched = fetch_prediction(self.http, self.endpoint, request, self.retries, **waiting)
        self._tell(fetched)
        return fetched

    def _tell(self, fetched: FetchedPrediction) -> None:
        attempts = len(fetched.failures) + (fetched.variation_id is not None)
        for number, failure in enumerate(fetched.failures, 1):
            message = "A question for a prediction failed: %s"
            self.say(logging.ERROR, "question", message, readable(failure))
            if number < attempts:
                self.say(logging.INFO, "again", "It was asked again, attempt %d.", number + 1)
        if attempts > 1 and fetched.variation_id is None:
            self.say(logging.ERROR, "prediction", "No prediction came of %d attempts.", attempts)


def to_logger(logger: logging.Logger) -> Says:
    """What logs every line."""
    return lambda level, _, message, *values: logger.log(level, message, *values)
