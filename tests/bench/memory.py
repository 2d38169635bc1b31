"""How much more memory a first poll takes for a long history than for a short one, connector by connector.

    python -m tests.bench.memory [--records 10000,100000] [--seconds 300] [connector ...]

The platforms are the fakes of the contract suite, each in a process of its own and filled with work that has ended. A
second process polls it over HTTP and drops each page, so what is measured is what connector and client hold: the
highest resident memory after the third page, less that at the third page. A store takes its own, up to its limit. What
one history takes more than a shorter one, by its records, is what grows: some dozens of bytes are the ids that a
connector must know, hundreds are items that it holds.
"""

import argparse
import asyncio
import gc
import json
import sys
import tempfile
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.contract import needs
from exporter.collect.http import Client, HttpSettings
from tests.bench.connectors import BACK
from tests.connectors.source import HTTP_NAMES, connector, world
from tests.connectors.world import AT, SINCE
from tests.fakes.rest import LARGEST

SETTLED = 3  # pages: by then all is imported and connected
WIDTH = "{:14} {:>9} {:>7} {:>9} {:>11} {:>14}\n"


def resident(which: str) -> int:
    """Bytes of this process: VmRSS, those of now, or VmHWM, the most so far."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{which}:")[2].split()[0]) * 1024


def settled() -> int:
    """The resident memory of now; the most so far begins anew."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def options_of(name: str, given: Any) -> Any:
    """The options of a platform's suite, with pages as large as a config has them where it does not say."""
    sizes = [each for each in fields(given) if each.name == "page_size"]
    return replace(given, **{each.name: LARGEST if name == "rest" else each.default for each in sizes})


async def serve(name: str, records: int) -> None:
    """Prints the address of a platform with so many records, and serves it until the input ends."""
    with tempfile.TemporaryDirectory() as folder:
        its = world(name, Path(folder))
        for number in range(records):
            its.work(AT - BACK + number * BACK / records)
        async with TestServer(its.app or web.Application()) as server:
            sys.stdout.write(str(server.make_url("")).rstrip("/") + "\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.read)


async def poll(name: str, url: str) -> None:
    """Polls once, and prints what came and what it took."""
    with tempfile.TemporaryDirectory() as folder:
        its = world(name, Path(folder))
    module, pages, records, before, began = connector(name), 0, 0, 0, time.perf_counter()
    settings = HttpSettings(url=url + its.path, auth=its.auth)
    async with Client(settings, at=AT, since=SINCE, dialect=needs(module).dialect) as client:
        async for page in module.poll(client, options_of(name, its.options), {}):
            pages, records = pages + 1, records + len(page.reads)
            client.left_out()
            if pages == SETTLED:
                before = settled()
    grown = resident("VmHWM") - before if before else 0
    took = time.perf_counter() - began
    sys.stdout.write(json.dumps({"records": records, "pages": pages, "grown": grown, "seconds": took}))


async def child(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.memory", *arguments, stdin=pipe, stdout=pipe
    )


async def measured(name: str, records: int, seconds: float) -> dict[str, float] | None:
    """What a first poll of so many records takes; None where it takes longer than that."""
    server = await child("--serve", name, str(records))
    assert server.stdout
    polling = None
    try:
        async with asyncio.timeout(seconds):
            url = (await server.stdout.readline()).decode().strip()
            polling = await child("--poll", name, url)
            told, _ = await polling.communicate()
            found: dict[str, float] = json.loads(told)
            return found
    except TimeoutError:
        return None
    finally:
        for each in (server, polling):
            if each and each.returncode is None:
                each.kill()
                await each.wait()


async def main(names: list[str], sizes: list[int], seconds: float) -> None:
    sys.stdout.write("a first poll; resident memory above that at the third page\n")
    sys.stdout.write(WIDTH.format("connector", "records", "pages", "seconds", "grown", "more a record"))
    for name in names:
        shorter: dict[str, float] | None = None
        for size in sizes:
            found = await measured(name, size, seconds)
            if found is None:
                sys.stdout.write(f"{name:14} {size:>9,} took longer than {seconds:.0f} s\n")
                continue
            more = ""
            if shorter and found["records"] > shorter["records"]:
                more = f"{(found['grown'] - shorter['grown']) / (found['records'] - shorter['records']):,.0f} bytes"
            grown = f"{found['grown'] / 2**20:.1f} MiB" if found["grown"] else "few pages"
            cells = f"{found['records']:,}", f"{found['pages']:,}", f"{found['seconds']:.1f} s", grown, more
            sys.stdout.write(WIDTH.format(name, *cells))
            sys.stdout.flush()
            shorter = found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--records", default="10000,100000")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--serve", nargs=2)
    parser.add_argument("--poll", nargs=2)
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(serve(asked.serve[0], int(asked.serve[1])))
    elif asked.poll:
        asyncio.run(poll(*asked.poll))
    else:
        asyncio.run(main(asked.names or HTTP_NAMES, [int(each) for each in asked.records.split(",")], asked.seconds))
