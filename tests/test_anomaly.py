"""Anomalies: days that are unlike their weekday are found, and usual ones are left alone."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from exporter.baselines.weekdays import WeekdayCache
from exporter.catalogue import kpi
from exporter.evaluation.figure import Figure, Key, Weekdays
from exporter.evaluation.plan import Baselines, Plan, Setting
from exporter.explain.query import Question
from exporter.explain.unusual import of_question
from exporter.insight.anomaly import Anomaly, judged
from exporter.records import RECORDS, Request
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests.organisations import BEGIN, KINDS
from tests.scenario import WINDOWS, empty_store, params

DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)
FEED = SourceStatus(source="s", records=frozenset(RECORDS))
KPIS = kpi.catalogue()
IT: Key = (("team", "it"),)
Parts = tuple[float, float | None]


def found(name: str, last: Parts | None, earlier: Sequence[Parts]) -> Anomaly | None:
    """What is said of team it: its last day, and the same weekdays before."""

    def figures(parts: Parts | None) -> tuple[Figure, ...]:
        return () if parts is None else (Figure(name, "1d", IT, *parts),)

    weekdays = Weekdays(BEGIN, figures(last), tuple(map(figures, earlier)), frozenset({name}))
    return next(iter(judged(weekdays, {name: Setting(kpi=KPIS[name])})), None)


def score(name: str, last: Parts | None, earlier: Sequence[Parts]) -> float:
    made = found(name, last, earlier)
    assert made
    return made.score


TENTH = [
    (10.0, 100.0),
    (12.0, 100.0),
    (8.0, 100.0),
    (11.0, 100.0),
    (9.0, 100.0),
    (10.0, 100.0),
    (13.0, 100.0),
    (7.0, 100.0),
]


def test_a_day_far_from_its_weekdays_is_unusual_and_says_what_is_usual() -> None:
    made = found("escalation_ratio", (52.0, 100.0), TENTH)

    assert made
    assert (made.value, made.n, made.usual, made.days, made.ends_at) == (0.52, 100, 0.1, 8, BEGIN)
    # The median deviation is 0.015, so the standard deviation 0.0222: 2.5 times that from 0.1
    assert (round(made.lower, 4), round(made.upper, 4)) == (0.0444, 0.1556)
    assert made.unusual
    assert made.worse(KPIS["escalation_ratio"])


@pytest.mark.parametrize(
    ("name", "earlier", "negative"),
    [
        ("time_saved_seconds", [100.0, 900.0, 300.0, 40.0, 1200.0, 20.0, 700.0, 60.0], False),
        ("time_saved_seconds", [100.0, 900.0, 300.0, 40.0, 1200.0, -20.0, 700.0, 60.0], True),
        ("net_value", [100.0, 900.0, 300.0, 40.0, 1200.0, 20.0, 700.0, 60.0], True),
    ],
)
def test_what_was_never_below_zero_is_not_usual_there(name: str, earlier: list[float], negative: bool) -> None:
    made = found(name, (150.0, None), [(each, None) for each in earlier])

    assert made
    assert (made.lower < 0) == negative
    assert made.upper > 1200


def test_an_explained_kpi_says_whether_its_last_day_was_usual_of_the_team_asked_for() -> None:
    made = plan("escalation_ratio")
    others = [Figure("escalation_ratio", "1d", (("team", "hr"),), hits, n or 0.0) for hits, n in [TENTH[0]] * 9]

    def day(hits: float, n: float | None, other: Figure) -> tuple[Figure, ...]:
        return Figure("escalation_ratio", "1d", IT, hits, n), other

    weekdays = Weekdays(BEGIN, day(52.0, 100.0, others[0]), tuple(day(*parts, others[1]) for parts in TENTH))

    def told(**segment: str) -> list[str]:
        asked = Question(kpi="escalation_ratio", window="7d", segment=segment)
        return [each["text"] for each in of_question(made, weekdays, asked)]

    begun = f"{BEGIN - DAY:%A %-d %B %Y}"
    assert told(team="it") == [
        f"Escalation rate in it was 52.0% (n = 100) on {begun}, worse than usual: the median of the 8 "
        f"{BEGIN - DAY:%A}s before it is 10.0%, and 4.4% to 15.6% is usual."
    ]
    assert told(team="hr")[0].startswith(f"Escalation rate in hr was 10.0% (n = 100) on {begun}, as usual: ")
    assert told() == told(team="it")
    assert told(category="a") == []


@pytest.mark.parametrize(
    ("name", "last", "earlier", "unusual"),
    [
        ("escalation_ratio", (18.0, 100.0), TENTH, False),
        ("escalation_ratio", (1.0, 20.0), [(0.0, 20.0)] * 8, False),
        ("escalation_ratio", (150.0, 1000.0), [(10.0, 1000.0)] * 8, True),
        ("requests", (0.0, None), [(100.0, None)] * 8, True),
        ("requests", None, [(100.0, None)] * 8, True),
        ("requests", (149.0, None), [(100.0, None)] * 8, False),
        ("requests", (151.0, None), [(100.0, None)] * 8, True),
        ("resolution_seconds", (3600.0 * 50, 50.0), [(1800.0 * 50, 50.0)] * 8, True),
        ("resolution_seconds", (1900.0 * 50, 50.0), [(1800.0 * 50, 50.0)] * 8, False),
    ],
)
def test_what_chance_gives_is_usual(name: str, last: Parts | None, earlier: Sequence[Parts], unusual: bool) -> None:
    assert unusual == (abs(score(name, last, earlier)) > 1)


def test_one_odd_weekday_does_not_move_what_is_usual() -> None:
    assert score("requests", (160.0, None), [(100.0, None)] * 7 + [(5000.0, None)]) == 1.2


@pytest.mark.parametrize(
    ("last", "earlier"),
    [
        ((52.0, 100.0), TENTH[:4]),
        ((18.0, 19.0), TENTH),
        ((0.0, 0.0), TENTH),
        (None, TENTH),
    ],
)
def test_of_few_weekdays_or_few_records_nothing_is_said(last: Parts | None, earlier: Sequence[Parts]) -> None:
    assert found("escalation_ratio", last, earlier) is None


def test_of_200_organisations_without_an_anomaly_hardly_any_is_said_to_have_one() -> None:
    chance, names, unusual = Random(20261127), [*KINDS], 0
    for i in range(200):
        name = names[i % 3]
        days = [KINDS[name](chance, i % 5 + 7 * week, 1.0) for week in range(9)]
        made = found(name, days[8], days[:8])
        unusual += made is not None and made.unusual

    assert unusual <= 10  # 5 %


@pytest.mark.parametrize(("name", "factor"), [("escalation_ratio", 5.0), ("csat_ratio", 2.5), ("requests", 3.0)])
def test_a_planted_anomaly_is_found(name: str, factor: float) -> None:
    chance, unusual = Random(20261128), 0
    for i in range(20):
        days = [KINDS[name](chance, i % 5 + 7 * week, 1.0) for week in range(8)]
        unusual += abs(score(name, KINDS[name](chance, i % 5 + 56, factor), days)) > 1

    assert unusual >= 17


# From records


def plan(*names: str) -> Plan:
    return Plan(
        settings=[
            Setting(kpi=KPIS[name], tier=KPIS[name].tier, params=params(KPIS[name], {}), min_coverage=0)
            for name in names
        ],
        windows=[*WINDOWS.items()],
        labels=dict.fromkeys(RECORDS, ("team", "category")),
    )


def request(id_: str, day: datetime, team: str = "it") -> Request:
    """A request opened on a day, at noon."""
    return Request(id=id_, team=team, category=id_[-1], opened_at=day + timedelta(hours=12), outcome="open")


def settled(cache: WeekdayCache, *of: Any) -> Weekdays | None:
    """What is there after as many evaluations as there are days."""
    return [cache.at(*of) for _ in range(9)][-1]


OLD = request("old", BEGIN - DAY - 5 * WEEK)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with empty_store(tmp_path) as opened:
        yield opened


def test_the_last_whole_day_is_beside_its_weekdays_by_team(store: Store) -> None:
    rows = [request(f"{week}-{i}", BEGIN - DAY - week * WEEK) for week in range(9) for i in range(10 + week)]
    store.write("s", [*rows, request("today", BEGIN)], {})

    with store.reading() as reader:
        made = settled(WeekdayCache(), reader, plan("requests"), BEGIN + timedelta(hours=5), [FEED])

    assert made
    assert made.ends_at == BEGIN
    assert [(f.segment, f.numerator) for f in made.last] == [(IT, 10)]
    assert [[f.numerator for f in day] for day in made.earlier] == [[11.0 + week] for week in range(8)]


def test_past_weekdays_are_evaluated_once_a_day_and_the_last_day_every_hour(store: Store) -> None:
    cache, made = WeekdayCache(), plan("requests")
    store.write("s", [request("a", BEGIN - DAY), request("b", BEGIN - DAY - WEEK), OLD], {})

    def numbers(after: timedelta) -> tuple[list[float], list[float]]:
        with store.reading() as reader:
            weekdays = settled(cache, reader, made, BEGIN + after, [FEED])
        assert weekdays
        return [f.numerator for f in weekdays.last], [f.numerator for f in weekdays.earlier[0]]

    hour = timedelta(hours=1)
    first = numbers(1.1 * hour)
    store.write("s", [request("late", BEGIN - DAY), request("later", BEGIN - DAY - WEEK)], {})

    assert first == ([1], [1])
    assert numbers(1.5 * hour) == ([1], [1])
    assert numbers(2 * hour) == ([2], [1])
    assert numbers(24.9 * hour) == ([2], [1])
    assert numbers(25 * hour + 0.1 * hour) == ([], [])  # the next day, and its weekday


def test_only_headlines_drivers_and_what_has_that_baseline_are_watched(store: Store) -> None:
    names = ("requests", "escalation_ratio", "reopen_ratio")
    whole = plan(*names)
    settings = [
        replace(s, baselines=Baselines(weekday_median=True)) if s.kpi.name == "escalation_ratio" else s
        for s in whole.settings
    ]
    ended = replace(request("a", BEGIN - DAY), resolved_at=BEGIN - timedelta(hours=1), outcome="resolved")
    store.write("s", [ended, OLD], {})

    with store.reading() as reader:
        made = settled(WeekdayCache(), reader, replace(whole, settings=settings), BEGIN + DAY / 2, [FEED])
        nothing = settled(WeekdayCache(), reader, plan("reopen_ratio"), BEGIN + DAY / 2, [FEED])

    assert made
    assert {f.kpi for f in made.last} == {"requests", "escalation_ratio"}
    assert nothing is None


def test_history_that_does_not_reach_back_is_no_weekday(store: Store) -> None:
    store.write("s", [request(f"{week}", BEGIN - DAY - week * WEEK) for week in range(9)], {})

    with store.reading() as reader:
        young = replace(FEED, whole_since=BEGIN - 3 * WEEK)
        made = settled(WeekdayCache(), reader, plan("requests"), BEGIN + DAY / 2, [young])

    assert made
    assert [len(day) for day in made.earlier] == [1, 1, 0, 0, 0, 0, 0, 0]


def test_while_all_records_are_younger_than_five_weeks_nothing_is_evaluated(store: Store) -> None:
    def made() -> Weekdays | None:
        with store.reading() as reader:
            return settled(WeekdayCache(), reader, plan("requests"), BEGIN + DAY / 2, [FEED])

    store.write("s", [request("a", BEGIN - 4 * WEEK - DAY)], {})
    young = made()
    store.write("s", [OLD], {})
    old = made()

    assert young is None
    assert old
    assert [len(day) for day in old.earlier] == [0, 0, 0, 1, 1, 0, 0, 0]
