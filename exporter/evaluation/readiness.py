"""Which KPIs can be published, and in which of their windows: what feeds them must be there, complete and fresh."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from exporter.catalogue.facts import facts
from exporter.catalogue.kpi import Kpi
from exporter.evaluation.compiled import Measure, compile_plan
from exporter.evaluation.plan import Plan
from exporter.store.status import SourceStatus

Windows = frozenset[str | None]
"""Names of windows; None: of what has none, and is of now."""


def with_configured(plan: Plan, sources: Sequence[SourceStatus]) -> Sequence[SourceStatus]:
    """The sources, and the config itself if it has costs, under a name that no source has."""
    return [*sources, SourceStatus(source="", records=frozenset({"cost"}))] if plan.costs else sources


def unfits(plan: Plan, at: datetime, sources: Sequence[SourceStatus]) -> dict[str, str]:
    """KPI -> reason, of the KPIs that cannot be published. A derived KPI needs all its parts."""
    by_name = compile_plan(plan).by_name
    waits = waiting(plan, at, sources)
    windows = {name for name, _ in plan.windows}
    never = {name for name, of in waits.items() if None in of or windows <= of}
    reasons = {name: unfit(measure.kpi, sources, waits=name in never) for name, measure in by_name.items()}
    for name, measure in by_name.items():
        # What is known of teams cannot be matched with what nobody tells apart by team.
        if measure.kpi.only_matched_segments and "team" not in plan.labels.get(measure.kpi.record, ()):
            reasons[name] = reasons[name] or "no_team_label"
    for name, measure in by_name.items():
        of_parts = (reasons.get(part.reference.kpi, "switched_off") for part in measure.parts)
        reasons[name] = reasons[name] or next(filter(None, of_parts), None)
    return {name: reason for name, reason in reasons.items() if reason}


def unfit(kpi: Kpi, sources: Sequence[SourceStatus], *, waits: bool) -> str | None:
    """Why a KPI cannot be published; None if it can. `waits`: for the first sync of a source."""
    records = fed_records(sources)
    if not records.issuperset(kpi.needs) and records.isdisjoint(kpi.alternative_records):
        return "no_source"
    if waits:
        return "initial_sync"
    return "stale_source" if any(source.stale for source in sources if source.records & kpi.fed_by) else None


def fed_records(sources: Iterable[SourceStatus]) -> set[str]:
    """The record types that any source brings."""
    return {record for source in sources for record in source.records}


def waiting(plan: Plan, at: datetime, sources: Sequence[SourceStatus]) -> Mapping[str, Windows]:
    """KPI -> the windows that end at `at` and of which the first sync of a source has not brought all yet."""
    syncing = [source for source in sources if not source.complete]
    if not syncing:
        return {}
    compiled = compile_plan(plan)
    whole: dict[str, Windows] = {}
    for name, bases in compiled.bases.items():
        since = [source.whole_since for source in syncing if source.records & bases[0].kpi.fed_by]
        if since:
            whole[name] = late(bases, plan, at, max(since))
    found = {
        name: frozenset[str | None]().union(*(whole.get(part, frozenset()) for part in measure.names))
        for name, measure in compiled.by_name.items()
    }
    return {name: windows for name, windows in found.items() if windows}


def late(bases: Sequence[Measure], plan: Plan, at: datetime, since: datetime) -> Windows:
    """The windows of a KPI that begin before all records are whole, or that need more than the records in them."""
    if not bases[0].kpi.windowed:
        return frozenset({None})
    if any(looks_back(each) for each in bases):
        return frozenset(name for name, _ in plan.windows)
    return frozenset(name for name, seconds in plan.windows if at - timedelta(seconds=seconds) < since)


def looks_back(measure: Measure) -> bool:
    """Whether a KPI needs records from before its windows: its facts say of which columns that is so."""
    kpi, columns = measure.kpi, facts(measure.kpi.facts).main.looks_back
    if columns is None or kpi.numerator_placed_by:  # then its denominator is as of now
        return True
    used: Collection[str | None] = (*measure.columns, *measure.labels, *kpi.numerator_labels, kpi.placed_by)
    return not columns.isdisjoint(used)
