"""The present values for people and programs: a row per KPI and window, segments added up, with n and freshness."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from exporter.base.clock import NEVER
from exporter.baselines.compare import Total, reduced, totals
from exporter.catalogue.kpi import Kpi, non_additive
from exporter.evaluation import loss
from exporter.evaluation.add import merge, value_of
from exporter.evaluation.breach import least, levels_of, resolve, target
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.coverage import filled, summed
from exporter.evaluation.figure import Evaluation, Figure, Key, Lost, summable
from exporter.evaluation.plan import Plan, Setting
from exporter.evaluation.readiness import fed_records
from exporter.evaluation.stats import wilson
from exporter.explain.breaches import records_of, window_of
from exporter.explain.roles import roles
from exporter.publish.families import unit
from exporter.store.status import SourceStatus

COMPARED = ("handled_by", "kind")
"""Labels whose values are there to be compared: their sum says less."""


def splits(kpi: Kpi) -> tuple[str, ...]:
    """The labels that the rows of a KPI are told apart by."""
    return (*non_additive(kpi), *COMPARED)


def narrowed_to(evaluation: Evaluation, plan: Plan, segment: Key = ()) -> Evaluation:
    """The values that alerts look at, each in one window, of one segment."""
    windows = {setting.kpi.name: window_of(setting, plan) for setting in plan.settings}
    wanted = frozenset(segment)

    def mine(figures: Sequence[Figure]) -> tuple[Figure, ...]:
        return tuple(f for f in figures if f.window in (windows.get(f.kpi), None) and wanted <= {*f.segment})

    days = {kind: tuple(map(mine, days)) for kind, days in evaluation.baselines.days.items()}
    waits = {name: "initial_sync" for name, late in evaluation.waiting.items() if windows.get(name) in late}
    return replace(
        evaluation,
        figures=mine(evaluation.figures),
        baselines=replace(evaluation.baselines, days=days),
        absent={**waits, **evaluation.absent},
    )


def rows(
    evaluation: Evaluation,
    plan: Plan,
    sources: Sequence[SourceStatus],
    *,
    splits: Callable[[Kpi], tuple[str, ...]] = splits,
    segment: Key = (),
) -> list[dict[str, Any]]:
    """A row for each KPI, window and split; a KPI without a value has one row that says why.

    `splits`: the labels that the rows of a KPI are told apart by. `segment`: what the evaluation was narrowed to.
    """
    grouped: dict[str, list[Figure]] = {}
    for figure in summable(evaluation.figures):
        grouped.setdefault(figure.kpi, []).append(figure)
    compared: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    compiled = compile_plan(plan)
    settings, windows = compiled.settings, compiled.windows
    for each in totals(evaluation.figures, evaluation.baselines, settings, splits):
        key = each.now.kpi, each.now.window, each.now.segment
        compared.setdefault(key, []).append(beside(each))
    listed: list[dict[str, Any]] = []
    shares = summed(evaluation.coverage)
    order = [*windows, None]
    for setting in plan.settings:
        common = _common(setting, plan, evaluation.at, sources)
        lost = evaluation.lost.get(setting.kpi.name, Lost())
        common["waiting"] = [name for name in order if name in evaluation.waiting.get(setting.kpi.name, ())]
        common["unreadable"] = loss.withdrawn(lost, windows, windowed=setting.kpi.windowed)
        common |= {
            "min_coverage": setting.min_coverage,
            "coverage": filled(compiled.by_name[setting.kpi.name], windows, shares),
        }
        if setting.kpi.name in evaluation.absent:
            listed.append(common | {"absent": evaluation.absent[setting.kpi.name]})
        whole = (reduced(figure, splits(setting.kpi)) for figure in grouped.get(setting.kpi.name, ()))
        for total in sorted(merge(whole, settings), key=lambda figure: (order.index(figure.window), figure.segment)):
            split = dict(total.segment)
            shown: dict[str, Any] = {"window": total.window, "split": split}
            shown["threshold"] = _threshold(setting, split, segment)
            shown["target"] = target(setting, (*segment, *total.segment))
            of_all = {"baselines": compared.get((total.kpi, total.window, total.segment), [])}
            listed.append(common | shown | valued(setting.kpi, total) | behind(setting.kpi, plan, total) | of_all)
    return listed


def beside(total: Total) -> dict[str, Any]:
    """A baseline beside the present value over the same segments, with n of both, ready for JSON."""
    now, then = value_of(total.now), total.then.value
    return {
        "baseline": total.then.kind,
        "value": then,
        "n": total.then.denominator,
        "now": now,
        "n_now": total.now.denominator,
        "difference": None if now is None or then is None else now - then,
    }


def _common(setting: Setting, plan: Plan, at: datetime, sources: Sequence[SourceStatus]) -> dict[str, Any]:
    kpi = setting.kpi
    concerned = [each.last_success for each in sources if each.records & kpi.fed_by]
    known = [moment for moment in concerned if moment]
    files = {each.source: each.unread.files for each in sources if each.records & kpi.fed_by}
    return {
        "kpi": kpi.name,
        "title": kpi.title,
        "unit": kpi.unit or unit(kpi),
        "person_day_seconds": plan.person_day_seconds if kpi.working_time else None,
        "better": kpi.better,
        "lacks": sorted({*kpi.needs} - fed_records(sources)),
        "instead": list(kpi.alternative_records),
        **roles(setting),
        "threshold": _threshold(setting, {}),
        "target": setting.target,
        "at": at.isoformat(),
        "partial": {source: count for source, count in files.items() if count},  # files that cannot be read
        # As fresh as the source that answered longest ago.
        "fresh_at": min(known).isoformat() if known and len(known) == len(concerned) else None,
    }


def _threshold(setting: Setting, split: Mapping[str, str], segment: Key = ()) -> dict[str, float | None]:
    judged = split.get("basis", setting.basis) == setting.basis
    levels = levels_of(setting.threshold)
    if segment:
        levels = dict.fromkeys(levels) | resolve(setting, (*segment, *split.items()))
    return {severity: level if judged else None for severity, level in levels.items()}


def behind(kpi: Kpi, plan: Plan, figure: Figure) -> dict[str, Any]:
    """`records`: how many are behind a value, None where n does not count them. `few`: too few for an alert."""
    enough = least(kpi, plan.kpis)
    few = enough is not None and (figure.denominator or 0.0) < enough
    return {"records": records_of(kpi, plan.kpis, figure.denominator), "few": few}


def valued(kpi: Kpi, figure: Figure) -> dict[str, Any]:
    """The value of a figure, with n and, for a ratio, its interval."""
    n, d = figure.numerator, figure.denominator
    if d is None:
        return {"value": value_of(figure)}
    lower, upper = wilson(n, d) if kpi.kind == "ratio" and d else (None, None)
    numbers = {"value": value_of(figure), "numerator": n, "n": d, "lower": lower, "upper": upper}
    return numbers | ({"median": figure.median} if figure.values else {})


def standing(status: SourceStatus) -> str:
    """The status of a source in words."""
    if not status.complete:
        since = f"{status.whole_since:%Y-%m-%d %H:%M} UTC"
        so_far = f"; everything since {since} has been read, and shorter windows have values"
        return "first sync in progress" + (so_far if status.whole_since < NEVER else "")
    state = "stale" if status.stale else "fresh"
    if status.rereading:
        state += "; its items are being read again, because a release corrected their mapping"
    left_out = status.unread.describe(status.noun)
    return f"{state}; {left_out}" if left_out else state


def lacking(status: SourceStatus) -> str:
    """The labels that the config fills and records lack, with the share of records; empty where none lacks any."""
    lost = [each for each in status.unmapped if each.unmapped]
    return ", ".join(
        f"{each.column} in {each.share:.1%} of {each.records:,} {each.record.replace('_', ' ')} records"
        for each in sorted(lost, key=lambda each: -each.share)
    )
