"""KPI + store + instant -> figures: the only arithmetic.

One scan per facts file serves all its KPIs and windows: every part of a figure is a sum, so rows are summed per
segment and per slice between two windows (the last day, the six days before it, ...); a window is a sum of slices.
"""

import operator
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from exporter.catalogue.kpi import BUCKETS, Kpi, labels_of, listed, parts
from exporter.catalogue.sql import LIST, measures
from exporter.evaluation.business_time import UNASSIGNED, measured, on_each_basis
from exporter.evaluation.context import Connection, prepare, utc
from exporter.evaluation.coverage import COVERAGE, UNATTRIBUTED, checks, subject, subjects, withdrawn
from exporter.evaluation.derived import derive
from exporter.evaluation.figure import Evaluation, Figure, Key, Lost
from exporter.evaluation.loss import loss, losses, unreadable, whole
from exporter.evaluation.plan import Feed, Plan, Setting
from exporter.evaluation.stats import Distribution

DAY = 86400
ROWS = 1000
Row = tuple[Any, ...]
Exact = Any
"""An int or a Decimal: added up without rounding, so in any order."""


def evaluate(connection: Connection, plan: Plan, at: datetime, feeds: Sequence[Feed]) -> Evaluation:
    """Every figure as it stood at `at`. `connection`: a reader of the store; temporary views are made in it."""
    feeds = with_configured(plan, feeds)
    absent = unfits(plan, feeds)
    figures: list[Figure] = []
    counted = countable(plan, absent)
    every = sorted({s.kpi.facts for s in counted})
    prepare(connection, plan, at, feeds, every)
    for facts in every:
        for scan in scans(connection, plan, at, facts, [s for s in counted if s.kpi.facts == facts]):
            figures += scan.figures()
    return concluded(plan, at, figures, absent, feeds, losses(connection, plan, at, feeds))


def countable(plan: Plan, absent: Mapping[str, str]) -> list[Setting]:
    """What is counted from facts: the KPIs that can be published, and how far they can be believed."""
    fit = [s for s in plan.settings if s.kpi.name not in absent]
    return [*(s for s in fit if s.kpi.kind != "derived"), *checks(fit, plan)]


def concluded(
    plan: Plan,
    at: datetime,
    counted: Sequence[Figure],
    absent: Mapping[str, str],
    feeds: Sequence[Feed],
    sources: Mapping[str, Lost],
) -> Evaluation:
    """An evaluation of counted figures: without those that fields or records are missing for, with those derived."""
    fit = [s for s in plan.settings if s.kpi.name not in absent]
    about = subjects(fit)
    counted = without_needless(counted)
    coverage = tuple(f for f in counted if f.kpi == COVERAGE and subject(f) in about)
    unattributed = tuple(f for f in counted if f.kpi == UNATTRIBUTED and subject(f) in about)
    windows = [name for name, _ in plan.windows]
    withheld = withdrawn(fit, windows, coverage)
    of_each = {s.kpi.name: loss(s.kpi, plan.kpis, feeds, sources) for s in fit}

    dropped: set[str] = set()  # KPIs of which figures are withdrawn because records could not be read

    def kept(found: Iterable[Figure]) -> list[Figure]:
        stays: list[Figure] = []
        for figure in found:
            if unreadable(figure, of_each[figure.kpi], windows[-1]):
                dropped.add(figure.kpi)
            elif not withheld.holds(figure):
                stays.append(figure)
        return stays

    figures = kept(f for f in counted if f.kpi not in (COVERAGE, UNATTRIBUTED))
    for setting in fit:
        if setting.kpi.kind == "derived":
            figures += kept(derive(setting.kpi, figures, plan))
    present = {figure.kpi for figure in figures}
    lacking = {kpi for kpi, _ in withheld.whole}
    lost = {name: each for name, each in of_each.items() if each != Lost()}
    # Where only a team's records are lost, a KPI that has no figure anyway lacks it for another reason.
    illegible = {
        name
        for name, each in lost.items()
        if each.of_all or each.of_every or dropped & whole(plan.kpis[name], plan.kpis)
    }
    missing = {
        name: "unreadable" if name in illegible else "field_missing" if name in lacking else "no_records"
        for name in (s.kpi.name for s in fit)
        if name not in present
    }
    return Evaluation(
        at,
        tuple(figures),
        {**absent, **missing},
        coverage=coverage,
        unattributed=unattributed,
        lost=lost,
        sources=sources,
    )


