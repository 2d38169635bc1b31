"""What to do next: what is beyond a threshold at the end of a period, with what the runbook says to do about it."""

from collections.abc import Collection
from functools import cache
from shlex import quote

from exporter.base import assets
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.plan import Plan
from exporter.explain.breaches import Breach, breaches
from exporter.explain.wording import value
from exporter.publish.families import unit as unit_of
from exporter.records.labels import LABEL_NAMES
from exporter.render.promql import alert_name
from exporter.render.runbook import entries
from exporter.report.content import Action
from exporter.report.period import Span

NOTHING = "Look at the records behind the value, the oldest of them first, and agree with its owner what to change."
PUBLISHED = {published: label for label, published in LABEL_NAMES.items()}


def actions(evaluation: Evaluation, plan: Plan, groups: Collection[str], span: Span) -> list[Action]:
    """What is surely beyond a threshold over the period, worst first: of each KPI one action, which names all teams."""
    by_kpi: dict[tuple[str, str], list[Breach]] = {}
    for each in breaches(evaluation, plan):
        if each.certain and plan.kpis[each.kpi].group in groups:
            by_kpi.setdefault((each.kpi, each.severity), []).append(each)
    return [_action(found, plan, span) for found in by_kpi.values()]


def _action(found: list[Breach], plan: Plan, span: Span) -> Action:
    first = found[0]
    kpi = plan.kpis[first.kpi]
    unit = kpi.unit or unit_of(kpi)

    def shown(number: float, of: Breach) -> str:
        return value({"value": number, "unit": unit, "currency": of.segment.get("currency")})

    side = "above" if kpi.better == "lower" else "below"
    names = [", ".join(v for k, v in each.segment.items() if k not in ("basis", "currency")) for each in found]
    n = f", n = {first.records:,.0f}" if first.records is not None else ""
    where = f", {names[0]}" if names[0] else ""
    more = f"; also {', '.join(names[1:])}" if len(found) > 1 else ""
    # Names come from strangers, and commands are pasted into a shell.
    labels = " ".join(quote(f"{k}={v}") for k, v in first.segment.items() if k != "basis")
    return Action(
        what=f"{kpi.title}{where}: {shown(first.value, first)} ({first.severity} {side} "
        f"{shown(first.limit, first)}{n}){more}.",
        severity=first.severity,
        do=runbook().get(alert_name(kpi), NOTHING),
        look=f"outcome-exporter explain {kpi.name} {labels} --at {span.until:%Y-%m-%dT%H:%M}Z".replace("  ", " "),
    )


@cache
def runbook() -> dict[str, str]:
    """Alert -> what its runbook says to do."""
    return {name: entry.mitigation for name, entry in entries(assets.root() / "alerts" / "runbook.yaml").items()}
