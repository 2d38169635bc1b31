"""Compares the values of two periods: over all, segment by segment, and with baselines; judges all tests together."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from exporter.base.clock import DAY
from exporter.catalogue.kpi import Kpi, non_additive
from exporter.evaluation.add import merge, value_of
from exporter.evaluation.figure import Figure, Key, additive_within
from exporter.evaluation.plan import Plan, Setting
from exporter.evaluation.stats import wilson
from exporter.explain.breaches import records_of
from exporter.report import change as tests
from exporter.report.content import Change, Segment, Side, Since, Split, Verdict
from exporter.report.contribution import Contribution, of_quotient, of_sum

FEWEST = 10.0
"""Segments of fewer records in either period are not looked at: their number is what each test pays for."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The figures of a KPI in two periods, in what of it can be added up. `seconds`: the lengths of the periods."""

    setting: Setting
    plan: Plan
    before: tuple[Figure, ...]
    now: tuple[Figure, ...]
    seconds: tuple[float, float]

    @property
    def kpi(self) -> Kpi:
        """The KPI."""
        return self.setting.kpi

    def whole(self) -> tuple[Figure | None, Figure | None]:
        """The sums over all segments."""
        before, now = (summed(side, (), self.setting).get(()) for side in (self.before, self.now))
        return before, now

    def labels(self) -> list[str]:
        """The labels that its segments can be told apart by, and added up over."""
        known = dict.fromkeys(label for f in (*self.before, *self.now) for label, _ in f.segment)
        return [each for each in known if each not in (*non_additive(self.kpi), self.kpi.several)]

    def by(self, label: str) -> tuple[dict[str, Figure], dict[str, Figure]]:
        """The values of a label with their figures, before and now."""
        found = []
        for side in (self.before, self.now):
            sums = summed(side, (label,), self.setting)
            found.append({segment[0][1]: figure for segment, figure in sums.items() if segment})
        return found[0], found[1]


def summed(figures: Iterable[Figure], labels: Sequence[str], setting: Setting) -> dict[Key, Figure]:
    """Figures added up over all labels but some, with their distributions."""
    mine = additive_within(figures, labels)
    parts = [
        replace(f, segment=tuple(pair for pair in f.segment if pair[0] in labels), window=None, by=(), whole=False)
        for f in mine
    ]
    return {figure.segment: figure for figure in merge(parts, {setting.kpi.name: setting})}


Groups = Mapping[Key, tuple[Figure, ...]]
"""Figures by the labels over which they cannot be added up, such as currencies."""


def groups(figures: Iterable[Figure], setting: Setting) -> Groups:
    """The figures of a KPI, on the basis that its thresholds are for."""
    found: dict[Key, list[Figure]] = {}
    for f in figures:
        basis = dict(f.segment).get("basis") if setting.kpi.business else None
        if basis in (None, setting.basis):
            separate = tuple(p for p in f.segment if p[0] in non_additive(setting.kpi) and p[1] != basis)
            found.setdefault(separate, []).append(f)
    return {key: tuple(of) for key, of in sorted(found.items())}


def principal(found: Groups) -> Key | None:
    """The group that most is in; None if there is none."""

    def size(key: Key) -> float:
        return sum(abs(f.numerator if f.denominator is None else f.denominator) for f in found[key])

    return max(found, key=size, default=None)


def side(figure: Figure, kpi: Kpi, plan: Plan) -> Side | None:
    """A figure as a side of a comparison; None if it has no value."""
    value = value_of(figure)
    if value is None:
        return None
    n = figure.denominator
    lower, upper = wilson(figure.numerator, n) if kpi.kind == "ratio" and n and figure.numerator <= n else (None, None)
    records = records_of(kpi, plan.kpis, n)
    return Side(value=value, n=records, weight=n, lower=lower, upper=upper, median=figure.median)


def p_value(before: Figure, now: Figure, kpi: Kpi, seconds: tuple[float, float]) -> float | None:
    """The p value of the test that fits a KPI; None where none does."""
    if kpi.kind == "count":
        days = [each / DAY if kpi.per == "day" else 1.0 for each in seconds]
        return tests.counts((before.numerator * days[0], now.numerator * days[1]), seconds)
    if kpi.weight or not before.denominator or not now.denominator:
        return None
    if of_share(kpi):
        return tests.proportions((before.numerator, now.numerator), (before.denominator, now.denominator))
    if kpi.kind == "duration" and before.distribution and now.distribution:
        of = [[count for _, count in f.distribution.buckets] for f in (before, now) if f.distribution]
        p, direction = tests.ranks((of[0], of[1]))
        first, second = value_of(before), value_of(now)
        # The mean is what is shown: where it goes the other way, there is no sentence that is true of both.
        return p if first is not None and second is not None and direction * (second - first) > 0 else 1.0
    return None


