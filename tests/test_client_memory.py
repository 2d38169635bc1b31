"""A history of a hundred thousand items is read in the memory of a few pages."""

import sys

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from exporter.collect.http import Client, HttpSettings
from exporter.collect.paging import by_token
from exporter.records import Json, Run, instant
from exporter.records.unreadable import value
from tests.connectors.world import AT, SINCE

PAGE, PAGES = 250, 400
BLOCKS = 5 * PAGE  # of memory that a page holds at least: each item with its key, its values and its record
PAGES_HELD = 60  # of 400; other tests of the same process leave some garbage


async def page(request: web.Request) -> web.Response:
    number = int(request.query.get("cursor", 0))
    items = [
        {"id": f"{number}-{each}", "startedAt": "2026-03-30T12:00:00Z" if each else "n/a", "notes": "x" * 100}
        for each in range(PAGE)
    ]
    return web.json_response({"data": items, "nextCursor": str(number + 1) if number + 1 < PAGES else None})


def settings(server: BaseTestServer) -> HttpSettings:
    return HttpSettings(url=str(server.make_url("")).rstrip("/"))


def run(item: Json) -> Run:
    return Run(id=item["id"], started_at=value("started_at", instant, item["startedAt"]))


@pytest.mark.slow
async def test_a_hundred_thousand_items_are_read_in_bounded_memory() -> None:
    app = web.Application()
    app.router.add_get("/items", page)
    read, left_out, held = 0, 0, list[int]()
    async with TestServer(app) as server, Client(settings(server), at=AT, since=SINCE) as client:
        async for answer in by_token(client, "/items", items="data", next_in="nextCursor", next_as="cursor"):
            read += len(await client.mapped(answer.items, run))
            left_out += len(client.left_out())
            held.append(sys.getallocatedblocks())

    assert (read, left_out) == (PAGE * PAGES - PAGES, PAGES)
    assert max(held[10:]) - held[10] < PAGES_HELD * BLOCKS  # by the tenth all is imported and connected
