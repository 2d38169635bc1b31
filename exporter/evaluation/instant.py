"""Evaluates KPIs on a store at one time. All arithmetic is here.

One scan per facts file serves all its KPIs and windows: every part of a figure is a sum, so rows are summed per
segment and per slice between two windows (the last day, the six days before it, ...); a window is a sum of slices.
"""

import operator
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from exporter.base.clock import DAY
from exporter.catalogue.kpi import BUCKETS, Kpi, listed
from exporter.catalogue.sql import LIST
from exporter.evaluation.arrow import lists
from exporter.evaluation.checks import COVERAGE, UNATTRIBUTED
from exporter.evaluation.compiled import CompiledPlan, Measure, compile_plan
from exporter.evaluation.context import Connection, prepare, snapshot, utc
from exporter.evaluation.coverage import subject, withdrawn
from exporter.evaluation.derived import derive
from exporter.evaluation.figure import Evaluation, Figure, Key, Lost
from exporter.evaluation.loss import loss, losses, unreadable
from exporter.evaluation.plan import Plan
from exporter.evaluation.readiness import unfits, waiting, with_configured
from exporter.evaluation.rows import rows_of, segment_value, timestamp, under_each
from exporter.evaluation.stats import Distribution, Runs
from exporter.store.status import SourceStatus

SumRow = tuple[Any, ...]
Exact = Any
"""An int or a Decimal: added up without rounding, so in any order."""


def evaluate(connection: Connection, plan: Plan, at: datetime, sources: Sequence[SourceStatus]) -> Evaluation:
    """Every figure at the time `at`. `connection`: one for reading the store; temporary views are created in it."""
    with snapshot(connection):
        return _evaluate(connection, plan, at, with_configured(plan, sources))


def _evaluate(connection: Connection, plan: Plan, at: datetime, sources: Sequence[SourceStatus]) -> Evaluation:
    absent = unfits(plan, at, sources)
    figures: list[Figure] = []
    counted = countable(compile_plan(plan), absent)
    prepare(connection, plan, at, sources, {each.kpi.facts for each in counted}, snapshot=True)
    for facts, measures in by_facts(counted).items():
        for scan in scans(connection, plan, at, facts, measures):
            figures += scan.figures()
    return concluded(plan, at, figures, absent, sources, losses(connection, plan, at, sources))


def countable(compiled: CompiledPlan, absent: Collection[str]) -> list[Measure]:
    """The measures to count: of the KPIs that can be published, and of their coverage."""
    fit = compiled.by_name.keys() - absent
    checks = (check.measure for check in compiled.checks if check.kpis & fit)
    return [*(each for name, bases in compiled.bases.items() if name in fit for each in bases), *checks]


def by_facts(measures: Iterable[Measure]) -> dict[str, list[Measure]]:
    """Measures grouped by their facts, in order of name."""
    by_name: dict[str, list[Measure]] = {}
    for each in measures:
        by_name.setdefault(each.kpi.facts, []).append(each)
    return dict(sorted(by_name.items()))


