"""Evaluations at earlier times, for baselines. They are cached for an hour, because the past hardly changes."""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from exporter.base import duration
from exporter.base.clock import DAY
from exporter.baselines.frozen import Fixed, Reasons, reach
from exporter.catalogue.kpi import Kpi
from exporter.evaluation.compiled import compile_plan, narrowed
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Figure, Past
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Baselines, Plan, Setting
from exporter.store import Store
from exporter.store.status import SourceStatus

log = logging.getLogger(__name__)

WEEKS = 8
HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request for figures at an earlier time: those of some KPIs in one window (None: of states)."""

    kind: str
    day: int
    at: datetime
    window: str | None
    seconds: int  # what the records must reach back before `at`
    kpis: frozenset[str]


Earlier = Callable[[datetime, frozenset[str]], Evaluation]
"""(time, names of KPIs) -> an evaluation of that time, of at least these KPIs."""


class BaselineCache:
    """The baselines of the last full hour. An error never stops an evaluation: there is just no comparison."""

    def __init__(self) -> None:
        self._asked: tuple[datetime, Plan, list[tuple[SourceStatus, bool]]] | None = None
        self._past = Past()
        self._fixed = Fixed()

    def past(
        self,
        connection: Connection,
        store: Store,
        plan: Plan,
        at: datetime,
        sources: Sequence[SourceStatus],
        windows: Collection[str] = (),
    ) -> Past:
        """The figures to compare with at a time, as of the last full hour; of some windows, or of all."""
        hour = full_hour(at)
        question = hour, plan, [(source, bool(source.unread.lines)) for source in sources]
        if question != self._asked:
            try:
                self._past = together(connection, store, plan, hour, sources, self._fixed, windows)
            except Exception:
                log.exception("no baselines in this hour")
                self._past = failed(plan)
            self._asked = question
        return self._past


def full_hour(at: datetime) -> datetime:
    """The last one."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def asks(plan: Plan, hour: datetime) -> list[Ask]:
    """All requests of an hour."""
    return [*previous(plan, hour), *weekdays(plan, hour)]


def together(
    connection: Connection,
    store: Store,
    plan: Plan,
    hour: datetime,
    sources: Sequence[SourceStatus],
    fixed: Fixed,
    windows: Collection[str],
    earlier: Earlier | None = None,
) -> Past:
    """All figures with which those of an hour are compared. `earlier`: gives evaluations; None: they are made."""
    reasons: Reasons = defaultdict(set)
    days: dict[str, list[tuple[Figure, ...]]] = {}
    for kind, count in (("previous", 1), ("weekday_median", WEEKS)):
        if any(kind in setting.baselines.kinds for setting in plan.settings):
            days[kind] = [()] * count
    wanted = [ask for ask in asks(plan, hour) if not windows or ask.window in (None, *windows)]
    if earlier is None:
        # Whether a source is fresh is a question of now, and asked there.
        fresh = [replace(source, stale=False) for source in sources]

        def earlier(at: datetime, names: frozenset[str]) -> Evaluation:
            return evaluate(connection, without_medians(plan, names), at, fresh)

    for ask, figures in answered(plan, wanted, sources, reasons, earlier):
        days[ask.kind][ask.day] += tuple(figures)
    if any(setting.baselines.fixed for setting in plan.settings):
        days["fixed"] = [tuple(fixed.figures(connection, store, plan, hour, sources, reasons))]
    figures_of = {kind: tuple(each) for kind, each in days.items()}
    return Past(figures_of, {key: frozenset(each) for key, each in reasons.items()})


def failed(plan: Plan) -> Past:
    """Nothing to compare with, and why."""
    kinds = ((s.kpi.name, kind) for s in plan.settings for kind in s.baselines.kinds if kind != "control")
    return Past({}, dict.fromkeys(kinds, frozenset({"failed"})))


def without_medians(plan: Plan, names: Collection[str]) -> Plan:
    """A plan of some KPIs, without what no baseline has."""
    return replace(narrowed(plan, {*names}), medians=False)


