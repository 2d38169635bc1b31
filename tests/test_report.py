"""Reports: periods of the calendar, tests, contributions, and sentences that a person can check."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import reduce
from math import comb, isclose
from operator import and_
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.catalogue.kpi import catalogue
from exporter.evaluation.figure import Figure
from exporter.evaluation.plan import Plan, Setting
from exporter.insight.anomaly import Anomaly
from exporter.insight.difference import Difference
from exporter.render.promql import alert_name
from exporter.report import after, change, sentence
from exporter.report.action import runbook
from exporter.report.comparison import Pair, p_value, segment_tests
from exporter.report.comparison import change as compared
from exporter.report.comparison import split as split_of
from exporter.report.content import Change, Line, Side, Since, Unit
from exporter.report.contribution import of_quotient, of_sum
from exporter.report.period import NoSuchPeriod, span
from exporter.report.unusual import days_of, grouped, listed

BERLIN = ZoneInfo("Europe/Berlin")
AT = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)  # a Friday
TEAMS = ("finance", "hr", "it", "legal", "sales", "care")
WEEK = (604800.0, 604800.0)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("asked", "name", "begins_at", "ends_at"),
    [
        ("week", "2026-W47", "2026-11-16T00:00+01:00", "2026-11-23T00:00+01:00"),
        ("month", "2026-10", "2026-10-01T00:00+02:00", "2026-11-01T00:00+01:00"),  # 25 hours on one of its days
        ("quarter", "2026-Q3", "2026-07-01T00:00+02:00", "2026-10-01T00:00+02:00"),
        ("2026-Q1", "2026-Q1", "2026-01-01T00:00+01:00", "2026-04-01T00:00+02:00"),
        ("2026-W01", "2026-W01", "2025-12-29T00:00+01:00", "2026-01-05T00:00+01:00"),
    ],
)
def test_a_period_is_one_of_the_calendar_in_its_time_zone(asked: str, name: str, begins_at: str, ends_at: str) -> None:
    found = span(asked, AT, BERLIN)

    assert (found.name, found.begins_at, found.until, found.over) == (name, utc(begins_at), utc(ends_at), True)
    assert found.before.ends_at == found.begins_at


def test_a_period_that_is_not_over_is_compared_with_as_much_of_the_one_before() -> None:
    found = span("2026-11", AT, BERLIN)

    assert not found.over
    assert (found.begins_at, found.until) == (utc("2026-11-01T00:00+01:00"), utc("2026-11-27T12:00+00:00"))
    assert (found.before.begins_at, found.before.ends_at) == (
        utc("2026-10-01T00:00+02:00"),
        utc("2026-10-01T00:00+02:00") + (found.until - found.begins_at),
    )
    assert found.earlier == "the same part of the month before"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("2027-Q1", "it begins on 2027-01-01, so there is nothing to report yet"),
        ("2026-W54", "the calendar has no such week"),
        ("2026-13", "the calendar has no such month"),
        ("year", "write week, month or quarter"),
    ],
)
def test_a_period_that_there_is_no_report_of_is_refused_with_what_would_be_right(asked: str, says: str) -> None:
    with pytest.raises(NoSuchPeriod) as refused:
        span(asked, AT, BERLIN)

    assert says in str(refused.value)


parts = st.dictionaries(
    st.sampled_from(TEAMS), st.tuples(st.integers(0, 500).map(float), st.integers(1, 500).map(float)), min_size=1
)


@given(parts, parts)
def test_contributions_add_up_to_the_change_of_a_quotient(
    before: dict[str, tuple[float, float]], now: dict[str, tuple[float, float]]
) -> None:
    found = of_quotient(before, now)
    values = [sum(n for n, _ in side.values()) / sum(d for _, d in side.values()) for side in (before, now)]

    assert isclose(sum(each.whole for each in found.values()), values[1] - values[0], abs_tol=1e-9)


def test_a_segment_that_only_grew_where_it_is_worse_has_moved_the_whole_by_the_mix_alone() -> None:
    found = of_quotient({"a": (10, 100), "b": (50, 100)}, {"a": (10, 100), "b": (150, 300)})

    # 30 % before, 40 % now. Nobody has changed; b is half of all before and three quarters now.
    assert {name: each.own for name, each in found.items()} == {"a": 0.0, "b": 0.0}
    assert isclose(sum(each.mix for each in found.values()), 0.10)


def test_contributions_to_a_sum_are_differences() -> None:
    found = of_sum({"a": 10.0, "b": 5.0}, {"a": 12.0, "c": 4.0})

    assert {name: each.whole for name, each in found.items()} == {"a": 2.0, "b": -5.0, "c": 4.0}


def test_the_exact_test_is_the_sum_of_all_tables_that_are_no_more_likely() -> None:
    # 1 of 10 and 6 of 10: tables with 7 hits in all, of which at most 1 or at least 6 are on the first side.
    tables = {k: comb(10, k) * comb(10, 7 - k) / comb(20, 7) for k in range(8)}

    assert isclose(change.fisher((1, 6), (10, 10)), tables[0] + tables[1] + tables[6] + tables[7])


@pytest.mark.parametrize(
    ("numbers", "p"),
    [
        ((100.0, 100.0), 1.0),
        # z = (|80 - 90| - 0.5) / sqrt(180 / 4) = 1.416
        ((80.0, 100.0), 0.157),
        # Of six events one or fewer, or five or more, on one side: 2 * (1 + 6) / 64.
        ((1.0, 5.0), 0.21875),
    ],
)
def test_counts_are_compared_as_what_comes_at_random(numbers: tuple[float, float], p: float) -> None:
    assert isclose(change.counts(numbers, WEEK), p, abs_tol=0.001)


def test_lengths_of_time_are_compared_by_their_ranks() -> None:
    shorter, longer = [40, 70, 90, 100], [10, 30, 60, 100]

    assert change.ranks((shorter, shorter)) == (1.0, 0)
    assert change.ranks((shorter, longer))[1] == 1
    assert change.ranks((shorter, longer))[0] < 0.0001
    assert change.ranks((longer, shorter))[1] == -1


def test_the_more_is_looked_at_the_more_it_takes() -> None:
    assert change.certain({"a": 0.02}, 0.05) == {"a"}
    assert change.certain({"a": 0.02, "b": 0.5, "c": 0.9}, 0.05) == set()
    assert change.certain({"a": 0.01, "b": 0.02, "c": 0.9}, 0.05) == {"a", "b"}


def test_an_interval_of_95_percent_that_ends_at_0_is_a_p_of_5_percent() -> None:
    assert isclose(after.p_of(Difference(2.0, 0.0, 4.0)) or 0.0, 0.05, abs_tol=1e-6)
    assert isclose(after.p_of(Difference(2.0, 0.0, 4.0, freedom=5)) or 0.0, 0.05, abs_tol=1e-4)
    assert isclose(after.p_of(Difference(4.0, 2.0, 6.0, freedom=5)) or 0.0, 0.0036, abs_tol=1e-3)
    assert after.p_of(Difference(2.0)) is None


def test_ranks_of_few_teams_seldom_agree_by_chance() -> None:
    # Two of the 720 orders of six are in step or against it; the table of Zar has 0.886 for 5 %.
    assert isclose(after.rank_p(1.0, 6), 2 / 720)
    assert after.rank_p(0.886, 6) < 0.05 < after.rank_p(0.828, 6)


# Sentences, as people read them.

RATE = Line(
    kpi="escalation_ratio", title="Escalation rate", help="", tier="control", better="lower",
    unit=Unit(name="ratio"), windowed=True, now=Side(value=0.52, n=151, weight=151),
)  # fmt: skip


def ended(kpi: str, by_team: dict[str, tuple[int, int]]) -> tuple[Figure, ...]:
    return tuple(Figure(kpi, "period", (("team", t),), float(n), float(d)) for t, (n, d) in by_team.items())


def told(kpi: str, before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]) -> str:
    """What the report says of a ratio whose numerators and denominators are these."""
    setting = Setting(kpi=catalogue()[kpi])
    plan = Plan(settings=[setting], windows=[("period", 604800)], labels={})
    pair = Pair(setting=setting, plan=plan, before=ended(kpi, before), now=ended(kpi, now), seconds=WEEK)
    first, last = pair.whole()
    assert first
    assert last
    p, segments = p_value(first, last, pair.kpi, WEEK), segment_tests([pair])
    assert p is not None
    sure = bool(change.certain({"": p}, change.LEVEL / 2))
    whole = compared(first, last, pair, sure=sure, p=p)
    assert whole
    found = split_of(pair, segments, change.certain(segments, change.LEVEL / 2))
    return sentence.story(replace(RATE, title=setting.kpi.title, now=whole.now, change=whole, split=found))


def test_a_rise_in_one_team_is_said_of_that_team_with_what_it_makes_of_the_whole() -> None:
    text = told(
        "escalation_ratio",
        {"finance": (13, 149), "hr": (20, 200), "it": (19, 180)},
        {"finance": (79, 151), "hr": (21, 200), "it": (20, 190)},
    )

    # In all 52 of 529 before, 120 of 541 now. Finance: (149/529 + 151/541) / 2 * (79/151 - 13/149) = 12.2 points.
    assert text == (
        "Escalation rate rose from 9.8% to 22.2% (n = 541, before 529). "
        "Escalation rate in finance rose from 8.7% to 52.3% (n = 151, before 149). "
        "No other team changed beyond chance. "
        "Of the change of +12.4 points: finance +12.2 points, hr +0.2 points."
    )


def test_a_rise_of_one_team_that_is_lost_in_the_whole_is_said_of_that_team_alone() -> None:
    text = told(
        "escalation_ratio",
        {"finance": (1, 40), "hr": (400, 4000)},
        {"finance": (15, 40), "hr": (395, 4000)},
    )

    assert text == (
        "Escalation rate in finance rose from 2.5% to 37.5% (n = 40, before 40). No other team changed beyond chance. "
        "Over all it is 10.1%: no change beyond chance."
    )


def test_what_is_within_chance_is_not_said_to_rise() -> None:
    text = told("escalation_ratio", {"finance": (9, 100), "hr": (8, 100)}, {"finance": (12, 100), "hr": (9, 100)})

    assert text == "Escalation rate is 10.5%, before 8.5% (n = 200, before 200): no change beyond chance."


def test_of_too_few_records_nothing_is_said() -> None:
    text = told("escalation_ratio", {"finance": (0, 4), "hr": (0, 2)}, {"finance": (2, 4), "hr": (1, 3)})

    assert text == "Escalation rate is 42.9%, before 0.0% (n = 7, before 6): too few records to say whether it changed."


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            replace(RATE, absent="no records"),
            "Escalation rate is 52.0% (n = 151); there is nothing to compare it with: no records.",
        ),
        (
            replace(
                RATE, target=0.1, reached=False,
                change=Change(before=Side(value=0.09, n=140), now=RATE.now, verdict="rose"),
            ),
            "Escalation rate is 52.0% (n = 151), which misses its target of 10.0%; rose, the week before it was 9.0%.",
        ),
        (
            replace(RATE, target=0.5, change=Change(before=Side(value=0.5, n=140), now=RATE.now, verdict="same")),
            "Escalation rate is 52.0% (n = 151); the week before it was 50.0%, no change beyond chance. "
            "Whether it reaches its target of 50.0% is not certain.",
        ),
        (
            replace(
                RATE, now=Side(value=0.3, n=291),
                change=Change(before=Side(value=0.09, n=140), now=RATE.now, verdict="rose"),
            ),
            "Escalation rate is 30.0% (n = 291); rose, the week before it was 9.0%, and 52.0% in its second.",
        ),
        (
            replace(
                RATE, title="Net value", unit=Unit(name="currency", currency="EUR"), now=Side(value=1200.0),
                change=Change(before=Side(value=900.0), now=Side(value=1200.0), verdict="untested"),
            ),
            "Net value is 1,200.00 EUR; the week before it was 900.00 EUR.",
        ),
    ],
)  # fmt: skip
def test_the_headline_says_value_target_and_change(line: Line, text: str) -> None:
    assert sentence.headline(line, "the week before") == text


def test_days_that_were_unlike_their_weekday_are_told_once_for_a_team() -> None:
    settings = [Setting(kpi=catalogue()[kpi]) for kpi in ("escalation_ratio", "requests")]
    plan = Plan(settings=settings, windows=[("period", 604800)], labels={})

    def of(day: int, value: float, n: float | None, score: float, kpi: str = "escalation_ratio") -> Anomaly:
        return Anomaly(
            kpi=kpi, segment=(("team", "finance"),), ends_at=datetime(2026, 11, day + 1, tzinfo=UTC), value=value, n=n,
            usual=0.1 if n else 100, lower=0.04 if n else 50, upper=0.16 if n else 150, days=7, score=score,
        )  # fmt: skip

    found = grouped(
        [of(d, 0.4, 100, 2.0 + (d == 24)) for d in (17, 23, 24, 25)] + [of(26, 20, None, -1.6, "requests")],
        plan,
    )

    assert [each.text for each in found] == [
        "Escalation rate in finance was 40.0% (n = 100) on Tuesday 24 November 2026, worse than usual: the median of 7 "
        "of the 8 Tuesdays before it is 10.0%, and 4.0% to 16.0% is usual. "
        "3 more days were unusual, too: 17, 23 and 25 November.",
        "Requests in finance was 20 requests on Thursday 26 November 2026, lower than usual: the median of 7 of the 8 "
        "Thursdays before it is 100 requests, and 50 requests to 150 requests is usual.",
    ]


def test_days_in_a_row_are_drawn_together() -> None:
    assert listed([date(2026, 3, day) for day in (16, 18, 19, 20)]) == "16 and 18 to 20 March"
    assert listed([date(2026, 3, day) for day in (11, 12)]) == "11 and 12 March"
    assert listed([date(2026, 3, 30), date(2026, 3, 31), date(2026, 4, 1), date(2026, 4, 7)]) == (
        "30 March to 1 April and 7 April"
    )


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Tokyo"])
def test_a_week_has_its_seven_days_in_every_time_zone(zone: str) -> None:
    found = [f"{day:%m-%d}" for day in days_of(span("2026-W47", AT, ZoneInfo(zone)))]

    assert found == ["11-17", "11-18", "11-19", "11-20", "11-21", "11-22", "11-23"]


def test_what_is_read_beside_a_value_says_what_it_is_of() -> None:
    guard = replace(RATE, kpi="g", title="Value", of={"claim": "hard_cost_avoided"}, unit=Unit(name="currency"))
    lines = {"g": guard}

    assert sentence.guards(replace(RATE, guards=("g", "gone")), lines) == ["Value (hard cost avoided) 0.52"]


@pytest.mark.parametrize(
    ("since", "text"),
    [
        (Since(day=date(2026, 11, 16), about=False, boundary=True), " since 16 November"),
        (Since(day=date(2026, 11, 16), about=True, boundary=False), " since about 16 November"),
        (
            Since(day=date(2026, 11, 19), about=False, boundary=False, now=Side(value=0.6, n=80)),
            "; since 19 November it is 60.0% (n = 80)",
        ),
    ],
)
def test_a_change_says_since_when(since: Since, text: str) -> None:
    made = Change(before=Side(value=0.09, n=140), now=RATE.now, verdict="rose", since=since)

    assert sentence.changed(RATE, made, "in finance") == (
        f"Escalation rate in finance rose from 9.0% to 52.0% (n = 151, before 140){text}"
    )


def test_large_amounts_of_money_have_no_cents() -> None:
    unit = Unit(name="currency", currency="EUR")

    assert sentence.shown(177468.47, replace(unit, whole=True)) == "177,468 EUR"
    assert sentence.difference(-703.5, replace(unit, whole=True)) == "-704 EUR"
    assert sentence.shown(1.61, unit) == "1.61 EUR"


# Organisations without an effect, and with one that was planted.

KPIS = ("escalation_ratio", "deflection_ratio", "reopen_ratio", "completion_ratio", "exception_ratio", "retry_ratio")


def organisation(rng: Random, *, planted: bool = False) -> list[Pair]:
    """Six ratios of six teams in two weeks, each as likely in both; but, if planted, for one ratio of one team."""
    pairs = []
    settings = [Setting(kpi=catalogue()[name]) for name in KPIS]
    plan = Plan(settings=settings, windows=[("period", 604800)], labels={})
    for number, setting in enumerate(settings):
        sides: list[dict[str, tuple[int, int]]] = [{}, {}]
        for place, team in enumerate(TEAMS):
            halvings, size = rng.choice((1, 2, 3, 4)), rng.choice((8, 20, 80, 150, 400))
            effect = planted and place == number == 0
            for week, side in enumerate(sides):
                n = max(1, rng.getrandbits(300 if effect else 2 * size).bit_count())
                # A bit for each record; of independent ones laid over each other, half are left each time.
                hits = reduce(and_, (rng.getrandbits(n) for _ in range(halvings)))
                hits |= rng.getrandbits(n) & rng.getrandbits(n) if effect and week else 0
                side[team] = hits.bit_count(), n
        before, now = (ended(setting.kpi.name, side) for side in sides)
        pairs.append(Pair(setting=setting, plan=plan, before=before, now=now, seconds=WEEK))
    return pairs


def statements(pairs: Sequence[Pair]) -> set[tuple[str, ...]]:
    """Everything that is said to have risen or fallen."""
    whole = {}
    for pair in pairs:
        before, now = pair.whole()
        assert before
        assert now
        p = p_value(before, now, pair.kpi, pair.seconds)
        assert p is not None
        whole[(pair.kpi.name,)] = p
    segments = segment_tests(pairs)
    return {*change.certain(whole, change.LEVEL / 2), *change.certain(segments, change.LEVEL / 2)}


def test_of_200_organisations_without_an_effect_hardly_any_report_says_that_something_changed() -> None:
    found = [statements(organisation(Random(seed))) for seed in range(200)]

    # The level is of whole reports: 5 % of 200 are 10.
    assert sum(map(bool, found)) <= 10


def test_a_planted_effect_is_found_where_it_was_planted() -> None:
    found = [statements(organisation(Random(seed), planted=True)) for seed in range(1000, 1020)]
    planted = (KPIS[0], "team", TEAMS[0])

    assert sum(planted in each for each in found) >= 12


def test_what_to_do_about_every_kpi_with_a_threshold_is_in_the_runbook() -> None:
    watched = {alert_name(each) for each in catalogue().values() if each.threshold.warning is not None}

    assert watched - runbook().keys() == set()
    assert runbook()["OutcomeNoShowRateHigh"].startswith("Check that reminders went out")
