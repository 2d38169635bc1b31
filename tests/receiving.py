"""An exporter's server that receives what is pushed, with a store of its own, and senders of every kind."""

import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from prometheus_client import CollectorRegistry

from exporter.collect.mapping import compiled
from exporter.collect.receive import MOST_WAITING, Inbox
from exporter.collect.selfmetrics import Health
from exporter.collect.signature import Door, SchemeName
from exporter.collect.source import Source
from exporter.connectors import events
from exporter.publish.exposition import Publisher
from exporter.server import Server, Surface
from exporter.server.gate import Gate
from exporter.server.overview import overview
from exporter.server.reach import Reach
from exporter.store import Store
from tests import polled
from tests.connectors.world import AT

TOKEN = "sesame"
STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def source(name: str = "pipelines", scheme: SchemeName = "bearer", *secrets: str, **more: Any) -> Source:
    """A source that is pushed CloudEvents."""
    made = {
        "name": name,
        "type": "events",
        "door": Door(scheme, secrets or (TOKEN,), more.pop("most_bytes", 1024 * 1024)),
        "options": events.Options(),
        "mapping": compiled({}, events.RECORDS),
    }
    return polled.source(events, **{**made, **more})


def run(id_: str, *, event: str = "", time: str | None = None, **columns: Any) -> dict[str, Any]:
    """A CloudEvent with a run of ours."""
    attributes = {"specversion": "1.0", "id": event or f"{id_} {columns}", "source": "/test", "type": "outcome.run"}
    return attributes | ({"time": time} if time else {}) | {"data": {"id": id_, **columns}}


def signed(secret: str, body: bytes) -> dict[str, str]:
    """The header of a signature in GitHub's form."""
    return {"X-Hub-Signature-256": f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"}


@dataclass
class Listening:
    """The server, its store, and the time."""

    url: str
    store: Store
    inbox: Inbox
    health: Health
    http: ClientSession
    clock: list[datetime] = field(default_factory=lambda: [AT])

    async def post(
        self, body: Any, headers: Mapping[str, str] | None = None, path: str = "/events/pipelines", method: str = "POST"
    ) -> tuple[int, str, Mapping[str, str]]:
        """Sends a body as it is, or an event with the right token; status, text and headers of the answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {TOKEN}", **STRUCTURED} if headers is None else headers
        async with self.http.request(method, self.url + path, data=raw, headers=given) as response:
            return response.status, await response.text(), response.headers

    def value(self, name: str, **labels: str) -> float | None:
        """A metric of the exporter itself."""
        return self.health.registry.get_sample_value(f"outcome_source_{name}", {"source": "pipelines", **labels})

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.store.reading() as reader:
            found: list[tuple[Any, ...]] = reader.execute(query).fetchall()
            return found


@asynccontextmanager
async def listening(
    path: Path, *sources: Source, gate: Gate | None = None, reach: Reach | None = None, most_waiting: int = MOST_WAITING
) -> AsyncIterator[Listening]:
    """A server that receives for these sources, or for one with the token `TOKEN`."""
    health, clock = Health(version="0"), [AT]
    publisher = Publisher(CollectorRegistry(), seconds=lambda: 0.0, refused=lambda: None)
    with Store.open(path) as store:
        inbox = Inbox(store, health, lambda: clock[-1], most_waiting)
        surface = Surface(
            publisher=publisher,
            version="0",
            now=lambda: clock[-1],
            ready=lambda: True,
            state=str,
            overview=lambda: overview(None, []),
            cards=lambda _query: {},
            kpis=list,
            reload=unchanged,
            inbox=inbox,
            reach=reach or Reach(),
        )
        server = Server(surface, gate or Gate(None))
        urls = await server.start(["127.0.0.1:0"])
        for each in sources or (source(),):
            health.sources.watch(each.name, kind=each.type, interval_seconds=60, records=["run", "change"])
        inbox.apply(sources or (source(),))
        try:
            async with ClientSession() as http:
                yield Listening(urls[0].rstrip("/"), store, inbox, health, http, clock)
        finally:
            await server.stop()
            await inbox.stop()


async def unchanged() -> str | None:
    return None
