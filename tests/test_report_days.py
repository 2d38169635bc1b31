"""Changes in reports are beyond what days differ by: organisations with good and bad days, with and without effect."""

from collections.abc import Mapping, Sequence
from math import isclose
from random import Random

import pytest

from exporter.baselines.compare import Baseline, Total
from exporter.catalogue.kpi import catalogue
from exporter.evaluation.figure import Figure, Weekdays
from exporter.evaluation.plan import Setting
from exporter.insight.difference import Day
from exporter.report import change, since
from exporter.report.days import beside, p_value
from exporter.report.unusual import surely
from tests.organisations import BEGIN, DAY, KINDS, Make, evaluation, length, number, share


def days(chance: Random, make: Make, planted: float, count: int = 7) -> list[Figure | None]:
    """What a KPI came to on each day of a period; a day without records has no figure."""
    parts = [make(chance, day, planted) for day in range(count)]
    return [None if d == 0 else Figure("any", "1d", (), n, d) for n, d in parts]


def of_records(before: list[Figure | None], now: list[Figure | None]) -> float:
    """The p value if records were independent of each other."""
    sums = [sum(f.numerator for f in side if f) for side in (before, now)]
    return change.counts((sums[0], sums[1]), (1.0, 1.0))


def bad_days(make: Make) -> Make:
    """Of many records, and on one day in five twice as much."""
    return lambda chance, day, planted: make(chance, day, planted * chance.choice((1, 1, 1, 1, 2)))


@pytest.mark.parametrize("make", [share, length, number])
@pytest.mark.parametrize("count", [7, 28])
def test_bad_days_are_seldom_said_to_be_a_change(make: Make, count: int) -> None:
    chance = Random(1)
    found = [
        p_value(days(chance, bad_days(make), 1, count), days(chance, bad_days(make), 1, count), share=make is share)
        for _ in range(200)
    ]

    assert sum(p < 0.05 for p in found) <= 18  # 5 % and three standard deviations


def test_records_alone_would_say_so_often() -> None:
    chance = Random(1)
    found = [of_records(days(chance, bad_days(number), 1), days(chance, bad_days(number), 1)) for _ in range(200)]

    assert sum(p < 0.05 for p in found) > 60


@pytest.mark.parametrize(("make", "planted"), [(share, 4.0), (length, 2.0), (number, 2.5)])
def test_a_large_change_is_beyond_what_days_differ_by(make: Make, planted: float) -> None:
    chance = Random(2)
    found = [p_value(days(chance, make, 1), days(chance, make, planted), share=make is share) for _ in range(20)]

    assert sum(p < 0.001 for p in found) >= 15


@pytest.mark.parametrize("count", [0, 1])
def test_of_one_day_nothing_is_said(count: int) -> None:
    chance = Random(3)

    assert p_value(days(chance, share, 1, count), days(chance, share, 9, count), share=True) == 1.0


@pytest.mark.parametrize(("freedom", "t"), [(1, 12.706), (6, 2.447), (7, 2.365), (12.7, 2.179), (2000, 1.96)])
def test_the_tails_of_student_are_those_of_the_table(freedom: float, t: float) -> None:
    assert isclose(change.student(t, freedom), 0.05, abs_tol=1e-4)


# Since when.


def first_days(make: Make, planted: Sequence[float], count: int = 20) -> list[int | str | None]:
    """What is said of organisations, in each of which so much is planted on each day: the first day of a new level."""
    chance, found = Random(4), list[int | str | None]()
    for _ in range(count):
        days = [Day(*make(chance, day, of)) for day, of in enumerate(planted)]
        made = since.step(days, share=make is share)
        found.append(None if made is None else f"about {made.first}" if made.about else made.first)
    return found


@pytest.mark.parametrize(("make", "to", "days"), [(share, 5.0, 14), (length, 2.0, 14), (number, 2.5, 28)])
def test_the_day_since_which_a_value_is_another_one_is_found(make: Make, to: float, days: int) -> None:
    found = first_days(make, [1.0] * 9 + [to] * (days - 9))

    assert {*found} <= {9, "about 8", "about 9", "about 10", None}
    assert found.count(None) <= 8


