"""The record types. Read this first: everything a platform says becomes one of these.

A record is keyed by (source, id); a later poll replaces it. Unknown is None: a time is never guessed.
Instants are aware UTC datetimes; lengths are seconds; shares are 0..1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from exporter.records.unreadable import Fault, Unreadable, quoted

RequestKind = Literal["ticket", "service_request", "conversation"]
Channel = Literal["email", "phone", "chat", "web", "portal", "api", "social", "other"]
HandledBy = Literal["automation", "assisted", "human"]
RequestOutcome = Literal["open", "resolved", "abandoned", "discarded"]
IncidentSeverity = Literal["sev1", "sev2", "sev3", "sev4", "sev5"]
ChangeResult = Literal["pending", "succeeded", "failed", "rolled_back", "cancelled"]
ChangeKind = Literal["standard", "normal", "emergency", "deployment"]
RunStatus = Literal["running", "waiting", "succeeded", "failed", "abandoned", "cancelled"]
ExceptionKind = Literal["none", "business", "application"]
Review = Literal["none", "accepted", "edited", "rejected"]
BookingOutcome = Literal["upcoming", "attended", "no_show", "cancelled", "rescheduled", "unknown"]
CancelledBy = Literal["host", "invitee"]
Mfa = Literal["none", "weak", "phishing_resistant"]
AuditKind = Literal["privileged_action", "policy_violation", "policy_exception", "manual_exception"]
CostKind = Literal["licence", "infrastructure", "labour", "maintenance", "support", "training"]

Json = Any
"""A decoded JSON value."""

PERSON = {"person": True}
"""Marks a column that names a person: stored only as a keyed hash."""

VITAL = {"vital": True}
"""Marks a time that places a record, or the word that says where it stands: where that is there and cannot be read, the
record is left out, for it would count as something else. Any other column is unknown then. `id` is vital, too."""

SUMMED = {"summed": True}
"""Marks a column that sums are made of: where it cannot be read, the record is as good as left out of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What every record has. `source` and the segment columns are filled in by the poller, not by connectors."""

    id: str
    source: str = ""
    url: str | None = None  # deep link that a person can open
    updated_at: datetime | None = None
    team: str | None = None
    business_unit: str | None = None
    region: str | None = None
    cohort: str | None = None  # rollout wave, or "control"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request(Record):
    """Somebody asked for something: a ticket, a service request or a conversation."""

    kind: RequestKind | None = None
    opened_at: datetime | None = field(default=None, metadata=VITAL)
    first_response_at: datetime | None = None
    resolved_at: datetime | None = field(default=None, metadata=VITAL)
    abandoned_at: datetime | None = field(default=None, metadata=VITAL)
    closed_at: datetime | None = field(default=None, metadata=VITAL)
    escalated_at: datetime | None = None
    reopen_count: int | None = None
    replies: int | None = None
    channel: Channel | None = None
    category: str | None = None
    request_type: str | None = None
    priority: str | None = None
    requester: str | None = field(default=None, metadata=PERSON)
    handled_by: HandledBy | None = None
    outcome: RequestOutcome | None = field(default=None, metadata=VITAL)
    self_service: bool | None = None  # automation answered first
    human_seconds: float | None = None
    csat: float | None = None  # 0..1
    effort: float | None = None  # 0..1
    sentiment: float | None = None  # -1..1
    sla_breached: bool | None = None
    legacy_path: bool | None = None
    on_hold_seconds: float | None = None  # waiting for its requester or a third party, until it ended
    on_hold_business_seconds: float | None = None  # the same in open hours, as the platform counts them


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident(Record):
    """A service interruption."""

    started_at: datetime | None = field(default=None, metadata=VITAL)
    detected_at: datetime | None = field(default=None, metadata=VITAL)
    opened_at: datetime | None = field(default=None, metadata=VITAL)
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = field(default=None, metadata=VITAL)
    severity: IncidentSeverity | None = None
    service: str | None = None
    tier: str | None = None
    category: str | None = None
    recurrence_key: str | None = None
    caused_by: str | None = None  # id of a change
    auto_remediated: bool | None = None
    users_affected: int | None = None
    outage: bool | None = None  # the service was unusable
    services: tuple[str, ...] = ()  # where there is more than one; it counts once, and under each of them
    on_hold_seconds: float | None = None  # waiting for somebody outside, until it was resolved
    on_hold_business_seconds: float | None = None  # the same in open hours, as the platform counts them


@dataclass(frozen=True, kw_only=True, slots=True)
class Change(Record):
    """A change to a service: a deployment or a change request."""

    requested_at: datetime | None = None
    first_commit_at: datetime | None = None
    approved_at: datetime | None = None
    deployed_at: datetime | None = field(default=None, metadata=VITAL)
    result: ChangeResult | None = field(default=None, metadata=VITAL)
    service: str | None = None
    environment: str | None = None
    kind: ChangeKind | None = None
    automated: bool | None = None
    unplanned: bool | None = None
    blocked_seconds: float | None = None
    services: tuple[str, ...] = ()  # where there is more than one; it counts once, and under each of them


@dataclass(frozen=True, kw_only=True, slots=True)
class Run(Record):
    """One attempt of an automation; all attempts with one root_id are one logical run."""

    workflow: str | None = None
    root_id: str | None = None
    attempt: int | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = field(default=None, metadata=VITAL)
    finished_at: datetime | None = field(default=None, metadata=VITAL)
    status: RunStatus | None = field(default=None, metadata=VITAL)
    exception: ExceptionKind | None = None
    human_override: bool | None = None
    review: Review | None = None  # AI output looked at by a person
    rework: bool | None = None  # its result had to be cleaned up
    human_seconds: float | None = None
    trigger: str | None = None
    owner: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow(Record):
    """Inventory: one automation. A dependency is written "kind:name", kind one of
    system, credential, api, person, plugin."""

    name: str | None = None
    enabled: bool | None = None
    owners: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    exportable: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Booking(Record):
    """An appointment."""

    requested_at: datetime | None = None
    first_response_at: datetime | None = None
    booked_at: datetime | None = field(default=None, metadata=VITAL)
    starts_at: datetime | None = field(default=None, metadata=VITAL)
    ends_at: datetime | None = None
    cancelled_at: datetime | None = None
    outcome: BookingOutcome | None = field(default=None, metadata=VITAL)
    cancelled_by: CancelledBy | None = None
    channel: str | None = None
    meeting_type: str | None = None
    host: str | None = field(default=None, metadata=PERSON)
    automated: bool | None = None
    conflict: bool | None = None  # double-booked
    reminders: int | None = None
    value: float | None = field(default=None, metadata=SUMMED)
    currency: str | None = None
    opportunity_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Opportunity(Record):
    """One entry of the sales funnel, with the time at which it reached each stage."""

    lead_at: datetime | None = field(default=None, metadata=VITAL)
    contacted_at: datetime | None = field(default=None, metadata=VITAL)
    booked_at: datetime | None = field(default=None, metadata=VITAL)
    attended_at: datetime | None = field(default=None, metadata=VITAL)
    qualified_at: datetime | None = field(default=None, metadata=VITAL)
    won_at: datetime | None = field(default=None, metadata=VITAL)
    lost_at: datetime | None = field(default=None, metadata=VITAL)
    amount: float | None = field(default=None, metadata=SUMMED)
    currency: str | None = None
    channel: str | None = None
    automated: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Account(Record):
    """A person's access to a rolled-out tool."""

    tool: str | None = None
    person: str | None = field(default=None, metadata=PERSON)
    granted_at: datetime | None = field(default=None, metadata=VITAL)
    first_success_at: datetime | None = field(default=None, metadata=VITAL)
    last_active_at: datetime | None = field(default=None, metadata=VITAL)
    disabled: bool | None = None
    mfa: Mfa | None = None
    privileged: bool | None = None
    shared: bool | None = None  # used by more than one person
    client_outdated: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity(Record):
    """What one person did in one tool on one day."""

    tool: str | None = None
    person: str | None = field(default=None, metadata=PERSON)
    day: datetime | None = field(default=None, metadata=VITAL)  # its first instant
    tasks_done: int | None = None  # in the tool
    tasks_with_help: int | None = None  # of those done
    legacy_tasks: int | None = None  # done the old way, beside those


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit(Record):
    """An event that matters to security."""

    occurred_at: datetime | None = field(default=None, metadata=VITAL)
    kind: AuditKind | None = None
    attributable: bool | None = None  # user and context are known
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost(Record):
    """Money, or working time, spent over a period."""

    period_start: datetime | None = field(default=None, metadata=VITAL)
    period_end: datetime | None = field(default=None, metadata=VITAL)
    amount: float | None = field(default=None, metadata=SUMMED)
    currency: str | None = None
    kind: CostKind | None = None
    workflow: str | None = None
    service: str | None = None
    effort_seconds: float | None = field(default=None, metadata=SUMMED)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceLevel(Record):
    """A reading of how available a service was, from something that measures it."""

    service: str | None = None
    tier: str | None = None
    measured_at: datetime | None = field(default=None, metadata=VITAL)  # the end of the interval
    ratio: float | None = None  # 0..1
    interval_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """A record beside the platform's own item it was read from; the configured segment mapping looks in the item.

    `place`: where the item stands, such as "line 2". `faults`: what of it could not be read. These are the client's.
    """

    record: Record
    item: Json
    place: str = ""
    faults: tuple[Fault, ...] = ()
    scope: str = ""

    @property
    def key(self) -> str:
        """What tells the record from others of its source at the next reading."""
        return f"{type(self.record).__name__} {self.record.id}"


