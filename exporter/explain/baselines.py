"""The baselines of an explained value, over the requested segment and matched on both sides."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from exporter.baselines.compare import CONTROL, Total, totals
from exporter.baselines.lookback import BaselineCache, of_one, times
from exporter.catalogue.kpi import non_additive
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Figure, Past
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Baselines, Plan, Setting
from exporter.evaluation.reach import within
from exporter.explain.query import Question, setting_of
from exporter.explain.summary import beside
from exporter.store import Store
from exporter.store.status import SourceStatus


def comparisons(
    connection: Connection,
    store: Store,
    plan: Plan,
    at: datetime,
    sources: Sequence[SourceStatus],
    asked: Question,
    known: Evaluation | None = None,
) -> list[dict[str, Any]]:
    """An entry for each baseline of a KPI, ready for JSON: values, n and difference, or why there is none.

    `known`: the evaluation of this plan at this time, with its baselines, where there is one.
    """
    setting = setting_of(plan, asked.kpi)
    if not setting.baselines.kinds:
        return []
    evaluation = known or _evaluated(connection, store, plan, at, sources, asked)
    window = asked.window, dict(plan.windows)[asked.window]
    entries = []
    for kind in setting.baselines.kinds:
        if kind == "weekday_median" and setting.kpi.windowed and window != plan.windows[0]:
            continue
        periods = [[begin.isoformat(), end.isoformat()] for begin, end in times(kind, setting, window, at)]
        sums = over(evaluation, setting, kind, asked)
        entries += [beside(total) | {"split": dict(total.now.segment), "periods": periods} for total in sums]
        if not sums:
            entries.append({"baseline": kind, "absent": why(evaluation, asked.kpi, kind), "periods": periods})
    return entries


def _evaluated(
    connection: Connection, store: Store, plan: Plan, at: datetime, sources: Sequence[SourceStatus], asked: Question
) -> Evaluation:
    mine = within(of_one(plan, asked.kpi), asked.window)
    evaluation = evaluate(connection, replace(mine, medians=False), at, sources)
    past = BaselineCache().past(connection, store, mine, at, sources, [asked.window])
    return replace(evaluation, baselines=past)


def over(evaluation: Evaluation, setting: Setting, kind: str, asked: Question) -> list[Total]:
    """A baseline and what is compared with it, over all segments that are asked for; what makes no sum stays apart."""
    only = replace(Baselines(), **{kind: getattr(setting.baselines, kind)})
    figures = [f for f in evaluation.figures if f.kpi == asked.kpi and f.window in (asked.window, None)]
    days = evaluation.baselines.days.get(kind, ()) if kind != "control" else ()
    known = {label for f in figures for label, _ in f.segment}
    if any(f.whole and (known - {label for label, _ in f.segment}) & asked.segment.keys() for f in figures):
        # Of one service, what counts under it; of all, every record once.
        figures, days = of_each(figures), tuple(tuple(of_each(day)) for day in days)
    chosen = [f for f in figures if wanted(f, setting, kind, asked)]
    past = Past({kind: days} if days else {})
    return [*totals(chosen, past, {asked.kpi: replace(setting, baselines=only)}, non_additive)]


def of_each(figures: Sequence[Figure]) -> list[Figure]:
    """Figures without wholes."""
    return [figure for figure in figures if not figure.whole]


def wanted(figure: Figure, setting: Setting, kind: str, asked: Question) -> bool:
    """Whether a figure is of the segment, or of the control group beside it."""
    segment = dict(figure.segment)
    labels = {label: value for label, value in asked.segment.items() if label in segment}
    if kind == "control" and segment.get("cohort") == CONTROL and asked.segment.get("cohort") != CONTROL:
        labels = {label: value for label, value in labels.items() if label not in setting.baselines.control}
    return labels.items() <= segment.items()


def why(evaluation: Evaluation, name: str, kind: str) -> str:
    """Why there is no baseline."""
    reasons = evaluation.baselines.absent.get((name, kind))
    return evaluation.absent.get(name) or (min(reasons) if reasons else "no_match")
