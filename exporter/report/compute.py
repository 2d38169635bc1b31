"""Makes a report from a store: evaluates the period and the one before it, compares them, and chooses what to show."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.base.clock import DAY
from exporter.baselines.compare import Total, totals
from exporter.baselines.frozen import INSTANT, Fixed, Reasons, reach
from exporter.baselines.weekdays import watched
from exporter.catalogue.group import Tier
from exporter.catalogue.kpi import non_additive
from exporter.config import Config
from exporter.evaluation.assumptions import Assumption, concerning
from exporter.evaluation.breach import resolve, target
from exporter.evaluation.compiled import Measure, compile_plan, narrowed
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Figure, Past
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Intervention, Period, Plan
from exporter.explain.summary import standing
from exporter.explain.wording import WHY
from exporter.publish.families import unit as unit_of
from exporter.report import change as tests
from exporter.report.action import actions
from exporter.report.after import associations, interventions, reviewed
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
from exporter.report.content import Compared, Line, Report, Reviewed, Side, Told, Unit, Unusual
from exporter.report.days import Periods, daily
from exporter.report.period import REVIEW, NoSuchPeriod, Span, span
from exporter.report.reader import READERS, Interest, Reader
from exporter.report.unusual import anomalies, grouped
from exporter.runtime import statuses
from exporter.store import Store
from exporter.store.status import SourceStatus

WINDOW, LATE = "period", "late"
"""The period, and its last two thirds: where all records are in these, they probably begin within the period."""
ONLY_NOW = "those who began in a week are others than those of an earlier one"
LONG = 28 * DAY
"""A period from which on its two halves say something, where there is none before it."""
MOST = 3
"""Drivers, controls and actions in a report."""
MOST_STORIES = 2
"""Changes of KPIs beside the headline, drivers and controls that are told in full; the others are in one line."""
MOST_ASSUMPTIONS = 5
WITHOUT_CENTS = 1000.0
"""An amount of money from which on cents say nothing."""
LATEST = timedelta(hours=1)


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
        now, before = self._evaluated(plan, self.span.until, self.span.seconds), self._before(plan)
        compared_with = self.span.before, Period(begins_at=self.span.begins_at, ends_at=self.span.until)
        lines, number = self._lines(plan, now, now, before, compared_with)
        compared = [line.change is not None for line in lines.values() if line.windowed]
        halves = self.span.seconds >= LONG and 2 * sum(compared) < len(compared)
        if halves:
            lines, number = self._of_halves(plan, now)
        chosen = self._chosen(lines)
        shown = [name for names in chosen for name in names]
        moved = sorted((line for line in lines.values() if line.moved), key=lambda line: _rank(line, shown))
        over = self._over(plan, self.span.seconds)
        found = actions(now, over, self.interest.groups, self.span)
        days, number_of_days = self._unusual(
            plan, [*chosen[0], *chosen[1], *self.interest.headline, *self.interest.drivers], at
        )
        told_of = [*dict.fromkeys((*shown, *(line.kpi for line in moved)))]
        return Report(
            span=self.span,
            zone=self.config.time_zone,
            reader=reader,
            at=at,
            lines=lines,
            headline=next(iter(chosen[0]), None),
            drivers=chosen[1],
            controls=chosen[2],
            better=told(moved, "better", shown),
            worse=told(moved, "worse", shown),
            neither=told(moved, "", shown),
            actions=tuple(found[:MOST]),
            more_actions=max(0, len(found) - MOST),
            interventions=tuple(self._interventions(plan, told_of)),
            associations=tuple(associations(now, over, WINDOW, shown)),
            reviews=tuple(self._reviews(at)),
            unusual=days,
            compared_days=number_of_days,
            missing=self._missing(plan, now, lines),
            sources=tuple(self._troubled(at)),
            assumptions=tuple(self._assumed(plan, [lines[name] for name in shown])),
            notes=tuple(self._notes(halves=halves)),
            tests=number,
            earlier="in its first half" if halves else self.span.earlier,
        )

    def _candidates(self) -> list[str]:
        """The KPIs that are looked at: those of the groups of the reader, and what is read beside them."""
        mine = [s for s in self.config.plan.settings if s.chosen and s.kpi.group in self.interest.groups]
        return [s.kpi.name for s in mine]

    def _evaluated(self, plan: Plan, end: datetime, seconds: int) -> Evaluation:
        """The values of a period, as they were known at its end."""
        sources = [each.as_of(end) for each in self.sources]
        late = (LATE, seconds * 2 // 3)
        over = self._over(plan, seconds)
        evaluation = evaluate(self.connection, replace(over, windows=[late, *over.windows]), end - INSTANT, sources)
        return self._withheld(plan, end - timedelta(seconds=seconds), evaluation)

    def _over(self, plan: Plan, seconds: int) -> Plan:
        """The plan over a period. What is measured over the longest window, such as manual time, is as everywhere."""
        _, longest = self.config.plan.windows[-1]
        return replace(plan, windows=[(WINDOW, seconds), *([("longest", longest)] if longest > seconds else [])])

    def _withheld(self, plan: Plan, begin: datetime, evaluation: Evaluation) -> Evaluation:
        """Without KPIs whose records do not reach back to the begin of the period: they would be too small."""
        reaches = {s.kpi.name: max(self.kept_since, reach(plan, s.kpi.name, self.sources)) for s in plan.settings}
        short = {name for name, since in reaches.items() if since > begin} | begun_late(evaluation.figures, plan)
        kept = [f for f in evaluation.figures if f.window in (WINDOW, None) and not (f.window and f.kpi in short)]
        present = {f.kpi for f in kept}
        reasons = {name: "no_history" for name in short if name not in present and name not in evaluation.absent}
        return replace(evaluation, figures=tuple(kept), absent={**evaluation.absent, **reasons})

    def _before(self, plan: Plan) -> Evaluation:
        earlier = self.span.before
        seconds = int((earlier.ends_at - earlier.begins_at).total_seconds())
        return self._evaluated(plan, earlier.ends_at, seconds)

    def _of_halves(self, plan: Plan, whole: Evaluation) -> tuple[dict[str, Line], int]:
        """The same, where there is no period before: what changed from the first half of this one to the second."""
        half = self.span.seconds // 7200 * 3600
        middle = self.span.begins_at + timedelta(seconds=half)
        first, second = (
            self._evaluated(plan, middle, half),
            self._evaluated(plan, self.span.until, self.span.seconds - half),
        )
        periods = (
            Period(begins_at=self.span.begins_at, ends_at=middle),
            Period(begins_at=middle, ends_at=self.span.until),
        )
        return self._lines(plan, whole, second, first, periods)

    def _lines(
        self, plan: Plan, whole: Evaluation, now: Evaluation, before: Evaluation, periods: Periods
    ) -> tuple[dict[str, Line], int]:
        """(every KPI that has a value, how many tests were made). `now`, `before`: what is compared, over `periods`."""
        first, second = ((each.ends_at - each.begins_at).total_seconds() for each in periods)
        pairs = self._pairs(plan, now, before, (first, second))
        values = by_kpi(whole.figures)
        compared = self._baselines(plan, whole)
        p_values: dict[tuple[str, str], float] = {}
        for name, (pair, _, _) in pairs.items():
            then, present = pair.whole()
            if then and present and (p := p_value(then, present, pair.kpi, pair.seconds)) is not None:
                p_values[name, ""] = p
        for name, each in compared.items():
            for kind, total in each.items():
                if (p := self._tested(total, plan)) is not None:
                    p_values[name, kind] = p
        segments = segment_tests(pair for pair, _, _ in pairs.values())
        self._mind_days(plan, pairs, periods, p_values, segments)
        sure, sure_segments = tests.certain(p_values, tests.LEVEL / 2), tests.certain(segments, tests.LEVEL / 2)
        judged = _Judged(p_values, sure, segments, sure_segments)
        lines = {
            name: self._line(*each, judged, compared.get(name, {}), before, values) for name, each in pairs.items()
        }
        return {name: line for name, line in lines.items() if line}, len(p_values) + len(segments)

    def _mind_days(
        self,
        plan: Plan,
        pairs: Mapping[str, tuple[Pair, dict[str, str], int]],
        periods: Periods,
        p_values: dict[tuple[str, str], float],
        segments: dict[SegmentKey, float],
    ) -> None:
        """What records say is certain has to be beyond what days differ by, too. The others need no days."""
        whole = [(name, kind) for name, kind in tests.certain(p_values, tests.LEVEL / 2) if not kind]
        of_segments = tests.certain(segments, tests.LEVEL / 2)
        names = sorted({*(name for name, _ in whole), *(key[0] for key in of_segments)})
        if not names:
            return
        days = daily(self.connection, plan, names, periods, self.sources)
        of = {name: (pairs[name][0], tuple(pairs[name][1].items())) for name in names}
        for key in whole:
            p_values[key] = max(p_values[key], days.whole(*of[key[0]]))
        for each in of_segments:
            segments[each] = max(segments[each], days.segment(*of[each[0]], each))

    def _pairs(
        self, plan: Plan, now: Evaluation, before: Evaluation, lengths: tuple[float, float]
    ) -> dict[str, tuple[Pair, dict[str, str], int]]:
        """KPI -> (its figures in both periods, what they are of, how many others there are)."""
        present, past = by_kpi(now.figures), by_kpi(before.figures)
        found = {}
        for setting in plan.settings:
            name = setting.kpi.name
            of_now = groups(present.get(name, ()), setting)
            key = principal(of_now)
            if key is not None and setting.chosen:
                # A week of grants is another one a month later: it has grown older.
                aging = any(label == "week" for label, _ in key)
                then = () if aging else groups(past.get(name, ()), setting).get(key, ())
                pair = Pair(setting=setting, plan=plan, before=then, now=of_now[key], seconds=lengths)
                found[name] = pair, dict(key), len(of_now) - 1
        return found

    def _baselines(self, plan: Plan, now: Evaluation) -> dict[str, dict[str, Total]]:
        """KPI -> baseline -> the value beside it: with a fixed period, and with the control group."""
        kept = [replace(s, baselines=replace(s.baselines, previous=False, weekday_median=False)) for s in plan.settings]
        mine = replace(plan, settings=kept, windows=[(WINDOW, self.span.seconds)])
        reasons: Reasons = defaultdict(set)
        fresh = [replace(each, stale=False) for each in self.sources]
        fixed = Fixed().figures(self.connection, self.store, mine, self.span.until, fresh, reasons)
        past = Past({"fixed": (tuple(fixed),)} if any(s.baselines.fixed for s in kept) else {})
        found: dict[str, dict[str, Total]] = {}
        for total in totals(now.figures, past, compile_plan(mine).settings, non_additive):
            if dict(total.now.segment).get("basis", mine_basis(mine, total)) == mine_basis(mine, total):
                found.setdefault(total.now.kpi, {}).setdefault(total.then.kind, total)
        return found

    def _tested(self, total: Total, plan: Plan) -> float | None:
        kpi = plan.kpis[total.now.kpi]
        then = figure_of(total)
        return None if then is None or kpi.kind == "count" else p_value(then, total.now, kpi, (1.0, 1.0))

    def _line(
        self, pair: Pair, of: dict[str, str], others: int, judged: "_Judged", totals_of: Mapping[str, Total],
        before: Evaluation, values: Mapping[str, Sequence[Figure]],
    ) -> Line | None:  # fmt: skip
        setting, kpi, segment = pair.setting, pair.kpi, tuple(of.items())
        then, now = pair.whole()
        value = summed(groups(values.get(kpi.name, ()), setting).get(segment, ()), (), setting).get(())
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
            change=change(then, now, pair, sure=whole in judged.sure, p=judged.whole.get(whole)) if then else None,
            absent="" if then else ONLY_NOW if "week" in of else WHY.get(reason, reason),
            split=split(pair, judged.segments, judged.sure_segments) if then else None,
            baselines=tuple(compared),
            target=aim,
            reached=reached(present, aim, kpi.better),
            limits=resolve(setting, segment),
            guards=tuple(name for name in kpi.guard if name in pair.plan.kpis),
        )

    def _chosen(self, lines: Mapping[str, Line]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Headline, drivers and controls."""
        taken: set[str] = set()
        found: list[tuple[str, ...]] = []
        wanted: tuple[tuple[Tier, Sequence[str], int], ...] = (
            ("headline", self.interest.headline, 1),
            ("driver", self.interest.drivers, MOST),
            ("control", self.interest.controls, MOST),
        )
        for tier, first, most in wanted:
            others = [line.kpi for line in lines.values() if line.tier == tier and _clear(line)]
            moved = [name for name in others if tier == "control" and lines[name].moved]
            order = [*(name for name in moved if name in first), *first, *moved, *others]
            names = [each for each in dict.fromkeys(order) if each in lines and each not in taken][:most]
            taken |= {*names}
            found.append(tuple(names))
        return found[0], found[1], found[2]

    def _missing(
        self, plan: Plan, now: Evaluation, lines: Mapping[str, Line]
    ) -> tuple[tuple[str, tuple[str, ...]], ...]:
        reasons: dict[str, list[str]] = {}
        for setting in plan.settings:
            if setting.chosen and setting.kpi.name not in lines:
                reason = now.absent.get(setting.kpi.name, "no_records")
                reasons.setdefault(WHY.get(reason, reason), []).append(setting.kpi.title)
        return tuple((reason, tuple(titles)) for reason, titles in sorted(reasons.items()))

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
        mine = frozenset(names) & {each.kpi.name for each in plan.settings if watched(each)}
        every = [*anomalies(self.connection, self.config.plan, self.span, at, self.sources, mine)]
        return grouped(every, plan), len(every)

    def _troubled(self, at: datetime) -> Iterator[str]:
        """What is wrong with the sources, and what has been left out of them."""
        for each in self.sources:
            state = standing(each.as_of(at))
            if state != "fresh":
                yield f"{each.source}: {state}"
            elif each.last_success and each.last_success < self.span.until - LATEST:
                yield f"{each.source}: last read on {each.last_success:%Y-%m-%d %H:%M} UTC, before the period ended"

    def _assumed(self, plan: Plan, lines: Iterable[Line]) -> Iterator[str]:
        by_name = compile_plan(plan).by_name
        every = dict.fromkeys(each for line in lines for each in concerning(plan, by_name[line.kpi], line.of))
        by_kind: dict[str, list[Assumption]] = {}
        for each in every:
            by_kind.setdefault(each.name, []).append(each)
        for name, of in by_kind.items():
            told = [f"{each.subject} {each.value}" if each.subject else each.value for each in of]
            origins = [*dict.fromkeys(each.origin for each in of if each.origin)]
            more = f"; and {len(told) - MOST_ASSUMPTIONS} more" if len(told) > MOST_ASSUMPTIONS else ""
            source = f" (origin: {', '.join(origins)})" if origins else ""
            yield f"{name.replace('_', ' ')}: {'; '.join(told[:MOST_ASSUMPTIONS])}{more}{source}"

    def _notes(self, *, halves: bool) -> Iterator[str]:
        if halves:
            yield (
                f"Records do not reach back over {self.span.earlier}. What changed is therefore told of this "
                f"{self.span.kind} itself, from its first half to its second; values are of all of it."
            )
        if not self.span.over:
            zone = ZoneInfo(self.config.time_zone)
            yield (
                f"This {self.span.kind} is not over: values are of its first "
                f"{_days(self.span.seconds)}, up to {self.span.until.astimezone(zone):%-d %B %Y %H:%M}."
            )


