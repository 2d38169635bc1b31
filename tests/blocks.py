"""History in a real Prometheus: `backfill`, blocks made by promtool, and what is in them beside `once --at`."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp

from exporter.base import duration
from exporter.catalogue.kpi import catalogue
from exporter.demo.board import Metrics
from exporter.demo.stack import child, free_port
from exporter.evaluation.range import Instants
from exporter.publish import backfill
from tests import deadline
from tests.program import command

Values = Mapping[tuple[str, frozenset[tuple[str, str]]], float]
"""(series, labels) -> value."""

ADDED = {"job": "outcome-exporter", "instance": "127.0.0.1:10042"}
"""The labels that Prometheus adds to a scrape, and `backfill` to everything."""

BESIDE = {
    *("outcome_kpi_info", "outcome_assumption_info", "outcome_kpi_absent", "outcome_kpi_window_absent"),
    *("outcome_baseline_absent", "outcome_kpi_source_info"),
    *("outcome_intervention_info", "outcome_intervention_timestamp_seconds"),
    *(
        f"outcome_{each}_{part}"
        for each in ("coverage", "unattributed")
        for part in ("ratio", "numerator", "denominator")
    ),
}
SERIES = BESIDE.union(*(kpi.all_series for kpi in catalogue().values()))
"""Everything about KPIs; the metrics about the exporter itself have no history."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """What became of a history, and how long that took."""

    folder: Path
    backfill_seconds: float
    blocks_seconds: float
    file_bytes: int
    blocks_bytes: int


async def blocks(config: Path, folder: Path, *, length: str, step: str, to: datetime) -> Blocks:
    """The figures of past instants as blocks in a folder."""
    history, data = folder / "history.om", folder / "data"
    began = time.monotonic()
    asked = ("--from", length, "--step", step, "--to", to.isoformat(), "--output", str(history))
    status, _, said = await command("backfill", "--config.file", str(config), *asked, folder=folder, quiet=None)
    assert status == 0, said
    written = time.monotonic()
    # Blocks of a month: promtool reads the whole file once for each block, and by default makes one of every 2 hours.
    blocks_of = ("tsdb", "create-blocks-from", "--max-block-duration=744h", "openmetrics", "--quiet")
    arguments = (*blocks_of, str(history), str(data))
    promtool = await asyncio.create_subprocess_exec("promtool", *arguments, stderr=asyncio.subprocess.PIPE)
    _, errors = await promtool.communicate()
    assert promtool.returncode == 0, errors.decode()
    made = time.monotonic()
    size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
    return Blocks(data, written - began, made - written, history.stat().st_size, size)


def instants(length: str, step: str, to: datetime) -> Instants:
    """Those that `backfill` writes."""
    return backfill.instants(timedelta(seconds=duration.seconds(length)), timedelta(seconds=duration.seconds(step)), to)


@asynccontextmanager
async def prometheus(data: Path) -> AsyncIterator[str]:
    """A real Prometheus over blocks."""
    config = data.parent / "prometheus.yaml"
    config.write_text("{}\n")
    listen = f"127.0.0.1:{free_port()}"
    arguments = (
        *(f"--config.file={config}", f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=100y"),
        f"--web.listen-address={listen}",
    )
    async with child("prometheus", *arguments, log=data.parent / "prometheus.log"), aiohttp.ClientSession() as http:
        async with deadline.within(60):
            while not await ready(http, f"http://{listen}/-/ready"):  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(0.1)
        yield f"http://{listen}"


async def ready(http: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with http.get(address) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def kept(url: str, at: datetime) -> Values:
    """Everything that Prometheus has at an instant."""
    query = {"query": '{__name__=~"outcome_.+"}', "time": at.isoformat()}
    async with aiohttp.ClientSession() as http, http.get(f"{url}/api/v1/query", params=query) as response:
        found = (await response.json())["data"]["result"]
    return {named(sample["metric"]): float(sample["value"][1]) for sample in found}


def named(metric: Mapping[str, str]) -> tuple[str, frozenset[tuple[str, str]]]:
    return metric["__name__"], frozenset((name, value) for name, value in metric.items() if name != "__name__")


async def evaluated(config: Path, at: datetime) -> Values:
    """Every figure that `once --no-poll --at` gives."""
    asked = ("once", "--no-poll", "--config.file", str(config), "--at", at.isoformat())
    status, out, said = await command(*asked, folder=config.parent)
    assert status == 0, said
    samples = Metrics.parse(out).samples.items()
    return {
        (name, frozenset({**labels, **ADDED}.items())): value
        for name, found in samples
        if name in SERIES
        for labels, value in found
    }


async def differing(url: str, config: Path, at: datetime) -> tuple[int, set[str]]:
    """How many figures there are at an instant, and which of them Prometheus has otherwise than `once` gives them."""
    one, other = await kept(url, at), await evaluated(config, at)
    both = one.keys() | other.keys()
    return len(both), {
        f"{name}{dict(labels)}" for name, labels in both if one.get((name, labels)) != other.get((name, labels))
    }
