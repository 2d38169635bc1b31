"""What is known now, for people and programs: one row per KPI and window, segments added up, with n and freshness."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exporter.baseline import Total, totals
from exporter.figure import Evaluation, Figure
from exporter.kpi import Kpi
from exporter.merge import value_of
from exporter.plan import Plan, Setting
from exporter.poll import SourceFreshness
from exporter.series import told, unit
from exporter.stats import wilson
from exporter.trust import summed
from exporter.trust import told as told_of

SPLITS = ("currency", "handled_by", "kind", "basis")
"""Labels that figures are not added up over: two currencies or bases make no sum, and a mixture compares no people."""


@dataclass(frozen=True, slots=True)
class Fed:
    """A source beside the records it feeds."""

    freshness: SourceFreshness
    records: frozenset[str]


def rows(evaluation: Evaluation, plan: Plan, sources: Sequence[Fed]) -> list[dict[str, Any]]:
    """A row for each KPI, window and split; a KPI without figures has one row that says why."""
    grouped: dict[str, list[Figure]] = {}
    for figure in evaluation.figures:
        grouped.setdefault(figure.kpi, []).append(figure)
    compared: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    settings = {setting.kpi.name: setting for setting in plan.settings}
    for total in totals(evaluation.figures, evaluation.baselines, settings, SPLITS):
        key = total.now.kpi, total.now.window, total.now.segment
        compared.setdefault(key, []).append(beside(total, settings[total.now.kpi].kpi))
    found: list[dict[str, Any]] = []
    by_name, shares = {s.kpi.name: s for s in plan.settings}, summed(evaluation.coverage)
    windows = [name for name, _ in plan.windows]
    for setting in plan.settings:
        common = _common(setting, evaluation.at, sources)
        common |= {"min_coverage": setting.min_coverage, "coverage": told_of(setting, by_name, windows, shares)}
        if setting.kpi.name in evaluation.absent:
            found.append(common | {"absent": evaluation.absent[setting.kpi.name]})
        for (window, split), (n, d) in _totals(setting.kpi, grouped.get(setting.kpi.name, ())).items():
            shown = {"window": window, "split": dict(split), "threshold": _threshold(setting, dict(split))}
            of_all = {"baselines": compared.get((setting.kpi.name, window, split), [])}
            found.append(common | shown | valued(setting.kpi, n, d) | of_all)
    return found


def beside(total: Total, kpi: Kpi) -> dict[str, Any]:
    """A baseline beside the figure of now over the same segments, with n of both, ready for JSON."""
    now, then = value_of(total.now, kpi), total.then.value
    return {
        "baseline": total.then.kind,
        "value": then,
        "n": total.then.denominator,
        "now": now,
        "n_now": total.now.denominator,
        "difference": None if now is None or then is None else now - then,
    }


def _common(setting: Setting, at: datetime, sources: Iterable[Fed]) -> dict[str, Any]:
    kpi = setting.kpi
    concerned = [fed.freshness.last_success for fed in sources if fed.records & kpi.fed_by]
    known = [moment for moment in concerned if moment]
    return {
        "kpi": kpi.name,
        "title": kpi.title,
        "unit": kpi.unit or unit(kpi),
        "better": kpi.better,
        "owner": setting.owner,
        "threshold": _threshold(setting, {}),
        "at": at.isoformat(),
        # As fresh as the source that answered longest ago.
        "fresh_at": min(known).isoformat() if known and len(known) == len(concerned) else None,
    }


def _threshold(setting: Setting, split: Mapping[str, str]) -> dict[str, float | None]:
    judged = split.get("basis", setting.basis) == setting.basis
    return {severity: level if judged else None for severity, level in told(setting.threshold).items()}


def _totals(
    kpi: Kpi, figures: Iterable[Figure]
) -> dict[tuple[str | None, tuple[tuple[str, str], ...]], tuple[float, float | None]]:
    sums: dict[tuple[str | None, tuple[tuple[str, str], ...]], tuple[float, float | None]] = {}
    for figure in figures:
        key = figure.window, tuple(pair for pair in figure.segment if pair[0] in SPLITS)
        n, d = sums.get(key, (0.0, None))
        both = max(n, figure.numerator) if kpi.aggregate == "max" else n + figure.numerator
        sums[key] = both, d if figure.denominator is None else (d or 0.0) + figure.denominator
    return sums


def valued(kpi: Kpi, n: float, d: float | None) -> dict[str, Any]:
    """A numerator and denominator as a value, with n and, for a ratio, its interval."""
    if d is None:
        return {"value": n}
    lower, upper = wilson(n, d) if kpi.kind == "ratio" and d else (None, None)
    return {"value": n / d if d else None, "numerator": n, "n": d, "lower": lower, "upper": upper}


def standing(freshness: SourceFreshness, at: datetime) -> str:
    """How a source stands, in words."""
    if not freshness.complete:
        return "first sync under way"
    return "stale" if freshness.stale(at) else "fresh"