RECORDS: Mapping[str, type[Record]] = {
    "request": Request,
    "incident": Incident,
    "change": Change,
    "run": Run,
    "workflow": Workflow,
    "booking": Booking,
    "opportunity": Opportunity,
    "account": Account,
    "activity": Activity,
    "audit": Audit,
    "cost": Cost,
    "service_level": ServiceLevel,
}
"""Record name (the table, the facts file, the KPI file) -> record type."""

VITAL_COLUMNS: Mapping[type[Record], frozenset[str]] = {
    record: frozenset({"id", *(each.name for each in fields(record) if each.metadata.get("vital"))})
    for record in RECORDS.values()
}
"""Record type -> the columns without which a record is left out, where they are there and cannot be read."""


def placing(record_type: type[Record]) -> tuple[str, ...]:
    """The times that say when a record was."""
    return tuple(f.name for f in fields(record_type) if f.metadata.get("vital") and "datetime" in str(f.type))


def times_of(record: Record) -> tuple[datetime, ...]:
    """When a record was, as far as that is known: the times that place it, or else when it was last changed."""
    names = (*placing(type(record)), "updated_at")
    known = [each for name in names if isinstance(each := getattr(record, name, None), datetime) and each.tzinfo]
    return tuple(known[:-1] if len(known) > 1 and known[-1] == record.updated_at else known)


