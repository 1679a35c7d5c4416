"""Sentence of the SDK: datafile → decision → event → delivery."""

from __future__ import annotations

from tallybook.client.client import Client
from tallybook.client.context import Decision, DecisionContext, ForcedDecision, UserContext
from tallybook.client.faults import ErrorHandler
from tallybook.client.memories import UserProfileService
from tallybook.client.settings import ClientSettings
from tallybook.deliver.settings import DeliverySettings, PollingSettings

__all__ = [
    "Client",
    "ClientSettings",
    "Decision",
    "DecisionContext",
    "DeliverySettings",
    "ErrorHandler",
    "ForcedDecision",
    "PollingSettings",
    "UserContext",
    "UserProfileService",
]