def with_configured(plan: Plan, feeds: Sequence[Feed]) -> Sequence[Feed]:
    """What feeds records, the config itself included, which has a name that no source has."""
    return [*feeds, Feed(source="", records=frozenset({"cost"}))] if plan.costs else feeds


def unfits(plan: Plan, feeds: Sequence[Feed]) -> dict[str, str]:
    """KPI -> why it cannot be published, of those that cannot. Half of its parts would make a derived one wrong."""
    reasons = {s.kpi.name: unfit(s.kpi, feeds) for s in plan.settings}
    for kpi in (s.kpi for s in plan.settings if s.kpi.matched):
        # What is known of teams cannot be matched with what nobody tells apart by team.
        if "team" not in plan.labels.get(kpi.record, ()):
            reasons[kpi.name] = reasons[kpi.name] or "no_team_label"
    for kpi in (s.kpi for s in plan.settings if s.kpi.kind == "derived"):
        of_parts = (reasons.get(part.split(".")[0], "switched_off") for part in parts(kpi))
        reasons[kpi.name] = reasons[kpi.name] or next(filter(None, of_parts), None)
    return {name: reason for name, reason in reasons.items() if reason}


def unfit(kpi: Kpi, feeds: Sequence[Feed]) -> str | None:
    """Why a KPI cannot be published, or None where it can."""
    fed = feed_records(feeds)
    if not fed.issuperset(kpi.needs) and fed.isdisjoint(kpi.instead):
        return "no_source"
    concerned = [feed for feed in feeds if feed.records & kpi.fed_by]
    if not all(feed.complete for feed in concerned):
        return "initial_sync"
    return "stale_source" if any(feed.stale for feed in concerned) else None


