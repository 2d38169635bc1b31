"""What a few items of a platform are, column by column: the truth that a connector is compared with.

`tests/connectors/<platform>/suite.py` holds `truths(folder)`; tests/test_truth.py wants every word of every table and
every option that changes a meaning in it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import TypeAdapter

from exporter.collect import mapping
from exporter.collect.contract import Connector, Needs, needs
from exporter.collect.delivery import Delivery, Event, Refused
from exporter.collect.http import Auth, Client, HttpSettings, Partial
from exporter.collect.reading import ItemReader
from exporter.connectors import CONNECTORS
from exporter.demo.fakes.fault import Handler
from exporter.records import Json, Read, Record
from exporter.records.columns import Rule
from exporter.records.unreadable import Unreadable
from exporter.store.pushed import Merging, Told
from exporter.store.table import Table
from tests.connectors import unfinished
from tests.connectors.world import AT, SINCE

NO_TIME = "'n/a' is not a time, such as 2026-03-31T10:00:00Z"
"""What is said of the time "n/a"."""

HOST = "http://platform.test"
"""Stands for the address of the server in the links of the expected records."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A platform with a few items on it, and all the records that they are. A column nobody names is None."""

    what: str
    app: web.Application | None = None
    secret: tuple[Literal["api_key", "token"], str] | None = None  # sent as the connector says it is to be
    path: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Rule] = field(default_factory=dict)  # as under `fields` in the config: what it finds in items
    deliveries: Sequence[Delivery] = ()  # of what is pushed
    records: Sequence[Record]
    left_out: Sequence[str] = ()  # what is said of items that are none, or not wholly


@dataclass(frozen=True)
class Enum:
    """The words that a platform publishes for something, and the table that must know them all."""

    spec: str  # the file
    path: str  # where it stands in there
    table: Mapping[str, Any]
    beyond: Mapping[str, str] = field(default_factory=dict)  # words of the table that are not published -> why


@lru_cache(maxsize=1)
def reader(options: Any) -> TypeAdapter[Any]:
    """What reads options as the config has them; it takes longer to make than a poll."""
    return TypeAdapter(options)


async def found(connector: Connector, truth: Truth) -> tuple[list[Record], list[str]]:
    """What a connector makes of the items, with the config's fields filled in; and what is said of the others."""
    needed = needs(connector)
    if needed.receive and needed.read_event:
        return pushed(connector, needed, truth)
    auth = needed.auth.fixed(*truth.secret) if truth.secret and needed.auth else Auth()
    kind: Any = connector.Options
    options = reader(kind).validate_json(json.dumps(truth.options), strict=True)
    async with TestServer(truth.app or web.Application()) as server:
        address = str(server.make_url("")).rstrip("/")
        settings = HttpSettings(url=address + truth.path, auth=auth, attempts=1)
        reads: dict[tuple[type[Record], str], Read] = {}
        paths = {rule.field for rule in truth.fields.values() if rule.field}
        async with Client(settings, at=AT, since=SINCE, dialect=needed.dialect, paths=paths) as client:
            try:
                async for page in connector.poll(client, options, {}):
                    reads |= {(type(read.record), read.record.id): read for read in page.reads}
            except Partial:
                pass  # what could be read came before it
        fillers = mapping.compiled({name: [rule] for name, rule in truth.fields.items()}, connector.RECORDS)
        made, _, odd = mapping.records(reads.values(), fillers, hashed)
        said = [f"{fault.column}: {fault.text}" for each in (*client.left_out(), *odd) for fault in each.faults]
        said += client.failed_details
    made = [replace(record, url=record.url and record.url.replace(address, HOST)) for record in made]
    return in_order(made), sorted(text.replace(address, HOST) for text in said)


def pushed(connector: Connector, needed: Needs, truth: Truth) -> tuple[list[Record], list[str]]:
    """The same of what is pushed: the records that its events make together."""
    assert needed.receive
    kind: Any = connector.Options
    options = reader(kind).validate_json(json.dumps(truth.options), strict=True)
    said, client, reads = list[str](), ItemReader(), list[Read]()

    def parts(event: Event) -> Iterable[Read]:
        if isinstance(event.item, Unreadable):
            raise event.item
        found = needed.read_event(options, event) if needed.read_event else ()
        if found is None:
            said.append(f"unused: {event.type}")
        return found or ()

    for delivery in truth.deliveries:
        try:
            reads += client.each(needed.receive(delivery, options).events, parts)
        except Refused as why:
            said.append(f"{why.status} {why.reason}: {why}")
    fillers = mapping.compiled({name: [rule] for name, rule in truth.fields.items()}, connector.RECORDS)
    made, well, odd = mapping.records(reads, fillers, hashed)
    merging = dict[tuple[type[Record], str], Merging]()
    for record, read in zip(made, well, strict=True):
        table = Table(type(record))
        (row,) = zip(*table.sides("", table.rows([record])), strict=True)
        assert read.part
        merging.setdefault((type(record), record.id), Merging(table)).add(row, Told(record, read.part))
    said += [f"{fault.column}: {fault.text}" for each in (*client.left_out(), *odd) for fault in each.faults]
    return in_order([restored(kind, each.row) for (kind, _), each in merging.items()]), sorted(said)


def restored(kind: type[Record], row: Sequence[Any]) -> Record:
    """A row of a table as the record that it holds."""
    values: list[Any] = [
        each.replace(tzinfo=UTC) if isinstance(each, datetime) else tuple(each) if isinstance(each, list) else each
        for each in row
    ]
    return kind(**dict(zip(Table(kind).columns, values, strict=True)))


def expected(truth: Truth) -> tuple[list[Record], list[str]]:
    return in_order(truth.records), sorted(truth.left_out)


def folder_of(name: str) -> str:
    """The folder of a connector's tests, and of its code."""
    return CONNECTORS[name].__name__.rpartition(".")[2]


def told(name: str) -> ModuleType:
    """The module that tells a connector's truth."""
    unfinished.refuse(folder_of(name))
    return import_module(f"tests.connectors.{folder_of(name)}.truth")


def truths(name: str, folder: Path) -> list[Truth]:
    made: list[Truth] = list(told(name).truths(folder))
    return made


async def untrue(name: str, connector: Connector, folder: Path) -> str | None:
    """The first thing that a connector takes for something else."""
    some: Iterator[Truth] = told(name).truths(folder)
    for truth in some:  # one by one: mostly the first tells
        try:
            if await found(connector, truth) != expected(truth):
                return truth.what
        except Exception as error:  # noqa: BLE001 - a connector that was changed may do anything
            return f"{truth.what}: {error!r}"
    return None


def in_order(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda record: (type(record).__name__, record.id))


def hashed(person: str) -> str:
    """What a person's name becomes."""
    return f"hash of {person}"


def rewritten(app: web.Application, path: str, change: Callable[[Json], object]) -> web.Application:
    """The app with its answers about a path (how that ends) changed, where the fake has no such thing by itself."""

    @web.middleware
    async def otherwise(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if not request.path.endswith(path) or not isinstance(answer, web.Response):
            return answer
        body = json.loads(str(answer.text))
        change(body)
        return web.json_response(body)

    app.middlewares.append(otherwise)
    return app
