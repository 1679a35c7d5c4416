"""Where the shop's pages are."""

from __future__ import annotations

from django.urls import path

from shop import views

urlpatterns = [
    path("checkout", views.checkout),
    path("purchase", views.purchase),
    path("health", views.health),
]
