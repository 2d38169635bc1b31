"""Limits the number of series. Distributions give way first, then the finest labels, then teams.

Values of a label that lose their name are published together as `other`, alike for all KPIs of one record: a value
that has its name is whole under it. Those beyond a threshold keep theirs longest. What comes out depends on the figures
of one instant alone, so history is folded as live figures are. What keeps it steady from one evaluation to the next:
every window counts as full as the fullest; a value that is beyond a threshold in any window ranks as that, so one that
recovers keeps its name until its failures have left the longest window; sizes are compared by their power of two.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

from exporter.catalogue.kpi import Kpi, non_additive
from exporter.evaluation.add import merge_into
from exporter.evaluation.breach import NONE, Breach, breach, least, levels_of
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.figure import Figure, Key, Past, Spread
from exporter.evaluation.plan import Plan, Setting

OTHER = "other"
TEAM = "team"
Names = Mapping[str, set[str]]
"""Crowded label -> the values that keep their name."""
Settings = Mapping[str, Setting]
EVERY_WINDOW, ONE_WINDOW, BY_TEAM = range(3)
"""How much of a distribution is published: all; only the window of its alert; that only by team."""
BEYOND = 4
"""Names of values beyond a threshold are worth this many times the series of others."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many series there may be; past that, segments are folded into `other`."""

    series_per_metric: int = 2000
    series: int = 50_000
    values_per_label: int = 50
    teams: int = 50  # so many keep their names whatever the others say


@dataclass(frozen=True, slots=True)
class Shape:
    """How many series a KPI has for each of its segments, if every window has the segment."""

    all: int  # without its distribution
    widest: int  # in the metric of its that has most
    windows: int
    buckets: int  # of a distribution in one window; 0: it has none


@dataclass(frozen=True, slots=True)
class Folded:
    """Figures as they are published. `spreads`: the distributions that are not published whole, apart from them.

    `left_out`: (KPI, label) -> how many of its values are folded into `other`.
    """

    figures: Sequence[Figure]
    spreads: Sequence[Spread]
    names: Mapping[str, Names]
    left_out: Mapping[tuple[str, str], int]
    spread_levels: Mapping[str, int]
    count: int


def fold(figures: Sequence[Figure], plan: Plan, limits: Limits, most: int) -> Folded:
    """Figures that have not more than `most` series, as far as names that are kept whatever may be allow it."""
    crowds = limited(figures, plan, limits, most)
    parts = [crowd.folded() for crowd in crowds.values()]
    return Folded(
        figures=[figure for part, _ in parts for figure in part],
        spreads=[spread for _, part in parts for spread in part],
        names={record: crowd.names for record, crowd in crowds.items()},
        left_out={key: count for crowd in crowds.values() for key, count in crowd.left_out.items()},
        spread_levels={kpi: level for crowd in crowds.values() for kpi, level in crowd.spread_levels.items() if level},
        count=sum(crowd.count for crowd in crowds.values()),
    )


def limited(figures: Sequence[Figure], plan: Plan, limits: Limits, most: int) -> Mapping[str, "CardinalityLimiter"]:
    """The figures of each record, with what gives way decided and nothing folded yet."""
    settings = compile_plan(plan).settings
    crowds = {
        record: CardinalityLimiter(mine, settings, plan, limits)
        for record, mine in by_record(figures, settings).items()
    }

    def over() -> bool:
        return sum(crowd.count for crowd in crowds.values()) > most

    for crowd in crowds.values():
        crowd.fit_metrics(limits.series_per_metric)
    for level in (ONE_WINDOW, BY_TEAM):
        if over():
            for crowd in crowds.values():
                crowd.limit_spreads(level)
    for teams in (False, True):
        budget = limits.series_per_metric
        while over() and budget > 1:
            budget = budget * 7 // 8
            for crowd in crowds.values():
                crowd.narrow(budget, teams=teams)
    return crowds


