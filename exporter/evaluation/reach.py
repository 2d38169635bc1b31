"""How far back rows must reach for the values of one window: often no further than that window."""

from dataclasses import replace

from exporter.catalogue.facts import facts
from exporter.evaluation.compiled import Measure, compile_plan
from exporter.evaluation.instant import countable
from exporter.evaluation.plan import Plan
from exporter.evaluation.range import changing
from exporter.evaluation.readiness import looks_back


def within(plan: Plan, window: str) -> Plan:
    """The plan for the values of one window. Its other windows are left out, where no value depends on them: a scan
    then reads the records of this window alone.
    """
    # A count is 0, and not unknown, where its segment has records in another window.
    shares = ("ratio", "mean", "duration")
    if not all(bounded(each, plan) and each.kpi.kind in shares for each in countable(compile_plan(plan), ())):
        return plan
    return replace(plan, windows=[each for each in plan.windows if each[0] == window])


def bounded(measure: Measure, plan: Plan) -> bool:
    """Whether the value of a window is made of rows that hold within it: no state, no denominator as of now, and
    nothing that is measured over the longest window, such as manual time.
    """
    counted = measure.kpi.windowed and facts(measure.kpi.facts).main.rows == "interval"
    return counted and not looks_back(measure) and not changing(measure, plan)
