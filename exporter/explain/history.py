"""The last twelve weeks of KPIs, for charts: computed from the store in the background, and kept for an hour.

A point a week, each the value of a whole window as it was then: enough to see a trend, and a twelfth of what a point a
day would cost. The last point of a chart is not from here: it is the published value, computed in the same way.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Lock

from exporter.baselines.compare import reduced
from exporter.baselines.frozen import reach
from exporter.catalogue.kpi import Kpi
from exporter.evaluation.add import merge, value_of
from exporter.evaluation.compiled import compile_plan, narrowed
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Figure, additive_within
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan, Setting
from exporter.evaluation.reach import within
from exporter.store.status import SourceStatus

log = logging.getLogger(__name__)

WEEKS = 12
WEEK = timedelta(weeks=1)
MOST_WAITING = 16
"""Computations that may wait for their turn; what is asked for beyond them is asked for again with the next page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """KPIs in one window, at the weeks before a full hour. Records from before `kept_since` may have been deleted."""

    plan: Plan
    kpis: frozenset[str]
    window: str
    hour: datetime
    kept_since: datetime


@dataclass(frozen=True, slots=True)
class Point:
    """The value at a time; None where there is none. `n`: the records behind it, where that is what they are."""

    at: datetime
    value: float | None
    n: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The figures of a KPI in one window, week by week, oldest first; None for a week before the oldest records."""

    kpi: str
    window: str
    hour: datetime
    weeks: tuple[tuple[Figure, ...] | None, ...]

    def points(self, plan: Plan, segment: Mapping[str, str], now: Evaluation | None = None) -> list[Point]:
        """The values of a segment, and as the last one that of an evaluation."""
        settings = compile_plan(plan).settings
        times = [self.hour - WEEK * (len(self.weeks) - i) for i in range(len(self.weeks))]
        every = [*zip(times, self.weeks, strict=True)]
        every += [(now.at, now.figures)] if now else []
        return [point(at, figures, self, settings, segment) for at, figures in every]


def point(
    at: datetime,
    figures: Iterable[Figure] | None,
    history: History,
    settings: Mapping[str, Setting],
    segment: Mapping[str, str],
) -> Point:
    """One point of a history."""
    mine = [f for f in figures or () if f.kpi == history.kpi and f.window in (history.window, None)]
    whole = total(mine, settings, segment)
    return Point(at, None) if whole is None else Point(at, value_of(whole), whole.denominator)


def total(figures: Iterable[Figure], settings: Mapping[str, Setting], segment: Mapping[str, str]) -> Figure | None:
    """The sum of the figures of one KPI in a segment; None if there are none. Labels they lack are ignored."""
    mine = additive_within(figures, segment)
    labels = {label for f in mine for label, _ in f.segment}
    wanted = {(label, value) for label, value in segment.items() if label in labels}
    chosen = [replace(reduced(f, ()), window=None) for f in mine if wanted <= {*f.segment}]
    return merge(chosen, settings)[0] if chosen else None


def windows_of(plan: Plan, kpis: Iterable[Kpi]) -> dict[str, frozenset[str]]:
    """The names of KPIs by the window that their alerts look at."""
    names, found = [name for name, _ in plan.windows], dict[str, set[str]]()
    for kpi in kpis:
        found.setdefault(kpi.window if kpi.window in names else names[0], set()).add(kpi.name)
    return {window: frozenset(of) for window, of in found.items()}


def computed(
    connection: Connection, ask: Ask, sources: Sequence[SourceStatus], stopping: Callable[[], bool] = bool
) -> dict[str, History]:
    """The history of each KPI, evaluated week by week: times that are so far apart have few records in common.

    `stopping`: asked before each week; then there is none.
    """
    plan = within(replace(narrowed(ask.plan, ask.kpis), medians=False), ask.window)
    since = {name: max(ask.kept_since, reach(plan, name, sources)) for name in ask.kpis}
    seconds = dict(plan.windows)[ask.window]
    # Whether a source is fresh is a question of now.
    fresh = [replace(source, stale=False) for source in sources]
    weeks: dict[str, list[tuple[Figure, ...] | None]] = {name: [] for name in ask.kpis}
    for ago in range(WEEKS, 0, -1):
        if stopping():
            return {}
        evaluation = evaluate(connection, plan, ask.hour - WEEK * ago, fresh)
        for name, of_each in weeks.items():
            mine = (f for f in evaluation.figures if f.kpi == name and f.window in (ask.window, None))
            figures = tuple(replace(figure, distribution=None, by=()) for figure in mine)
            length = timedelta(seconds=seconds if any(f.window for f in figures) else 0)
            of_each.append(figures if since[name] <= evaluation.at - length else None)
    return {
        name: History(kpi=name, window=ask.window, hour=ask.hour, weeks=tuple(of_each))
        for name, of_each in weeks.items()
    }


class Histories:
    """Histories of the last full hour, computed one after the other in a thread, the first time they are asked for.

    Until that of a new hour is ready, that of the hour before is given. `compute` raises what it likes: it is logged,
    and tried again in the next hour.
    """

    def __init__(self, compute: Callable[[Ask], Mapping[str, History]]) -> None:
        self._compute = compute
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="history")
        self._plan: Plan | None = None
        self._ready: dict[tuple[str, str], History] = {}
        self._hours: dict[tuple[str, str], datetime] = {}  # the hour for which it was last asked
        self._waiting: set[Future[None]] = set()
        self._closed = False

    def of(
        self, plan: Plan, kpis: Collection[str], window: str, at: datetime, kept_since: datetime
    ) -> dict[str, History]:
        """Those of some KPIs in a window that are ready; the others are ready soon. Called from any thread."""
        hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        with self._lock:
            if plan is not self._plan:
                self._plan, self._ready, self._hours = plan, {}, {}
            due = frozenset(name for name in kpis if self._hours.get((name, window)) != hour)
            if due and len(self._waiting) < MOST_WAITING:
                self._hours |= dict.fromkeys(((name, window) for name in due), hour)
                ask = Ask(plan=plan, kpis=due, window=window, hour=hour, kept_since=kept_since)
                job = self._thread.submit(self._work, ask)
                self._waiting.add(job)
                job.add_done_callback(self._waiting.discard)
            return {name: self._ready[name, window] for name in kpis if (name, window) in self._ready}

    def settle(self, seconds: float | None) -> bool:
        """Waits until nothing is under way, at most so long. Returns whether that is so."""
        return not wait([*self._waiting], seconds).not_done

    def close(self) -> None:
        """Starts nothing more; what is under way is not waited for, and may find the store closed."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _work(self, ask: Ask) -> None:
        try:
            found = self._compute(ask)
        except Exception:
            if self._closed:
                return
            log.exception("no history of %s in this hour", ", ".join(sorted(ask.kpis)))
            return
        with self._lock:
            if ask.plan is self._plan:
                self._ready |= {(name, ask.window): history for name, history in found.items()}
