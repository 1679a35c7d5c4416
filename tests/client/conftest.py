from __future__ import annotations

from collections.abc import Iterator

import pytest

from shop import Shop

collect_ignore = ["green_threads"]  # programs that the tests start


@pytest.fixture
def shop() -> Iterator[Shop]:
    opened = Shop()
    yield opened
    opened.client.close(5)
