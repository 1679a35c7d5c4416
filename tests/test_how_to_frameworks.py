"""The recipes for frameworks are true: their code runs in the framework, against a collector."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from sinks import Answer, Captured, Sink
from tallybook import Client
from tallybook.testing import DatafileBuilder

PAGES = Path(__file__).resolve().parents[1] / "docs" / "how-to"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:8080"
DATAFILE = (
    DatafileBuilder(events=["purchase", "checkout_seen"])
    .flag("checkout", variations={"treatment": {"color": "green"}})
    .build()
)
DJANGO = """
import django
from django.conf import settings
from django.test import RequestFactory

settings.configure(
    INSTALLED_APPS=["shop.ShopConfig"], TALLYBOOK_SDK_KEY="key", TALLYBOOK_URL={url!r}
)
django.setup()
from shop import checkout, tallybook

assert tallybook().wait_until_ready(10)
print(checkout(RequestFactory().get("/checkout", headers={{"X-User": "user123"}})).content)
"""


@pytest.fixture
def collector() -> Iterator[Sink]:
    def answer(request: Captured) -> Answer:
        return Answer(200, DATAFILE) if request.method == "GET" else Answer(204)

    with Sink(otherwise=answer) as sink:
        yield sink


def code(page: str, collector: Sink) -> list[str]:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return [block.replace(ADDRESS, collector.url) for block in FENCE.findall(text)]


def run(block: str, page: str, **names: Any) -> dict[str, Any]:
    # Annotations are looked up in the module, as FastAPI does it.
    module = type(sys)(f"how_to_{page}")
    module.__dict__.update(names)
    sys.modules[module.__name__] = module
    exec(compile(block, f"{page}.md", "exec"), module.__dict__)  # noqa: S102 - our own document
    return module.__dict__


def keys(collector: Sink) -> list[str]:
    return sorted({event["key"] for event in collector.events})


def test_fastapi(collector: Sink) -> None:
    (block,) = code("fastapi", collector)
    app = run(block, "fastapi")["app"]

    async def visit() -> list[httpx.Response]:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url="http://shop",
                headers={"X-User": "user123"},
            ) as client,
        ):
            return [await client.get("/checkout"), await client.post("/purchase?cents=4200")]

    page, bought = asyncio.run(visit())
    assert (page.json(), bought.status_code) == ({"color": "green"}, 200)
    assert keys(collector) == ["campaign_activated", "purchase"]


def flask_app(collector: Sink) -> Any:
    (block,) = code("flask", collector)
    app = run(block, "flask")["create_app"]()
    assert app.extensions["tallybook"].wait_until_ready(10)
    return app


def test_flask(collector: Sink) -> None:
    app = flask_app(collector)
    user = {"X-User": "user123"}
    assert app.test_client().get("/checkout", headers=user).json == {"color": "green"}
    assert app.test_client().post("/purchase?cents=4200", headers=user).status_code == 204
    assert app.extensions["tallybook"].close() == 0
    assert keys(collector) == ["campaign_activated", "purchase"]


def test_gunicorn_s_hook_delivers_what_a_worker_has(collector: Sink) -> None:
    app = flask_app(collector)
    app.test_client().post("/purchase?cents=4200")
    (block,) = code("gunicorn", collector)
    hooks = run(block, "gunicorn")
    hooks["worker_exit"](None, SimpleNamespace(app=SimpleNamespace(wsgi=lambda: app)))
    assert hooks["preload_app"] is True
    assert keys(collector) == ["purchase"]


def test_django(collector: Sink, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("\n".join(code("django", collector)))
    source = str(PAGES.parents[1] / "src")
    done = subprocess.run(
        [sys.executable, "-c", DJANGO.format(url=collector.url)],
        cwd=tmp_path,
        env={"PYTHONPATH": source, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.strip() == 'b\'{"color": "green"}\'', done.stderr
    assert keys(collector) == ["campaign_activated"]


def test_celery(collector: Sink) -> None:
    (block,) = code("celery", collector)
    names = run(block, "celery")
    names["open_client"]()
    assert names["ship"]("user123", 4200) == "green"
    names["close_client"]()
    assert names["clients"] == {}
    assert keys(collector) == ["campaign_activated", "purchase"]


def test_serverless(collector: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cold, bundled = code("serverless", collector)
    names = run(cold, "serverless")
    assert names["handler"]({"user_id": "user123"}, None) == {"color": "green"}
    assert keys(collector) == ["campaign_activated", "checkout_seen"]
    names["client"].close()
    (tmp_path / "datafile.json").write_bytes(DATAFILE)
    monkeypatch.chdir(tmp_path)
    client = run(bundled, "serverless", Client=Client)["client"]
    assert client.is_ready
    client.close()
