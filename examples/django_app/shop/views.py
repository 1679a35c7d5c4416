"""The shop's pages."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_POST

from shop.apps import tallybook
from tallybook import UserContext


@require_GET
def checkout(request: HttpRequest) -> HttpResponse:
    """The checkout page's colour."""
    decision = _user(request).decide("checkout")
    return JsonResponse(
        {
            "variation": decision.variation_key,
            "color": decision.variables.get("color", "blue"),
        }
    )


@require_POST
def purchase(request: HttpRequest) -> HttpResponse:
    """Record that the user bought something."""
    cents = request.GET.get("cents", "")
    if not cents.isdecimal():
        return HttpResponse("cents: expected a whole number", status=400)
    _user(request).track_event("purchase", {"revenue": int(cents)})
    return HttpResponse(status=204)


@require_GET
def health(_request: HttpRequest) -> HttpResponse:
    """Whether the shop runs, and whether it has a datafile."""
    return JsonResponse({"tallybook": tallybook().is_ready})


def _user(request: HttpRequest) -> UserContext:
    # A real shop would take the user from the session.
    plan = request.headers.get("X-Plan", "free")
    return tallybook().create_user_context(request.headers.get("X-User", ""), {"plan": plan})
