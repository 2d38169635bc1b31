"""Days that are unlike their weekday, in words: of a KPI that is explained, and in reports."""

from datetime import date, timedelta
from typing import Any

from exporter.baselines.lookback import WEEKS
from exporter.catalogue.kpi import Kpi
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.figure import Key, Weekdays
from exporter.evaluation.plan import NOBODY, Plan
from exporter.explain.interventions import within
from exporter.explain.query import Question
from exporter.explain.wording import value
from exporter.insight.anomaly import Anomaly, judged
from exporter.publish.families import unit as unit_of

TEAM = "team"
MOST = 3
"""So many teams are named where no team is asked for."""


def of_question(plan: Plan, weekdays: Weekdays | None, asked: Question) -> list[dict[str, Any]]:
    """An entry for the last whole day of the team asked for, or else of each team that was unusual, the worst first."""
    if weekdays is None:
        return []
    labels = asked.segment.keys() - {"basis"}
    mine = [
        each
        for each in judged(only(weekdays, asked.kpi), compile_plan(plan).settings)
        if within(each.segment, asked.segment)
        and labels <= {label for label, _ in each.segment}
        and (each.unusual or TEAM in labels)
    ]
    mine.sort(key=lambda each: -abs(each.score))
    return [entry(each, plan) for each in mine[:MOST]]


def only(weekdays: Weekdays, name: str) -> Weekdays:
    """The same of one KPI."""
    last, *earlier = (tuple(f for f in day if f.kpi == name) for day in (weekdays.last, *weekdays.earlier))
    return Weekdays(weekdays.ends_at, last, tuple(earlier), weekdays.known & {name})


def entry(of: Anomaly, plan: Plan) -> dict[str, Any]:
    """A day, ready for JSON; `text`: in words."""
    return {
        "day": f"{day(of):%Y-%m-%d}",
        "segment": {label: text for label, text in of.segment if label != "basis"},
        "value": of.value,
        "n": of.n,
        "usual": of.usual,
        "lower": of.lower,
        "upper": of.upper,
        "weeks": of.days,
        "score": of.score,
        "unusual": of.unusual,
        "text": sentence(of, plan.kpis[of.kpi], plan.person_day_seconds),
    }


def day(of: Anomaly) -> date:
    """The day (UTC) itself; it is known by its end."""
    return (of.ends_at - timedelta(days=1)).date()


def sentence(of: Anomaly, kpi: Kpi, day_seconds: float) -> str:
    """`Escalation rate in finance was 52.0% (n = 100) on Tuesday 24 November 2026, worse than usual: ...`."""
    row = {
        "unit": kpi.unit or unit_of(kpi),
        "currency": dict(of.segment).get("currency"),
        "person_day_seconds": day_seconds if kpi.working_time else None,
    }
    was, usual, lower, upper = (shown(row, each) for each in (of.value, of.usual, of.lower, of.upper))
    n = "" if of.n is None or kpi.kind == "derived" else f" (n = {of.n:,.10g})"
    weeks = f"the {WEEKS}" if of.days == WEEKS else f"{of.days} of the {WEEKS}"
    return (
        f"{' '.join((kpi.title, *places(of.segment)))} was {was}{n} on {day(of):%A %-d %B %Y}, {verdict(of, kpi)}: "
        f"the median of {weeks} {day(of):%A}s before it is {usual}, and {lower} to {upper} is usual."
    )


def shown(row: dict[str, Any], number: float) -> str:
    """A value of one day; of working time in hours, for a team's day is few days of a person."""
    return value(row | {"value": number}).partition(" (")[0]


def places(segment: Key) -> list[str]:
    """`in finance`, `for claim hard cost avoided`; a currency stands at the value."""
    return [
        ("without a team" if text == NOBODY else f"in {text}")
        if label == TEAM
        else f"for {label} {text.replace('_', ' ')}"
        for label, text in segment
        if label not in ("basis", "currency")
    ]


def verdict(of: Anomaly, kpi: Kpi) -> str:
    """How it is beside what is usual, in three words."""
    if not of.unusual:
        return "as usual"
    worse = of.worse(kpi)
    side = {True: "worse", False: "better", None: "higher" if of.score > 0 else "lower"}[worse]
    return f"{side} than usual"
