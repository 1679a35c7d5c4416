"""Django's settings for the shop, as few as it runs with."""

from __future__ import annotations

import os

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "only-for-the-example")
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["shop.apps.ShopConfig"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
USE_TZ = True

TALLYBOOK_URL = os.environ.get("TALLYBOOK_URL", "http://127.0.0.1:8080")
TALLYBOOK_SDK_KEY = os.environ.get("TALLYBOOK_SDK_KEY", "prod-key")
