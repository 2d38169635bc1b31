"""Business time: the open hours between two instants, whatever the clocks do in between."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.catalogue import kpi
from exporter.evaluation.business_time import column, measured, tabulate_days
from exporter.evaluation.calendar import FIRST, Calendar, Span
from exporter.evaluation.context import tabulate
from exporter.evaluation.figure import Figure
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan, Setting, SourceSetting, TeamSetting
from exporter.evaluation.range import Instants
from exporter.publish.cardinality import Limits
from exporter.publish.families import series
from exporter.records import Incident, Request
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests import test_evaluate
from tests.scenario import calendars, empty_store
from tests.test_history import differences

NIGHT, ALWAYS = ((120, 240),), ((0, 1440),)
OFFICE = {"time_zone": "Europe/Berlin", "hours": {"mon-fri": "09:00-17:00"}, "holidays": {"country": "DE"}}
LUNCH = {"time_zone": "America/New_York", "hours": {"mon-thu": ["09:00-12:00", "13:00-17:30"], "fri": "09:00-14:00"}}
NIGHTS = {"time_zone": "Australia/Lord_Howe", "hours": {"mon-sun": ["22:00-24:00", "00:00-06:00"]}}
ODD = OFFICE | {"closed": ["2026-03-30"], "open": {"2026-03-28": "10:00-12:00", "2026-04-03": ["08:00-09:00"]}}
WRITTEN: Mapping[str, Mapping[str, Any]] = {"office": OFFICE, "lunch": LUNCH, "nights": NIGHTS, "odd": ODD}


def every_day(zone: str, spans: Sequence[Span]) -> Calendar:
    return Calendar(time_zone=zone, week=(tuple(spans),) * 7)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def plan(given: Mapping[str, Calendar], **chosen: Any) -> Plan:
    names = ("resolution_seconds", "backlog_age_seconds", "mttr_seconds")
    return Plan(
        settings=[Setting(kpi=kpi.catalogue()[name]) for name in names],
        windows=[("1d", 86400), ("7d", 604800)],
        labels={"request": ("team",), "incident": ("team",)},
        calendars=given,
        **chosen,
    )


def lengths(calendar: Calendar, pairs: Sequence[tuple[datetime | None, datetime | None]]) -> list[float | None]:
    """The business seconds of pairs of instants, as the database finds them."""
    asked = plan({"c": calendar}, sources={"s": SourceSetting(calendar="c")})
    connection = duckdb.connect()
    tabulate(connection, "team", TeamSetting, asked.teams)
    tabulate(connection, "source", SourceSetting, asked.sources)
    last = max((moment for pair in pairs for moment in pair if moment), default=FIRST).year
    tabulate_days(connection, asked.calendars, last)
    connection.execute(
        "create temp table r (n int, source varchar, team varchar, began_at timestamp, resolved_at timestamp)"
    )
    rows = [
        (i, "s", None, *(moment and moment.replace(tzinfo=None) for moment in pair)) for i, pair in enumerate(pairs)
    ]
    connection.executemany("insert into r values (?, ?, ?, ?, ?)", rows)
    name = column(("began_at", "resolved_at"))
    found = connection.execute(f'select "{name}" from {measured("r", "incident", asked, last)} order by n').fetchall()
    connection.close()
    return [row[0] for row in found]


def open_by_the_minute(calendar: Calendar, begin: datetime, end: datetime) -> int:
    """The slow way: look at the clock on the wall at the beginning of every minute."""
    zone, minutes = ZoneInfo(calendar.time_zone), 0
    for i in range(int((end - begin).total_seconds()) // 60):
        wall = (begin + timedelta(minutes=i)).astimezone(zone)
        ((_, spans),) = calendar.spans(wall.date(), wall.date())
        minutes += any(opens <= wall.hour * 60 + wall.minute < closes for opens, closes in spans)
    return minutes * 60


@pytest.mark.parametrize(
    ("zone", "spans", "day", "hours"),
    [
        ("Europe/Berlin", NIGHT, "2026-03-28", 2),
        ("Europe/Berlin", NIGHT, "2026-03-29", 1),  # 02:00 is 03:00
        ("Europe/Berlin", NIGHT, "2026-10-25", 3),  # 02:00 to 03:00 twice
        ("America/New_York", NIGHT, "2026-03-08", 1),
        ("America/New_York", ((60, 120),), "2026-11-01", 2),
        ("Australia/Sydney", NIGHT, "2026-10-04", 1),
        ("Australia/Sydney", NIGHT, "2026-04-05", 3),
        ("Australia/Lord_Howe", ALWAYS, "2026-04-05", 24.5),  # clocks there move by half an hour
        ("Europe/Berlin", ((150, 165),), "2026-03-29", 0),  # 02:30 to 02:45 did not happen
        ("Europe/Berlin", ((150, 165),), "2026-10-25", 0.5),  # and here it happened twice
        ("Europe/Berlin", ((0, 360), (1320, 1440)), "2026-10-25", 9),
        ("Asia/Kolkata", ALWAYS, "2026-03-29", 24),
    ],
)
def test_a_day_on_which_clocks_are_changed_is_as_long_as_it_was(
    zone: str, spans: Sequence[Span], day: str, hours: float
) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    whole_day = (midnight.astimezone(UTC), (midnight + timedelta(days=1)).astimezone(UTC))

    assert lengths(every_day(zone, spans), [whole_day]) == [hours * 3600]


@pytest.mark.parametrize(
    ("begin", "end", "hours"),
    [
        ("2026-03-27T16:00+01:00", "2026-03-30T10:00+02:00", 2),  # Friday 16:00 to Monday 10:00, clocks changed between
        ("2026-03-27T18:00+01:00", "2026-03-28T12:00+01:00", 0),  # all of it after hours
        ("2026-03-27T12:00+01:00", "2026-03-27T12:00+01:00", 0),
        ("2026-04-02T16:00+02:00", "2026-04-07T10:00+02:00", 2),  # Good Friday and Easter Monday are no working days
        ("2026-05-01T09:00+02:00", "2026-05-01T17:00+02:00", 0),  # Labour Day
        ("2025-12-31T09:00+01:00", "2026-01-02T17:00+01:00", 16),  # over New Year
        ("2026-03-30T09:00:00.250000+02:00", "2026-03-30T09:00:01+02:00", 0.75 / 3600),
    ],
)
def test_time_passes_in_open_hours_only(begin: str, end: str, hours: float) -> None:
    assert lengths(calendars({"office": OFFICE})["office"], [(at(begin), at(end))]) == [hours * 3600]


def test_days_may_be_closed_or_open_against_the_rule() -> None:
    odd = calendars({"odd": ODD})["odd"]
    days = [(at(f"{day}T00:00Z"), at(f"{day}T23:00Z")) for day in ("2026-03-30", "2026-03-28", "2026-04-03")]

    assert lengths(odd, days) == [0, 7200, 3600]


def test_what_is_unknown_stays_unknown_and_what_is_impossible_is_below_zero() -> None:
    office = calendars({"office": OFFICE})["office"]
    closed, later = at("2026-03-28T10:00Z"), at("2026-03-28T11:00Z")

    found = lengths(office, [(None, later), (closed, None), (later, closed), (at("1999-12-31T10:00Z"), later)])

    assert found == [None, None, -3600, None]


minutes = st.integers(0, 60 * 24 * 400).map(lambda n: at("2025-09-01T00:00Z") + timedelta(minutes=n))


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(WRITTEN)),
    pairs=st.lists(st.tuples(minutes, st.integers(0, 60 * 24 * 9)), min_size=1, max_size=4),
)
def test_it_is_what_looking_at_the_clock_every_minute_gives(name: str, pairs: list[tuple[datetime, int]]) -> None:
    calendar = calendars({name: WRITTEN[name]})[name]
    asked = [(begin, begin + timedelta(minutes=length)) for begin, length in pairs]

    assert lengths(calendar, asked) == [open_by_the_minute(calendar, *pair) for pair in asked]


def figures(tmp_path: Path, asked: Plan, moment: datetime, **records: Sequence[Any]) -> list[Figure]:
    with Store.open(tmp_path / "store.duckdb") as store:
        for source, given in records.items():
            store.write(source, given, {})
        sources = [SourceStatus(source=name, records=frozenset({"request", "incident"})) for name in records]
        with store.reading() as reader:
            return [*evaluate(reader, asked, moment, sources).figures]


def told(found: Sequence[Figure], name: str, window: str | None = "7d") -> dict[tuple[str, str], tuple[float, float]]:
    """(team, basis) -> numerator and denominator."""
    mine = [f for f in found if f.kpi == name and f.window == window]
    segments = [(dict(f.segment), f) for f in mine]
    return {(s["team"], s["basis"]): (f.numerator, f.denominator or 0) for s, f in segments}


def resolved(name: str, team: str | None, begin: str, end: str | None) -> Request:
    ends = at(end) if end else None
    outcome: Literal["resolved", "open"] = "resolved" if end else "open"
    return Request(id=name, team=team, opened_at=at(begin), resolved_at=ends, outcome=outcome, handled_by="human")


FRIDAY, MONDAY = "2026-03-27T16:00+01:00", "2026-03-30T10:00+02:00"
CALENDAR = (at(MONDAY) - at(FRIDAY)).total_seconds()


def test_the_calendar_of_the_team_wins_over_that_of_the_source(tmp_path: Path) -> None:
    asked = plan(
        {"office": calendars({"o": OFFICE})["o"], "always": every_day("UTC", ALWAYS)},
        sources={"desk": SourceSetting(calendar="office")},
        teams={"ops": TeamSetting(calendar="always")},
    )
    desk = [resolved(str(i), team, FRIDAY, MONDAY) for i, team in enumerate(("it", "ops", " ops ", None))]
    other = [resolved("x", team, FRIDAY, MONDAY) for team in ("hr",)] + [resolved("y", "ops", FRIDAY, MONDAY)]

    found = told(figures(tmp_path, asked, at("2026-03-31T00:00Z"), desk=desk, other=other), "resolution_seconds")

    assert found == {
        ("it", "calendar"): (CALENDAR, 1),
        ("it", "business"): (7200, 1),
        ("ops", "calendar"): (3 * CALENDAR, 3),
        ("ops", "business"): (3 * CALENDAR, 3),
        ("unassigned", "calendar"): (CALENDAR, 1),
        ("unassigned", "business"): (7200, 1),
        ("hr", "calendar"): (CALENDAR, 1),
    }


def test_no_time_is_a_time_and_an_impossible_one_is_none(tmp_path: Path) -> None:
    asked = plan({"office": calendars({"o": OFFICE})["o"]}, sources={"desk": SourceSetting(calendar="office")})
    desk = [
        resolved("night", "it", "2026-03-28T01:00Z", "2026-03-28T05:00Z"),
        resolved("backwards", "hr", "2026-03-28T05:00Z", "2026-03-28T01:00Z"),
    ]

    found = told(figures(tmp_path, asked, at("2026-03-31T00:00Z"), desk=desk), "resolution_seconds")

    assert found == {("it", "calendar"): (14400, 1), ("it", "business"): (0, 1)}


def test_a_backlog_grows_older_in_open_hours_only(tmp_path: Path) -> None:
    asked = plan({"office": calendars({"o": OFFICE})["o"]}, sources={"desk": SourceSetting(calendar="office")})
    desk = [resolved("a", "it", FRIDAY, None)]

    ages = {}
    for moment in (at(MONDAY), at("2026-03-30T20:00+02:00"), at("2026-03-30T22:00+02:00")):
        found = figures(tmp_path, asked, moment, desk=desk)
        ages[moment] = told(found, "backlog_age_seconds", None)["it", "business"]

    assert [*ages.values()] == [(7200, 1), (9 * 3600, 1), (9 * 3600, 1)]


@pytest.mark.slow
def test_where_somebody_always_works_both_bases_are_the_same_for_every_kpi(tmp_path: Path) -> None:
    asked = replace(
        test_evaluate.plan(),
        calendars={"always": every_day("Europe/Berlin", ALWAYS)},
        sources={"s": SourceSetting(calendar="always")},
    )
    with empty_store(tmp_path) as store:
        store.write("s", test_evaluate.history(3, 300), {})
        with store.reading() as reader:
            found = evaluate(reader, asked, test_evaluate.AT, test_evaluate.FEEDS).figures

    bases: dict[str, dict[Any, Any]] = {"calendar": {}, "business": {}}
    for figure in found:
        basis = dict(figure.segment).get("basis")
        if basis in bases:
            segment = tuple(pair for pair in figure.segment if pair[0] != "basis")
            spread = figure.distribution and [count for _, count in figure.distribution.buckets]
            key = figure.kpi, figure.window, segment
            bases[basis][key] = pytest.approx(figure.numerator), figure.denominator, spread
    declared = {each.name for each in kpi.catalogue().values() if each.business}

    assert bases["business"] == bases["calendar"]
    assert {name for name, _, _ in bases["calendar"]} == declared


@pytest.mark.slow
def test_history_gives_the_business_times_of_each_instant(tmp_path: Path) -> None:
    asked = replace(
        test_evaluate.plan(),
        calendars={"office": calendars({"o": OFFICE})["o"], "lunch": calendars({"l": LUNCH})["l"]},
        sources={"s": SourceSetting(calendar="office")},
        teams={"x": TeamSetting(calendar="lunch"), "y": TeamSetting(calendar="lunch")},
    )
    timed = [s for s in asked.settings if s.kpi.business]
    instants = Instants(first=test_evaluate.AT - timedelta(days=30, seconds=977), step=timedelta(hours=31), count=9)
    with empty_store(tmp_path) as store:
        store.write("s", test_evaluate.history(5, 200), {})

        assert differences(store, replace(asked, settings=timed), instants, test_evaluate.FEEDS) == []


def test_folding_mixes_no_bases_and_only_one_has_thresholds(tmp_path: Path) -> None:
    mttr = kpi.catalogue()["mttr_seconds"]
    asked = plan({"office": calendars({"o": OFFICE})["o"]}, sources={"desk": SourceSetting(calendar="office")})
    asked = replace(asked, settings=[Setting(kpi=mttr, threshold=mttr.threshold, basis="business")])
    desk = [Incident(id=str(i), team=f"t{i % 7}", started_at=at(FRIDAY), resolved_at=at(MONDAY)) for i in range(14)]
    with empty_store(tmp_path) as store:
        store.write("desk", desk, {})
        sources = [SourceStatus(source="desk", records=frozenset({"incident"}))]
        with store.reading() as reader:
            evaluation = evaluate(reader, asked, at("2026-03-31T00:00Z"), sources)

    families = {f.name: f for f in series(evaluation, asked, Limits(values_per_label=2)).snapshot.families}
    parts = {name: families[f"outcome_mttr_seconds_{name}"] for name in ("numerator", "denominator", "threshold")}
    sums: dict[tuple[str, str], float] = {}
    for name in ("numerator", "denominator"):
        for labels, value in parts[name].samples:
            segment = dict(zip(parts[name].labels, labels, strict=True))
            if segment["window"] == "7d":
                key = name, segment["basis"]
                sums[key] = sums.get(key, 0) + float(value)  # type: ignore[arg-type]  # no distribution here
    bases = {
        dict(zip(parts["threshold"].labels, labels, strict=True))["basis"] for labels, _ in parts["threshold"].samples
    }

    assert sums == {
        ("numerator", "calendar"): 14 * CALENDAR,
        ("numerator", "business"): 14 * 7200,
        ("denominator", "calendar"): 14,
        ("denominator", "business"): 14,
    }
    assert bases == {"business"}