@pytest.mark.parametrize(
    "planted",
    [[1.0] * 14, [1.0] * 7 + [4.0] * 3 + [1.0] * 4, [1 + 3 * day / 13 for day in range(14)]],
    ids=["nothing", "three days", "a little more each day"],
)
@pytest.mark.parametrize("make", [share, number])
def test_without_a_day_on_which_it_changed_none_is_named(make: Make, planted: list[float]) -> None:
    assert sum(each is not None for each in first_days(make, planted)) <= 1


def test_a_value_and_its_baseline_have_to_differ_by_more_than_days_do() -> None:
    then = Baseline("fixed", "any", "period", (), 0.1, 100.0, 1000.0)

    def p(by_day: list[float]) -> float:
        total = Total(Figure("any", "period", (), sum(by_day), 1000.0), then)
        return beside(total, [Figure("any", "1d", (), each, 1000.0 / len(by_day)) for each in by_day])

    # 15 % beside 10 %, evenly on each day or on one bad day of five; of two days nothing is said.
    assert p([30.0] * 5) < 0.001
    assert p([90.0, 15.0, 15.0, 15.0, 15.0]) > 0.3
    assert p([75.0, 75.0]) == 1.0


@pytest.mark.parametrize(("make", "count"), [(share, 14), (number, 28)])
def test_a_step_within_a_period_is_seldom_seen_where_there_is_none(make: Make, count: int) -> None:
    chance, found = Random(11), 0
    for _ in range(60):
        made = [Day(*bad_days(make)(chance, day, 1.0)) for day in range(count)]
        found += min(since.p_value(made, share=make is share, rise=rise) for rise in (True, False)) < 0.05

    assert found <= 8  # 5 % and three standard deviations


def test_a_step_in_the_middle_of_a_period_is_beyond_chance_though_it_makes_its_days_differ() -> None:
    # An expense desk, two weeks: from the third day of the second week on most are escalated.
    hits, of = (3, 2, 3, 3, 0, 0, 0, 2, 5, 9, 14, 16, 3, 5), (23, 44, 30, 23, 21, 5, 3, 20, 37, 18, 22, 24, 4, 8)
    days = [Day(float(n), float(d)) for n, d in zip(hits, of, strict=True)]
    figures = [Figure("any", "1d", (), day.numerator, day.denominator) for day in days]

    assert p_value(figures[:7], figures[7:], share=True) > 0.001
    assert since.p_value(days, share=True, rise=True) < 0.0001
    assert since.p_value(days, share=True, rise=False) == 1.0
    assert since.step(days, share=True) == since.Step(9, about=False)


# Unusual days.


def unusual_days(chance: Random, make: Make, days: int, planted: Mapping[int, float]) -> list[int]:
    """The days of a period of six teams of which one is said to be unusual. `planted`: what team 0 has on a day."""
    name = next(kpi for kpi, kind in KINDS.items() if kind is make)
    every = []
    for day in range(-56, days):
        of = {f"team {i}": make(chance, day, planted.get(day, 1.0) if not i else 1.0) for i in range(6)}
        every.append(evaluation(BEGIN, name, "1d", of).figures)
    weekdays = [
        Weekdays(BEGIN + (day + 1) * DAY, every[day + 56], tuple(every[day + 56 - 7 * week] for week in range(1, 9)))
        for day in range(days)
    ]
    found, number = surely(weekdays, {name: Setting(kpi=catalogue()[name])})

    assert number > days
    return sorted({(each.ends_at - BEGIN).days - 1 for each in found})


@pytest.mark.parametrize("make", [share, length, number])
@pytest.mark.parametrize(("days", "reports"), [(7, 30), (92, 5)])
def test_days_as_good_and_bad_as_others_are_seldom_unusual_however_many_are_looked_at(
    make: Make, days: int, reports: int
) -> None:
    chance = Random(5)
    found = [unusual_days(chance, make, days, {}) for _ in range(reports)]

    assert sum(map(bool, found)) <= 1 + reports // 15


@pytest.mark.parametrize(("make", "planted"), [(share, 6.0), (length, 2.5), (number, 3.0)])
def test_a_day_unlike_all_others_is_unusual_in_a_quarter_too(make: Make, planted: float) -> None:
    assert unusual_days(Random(6), make, 92, {44: planted}) == [44]
