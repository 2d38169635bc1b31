"""The record types. Read this first: everything a platform says becomes one of these.

A record is keyed by (source, id); a later poll replaces it. Unknown is None: a time is never guessed.
Instants are aware UTC datetimes; lengths are seconds; shares are 0..1.

A type is declared here as a whole: its columns, what is special about some of them (the metadata below), which may be
labels (LABELS), and which are (DEFAULT_LABELS) where a config does not say. A new type is also named in RECORDS.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import UTC, datetime, tzinfo
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, dataclass_transform

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

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def unchanging(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]:
    """Makes a class a dataclass that the type checker holds to be frozen, and made by keywords alone if `kw_only`.

    Nothing of that is checked at run time: a frozen record takes four times as long to make, and there are millions.
    """
    del kw_only
    return dataclass(slots=True, unsafe_hash=True)


PERSON = {"person": True}
"""Marks a column that names a person: stored only as a keyed hash."""

VITAL = {"vital": True}
"""Marks a time that places a record, or the word that says where it stands: where that is there and cannot be read, the
record is left out, for it would count as something else. Any other column is unknown then. `id` is vital, too."""

SUMMED = {"summed": True}
"""Marks a column that sums are made of: where it cannot be read, the record is as good as left out of them."""

MONEY = SUMMED | {"low": -inf}
"""Money may be taken back; other lengths, counts and sums are never below zero."""

SHARE = {"low": 0.0, "high": 1.0}
"""Marks a column whose numbers go from 0 to 1."""

ID = {"id": True}
"""Marks a column that holds the id of a record. One that is a mail address is stored as a person is."""

FIXED = {"fixed": True}
"""Marks a yes-or-no column that stays as it is from beginning to end: conditions of a config may look at it."""

SERVICE = {"published_as": "app_service"}
"""`published_as`: what a label is called outside, where its own name would collide with one that Prometheus, its
operator or an alert sets."""

SEGMENTS = ("team", "business_unit", "region", "cohort")


@unchanging(kw_only=True)
class Record:
    """What every record has. `source` and the segment columns are filled in by the poller, not by connectors."""

    LABELS: ClassVar[tuple[str, ...]] = SEGMENTS
    """The columns that may be labels: never an id, a person, a URL, a time or what a figure counts."""
    DEFAULT_LABELS: ClassVar[tuple[str, ...]] = ("team",)
    """Those that are labels where the config does not say, in the order in which they are published."""
    INVENTORY: ClassVar[bool] = False
    """Whether it is one of what there is rather than of what happened: kept however old."""
    ABOUT_PERSON: ClassVar[bool] = False
    """Whether it is about a person, rather than about something that happened to one."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]  # told to the type checker, which knows `dataclass` alone

    id: str = field(metadata=ID)
    reference: str | None = field(default=None, metadata=ID)  # what people call it beside its id: a number, CHG0030021
    source: str = ""
    url: str | None = None  # deep link that a person can open
    updated_at: datetime | None = None
    team: str | None = None
    business_unit: str | None = None
    region: str | None = field(default=None, metadata={"published_as": "biz_region"})
    cohort: str | None = None  # rollout wave, or "control"


@unchanging(kw_only=True)
class Request(Record):
    """Somebody asked for something: a ticket, a service request or a conversation."""

    LABELS = (*SEGMENTS, "kind", "channel", "category", "request_type", "priority", "handled_by")
    DEFAULT_LABELS = ("team", "category")

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
    claimed_resolved: bool | None = None  # the platform itself says, or bills, that automation resolved it
    run_id: str | None = field(default=None, metadata=ID)  # id or root_id of the run that opened or handled it
    outcome: RequestOutcome | None = field(default=None, metadata=VITAL)
    self_service: bool | None = field(default=None, metadata=FIXED)  # automation answered first
    human_seconds: float | None = None
    csat: float | None = field(default=None, metadata=SHARE)
    effort: float | None = field(default=None, metadata=SHARE)
    sentiment: float | None = field(default=None, metadata={"low": -1.0, "high": 1.0})
    sla_breached: bool | None = None
    legacy_path: bool | None = field(default=None, metadata=FIXED)
    on_hold_seconds: float | None = None  # waiting for its requester or a third party, until it ended
    on_hold_business_seconds: float | None = None  # the same in open hours, as the platform counts them
    escalation_known: bool | None = None  # false where its platform does not say whether it was escalated