def answered(
    plan: Plan, asks: Sequence[Ask], sources: Sequence[SourceStatus], reasons: Reasons, earlier: Earlier
) -> Iterator[tuple[Ask, list[Figure]]]:
    """Each request with its figures. Every time is evaluated once, and only for the KPIs requested of it."""
    by_instant: dict[datetime, list[Ask]] = {}
    for ask in asks:
        if ask.kpis:
            by_instant.setdefault(ask.at, []).append(within_reach(ask, plan, sources, reasons))
    for at, together_asked in sorted(by_instant.items()):
        names = frozenset(name for ask in together_asked for name in ask.kpis)
        if names:
            evaluation = earlier(at, names)
            yield from ((ask, chosen(ask, evaluation, reasons)) for ask in together_asked)


def previous(plan: Plan, hour: datetime) -> Iterator[Ask]:
    """Requests for each window, one window earlier; for a state, one window of its alert earlier."""
    mine = [s.kpi for s in plan.settings if s.baselines.previous]
    for window, seconds in plan.windows:
        yield _ask("previous", 0, hour, seconds, window, seconds, mine)
    for length in sorted({kpi.window for kpi in mine}):
        now = [kpi for kpi in mine if kpi.window == length]
        yield _ask("previous", 0, hour, duration.seconds(length), None, 0, now)


def weekdays(plan: Plan, hour: datetime) -> Iterator[Ask]:
    """The same day of each of the last weeks, and what has no window at that hour of it."""
    mine = [s.kpi for s in plan.settings if s.baselines.weekday_median]
    window, seconds = plan.windows[0]
    for day in range(WEEKS):
        if seconds == DAY:
            yield _ask("weekday_median", day, hour, 7 * DAY * (day + 1), window, DAY, mine)
        yield _ask("weekday_median", day, hour, 7 * DAY * (day + 1), None, 0, mine)


def _ask(kind: str, day: int, hour: datetime, ago: int, window: str | None, seconds: int, kpis: Collection[Kpi]) -> Ask:
    # What is derived has windows or not, as its parts have.
    names = frozenset(kpi.name for kpi in kpis if kpi.kind == "derived" or kpi.windowed == (window is not None))
    return Ask(kind=kind, day=day, at=hour - timedelta(seconds=ago), window=window, seconds=seconds, kpis=names)


def within_reach(ask: Ask, plan: Plan, sources: Sequence[SourceStatus], reasons: Reasons) -> Ask:
    """A request without the KPIs whose records do not go back that far; these get a reason."""
    begin = ask.at - timedelta(seconds=ask.seconds)
    short = {name for name in ask.kpis if reach(plan, name, sources) > begin}
    by_name = compile_plan(plan).by_name
    for name in short:
        syncing = any(not source.complete for source in sources if source.records & by_name[name].records)
        reasons[name, ask.kind].add("initial_sync" if syncing else "no_history")
    return replace(ask, kpis=ask.kpis - short)


def chosen(ask: Ask, evaluation: Evaluation, reasons: Reasons) -> list[Figure]:
    """The figures of an evaluation that a request wants."""
    for name in ask.kpis:
        # Having no records may be different in another window, and is told when it is known of all.
        if evaluation.absent.get(name, "no_records") != "no_records":
            reasons[name, ask.kind].add(evaluation.absent[name])
    return [figure for figure in evaluation.figures if figure.kpi in ask.kpis and figure.window == ask.window]


def of_one(plan: Plan, name: str) -> Plan:
    """A plan of one KPI and its parts, in which only that KPI is compared."""
    settings = [s if s.kpi.name == name else replace(s, baselines=Baselines()) for s in narrowed(plan, {name}).settings]
    return replace(plan, settings=settings)


def times(kind: str, setting: Setting, window: tuple[str, int], at: datetime) -> list[tuple[datetime, datetime]]:
    """(begin, end) of each period with which a value is compared, counted back from the last full hour."""
    hour, length = full_hour(at), timedelta(seconds=window[1])
    if not setting.kpi.windowed:
        length = timedelta(seconds=duration.seconds(setting.kpi.window))
    if kind == "fixed" and setting.baselines.fixed:
        return [(setting.baselines.fixed.begins_at, setting.baselines.fixed.ends_at)]
    if kind == "weekday_median":
        ends = [hour - timedelta(weeks=week + 1) for week in range(WEEKS)]
        return [(end - timedelta(days=1), end) for end in ends]
    end = hour - length if kind == "previous" else at
    return [(end - length, end)]