def feed_records(feeds: Iterable[Feed]) -> set[str]:
    """Every record that some source feeds."""
    return {record for feed in feeds for record in feed.records}


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments that rows are in, sorted, and for each row the place of its own among them."""

    keys: Sequence[Key]
    of_row: Sequence[int]


def scans(
    connection: Connection, plan: Plan, at: datetime, facts: str, settings: Sequence[Setting]
) -> Iterator["Scan"]:
    """The passes over one facts file: one, but where records have several values of a label that is configured.

    Then a first one counts them under each of these, and the other one once, for the KPIs by that label too.
    """
    by_label = [s for s in settings if s.kpi.several in labels_of(s.kpi, plan.labels)]
    label = by_label[0].kpi.several if by_label else None
    if not label or not shared(connection, facts, label):
        yield Scan(connection, plan, at, facts, settings)
        return
    yield Scan(connection, plan, at, facts, by_label, under_each=label)
    names = frozenset(s.kpi.name for s in by_label)
    wholes = [replace(s, kpi=s.kpi.model_copy(update={"lacks": (*s.kpi.lacks, label)})) for s in by_label]
    others = [s for s in settings if s.kpi.name not in names]
    yield Scan(connection, plan, at, facts, [*wholes, *others], wholes=names)


def shared(connection: Connection, record: str, label: str) -> bool:
    """Whether a record has several values of a label."""
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
        settings: Sequence[Setting],
        *,
        under_each: str | None = None,
        wholes: Collection[str] = (),
    ) -> None:
        self.under_each, self.wholes = under_each, wholes
        self.connection, self.plan, self.at, self.facts = connection, plan, utc(at), facts
        self.settings = settings = [each for s in settings for each in on_each_basis(s, plan)]
        self.measures: dict[str, int] = {}  # SQL -> its place in a row
        told = {s.key: measures(s.kpi, s.params, medians=plan.medians) for s in settings}
        self.parts = {key: [*map(self._measure, each)] for key, each in told.items()}  # places in a row
        self.labels = tuple(
            dict.fromkeys(label for s in settings for label in (*self._labels(s.kpi), *s.kpi.numerator_labels))
        )
        times = {time for s in settings for time in (s.kpi.placed_by, s.kpi.numerator_placed_by)}
        self.placings = sorted(time for time in times if time)
        self.lists = {i for sql, i in self.measures.items() if sql.startswith(LIST)}
        of_list = [(s.kpi.placed_by, i) for s in settings for i in self.parts[s.key] if i in self.lists]
        self.lists_of = {placing: {i for time, i in of_list if time == placing} for placing in (*self.placings, None)}

    def _labels(self, kpi: Kpi) -> tuple[str, ...]:
        return labels_of(kpi, self.plan.labels)

    def _measure(self, sql: str) -> int:
        return self.measures.setdefault(sql, len(self.measures))

    def figures(self) -> Iterator[Figure]:
        """Every figure of every KPI of these facts."""
        self._cube()
        return self.figures_from(self._rows)

    def figures_from(self, rows_of: Callable[[str | None], Sequence[Row]]) -> Iterator[Figure]:
        """The figures made of sums per (labels..., slice), told for each timestamp that places rows."""
        for placing in (*self.placings, None):
            settings = [s for s in self.settings if s.kpi.placed_by == placing]
            rows = rows_of(placing) if settings else ()
            segments = {labels: self._segments(labels, rows) for labels in {self._labels(s.kpi) for s in settings}}
            for setting in settings:
                labels, inside = self._labels(setting.kpi), setting.kpi.numerator_placed_by
                if inside:
                    apart = self._placed_apart(setting, rows, rows_of(inside))
                    yield from self._of(setting, apart, self._segments(labels, apart))
                else:
                    yield from self._of(setting, rows, segments[labels])

    def _segments(self, labels: Sequence[str], rows: Sequence[Row]) -> Segments:
        at = [self.labels.index(label) for label in labels]
        values = [tuple([row[i] for i in at]) for row in rows]
        # In an order of their own: what is derived adds up floats.
        places = {told: place for place, told in enumerate(sorted(set(values)))}
        return Segments([tuple(zip(labels, told, strict=True)) for told in places], [places[told] for told in values])

    def _cube(self) -> None:
        labels = [f"{segment_value(label)} as l{i}" for i, label in enumerate(self.labels)]
        slices = [f"{self._slice(placing)} as s{i}" for i, placing in enumerate(self.placings)]
        sums = [f"{sql} as m{i}" for sql, i in self.measures.items()]
        longest = timedelta(seconds=self.plan.windows[-1][1])
        self.connection.execute(
            f"create or replace temp table cube as select {', '.join([*labels, *slices, *sums])} "
            f"from {self.rows(self.at - longest, self.at, self.at)} group by all having count(*) > 0"
        )

    def rows(self, since: datetime, first: datetime, last: datetime) -> str:
        """SQL: the rows of its facts that hold between two instants."""
        rows = rows_of(self.facts, self.plan, since, first, last)
        if not self.under_each:
            return rows
        label = self.under_each
        return f'(select * exclude ("{label}"), unnest("{listed(label)}") as "{label}" from {rows})'

    def _slice(self, placing: str) -> str:
        """The shortest window (at - W, at] that holds a time; NULL where none does."""
        cases = [
            f'when "{placing}" > {timestamp(self.at - timedelta(seconds=seconds))} then {i}'
            for i, (_, seconds) in enumerate(self.plan.windows)
        ]
        return f'case when "{placing}" > {timestamp(self.at)} then null {" ".join(cases)} end::tinyint'

    def _rows(self, placing: str | None) -> list[Row]:
        """(labels..., slice, measures...) of the cube, summed over the slices of other timestamps."""
        place = f"s{self.placings.index(placing)}" if placing else "0"
        biggest = {i for sql, i in self.measures.items() if sql.startswith("coalesce(max(")}
        columns = [f"l{i}" for i in range(len(self.labels))] + [f"{place} as slice"]
        lists = self.lists_of[placing]
        columns += [
            (f"flatten(list(m{i}) filter (m{i} is not null))" if i in lists else "null")
            if i in self.lists
            else f"{'max' if i in biggest else 'sum'}(m{i})"
            for i in self.measures.values()
        ]
        # Where there is nothing to group by, SQL makes a row of nothing from no rows.
        found = self.connection.execute(
            f"select {', '.join(columns)} from cube where {place} is not null group by all having count(*) > 0"
        )
        at = [len(self.labels) + 1 + i for i in sorted(lists)]
        rows: list[Row] = []
        while some := found.fetchmany(ROWS):  # a value is four times as large until it is packed
            rows += [packed(row, at) for row in some] if at else some
        return rows

    def _placed_apart(self, setting: Setting, now: Sequence[Row], placed: Sequence[Row]) -> list[Row]:
        """Rows with the denominator of a ratio as of now, so in every window, and its numerator in those of a time."""
        above, below = (len(self.labels) + 1 + part for part in self.parts[setting.key])
        return [(*row[:above], 0, *row[above + 1 :]) for row in now] + [
            (*row[:below], 0, *row[below + 1 :]) for row in placed
        ]

    def _of(self, setting: Setting, rows: Sequence[Row], segments: Segments) -> Iterator[Figure]:
        kpi, width = setting.kpi, len(self.labels)
        split = [self.labels.index(label) for label in kpi.numerator_labels]
        at = [width + 1 + part for part in self.parts[setting.key]]
        combine = max if kpi.aggregate == "max" else operator.add
        slices = len(self.plan.windows) if kpi.windowed else 1
        nothing: list[Exact] = [() if part in self.lists else 0 for part in self.parts[setting.key]]
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
            yield from self._windows(kpi, (*segments.keys[place], *setting.fixed), windows, splits.get(place, {}))

    def _windows(
        self, kpi: Kpi, key: Key, totals: Iterable[list[Exact]], by: Mapping[Key, list[Exact]]
    ) -> Iterator[Figure]:
        windows = self.plan.windows if kpi.windowed else [(None, DAY)]
        for i, ((window, seconds), total) in enumerate(zip(windows, totals, strict=True)):
            splits = tuple((k, float(v)) for k, values in sorted(by.items()) if (v := sum(values[: i + 1])))
            above = float(total[0])
            if kpi.kind in ("count", "sum", "state"):
                amount = above / (seconds / DAY if kpi.per else 1)
                yield Figure(kpi.name, window, key, amount, whole=kpi.name in self.wholes)
            elif total[1]:
                counts, values = total[2 : 2 + len(BUCKETS)], total[2 + len(BUCKETS) :]
                spread = distribution(counts, total[1], above) if kpi.kind == "duration" else None
                runs = values[0] if values else ()
                whole = kpi.name in self.wholes
                yield Figure(kpi.name, window, key, above, float(total[1]), spread, splits, values=runs, whole=whole)


def stood(facts: str, plan: Plan, at: datetime) -> str:
    """SQL: the rows of facts as they stood at an instant (UTC, without zone), as far back as the longest window."""
    since = at - timedelta(seconds=plan.windows[-1][1])
    return f"from {rows_of(facts, plan, since, at, at)}"


def rows_of(facts: str, plan: Plan, since: datetime, first: datetime, last: datetime) -> str:
    """SQL: the rows of facts that hold between two instants."""
    rows = f"{facts}_facts({timestamp(since)}, {timestamp(first)}, {timestamp(last)})"
    return measured(rows, facts, plan, last.year)


def segment_value(label: str) -> str:
    """SQL: a row's value of a label."""
    return f"""coalesce(nullif(trim("{label}"::varchar), ''), '{UNASSIGNED}')"""


def packed(row: Row, at: Sequence[int]) -> Row:
    """A row whose lists of values at some places are runs."""
    told = list(row)
    for i in at:
        told[i] = (array("d", row[i]),) if row[i] else ()
    return tuple(told)


def distribution(counts: Sequence[Exact], total: Exact, summed: float) -> Distribution:
    """Counts at or below each of BUCKETS, with the infinite bucket added."""
    bounds = tuple((bound, int(count)) for bound, count in zip(BUCKETS, counts, strict=True))
    return Distribution((*bounds, (float("inf"), int(total))), int(total), summed)


def timestamp(at: datetime) -> str:
    """An instant without zone as an SQL literal."""
    return f"timestamp '{at.isoformat(sep=' ')}'"
