"""How long a scrape takes against static bytes of the same size from the same server: python tests/bench/scrape.py

One process serves 20,000 series at /metrics and the very same bytes as plain answers; another asks for both in turn,
in blocks, so that a busy machine slows both. Prints medians and the ratio; then the same of many scrapers at once, and
how long a snapshot being rendered keeps the event loop waiting. These two are CPU time: other programs do not count.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiohttp import ClientSession, web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from exporter.evaluation.stats import Family, Snapshot
from exporter.publish.content_negotiation import OPENMETRICS, TEXT
from exporter.publish.exposition import Publisher, render
from exporter.server import Server, Surface
from exporter.server.gate import Gate
from exporter.server.overview import overview

AT = datetime(2026, 3, 31, tzinfo=UTC)
CASES = {
    "text, identity": ({"Accept": TEXT.content_type, "Accept-Encoding": "identity"}, TEXT, False),
    "text, gzip": ({"Accept": TEXT.content_type, "Accept-Encoding": "gzip"}, TEXT, True),
    "OpenMetrics, identity": ({"Accept": OPENMETRICS.content_type, "Accept-Encoding": "identity"}, OPENMETRICS, False),
    "OpenMetrics, gzip": ({"Accept": OPENMETRICS.content_type, "Accept-Encoding": "gzip"}, OPENMETRICS, True),
}


def figures(series: int) -> Snapshot:
    """Families of 100 series, as the KPIs have them."""
    families = tuple(
        Family(
            f"outcome_figure_{number:04}_ratio",
            "Of the requests that ended in the window, the share that automation resolved alone.",
            "gauge",
            ("window", "team", "category"),
            tuple(
                ((f"{window}d", f"team-{team:02}", "other"), number / (team + 1))
                for team in range(25)
                for window in (1, 7, 30, 90)
            ),
        )
        for number in range(series // 100)
    )
    return Snapshot(AT, families)


@asynccontextmanager
async def serving(publisher: Publisher) -> AsyncIterator[tuple[str, list[str]]]:
    """The exporter's server, and one with the same bytes at a path for each case; the URLs of both."""

    async def unused() -> str | None:
        return None

    surface = Surface(
        publisher=publisher,
        version="bench",
        now=lambda: AT,
        ready=lambda: True,
        state=str,
        overview=lambda: overview(None, []),
        cards=lambda _query: {},
        kpis=list,
        reload=unused,
    )
    server = Server(surface, Gate(None))
    runner = web.AppRunner(static(publisher), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = (await server.start(["127.0.0.1:0"]))[0]
    try:
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield f"{url.rstrip('/')}/metrics", [f"{base}/{number}" for number in range(len(CASES))]
    finally:
        await server.stop()
        await runner.cleanup()


def static(publisher: Publisher) -> web.Application:
    app = web.Application()
    for number, (_, format_, zipped) in enumerate(CASES.values()):
        body = publisher.body(format_)
        content = body.gzip if zipped else body.plain
        headers = {"Content-Type": format_.content_type} | ({"Content-Encoding": "gzip"} if zipped else {})

        async def handler(
            _request: web.Request, content: bytes = content, headers: dict[str, str] = headers
        ) -> web.Response:
            return web.Response(body=content, headers=headers)

        app.router.add_get(f"/{number}", handler)
    return app


async def block(session: ClientSession, url: str, headers: dict[str, str], count: int) -> float:
    """Seconds per request, one after the other on one connection."""
    began = time.perf_counter()
    for _ in range(count):
        async with session.get(url, headers=headers) as response:
            await response.read()
    return (time.perf_counter() - began) / count


async def together(session: ClientSession, url: str, headers: dict[str, str], scrapers: int) -> float:
    """CPU seconds of both ends for one scrape, while many scrape at once."""
    began = time.process_time()
    await asyncio.gather(*(block(session, url, headers, 10) for _ in range(scrapers)))
    return (time.process_time() - began) / (scrapers * 10)


async def held(publisher: Publisher, snapshot: Snapshot) -> tuple[float, float]:
    """CPU seconds of a swap, and the longest that the event loop waited for its turn meanwhile."""
    longest, before = 0.0, time.process_time()
    swap = asyncio.create_task(publisher.swap(snapshot))
    began = before
    while not swap.done():
        await asyncio.sleep(0.001)
        now = time.process_time()
        longest, before = max(longest, now - before), now
    return time.process_time() - began, longest


async def bench(series: int, blocks: int, scrapers: int) -> None:
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    publisher = Publisher(registry, seconds=time.monotonic, refused=lambda: sys.exit("the snapshot was refused"))
    snapshot = figures(series)
    began = time.perf_counter()
    render(snapshot, registry)
    out(
        f"render both formats, {series} series: {(time.perf_counter() - began) * 1000:.0f} ms in a thread, per snapshot"
    )
    await publisher.swap(snapshot)
    async with serving(publisher) as (url, statics), ClientSession(auto_decompress=False) as session:
        for (name, (headers, format_, zipped)), fixed in zip(CASES.items(), statics, strict=True):
            size = len(publisher.body(format_).gzip if zipped else publisher.body(format_).plain)
            times: tuple[list[float], list[float]] = ([], [])
            for number in range(blocks + 1):
                for where, taken in zip((url, fixed), times, strict=True):
                    seconds = await block(session, where, headers, 20)
                    if number:  # the first block warms up
                        taken.append(seconds * 1000)
            ours, bytes_only = map(statistics.median, times)
            ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
            out(f"{name}: {size / 1e6:.2f} MB, scrape {ours:.2f} ms, static {bytes_only:.2f} ms, ratio {ratio:.2f}")
        for (name, (headers, *_)), fixed in zip(CASES.items(), statics, strict=True):
            pairs = [[await together(session, each, headers, scrapers) for each in (fixed, url)] for _ in range(blocks)]
            share = statistics.median(a / b for a, b in pairs[1:])
            out(f"{name}, {scrapers} scrapers: {share:.2f} of the throughput of static bytes")
    for number in (series, 5 * series):
        some = figures(number)
        swaps = [await held(publisher, some) for _ in range(5)]
        whole, longest = (statistics.median(each) * 1000 for each in zip(*swaps, strict=True))
        out(f"{number} series: swapped in {whole:.0f} ms; the event loop waited {longest:.0f} ms at most")


def out(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A scrape against static bytes of the same size.")
    parser.add_argument("--series", type=int, default=20_000)
    parser.add_argument("--blocks", type=int, default=25)
    parser.add_argument("--scrapers", type=int, default=20)
    arguments = parser.parse_args()
    asyncio.run(bench(arguments.series, arguments.blocks, arguments.scrapers))
