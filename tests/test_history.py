"""History: the figures of many past instants at once are those that each instant alone gives."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan, WorkflowSetting
from exporter.evaluation.range import Instants, evaluations
from exporter.records import Account, Activity, Incident, Opportunity, Request, Run
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests import scenario, test_evaluate
from tests.scenario import empty_store
from tests.test_evaluate import AT, FEEDS

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)


def differences(store: Store, plan: Plan, instants: Instants, sources: Sequence[SourceStatus]) -> list[tuple[Any, ...]]:
    """What history says otherwise than evaluate(): (instant, kpi, window, segment, the one, the other)."""
    with store.reading() as reader:
        return differences_in(reader, plan, instants, sources)


def differences_in(
    reader: Connection, plan: Plan, instants: Instants, sources: Sequence[SourceStatus]
) -> list[tuple[Any, ...]]:
    carried = [*evaluations(reader, plan, instants, lambda _at: sources)]
    found: list[tuple[Any, ...]] = []
    for at, one in zip(instants, carried, strict=True):
        other = evaluate(reader, plan, at, sources)
        ours, theirs = keyed(one), keyed(other)
        found += [
            (at, *key, ours.get(key), theirs.get(key))
            for key in ours.keys() | theirs.keys()
            if ours.get(key) != theirs.get(key)
        ]
        if one.absent != other.absent:
            found.append((at, "absent", one.absent, other.absent))
    return found


def keyed(evaluation: Evaluation) -> dict[tuple[Any, ...], Any]:
    return {(f.kpi, f.window, f.segment): (f, f.median) for f in evaluation.figures}


@pytest.mark.parametrize(
    ("windows", "step", "count"),
    [
        ({"1d": 86400, "7d": 604800, "30d": 2592000, "90d": 7776000}, 7 * HOUR, 6),
        ({"1h": 3600, "1d": 86400}, HOUR, 12),
        ({"90m": 5400, "10d": 864000}, timedelta(minutes=47), 9),
    ],
)
def test_history_gives_the_figures_of_each_instant(
    tmp_path: Path, windows: dict[str, int], step: timedelta, count: int
) -> None:
    manual = {
        "w1": WorkflowSetting(category="a", rate=36, currency="EUR"),
        "w2": WorkflowSetting(manual_seconds_low=60, manual_seconds_high=600),
    }
    plan = replace(test_evaluate.plan(), windows=[*windows.items()], workflows=manual)
    instants = Instants(first=AT - timedelta(days=30, seconds=977), step=step, count=count)
    with empty_store(tmp_path) as store:
        store.write("s", test_evaluate.history(count, 150), {})

        assert differences(store, plan, instants, FEEDS) == []


@pytest.mark.parametrize("path", [*scenario.FILES, *scenario.TRAPS], ids=lambda path: path.stem)
def test_history_of_a_scenario_gives_the_figures_of_each_instant(path: Path) -> None:
    with scenario.shared(path) as (written, sources, reader):
        plan = scenario.plan(written, only=written["kpi"])
        last = scenario.at(written["at"])
        far = Instants(first=last - timedelta(days=102), step=timedelta(days=34), count=4)
        near = Instants(first=last, step=13 * HOUR, count=2)

        assert differences_in(reader, plan, far, sources) == []
        assert differences_in(reader, plan, near, sources) == []


def test_a_segment_whose_rows_are_too_old_is_gone(tmp_path: Path) -> None:
    plan = replace(test_evaluate.plan(), windows=[("1h", 3600), ("1d", 86400)])
    ended = AT - timedelta(hours=3, minutes=20)
    records = [
        Request(id="1", team="x", opened_at=ended - HOUR, resolved_at=ended, outcome="resolved"),
        Incident(id="1", team="x", opened_at=ended - HOUR, resolved_at=ended),
        Opportunity(id="1", team="x", lead_at=ended - HOUR, won_at=ended, amount=5.0, currency="EUR"),
        Run(id="1", team="x", workflow="w", started_at=ended - HOUR, finished_at=ended, status="failed"),
    ]
    with empty_store(tmp_path) as store:
        store.write("s", records, {})

        assert differences(store, plan, Instants(first=AT - 7 * HOUR, step=2 * HOUR, count=15), FEEDS) == []


def test_an_account_becomes_stale_by_work_that_ended_before_the_interval(tmp_path: Path) -> None:
    worked = AT - timedelta(days=91)
    records = [
        Account(id="1", team="x", tool="crm", person="ann", granted_at=AT - timedelta(days=300)),
        Activity(id="1", tool="crm", person="ann", day=worked, tasks_done=1),
    ]
    whole = test_evaluate.plan()
    plan = replace(whole, settings=[setting for setting in whole.settings if setting.kpi.record == "account"])
    instants = Instants(first=AT - 6 * HOUR, step=HOUR, count=12)
    with empty_store(tmp_path) as store:
        store.write("s", records, {})
        with store.reading() as reader:
            stale = [
                [f.numerator for f in each.figures if f.kpi == "stale_account_ratio"]
                for each in evaluations(reader, plan, instants, lambda _at: FEEDS)
            ]

        assert stale == [[0.0]] * 6 + [[1.0]] * 6
        assert differences(store, plan, instants, FEEDS) == []
