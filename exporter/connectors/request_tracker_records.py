"""Request Tracker: a ticket, read together with its transactions, as a request."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from exporter.records import HandledBy, Json, Read, Request, RequestOutcome, instant

SYSTEM = "RT_System"  # acts for RT itself: opens a ticket at the first reply, closes it from a cron job
STATUS: dict[str, RequestOutcome] = {
    "new": "open",
    "open": "open",
    "stalled": "open",
    "resolved": "resolved",
    "rejected": "abandoned",
}
ENDED = ("resolved", "abandoned", "discarded")


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """What names mean on one instance."""

    url: str
    bots: Collection[str]
    statuses: Mapping[str, RequestOutcome]  # beside or over STATUS
    tiers: Collection[str]  # ids of the queues a move to which is an escalation; none = every one
    waiting: Collection[str]  # statuses in which a ticket is on hold


def read(words: Words, item: Json) -> Read:
    """A ticket, given with its transactions (None: they could not be read), as a request.

    The custom fields are given by name, for the segment mapping.
    """
    fields = {field["name"]: field["values"] for field in item["CustomFields"] or ()}  # "" where none may be seen
    return Read(request(words, item), item | {"CustomFields": fields})


def request(words: Words, ticket: Json) -> Request:
    statuses = {**STATUS, **words.statuses}
    outcome, history = statuses[ticket["Status"]], ticket["Transactions"] or ()
    known = ticket["Transactions"] is not None
    # `Resolved` is set by every inactive status and stays set when the ticket is opened again.
    ended_at = moment(ticket["Resolved"]) if outcome != "open" else None
    due_at = moment(ticket["Due"])
    moves = [t for t in history if t["Field"] == "Queue" and (not words.tiers or t["NewValue"] in words.tiers)]
    turns = [(statuses.get(t["OldValue"]), statuses.get(t["NewValue"])) for t in history if t["Type"] == "Status"]
    ends = [t for t in history if t["Type"] == "Status" and statuses.get(t["NewValue"], "open") != "open"]
    staff = [t for t in history if t["Creator"]["id"] not in {SYSTEM, *(who["id"] for who in ticket["Requestor"])}]
    answers = [t for t in staff if t["Type"] == "Correspond"]
    handler = handled_by(words.bots, staff, ends)
    minutes = int(ticket["TimeWorked"] or 0)
    return Request(
        id=str(ticket["id"]),
        url=f"{words.url}/Ticket/Display.html?id={ticket['id']}",
        updated_at=moment(ticket["LastUpdated"]),
        kind="ticket",
        opened_at=moment(ticket["Created"]),
        first_response_at=moment(answers[0]["Created"]) if answers else None,
        resolved_at=ended_at if outcome == "resolved" else None,
        abandoned_at=ended_at if outcome == "abandoned" else None,
        closed_at=ended_at,
        escalated_at=moment(moves[0]["Created"]) if moves else None,
        reopen_count=sum(before in ENDED and after == "open" for before, after in turns) if known else None,
        replies=len(answers) if known else None,
        priority=ticket["Priority"] or None,
        requester=next((who["id"] for who in ticket["Requestor"] if who["type"] == "user"), None),
        handled_by=handler,
        outcome=outcome,
        self_service=answers[0]["Creator"]["id"] in words.bots if answers else handler == "automation" or None,
        # Nobody booked time: unknown, except where nobody had any to book.
        human_seconds=minutes * 60.0 if minutes or handler == "automation" else None,
        sla_breached=ended_at > due_at if ended_at and due_at else None,
        on_hold_seconds=on_hold(words, ticket, ended_at) if ended_at and known else None,
    )


def on_hold(words: Words, ticket: Json, until: datetime) -> float | None:
    """Seconds from the opening that a ticket stood in a status of waiting; None where a change of status is missing."""
    changes = [t for t in ticket["Transactions"] if t["Type"] == "Status"]
    status, since = changes[0]["OldValue"] if changes else ticket["Status"], moment(ticket["Created"])
    seconds = 0.0
    for change in changes:
        at = moment(change["Created"])
        if change["OldValue"] != status or since is None or at is None:
            return None
        if status in words.waiting:
            seconds += (min(at, until) - min(since, until)).total_seconds()
        status, since = change["NewValue"], at
    return seconds if status == ticket["Status"] else None


def handled_by(bots: Collection[str], staff: Sequence[Json], ends: Sequence[Json]) -> HandledBy | None:
    """Who did the work: a person by any act, a bot by speaking or closing (not by sorting); None: nobody yet."""
    people = any(t["Creator"]["id"] not in bots for t in staff)
    bot = any(t["Creator"]["id"] in bots and (t["Type"] in ("Correspond", "Comment") or t in ends) for t in staff)
    if people:
        return "assisted" if bot else "human"
    return "automation" if bot or (ends and ends[-1]["Creator"]["id"] in {SYSTEM, *bots}) else None


def moment(text: str) -> datetime | None:
    """RT writes a date that is not set as the epoch."""
    return None if text.startswith("1970-01-01") else instant(text)
