"""The reviews of days 30, 60 and 90 after a go-live: what is due, what they compare, and what they cannot."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from exporter.baselines.lookback import BaselineCache
from exporter.catalogue import kpi
from exporter.catalogue.kpi import Threshold
from exporter.evaluation.plan import Baselines, Intervention, Period, Plan, Setting
from exporter.insight.go_live import Line, Stage, reviews
from exporter.records import RECORDS, Run
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests.organisations import BEGIN
from tests.scenario import WINDOWS, empty_store, params

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
FEED = SourceStatus(source="s", records=frozenset(RECORDS))
KPIS = kpi.catalogue()
WORKFLOW = {"workflow": "Invoice intake"}
LIVE = Intervention(at=BEGIN, what="Go-live", where=WORKFLOW, kpis=frozenset(), go_live=True)


FIXED = Baselines(fixed=Period(begins_at=BEGIN - 40 * DAY, ends_at=BEGIN - 10 * DAY))
PLAN = Plan(
    settings=[
        Setting(
            kpi=KPIS[name],
            tier="headline" if name == "runs" else KPIS[name].tier,
            params=params(KPIS[name], {}),
            min_coverage=0,
            threshold=Threshold(warning=0.95, critical=0.5) if name == "completion_ratio" else Threshold(),
            baselines=FIXED if name == "completion_ratio" else Baselines(),
        )
        for name in ("completion_ratio", "run_seconds", "runs", "requests")
    ],
    windows=[*WINDOWS.items()],
    labels={**dict.fromkeys(RECORDS, ("team",)), "run": ("workflow", "team")},
    interventions=(LIVE,),
)


def runs() -> list[Run]:
    """Ten runs a day: 4 fail before the go-live, 2 in the 30 days after it, none later. Another one always fails."""
    return [
        Run(
            id=f"{workflow}{day}-{i}",
            root_id=f"{workflow}{day}-{i}",
            attempt=1,
            workflow=workflow,
            team="it",
            started_at=BEGIN + day * DAY + timedelta(hours=8),
            finished_at=BEGIN + day * DAY + timedelta(hours=8, minutes=10 if day < 30 else 5),
            status="failed" if i < failed or workflow == "other" else "succeeded",
        )
        for day in range(-45, 95)
        for failed in [4 if day < 0 else 2 if day < 30 else 0]
        for workflow, count in (("Invoice intake", 10), ("other", 2))
        for i in range(count)
    ]


Stages = tuple[Stage, Stage, Stage]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with empty_store(tmp_path_factory.mktemp("go_live")) as opened:
        opened.write("s", runs(), {})
        yield opened


def stages(store: Store, at: datetime, feed: SourceStatus = FEED) -> Stages:
    with store.reading() as reader:
        [review] = reviews(reader, store, PLAN, at, [feed])
    return review.stages


@pytest.fixture(scope="module")
def unfrozen(store: Store) -> Stages:
    """On day 95, with records from ten days before the go-live on."""
    return stages(store, BEGIN + 95 * DAY, replace(FEED, whole_since=BEGIN - 10 * DAY))


@pytest.fixture(scope="module")
def frozen(store: Store, unfrozen: Stages) -> Stages:
    """On day 95, with the baseline frozen meanwhile."""
    assert unfrozen
    with store.reading() as reader:
        BaselineCache().past(reader, store, PLAN, BEGIN + 95 * DAY, [FEED])
    return stages(store, BEGIN + 95 * DAY)


def line(stage: Stage, name: str) -> Line:
    [only] = [each for each in stage.lines if each.kpi == name]
    return only


def test_on_day_95_all_three_are_due_and_compare_what_they_should(frozen: Stages) -> None:
    thirty, sixty, ninety = frozen
    stable, quicker, paid = (
        line(thirty, "completion_ratio"),
        line(sixty, "run_seconds"),
        line(ninety, "completion_ratio"),
    )

    assert [(each.day, each.about, each.due) for each in (thirty, sixty, ninety)] == [
        (30, "stability", True),
        (60, "trends", True),
        (90, "business impact", True),
    ]
    assert stable.before
    assert stable.after
    assert (stable.before.value, stable.before.n) == (0.6, 300)
    assert (stable.after.value, stable.after.n) == (0.8, 300)
    assert (stable.verdict(KPIS["completion_ratio"]), stable.severity) == ("better", "warning")
    assert quicker.before
    assert quicker.after
    assert (quicker.before.value, quicker.after.value) == (600, 300)
    assert paid.before
    assert paid.after
    assert (paid.before.value, round(paid.after.value, 4)) == (0.6, 0.9333)
    assert paid.verdict(KPIS["completion_ratio"]) == "better"


def test_what_is_not_told_apart_by_what_went_live_is_in_no_review(frozen: Stages) -> None:
    assert {each.kpi for stage in frozen for each in stage.lines} == {
        "completion_ratio",
        "run_seconds",
        "runs",
    }


@pytest.mark.parametrize(("days", "due"), [(-5, 0), (29, 0), (30, 1)])
def test_what_is_not_due_yet_says_when_and_compares_nothing(store: Store, days: int, due: int) -> None:
    found = stages(store, BEGIN + days * DAY)

    assert [each.due for each in found] == [True] * due + [False] * (3 - due)
    assert not any(each.lines for each in found[due:])
    assert [each.due_at for each in found] == [BEGIN + day * DAY for day in (30, 60, 90)]


def test_without_a_baseline_or_history_it_says_so(unfrozen: Stages) -> None:
    thirty, _, ninety = unfrozen

    assert (line(thirty, "completion_ratio").absent, line(thirty, "completion_ratio").before) == ("no_history", None)
    assert (line(ninety, "completion_ratio").absent, line(ninety, "completion_ratio").change) == ("not_frozen", None)
    assert (line(ninety, "runs").absent, line(ninety, "runs").change) == ("no_baseline", None)
