"""The same test for the official package and ours: what is tried comes from ``sdk``."""

from __future__ import annotations

import pytest

from both_sdks import OFFICIAL, OURS, Dispatcher, Sdk, Spoken


@pytest.fixture(params=[OFFICIAL, OURS])
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return Sdk(request.param)


@pytest.fixture
def ours() -> Sdk:
    return Sdk(OURS)


@pytest.fixture
def official() -> Sdk:
    return Sdk(OFFICIAL)


@pytest.fixture
def dispatcher() -> Dispatcher:
    return Dispatcher()


@pytest.fixture
def spoken() -> Spoken:
    return Spoken()