INVENTORIES = frozenset({"workflow", "account"})
"""Records of what there is rather than of what happened: kept however old."""

ABOUT_PERSONS = frozenset({"account", "activity"})
"""Records that are about a person, rather than about something that happened to one."""

IDS = frozenset({"id", "caused_by", "root_id", "opportunity_id"})
"""Columns that hold the id of a record. One that is a mail address is stored as a person is."""

SEGMENTS = ("team", "business_unit", "region", "cohort")


def record_name(record_type: type[Record]) -> str:
    """`ServiceLevel` -> "service_level"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", record_type.__name__).lower()


def person_columns(record_type: type[Record]) -> tuple[str, ...]:
    """The columns of a record that name a person."""
    return tuple(f.name for f in fields(record_type) if f.metadata.get("person"))


EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Work is done between these. Many systems write the year 1 or 9999 for never; which of them mean it, a config says."""


def instant(text: Any) -> datetime | None:
    """An ISO 8601 text with an offset (or `Z`) as a UTC instant; None for None and "".

    Raises Unreadable for anything else, a text without an offset included: a guessed time zone is a wrong figure.
    """
    if text is None or text == "":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Unreadable("not_a_time", f"{quoted(text)} is not a time, such as 2026-03-31T10:00:00Z") from None
    return bounded(moment, text)


def bounded(moment: datetime, given: Any) -> datetime:
    """A time as a UTC instant, within what a time of work can be; `given` is how it was written."""
    if moment.tzinfo is None:
        raise Unreadable("no_time_zone", f"{quoted(given)} has no time zone")
    if not EARLIEST <= moment < LATEST:
        raise Unreadable("out_of_bounds", f"{quoted(given)} is not between 1970 and 2200")
    return moment.astimezone(UTC)
