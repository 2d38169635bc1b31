"""Calls and seconds for 10,000 records of each connector, against fetching and decoding the same answers alone.

    python -m tests.bench.connectors [records] [connector ...]

The platforms are the fakes of the contract suite, each filled with work that has ended. It is polled once so that its
answers are known; what is measured gets these answers, at once or 100 ms later, for the time must not be the fake's.
Fetching alone puts one question after another. Ratios are of one run on one machine. A connector that asks about single
records is measured with a tenth of them; one whose platform limits how often it may be asked waits here, too.
"""

import asyncio
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.contract import Connector
from exporter.collect.http import Auth, Client, HttpSettings, SourceError
from exporter.collect.mapping import compiled
from exporter.collect.poll import poll_once
from exporter.collect.selfmetrics import Health
from exporter.collect.source import Source
from exporter.demo.fakes.fault import Handler
from exporter.store import Store
from tests.connectors.source import HTTP_NAMES, connector, world
from tests.connectors.world import AT, SINCE
from tests.fakes.rest import LARGEST

BACK = timedelta(days=60)  # over which the work is spread
TIMES = 3  # without latency; the best one counts
LONG = 20  # seconds after which none is repeated
PROBED, MOST_CALLS = 200, 50
"""So many records are tried first; a connector that needs more calls for them asks about single records."""
WIDTH = "{:16} {:>8} {:>6} {:>17} {:>11} {:>11} {:>6} {:>11} {:>11} {:>6}\n"

Question = tuple[str, str, tuple[tuple[str, str], ...], bytes]
"""Method, path, query and body."""
Answers = dict[Question, tuple[int, dict[str, str], bytes]]
"""Status, headers and body, in the order in which they were asked for."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A connector with all that its platform answers to a first poll."""

    connector: Connector
    options: Any
    auth: Auth
    path: str
    answers: Answers

    async def polled(self, url: str, folder: Path) -> tuple[int, float]:
        """One first poll into a new store: how many records, in how many seconds."""
        with tempfile.TemporaryDirectory(dir=folder) as own, Store.open(Path(own) / "bench.duckdb") as store:
            source = Source(
                name="bench",
                type="bench",
                connector=self.connector,
                options=self.options,
                http=HttpSettings(url=url + self.path, auth=self.auth),
                mapping=compiled({}, self.connector.RECORDS),
                records=self.connector.RECORDS,
                interval_seconds=60,
                initial_history_seconds=int((AT - SINCE).total_seconds()),
                max_staleness_seconds=3600,
                fingerprint="bench",
            )
            began = time.perf_counter()
            outcome = await poll_once(source, store, Health(version="bench"), AT)
            took = time.perf_counter() - began
        assert outcome.reason is None, outcome
        return outcome.records, took

    async def fetched(self, url: str) -> float:
        """The seconds that fetching and decoding alone takes."""
        began = time.perf_counter()
        async with Client(HttpSettings(url=url, auth=self.auth), at=AT, since=SINCE) as client:
            for _, path, query, body in self.answers:
                with suppress(SourceError):  # of what is not there
                    await client.ask(path, query_of(query), json=msgspec.json.decode(body) if body else None)
        return time.perf_counter() - began


async def learnt(name: str, records: int, folder: Path) -> Bench:
    """Fills a platform, and asks it all that its connector asks."""
    its, answers = world(name, folder), Answers()
    for number in range(records):
        its.work(AT - BACK + number * BACK / records)
    # As large as a connector asks for, and of an API that the config describes as large as that gives.
    sizes = [each for each in fields(its.options) if each.name == "page_size"]
    usual = {each.name: LARGEST if name == "rest" else each.default for each in sizes}

    @web.middleware
    async def learn(request: web.Request, handler: Handler) -> web.StreamResponse:
        question, answer = await asked(request), await handler(request)
        if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
            headers = {each: text for each, text in answer.headers.items() if each != "Content-Length"}
            answers.setdefault(question, (answer.status, headers, answer.body))
        return answer

    app = its.app or web.Application()
    app.middlewares.insert(0, learn)
    module, options = connector(name), replace(its.options, **usual)
    bench = Bench(connector=module, options=options, auth=its.auth, path=its.path, answers=answers)
    async with TestServer(app) as server:
        await bench.polled(str(server.make_url("")).rstrip("/"), folder)
    return bench


async def asked(request: web.Request) -> Question:
    return request.method, request.path, tuple(request.query.items()), await request.read()


def query_of(pairs: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    return {name: [text for each, text in pairs if each == name] for name, _ in pairs}


async def measured(name: str, records: int, folder: Path) -> None:
    """One row of the table."""
    one_by_one = records > PROBED and len((await learnt(name, PROBED, folder)).answers) > MOST_CALLS
    bench, latency, calls = await learnt(name, records // 10 if one_by_one else records, folder), 0.0, 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        await asyncio.sleep(latency)
        status, headers, body = bench.answers[await asked(request)]
        return web.Response(status=status, headers=headers, body=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        stored, poll = await bench.polled(url, folder)
        once, fetch = calls, await bench.fetched(url)
        for _ in range(TIMES - 1 if poll < LONG else 0):
            fetch = min(fetch, await bench.fetched(url))
            poll = min(poll, (await bench.polled(url, folder))[1])
        latency = 0.1
        far_fetch, (_, far_poll) = await bench.fetched(url), await bench.polled(url, folder)
    size = sum(len(body) for *_, body in bench.answers.values()) / stored
    times = [f"{value * 10_000 / stored:.2f} s" for value in (fetch, poll, far_fetch, far_poll)]
    near, far = f"{poll / fetch:.2f}", f"{far_poll / far_fetch:.2f}"
    per = f"{once * 10_000 / stored:,.0f}"
    sys.stdout.write(WIDTH.format(name, f"{stored:,}", per, f"{size:,.0f} bytes", *times[:2], near, *times[2:], far))


async def main(records: int, names: list[str]) -> None:
    sys.stdout.write("per 10,000 records; fetch and decode alone against poll to committed\n")
    heads = ("fetch, 0 ms", "poll, 0 ms", "times", "100 ms", "100 ms", "times")
    sys.stdout.write(WIDTH.format("connector", "records", "calls", "a record is", *heads))
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            await measured(name, records, Path(folder))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, sys.argv[2:] or HTTP_NAMES))
