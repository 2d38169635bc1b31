"""History of the demo's store in a real Prometheus and VictoriaMetrics: what they have is what `once --at` gives."""

import io
import json
import shutil
from pathlib import Path

import aiohttp
import pytest

from tests.blocks import blocks, differing, evaluated, instants, kept, named, prometheus
from tests.demo import END
from tests.program import command
from tests.test_otlp_real import cached, serving

LAST = END.replace(minute=0)
KINDS = {
    "outcome_completion_ratio",
    "outcome_first_response_seconds",
    "outcome_first_response_seconds_distribution_bucket",
    "outcome_requests",
    "outcome_backlog",
    "outcome_cost_per_run",
}
"""A ratio, a duration and how it is spread, a count, a state, and money, which is derived."""


@pytest.mark.real
async def test_blocks_hold_what_once_gives_at_each_instant(demo_config: Path, tmp_path: Path) -> None:
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        pytest.skip("not installed: prometheus")
    asked = instants("60d", "30d", LAST)
    made = await blocks(demo_config, tmp_path, length="60d", step="30d", to=LAST)
    async with prometheus(made.folder) as url:
        names = {name for name, _ in await kept(url, asked.last)}
        found = [await differing(url, demo_config, at) for at in asked]

    assert names >= KINDS
    assert all(compared > 10_000 for compared, _ in found)
    assert [different for _, different in found] == [set()] * len([*asked])


@pytest.mark.real
async def test_victoria_metrics_takes_the_same_file(
    demo_config: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = cached(tmp_path_factory)
    [at] = instants("1h", "1h", LAST)
    history = tmp_path / "history.om"
    asked = ("--from", "1h", "--step", "1h", "--to", at.isoformat(), "--output", str(history))
    status, _, said = await command("backfill", "--config.file", str(demo_config), *asked, folder=tmp_path)
    async with serving(program, tmp_path, "-retentionPeriod=100y") as server:
        async with aiohttp.ClientSession() as http:
            answer = await http.post(f"{server.base}/api/v1/import/prometheus", data=io.BytesIO(history.read_bytes()))
        await server.get("/internal/force_flush")
        rows = [*map(json.loads, (await server.get("/api/v1/export", **{"match[]": "{__name__!=''}"})).splitlines())]
    expected = await evaluated(demo_config, at)

    assert (status, said[-200:] if status else "", answer.status) == (0, "", 204)
    assert {tuple(row["timestamps"]) for row in rows} == {(at.timestamp() * 1000,)}
    # It keeps fifteen digits of a number or so.
    assert {named(row["metric"]): row["values"][0] for row in rows} == pytest.approx(dict(expected), rel=1e-12)
