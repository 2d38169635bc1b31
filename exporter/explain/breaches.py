"""What is beyond a threshold now, team by team as alerts judge it: surely, or of too few records to be certain."""

import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from exporter.catalogue.kpi import Kpi, value_labels
from exporter.evaluation.add import merge, value_of
from exporter.evaluation.breach import least, resolve
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.figure import Evaluation, Figure, Key, summable
from exporter.evaluation.plan import Plan, Setting
from exporter.evaluation.stats import wilson
from exporter.records.labels import LABEL_NAMES

SEVERITIES = ("critical", "warning")
"""Worst first."""
TEAM = "team"


@dataclass(frozen=True, kw_only=True, slots=True)
class Breach:
    """A value beyond a threshold, in the window that alerts look at.

    `segment`: published label names and values. `records`: how many are behind the value, where it counts records.
    `certain`: whether an alert would fire; otherwise the value is beyond, and of too few records to be sure.
    """

    kpi: str
    window: str | None
    segment: Mapping[str, str]
    value: float
    records: float | None
    severity: str
    limit: float
    certain: bool

    @property
    def team(self) -> str | None:
        """The team it is of; None for a KPI that is not computed by team."""
        return self.segment.get(TEAM)

    @property
    def rank(self) -> tuple[bool, int, float]:
        """Worst first: what is certain, then by severity, then by how far it is beyond, as a share of the limit."""
        far = abs(self.value - self.limit) / (abs(self.limit) or 1.0)
        return not self.certain, SEVERITIES.index(self.severity), -far


def breaches(evaluation: Evaluation, plan: Plan) -> list[Breach]:
    """Everything that is beyond a threshold, worst first."""
    settings = compile_plan(plan).settings
    by_kpi: dict[str, list[Figure]] = {}
    for figure in evaluation.figures:
        setting = settings[figure.kpi]
        if setting.has_threshold and setting.kpi.better != "none" and figure.window in (window_of(setting, plan), None):
            by_kpi.setdefault(figure.kpi, []).append(figure)
    found = (each for name, figures in by_kpi.items() for each in _of_kpi(figures, settings[name], plan))
    return sorted(found, key=lambda each: each.rank)


def window_of(setting: Setting, plan: Plan) -> str:
    """The window that the alert of a KPI looks at; where that is not configured, the shortest one."""
    names = [name for name, _ in plan.windows]
    return setting.kpi.window if setting.kpi.window in names else names[0]


def records_of(kpi: Kpi, kpis: Mapping[str, Kpi], denominator: float | None) -> float | None:
    """How many records are behind a value with this denominator; None where that does not count records."""
    counts = not kpi.weight if kpi.kind == "ratio" else least(kpi, kpis) is not None
    return denominator * float(kpi.per or 1) if counts and denominator is not None else None


def _of_kpi(figures: Iterable[Figure], setting: Setting, plan: Plan) -> Iterator[Breach]:
    kpi = setting.kpi
    kept = {TEAM, "basis", *value_labels(kpi, plan.kpis)}
    every = list(figures)
    mine = [f for f in every if not f.whole] if kpi.several in kept else summable(every)
    limits: dict[Key, dict[str, float]] = {}
    lenient = max if kpi.better == "lower" else min
    for figure in every:
        of_team = limits.setdefault(_reduced(figure, kept).segment, {})
        for severity, limit in resolve(setting, figure.segment).items():
            of_team[severity] = lenient(limit, of_team.get(severity, limit))
    for total in merge((_reduced(f, kept) for f in mine), {kpi.name: setting}):
        if found := _judged(total, limits.get(total.segment, {}), kpi, plan):
            yield found


def _reduced(figure: Figure, labels: set[str]) -> Figure:
    segment = tuple(pair for pair in figure.segment if pair[0] in labels)
    return replace(figure, segment=segment, distribution=None, by=(), values=())


def _judged(figure: Figure, limits: Mapping[str, float], kpi: Kpi, plan: Plan) -> Breach | None:
    value, n = value_of(figure), figure.denominator
    worse = operator.gt if kpi.better == "lower" else operator.lt
    beyond = [each for each in SEVERITIES if value is not None and each in limits and worse(value, limits[each])]
    if value is None or not beyond:
        return None
    sure, enough = value, least(kpi, plan.kpis)
    if kpi.kind == "ratio" and n:
        lower, upper = wilson(figure.numerator, n)
        sure = lower if kpi.better == "lower" else upper
    certain = [each for each in beyond if worse(sure, limits[each]) and (enough is None or (n or 0.0) >= enough)]
    severity = (certain or beyond)[0]
    return Breach(
        kpi=kpi.name,
        window=figure.window,
        segment={LABEL_NAMES.get(label, label): content for label, content in figure.segment},
        value=value,
        records=records_of(kpi, plan.kpis, n),
        severity=severity,
        limit=limits[severity],
        certain=bool(certain),
    )