@unchanging(kw_only=True)
class Incident(Record):
    """A service interruption."""

    LABELS = (*SEGMENTS, "severity", "service", "tier", "category")
    DEFAULT_LABELS = ("team", "service", "severity")

    started_at: datetime | None = field(default=None, metadata=VITAL)
    detected_at: datetime | None = field(default=None, metadata=VITAL)
    opened_at: datetime | None = field(default=None, metadata=VITAL)
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = field(default=None, metadata=VITAL)
    severity: IncidentSeverity | None = field(default=None, metadata={"published_as": "incident_severity"})
    service: str | None = field(default=None, metadata=SERVICE)
    tier: str | None = None
    category: str | None = None
    recurrence_key: str | None = None
    caused_by: str | None = field(default=None, metadata=ID)  # a change's id or reference
    auto_remediated: bool | None = None
    users_affected: int | None = None
    outage: bool | None = None  # the service was unusable
    services: tuple[str, ...] = ()  # where there is more than one; it counts once, and under each of them
    on_hold_seconds: float | None = None  # waiting for somebody outside, until it was resolved
    on_hold_business_seconds: float | None = None  # the same in open hours, as the platform counts them


@unchanging(kw_only=True)
class Change(Record):
    """A change to a service: a deployment or a change request."""

    LABELS = (*SEGMENTS, "service", "environment", "kind")
    DEFAULT_LABELS = ("team", "service", "environment")

    requested_at: datetime | None = None
    first_commit_at: datetime | None = None
    approved_at: datetime | None = None
    deployed_at: datetime | None = field(default=None, metadata=VITAL)
    result: ChangeResult | None = field(default=None, metadata=VITAL)
    service: str | None = field(default=None, metadata=SERVICE)
    environment: str | None = field(default=None, metadata={"published_as": "deploy_env"})
    kind: ChangeKind | None = None
    automated: bool | None = None
    unplanned: bool | None = None
    blocked_seconds: float | None = None
    services: tuple[str, ...] = ()  # where there is more than one; it counts once, and under each of them


@unchanging(kw_only=True)
class Run(Record):
    """One attempt of an automation; all attempts with one root_id are one logical run."""

    LABELS = (*SEGMENTS, "workflow", "owner")
    DEFAULT_LABELS = ("workflow", "team")

    workflow: str | None = None
    root_id: str | None = field(default=None, metadata=ID)
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
    owner: str | None = field(default=None, metadata={"published_as": "workflow_owner"})


@unchanging(kw_only=True)
class Workflow(Record):
    """Inventory: one automation. A dependency is written "kind:name", kind one of
    system, credential, api, person, plugin."""

    INVENTORY = True

    name: str | None = None
    enabled: bool | None = None
    owners: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    exportable: bool | None = None


@unchanging(kw_only=True)
class Booking(Record):
    """An appointment."""

    LABELS = (*SEGMENTS, "channel", "meeting_type")
    DEFAULT_LABELS = ("team", "channel")

    requested_at: datetime | None = None
    first_response_at: datetime | None = None
    booked_at: datetime | None = field(default=None, metadata=VITAL)
    starts_at: datetime | None = field(default=None, metadata=VITAL)
    ends_at: datetime | None = None
    cancelled_at: datetime | None = None
    outcome: BookingOutcome | None = field(default=None, metadata=VITAL)
    cancelled_by: CancelledBy | None = None
    attendance_marked: bool | None = None  # False: it could have been marked, and "attended" is presumed
    attendance_due_at: datetime | None = None  # from when on it counts that nobody marked it
    channel: str | None = None
    meeting_type: str | None = None
    host: str | None = field(default=None, metadata=PERSON)
    automated: bool | None = None
    conflict: bool | None = None  # double-booked
    reminders: int | None = None
    value: float | None = field(default=None, metadata=MONEY)
    currency: str | None = None
    opportunity_id: str | None = field(default=None, metadata=ID)


