"""The shop's Django application: one client for the process, made when Django is set up."""

from __future__ import annotations

import atexit
from typing import cast

from django.apps import AppConfig, apps
from django.conf import settings

from tallybook import Client


class ShopConfig(AppConfig):
    """Holds the client; a process forked later, by a server that preloads, has its own threads."""

    name = "shop"

    def ready(self) -> None:
        """Open the client: nothing waits here, flags are off until the datafile comes."""
        self.client = Client(sdk_key=settings.TALLYBOOK_SDK_KEY, server_url=settings.TALLYBOOK_URL)
        atexit.register(self.client.close)


def tallybook() -> Client:
    """The process's client."""
    return cast("ShopConfig", apps.get_app_config("shop")).client