@dataclass(frozen=True)
class _Judged:
    """All tests of a report. Keys of `whole`: KPI, and the baseline or nothing for the period before."""

    whole: Mapping[tuple[str, str], float]
    sure: frozenset[tuple[str, str]]
    segments: Mapping[SegmentKey, float]
    sure_segments: frozenset[SegmentKey]


def by_kpi(figures: Iterable[Figure]) -> dict[str, list[Figure]]:
    """Figures by KPI."""
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        found.setdefault(figure.kpi, []).append(figure)
    return found


def begun_late(figures: Iterable[Figure], plan: Plan) -> set[str]:
    """The KPIs of a record of which the first third of a period has nothing: it hardly reaches back that far.

    What a file holds has no begin but its first row, so no source says it.
    """
    sizes: dict[tuple[str, str], float] = {}
    for f in figures:
        kpi = plan.kpis[f.kpi]
        if f.window in (WINDOW, LATE) and kpi.placed_by:
            key = kpi.record, f.window
            sizes[key] = sizes.get(key, 0.0) + abs(f.numerator if f.denominator is None else f.denominator)
    whole = {record: size for (record, window), size in sizes.items() if window == WINDOW and size > 0}
    late = {record for record, size in whole.items() if sizes.get((record, LATE), 0.0) >= size}
    return {name for name, measure in compile_plan(plan).by_name.items() if late & counted_of(measure)}


