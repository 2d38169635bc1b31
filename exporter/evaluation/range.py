"""Evaluates KPIs at many past times at once, with the same figures that each time alone would give.

What a facts file tells of an interval is scanned once for a chunk of instants: a row enters a window at one instant
and leaves it at another, so sums are carried from instant to instant and only what changed is added or taken off.
Sums are decimals, so carrying them on loses nothing. Facts that answer for one instant only are asked at each, but the
rows they build on are kept for the chunk: no table of records is scanned anew for them.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from exporter.catalogue.facts import ColumnChange, facts, file_of, kept_rows
from exporter.evaluation.compiled import Measure, compile_plan
from exporter.evaluation.context import Connection, cut, prepare, remember_macros, utc
from exporter.evaluation.figure import Evaluation, Figure
from exporter.evaluation.instant import (
    Scan,
    SumRow,
    by_facts,
    concluded,
    countable,
    scans,
)
from exporter.evaluation.loss import losses
from exporter.evaluation.plan import Plan
from exporter.evaluation.readiness import unfits, with_configured
from exporter.evaluation.rows import segment_value, timestamp
from exporter.store.status import SourceStatus

SourcesAt = Callable[[datetime], Sequence[SourceStatus]]
BEGINNING = datetime(1, 1, 1)  # noqa: DTZ001 - the store's instants are without zone
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the store's instants are without zone
FOREVER = 2**62
PRESENT = "count(*)"


@dataclass(frozen=True, kw_only=True)
class Instants:
    """Evenly spaced instants."""

    first: datetime
    step: timedelta
    count: int

    def __iter__(self) -> Iterator[datetime]:
        return (self.first + i * self.step for i in range(self.count))

    @property
    def last(self) -> datetime:
        return self.first + (self.count - 1) * self.step

    def chunks(self, most: int) -> Iterator["Instants"]:
        """The same instants in pieces."""
        for done in range(0, self.count, most):
            yield replace(self, first=self.first + done * self.step, count=min(most, self.count - done))


def evaluations(connection: Connection, plan: Plan, instants: Instants, sources_at: SourcesAt) -> Iterator[Evaluation]:
    """The result of evaluate() at each time. `sources_at`: gives the status of the sources at a time."""
    # Sources only get staler as time goes on, and windows only later: what does not fit here fits at no instant.
    sources = with_configured(plan, sources_at(instants.first))
    fit = countable(compile_plan(plan), unfits(plan, instants.last, sources))
    prepare(connection, plan, instants.last, sources, {each.kpi.facts for each in fit})
    keep(connection, plan, fit, instants)
    ways = [way for name, of in by_facts(fit).items() for way in ways_of(connection, plan, name, of, instants)]
    for i, at in enumerate(instants):
        sources = with_configured(plan, sources_at(at))
        absent = unfits(plan, at, sources)
        cut(connection, plan, at)
        counted = [figure for way in ways for figure in way(i, at) if figure.kpi not in absent]
        yield concluded(plan, at, counted, absent, sources, losses(connection, plan, at, sources))


Way = Callable[[int, datetime], Sequence[Figure]]
"""(number of the instant, instant) -> the figures of some KPIs; asked in order."""


def ways_of(
    connection: Connection, plan: Plan, name: str, measures: Sequence[Measure], instants: Instants
) -> Iterator[Way]:
    """The ways to get the figures of one facts file: carried from time to time, computed once, or each time anew."""
    anew = asked_anew(plan, measures)
    carried = [each for each in measures if each not in anew]
    if carried:
        for scan in scans(connection, plan, instants.last, name, carried):
            yield Carried(scan, instants)
    if anew and facts(name).main.rows == "constant":
        once = [figure for scan in scans(connection, plan, instants.last, name, anew) for figure in scan.figures()]
        yield lambda _i, _at: once
    elif anew:
        yield lambda _i, at: [f for scan in scans(connection, plan, at, name, anew) for f in scan.figures()]


MOMENT = ColumnChange("case when from_at = to_at then to_at else moment end")
"""What `moment` is where rows are kept: of one instant that instant."""


def asked_anew(plan: Plan, measures: Sequence[Measure]) -> list[Measure]:
    """The measures whose sums cannot be carried from one time to the next."""
    return [each for each in measures if facts(each.kpi.facts).main.rows != "interval" or changing(each, plan)]


def changing(measure: Measure, plan: Plan) -> bool:
    """Whether the amounts of a KPI change while its rows hold, or are not summed."""
    kpi = measure.kpi
    used = {*measure.columns, *measure.labels, *kpi.numerator_labels}
    changes = {"moment": MOMENT, **facts(kpi.facts).main.changes}
    grows = (name for name, change in changes.items() if name in used and happens(change, plan))
    return any(grows) or kpi.aggregate == "max"


def happens(change: ColumnChange, plan: Plan) -> bool:
    """Whether a column changes as things are configured."""
    if not change.configured:
        return True
    table, name = change.configured
    return any(getattr(each, name) for each in plan.tables[table].values())


def keep(connection: Connection, plan: Plan, fit: Sequence[Measure], instants: Instants) -> None:
    """Stores the rows that every time needs; from then on their macros read these instead of the records."""
    first, last = utc(instants.first), utc(instants.last)
    since = first - timedelta(seconds=plan.windows[-1][1])
    wanted = sorted({facts(each.kpi.facts).main.name for each in asked_anew(plan, fit)})
    for name in dict.fromkeys(base for macro in wanted for base in kept_rows(macro)):
        counted = facts(file_of()[name]).main
        # Rows that others are made of are followed back as far as the store reaches: so far may a row of failures.
        reach = since if counted.name == name else BEGINNING
        connection.execute(
            f"create or replace temp table kept_{name} as "
            f"from {name}({timestamp(reach)}, {timestamp(first)}, {timestamp(last)})"
        )
        changes = {**counted.changes, "moment": MOMENT} if counted.name == name else {}
        now = ", ".join(f"{change.sql} as {column}" for column, change in changes.items() if change.sql)
        connection.execute(
            f"create or replace temp macro {name}(since, from_at, to_at) as table "
            f"select * {f'replace ({now})' if now else ''} from kept_{name} "
            "where moment <= to_at and coalesce(until > from_at, true)"
        )
    remember_macros(connection, [])


class Carried:
    """One scan over one facts file for all instants of a chunk; called with one instant after the other."""

    def __init__(self, scan: Scan, instants: Instants) -> None:
        self.scan, self.instants = scan, instants
        self.sums: dict[str | None, dict[SumRow, list[Any]]] = {placing: {} for placing in scan.needed}
        self.changes: dict[str | None, dict[int, list[SumRow]]] = {placing: {} for placing in scan.needed}
        self._read()

    def __call__(self, i: int, _at: datetime) -> Sequence[Figure]:
        for placing, changes in self.changes.items():
            self._change(self.sums[placing], changes.pop(i, []), self.scan.needed[placing])
        return [*self.scan.figures_from(self._rows)]

    def _read(self) -> None:
        scan, first, last = self.scan, utc(self.instants.first), utc(self.instants.last)
        since = first - timedelta(seconds=scan.plan.windows[-1][1])
        scan.connection.execute(f"create or replace temp table versions as from {scan.rows(since, first, last)}")
        for placing, needed in scan.needed.items():
            if needed:
                for row in scan.connection.execute(self._sql(placing, needed)).fetchall():
                    self.changes[placing].setdefault(row[0], []).append(row)
        scan.connection.execute("drop table versions")

    def _sql(self, placing: str | None, needed: Sequence[int]) -> str:
        """(number of an instant, 1 to add or -1 to take off, labels..., slice, measures..., how many rows)."""
        first, step = microseconds(utc(self.instants.first)), self.instants.step // timedelta(microseconds=1)
        bounds = [0, *(seconds * 1_000_000 for _, seconds in self.scan.plan.windows)]
        slices = ", ".join(f"({i}, {bounds[i]}, {bounds[i + 1]})" for i in range(len(bounds) - 1))
        begin, end = f"greatest(epoch_us(moment), {first})", f"coalesce(epoch_us(until), {FOREVER})"
        if placing:
            begin = f'greatest({begin}, epoch_us("{placing}") + lower_us)'
            end = f'least({end}, epoch_us("{placing}") + upper_us)'
        texts = list(self.scan.aggregates)
        measures = ", ".join([*(texts[i] for i in needed), PRESENT])
        labels = ", ".join(["turn.step", "turn.sign", *map(segment_value, self.scan.labels), "slice_number"])
        return f"""
            with placed as (
              select *, {begin} as begin_us, {end} as end_us
              from versions, (values {slices if placing else "(0, 0, 0)"}) slices (slice_number, lower_us, upper_us)
              where {f'"{placing}" is not null' if placing else "true"}
            ),
            stepped as (
              -- The first instant at or after its begin, and the first at or after its end: there it is gone.
              select *, (begin_us - {first} + {step - 1}) // {step} as first_step,
                (end_us - {first} + {step - 1}) // {step} as end_step
              from placed where begin_us < end_us
            ),
            turns as (
              select *, unnest([{{'step': first_step, 'sign': 1}}, {{'step': end_step, 'sign': -1}}]) as turn
              from stepped where first_step < end_step and first_step < {self.instants.count}
            )
            select {labels}, {measures} from turns where turn.step < {self.instants.count} group by all"""

    def _change(self, sums: dict[SumRow, list[Any]], changes: Sequence[SumRow], needed: Sequence[int]) -> None:
        width = len(self.scan.labels) + 3
        for row in changes:
            key, sign, values = row[2:width], row[1], row[width:]
            had = sums.setdefault(key, [array("d") if i in self.scan.lists else 0 for i in (*needed, None)])
            for j, value in enumerate(values):
                if isinstance(had[j], int | Decimal):
                    had[j] += sign * value
                elif value:
                    change(had[j], value, sign)
            if not had[-1]:
                del sums[key]

    def _rows(self, placing: str | None) -> list[SumRow]:
        needed = self.scan.needed[placing]
        # What is given away is carried on no further.
        return [
            (
                *key,
                *(
                    ((value[:],) if value else ()) if i in self.scan.lists else value
                    for i, value in zip(needed, values, strict=False)
                ),
            )
            for key, values in self.sums[placing].items()
        ]


def change(values: "array[float]", some: Sequence[float], sign: int) -> None:
    """Puts some values among sorted ones, or takes them out."""
    if not values:
        values.extend(sorted(some))
        return
    for value in some:
        if sign > 0:
            insort(values, value)
        else:
            values.pop(bisect_left(values, value))


def microseconds(at: datetime) -> int:
    """Since 1970, of an instant without zone."""
    return (at - EPOCH) // timedelta(microseconds=1)
