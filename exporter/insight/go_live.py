"""The reviews after a go-live: day 30 stability, day 60 trends, day 90 business impact against the fixed baseline."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from exporter.baselines.compare import scaled
from exporter.baselines.frozen import fingerprint, length, reach, thawed
from exporter.catalogue.kpi import Kpi, Severity
from exporter.evaluation.add import value_of
from exporter.evaluation.breach import resolve
from exporter.evaluation.compiled import compile_plan, narrowed
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Figure, Key
from exporter.evaluation.plan import Intervention, Period, Plan, Setting
from exporter.evaluation.stats import wilson
from exporter.insight.difference import Difference, Estimate, difference
from exporter.insight.sides import Chosen, Course, Side, added, course, least_variance, side, splits
from exporter.store import FrozenBaseline, Store
from exporter.store.status import SourceStatus

MONTH = timedelta(days=30)
STABILITY = frozenset(
    {
        "completion_ratio", "exception_ratio", "application_exception_ratio", "override_ratio", "retry_ratio",
        "run_rework_ratio", "workflow_recovery_seconds", "incidents", "mttr_seconds", "recurrence_ratio",
        "downtime_seconds", "change_failure_ratio", "escalation_ratio", "abandonment_ratio", "policy_violations",
        "policy_exceptions", "double_booking_ratio",
    }
)  # fmt: skip
"""Failures, exceptions and incidents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A KPI in two periods, in its unit; an amount is the total of 30 days (day 90: of 90).

    `before`: day 30: the 30 days before the go-live; day 60: the first 30 days; day 90: the fixed baseline. None where
    it has none, and `absent` says why: no_history, no_records, no_baseline (none is configured), or not_frozen (its
    period is not over, or its records are gone). `severity`: of day 30, the threshold that `after` is surely beyond.
    """

    kpi: str
    split: Key
    before: Side | None
    after: Side | None
    change: Difference | None = None
    severity: Severity | None = None
    absent: str | None = None

    def verdict(self, kpi: Kpi) -> str:
        """better, worse, changed (of a KPI that has no better), no_change (not beyond chance), or unknown."""
        beyond = self.change.beyond_chance if self.change else None
        if self.change is None or beyond is None:
            return "unknown"
        if not beyond:
            return "no_change"
        if kpi.better == "none":
            return "changed"
        return "better" if (self.change.value > 0) == (kpi.better == "higher") else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One review. `day`: 30, 60 or 90. `about`: stability, trends or business impact. `due_at`: the midnight from which
    it can be made; before that it is not `due` and has no lines.
    """

    day: int
    about: str
    due_at: datetime
    due: bool
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What went live, when and where, with its three stages."""

    go_live: Intervention
    stages: tuple[Stage, Stage, Stage]


def reviews(
    connection: Connection, store: Store, plan: Plan, at: datetime, sources: Sequence[SourceStatus]
) -> list[Review]:
    """The reviews of every go-live, the oldest first; also of one that is still to come, with nothing due."""
    frozen = store.frozen_baselines()
    return [
        Review(go_live=each, stages=_Reviewer(connection, plan, at, sources, frozen, each).stages())
        for each in plan.interventions
        if each.go_live
    ]


@dataclass(frozen=True)
class _Reviewer:
    connection: Connection
    plan: Plan
    at: datetime
    sources: Sequence[SourceStatus]
    frozen: Mapping[str, FrozenBaseline]
    go_live: Intervention

    def stages(self) -> tuple[Stage, Stage, Stage]:
        began = self.go_live.at

        def due(day: int, about: str) -> Stage:
            at = began + timedelta(days=day)
            return Stage(day=day, about=about, due_at=at, due=at <= self.at)

        thirty, sixty, ninety = due(30, "stability"), due(60, "trends"), due(90, "business impact")
        if thirty.due:
            thirty = replace(thirty, lines=tuple(self._lines(began - MONTH, began, STABILITY, judged=True)))
        if sixty.due:
            names = {s.kpi.name for s in self.plan.settings if s.tier in ("headline", "driver")}
            sixty = replace(sixty, lines=tuple(self._lines(began, began + MONTH, names)))
        if ninety.due:
            ninety = replace(ninety, lines=tuple(self._impact(Period(begins_at=began, ends_at=began + 3 * MONTH))))
        return thirty, sixty, ninety

    def _mine(self, names: Collection[str]) -> list[str]:
        """Those of some KPIs that are chosen, have windows, and are told apart by what went live."""
        by_name = compile_plan(self.plan).by_name
        return [
            s.kpi.name
            for s in self.plan.settings
            if s.chosen and s.kpi.name in names and s.kpi.windowed
            if {*self.go_live.where} <= {*by_name[s.kpi.name].labels}
        ]

    @property
    def _chosen(self) -> Chosen:
        wanted = {*self.go_live.where.items()}
        return lambda segment: wanted <= {*segment}

    def _lines(
        self, first: datetime, then: datetime, names: Collection[str], *, judged: bool = False
    ) -> Iterator[Line]:
        """Two months after each other."""
        mine = self._mine(names)
        # Without anything before, nothing is judged by its days.
        reached = {name for name in mine if reach(self.plan, name, self.sources) <= first}
        earlier, later = (
            course(
                self.connection, self.plan, names, Period(begins_at=begin, ends_at=begin + MONTH), self.sources, reached
            )
            for begin, names in ((first, [name for name in mine if name in reached]), (then, mine))
        )
        for name in mine:
            setting = compile_plan(self.plan).settings[name]
            reaches = name in reached
            for split in sorted({*splits(earlier.whole, setting), *splits(later.whole, setting)}):
                before = self._side(earlier, name, split) if reaches else None
                after = self._side(later, name, split)
                absent = None if before and after else "no_records" if reaches else "no_history"
                severity = self._severity(setting, later, split) if judged else None
                yield Line(
                    kpi=name, split=split, before=before, after=after, change=changed(before, after),
                    severity=severity, absent=absent,
                )  # fmt: skip

    def _side(self, of: Course, name: str, split: Key) -> Side | None:
        return side(of, self.plan, name, split, self._chosen, {*self.go_live.where})

    def _severity(self, setting: Setting, of: Course, split: Key) -> Severity | None:
        """The worse of the thresholds that a value is surely beyond."""
        kpi, settings = setting.kpi, compile_plan(self.plan).settings
        figure = added(of.whole.figures, settings, kpi.name, split, self._chosen, {*self.go_live.where})
        sure = None if figure is None else value_of(figure)
        if figure is None or sure is None:
            return None
        if kpi.kind == "ratio" and figure.denominator:
            lower, upper = wilson(figure.numerator, figure.denominator)
            sure = lower if kpi.better == "lower" else upper
        elif figure.denominator is None:
            return None  # a threshold of an amount is that of its window, not of 30 days
        levels = resolve(setting, (*self.go_live.where.items(), *split))
        sign = 1.0 if kpi.better == "lower" else -1.0
        beyond = {severity for severity, level in levels.items() if sign * (sure - level) > 0}
        return "critical" if "critical" in beyond else "warning" if "warning" in beyond else None

    def _impact(self, period: Period) -> Iterator[Line]:
        """Three months beside the fixed baseline, scaled to three months."""
        headlines = {s.kpi.name for s in self.plan.settings if s.tier == "headline" or s.kpi.group == "money"}
        mine = self._mine(headlines)
        settings = compile_plan(self.plan).settings
        fixed_of = {name: self._fixed(settings[name], period) for name in mine}
        # A fixed baseline says how it varies of a ratio only, so only that is judged.
        judged = {name for name, (_, why) in fixed_of.items() if not why and settings[name].kpi.kind == "ratio"}
        now = course(self.connection, self.plan, mine, period, self.sources, judged)
        for name, (fixed, why) in fixed_of.items():
            setting = settings[name]
            for split in splits(now.whole, setting):
                after = self._side(now, name, split)
                before = self._frozen_side(fixed, setting, split)
                absent = why or (None if before and after else "no_records")
                yield Line(
                    kpi=name, split=split, before=before, after=after, change=changed(before, after), absent=absent
                )

    def _fixed(self, setting: Setting, period: Period) -> tuple[list[Figure], str | None]:
        """The figures of a fixed baseline, scaled to a period, and why there are none."""
        name, chosen = setting.kpi.name, setting.baselines.fixed
        if chosen is None:
            return [], "no_baseline"
        old = self.frozen.get(name)
        if old is None or old.fingerprint != fingerprint(self.plan, setting, chosen):
            return [], "not_frozen"
        mine = replace(narrowed(self.plan, {name}), windows=[("period", length(period))])
        return [*scaled(thawed(old), setting, mine, length(chosen))], None

    def _frozen_side(self, figures: Sequence[Figure], setting: Setting, split: Key) -> Side | None:
        kpi, settings = setting.kpi, compile_plan(self.plan).settings
        figure = added(figures, settings, kpi.name, split, self._chosen, {*self.go_live.where})
        value = None if figure is None else value_of(figure)
        if figure is None or value is None:
            return None
        # Its days are not kept: of a ratio its records say how it varies, of anything else nothing does.
        variance = least_variance(kpi, figure) if kpi.kind == "ratio" else 0.0
        return Side(value=value, n=figure.denominator, days=0, estimate=Estimate(value, variance or None))


def changed(before: Side | None, after: Side | None) -> Difference | None:
    """The difference of two periods, if there are both."""
    return None if before is None or after is None else difference(before.estimate, after.estimate)
