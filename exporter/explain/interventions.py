"""What interventions did to an explained KPI: the time before beside the time since, ready for JSON and in words."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from exporter.catalogue.kpi import Kpi
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Key
from exporter.evaluation.plan import Plan
from exporter.explain.query import Question
from exporter.explain.wording import difference as difference_of
from exporter.explain.wording import value
from exporter.insight.difference import Difference
from exporter.insight.interventions import Effect, effects
from exporter.insight.sides import Side
from exporter.publish.families import unit as unit_of
from exporter.store.status import SourceStatus

WHY: Mapping[str, str] = {
    "too_recent": "nothing to compare yet: at least three whole days are needed",
    "no_history": "nothing to compare: records do not reach back far enough",
    "initial_sync": "nothing to compare yet: the first sync of a source is in progress",
    "no_records": "nothing to compare: no value before or since",
}
GROUPS: Mapping[str, str] = {"cohort": "the control group", "others": "all others"}
VERDICTS: Mapping[str, str] = {
    "better": "better, beyond chance",
    "worse": "worse, beyond chance",
    "changed": "beyond chance",
    "no_change": "within chance",
    "unknown": "not judged",
}


def of_question(
    connection: Connection, plan: Plan, at: datetime, sources: Sequence[SourceStatus], asked: Question
) -> list[dict[str, Any]]:
    """An entry for each intervention, begun by then, that concerns a KPI in the segment asked for; `text`: in words."""
    mine = [each for each in plan.interventions if each.at <= at and each.concerns(asked.kpi, asked.segment)]
    kpi = plan.kpis[asked.kpi]
    found = effects(connection, plan, at, sources, mine, [asked.kpi])
    return [entry(each, kpi) for each in found if within(each.split, asked.segment)]


def within(split: Key, segment: Mapping[str, str]) -> bool:
    """Whether a split is not another one than that of a segment."""
    return all(segment.get(label, text) == text for label, text in split if label != "basis")


def entry(effect: Effect, kpi: Kpi) -> dict[str, Any]:
    """An effect, ready for JSON."""
    made = effect.intervention
    return {
        "date": f"{made.at:%Y-%m-%d}",
        "what": made.what,
        "place": made.place,
        "go_live": made.go_live,
        "split": {label: text for label, text in effect.split if label != "basis"},
        "periods": [[each.begins_at.isoformat(), each.ends_at.isoformat()] for each in effect.periods or ()],
        "before": _side(effect.before),
        "after": _side(effect.after),
        "change": _difference(effect.change),
        "control": effect.control
        and {
            "kind": effect.control.kind,
            "before": _side(effect.control.before),
            "after": _side(effect.control.after),
            "change": _difference(effect.control.change),
        },
        "net": _difference(effect.net),
        "verdict": effect.verdict(kpi),
        "overlaps": [f"{each.what} ({each.place})" for each in effect.overlaps],
        "absent": effect.absent,
        "text": sentence(effect, kpi),
    }


def _side(of: Side | None) -> dict[str, Any] | None:
    return None if of is None else {"value": of.value, "n": of.n}


def _difference(of: Difference | None) -> dict[str, Any] | None:
    return None if of is None else {"value": of.value, "lower": of.lower, "upper": of.upper}


def sentence(effect: Effect, kpi: Kpi) -> str:
    """An effect in words."""
    if effect.before is None or effect.after is None or effect.change is None or effect.periods is None:
        return f"{WHY[effect.absent or 'no_records']}."
    unit = kpi.unit or unit_of(kpi)
    currency = dict(effect.split).get("currency")
    days = (effect.periods[1].ends_at - effect.periods[1].begins_at).days
    shown = Shown(unit, currency)
    text = f"{shown.both(effect.before, effect.after)} ({days} days each): {shown.change(effect.change)}"
    if effect.control is None or effect.net is None:
        text = f"{text}; {VERDICTS[effect.verdict(kpi)]}."
    else:
        control = f"{GROUPS[effect.control.kind]} {shown.both(effect.control.before, effect.control.after)}"
        text += f"; {control}. Compared with these {shown.change(effect.net)}; {VERDICTS[effect.verdict(kpi)]}."
    others = ", ".join(f"{each.what} ({each.at:%-d %B})" for each in effect.overlaps)
    return text + (f" In the same time: {others}." if others else "")


class Shown:
    """Shows values in the unit of a KPI."""

    def __init__(self, unit: str, currency: str | None) -> None:
        self.unit, self.currency = unit, currency

    def both(self, before: Side, after: Side) -> str:
        """`9.0% (n = 150) before, 52.0% (n = 151) since`."""
        return f"{self.side(before)} before, {self.side(after)} since"

    def side(self, of: Side) -> str:
        """A value with its n."""
        n = "" if of.n is None else f" (n = {of.n:,.10g})"
        return value({"value": of.value, "unit": self.unit, "currency": self.currency}) + n

    def change(self, of: Difference) -> str:
        """A difference with its interval."""
        ends = " to ".join(self.amount(each) for each in (of.lower, of.upper) if each is not None)
        return self.amount(of.value) + (f" (95 % interval {ends.replace(' points', '', 1)})" if ends else "")

    def amount(self, number: float) -> str:
        """A difference with its sign."""
        return difference_of({"difference": number}, self.unit)
