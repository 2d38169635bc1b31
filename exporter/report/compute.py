"""Makes a report from a store: evaluates the period and the one before it, compares them, and chooses what to show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.base.clock import DAY
from exporter.baselines.weekdays import watched
from exporter.config import Config
from exporter.evaluation.compiled import narrowed
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.plan import Intervention, Period, Plan
from exporter.report.action import actions
from exporter.report.after import associations, interventions, reviewed
from exporter.report.content import Line, Report, Reviewed, Unusual
from exporter.report.days import Periods
from exporter.report.lines import Compare, lines
from exporter.report.period import REVIEW, NoSuchPeriod, Span, span
from exporter.report.reader import READERS, Interest, Reader
from exporter.report.remarks import assumed, missing, notes, troubled
from exporter.report.selection import MOST, MOST_STORIES, chosen, rank, told
from exporter.report.unusual import anomalies, grouped
from exporter.report.values import WINDOW, Values
from exporter.runtime import statuses
from exporter.store import Store
from exporter.store.status import SourceStatus

LONG = 28 * DAY
"""A period from which on its two halves say something, where there is none before it."""


def report(
    config: Config,
    store: Store,
    period: str,
    reader: Reader,
    at: datetime,
    sources: Sequence[SourceStatus] | None = None,
) -> Report:
    """The report of a period for a reader, as it is known at a time. Raises NoSuchPeriod.

    `period`: week, month, quarter (the last one that is over), a name such as 2026-Q3, or 30-60-90.
    `sources`: their status, where it is known better than from the store.
    """
    found = span(period, at, ZoneInfo(config.time_zone))
    if period == REVIEW and not any(each.go_live for each in config.plan.interventions):
        raise NoSuchPeriod(f"period {REVIEW!r}: the config says of nothing when it went live; write it under go_live")
    known = statuses(config, store, at) if sources is None else sources
    kept_since = at - timedelta(seconds=config.store.retention_seconds)
    with store.reading() as connection:
        return _Maker(config, store, connection, found, READERS[reader], known, kept_since).report(reader, at)


@dataclass
class _Maker:
    config: Config
    store: Store
    connection: Connection
    span: Span
    interest: Interest
    sources: Sequence[SourceStatus]
    kept_since: datetime

    def report(self, reader: Reader, at: datetime) -> Report:
        """The whole of it."""
        plan = narrowed(self.config.plan, self._candidates())
        now, found, number, halves = self._lines(plan)
        first, drivers, controls = chosen(found, self.interest)
        shown = [*first, *drivers, *controls]
        moved = sorted((line for line in found.values() if line.moved), key=lambda line: rank(line, shown))
        over = self._values.over(plan, self.span.seconds)
        todo = actions(now, over, self.interest.groups, self.span)
        watched_first = [*first, *drivers, *self.interest.headline, *self.interest.drivers]
        review = self.span.name == REVIEW
        # A review is about what went live; days and teams are what the other reports are for.
        days, number_of_days = ((), 0) if review else self._unusual(plan, watched_first, at)
        most = 0 if review else MOST_STORIES
        told_of = [*dict.fromkeys((*shown, *(line.kpi for line in moved)))]
        return Report(
            span=self.span,
            zone=self.config.time_zone,
            reader=reader,
            at=at,
            lines=found,
            headline=next(iter(first), None),
            drivers=drivers,
            controls=controls,
            better=told(moved, "better", shown, most),
            worse=told(moved, "worse", shown, most),
            neither=told(moved, "", shown, most),
            actions=tuple(todo[:MOST]),
            more_actions=max(0, len(todo) - MOST),
            interventions=tuple(self._interventions(plan, told_of)),
            associations=() if review else tuple(associations(now, over, WINDOW, shown)),
            reviews=tuple(self._reviews(at)),
            unusual=days,
            compared_days=number_of_days,
            missing=missing(plan, now, found),
            sources=tuple(troubled(self.sources, self.span, at)),
            assumptions=tuple(assumed(plan, [found[name] for name in shown])),
            notes=tuple(notes(self.span, self._zone, halves=halves)),
            tests=number,
            earlier="in its first half" if halves else self.span.earlier,
        )

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.config.time_zone)

    @property
    def _values(self) -> Values:
        return Values(config=self.config, connection=self.connection, sources=self.sources, kept_since=self.kept_since)

    def _candidates(self) -> list[str]:
        """The KPIs that are looked at: those of the groups of the reader, and what is read beside them."""
        mine = [s for s in self.config.plan.settings if s.chosen and s.kpi.group in self.interest.groups]
        return [s.kpi.name for s in mine]

    def _lines(self, plan: Plan) -> tuple[Evaluation, dict[str, Line], int, bool]:
        """(values of the period, every KPI that has one, how many tests were made, whether they are of its halves)."""
        period = Period(begins_at=self.span.begins_at, ends_at=self.span.until)
        whole = self._values.of(plan, period)
        before = self._values.of(plan, self.span.before)
        found, number = self._compared(plan, whole, whole, before, (self.span.before, period))
        compared = [line.change is not None for line in found.values() if line.windowed]
        halves = self.span.seconds >= LONG and 2 * sum(compared) < len(compared)
        if halves:
            # There is no period before: what changed from the first half of this one to the second.
            middle = period.begins_at + timedelta(days=self.span.seconds // (2 * DAY))
            parts = replace(period, ends_at=middle), replace(period, begins_at=middle)
            then, now = (self._values.of(plan, each) for each in parts)
            found, number = self._compared(plan, whole, now, then, parts, halves=True)
        return whole, found, number, halves

    def _compared(
        self, plan: Plan, whole: Evaluation, now: Evaluation, before: Evaluation, periods: Periods,
        *, halves: bool = False,
    ) -> tuple[dict[str, Line], int]:  # fmt: skip
        of = Compare(
            plan=plan, span=self.span, zone=self._zone, sources=self.sources, whole=whole, now=now, before=before,
            periods=periods, halves=halves,
        )  # fmt: skip
        return lines(self.connection, self.store, of)

    def _interventions(self, plan: Plan, kpis: Sequence[str]) -> list[str]:
        """What was changed on purpose in this period or the one before."""
        first, end = self.span.before.begins_at, self.span.until
        mine = [each for each in plan.interventions if first <= each.at < end and not self._is_review(each)]
        return [*interventions(self.connection, plan, end, self.sources, mine, kpis)] if mine else []

    def _is_review(self, each: Intervention) -> bool:
        return self.span.name == REVIEW and each.go_live

    def _reviews(self, at: datetime) -> list[Reviewed]:
        """Those of all go-lives, whatever the reader: what went live says which KPIs it concerns."""
        if self.span.name != REVIEW:
            return []
        return reviewed(self.connection, self.store, self.config.plan, at, self.sources)

    def _unusual(self, plan: Plan, names: Iterable[str], at: datetime) -> tuple[tuple[Unusual, ...], int]:
        """(days unlike their weekday, how many values could be compared), of headlines and drivers."""
        # The money of a day is mostly cost that is spread over days.
        days = {each.kpi.name for each in plan.settings if watched(each) and each.kpi.group != "money"}
        mine = frozenset(names) & days
        found, number = anomalies(self.connection, self.config.plan, self.span, at, self.sources, mine)
        return grouped(found, plan), number
