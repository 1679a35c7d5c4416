"""A client's predictions for contextual bandits: by the SDK's own service, or somebody else's."""

from __future__ import annotations

import weakref
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from tallybook.model.decision import Visitor
from tallybook.model.memory import Predict
from tallybook.model.prediction import NO_SERVICE, Prediction
from tallybook.model.project import Experiment, Project
from tallybook.model.reason import Reason, ReasonKind
from tallybook.model.text import readable
from tallybook.optimizely._logging import Logger
from tallybook.optimizely.optimizely_user_context import OptimizelyUserContext

if TYPE_CHECKING:
    from tallybook.optimizely.cmab.cmab_client import DefaultCmabClient
    from tallybook.optimizely.cmab.cmab_service import DefaultCmabService


class CmabParts(NamedTuple):
    """What a client's own service is made of; ``None`` is the usual."""

    endpoint: str | None = None
    cache: Any = None
    cache_size: int | None = None
    cache_timeout_s: int | None = None

    def new_client(self, logger: Logger) -> DefaultCmabClient:
        """What asks for predictions."""
        from tallybook.optimizely.cmab.cmab_client import (  # noqa: PLC0415 - most need none
            CmabRetryConfig,
            DefaultCmabClient,
        )

        return DefaultCmabClient(None, CmabRetryConfig(), logger, self.endpoint)

    def new_cache(self) -> Any:
        """What keeps them."""
        from tallybook.optimizely.cmab.cmab_service import (  # noqa: PLC0415 - see above
            DEFAULT_CMAB_CACHE_SIZE,
            DEFAULT_CMAB_CACHE_TIMEOUT,
        )
        from tallybook.optimizely.odp.lru_cache import LRUCache  # noqa: PLC0415 - see above

        if self.cache is not None:
            return self.cache
        return LRUCache(
            self.cache_size or DEFAULT_CMAB_CACHE_SIZE,
            self.cache_timeout_s or DEFAULT_CMAB_CACHE_TIMEOUT,
        )


def new_service(client: Any) -> DefaultCmabService:
    """A client's own service, of its own cache and client."""
    from tallybook.optimizely.cmab.cmab_service import DefaultCmabService  # noqa: PLC0415 - see above

    return DefaultCmabService(client.cmab_cache, client.cmab_client, client.logger)


class Predictions:
    """Predicts for a client, which it does not keep alive."""

    def __init__(self, client: Any) -> None:
        self._client = weakref.ref(client)

    def predictor(self, project: Project, options: Collection[str]) -> Predict:
        """What predicts for the users of a project, as the options of a call want it."""
        client = self._client()
        if client is None:
            return lambda *_: NO_SERVICE
        service = client.cmab_service
        if _is_own(service):
            predict: Predict = service.predictor(project, options)
            return predict
        return lambda experiment, visitor: _asked(client, experiment, visitor, options)


def _is_own(service: Any) -> bool:
    from tallybook.optimizely.cmab.cmab_service import DefaultCmabService  # noqa: PLC0415 - see above

    own = DefaultCmabService.get_decision
    is_own = getattr(type(service), "get_decision", None) is own
    return is_own and "get_decision" not in vars(service)


def _asked(
    client: Any, experiment: Experiment, visitor: Visitor, options: Collection[str]
) -> Prediction:
    """What somebody else's service says. What it raises is a failure; ``None`` is no variation."""
    user = OptimizelyUserContext(client, client.logger, visitor.user_id, identify=False)
    user._become(visitor)  # noqa: SLF001 - with what was forced, and the segments
    try:
        config = client.config_manager.get_config()
        decision, reasons = client.cmab_service.get_decision(
            config, user, experiment.id, sorted(options)
        )
        steps = tuple(Reason(ReasonKind.CMAB_REMARK, {"remark": str(why)}) for why in reasons)
        variation_id, cmab_uuid = _read(decision or {})
    except Exception as error:  # noqa: BLE001 - somebody else's code
        return Prediction(None, cause=readable(f"{type(error).__name__}: {error}"))
    return Prediction(variation_id, cmab_uuid, steps)


def _read(decision: Any) -> tuple[str, str | None]:
    variation_id, cmab_uuid = decision.get("variation_id"), decision.get("cmab_uuid")
    return str(variation_id or ""), None if cmab_uuid is None else str(cmab_uuid)
