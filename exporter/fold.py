"""What is too much is folded into `other`: the smaller values of crowded labels, alike for all KPIs of one record."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from exporter.figure import Figure, Key, Past
from exporter.merge import merge
from exporter.plan import Plan, Setting

OTHER = "other"
Names = Mapping[str, set[str]]
"""Crowded label -> the values that keep their name."""
Settings = Mapping[str, Setting]


class Crowd:
    """The figures of one record, folded further with every smaller budget: what is merged already stays so."""

    def __init__(
        self, figures: Sequence[Figure], settings: Settings, plan: Plan, most: int, width: Callable[[Figure], int]
    ) -> None:
        """`most`: how many values of a label may keep their name. `width`: how many series a figure is published as."""
        self.figures, self._settings, self._width = figures, settings, width
        self._values = values_of(figures)
        self._ranked = ranked(figures)
        self._kept = {label: set(values[:most]) for label, values in self._ranked.items()}
        self._segments = segment_sets(
            figures, {name: breadth_of(settings[name], plan) for name in {f.kpi for f in figures}}
        )
        self.count = 0
        self._merge()

    def fit(self, budget: int) -> None:
        """Folds until no metric has more series than `budget`, or every label has one name left."""
        had = self.names
        while not self._fits(budget):
            widest = max(self._kept, key=lambda label: (len(self._kept[label]), label))
            if len(self._kept[widest]) <= 1:
                break
            self._kept[widest] = set(self._ranked[widest][: len(self._kept[widest]) * 3 // 4])
        if self.names != had:
            self._merge()

    def _fits(self, budget: int) -> bool:
        if not self._kept:
            return True
        found: dict[frozenset[Key], int] = {}
        for told, wide in self._segments.items():
            # Renaming merges segments, so what fits with all its names need not be looked at.
            same = told if len(told) * wide <= budget else frozenset(renamed(key, self._kept) for key in told)
            found[same] = max(found.get(same, 0), wide)
        self._segments = found
        return all(len(told) * wide <= budget for told, wide in found.items())

    def _merge(self) -> None:
        self.figures = merge(with_names(self.figures, self.names), self._settings)
        self.count = sum(map(self._width, self.figures))

    @property
    def names(self) -> Names:
        """The labels of which not every value keeps its name."""
        crowded = ((label, {*values} - self._kept[label]) for label, values in self._ranked.items())
        return {label: self._kept[label] for label, left_out in crowded if left_out - {OTHER}}

    @property
    def folded(self) -> dict[tuple[str, str], int]:
        """(KPI, label) -> how many of its values are folded into `other`."""
        left_out = {key: len(values - self._kept[key[1]] - {OTHER}) for key, values in self._values.items()}
        return {key: count for key, count in left_out.items() if count}


def by_record(figures: Iterable[Figure], settings: Settings) -> dict[str, list[Figure]]:
    """Figures by the record whose labels they have, in the order of records."""
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        found.setdefault(settings[figure.kpi].kpi.record, []).append(figure)
    return dict(sorted(found.items()))


def folded_alike(past: Past, settings: Settings, names: Mapping[str, Names]) -> Past:
    """The figures of another time in the segments of now: `other` is whatever has no name of its own, then as now."""

    def alike(day: Sequence[Figure]) -> tuple[Figure, ...]:
        mine = ((f, names.get(settings[f.kpi].kpi.record, {})) for f in day if f.kpi in settings)
        return tuple(merge((renamed_figure(f, renamed(f.segment, kept)) for f, kept in mine), settings))

    return replace(past, days={kind: tuple(map(alike, days)) for kind, days in past.days.items()})


def breadth_of(setting: Setting, plan: Plan) -> int:
    """How many series of one metric a segment has: one for each window, or for each window and baseline."""
    weekday = int(setting.baselines.weekday_median)
    return max(len(plan.windows), (len(setting.baselines.kinds) - weekday) * len(plan.windows) + weekday)


def labels_told(segment: Key) -> Iterator[tuple[str, str]]:
    """What can be folded of a segment: what a length is measured in is no segment, and mixed up would mean nothing."""
    return (pair for pair in segment if pair[0] != "basis")


def values_of(figures: Sequence[Figure]) -> dict[tuple[str, str], set[str]]:
    """(KPI, label) -> its values."""
    found: dict[tuple[str, str], set[str]] = {}
    for kpi, segment in dict.fromkeys((f.kpi, f.segment) for f in figures):
        for label, value in labels_told(segment):
            found.setdefault((kpi, label), set()).add(value)
    return found


def ranked(figures: Sequence[Figure]) -> dict[str, list[str]]:
    """Label -> its values, those with the most records first."""
    volume: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for figure in figures:
        for label, value in labels_told(figure.segment):
            volume[label][value] += int(figure.denominator or figure.numerator) + 1
    return {
        label: [value for value, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
        for label, counts in volume.items()
    }


def segment_sets(figures: Sequence[Figure], breadth: Mapping[str, int]) -> dict[frozenset[Key], int]:
    """The sets of segments that KPIs have, as many KPIs have the same, each with the breadth of its broadest KPI."""
    of_kpi: dict[str, set[Key]] = {}
    for figure in figures:
        of_kpi.setdefault(figure.kpi, set()).add(figure.segment)
    found: dict[frozenset[Key], int] = {}
    for kpi, told in of_kpi.items():
        same = frozenset(told)
        found[same] = max(found.get(same, 0), breadth[kpi])
    return found


def with_names(figures: Sequence[Figure], kept: Names) -> Iterator[Figure]:
    """The figures in segments where only some values keep their names."""
    segments = {segment: renamed(segment, kept) for segment in {f.segment for f in figures}}
    yield from (renamed_figure(f, segments[f.segment]) for f in figures)


def renamed_figure(figure: Figure, segment: Key) -> Figure:
    """A figure in another segment."""
    return figure if figure.segment == segment else replace(figure, segment=segment)


def renamed(segment: Key, kept: Names) -> Key:
    """A segment with values that are not kept called `other`; a label that is not crowded keeps all of its."""
    return tuple(
        (label, value if label == "basis" or value in kept.get(label, {value}) else OTHER) for label, value in segment
    )
