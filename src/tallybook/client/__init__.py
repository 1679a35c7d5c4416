"""Sentence of the SDK: datafile → decision → event → delivery."""

from __future__ import annotations

from tallybook.client.client import Client
from tallybook.client.context import Decision, UserContext
from tallybook.client.diagnostics import ErrorHandler
from tallybook.client.forced import DecisionContext, ForcedDecision
from tallybook.client.memories import UserProfileService
from tallybook.client.service_settings import CmabSettings, OdpSettings
from tallybook.client.settings import ClientSettings
from tallybook.deliver.settings import DeliverySettings, PollingSettings
from tallybook.model.customer_data import SegmentOption

__all__ = [
    "Client",
    "ClientSettings",
    "CmabSettings",
    "Decision",
    "DecisionContext",
    "DeliverySettings",
    "ErrorHandler",
    "ForcedDecision",
    "OdpSettings",
    "PollingSettings",
    "SegmentOption",
    "UserContext",
    "UserProfileService",
]