class CardinalityLimiter:
    """The figures of one record, and which values of its labels keep their names."""

    def __init__(self, figures: Sequence[Figure], settings: Settings, plan: Plan, limits: Limits) -> None:
        self._figures, self._settings, self._plan, self._limits = figures, settings, plan, limits
        self._record = settings[figures[0].kpi].kpi.record
        of_kpi: defaultdict[str, set[Key]] = defaultdict(set)
        for figure in figures:
            of_kpi[figure.kpi].add(figure.segment)
        self._shapes = shapes(figures, settings, plan)
        self._apart = {kpi: frozenset(non_additive(settings[kpi].kpi)) for kpi in of_kpi}
        self._values: dict[tuple[str, str], set[str]] = {}
        self._all: defaultdict[str, set[str]] = defaultdict(set)
        # Many KPIs have the same segments: what is asked of those is asked once.
        groups: defaultdict[tuple[frozenset[Key], frozenset[str]], list[str]] = defaultdict(list)
        for kpi, segments in of_kpi.items():
            groups[frozenset(segments), self._apart[kpi]].append(kpi)
            for label, value in (pair for segment in segments for pair in segment if pair[0] not in self._apart[kpi]):
                self._values.setdefault((kpi, label), set()).add(value)
                self._all[label].add(value)
        self._groups = [Group(segments, apart, tuple(kpis)) for (segments, apart), kpis in groups.items()]
        self._many = {label: len(values) for label, values in self._all.items()}  # how many keep their name
        self.spread_levels = {kpi: EVERY_WINDOW for kpi, shape in self._shapes.items() if shape.buckets}
        self.whole = self.count  # if nothing gave way
        for label, many in self._many.items():
            if many > limits.values_per_label:
                self._keep(label, min(many, max(limits.values_per_label, self._ranking.beyond[label])))

    @property
    def count(self) -> int:
        """How many series it has, were every window as full as the fullest."""
        return sum(
            len(group.segments) * self._shapes[kpi].all + self._buckets(group, kpi)
            for group in self._groups
            for kpi in group.kpis
        )

    def fit_metrics(self, budget: int) -> None:
        """Folds until no metric has more series than `budget`, as far as that is possible."""
        for group in self._groups:
            for kpi in group.kpis:
                while self._buckets(group, kpi) > budget and self.spread_levels[kpi] < BY_TEAM:
                    self.spread_levels[kpi] += 1
        for teams, beyond in product((False, True), repeat=2):
            while label := self._too_fine(budget, teams=teams, beyond=beyond):
                self._shorten(label, beyond=beyond)

    def limit_spreads(self, level: int) -> None:
        """Leaves of all distributions no more than that."""
        self.spread_levels = {kpi: max(level, had) for kpi, had in self.spread_levels.items()}

    def narrow(self, budget: int, *, teams: bool) -> None:
        """Folds until a metric has not more series than `budget` on average. `teams`: their names may give way too."""
        for most, beyond in ((budget, False), (BEYOND * budget, True)):
            while self._average > most and (label := self._finest(self._all, teams=teams, beyond=beyond)):
                self._shorten(label, beyond=beyond)

    def folded(self) -> tuple[list[Figure], list[Spread]]:
        """The figures in segments where only some values keep their names, and distributions that are not whole."""
        names = self.names
        own, spreads = [], []
        for figure in self._figures:
            level = self.spread_levels.get(figure.kpi, EVERY_WINDOW)
            if figure.distribution and level:
                if figure.window == spread_window(self._settings[figure.kpi].kpi, self._plan):
                    spreads.append(replace(figure, values=()))  # only its distribution is published
                figure = replace(figure, distribution=None)  # noqa: PLW2901 - goes on as another
            own.append(figure)
        merged = merge_into(self._renamed(own, names), self._settings) if names else own
        by_team = [figure for figure in spreads if self.spread_levels[figure.kpi] == BY_TEAM]
        apart = [figure for figure in spreads if self.spread_levels[figure.kpi] != BY_TEAM]
        only_team = {label: names.get(label, self._all[label]) if label == TEAM else set[str]() for label in self._all}
        told_apart = merge_into([*self._renamed(apart, names), *self._renamed(by_team, only_team)], self._settings)
        return merged, [
            Spread(f.kpi, f.window, f.segment, f.distribution, f.whole) for f in told_apart if f.distribution
        ]

    @property
    def names(self) -> Names:
        """The labels of which not every value keeps its name."""
        crowded = {label: self._kept(label) for label in self._all if self._many[label] < len(self._all[label])}
        return {label: kept for label, kept in crowded.items() if self._all[label] - kept - {OTHER}}

    @property
    def left_out(self) -> dict[tuple[str, str], int]:
        """(KPI, label) -> how many of its values are folded into `other`."""
        names = self.names
        counts = {key: len(values - names[key[1]] - {OTHER}) for key, values in self._values.items() if key[1] in names}
        return {key: count for key, count in counts.items() if count}

    def _renamed(self, figures: Iterable[Figure], names: Names) -> Iterator[tuple[Figure, Key]]:
        """Figures beside the segments that they go into."""
        known: dict[tuple[Key, frozenset[str]], Key] = {}
        for figure in figures:
            place = figure.segment, self._apart[figure.kpi]
            if place not in known:
                known[place] = renamed(*place, names)
            yield figure, known[place]

    def _buckets(self, group: "Group", kpi: str) -> int:
        shape, level = self._shapes[kpi], self.spread_levels.get(kpi, EVERY_WINDOW)
        if not shape.buckets:
            return 0
        segments = group.teams if level == BY_TEAM else len(group.segments)
        return segments * shape.buckets * (shape.windows if level == EVERY_WINDOW else 1)

    @property
    def _average(self) -> float:
        """How many series a metric has on average."""
        sizes = [(len(group.segments) * self._shapes[kpi].windows) for group in self._groups for kpi in group.kpis]
        return sum(sizes) / len(sizes)

    def _too_fine(self, budget: int, *, teams: bool, beyond: bool) -> str | None:
        """What may give way in the largest metric over the budget in which something may."""
        sized = ((len(g.segments) * max(self._shapes[kpi].widest for kpi in g.kpis), g) for g in self._groups)
        large = sorted((each for each in sized if each[0] > budget), key=lambda each: -each[0])
        candidates = (self._finest(group.labels, teams=teams, beyond=beyond) for _, group in large)
        return next(filter(None, candidates), None)

    def _finest(self, labels: Iterable[str], *, teams: bool, beyond: bool) -> str | None:
        """Of labels that may give way the one with the most names; teams after those that KPIs have by themselves."""
        configured = {*self._plan.labels.get(self._record, ())} - {TEAM}
        able = (
            label
            for label in labels
            if (teams or label in configured) and self._many[label] > self._floor(label, beyond=beyond)
        )
        return max(able, key=lambda label: (label != TEAM, self._many[label], label), default=None)

    def _shorten(self, label: str, *, beyond: bool) -> None:
        self._keep(label, max(self._floor(label, beyond=beyond), self._many[label] * 7 // 8))

    def _floor(self, label: str, *, beyond: bool) -> int:
        """How many names a label keeps at least. `beyond`: values beyond a threshold may give way too."""
        always = self._limits.teams if label == TEAM else 0
        return always if beyond else max(always, self._ranking.beyond[label])

    def _keep(self, label: str, many: int) -> None:
        self._many[label] = many
        names = {label: self._kept(label)}
        self._groups = [group.renamed(names) if label in group.labels else group for group in self._groups]

    def _kept(self, label: str) -> set[str]:
        return {*self._ranking.order[label][: self._many[label]]}

    @cached_property
    def _ranking(self) -> "Ranking":
        return ranking(self._figures, self._settings, self._plan)


@dataclass(frozen=True)
class Group:
    """KPIs that have the same segments, as far as names are kept. `apart`: labels whose values never lose theirs."""

    segments: frozenset[Key]
    apart: frozenset[str]
    kpis: tuple[str, ...]

    @cached_property
    def labels(self) -> frozenset[str]:
        """The labels whose values may lose their names."""
        return frozenset(label for segment in self.segments for label, _ in segment) - self.apart

    @cached_property
    def teams(self) -> int:
        """How many segments there are when of what may give way only teams are told apart."""
        nobody: Names = {label: set() for label in self.labels if label != TEAM}
        return len({renamed(segment, self.apart, nobody) for segment in self.segments})

    def renamed(self, names: Names) -> "Group":
        """The same with fewer names."""
        return replace(self, segments=frozenset(renamed(segment, self.apart, names) for segment in self.segments))


@dataclass(frozen=True, slots=True)
class Ranking:
    """Label -> its values, those first that keep their names longest; and how many of them are beyond a threshold."""

    order: Mapping[str, Sequence[str]]
    beyond: Mapping[str, int]


def ranking(figures: Iterable[Figure], settings: Settings, plan: Plan) -> Ranking:
    """Values beyond a threshold in any window first, the furthest of them first; then those with most records."""
    kpis, longest = plan.kpis, plan.windows[-1][0]
    enough = {name: least(setting.kpi, kpis) for name, setting in settings.items() if setting.has_threshold}
    worst: dict[tuple[str, str], Breach] = {}
    size: dict[tuple[str, str], int] = {}
    for figure in figures:
        setting = settings[figure.kpi]
        beyond = breach(figure, setting, enough[figure.kpi]) if setting.has_threshold else NONE
        records = recorded(figure, setting.kpi) if figure.window in (longest, None) else 0
        for pair in figure.segment:
            size[pair] = size.get(pair, 0) + records
            if beyond > worst.get(pair, NONE):
                worst[pair] = beyond

    def rank(pair: tuple[str, str]) -> tuple[int, float, int, str]:
        levels, distance = worst.get(pair, NONE)
        return -levels, -distance, -size[pair].bit_length(), pair[1]

    order: dict[str, list[str]] = {}
    for label, value in sorted(size, key=rank):
        order.setdefault(label, []).append(value)
    return Ranking(order, {label: sum((label, value) in worst for value in of) for label, of in order.items()})


def recorded(figure: Figure, kpi: Kpi) -> int:
    """How many records a figure covers, as far as it says."""
    if kpi.kind in ("ratio", "mean", "duration"):
        return int(figure.denominator or 0)
    return int(figure.numerator) if kpi.kind == "count" else 0


def shapes(figures: Iterable[Figure], settings: Settings, plan: Plan) -> dict[str, Shape]:
    """KPI -> how many series it has for each of its segments. Baselines have their room whether they are there or not:
    history, which has none, is folded alike."""
    splits: defaultdict[str, set[Key]] = defaultdict(set)
    windows: dict[str, int] = {}
    buckets: dict[str, int] = {}
    for figure in figures:
        splits[figure.kpi].update(by for by, _ in figure.by)
        windows[figure.kpi] = len(plan.windows) if figure.window else 1
        if figure.distribution:
            buckets[figure.kpi] = len(figure.distribution.buckets)
    return {
        kpi: shape(settings[kpi], count, max(1, len(splits[kpi])), buckets.get(kpi, 0))
        for kpi, count in windows.items()
    }


def shape(setting: Setting, windows: int, splits: int, buckets: int) -> Shape:
    """`splits`: how many values the labels of its numerator have."""
    kpi, every = setting.kpi, (setting.threshold, *(threshold for _, threshold in setting.thresholds_by))
    severities = len({severity for each in every for severity, value in levels_of(each).items() if value is not None})
    own = 2 + splits + 2 * (kpi.kind == "ratio") + (kpi.kind == "duration") if kpi.divided else 1
    own += 2 * kpi.shows_gross
    weekday = int(setting.baselines.weekday_median)
    compared = (len(setting.baselines.kinds) - weekday) * windows + weekday
    return Shape(
        all=windows * (own + severities + setting.has_target) + compared * (3 if kpi.divided else 1),
        widest=max(windows * max(splits, severities), compared),
        windows=windows,
        buckets=buckets,
    )


def spread_window(kpi: Kpi, plan: Plan) -> str | None:
    """The window of which a distribution is published where there is room for one only."""
    names = [name for name, _ in plan.windows]
    return None if not kpi.windowed else kpi.window if kpi.window in names else names[-1]


def by_record(figures: Iterable[Figure], settings: Settings) -> dict[str, list[Figure]]:
    """Figures by the record whose labels they have, in the order of records."""
    figures_of: dict[str, list[Figure]] = {}
    for figure in figures:
        figures_of.setdefault(settings[figure.kpi].kpi.record, []).append(figure)
    return dict(sorted(figures_of.items()))


def folded_alike(past: Past, settings: Settings, names: Mapping[str, Names]) -> Past:
    """The figures of another time in the segments of now: `other` is whatever has no name of its own, then as now."""

    def alike(day: Sequence[Figure]) -> tuple[Figure, ...]:
        mine = ((f, settings[f.kpi].kpi) for f in day if f.kpi in settings)
        told_alike = (
            (f, renamed(f.segment, frozenset(non_additive(kpi)), names.get(kpi.record, {}))) for f, kpi in mine
        )
        return tuple(merge_into(told_alike, settings))

    return replace(past, days={kind: tuple(map(alike, days)) for kind, days in past.days.items()})


def renamed(segment: Key, apart: frozenset[str], kept: Names) -> Key:
    """A segment with values that are not kept called `other`; a label that is not crowded keeps all of its."""
    return tuple(
        (label, value if label in apart or label not in kept or value in kept[label] else OTHER)
        for label, value in segment
    )
