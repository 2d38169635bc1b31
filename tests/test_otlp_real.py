"""What is pushed over OTLP arrives in a real VictoriaMetrics under the names that Prometheus would have scraped."""

import asyncio
import importlib.util
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from exporter.evaluation.stats import Distribution, Family
from exporter.publish.otlp import Otlp
from exporter.publish.otlp_settings import OtlpSettings
from tests import deadline

pytestmark = [pytest.mark.real, pytest.mark.timeout(deadline.seconds(300))]

FAMILIES = (
    Family("outcome_no_show_ratio", "No-shows.", "gauge", ("team", "window"), ((("it", "7d"), 0.25),)),
    Family("outcome_no_show_denominator", "Meetings.", "gauge", ("team", "window"), ((("it", "7d"), 12),)),
    Family("outcome_wait_seconds", "Wait.", "gauge", ("team",), ((("it",), 40.5),)),
    Family(
        "outcome_wait_seconds_distribution",
        "Wait.",
        "gaugehistogram",
        ("team",),
        ((("it",), Distribution(((60, 1), (3600, 3), (inf, 4)), 4, 99.5)),),
    ),
)
OWN = (Family("outcome_source_polls_total", "Polls.", "gauge", ("source",), ((("desk",), 3),)),)

EXPECTED = {
    'outcome_no_show_denominator{team="it",window="7d"}': 12,
    'outcome_no_show_ratio{team="it",window="7d"}': 0.25,
    'outcome_source_polls_total{source="desk"}': 3,
    'outcome_wait_seconds_distribution_bucket{le="+Inf",team="it"}': 4,
    'outcome_wait_seconds_distribution_bucket{le="3600.0",team="it"}': 3,
    'outcome_wait_seconds_distribution_bucket{le="60.0",team="it"}': 1,
    'outcome_wait_seconds{team="it"}': 40.5,
}


def fetched(folder: Path) -> Path:
    """The program, or a skip that says why it cannot be had."""
    script = Path(__file__).parent / "real" / "victoria_metrics.py"
    spec = importlib.util.spec_from_file_location("victoria_metrics", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        return Path(module.program(folder))
    except module.UnavailableError as error:
        pytest.skip(f"VictoriaMetrics cannot be had: {error}")


@dataclass
class Server:
    base: str
    process: asyncio.subprocess.Process

    async def get(self, path: str, **query: str) -> str:
        async with ClientSession() as session, session.get(self.base + path, params=query) as response:
            return await response.text()

    async def series(self) -> dict[str, float]:
        """Every series whose name is ours, as it is now, without the labels that come from the resource."""
        await self.get("/internal/force_flush")
        answer = await self.get("/api/v1/export", **{"match[]": '{__name__=~"outcome_.*"}'})
        return {text(row["metric"]): row["values"][-1] for row in map(json.loads, answer.splitlines())}


def text(metric: dict[str, str]) -> str:
    labels = ",".join(f'{key}="{metric[key]}"' for key in ("le", "source", "team", "window") if key in metric)
    return f"{metric['__name__']}{{{labels}}}"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cached(tmp_path_factory)


def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(__file__).parents[1] / ".pytest_cache" / "victoria-metrics"
    return fetched(folder if folder.parent.is_dir() else tmp_path_factory.mktemp("victoria-metrics"))


@pytest.fixture(params=[(), ("-opentelemetry.usePrometheusNaming",)], ids=["names as sent", "Prometheus naming"])
async def server(program: Path, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    async with serving(program, tmp_path, *request.param) as server:
        yield server


@asynccontextmanager
async def serving(program: Path, folder: Path, *arguments: str) -> AsyncIterator[Server]:
    """VictoriaMetrics with its data in a folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        str(program),
        *(f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}", *arguments),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        await answering(server)
        yield server
    finally:
        process.terminate()
        await process.wait()


async def answering(server: Server) -> None:
    async with deadline.within(30):
        while server.process.returncode is None:
            try:
                if await server.get("/health") == "OK":
                    return
            except ClientError:
                await asyncio.sleep(0.1)
    raise AssertionError(f"VictoriaMetrics ended with {server.process.returncode}")


async def test_every_name_label_and_value_arrives_as_it_would_have_been_scraped(server: Server) -> None:
    counted = {"attempted": 0, "failed": 0, "rejected": 0}

    def count(what: str) -> Any:
        return lambda: counted.update({what: counted[what] + 1})

    settings = OtlpSettings(
        endpoint=f"{server.base}/opentelemetry/v1/metrics", instance="host-1", version="1.2.3", interval_seconds=3600
    )
    otlp = Otlp(
        settings, attempted=count("attempted"), failed=count("failed"), rejected=lambda _: None, own=lambda: OWN
    )
    await otlp.swap(FAMILIES)
    await otlp.stop()
    found: dict[str, float] = {}
    async with deadline.within(30):
        while found != EXPECTED and len(found) < len(EXPECTED):
            found = await server.series()

    assert found == EXPECTED
    assert counted == {"attempted": 1, "failed": 0, "rejected": 0}
    rows = json.loads(await server.get("/api/v1/series", **{"match[]": "outcome_no_show_ratio"}))["data"]
    instance = {row.get("service.instance.id", row.get("service_instance_id")) for row in rows}
    assert instance == {"host-1"}
