"""Compares every KPI of a report with the period before and with its baselines, and judges all tests together."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

from exporter.baselines.compare import Total, totals
from exporter.baselines.frozen import Fixed, Reasons
from exporter.catalogue.kpi import non_additive
from exporter.evaluation.breach import resolve, target
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Figure, Key, Past
from exporter.evaluation.plan import Plan
from exporter.explain.wording import WHY
from exporter.publish.families import unit as unit_of
from exporter.report import change as tests
from exporter.report.comparison import (
    Pair,
    SegmentKey,
    change,
    groups,
    p_value,
    principal,
    segment_tests,
    side,
    split,
    summed,
)
from exporter.report.content import Compared, Line, Side, Since, Unit
from exporter.report.days import Days, Periods, daily
from exporter.report.period import Span
from exporter.report.values import WINDOW, by_kpi
from exporter.store import Store
from exporter.store.status import SourceStatus

ONLY_NOW = "those who began in a week are others than those of an earlier one"
WITHOUT_CENTS = 1000.0
"""An amount of money from which on cents say nothing."""
WholeKey = tuple[str, str]
"""KPI, and the baseline or nothing for the period before."""


@dataclass(frozen=True, kw_only=True)
class Compare:
    """What is compared. `whole`: the values shown; `now`, `before`: those of `periods`, whose changes are told.

    `halves`: `periods` are the two halves of what `whole` is of.
    """

    plan: Plan
    span: Span
    zone: ZoneInfo
    sources: Sequence[SourceStatus]
    whole: Evaluation
    now: Evaluation
    before: Evaluation
    periods: Periods
    halves: bool = False


@dataclass(frozen=True)
class Judged:
    """All tests of a report, those that hold, and since when."""

    whole: dict[WholeKey, float]
    segments: dict[SegmentKey, float]
    sure: frozenset[WholeKey] = frozenset()
    sure_segments: frozenset[SegmentKey] = frozenset()
    since: Mapping[str, Since] = field(default_factory=dict)
    since_segments: Mapping[SegmentKey, Since] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """How many tests were made."""
        return len(self.whole) + len(self.segments)

    def certain(self) -> "Judged":
        """With what holds beside all others; half of the level is for values, half for segments."""
        return replace(
            self,
            sure=tests.certain(self.whole, tests.LEVEL / 2),
            sure_segments=tests.certain(self.segments, tests.LEVEL / 2),
        )


Pairs = Mapping[str, tuple[Pair, Key, int]]
"""KPI -> (its figures in both periods, what they are of, how many others there are)."""
Totals = Mapping[str, Mapping[str, Total]]
"""KPI -> baseline -> the value beside it."""


def lines(connection: Connection, store: Store, of: Compare) -> tuple[dict[str, Line], int]:
    """(every KPI that has a value, how many tests were made)."""
    pairs, compared = _pairs(of), _baselines(connection, store, of)
    judged = _judged(connection, of, pairs, compared)
    values = by_kpi(of.whole.figures)
    found = {
        name: _line(*each, judged, compared.get(name, {}), of.before, values.get(name, ()))
        for name, each in pairs.items()
    }
    return {name: line for name, line in found.items() if line}, judged.number


def _pairs(of: Compare) -> Pairs:
    first, second = ((each.ends_at - each.begins_at).total_seconds() for each in of.periods)
    present, past = by_kpi(of.now.figures), by_kpi(of.before.figures)
    found = {}
    for setting in of.plan.settings:
        name = setting.kpi.name
        of_now = groups(present.get(name, ()), setting)
        key = principal(of_now)
        if key is not None and setting.chosen:
            # A week of grants is another one a month later: it has grown older.
            aging = any(label == "week" for label, _ in key)
            then = () if aging else groups(past.get(name, ()), setting).get(key, ())
            pair = Pair(setting=setting, plan=of.plan, before=then, now=of_now[key], seconds=(first, second))
            found[name] = pair, key, len(of_now) - 1
    return found


def _baselines(connection: Connection, store: Store, of: Compare) -> Totals:
    """The fixed period and the control group."""
    kept = [replace(s, baselines=replace(s.baselines, previous=False, weekday_median=False)) for s in of.plan.settings]
    mine = replace(of.plan, settings=kept, windows=[(WINDOW, of.span.seconds)])
    reasons: Reasons = defaultdict(set)
    fresh = [replace(each, stale=False) for each in of.sources]
    fixed = Fixed().figures(connection, store, mine, of.span.until, fresh, reasons)
    past = Past({"fixed": (tuple(fixed),)} if any(s.baselines.fixed for s in kept) else {})
    found: dict[str, dict[str, Total]] = {}
    for total in totals(of.whole.figures, past, compile_plan(mine).settings, non_additive):
        if dict(total.now.segment).get("basis", mine_basis(mine, total)) == mine_basis(mine, total):
            found.setdefault(total.now.kpi, {}).setdefault(total.then.kind, total)
    return found


def _judged(connection: Connection, of: Compare, pairs: Pairs, compared: Totals) -> Judged:
    """All tests. What records say is certain has to be beyond what days differ by, too; the others need no days."""
    whole: dict[WholeKey, float] = {}
    for name, (pair, _, _) in pairs.items():
        then, present = pair.whole()
        if then and present and (p := p_value(then, present, pair.kpi, pair.seconds)) is not None:
            whole[name, ""] = p
    for name, each in compared.items():
        for kind, total in each.items():
            if (p := _tested(total, of.plan)) is not None:
                whole[name, kind] = p
    by_records = Judged(whole, segment_tests(pair for pair, _, _ in pairs.values())).certain()
    names = sorted({*(name for name, _ in by_records.sure), *(key[0] for key in by_records.sure_segments)})
    if not names:
        return by_records
    return _by_days(daily(connection, of.plan, names, of.periods, of.sources), of, pairs, compared, by_records)


def _by_days(days: Days, of: Compare, pairs: Pairs, compared: Totals, judged: Judged) -> Judged:
    whole, segments = dict(judged.whole), dict(judged.segments)
    for name, kind in judged.sure:
        pair, key, _ = pairs[name]
        p = days.beside(compared[name][kind], pair, key, both=of.halves) if kind else days.p(pair, key)
        whole[name, kind] = max(whole[name, kind], p)
    for segment in judged.sure_segments:
        pair, key, _ = pairs[segment[0]]
        segments[segment] = max(segments[segment], days.p(pair, key, (segment[1:],)))
    found = Judged(whole, segments).certain()
    since = {name: days.since(*pairs[name][:2], (), of.zone) for name, kind in found.sure if not kind}
    of_segments = {key: days.since(*pairs[key[0]][:2], (key[1:],), of.zone) for key in found.sure_segments}
    return replace(
        found,
        since={name: each for name, each in since.items() if each},
        since_segments={key: each for key, each in of_segments.items() if each},
    )


def _tested(total: Total, plan: Plan) -> float | None:
    kpi = plan.kpis[total.now.kpi]
    then = figure_of(total)
    return None if then is None or kpi.kind == "count" else p_value(then, total.now, kpi, (1.0, 1.0))


def _line(
    pair: Pair, segment: Key, others: int, judged: Judged, totals_of: Mapping[str, Total], before: Evaluation,
    values: Sequence[Figure],
) -> Line | None:  # fmt: skip
    setting, kpi, of = pair.setting, pair.kpi, dict(segment)
    then, now = pair.whole()
    value = summed(groups(values, setting).get(segment, ()), (), setting).get(())
    present = side(value, kpi, pair.plan) if value else None
    if now is None or present is None:
        return None
    aim = target(setting, segment)
    compared = []
    for kind, total in totals_of.items():
        figure = figure_of(total)
        key = (kpi.name, kind)
        mine = change(figure, total.now, pair, sure=key in judged.sure, p=judged.whole.get(key)) if figure else None
        compared += [Compared(kind=kind, change=mine)] if mine else []
    whole = (kpi.name, "")
    sure, p, since = whole in judged.sure, judged.whole.get(whole), judged.since.get(kpi.name)
    reason = before.absent.get(kpi.name, "no_records")
    return Line(
        kpi=kpi.name,
        title=kpi.title,
        help=kpi.help,
        tier=setting.tier,
        better=kpi.better,
        unit=Unit(
            name=kpi.unit or unit_of(kpi),
            whole=kpi.unit == "currency" and abs(present.value) >= WITHOUT_CENTS,
            currency=of.get("currency"),
            day_seconds=pair.plan.person_day_seconds if kpi.working_time else None,
        ),
        windowed=any(f.window for f in pair.now),
        now=present,
        of={label: value for label, value in of.items() if label != "currency"},
        others=others,
        change=change(then, now, pair, sure=sure, p=p, since=since) if then else None,
        absent="" if then else ONLY_NOW if "week" in of else WHY.get(reason, reason),
        split=split(pair, judged.segments, judged.sure_segments, judged.since_segments) if then else None,
        baselines=tuple(compared),
        target=aim,
        reached=reached(present, aim, kpi.better),
        limits=resolve(setting, segment),
        upper=kpi.upper,
        guards=tuple(name for name in kpi.guard if name in pair.plan.kpis),
    )


def figure_of(total: Total) -> Figure | None:
    """The baseline of a total as a figure; None if it has no parts."""
    then = total.then
    if then.numerator is None:
        return None
    return replace(total.now, numerator=then.numerator, denominator=then.denominator, distribution=None, values=())


def mine_basis(plan: Plan, total: Total) -> str:
    """The basis that a KPI is judged on."""
    return compile_plan(plan).settings[total.now.kpi].basis


def reached(now: Side, aim: float | None, better: str) -> bool | None:
    """Whether a target is reached: for certain, for certain not, or None."""
    if aim is None or better == "none":
        return None
    lower, upper = (now.value if end is None else end for end in (now.lower, now.upper))
    worst, best = (upper, lower) if better == "lower" else (lower, upper)
    if better == "lower":
        return True if worst <= aim else False if best > aim else None
    return True if worst >= aim else False if best < aim else None
