"""What can happen in the demo's organisation: each story with its whole course, and as it stood at an instant."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from exporter.demo.organisation import Team, Workflow
from exporter.records import (
    Account,
    Activity,
    Audit,
    Booking,
    Change,
    Cost,
    ExceptionKind,
    Incident,
    Opportunity,
    Record,
    Request,
    Run,
    RunStatus,
    ServiceLevel,
)
from exporter.records import Workflow as Inventory

Act = Literal["open", "comment", "reply", "move", "resolve", "reject", "reopen"]
End = Literal["succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Step:
    """Something done to a ticket."""

    at: datetime
    act: Act
    who: str
    minutes: int = 0  # working time booked with it


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket at the desk of its team."""

    id: str
    team: Team
    topic: str
    requester: str
    priority: int
    due_at: datetime
    steps: tuple[Step, ...]
    stars: int | None = None  # 1 to 5, given when it is resolved
    opened_by: str = ""  # the run that opened it, if no person did


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a run. Without `ends_at` it hangs for ever."""

    id: str
    starts_at: datetime
    ends_at: datetime | None
    end: End
    exception: ExceptionKind = "none"


@dataclass(frozen=True, slots=True)
class Execution:
    """A logical run of a workflow with all its attempts."""

    id: str
    workflow: Workflow
    attempts: tuple[Attempt, ...]


Filed = Record
"""A story that is told as a record, as it stands at the end of its course."""

Story = Ticket | Execution | Filed
SERVED = (Ticket, Execution, Booking, Change, Incident)
"""What a platform tells of; everything else is told in files."""

TURNS: dict[type[Filed], tuple[str, ...]] = {
    Request: ("opened_at", "first_response_at", "escalated_at", "resolved_at", "abandoned_at"),
    Booking: ("requested_at", "first_response_at", "booked_at", "cancelled_at", "ends_at"),
    Opportunity: ("lead_at", "contacted_at", "booked_at", "attended_at", "qualified_at", "won_at", "lost_at"),
    Incident: ("opened_at", "acknowledged_at", "resolved_at"),
    Change: ("requested_at", "approved_at", "deployed_at"),
    Run: ("queued_at", "started_at", "finished_at"),
    Inventory: ("updated_at",),
    Account: ("granted_at", "first_success_at", "last_active_at"),
    Activity: ("updated_at",),
    Audit: ("occurred_at",),
    Cost: ("period_start",),
    ServiceLevel: ("measured_at",),
}
"""The columns that say when a record changed. The start of a meeting is an appointment, not a change."""


def turns(story: Story) -> list[datetime]:
    """The instants at which something about a story changes, in order."""
    if isinstance(story, Ticket):
        return [step.at for step in story.steps]
    if isinstance(story, Execution):
        return sorted(t for attempt in story.attempts for t in (attempt.starts_at, attempt.ends_at) if t)
    return sorted(t for name in TURNS[type(story)] if (t := getattr(story, name)))


def begins_at(story: Story) -> datetime:
    """When a story is first heard of."""
    return turns(story)[0]


def as_of(record: Filed, at: datetime) -> dict[str, Any]:
    """What is otherwise in a record at an instant: what comes later is left out and the state is the one of then."""
    known = {name: turn for name in TURNS[type(record)] if (turn := getattr(record, name))}
    last = max(turn for turn in known.values() if turn <= at)
    later: dict[str, Any] = {name: None for name, turn in known.items() if turn > at}
    later["updated_at"] = last
    if isinstance(record, Request) and {"resolved_at", "abandoned_at"} & later.keys():
        later |= dict.fromkeys(("handled_by", "claimed_resolved", "human_seconds", "csat", "effort", "sentiment"))
        later["outcome"] = "open"
    if isinstance(record, Run) and "finished_at" in later:
        status: RunStatus = "waiting" if "started_at" in later else "running"
        later |= dict.fromkeys(("exception", "human_override", "review", "rework", "human_seconds"))
        later["status"] = status
    return later
