"""What figures of money rest on that nobody has measured: times, rates and prices of the config, and shared cost."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from exporter.base.duration import text as length
from exporter.evaluation.compiled import Measure
from exporter.evaluation.plan import Plan, WorkflowSetting


class Assumption(NamedTuple):
    """One assumption of the config. `subject`: the workflow, service, team or source it is about; empty: all."""

    name: str
    subject: str
    value: str
    origin: str  # where it comes from, as the config says

    @property
    def sentence(self) -> str:
        """As people read it."""
        about = f"{self.name.replace('_', ' ')} of {self.subject}" if self.subject else self.name.replace("_", " ")
        return f"{about}: {self.value}" + (f" ({self.origin})" if self.origin else "")


def assumptions(plan: Plan) -> list[Assumption]:
    """All of a plan, those of the whole first."""
    return [Assumption("shared_cost", "", _shared(plan.shared_cost), ""), *sorted(_configured(plan))]


COLUMNS = {
    "saved_seconds": {"manual_time"},
    "saved_seconds_high": {"manual_time"},
    "manual_seconds": {"manual_time"},
    "manual_seconds_high": {"manual_time"},
    "rate_per_second": {"rate"},
    "claim": {"claim"},
    "claim_price": {"claimed_resolution_price"},
    "cost": {"downtime_cost"},
    "capacity_seconds": {"capacity"},
    "staff": {"capacity"},
}
"""Column of facts -> the assumptions that it is made with."""
WEIGHTS = {"time_saved": {"manual_time"}, "value": {"manual_time", "rate"}}
"""What shared cost is allocated by -> the assumptions that it is made with."""
SUBJECTS = {
    "workflow": {"manual_time", "rate", "claim"},
    "service": {"downtime_cost"},
    "vendor": {"claimed_resolution_price"},
    "team": {"capacity"},
}
"""Label -> the assumptions whose subject is a value of it."""


def concerning(plan: Plan, measure: Measure, segment: Mapping[str, str]) -> list[Assumption]:
    """Those that the value of a KPI in a segment rests on; none, if it is all measured."""
    names = _names(plan, measure) | ({"claim"} if "claim" in measure.labels else set())
    others = {
        (name, each.subject)
        for label, about in SUBJECTS.items()
        for each in assumptions(plan)
        if (name := each.name) in about and label in segment and segment[label] != each.subject
    }
    return [each for each in assumptions(plan) if each.name in names and (each.name, each.subject) not in others]


def _names(plan: Plan, measure: Measure) -> set[str]:
    found = {name for column in measure.columns for name in COLUMNS.get(column, ())}
    if measure.kpi.facts == "automation_cost":
        found |= {"shared_cost"} | WEIGHTS.get(plan.shared_cost, set())
    return found.union(*(_names(plan, each) for each in measure.below))


def _shared(by: str) -> str:
    return "not allocated" if by == "none" else f"allocated by {by.replace('_', ' ')}"


def _configured(plan: Plan) -> Iterator[Assumption]:
    for name, workflow in plan.workflows.items():
        yield from _of_workflow(name, workflow)
    for name, service in plan.services.items():
        if service.downtime_cost_per_hour is not None:
            yield Assumption(
                "downtime_cost", name, f"{service.downtime_cost_per_hour:g} {service.currency} an hour", ""
            )
    for name, team in plan.teams.items():
        if team.capacity_seconds_per_week is not None:
            yield Assumption("capacity", name, f"{length(round(team.capacity_seconds_per_week))} a week", "")
    for name, source in plan.sources.items():
        if source.claimed_resolution_price is not None:
            price = f"{source.claimed_resolution_price:g} {source.currency}"
            yield Assumption("claimed_resolution_price", name, price, "")


def _of_workflow(name: str, workflow: WorkflowSetting) -> Iterator[Assumption]:
    low, high = workflow.manual_seconds_low, workflow.manual_seconds_high
    if low is not None and high is not None:
        ends = [length(round(low)), length(round(high))]
        measured = f"measured on requests of category {workflow.category}; else " if workflow.category else ""
        value = measured + (ends[0] if low == high else f"{ends[0]} to {ends[1]}, of which the lower end counts")
        yield Assumption("manual_time", name, value, workflow.manual_origin or "")
    if workflow.rate is not None:
        yield Assumption("rate", name, f"{workflow.rate:g} {workflow.currency} an hour", "")
    if workflow.claim is not None:
        yield Assumption("claim", name, workflow.claim.replace("_", " "), "")