def counted_of(measure: Measure) -> set[str]:
    """The records that a KPI counts in windows, through its parts."""
    own = {measure.kpi.record} if measure.kpi.placed_by else set()
    return own.union(*(counted_of(each) for each in measure.below))


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


def told(moved: Sequence[Line], which: str, shown: Sequence[str]) -> Told:
    """The changes that are told in full, and the others."""
    names = [line.kpi for line in moved if way(line) == which]
    others = [name for name in names if name not in shown]
    full = [name for name in names if name in shown or name in others[:MOST_STORIES]]
    return Told(full=tuple(full), short=tuple(others[MOST_STORIES:]))


def way(line: Line) -> str:
    """Whether a line got better or worse; by its most telling segment where the whole did not change."""
    if line.better == "none":
        return ""
    changed = line.change
    if not changed or changed.verdict not in ("rose", "fell"):
        segments = line.split.changed if line.split else ()
        changed = segments[0].change if segments else None
    if changed is None:
        return ""
    return "better" if (changed.verdict == "rose") == (line.better == "higher") else "worse"


def _rank(line: Line, shown: Sequence[str]) -> tuple[int, bool, float]:
    """Changes of what is shown first, then of what has most to do with the reader, then the least likely ones."""
    tiers = {"headline": 0, "driver": 1, "control": 1}
    p = line.change.p if line.change and line.change.p is not None else 1.0
    return tiers.get(line.tier or "", 2), line.kpi not in shown, p


def _clear(line: Line) -> bool:
    """Whether a line is of all there is: of three claims, one says little."""
    return not line.of


def _days(seconds: int) -> str:
    days, hours = divmod(seconds // 3600, 24)
    parts = [f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in ((days, "day"), (hours, "hour")) if n]
    return " and ".join(parts)
