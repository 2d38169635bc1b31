"""The fixed baseline: the values of a period before the rollout, computed once and kept in the store for good."""

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

from exporter.base.clock import BEGINNING
from exporter.baselines.compare import scaled
from exporter.catalogue.facts import facts
from exporter.catalogue.kpi import labels_of
from exporter.evaluation.compiled import compile_plan, narrowed
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Figure
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Period, Plan, Setting
from exporter.evaluation.readiness import unfits, with_configured
from exporter.store import FrozenBaseline, Store
from exporter.store.status import SourceStatus

log = logging.getLogger(__name__)

Reasons = defaultdict[tuple[str, str], set[str]]
"""(kpi, baseline) -> why it is missing."""

SETTLED = timedelta(days=1)
"""How long after its end a period is waited for: events come in late, and a frozen figure stays as it is."""
INSTANT = timedelta(microseconds=1)
"""The shortest time: a period ends just before the day after its last."""
DEFINING = (
    *("facts", "kind", "placed_by", "numerator_placed_by", "numerator", "minus", "denominator", "value", "weight"),
    *("where", "per", "aggregate", "labels", "missing_labels", "numerator_labels", "drop", "only_matched_segments"),
    *("business", "on_hold"),
)
"""The fields of a KPI that define its value: where one of them changes, a frozen baseline no longer fits."""


class Fixed:
    """Computes the fixed baselines; remembers what it has logged, so that each message appears once."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()

    def figures(
        self,
        connection: Connection,
        store: Store,
        plan: Plan,
        at: datetime,
        sources: Sequence[SourceStatus],
        reasons: Reasons,
    ) -> Iterator[Figure]:
        """The figures of each KPI's period, scaled to each window. What can be computed now is frozen first."""
        frozen = store.frozen_baselines()
        due: dict[Period, list[Setting]] = {}
        for setting, period in periods(plan):
            name, old = setting.kpi.name, frozen.pop(setting.kpi.name, None)
            if at < period.ends_at + SETTLED:
                reasons[name, "fixed"].add("period_not_over")
            elif old and old.fingerprint == fingerprint(plan, setting, period):
                frozen[name] = old
            elif why := obstacle(plan, setting, period, sources):
                changed = old is not None and why == "no_history"
                reasons[name, "fixed"].add("definition_changed" if changed else why)
                if changed:
                    self._say(name, period, "is withdrawn, because its definition changed and its records are gone")
            else:
                due.setdefault(period, []).append(setting)
                if old:
                    self._say(name, period, "is computed again, because its definition changed")
        for period, settings in due.items():
            computed_now = computed(connection, plan, period, settings, sources, at, reasons)
            # A clock that is ahead says too early that a period is over: records from after its end say it, too.
            if (reached := store.reached(at)) and reached >= period.ends_at:
                store.freeze(computed_now)
            frozen |= {each.kpi: each for each in computed_now}
        for setting, period in periods(plan):
            if setting.kpi.name in frozen:
                mine = narrowed(plan, {setting.kpi.name})
                yield from scaled(thawed(frozen[setting.kpi.name]), setting, mine, length(period))

    def _say(self, name: str, period: Period, what: str) -> None:
        text = f"from {period.begins_at:%Y-%m-%d} until {period.ends_at:%Y-%m-%d} {what}"
        if (name, text) not in self._said:
            self._said.add((name, text))
            log.warning("the fixed baseline of %s %s", name, text)


def periods(plan: Plan) -> list[tuple[Setting, Period]]:
    """The KPIs that have a fixed baseline, with its period."""
    return [(setting, setting.baselines.fixed) for setting in plan.settings if setting.baselines.fixed]


def length(period: Period) -> int:
    """In seconds."""
    return int((period.ends_at - period.begins_at).total_seconds())


def obstacle(plan: Plan, setting: Setting, period: Period, sources: Sequence[SourceStatus]) -> str | None:
    """Why a period cannot be computed now: a source is incomplete, stale, or does not reach back that far."""
    name = setting.kpi.name
    records = compile_plan(plan).by_name[name].records
    if not all(source.complete for source in sources if source.records & records):
        return "initial_sync"  # it is kept for good
    why = unfits(narrowed(plan, {name}), period.ends_at, with_configured(plan, sources)).get(name)
    return why or ("no_history" if reach(plan, name, sources) > period.begins_at else None)


