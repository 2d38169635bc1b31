"""Compares every figure with another time or group, segment by segment.

previous        the same window, one window earlier; what is of now, as it was one window of its alert earlier
weekday_median  the last day beside the same day of the last eight weeks: the median of at least five
control         the segments of cohort "control" with the same other labels, at the same instant
fixed           a period of whole days; counts and sums scaled to the length of each window
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from exporter.catalogue.kpi import Kpi
from exporter.evaluation.add import merge, value_of
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.derived import derive
from exporter.evaluation.figure import Evaluation, Figure, Key, Past, summable
from exporter.evaluation.plan import Plan, Setting
from exporter.evaluation.stats import middle

CONTROL = "control"
FEWEST_DAYS = 5
Settings = Mapping[str, Setting]
Place = tuple[str, str | None, Key]
"""What two figures must have in common to be compared: KPI, window, segment."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What one figure is compared with. A median of days has no numerator; its denominator is n of all those days."""

    kind: str
    kpi: str
    window: str | None
    segment: Key
    value: float | None
    numerator: float | None
    denominator: float | None


@dataclass(frozen=True, slots=True)
class Total:
    """Several segments in one: a figure beside its baseline. A segment that one side lacks is in neither."""

    now: Figure
    then: Baseline


@dataclass(frozen=True, slots=True)
class Sides:
    """One kind of comparison: figures of now by what they are compared by, and those of then, for each of its days."""

    kind: str
    now: Sequence[tuple[Place, Figure]]
    days: Sequence[Mapping[Place, Figure]]

    def pairs(self) -> Iterator[tuple[Place, Figure, Baseline]]:
        """The figures that have a baseline."""
        for place, figure in self.now:
            then = [day[place] for day in self.days if place in day]
            compared = baseline(self.kind, figure, then)
            if compared:
                yield place, figure, compared


def compare(figures: Sequence[Figure], past: Past, settings: Settings) -> list[Baseline]:
    """The baselines of all figures that have one."""
    return [baseline for side in sides(figures, past, settings) for _, _, baseline in side.pairs()]


def totals(
    figures: Sequence[Figure], past: Past, settings: Settings, labels_of: Callable[[Kpi], Collection[str]]
) -> Iterator[Total]:
    """The same with segments added up, but for those of the labels that `kept` gives for a KPI."""

    def whole(figure: Figure) -> Figure:
        return reduced(figure, labels_of(settings[figure.kpi].kpi))

    every = [figures, *(day for days in past.days.values() for day in days)]
    split = {figure.kpi for each in every for figure in each if figure.whole}
    then = {kind: tuple(tuple(in_one(day, split, settings)) for day in days) for kind, days in past.days.items()}
    for side in sides(in_one(figures, split, settings), replace(past, days=then), settings):
        pairs = [(place, figure) for place, figure, _ in side.pairs()]
        places = {place for place, _ in pairs}
        now = merge((whole(figure) for _, figure in pairs), settings)
        days = [merge((whole(f) for place, f in day.items() if place in places), settings) for day in side.days]
        sums = Sides(side.kind, [(placed(f), f) for f in now], [*map(by_place, days)])
        yield from (Total(figure, made) for _, figure, made in sums.pairs())


def in_one(figures: Sequence[Figure], split: Collection[str], settings: Settings) -> list[Figure]:
    """Figures of which those of some KPIs are wholes, or sums where there are none, for then no record counts twice."""
    every = summable(figures)
    parts = [f for f in every if f.kpi in split and not f.whole]
    labels = {f.kpi: {label for label, _ in f.segment} - {settings[f.kpi].kpi.several} for f in parts}
    sums = merge((reduced(f, labels[f.kpi]) for f in parts), settings)
    return [*(f for f in every if f.kpi not in split or f.whole), *sums]


def sides(figures: Sequence[Figure], past: Past, settings: Settings) -> Iterator[Sides]:
    """The two sides of each kind of comparison."""
    for kind, days in past.days.items():
        mine = [f for f in figures if kind in settings[f.kpi].baselines.kinds]
        yield Sides(kind, [(placed(f), f) for f in mine], [*map(by_place, days)])
    mine = [f for f in figures if settings[f.kpi].baselines.control]
    if mine:
        others = [f for f in mine if ("cohort", CONTROL) not in f.segment and "cohort" in dict(f.segment)]
        control = (alike(f, settings) for f in mine if ("cohort", CONTROL) in f.segment)
        merged = by_place(merge(control, settings))
        yield Sides("control", [(placed(alike(f, settings)), f) for f in others], [merged])


