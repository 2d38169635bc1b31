"""A platform being polled as the poller would, with the trouble that a test asks for in between."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.base.errors import StartOver
from exporter.collect.contract import Connector, needs
from exporter.collect.http import Auth, Client, HttpSettings
from exporter.connectors import CONNECTORS
from exporter.demo.fakes.fault import Faults
from exporter.records import Record
from tests.connectors import unfinished
from tests.connectors.world import AT, SINCE, World

EVERY = sorted(CONNECTORS)
NAMES = [name for name in EVERY if not needs(CONNECTORS[name]).receive]
"""Those that poll; what is pushed is the matter of tests/test_receive.py."""
Key = tuple[type[Record], str]


@dataclass
class Source:
    """A platform being served, what a poller would have stored of it, and the HTTP trouble in between."""

    connector: Connector
    world: World
    url: str
    faults: Faults
    cursor: Mapping[str, Any] = field(default_factory=dict)
    records: dict[Key, Record] = field(default_factory=dict)
    skipped: int = 0
    failed_details: int = 0
    started_over: int = 0
    timeout_seconds: float = 10

    async def poll(
        self, *, pages: int | None = None, auth: Auth | None = None, at: datetime = AT, since: datetime = SINCE
    ) -> int:
        """Polls and stores, as the poller does; dies after so many pages. The number of pages that came."""
        settings = HttpSettings(
            url=self.url,
            auth=auth or self.world.auth,
            attempts=1,
            retry_wait_seconds=0.001,
            timeout_seconds=self.timeout_seconds,
        )
        dialect = needs(self.connector).dialect
        async with Client(settings, at=at, since=since, dialect=dialect) as client:
            try:
                came = await self.store(client, pages)
            except StartOver as anew:
                self.started_over += 1
                self.cursor = anew.cursor
                came = await self.store(client, pages)
            self.skipped, self.failed_details = client.skipped.total(), len(client.failed_details)
        return came

    async def store(self, client: Client, pages: int | None) -> int:
        came = 0
        async for page in self.connector.poll(client, self.world.options, self.cursor):
            self.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
            for key in page.gone:
                self.records.pop(key, None)
            self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
            came += 1
            if came == pages:
                break
        return came


def connector(name: str) -> Connector:
    return CONNECTORS[name]


def world(name: str, folder: Path) -> World:
    module = connector(name).__name__.rpartition(".")[2]
    unfinished.refuse(module)
    made: World = import_module(f"tests.connectors.{module}.suite").world(folder)
    return made


def speaks_http(name: str) -> bool:
    return name != "files"


LATER = AT + timedelta(hours=1)
"""When what failed at AT has been asked for again."""

HTTP_NAMES = [name for name in NAMES if speaks_http(name)]


@asynccontextmanager
async def served(name: str, folder: Path) -> AsyncIterator[Source]:
    its = world(name, folder)
    faults = Faults()
    app = its.app or web.Application()
    app.middlewares.insert(0, faults.middleware())
    async with TestServer(app) as server:
        try:
            yield Source(connector(name), its, str(server.make_url("")).rstrip("/") + its.path, faults)
        finally:
            faults.silence_ends.set()


def ids(source: Source) -> set[str]:
    return {key for _, key in source.records}


def instants(record: Record, but: Collection[str] = ()) -> list[datetime]:
    names = [each.name for each in fields(record) if each.name not in but]
    return [value for name in names if isinstance(value := getattr(record, name), datetime)]


def without(records: Mapping[Key, Record], spoiled: str) -> dict[Key, Record]:
    return {key: record for key, record in records.items() if key[1].partition("/")[0] != spoiled}