def concluded(
    plan: Plan,
    at: datetime,
    counted: Sequence[Figure],
    absent: Mapping[str, str],
    sources: Sequence[SourceStatus],
    by_source: Mapping[str, Lost],
) -> Evaluation:
    """The evaluation: withdraws counted figures for which fields or records are missing, then adds derived ones."""
    compiled = compile_plan(plan)
    fit = [measure for name, measure in compiled.by_name.items() if name not in absent]
    about = {check.about: kpis for check in compiled.checks if (kpis := check.kpis - absent.keys())}
    waits = waiting(plan, at, sources)
    counted = without_needless(counted)
    # How far KPIs can be believed in a window is known where one of them is.
    beside = [f for f in counted if any(f.window not in waits.get(kpi, ()) for kpi in about.get(subject(f), ()))]
    coverage = tuple(f for f in beside if f.kpi == COVERAGE)
    unattributed = tuple(f for f in beside if f.kpi == UNATTRIBUTED)
    windows = compiled.windows
    withheld = withdrawn(fit, windows, coverage)
    of_each = {each.name: loss(each, sources, by_source) for each in fit}

    dropped: set[str] = set()  # KPIs of which figures are withdrawn because records could not be read

    def published(computed: Iterable[Figure]) -> list[Figure]:
        stays: list[Figure] = []
        for figure in computed:
            if figure.window in waits.get(figure.kpi, ()):
                continue
            if unreadable(figure, of_each[figure.kpi], windows[-1]):
                dropped.add(figure.kpi)
            elif not withheld.holds(figure):
                stays.append(figure)
        return stays

    figures = published(f for f in counted if f.kpi not in (COVERAGE, UNATTRIBUTED))
    for each in fit:
        if each.parts:
            figures += published(derive(each, figures))
    present = {figure.kpi for figure in figures}
    lacking = {kpi for kpi, _ in withheld.whole}
    lost = {name: each for name, each in of_each.items() if each != Lost()}
    # Where only a team's records are lost, a KPI that has no figure anyway lacks it for another reason.
    illegible = {
        name for name, each in lost.items() if each.of_all or each.of_every or dropped & compiled.by_name[name].names
    }
    why = dict.fromkeys(waits, "initial_sync") | dict.fromkeys(lacking - waits.keys(), "field_missing")
    why |= dict.fromkeys(illegible - waits.keys(), "unreadable")
    missing = {each.name: why.get(each.name, "no_records") for each in fit if each.name not in present}
    return Evaluation(
        at,
        tuple(figures),
        {**absent, **missing},
        coverage=coverage,
        unattributed=unattributed,
        lost=lost,
        sources=by_source,
        waiting={name: of for name, of in waits.items() if name not in absent},
        feeds={
            # Costs of the config are no source.
            name: frozenset(source.source for source in sources if source.source and source.records & each.records)
            for name, each in compiled.by_name.items()
        },
    )


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments that rows are in, sorted, and for each row the place of its own among them."""

    keys: Sequence[Key]
    of_row: Sequence[int]


def scans(
    connection: Connection, plan: Plan, at: datetime, facts: str, measures: Sequence[Measure]
) -> Iterator["Scan"]:
    """The passes over one facts file: one, but where records have several values of a label that is configured.

    Then a first one counts them under each of these, and the other one once, for the KPIs by that label too.
    """
    by_label = [each for each in measures if each.kpi.several in each.labels]
    label = by_label[0].kpi.several if by_label else None
    if not label or not shared(connection, facts, label):
        yield Scan(connection, plan, at, facts, measures)
        return
    yield Scan(connection, plan, at, facts, by_label, under_each=label)
    names = frozenset(each.name for each in by_label)
    wholes = [replace(each, labels=tuple(had for had in each.labels if had != label)) for each in by_label]
    others = [each for each in measures if each.name not in names]
    yield Scan(connection, plan, at, facts, [*wholes, *others], wholes=names)


def shared(connection: Connection, record: str, label: str) -> bool:
    """Whether any record has several values of a label."""
    query = f'select exists(from "{record}" where len(all_of("{label}", "{listed(label)}")) > 1)'
    return bool(connection.execute(query).fetchall()[0][0])


def without_needless(figures: Sequence[Figure]) -> list[Figure]:
    """Figures without the wholes of KPIs none of whose records counts twice: their sums are right."""
    sums: dict[tuple[str, bool], float] = {}
    for f in figures:
        key = f.kpi, f.whole
        sums[key] = sums.get(key, 0.0) + (f.numerator if f.denominator is None else f.denominator)
    needless = {kpi for kpi, whole in sums if whole and round(sums[kpi, True] - sums.get((kpi, False), 0.0), 6) == 0}
    return [f for f in figures if not (f.whole and f.kpi in needless)]


class Scan:
    """One pass over one facts file for all its KPIs.

    `under_each`: a label; a row counts under each of the values it has of it. `wholes`: KPIs whose figures are such.
    """

    def __init__(
        self,
        connection: Connection,
        plan: Plan,
        at: datetime,
        facts: str,
        measures: Sequence[Measure],
        *,
        under_each: str | None = None,
        wholes: Collection[str] = (),
    ) -> None:
        self.under_each, self.wholes = under_each, wholes
        self.connection, self.plan, self.at, self.facts = connection, plan, utc(at), facts
        self.measures = measures
        self.aggregates: dict[str, int] = {}  # SQL -> its place in a row
        self.parts = {each.key: [*map(self._place, each.aggregates)] for each in measures}  # places in a row
        self.labels = tuple(
            dict.fromkeys(label for each in measures for label in (*each.labels, *each.kpi.numerator_labels))
        )
        times = {time for each in measures for time in (each.kpi.placed_by, each.kpi.numerator_placed_by)}
        self.placings = sorted(time for time in times if time)
        self.lists = {i for sql, i in self.aggregates.items() if sql.startswith(LIST)}
        self.needed = {placing: self._needed(placing) for placing in (*self.placings, None)}
        """Time that places rows -> the sums that are asked of these, by place; sums of rows have them in this order."""

    def _place(self, sql: str) -> int:
        return self.aggregates.setdefault(sql, len(self.aggregates))

    def _needed(self, placing: str | None) -> tuple[int, ...]:
        needed = set[int]()
        for measure in self.measures:
            parts = self.parts[measure.key]
            if measure.kpi.placed_by == placing:
                needed |= {*parts}
            if measure.kpi.numerator_placed_by == placing:
                needed |= {parts[0]}
        return tuple(sorted(needed))

    def at_of(self, measure: Measure, placing: str | None) -> list[int]:
        """Where a row of sums placed by a time has the parts of a measure; -1 for one that it has not."""
        needed, first = self.needed[placing], len(self.labels) + 1
        return [first + needed.index(part) if part in needed else -1 for part in self.parts[measure.key]]

    def figures(self) -> Iterator[Figure]:
        """Every figure of every KPI of these facts."""
        self._cube()
        return self.figures_from(self._rows)

    def figures_from(self, rows_of: Callable[[str | None], Sequence[SumRow]]) -> Iterator[Figure]:
        """The figures from rows (labels..., slice, needed sums...), which `rows_of` gives for each time that places."""
        for placing in (*self.placings, None):
            measures = [each for each in self.measures if each.kpi.placed_by == placing]
            rows = rows_of(placing) if measures else ()
            segments = {labels: self._segments(labels, rows) for labels in {each.labels for each in measures}}
            for measure in measures:
                if inside := measure.kpi.numerator_placed_by:
                    apart = self._placed_apart(measure, rows, rows_of(inside))
                    yield from self._of(measure, apart, self._segments(measure.labels, apart))
                else:
                    yield from self._of(measure, rows, segments[measure.labels])

    def _segments(self, labels: Sequence[str], rows: Sequence[SumRow]) -> Segments:
        at = [self.labels.index(label) for label in labels]
        values = [tuple([row[i] for i in at]) for row in rows]
        # In an order of their own: what is derived adds up floats.
        places = {segment: place for place, segment in enumerate(sorted(set(values)))}
        return Segments(
            [tuple(zip(labels, segment, strict=True)) for segment in places], [places[segment] for segment in values]
        )

    def _cube(self) -> None:
        labels = [f"{segment_value(label)} as l{i}" for i, label in enumerate(self.labels)]
        slices = [f"{self._slice(placing)} as s{i}" for i, placing in enumerate(self.placings)]
        sums = [f"{sql} as m{i}" for sql, i in self.aggregates.items()]
        longest = timedelta(seconds=self.plan.windows[-1][1])
        self.connection.execute(
            f"create or replace temp table cube as select {', '.join([*labels, *slices, *sums])} "
            f"from {self.rows(self.at - longest, self.at, self.at)} group by all having count(*) > 0"
        )

    def rows(self, since: datetime, first: datetime, last: datetime) -> str:
        """SQL: the rows of its facts that hold between two instants."""
        rows = rows_of(self.facts, self.plan, since, first, last)
        return under_each(rows, self.under_each) if self.under_each else rows

    def _slice(self, placing: str) -> str:
        """The shortest window (at - W, at] that holds a time; NULL where none does."""
        cases = [
            f'when "{placing}" > {timestamp(self.at - timedelta(seconds=seconds))} then {i}'
            for i, (_, seconds) in enumerate(self.plan.windows)
        ]
        return f'case when "{placing}" > {timestamp(self.at)} then null {" ".join(cases)} end::tinyint'

    def _rows(self, placing: str | None) -> list[SumRow]:
        """(labels..., slice, needed sums...) of the cube, summed over the slices of other timestamps."""
        place = f"s{self.placings.index(placing)}" if placing else "0"
        biggest = {i for sql, i in self.aggregates.items() if sql.startswith("coalesce(max(")}
        needed, keys = self.needed[placing], ", ".join([*(f"l{i}" for i in range(len(self.labels))), "slice"])
        sums = [
            f"'' as m{i}" if i in self.lists else f"{'max' if i in biggest else 'sum'}(m{i}) as m{i}" for i in needed
        ]
        spreads = [
            f"list_sort(flatten(coalesce(list(m{i}) filter (m{i} is not null), []))) as m{i}"
            for i in needed
            if i in self.lists
        ]

        def query(columns: Sequence[str]) -> str:
            # Where there is nothing to group by, SQL makes a row of nothing from no rows.
            cube = f"(select *, {place} as slice from cube where {place} is not null)"
            return f"select {', '.join([keys, *columns])} from {cube} group by {keys} having count(*) > 0"

        rows: list[SumRow] = self.connection.execute(f"{query(sums)} order by {keys}").fetchall()
        if not spreads:
            return rows
        columns = lists(self.connection, f"select * exclude ({keys}) from ({query(spreads)}) order by {keys}")
        at = [len(self.labels) + 1 + nth for nth, i in enumerate(needed) if i in self.lists]
        return [*with_lists(rows, at, columns)]

    def _placed_apart(self, measure: Measure, now: Sequence[SumRow], placed: Sequence[SumRow]) -> list[SumRow]:
        """Rows with the denominator of a ratio as of now, so in every window, and its numerator in those of a time."""
        above, below = self.at_of(measure, measure.kpi.placed_by)
        its = self.at_of(measure, measure.kpi.numerator_placed_by)[0]
        first, nothing = len(self.labels) + 1, [0] * len(self.needed[measure.kpi.placed_by])

        def only(row: SumRow, place: int, value: Exact) -> SumRow:
            sums = [*row[:first], *nothing]
            sums[place] = value
            return tuple(sums)

        return [only(row, below, row[below]) for row in now] + [only(row, above, row[its]) for row in placed]

    def _of(self, measure: Measure, rows: Sequence[SumRow], segments: Segments) -> Iterator[Figure]:
        kpi, width = measure.kpi, len(self.labels)
        split = [self.labels.index(label) for label in kpi.numerator_labels]
        at = self.at_of(measure, kpi.placed_by)
        combine = max if kpi.aggregate == "max" else operator.add
        slices = len(self.plan.windows) if kpi.windowed else 1
        nothing: list[Exact] = [() if part in self.lists else 0 for part in self.parts[measure.key]]
        found: dict[int, list[list[Exact]]] = {}
        splits: dict[int, dict[Key, list[Exact]]] = {}
        for row, place in zip(rows, segments.of_row, strict=True):
            values = [row[i] for i in at]
            if not any(values) and kpi.windowed:
                continue
            sums = found.setdefault(place, [nothing] * slices)
            sums[row[width]] = [*map(combine, sums[row[width]], values)]
            if split and values[0]:
                by = tuple(zip(kpi.numerator_labels, (row[i] for i in split), strict=True))
                splits.setdefault(place, {}).setdefault(by, [0] * slices)[row[width]] += values[0]
        for place, sums in sorted(found.items()):
            windows = accumulate(sums, lambda total, more: [*map(combine, total, more)])
            yield from self._windows(kpi, (*segments.keys[place], *measure.fixed), windows, splits.get(place, {}))

    def _windows(
        self, kpi: Kpi, key: Key, totals: Iterable[list[Exact]], by: Mapping[Key, list[Exact]]
    ) -> Iterator[Figure]:
        windows = self.plan.windows if kpi.windowed else [(None, DAY)]
        whole, buckets = kpi.name in self.wholes, Buckets()
        for i, ((window, seconds), total) in enumerate(zip(windows, totals, strict=True)):
            splits = tuple((k, float(v)) for k, values in sorted(by.items()) if (v := sum(values[: i + 1])))
            above = float(total[0])
            if kpi.kind in ("count", "sum", "state"):
                amount = above / (seconds / DAY if kpi.per else 1)
                yield Figure(kpi.name, window, key, amount, whole=whole)
            elif total[1]:
                # Either the values themselves, or how many are at or below each bound.
                runs = total[2] if kpi.kind == "duration" and self.plan.medians else ()
                counts = buckets.of(runs) if runs else total[2:]
                spread = distribution(counts, total[1], above) if kpi.kind == "duration" else None
                yield Figure(kpi.name, window, key, above, float(total[1]), spread, splits, values=runs, whole=whole)


def with_lists(
    rows: Sequence[SumRow], at: Sequence[int], columns: "Sequence[Sequence[array[float]]]"
) -> Iterator[SumRow]:
    """Rows with lists of values, as runs, at some places."""
    for row, values in zip(rows, zip(*columns, strict=True), strict=True):
        filled = list(row)
        for i, run in zip(at, values, strict=True):
            filled[i] = (run,) if run else ()
        yield tuple(filled)


def distribution(counts: Sequence[Exact], total: Exact, summed: float) -> Distribution:
    """Counts at or below each of BUCKETS, with the infinite bucket added."""
    bounds = tuple((bound, int(count)) for bound, count in zip(BUCKETS, counts, strict=True))
    return Distribution((*bounds, (float("inf"), int(total))), int(total), summed)


class Buckets:
    """Counts values; each window has those of the one before it, and more."""

    def __init__(self) -> None:
        self._counts, self._runs = [0] * len(BUCKETS), 0

    def of(self, runs: Runs) -> Sequence[int]:
        """How many values are at or below each of BUCKETS."""
        for run in runs[self._runs :]:
            self._counts = [had + bisect_right(run, bound) for had, bound in zip(self._counts, BUCKETS, strict=True)]
        self._runs = len(runs)
        return self._counts
