"""History of the demo's store in a real Prometheus: what is in its blocks is what `once --at` gives."""

import shutil
from pathlib import Path

import pytest

from tests.blocks import blocks, differing, instants, kept, prometheus
from tests.demo import END

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
@pytest.mark.parametrize(("length", "step"), [("3h", "1h"), ("90d", "30d")])
async def test_blocks_hold_what_once_gives_at_each_instant(
    demo_config: Path, tmp_path: Path, length: str, step: str
) -> None:
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        pytest.skip("not installed: prometheus")
    asked = instants(length, step, LAST)
    made = await blocks(demo_config, tmp_path, length=length, step=step, to=LAST)
    async with prometheus(made.folder) as url:
        names = {name for name, _ in await kept(url, asked.last)}
        found = [await differing(url, demo_config, at) for at in asked]

    assert names >= KINDS
    assert all(compared > 10_000 for compared, _ in found)
    assert [different for _, different in found] == [set(), set(), set()]
