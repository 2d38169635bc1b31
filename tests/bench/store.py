"""How fast records get into the store: in bulk, and page by page over HTTP against fetching and decoding alone.

    python -m tests.bench.store [records]

Ratios are of one run on one machine; the best of three counts, as others use the machine too.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.contract import Cursor, Page
from exporter.collect.http import Client, HttpSettings
from exporter.collect.mapping import compiled
from exporter.collect.poll import poll_once
from exporter.collect.selfmetrics import Health
from exporter.collect.source import Source
from exporter.records import Run, instant
from exporter.records.columns import Rule
from exporter.store import Store

AT = datetime(2026, 3, 31, tzinfo=UTC)
PAGE = 250
TIMES = 3
RECORDS = (Run,)


def item(number: int) -> dict[str, Any]:
    began = AT - timedelta(seconds=number)
    return {
        "id": str(number),
        "workflow": f"workflow {number % 40}",
        "status": "failed" if number % 9 == 0 else "succeeded",
        "startedAt": began.isoformat(),
        "stoppedAt": (began + timedelta(seconds=number % 600)).isoformat(),
        "mode": "webhook",
        "squad": f"team {number % 12}",
        "payload": {"nodes": [{"name": f"node {n}", "type": "http", "ok": True} for n in range(5)]},
    }


def run(item: dict[str, Any]) -> Run:
    return Run(
        id=item["id"],
        url=f"https://flows.example.org/{item['id']}",
        workflow=item["workflow"],
        root_id=item["id"],
        attempt=1,
        started_at=instant(item["startedAt"]),
        finished_at=instant(item["stoppedAt"]),
        status=item["status"],
        trigger=item["mode"],
    )


async def poll(client: Client, count: int, _cursor: Cursor) -> AsyncIterator[Page]:
    for page in range(count // PAGE):
        yield Page(client.each(await client.get(f"/{page}"), run), {"page": page})


def source(url: str, count: int) -> Source:
    return Source(
        name="bench",
        type="bench",
        connector=sys.modules[__name__],
        options=count,
        http=HttpSettings(url=url),
        mapping=compiled({"team": [Rule(field="squad")]}, RECORDS),
        records=RECORDS,
        interval_seconds=60,
        initial_history_seconds=86400,
        max_staleness_seconds=3600,
        fingerprint="bench",
    )


async def fetched(url: str, count: int) -> None:
    """Fetching and decoding alone."""
    async with Client(HttpSettings(url=url), at=AT, since=AT) as client:
        for page in range(count // PAGE):
            await client.get(f"/{page}")


async def polled(url: str, count: int, store: Store) -> None:
    outcome = await poll_once(source(url, count), store, Health(version="bench"), AT)
    assert (outcome.records, outcome.reason) == (count, None), outcome


async def seconds(function: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await function()
    return time.perf_counter() - began


def bulk(folder: Path, count: int) -> None:
    records = [run(item(number)) for number in range(count)]
    best = {"new": 0.0, "equal": 0.0}
    for attempt in range(TIMES):
        with Store.open(folder / f"bulk{attempt}.duckdb") as store:
            for what, rate in list(best.items()):
                began = time.perf_counter()
                store.write("bench", records, {"what": what})
                best[what] = max(rate, count / (time.perf_counter() - began))
            size = store.size()
    sys.stdout.write(f"bulk, new records:    {best['new']:9,.0f} records/s, {size / count:.0f} bytes on disk each\n")
    sys.stdout.write(f"bulk, equal records:  {best['equal']:9,.0f} records/s\n")


async def by_pages(folder: Path, count: int, page_seconds: float) -> None:
    """`page_seconds`: how long the platform takes for a page."""
    bodies = [msgspec.json.encode([item(p * PAGE + n) for n in range(PAGE)]) for p in range(count // PAGE)]

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(page_seconds)
        return web.Response(body=bodies[int(request.match_info["page"])], content_type="application/json")

    app = web.Application()
    app.router.add_get("/{page}", answer)
    fetch = first = again = float("inf")
    async with TestServer(app) as server:
        url = str(server.make_url(""))
        for attempt in range(TIMES):
            with Store.open(folder / f"pages{page_seconds}-{attempt}.duckdb") as store:
                fetch = min(fetch, await seconds(lambda: fetched(url, count)))
                first = min(first, await seconds(lambda: polled(url, count, store)))
                again = min(again, await seconds(lambda: polled(url, count, store)))
    sys.stdout.write(f"pages of {PAGE}, {page_seconds * 1000:.0f} ms each on the platform\n")
    sys.stdout.write(f"fetch and decode:     {count / fetch:9,.0f} records/s\n")
    sys.stdout.write(
        f"poll to committed:    {count / first:9,.0f} records/s, {first / fetch:.2f} times fetch and decode\n"
    )
    sys.stdout.write(
        f"the same poll again:  {count / again:9,.0f} records/s, {again / fetch:.2f} times fetch and decode\n"
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        bulk(Path(folder), count)
        for page_seconds in (0, 0.05):
            asyncio.run(by_pages(Path(folder), count // 4 // PAGE * PAGE, page_seconds))


if __name__ == "__main__":
    main()
