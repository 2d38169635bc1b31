"""The last twelve weeks of a KPI, as charts show them: each week as it was then, the last point as published."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from exporter.base.clock import BEGINNING
from exporter.evaluation.compiled import compile_plan, narrowed
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Figure
from exporter.evaluation.instant import evaluate
from exporter.evaluation.reach import bounded, within
from exporter.explain.history import WEEK, WEEKS, Ask, Histories, History, computed
from tests import test_evaluate
from tests.deadline import seconds
from tests.scenario import empty_store
from tests.test_evaluate import AT, FEEDS

pytestmark = pytest.mark.slow

PLAN = test_evaluate.plan()
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """Of a store with records of every kind, over a hundred days."""
    with empty_store(tmp_path_factory.mktemp("weeks")) as store:
        store.write("s", test_evaluate.history(3), {})
        with store.reading() as opened:
            yield opened


def ask(*kpis: str, window: str = "7d", kept_weeks: int | None = None) -> Ask:
    kept = BEGINNING if kept_weeks is None else AT - WEEK * kept_weeks
    return Ask(plan=PLAN, kpis=frozenset(kpis), window=window, hour=AT, kept_since=kept)


def figures(evaluation: Evaluation, *kpis: str) -> dict[tuple[str, object], Figure]:
    """Those of some KPIs in a week, and of now; without the sums of what counts under several values of a label: where
    nothing does, in all windows of the plan, there are none.
    """
    return {
        (f.kpi, f.segment): replace(f, distribution=None, by=())
        for f in evaluation.figures
        if f.kpi in kpis and not f.whole and f.window in ("7d", None)
    }


def test_every_week_has_the_values_that_an_evaluation_at_its_time_gives(reader: Connection) -> None:
    for names in (("deflection_ratio", "resolution_seconds"), ("backlog", "requests", "requests_per_user")):
        weeks = computed(reader, ask(*names), FEEDS)
        for ago in (1, 7):
            then = evaluate(reader, narrowed(PLAN, names), AT - WEEK * ago, FEEDS)
            mine = {
                (f.kpi, f.segment): f
                for history in weeks.values()
                for f in history.weeks[WEEKS - ago] or ()
                if not f.whole
            }

            assert len(mine) > 8
            assert figures(then, *names) == mine


def test_values_of_one_window_are_those_among_all_windows(reader: Connection) -> None:
    by_facts: dict[str, set[str]] = {}
    for setting in PLAN.settings:
        names = compile_plan(PLAN).by_name[setting.kpi.name].names
        mine = narrowed(PLAN, {setting.kpi.name})
        if within(mine, "7d") is not mine:
            by_facts.setdefault(setting.kpi.record, set()).update(names)

    assert {"request", "incident", "change", "run", "booking"} <= by_facts.keys()
    for names in map(frozenset, by_facts.values()):
        alone = within(narrowed(PLAN, names), "7d")
        assert alone.windows == [("7d", 7 * 86400)]
        whole = evaluate(reader, narrowed(PLAN, names), AT, FEEDS)
        assert figures(whole, *names) == figures(evaluate(reader, alone, AT, FEEDS), *names)


def test_what_is_measured_over_the_longest_window_is_computed_over_it() -> None:
    measures = compile_plan(PLAN).by_name

    assert bounded(measures["completion_ratio"], PLAN)
    assert [bounded(measures[name], PLAN) for name in ("time_saved_seconds", "backlog", "manual_seconds")] == [
        False
    ] * 3


@pytest.mark.parametrize("segment", [{}, {"team": "it"}])
def test_the_last_point_is_the_published_value(reader: Connection, segment: Mapping[str, str]) -> None:
    published = evaluate(reader, narrowed(PLAN, {"deflection_ratio"}), AT + HOUR / 2, FEEDS)
    mine = [f for f in published.figures if f.kpi == "deflection_ratio" and f.window == "7d"]
    mine = [f for f in mine if segment.items() <= dict(f.segment).items()]
    above, below = sum(f.numerator for f in mine), sum(f.denominator or 0 for f in mine)

    history = computed(reader, ask("deflection_ratio"), FEEDS)["deflection_ratio"]
    points = history.points(PLAN, segment, published)

    assert below > 5
    assert (published.at, above / below, below) == (points[-1].at, points[-1].value, points[-1].n)
    assert [AT - WEEK * ago for ago in range(WEEKS, 0, -1)] == [point.at for point in points[:-1]]


def test_weeks_before_the_oldest_records_have_no_value(reader: Connection) -> None:
    of = computed(reader, ask("requests", "backlog", kept_weeks=5), FEEDS)
    counted = {name: [point.value is not None for point in history.points(PLAN, {})] for name, history in of.items()}

    assert counted == {"requests": [False] * 8 + [True] * 4, "backlog": [False] * 7 + [True] * 5}


def test_a_history_is_computed_once_an_hour_and_the_one_before_is_shown_meanwhile() -> None:
    asked: list[Ask] = []
    goes_on = threading.Event()

    def compute(each: Ask) -> Mapping[str, History]:
        asked.append(each)
        if len(asked) == 2:
            goes_on.wait(seconds(10))
        return {name: History(kpi=name, window=each.window, hour=each.hour, weeks=()) for name in each.kpis}

    histories = Histories(compute)

    def hours(minutes: int) -> list[object]:
        found = histories.of(PLAN, ["requests"], "7d", AT + timedelta(minutes=minutes), BEGINNING)
        return [history.hour for history in found.values()]

    at_once = hours(0)
    histories.settle(seconds(10))
    then, next_hour = [hours(0), hours(59)], hours(60)
    goes_on.set()
    histories.settle(seconds(10))
    later = hours(61)
    histories.close()

    assert at_once == []
    assert then == [[AT], [AT]]
    assert next_hour == [AT]
    assert later == [AT + HOUR]
    assert [each.hour for each in asked] == [AT, AT + HOUR]


def test_a_history_that_fails_is_logged_and_tried_again_in_the_next_hour(caplog: pytest.LogCaptureFixture) -> None:
    hours = []

    def compute(each: Ask) -> Mapping[str, History]:
        hours.append(each.hour)
        raise ZeroDivisionError

    histories = Histories(compute)
    for minutes in (0, 1, 60):
        assert histories.of(PLAN, ["requests"], "7d", AT + timedelta(minutes=minutes), BEGINNING) == {}
        histories.settle(seconds(10))
    histories.close()

    assert hours == [AT, AT + HOUR]
    assert "no history of requests in this hour" in caplog.text
