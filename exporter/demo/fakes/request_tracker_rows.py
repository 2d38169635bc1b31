"""The rows of a fake Request Tracker: tickets and transactions, what can be asked about them, how they are written."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from exporter.demo.fakes.request_tracker_sql import Column

API = "/REST/2.0"


@dataclass
class Ticket:
    """A ticket as RT keeps it. `resolved` stays when a ticket is opened again."""

    id: int
    queue: str
    requestors: list[str]
    creator: str
    created: datetime | None
    updated: datetime
    status: str = "new"
    owner: str = "Nobody"
    priority: int = 0
    resolved: datetime | None = None
    due: datetime | None = None
    minutes: int = 0
    sla: str = ""
    fields: dict[str, list[str]] = field(default_factory=dict)
    type: Literal["ticket", "reminder", "approval"] = "ticket"
    merged_into: int | None = None


@dataclass
class Transaction:
    """Something that happened to a ticket."""

    id: int
    ticket: int
    kind: str
    creator: str
    created: datetime
    field: str = ""
    old: str = ""
    new: str = ""
    minutes: int = 0


TICKET = {
    "id": Column(int, lambda row: row.id),
    "Queue": Column(str, lambda row: row.queue),
    "Status": Column(str, lambda row: row.status),
    "Type": Column(str, lambda row: row.type),
    "Owner": Column(str, lambda row: row.owner),
    "Creator": Column(str, lambda row: row.creator),
    "Priority": Column(int, lambda row: row.priority),
    "Created": Column(datetime, lambda row: row.created),
    "Resolved": Column(datetime, lambda row: row.resolved),
    "Due": Column(datetime, lambda row: row.due),
    "LastUpdated": Column(datetime, lambda row: row.updated),
}
TRANSACTION = {
    "id": Column(int, lambda row: row.id),
    "ObjectId": Column(int, lambda row: row.ticket),
    "ObjectType": Column(str, lambda _: "RT::Ticket"),
    "Type": Column(str, lambda row: row.kind),
    "Field": Column(str, lambda row: row.field),
    "OldValue": Column(str, lambda row: row.old),
    "NewValue": Column(str, lambda row: row.new),
    "Creator": Column(str, lambda row: row.creator),
    "Created": Column(datetime, lambda row: row.created),
}


def ticket_fields(ticket: Ticket, base: str, queue: dict[str, Any], queue_id: str) -> dict[str, Any]:
    """Everything about a ticket as RT writes it: numbers and ids as text, no date as the epoch, lists even of one."""
    return {
        "Status": ticket.status,
        "Type": ticket.type,
        "Queue": linked(base, "queue", queue_id) | queue,
        "Owner": linked(base, "user", ticket.owner),
        "Creator": linked(base, "user", ticket.creator),
        "Requestor": [linked(base, "user", name) for name in ticket.requestors],
        "Priority": str(ticket.priority),
        "Created": stamp(ticket.created),
        "Resolved": stamp(ticket.resolved),
        "Due": stamp(ticket.due),
        "LastUpdated": stamp(ticket.updated),
        "TimeWorked": str(ticket.minutes),
        "SLA": ticket.sla,
        "EffectiveId": str(ticket.merged_into or ticket.id),
        "CustomFields": [
            linked(base, "customfield", str(number)) | {"name": name, "values": values}
            for number, (name, values) in enumerate(ticket.fields.items(), 2)
        ]
        or "",
    }


def transaction_fields(row: Transaction, base: str) -> dict[str, Any]:
    """Everything about a transaction. `Object` is empty in lists."""
    return {
        "Type": row.kind,
        "Field": row.field,
        "OldValue": row.old,
        "NewValue": row.new,
        "Created": stamp(row.created),
        "Creator": linked(base, "user", row.creator),
        "ObjectType": "RT::Ticket",
        "ObjectId": str(row.ticket),
        "TimeTaken": str(row.minutes),
    }


def linked(base: str, kind: str, key: str) -> dict[str, Any]:
    return {"type": kind, "id": key, "_url": f"{base}{API}/{kind}/{key}"}


def stamp(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else "1970-01-01T00:00:00Z"
