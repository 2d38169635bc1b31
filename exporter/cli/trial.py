"""What would come of the records that `check --live` has read: they are evaluated in a store that is thrown away."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from exporter.base.clock import BEGINNING
from exporter.cli.preflight import Probe
from exporter.cli.steps import Step
from exporter.collect import mapping
from exporter.config import Config
from exporter.evaluation.checks import called
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.coverage import share, summed
from exporter.evaluation.figure import Evaluation
from exporter.explain.summary import lacking, rows
from exporter.explain.wording import WHY
from exporter.records.unreadable import counted
from exporter.runtime import evaluated, statuses
from exporter.store import Store
from exporter.store.left_out import Noted
from exporter.store.status import SourceStatus

LATER = {
    "initial_sync": "a source could not be read, see above",
    "unreadable": "more records of a source are refused than may be lost, see above",
}
"""Why nothing can be said yet of KPIs, whichever these are."""


def trial(config: Config, probes: Sequence[Probe], at: datetime) -> tuple[datetime, Mapping[str, Step], list[Step]]:
    """The time evaluated at; source -> labels that its records lack; fields and KPIs of all sources.

    If all records are older than the longest window, they are evaluated at the newest of their times.
    """
    newest = max((each.newest for each in probes if each.newest), default=at)
    longest = timedelta(seconds=config.plan.windows[-1][1])
    moment = at if at - newest < longest else newest
    with TemporaryDirectory() as folder, Store.open(Path(folder) / "check.duckdb") as store:
        for source, probe in zip(config.sources, probes, strict=True):
            store.begin(source.name, source.fingerprint, at, revision=source.revision)
            noted = [Noted(each, mapping.team(each, source.mapping)) for each in probe.left_out]
            store.note(source.name, noted, (), at, first=True)
            store.write(source.name, probe.kept, {}, at=at)
            if not probe.fault:
                store.succeeded(source.name, at, BEGINNING)
        sources = statuses(config, store, moment)
        evaluation = evaluated(config, store, moment, sources)
        kpis = rows(evaluation, config.plan, sources)
    read = {record for probe in probes for record in probe.records}
    labels = {each.source: Step("note", "labels", f"missing: {text}") for each in sources if (text := lacking(each))}
    return moment, labels, [*_fields(config, evaluation), *_kpis(config, sources, kpis, read)]


def _fields(config: Config, evaluation: Evaluation) -> Iterator[Step]:
    """How often each field is filled that a KPI needs."""
    compiled, shares = compile_plan(config.plan), summed(evaluation.coverage)
    needed = {(each.record, each.name): each for measure in compiled.by_name.values() for each in measure.needed}
    filled: dict[str, list[tuple[float, str]]] = {}
    for (record, name), field in needed.items():
        have, should = share(shares, called(field), compiled.windows, compiled.windows[-1])
        if should:
            filled.setdefault(record, []).append((-have / should, name))
    for record, fields in filled.items():
        texts = ", ".join(f"{name} {-share:.0%}" for share, name in sorted(fields))
        yield Step("ok", "needed", f"fields that KPIs need, and the share of {record} records that have them: {texts}")


def _kpis(
    config: Config, sources: Sequence[SourceStatus], kpis: Sequence[Mapping[str, Any]], read: Collection[str]
) -> Iterator[Step]:
    """Which KPIs have a value, and which do not, by the reason."""
    chosen = {setting.kpi.name for setting in config.plan.settings if setting.chosen}
    kpis = [row for row in kpis if row["kpi"] in chosen]
    valued = {row["kpi"]: None for row in kpis if row.get("value") is not None}
    yield Step(
        "ok" if valued else "note",
        "appear",
        f"{len(valued)} of {len(chosen)} KPIs: {', '.join(valued) or 'none'}",
    )
    others = {row["kpi"]: row for row in kpis if row["kpi"] not in valued}
    few, reasons = dict[str, list[str]](), dict[str, list[str]]()
    for name, row in others.items():
        missing = rare(row) if row.get("absent", "field_missing") == "field_missing" else []
        if missing:
            few.setdefault(f"{', '.join(missing)} ({row['min_coverage']:.0%} needed)", []).append(name)
        else:
            reasons.setdefault(row.get("absent", "no_records"), []).append(name)
    if few:
        text = "KPIs that need fields which are filled too rarely; fill them under fields: of the source"
        yield Step("note", "fields", text, [f"{fields}: {', '.join(names)}" for fields, names in few.items()])
    needs = {setting.kpi.name: {*setting.kpi.needs} for setting in config.plan.settings}
    fed = {record for each in sources for record in each.records}
    for reason, names in sorted(reasons.items(), key=lambda pair: pair[0] == "no_source"):
        empty = [name for name in names if reason == "no_records" and needs[name].isdisjoint(read)]
        if reason == "no_source":
            records = set[str]().union(*(needs[name] for name in names)) - fed
            text = f"{needing(names)} records that no source brings: {', '.join(sorted(records))}"
            yield Step("note", "no source", text)
        elif reason in LATER:
            yield Step("note", "without", f"{counted(len(names), 'KPI')}: {LATER[reason]}")
        elif rest := [name for name in names if name not in empty]:
            yield Step("note", "without", f"{WHY.get(reason, reason)}: {', '.join(rest)}")
        if empty:
            records = set[str]().union(*(needs[name] for name in empty))
            text = f"{needing(empty)} records of which none was read here: {', '.join(sorted(records))}"
            yield Step("note", "without", text)


def needing(names: Sequence[str]) -> str:
    return f"{counted(len(names), 'KPI')} need{'s' if len(names) == 1 else ''}"


def rare(row: Mapping[str, Any]) -> list[str]:
    """The fields of a KPI that are filled too rarely in every window, with the share of records that have them."""
    return [
        f"{name} {max(ratios.values()):.0%}"
        for name, ratios in row["coverage"].items()
        if ratios and max(ratios.values()) < row["min_coverage"]
    ]
