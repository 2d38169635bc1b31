"""Compiles a plan, once per config: every KPI becomes `Measure`s, which the steps of evaluation only read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from exporter.catalogue.expression import columns_of
from exporter.catalogue.kpi import Kpi, Needed, Reference, labels_of, reference, value_labels
from exporter.catalogue.sql import Formula, formula, measures
from exporter.evaluation.business_time import column as business_column
from exporter.evaluation.business_time import on_each_basis
from exporter.evaluation.checks import called, coverage, fields_of, unattributed
from exporter.evaluation.figure import Key
from exporter.evaluation.plan import Plan, Setting


@dataclass(frozen=True, eq=False, kw_only=True)
class PartOf:
    """A part of a derived KPI: the numerators or the denominators of another KPI."""

    reference: Reference
    measure: "Measure | None"  # None where that KPI is switched off


@dataclass(frozen=True, eq=False, kw_only=True)
class Measure:
    """A KPI as it is counted or derived: of a duration, on one basis.

    `labels`: those of its segments. `fixed`: label pairs that all its figures carry. `formula`, `aggregates`: the SQL,
    where it is counted. `numerator`, `minus`, `denominator`: its parts, where it is derived. `seconds`: the lengths of
    windows.
    """

    setting: Setting
    kpi: Kpi
    labels: tuple[str, ...]
    fixed: Key = ()
    formula: Formula | None = None
    aggregates: tuple[str, ...] = ()
    numerator: PartOf | None = None
    minus: PartOf | None = None
    denominator: PartOf | None = None
    seconds: Mapping[str, int] = field(default_factory=dict)

    @property
    def numerator_windowed(self) -> bool:
        """Whether the numerator covers windows; False where it is of now and the denominator covers them."""
        return _windowed(self.below[0]) or not _windowed(self.below[-1])

    def divisor(self, window: str | None) -> float:
        """What its denominators are divided by: the 100 of `per: 100`, the seconds of the window of `per: second`."""
        per = self.kpi.per
        return float(self.seconds.get(window or "", 1)) if per == "second" else float(per or 1)

    @property
    def name(self) -> str:
        """The name of its KPI."""
        return self.kpi.name

    @property
    def key(self) -> tuple[str, Key]:
        """Identifies it; a KPI may be counted on several bases at once."""
        return self.kpi.name, self.fixed

    @property
    def basis(self) -> str | None:
        """What a duration is measured in."""
        return dict(self.fixed).get("basis")

    @property
    def parts(self) -> tuple[PartOf, ...]:
        """What it is made of, if it is derived."""
        return tuple(part for part in (self.numerator, self.minus, self.denominator) if part)

    @property
    def below(self) -> tuple["Measure", ...]:
        """The measures of its parts that are not switched off."""
        return tuple(part.measure for part in self.parts if part.measure)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of its KPI and of all its parts, at any depth."""
        return frozenset({self.name}).union(*(each.names for each in self.below))

    @cached_property
    def records(self) -> frozenset[str]:
        """Every record that it and its parts are made from."""
        return self.kpi.fed_by.union(*(each.records for each in self.below))

    @cached_property
    def needed(self) -> tuple[Needed, ...]:
        """The fields without which it would be wrong; a derived KPI also needs those of its parts."""
        of_parts = (field for each in self.below for field in each.needed)
        return tuple(dict.fromkeys((*self.kpi.fields, *of_parts)))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of its facts that conditions and amounts look at."""
        if not self.formula:
            return ()
        kpi, params = self.kpi, self.setting.params
        texts = (kpi.numerator, kpi.denominator, kpi.value, kpi.weight, kpi.where)
        found = (column for text in texts if text for column in columns_of(text.format_map(params)))
        # Business time is between two others.
        ends = {business_column(kpi.business): kpi.business} if kpi.business else {}
        return tuple(dict.fromkeys(each for column in found for each in ends.get(column, (column,))))


def _windowed(measure: Measure) -> bool:
    return _windowed(measure.below[0]) if measure.below else measure.kpi.windowed


@dataclass(frozen=True, eq=False, kw_only=True)
class CoverageCheck:
    """A ratio that shows how far KPIs can be trusted; it is counted if any of them is."""

    measure: Measure
    kpis: frozenset[str]

    @property
    def about(self) -> Key:
        """The labels of what it is about."""
        return self.measure.fixed


@dataclass(frozen=True, eq=False, kw_only=True)
class CompiledPlan:
    """`settings`, `by_name`: every KPI by name, as configured and as measured; of a duration that of calendar time, for
    that goes into what is derived. `bases`: what is counted of a KPI, each duration once on each basis there is.
    """

    plan: Plan
    settings: Mapping[str, Setting]
    by_name: Mapping[str, Measure]
    bases: Mapping[str, tuple[Measure, ...]]
    coverage: Mapping[Needed, CoverageCheck]
    unattributed: Mapping[str, CoverageCheck]

    @property
    def windows(self) -> list[str]:
        """Their names, shortest first."""
        return [name for name, _ in self.plan.windows]

    @property
    def checks(self) -> tuple[CoverageCheck, ...]:
        """All that is counted beside KPIs."""
        return (*self.coverage.values(), *self.unattributed.values())


def compile_plan(plan: Plan) -> CompiledPlan:
    """The compiled plan. A plan never changes, so the result is cached with it and always the same."""
    compiled = vars(plan).setdefault(_KEPT, None) or _compiled(plan)
    vars(plan)[_KEPT] = compiled
    return compiled


_KEPT = "_compiled"


def _compiled(plan: Plan) -> CompiledPlan:
    settings = {setting.kpi.name: setting for setting in plan.settings}
    by_name: dict[str, Measure] = {}

    def part(text: str | None) -> PartOf | None:
        if not text:
            return None
        named = reference(text)
        return PartOf(reference=named, measure=measure(named.kpi) if named.kpi in settings else None)

    def measure(name: str) -> Measure:
        if name not in by_name:
            setting = settings[name]
            by_name[name] = derived(setting) if setting.kpi.kind == "derived" else bases[name][0]
        return by_name[name]

    def derived(setting: Setting) -> Measure:
        kpi = setting.kpi
        parts = [part(text) for text in (kpi.numerator, kpi.minus, kpi.denominator)]
        complete = all(each is None or each.measure for each in parts)
        labels = value_labels(kpi, plan.kpis, plan.labels) if complete else ()
        above, minus, below = parts
        return Measure(
            setting=setting,
            kpi=kpi,
            labels=labels,
            numerator=above,
            minus=minus,
            denominator=below,
            seconds=dict(plan.windows),
        )

    bases = {
        name: tuple(counted(setting, plan, *each) for each in on_each_basis(setting.kpi, bool(plan.calendars)))
        for name, setting in settings.items()
        if setting.kpi.kind != "derived"
    }
    measured = [(name, each.basis) for name, of in bases.items() for each in of if each.basis]
    fields = fields_of(plan.settings, measured)
    rules = {name: setting.kpi.unattributed for name, setting in settings.items() if setting.kpi.unattributed}
    return CompiledPlan(
        plan=plan,
        settings=settings,
        by_name={name: measure(name) for name in settings},
        bases=bases,
        coverage={
            field: CoverageCheck(measure=check(coverage(field), plan, called(field)), kpis=names)
            for field, names in fields.items()
        },
        unattributed={
            name: CoverageCheck(
                measure=check(unattributed(settings[name], rule), plan, (("kpi", name),)), kpis=frozenset({name})
            )
            for name, rule in rules.items()
        },
    )


def counted(setting: Setting, plan: Plan, kpi: Kpi, fixed: Key) -> Measure:
    """What is counted from facts."""
    made = formula(kpi, setting.params)
    return Measure(
        setting=setting,
        kpi=kpi,
        labels=labels_of(kpi, plan.labels),
        fixed=fixed,
        formula=made,
        aggregates=tuple(measures(kpi, setting.params, medians=plan.medians)),
    )


def check(setting: Setting, plan: Plan, about: Key) -> Measure:
    """What is counted beside KPIs."""
    return counted(setting, plan, setting.kpi, about)


def narrowed(plan: Plan, names: Collection[str]) -> Plan:
    """A plan with some of the KPIs only, and their parts."""
    by_name = compile_plan(plan).by_name
    wanted = frozenset[str]().union(*(by_name[name].names for name in names if name in by_name))
    others = [setting for setting in plan.settings if setting.kpi.name not in wanted]
    chosen = [setting for setting in plan.settings if setting.kpi.name in wanted]
    return replace(plan, settings=chosen, not_computed=[*plan.not_computed, *others])
