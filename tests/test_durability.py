"""A first sync that is killed thirty times ends with the same records as one that is left in peace.

This module is the connector, too.
"""

import asyncio
import multiprocessing
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.contract import Cursor, Page
from exporter.collect.http import Client, HttpSettings
from exporter.collect.mapping import compiled
from exporter.collect.poll import Outcome, PollLimits, Show, poll_once
from exporter.collect.selfmetrics import Health
from exporter.records import Request, Run, instant
from exporter.records.columns import Rule
from exporter.store import Store
from tests import deadline, polled

pytestmark = pytest.mark.slow

AT = datetime(2026, 3, 31, tzinfo=UTC)
ITEMS = 20_000
PAGE = 250
KILLS = 30

RECORDS = (Run, Request)


async def poll(client: Client, _options: object, cursor: Cursor) -> AsyncIterator[Page]:
    """Goes on after the last page stored."""
    offset = cursor.get("offset", 0)
    while items := (await client.get("/items", {"offset": offset}))["items"]:
        offset += PAGE
        gone = [(Run, item["replaces"]) for item in items if "replaces" in item]
        yield Page(client.each(items, record), {"offset": offset}, gone=gone)


def record(item: dict[str, Any]) -> Run | Request:
    at = instant(item["at"])
    if item["kind"] == "request":
        return Request(id=item["id"], opened_at=at, requester=item["who"])
    return Run(id=item["id"], started_at=at, status=item["status"], human_seconds=item["seconds"])


def item(number: int) -> dict[str, Any]:
    """Runs and requests in one list; some runs come again with another status, some are replaced."""
    chance = random.Random(number)
    again = number % 40 == 39
    made = {
        "id": str(number - 20 if again else number),
        "kind": "request" if number % 5 == 0 else "run",
        "at": (AT - timedelta(seconds=number)).isoformat(),
        "status": chance.choice(["succeeded", "failed", "running"]),
        "seconds": chance.random() * 100,
        "who": f"person{number % 300}@example.org",
        "squad": f"team{number % 7}",
    }
    return made | ({"replaces": str(number - 3)} if number % 50 == 49 else {})


@dataclass
class Platform:
    """Serves the items page by page and tells when it is asked."""

    items: list[dict[str, Any]] = field(default_factory=lambda: [item(n) for n in range(ITEMS)])
    asked: asyncio.Queue[int] = field(default_factory=asyncio.Queue)

    async def answer(self, request: web.Request) -> web.Response:
        offset = int(request.query["offset"])
        self.asked.put_nowait(offset)
        await asyncio.sleep(0.03)  # a page is stored in about that time, so that kills fall before, into and after it
        return web.json_response({"items": self.items[offset : offset + PAGE]})

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/items", self.answer)
        return app


async def sync(url: str, path: Path, show: Show | None = None) -> Outcome:
    """One poll with a store of its own."""
    source = polled.source(
        sys.modules[__name__],
        name="durable",
        http=HttpSettings(url=url),
        mapping=compiled({"team": [Rule(field="squad")]}, RECORDS),
    )
    with Store.open(path) as store:
        # Two pages share a transaction, so that kills fall between them, too.
        return await poll_once(source, store, Health(version="0"), AT, limits=PollLimits(together=2 * PAGE), show=show)


def sync_and_exit(url: str, path: Path, stored: Connection) -> None:
    sys.exit(asyncio.run(sync(url, path, stored.send)).reason)


def start(url: str, path: Path) -> tuple[ForkServerProcess, Connection]:
    """A process of its own, from a server that has everything imported: thirty imports would be most of the time.

    What is received from it says that a transaction has ended.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    stored, its = context.Pipe(duplex=False)
    process = context.Process(target=sync_and_exit, args=(url, path, its))
    process.start()
    its.close()
    return process, stored


def contents(path: Path) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Every run and request; persons, whose hash differs from store to store, as how often each was seen."""
    with Store.open(path) as store, store.reading() as reader:
        runs = reader.execute("select id, source, team, started_at, status, human_seconds from run order by all")
        rows = runs.fetchall()
        requests = reader.execute(
            "select id, source, team, opened_at, count(*) over (partition by requester) from request order by all"
        )
        return rows, requests.fetchall()


async def test_a_first_sync_killed_at_thirty_moments_ends_as_one_left_in_peace(tmp_path: Path) -> None:
    platform, chance = Platform(), random.Random(20260331)
    killed = tmp_path / "killed.duckdb"
    began_at = []  # the first page each process asked for: what the ones before it had stored
    async with TestServer(platform.app()) as server:
        url = str(server.make_url(""))
        for _ in range(KILLS):
            process, stored = start(url, killed)
            async with deadline.within(30):
                began_at.append(await platform.asked.get())
                for _ in range(chance.randint(0, 3)):
                    await asyncio.to_thread(stored.recv)
            await asyncio.sleep(chance.random() * 0.03)  # somewhere between a question and the end of its transaction
            process.kill()
            await asyncio.to_thread(process.join)
            assert process.exitcode == -signal.SIGKILL
            while not platform.asked.empty():
                platform.asked.get_nowait()
        process, _ = start(url, killed)
        await asyncio.to_thread(process.join)

        assert process.exitcode == 0
        assert (await sync(url, tmp_path / "peace.duckdb")).reason is None
    runs, requests = contents(killed)
    assert began_at == sorted(began_at)
    assert len(set(began_at)) > 5  # they were killed at different stages
    assert max(began_at) < ITEMS
    assert len(runs) == len({row[0] for row in runs})
    assert (runs, requests) == contents(tmp_path / "peace.duckdb")
    expected = {each["id"]: each for each in platform.items if each["kind"] == "run"}
    for each in platform.items:
        expected.pop(each.get("replaces", ""), None)
    assert len(runs) == len(expected)
    assert len(requests) == ITEMS / 5
