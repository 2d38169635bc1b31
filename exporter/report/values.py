"""What KPIs come to in a period, as they were known at its end; what its records do not reach back over is left out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from exporter.baselines.frozen import INSTANT, reach
from exporter.config import Config
from exporter.evaluation.compiled import Measure, compile_plan
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Figure
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Period, Plan
from exporter.store.status import SourceStatus

WINDOW, LATE = "period", "late"
"""The period, and its last two thirds: where all records are in these, they probably begin within the period."""


@dataclass(frozen=True, kw_only=True)
class Values:
    """Evaluates periods. `kept_since`: records that ended before are deleted."""

    config: Config
    connection: Connection
    sources: Sequence[SourceStatus]
    kept_since: datetime

    def of(self, plan: Plan, period: Period) -> Evaluation:
        """The values of a period, as they were known at its end."""
        end, seconds = period.ends_at, int((period.ends_at - period.begins_at).total_seconds())
        sources = [each.as_of(end) for each in self.sources]
        over = self.over(plan, seconds)
        late = (LATE, seconds * 2 // 3)
        evaluation = evaluate(self.connection, replace(over, windows=[late, *over.windows]), end - INSTANT, sources)
        return self._withheld(plan, end - timedelta(seconds=seconds), evaluation)

    def over(self, plan: Plan, seconds: int) -> Plan:
        """The plan over a period. What is measured over the longest window, such as manual time, is as everywhere."""
        _, longest = self.config.plan.windows[-1]
        return replace(plan, windows=[(WINDOW, seconds), *([("longest", longest)] if longest > seconds else [])])

    def _withheld(self, plan: Plan, begin: datetime, evaluation: Evaluation) -> Evaluation:
        """Without KPIs whose records do not reach back to the begin of the period: they would be too small."""
        reaches = {s.kpi.name: max(self.kept_since, reach(plan, s.kpi.name, self.sources)) for s in plan.settings}
        short = {name for name, since in reaches.items() if since > begin} | begun_late(evaluation.figures, plan)
        kept = [f for f in evaluation.figures if f.window in (WINDOW, None) and not (f.window and f.kpi in short)]
        present = {f.kpi for f in kept}
        reasons = {name: "no_history" for name in short if name not in present and name not in evaluation.absent}
        return replace(evaluation, figures=tuple(kept), absent={**evaluation.absent, **reasons})


def by_kpi(figures: Iterable[Figure]) -> dict[str, list[Figure]]:
    """Figures by KPI."""
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        found.setdefault(figure.kpi, []).append(figure)
    return found


def begun_late(figures: Iterable[Figure], plan: Plan) -> set[str]:
    """The KPIs of a record of which the first third of a period has nothing: it hardly reaches back that far.

    What a file holds has no begin but its first row, so no source says it.
    """
    sizes: dict[tuple[str, str], float] = {}
    for f in figures:
        kpi = plan.kpis[f.kpi]
        if f.window in (WINDOW, LATE) and kpi.placed_by:
            key = kpi.record, f.window
            sizes[key] = sizes.get(key, 0.0) + abs(f.numerator if f.denominator is None else f.denominator)
    whole = {record: size for (record, window), size in sizes.items() if window == WINDOW and size > 0}
    late = {record for record, size in whole.items() if sizes.get((record, LATE), 0.0) >= size}
    return {name for name, measure in compile_plan(plan).by_name.items() if late & counted_of(measure)}


def counted_of(measure: Measure) -> set[str]:
    """The records that a KPI counts in windows, through its parts."""
    own = {measure.kpi.record} if measure.kpi.placed_by else set()
    return own.union(*(counted_of(each) for each in measure.below))