@unchanging(kw_only=True)
class Opportunity(Record):
    """One entry of the sales funnel, with the time at which it reached each stage."""

    LABELS = (*SEGMENTS, "channel")
    DEFAULT_LABELS = ("team", "channel")

    lead_at: datetime | None = field(default=None, metadata=VITAL)
    contacted_at: datetime | None = field(default=None, metadata=VITAL)
    booked_at: datetime | None = field(default=None, metadata=VITAL)
    attended_at: datetime | None = field(default=None, metadata=VITAL)
    qualified_at: datetime | None = field(default=None, metadata=VITAL)
    won_at: datetime | None = field(default=None, metadata=VITAL)
    lost_at: datetime | None = field(default=None, metadata=VITAL)
    amount: float | None = field(default=None, metadata=MONEY)
    currency: str | None = None
    channel: str | None = None
    automated: bool | None = None


@unchanging(kw_only=True)
class Account(Record):
    """A person's access to a rolled-out tool."""

    LABELS = (*SEGMENTS, "tool")
    DEFAULT_LABELS = ("tool", "team")
    INVENTORY = True
    ABOUT_PERSON = True

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


@unchanging(kw_only=True)
class Activity(Record):
    """What one person did in one tool on one day."""

    LABELS = (*SEGMENTS, "tool")
    DEFAULT_LABELS = ("tool", "team")
    ABOUT_PERSON = True

    tool: str | None = None
    person: str | None = field(default=None, metadata=PERSON)
    day: datetime | None = field(default=None, metadata=VITAL)  # its first instant
    tasks_done: int | None = None  # in the tool
    tasks_with_help: int | None = None  # of those done
    legacy_tasks: int | None = None  # done the old way, beside those


@unchanging(kw_only=True)
class Audit(Record):
    """An event that matters to security."""

    LABELS = (*SEGMENTS, "kind")
    DEFAULT_LABELS = ("team", "kind")

    occurred_at: datetime | None = field(default=None, metadata=VITAL)
    kind: AuditKind | None = None
    attributable: bool | None = None  # user and context are known
    expires_at: datetime | None = None


@unchanging(kw_only=True)
class Cost(Record):
    """Money, or working time, spent over a period."""

    LABELS = (*SEGMENTS, "workflow", "service", "kind")
    DEFAULT_LABELS = ("team", "workflow", "kind")

    period_start: datetime | None = field(default=None, metadata=VITAL)
    period_end: datetime | None = field(default=None, metadata=VITAL)
    amount: float | None = field(default=None, metadata=MONEY)
    currency: str | None = None
    kind: CostKind | None = None
    workflow: str | None = None
    service: str | None = field(default=None, metadata=SERVICE)
    effort_seconds: float | None = field(default=None, metadata=SUMMED)


