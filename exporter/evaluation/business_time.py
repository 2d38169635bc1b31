"""Durations on each basis: calendar time, which all records have, and business time, where a calendar is configured;
each also without the time on hold, where that is known.

Business time between two instants is the open time before the one less the open time before the other. A calendar is
a table with a row for each day of UTC, so an instant finds its row by a plain join.
"""

from __future__ import annotations  # duckdb is not loaded for the names of its types alone

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from exporter.catalogue.kpi import Basis, Kpi, bases_of
from exporter.evaluation.calendar import Calendar, open_days
from exporter.evaluation.figure import Key
from exporter.evaluation.plan import Plan

if TYPE_CHECKING:
    import duckdb

DAY_US = 86_400_000_000
UNASSIGNED = "unassigned"
ON_HOLD: Mapping[Basis, str] = {
    "calendar_active": "on_hold_seconds",
    "business_active": "on_hold_business_seconds",
}
"""Basis -> the column of what is taken off."""


def on_each_basis(kpi: Kpi, calendars: bool) -> Iterator[tuple[Kpi, Key]]:
    """A KPI as it is counted, with the labels that say so: as it is, or, where it is a duration that people need, once
    on each basis there is, calendar time first.
    """
    if not kpi.business:
        yield kpi, ()
        return
    for basis in bases_of(kpi, calendars):
        yield on_basis(kpi, kpi.business, basis), (("basis", basis),)


def on_basis(kpi: Kpi, ends: tuple[str, str], basis: Basis) -> Kpi:
    """A duration on one basis. Records without a calendar are in no business figure.

    Time on hold is taken off only where it is known: of business time only what the platform itself counted in open
    hours, for a length does not say when it was. More of it than the whole is a fault in the data, as any length below
    zero.
    """
    written = dict(kpi.written)
    value, where = kpi.value or "", kpi.where
    said = written.get("value", value)
    if basis in ("business", "business_active"):
        value, said = f'"{column(ends)}"', column(ends)
        where = f"({where}) and calendar is not null" if where != "true" else "calendar is not null"
        written.pop("where", None)
    if basis in ON_HOLD:
        value, said = f"({value}) - {ON_HOLD[basis]}", f"{said} - {ON_HOLD[basis]}"
    if basis == "calendar":
        return kpi
    written["value"] = said
    return kpi.model_copy(update={"value": value, "where": where, "written": written})


def column(ends: tuple[str, str]) -> str:
    """The name of the column with the business time between two times."""
    return f"business_seconds({ends[0]}, {ends[1]})"


def tabulate_days(connection: duckdb.DuckDBPyConnection, calendars: Mapping[str, Calendar], last_year: int) -> None:
    """A temporary table open_days of all calendars until the end of a year, in microseconds since 1970."""
    days_of = {name: open_days(calendar, last_year) for name, calendar in calendars.items()}
    columns = [f"{end}_{i}" for i in range(_most(calendars, last_year)) for end in ("begin", "end")]
    declared = "".join(f", {name} bigint default 0" for name in columns)
    connection.execute(
        f"create or replace temp table open_days (calendar varchar, day bigint, before bigint{declared})"
    )
    for name, days in days_of.items():
        values = [days.before, *(text for span in days.spans for text in span)]
        filled = ", ".join(["calendar", "day", "before", *columns[: len(values) - 1]])
        lists = ", ".join("unnest(string_split(?, ',')::bigint[]) * 1000000" for _ in values)
        connection.execute(
            f"insert into open_days ({filled}) select ?, unnest(string_split(?, ',')::bigint[]), {lists}",
            [name, days.days, *values],
        )


def _most(calendars: Mapping[str, Calendar], last_year: int) -> int:
    return max((len(open_days(calendar, last_year).spans) for calendar in calendars.values()), default=0)


def measured(rows: str, facts: str, plan: Plan, last_year: int) -> str:
    """SQL: rows of facts with the calendar that holds for each, and the business times that KPIs ask for."""
    pairs = dict.fromkeys(s.kpi.business for s in plan.settings if s.kpi.facts == facts and s.kpi.business)
    if not plan.calendars or not pairs:
        return rows
    times = [*dict.fromkeys(time for pair in pairs for time in pair)]
    most = _most(plan.calendars, last_year)
    joins = "".join(
        f" left join open_days d{i} on d{i}.calendar = f.calendar and d{i}.day = epoch_us(f.{time}) // {DAY_US}"
        for i, time in enumerate(times)
    )
    lengths = "".join(
        f', {_length(begin, end, times.index(begin), times.index(end), most)} as "{column((begin, end))}"'
        for begin, end in pairs
    )
    # Materialized: otherwise each of the many sums over a length works the length out again.
    return f"""(
        with measured as materialized (
          select f.*{lengths} from (
            select r.*, coalesce(t.calendar, s.calendar) as calendar from {rows} r
            left join team_settings t on t.team = coalesce(nullif(trim(r.team), ''), '{UNASSIGNED}')
            left join source_settings s on s.source = r.source
          ) f{joins}
        ) from measured
    )"""


def _length(begin: str, end: str, begin_day: int, end_day: int, most: int) -> str:
    """SQL: the seconds of business time between two times; below zero where they are the wrong way round."""
    open_time = f"{_before(end, end_day, most)} - {_before(begin, begin_day, most)}"
    backwards = f"epoch(f.{end} - f.{begin})"
    return f"case when f.{end} < f.{begin} then {backwards} else ({open_time}) / 1000000 end"


def _before(time: str, day: int, most: int) -> str:
    """SQL: the open time before a time; null where its day is not in the table."""
    inside = (f" + greatest(0, least(epoch_us(f.{time}), d{day}.end_{i}) - d{day}.begin_{i})" for i in range(most))
    return f"(d{day}.before{''.join(inside)})"
