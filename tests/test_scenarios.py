"""Every KPI against records written down by hand: what a file in scenarios/ says is what comes out."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.catalogue import kpi
from exporter.records import RECORDS
from tests import scenario
from tests.scenario import COMPARED, FILES, TRAPS

ELSEWHERE = {
    "activation_ratio": "the edges of its window are 14 days after the grant",
    "capacity_seconds": "what it counts is configured, not recorded",
    "downtime_cost": "an outage lies across each edge of the window",
    "stale_account_ratio": "its edge is 90 days before",
}
"""Scenarios whose edges lie elsewhere, and where."""
INVENTORY = {"workflow"}  # a record without times: it is as it stands


@pytest.mark.parametrize("path", [*FILES, *TRAPS, *COMPARED], ids=lambda path: path.stem)
def test_a_scenario_comes_out_as_written(path: Path, tmp_path: Path) -> None:
    written = scenario.load(path)

    expected = scenario.expected(written)
    found = scenario.samples(scenario.evaluated(path, tmp_path), written)
    declared = kpi.catalogue()[written["kpi"]]
    # The main series and its parts are always compared, bounds and buckets where the file speaks of them.
    spoken_of = {name for name, _ in expected} | {
        declared.metric,
        f"{declared.stem}_numerator",
        f"{declared.stem}_denominator",
        *declared.compared,
        *declared.wholes.values(),
    }
    actual = {sample: value for sample, value in found.items() if sample[0] in spoken_of}

    assert expected
    assert {sample: pytest.approx(value, abs=1e-9) for sample, value in expected.items()} == actual


def test_every_kpi_has_a_scenario() -> None:
    covered = {scenario.load(path)["kpi"] for path in FILES}

    assert set(kpi.catalogue()) == covered


def test_every_kind_of_baseline_has_a_scenario() -> None:
    assert {kind for path in COMPARED for kind in scenario.load(path)["baselines"]} == {*kpi.BASELINES}


@pytest.mark.parametrize("path", [p for p in FILES if p.stem not in ELSEWHERE], ids=lambda path: path.stem)
def test_a_scenario_has_a_row_on_each_edge_one_outside_one_in_the_future_and_one_unknown(path: Path) -> None:
    written = scenario.load(path)
    declared = kpi.catalogue()[written["kpi"]]
    at = scenario.at(written["at"])
    begin = at - timedelta(seconds=scenario.WINDOWS[written["window"]])
    rows = [row for name in RECORDS for row in written.get(name, [])]
    times = {moment for row in rows for value in row.values() if (moment := told(value))}

    assert any(None in row.values() for row in rows)
    if {*declared.needs} - INVENTORY:
        assert at in times
        assert max(times) > at
    if declared.windowed:
        assert begin in times
        assert min(times) < begin


def told(value: Any) -> datetime | None:
    """A time in a scenario."""
    return scenario.at(value) if isinstance(value, str) and value[4:5] == "-" and "T" in value else None