@unchanging(kw_only=True)
class ServiceLevel(Record):
    """A reading of how available a service was, from something that measures it."""

    LABELS = (*SEGMENTS, "service", "tier")
    DEFAULT_LABELS = ("service", "tier")

    service: str | None = field(default=None, metadata=SERVICE)
    tier: str | None = None
    measured_at: datetime | None = field(default=None, metadata=VITAL)  # the end of the interval
    ratio: float | None = field(default=None, metadata=SHARE)
    interval_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Marks a record as what one event says of it, which happened at `at`; what it does not say stays as it is known.

    Of each column the value of the newest event counts, in whatever order they arrive; of those in `first` that of the
    earliest. `cleared`: columns that the event says are unknown, or no longer hold. `span`: the trace and the id of the
    event, if that can be inside of others. `step`: of two events in the same moment the one with the larger counts as
    the newer, for many senders write no fractions of a second.
    """

    at: datetime
    cleared: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    span: tuple[str, str] | None = None
    step: int = 0


@unchanging()
class Read:
    """A record beside the platform's own item it was read from; the configured segment mapping looks in the item.

    `place`: where the item stands, such as "line 2". `faults`: what of it could not be read. These are the client's.
    `part`: where it is not the whole record, but what one event says of it.
    """

    record: Record
    item: Json
    place: str = ""
    faults: tuple[Fault, ...] = ()
    scope: str = ""
    part: Part | None = None

    @property
    def key(self) -> str:
        """Identifies the record, or the event that it is part of, among all of its source when it is read again."""
        event = f" {self.part.at.isoformat()}" if self.part else ""
        return f"{type(self.record).__name__} {self.record.id}{event}"


def record_name(record_type: type[Record]) -> str:
    """`ServiceLevel` -> "service_level"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", record_type.__name__).lower()


RECORDS: Mapping[str, type[Record]] = {
    record_name(each): each
    for each in (
        *(Request, Incident, Change, Run, Workflow, Booking),
        *(Opportunity, Account, Activity, Audit, Cost, ServiceLevel),
    )
}
"""Record name (the table, the facts file, the KPI file) -> record type."""

if TYPE_CHECKING:
    RecordName = str
else:
    RecordName = Literal[tuple(RECORDS)]


def marked(record_type: type[Record], mark: str) -> tuple[str, ...]:
    """The columns of a record type that have this mark in their metadata."""
    return tuple(each.name for each in fields(record_type) if each.metadata.get(mark))


VITAL_COLUMNS: Mapping[type[Record], frozenset[str]] = {
    record: frozenset({"id", *marked(record, "vital")}) for record in RECORDS.values()
}
"""Record type -> the columns without which a record is left out, where they are there and cannot be read."""


def placing(record_type: type[Record]) -> tuple[str, ...]:
    """The columns whose times place a record in windows."""
    return tuple(f.name for f in fields(record_type) if f.metadata.get("vital") and "datetime" in str(f.type))


def times_of(record: Record) -> tuple[datetime, ...]:
    """The times that place a record, as far as they are known, or else the time of its last change."""
    names = (*placing(type(record)), "updated_at")
    known = [each for name in names if isinstance(each := getattr(record, name, None), datetime) and each.tzinfo]
    return tuple(known[:-1] if len(known) > 1 and known[-1] == record.updated_at else known)


def person_columns(record_type: type[Record]) -> tuple[str, ...]:
    """The columns of a record that name a person."""
    return marked(record_type, "person")


EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Work is done between these. Many systems write the year 1 or 9999 for never; which of them mean it, a config says."""


def instant(text: Any, zone: tzinfo | None = None) -> datetime | None:
    """An ISO 8601 text with an offset (or `Z`) as a UTC instant; None for None and "".

    Raises Unreadable for anything else, a text without an offset included: a guessed time zone is a wrong figure.
    `zone`: whose such texts are, where the platform says so; of an hour that a night in autumn has twice, the first.
    """
    if text is None or text == "":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Unreadable("not_a_time", f"{quoted(text)} is not a time, such as 2026-03-31T10:00:00Z") from None
    return bounded(moment if moment.tzinfo or zone is None else moment.replace(tzinfo=zone), text)


def bounded(moment: datetime, given: Any) -> datetime:
    """A time in UTC, if it is plausible (1970 to 2200). Raises Unreadable, quoting `given`, the time as written."""
    if moment.tzinfo is None:
        raise Unreadable("no_time_zone", f"{quoted(given)} has no time zone")
    if not EARLIEST <= moment < LATEST:
        raise Unreadable("out_of_bounds", f"{quoted(given)} is not between 1970 and 2200")
    return moment.astimezone(UTC)