def reach(plan: Plan, name: str, sources: Sequence[SourceStatus]) -> datetime:
    """The time from which all records behind a KPI are complete."""
    records = compile_plan(plan).by_name[name].records
    limits = ((source.whole_since, source.records if source.begun is None else source.begun) for source in sources)
    return max((since for since, begun in limits if begun & records), default=BEGINNING)


def computed(
    connection: Connection,
    plan: Plan,
    period: Period,
    settings: Sequence[Setting],
    sources: Sequence[SourceStatus],
    at: datetime,
    reasons: Reasons,
) -> list[FrozenBaseline]:
    """The figures of KPIs in a period, ready to be frozen; for a derived KPI, those of its parts."""
    names = {setting.kpi.name for setting in settings}
    whole = replace(narrowed(plan, names), windows=[("period", length(period))], medians=False)
    evaluation = evaluate(connection, whole, period.ends_at - INSTANT, sources)
    baselines = []
    for setting in settings:
        name = setting.kpi.name
        if name in evaluation.absent:
            reasons[name, "fixed"].add(evaluation.absent[name])
            continue
        of = {s.kpi.name for s in narrowed(plan, {name}).settings if s.kpi.kind != "derived"}
        parts = tuple(
            (f.kpi, f.window is not None, f.segment, f.numerator, f.denominator)
            for f in evaluation.figures
            if f.kpi in of
        )
        baselines.append(
            FrozenBaseline(name, fingerprint(plan, setting, period), period.begins_at, period.ends_at, at, parts)
        )
    return baselines


def thawed(frozen: FrozenBaseline) -> list[Figure]:
    """A frozen baseline as figures of its period."""
    return [Figure(kpi, "period" if windowed else None, segment, n, d) for kpi, windowed, segment, n, d in frozen.parts]


def fingerprint(plan: Plan, setting: Setting, period: Period) -> str:
    """A hash that changes with the definition of a baseline: its period, and the KPI with everything it builds on.

    What is configured of workflows, services, teams and costs is no definition, but what was known at that time.
    """
    built_on = [definition(plan, each) for each in narrowed(plan, {setting.kpi.name}).settings]
    defining = [period.begins_at.isoformat(), period.ends_at.isoformat(), built_on]
    return hashlib.sha256(json.dumps(defining, sort_keys=True).encode()).hexdigest()


def definition(plan: Plan, setting: Setting) -> list[object]:
    """A KPI as it is configured: its declaration, parameters, labels, and the SQL of its facts."""
    kpi = setting.kpi
    declared = kpi.model_dump(mode="json", include={*DEFINING}, exclude_defaults=True, by_alias=True)
    if kpi.kind == "derived":
        return [kpi.name, declared]
    built_on = facts_below(kpi.facts)
    texts = [" ".join(facts(name).sql.split()) for name in built_on]
    general = {param.name for name in built_on for param in facts(name).params if param.scope == "general"}
    limit = plan.run_timeout if "run_timeout" in general else None
    defining: list[object] = [kpi.name, declared, dict(setting.params), list(labels_of(kpi, plan.labels)), texts, limit]
    if "shared_cost" in general:
        defining.append(plan.shared_cost)
    return [*defining, hours(plan)] if kpi.business and plan.calendars else defining


def hours(plan: Plan) -> list[str]:
    """The calendars, and who has which."""
    teams = {f"team {name}": each.calendar for name, each in plan.teams.items() if each.calendar}
    sources = {f"source {name}": each.calendar for name, each in plan.sources.items() if each.calendar}
    return [f"{name}: {each!r}" for name, each in sorted({**plan.calendars, **teams, **sources}.items())]


@cache
def facts_below(name: str) -> tuple[str, ...]:
    """Facts, and those on whose rows they build."""
    below = sorted(each.removesuffix("_facts") for each in facts(name).reads if each.endswith("_facts"))
    return (name, *(each for base in below for each in facts_below(base)))
