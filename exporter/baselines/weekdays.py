"""The last whole day beside the same weekday of the eight weeks before, of every KPI that is watched for anomalies.

Past days hardly change: those of eight weeks are evaluated once a day, in the window of one day, and kept by team. The
last day itself is evaluated again every hour, because records come in late.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from exporter.base.clock import DAY
from exporter.baselines.compare import FEWEST_DAYS, reduced
from exporter.baselines.frozen import INSTANT, Reasons
from exporter.baselines.lookback import HOUR, WEEKS, Ask, Earlier, answered, full_hour, without_medians
from exporter.catalogue.kpi import non_additive
from exporter.evaluation.add import merge
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Figure, Weekdays, additive_within
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan, Setting
from exporter.records import RECORDS
from exporter.store.status import SourceStatus
from exporter.store.table import Table

log = logging.getLogger(__name__)

KIND, TEAM = "weekdays", "team"
WEEK = timedelta(weeks=1)
TIERS = ("headline", "driver")
Question = tuple[datetime, Plan, list[tuple[SourceStatus, bool]]]


def watched(setting: Setting) -> bool:
    """Whether a KPI is compared with its usual weekday: headlines, drivers, and what has that baseline."""
    wanted = setting.tier in TIERS or setting.baselines.weekday_median
    return setting.chosen and wanted and "week" not in setting.kpi.labels


class WeekdayCache:
    """The last whole day and its weekdays. An error never stops an evaluation: there is just nothing to compare."""

    def __init__(self) -> None:
        self._day: Question | None = None
        self._hour: datetime | None = None
        self._earlier: list[tuple[Figure, ...]] = []
        self._found: Weekdays | None = None

    def at(self, connection: Connection, plan: Plan, at: datetime, sources: Sequence[SourceStatus]) -> Weekdays | None:
        """The last day that ended at least an hour ago, as of the last full hour.

        A call evaluates one day at most, so that nothing waits for nine of them: until all are there, it is what was
        there before. None if nothing is watched, or all records are younger than the weekdays that are needed.
        """
        names = frozenset(setting.kpi.name for setting in plan.settings if watched(setting))
        if not names:
            return None
        hour = full_hour(at)
        ends_at = (hour - HOUR).replace(hour=0)
        day: Question = ends_at, plan, [(source, bool(source.unread.lines)) for source in sources]
        if day != self._day:
            if self._day is None or day[1:] != self._day[1:]:
                self._found = None  # it is of another config, or of other sources
            self._day, self._hour, self._earlier = day, None, []
        if hour != self._hour:
            try:
                self._go_on(connection, day, hour, names, sources)
            except Exception:
                log.exception("no comparison with the usual weekday in this hour")
                self._found, self._hour = None, hour
        return self._found

    def _go_on(
        self,
        connection: Connection,
        day: Question,
        hour: datetime,
        names: frozenset[str],
        sources: Sequence[SourceStatus],
    ) -> None:
        ends_at, plan, _ = day
        began = oldest(connection)
        if began is None or began > ends_at - FEWEST_DAYS * WEEK:
            self._found, self._hour = None, hour  # as with every new installation, which need not pay for it
            return
        one_day = replace(plan, windows=[("1d", DAY)])
        weeks = len(self._earlier) + 1
        if weeks <= WEEKS:
            self._earlier.append(of_day(connection, one_day, ends_at, weeks, names, sources)[0])
            return
        last, known = of_day(connection, one_day, ends_at, 0, names, sources)
        self._found, self._hour = Weekdays(ends_at, last, tuple(self._earlier), known), hour


def oldest(connection: Connection) -> datetime | None:
    """The earliest time in any record, inventories apart; None if there is none."""
    tables = [table for table in map(Table, RECORDS.values()) if table.ages]
    rows = connection.execute(f"select min(moment) from ({' union all '.join(each.earliest for each in tables)})")
    moment: datetime | None = rows.fetchall()[0][0]
    return moment.replace(tzinfo=UTC) if moment else None


def of_day(
    connection: Connection,
    plan: Plan,
    ends_at: datetime,
    weeks: int,
    names: frozenset[str],
    sources: Sequence[SourceStatus],
    earlier: Earlier | None = None,
) -> tuple[tuple[Figure, ...], frozenset[str]]:
    """The figures of a day so many weeks before another, by team, and the KPIs that had no reason to be absent.

    `earlier`: gives evaluations; None: they are made.
    """
    at = ends_at - INSTANT - weeks * WEEK
    by_name = compile_plan(plan).by_name
    windowed = frozenset(name for name in names if by_name[name].kpi.windowed)
    asks = [
        Ask(kind=KIND, day=weeks, at=at, window="1d", seconds=DAY, kpis=windowed),
        # What is derived from states is of the present, too.
        Ask(kind=KIND, day=weeks, at=at, window=None, seconds=0, kpis=names),
    ]
    reasons: Reasons = defaultdict(set)
    fresh = [replace(source, stale=False) for source in sources]

    def evaluation(at: datetime, of: frozenset[str]) -> Evaluation:
        return evaluate(connection, without_medians(plan, of), at, fresh)

    figures = [f for _, found in answered(plan, asks, sources, reasons, earlier or evaluation) for f in found]
    return tuple(by_team(figures, plan)), names - {name for name, _ in reasons}


def by_team(figures: Iterable[Figure], plan: Plan) -> list[Figure]:
    """Figures of each team as a whole; what makes no sum, such as currencies, stays separate."""
    settings = compile_plan(plan).settings
    of_each: dict[str, list[Figure]] = {}
    for figure in figures:
        if dict(figure.segment).get("basis", settings[figure.kpi].basis) == settings[figure.kpi].basis:
            of_each.setdefault(figure.kpi, []).append(figure)
    whole = (
        reduced(figure, (TEAM, *non_additive(settings[name].kpi)))
        for name, mine in of_each.items()
        for figure in additive_within(mine, (TEAM,))
    )
    return merge(whole, settings)
