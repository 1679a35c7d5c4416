"""The services that a client asks beside deciding, made when the first call needs them.

Most projects need none of them. For those this costs neither a thread nor the time to import what
asks.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from tallybook.client.diagnostics import Diagnostics
from tallybook.client.revision import RevisionSource
from tallybook.client.settings import ClientSettings
from tallybook.deliver.settings import bounded_s
from tallybook.deliver.tally import DeliveryStats
from tallybook.model.memory import Predict
from tallybook.model.prediction import NO_SERVICE
from tallybook.model.project import Project

if TYPE_CHECKING:
    from tallybook.client.customer_data import CustomerData
    from tallybook.client.predictions import PredictionService

_NOTHING_YET: Final = DeliveryStats(0, 0, 0, {}, {}, 0, 0)


class Services:
    """Predictions, segments and customer events of one client. Thread-safe.

    Nothing here is locked: of two threads that need a service first, both make one and one is kept.

    Args:
        settings: What to ask, and how.
        revisions: What knows the datafile.
        diagnostics: Where the client logs.
    """

    def __init__(
        self, settings: ClientSettings, revisions: RevisionSource, diagnostics: Diagnostics
    ) -> None:
        self._settings = settings
        self._revisions = revisions
        self._logger = diagnostics.logger
        self._predictions: dict[None, PredictionService] = {}
        self._customer_data: dict[None, CustomerData] = {}
        self._is_closed = False

    def predictor(self, project: Project, options: Collection[str]) -> Predict:
        """What predicts for the users of a project, as the options of a call want it."""
        if self._settings.cmab is None:
            return lambda *_: NO_SERVICE
        service = self._predictions.get(None) or self._make_predictions()
        return service.predictor(project, options)

    def segments_of(self, user_id: str, options: Collection[str]) -> list[str] | None:
        """The segments a user is in, ``None`` where that is not known; it waits for the network."""
        data = self._data("fetch_qualified_segments")
        return None if data is None else data.segments_of(user_id, options)

    def send_odp_event(self, action: Any, identifiers: Any, kind: Any, data: Any) -> None:
        """Have an event delivered, or say what is wrong with it."""
        customer_data = self._data("send_odp_event")
        if customer_data is not None:
            customer_data.send(action, identifiers, kind, data)

    def odp_stats(self) -> DeliveryStats:
        """What became of the customer events so far."""
        made = self._customer_data.get(None)
        return made.events.stats() if made else _NOTHING_YET

    def flush(self, timeout_s: float | None) -> bool:
        """Send the customer events that wait; true when all were delivered."""
        made = self._customer_data.get(None)
        return made is None or made.events.flush(timeout_s)

    def retire(self) -> None:
        """Take in nothing more, and end once everything is delivered."""
        self._is_closed = True
        for predictions in self._predictions.values():
            predictions.close(0)
        for data in self._customer_data.values():
            data.events.retire()

    def close(self, timeout_s: float | None) -> None:
        """Take in nothing more, and deliver what waits within ``timeout_s``."""
        deadline = time.monotonic() + bounded_s(timeout_s)
        self.retire()
        for data in self._customer_data.values():
            data.events.stop(deadline - time.monotonic())
        for predictions in self._predictions.values():
            predictions.close(deadline - time.monotonic())

    def _data(self, call: str) -> CustomerData | None:
        if self._settings.odp.disabled:
            self._logger.error("%s: customer data are disabled.", call)
            return None
        return self._customer_data.get(None) or self._make_customer_data()

    def _make_predictions(self) -> PredictionService:
        from tallybook.client.making import prediction_service  # noqa: PLC0415 - 15 ms, see above

        made = prediction_service(self._settings, self._logger)
        service = self._predictions.setdefault(None, made)
        if self._is_closed:
            service.close(0)
        return service

    def _make_customer_data(self) -> CustomerData:
        from tallybook.client.making import customer_data  # noqa: PLC0415 - see above

        made = customer_data(self._settings, self._revisions, self._logger)
        data = self._customer_data.setdefault(None, made)
        if self._is_closed:
            data.events.retire()
        return data