def of_share(kpi: Kpi) -> bool:
    """Whether each record of a KPI has a value from 0 to 1."""
    return kpi.kind == "ratio" or (kpi.kind == "mean" and kpi.name.endswith("_ratio"))


def change(
    before: Figure, now: Figure, pair: Pair, *, sure: bool, p: float | None, since: Since | None = None
) -> Change | None:
    """Two figures beside each other. `sure`: whether the test holds beside all others."""
    first, second = side(before, pair.kpi, pair.plan), side(now, pair.kpi, pair.plan)
    if first is None or second is None:
        return None
    return Change(before=first, now=second, verdict=verdict(first, second, sure=sure, p=p), p=p, since=since)


def verdict(before: Side, now: Side, *, sure: bool, p: float | None) -> Verdict:
    """What may be said of a change."""
    if p is None:
        return "untested"
    if sure and before.value != now.value:
        return "rose" if now.value > before.value else "fell"
    few = any(each.n is not None and each.n < FEWEST for each in (before, now))
    return "few" if few else "same"


def contributions(pair: Pair, before: Mapping[str, Figure], now: Mapping[str, Figure]) -> dict[str, Contribution]:
    """What each segment adds to the change of the whole; empty where that cannot be said."""
    figures = [*before.values(), *now.values()]
    if pair.kpi.kind == "derived" or pair.kpi.aggregate == "max" or not figures:
        return {}
    if all(f.denominator is None for f in figures):
        sums = [{name: f.numerator for name, f in each.items()} for each in (before, now)]
        return of_sum(sums[0], sums[1])
    parts = [{name: (f.numerator, f.denominator or 0.0) for name, f in each.items()} for each in (before, now)]
    if any(sum(d for _, d in each.values()) <= 0 for each in parts):
        return {}
    return of_quotient(parts[0], parts[1])


SegmentKey = tuple[str, str, str]
"""KPI, label, value."""


def segment_tests(pairs: Iterable[Pair]) -> dict[SegmentKey, float]:
    """The p value of every segment of enough records."""
    found: dict[SegmentKey, float] = {}
    for pair in pairs:
        for label in pair.labels():
            before, now = pair.by(label)
            if len({*before, *now}) > 1:
                for name in before.keys() & now.keys():
                    if enough(before[name], now[name]):
                        p = p_value(before[name], now[name], pair.kpi, pair.seconds)
                        found |= {} if p is None else {(pair.kpi.name, label, name): p}
    return found


def enough(before: Figure, now: Figure) -> bool:
    """Whether a segment is worth looking at."""
    sizes = (f.numerator if f.denominator is None else f.denominator for f in (before, now))
    # A count that has come from nothing is looked at, too.
    return (min if before.denominator is not None else max)(sizes) >= FEWEST


def split(
    pair: Pair,
    p_values: Mapping[SegmentKey, float],
    sure: Collection[SegmentKey],
    since: Mapping[SegmentKey, Since] = MappingProxyType({}),
) -> Split | None:
    """The label that says most about a change: the one of the least likely segment, and what each segment adds."""
    found: list[tuple[float, Split]] = []
    for label in pair.labels():
        before, now = pair.by(label)
        parts = contributions(pair, before, now)
        if len(parts) < 2:
            continue
        segments = []
        for name, part in parts.items():
            key, mine = (pair.kpi.name, label, name), None
            if name in before and name in now:
                p, first_day = p_values.get(key), since.get(key)
                mine = change(before[name], now[name], pair, sure=key in sure, p=p, since=first_day)
            segments.append(Segment(name=name, change=mine, contribution=part))
        segments.sort(key=lambda each: (-abs(each.contribution.own), each.name))
        least = min(p_values.get((pair.kpi.name, label, name), 1.0) for name in parts)
        found.append((least, Split(label=label, segments=tuple(segments))))
    return min(found, key=lambda each: each[0])[1] if found else None