def placed(figure: Figure) -> Place:
    """The KPI, window and segment of a figure."""
    return figure.kpi, figure.window, figure.segment


def by_place(figures: Iterable[Figure]) -> dict[Place, Figure]:
    """Figures by KPI, window and segment."""
    return {placed(figure): figure for figure in figures}


def alike(figure: Figure, settings: Settings) -> Figure:
    """A figure reduced to the labels that it shares with the control group."""
    over = settings[figure.kpi].baselines.control
    return reduced(figure, [label for label, _ in figure.segment if label not in over])


def reduced(figure: Figure, labels: Collection[str]) -> Figure:
    """A figure reduced to some of its labels, without what comparisons do not need."""
    segment = tuple(pair for pair in figure.segment if pair[0] in labels)
    return replace(figure, segment=segment, distribution=None, by=())


def baseline(kind: str, figure: Figure, then: Sequence[Figure]) -> Baseline | None:
    """The baseline of a figure, from the figures of earlier days; None if there are too few."""
    if kind == "weekday_median":
        values = [value for f in then if (value := value_of(f)) is not None]
        if len(values) < FEWEST_DAYS:
            return None
        counts = [f.denominator for f in then if f.denominator is not None]
        return Baseline(kind, *placed(figure), middle(values), None, sum(counts) if counts else None)
    if not then:
        return None
    only = then[0]
    return Baseline(kind, *placed(figure), value_of(only), only.numerator, only.denominator)


def unmatched(
    evaluation: Evaluation, baselines: Iterable[Baseline], settings: Iterable[Setting]
) -> list[tuple[str, str, str]]:
    """(kpi, baseline, reason) of every configured baseline that is missing, in all windows or in some."""
    present = {(baseline.kpi, baseline.kind) for baseline in baselines}
    missing: list[tuple[str, str, str]] = []
    for setting in settings:
        name = setting.kpi.name
        for kind in setting.baselines.kinds:
            reasons = {*evaluation.baselines.absent.get((name, kind), ())}
            if name in evaluation.absent:
                reasons = {evaluation.absent[name]}
            elif kind == "weekday_median" and (name, kind) in present:
                reasons = set()  # five days are enough
            elif not reasons and (name, kind) not in present:
                reasons = {"no_match" if _enough(evaluation, name, kind) else "no_records"}
            missing += [(name, kind, reason) for reason in sorted(reasons)]
    return missing


def _enough(evaluation: Evaluation, name: str, kind: str) -> bool:
    """Whether there are figures to compare with, though of other segments."""
    if kind == "control":
        return any(f.kpi == name and ("cohort", CONTROL) in f.segment for f in evaluation.figures)
    days = [day for day in evaluation.baselines.days.get(kind, ()) if any(f.kpi == name for f in day)]
    return len(days) >= (FEWEST_DAYS if kind == "weekday_median" else 1)


def scaled(counted: Sequence[Figure], setting: Setting, plan: Plan, seconds: float) -> Iterator[Figure]:
    """The figures of a KPI over a period of `seconds` as figures of each window.

    `counted`: of the KPI itself, or of all that a derived one is made of. What is added up over time is scaled to the
    window before anything is derived from it; a ratio or mean is what it was, over the records it was taken over.
    """
    compiled = compile_plan(plan)
    for window, length in plan.windows:
        share = length / seconds
        if setting.kpi.kind != "derived":
            grows = setting.kpi.kind in ("count", "sum") and additive(setting.kpi)
            yield from (_over(f, window, share if grows else 1.0) for f in counted)
            continue
        figures = [_over(f, window, share if additive(compiled.settings[f.kpi].kpi) else 1.0) for f in counted]
        for each in compiled.by_name.values():
            if each.parts:
                figures += derive(each, figures)
        yield from (f for f in figures if f.kpi == setting.kpi.name)


def additive(kpi: Kpi) -> bool:
    """Whether what a KPI counts grows with the length of its window."""
    return kpi.placed_by is not None and kpi.per != "day" and kpi.aggregate == "sum" and kpi.kind != "state"


def _over(figure: Figure, window: str, share: float) -> Figure:
    below = None if figure.denominator is None else figure.denominator * share
    return replace(
        figure, window=figure.window and window, numerator=figure.numerator * share, denominator=below,
        distribution=None, by=(),
    )  # fmt: skip
