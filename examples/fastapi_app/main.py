"""A small shop on FastAPI: one client for the process, opened and closed with the application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request, status

from tallybook import Client, UserContext

SERVER_URL = os.environ.get("TALLYBOOK_URL", "http://127.0.0.1:8080")
SDK_KEY = os.environ.get("TALLYBOOK_SDK_KEY", "prod-key")
READY_WITHIN_S = 5


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the client before the first request; leaving the block delivers what still waits."""
    async with Client(sdk_key=SDK_KEY, server_url=SERVER_URL) as client:
        # Without a datafile in time, the shop opens all the same: flags are off until it comes.
        await client.ready(READY_WITHIN_S)
        app.state.tallybook = client
        yield


app = FastAPI(lifespan=lifespan)


def current_user(
    request: Request,
    x_user: Annotated[str, Header()],
    x_plan: Annotated[str, Header()] = "free",
) -> UserContext:
    """The user of a request; a real shop would take them from the session."""
    client: Client = request.app.state.tallybook
    return client.create_user_context(x_user, {"plan": x_plan})


User = Annotated[UserContext, Depends(current_user)]


@app.get("/checkout")
async def checkout(user: User) -> dict[str, str | None]:
    """The checkout page's colour. Deciding neither blocks the loop nor waits for the network."""
    decision = user.decide("checkout")
    return {
        "variation": decision.variation_key,
        "color": decision.variables.get("color", "blue"),
    }


@app.post("/purchase", status_code=status.HTTP_204_NO_CONTENT)
async def purchase(user: User, cents: int) -> None:
    """Record that the user bought something."""
    user.track_event("purchase", {"revenue": cents})


@app.get("/health")
async def health(request: Request) -> dict[str, bool]:
    """Whether the shop runs, and whether it has a datafile."""
    client: Client = request.app.state.tallybook
    return {"tallybook": client.is_ready}
