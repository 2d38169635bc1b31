"""Request Tracker: a ticket, read together with its transactions, as a request."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from exporter.records import HandledBy, Json, Read, Request, RequestOutcome, instant, unreadable
from exporter.records.unreadable import value

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
    fields = value("CustomFields", custom_fields, item["CustomFields"])
    return Read(request(words, item), item | {"CustomFields": fields})


def custom_fields(given: Json) -> Json:
    """Their values by name; none where none may be seen, which RT writes as ""."""
    return {field["name"]: field["values"] for field in given or ()}


def request(words: Words, ticket: Json) -> Request:
    statuses = unreadable.Words[RequestOutcome]("outcome", {**STATUS, **words.statuses})
    outcome = statuses[ticket["Status"]]
    # `Resolved` is set by every inactive status and stays set when the ticket is opened again.
    ended_at = value("closed_at", moment, ticket["Resolved"]) if outcome != "open" else None
    due_at = value("sla_breached", moment, ticket["Due"])
    told = value("replies", partial(history, words, statuses, ticket), ticket["Transactions"]) or {}
    minutes = value("human_seconds", int, ticket["TimeWorked"] or 0)
    return Request(
        id=str(ticket["id"]),
        url=f"{words.url}/Ticket/Display.html?id={ticket['id']}",
        updated_at=value("updated_at", moment, ticket["LastUpdated"]),
        kind="ticket",
        opened_at=value("opened_at", moment, ticket["Created"]),
        resolved_at=ended_at if outcome == "resolved" else None,
        abandoned_at=ended_at if outcome == "abandoned" else None,
        closed_at=ended_at,
        priority=ticket["Priority"] or None,
        requester=value("requester", requester, ticket["Requestor"]),
        outcome=outcome,
        human_seconds=booked(minutes, told.get("handled_by")),
        sla_breached=ended_at > due_at if ended_at and due_at else None,
        on_hold_seconds=value("on_hold_seconds", partial(on_hold, words, ticket), ended_at) if told else None,
        **told,
    )


def booked(minutes: int | None, handler: HandledBy | None) -> float | None:
    """Seconds of work. Where nobody booked any they are unknown, except where nobody had any to book."""
    if minutes == 0:
        return 0.0 if handler == "automation" else None
    return minutes and minutes * 60.0


def requester(people: Sequence[Json]) -> str | None:
    return next((who["id"] for who in people if who["type"] == "user"), None)


def history(
    words: Words, statuses: Mapping[str, RequestOutcome], ticket: Json, transactions: Sequence[Json] | None
) -> Json:
    """What a ticket's transactions tell, by column; nothing where they could not be read."""
    if transactions is None:
        return {}
    moves = [t for t in transactions if t["Field"] == "Queue" and (not words.tiers or t["NewValue"] in words.tiers)]
    changes = [t for t in transactions if t["Type"] == "Status"]
    turns = [(statuses.get(t["OldValue"]), statuses.get(t["NewValue"])) for t in changes]
    ends = [t for t in changes if statuses.get(t["NewValue"]) in ENDED]
    askers = {who["id"] for who in ticket["Requestor"]}
    staff = [t for t in transactions if t["Creator"]["id"] not in {SYSTEM, *askers}]
    answers = [t for t in staff if t["Type"] == "Correspond"]
    handler = handled_by(words.bots, staff, ends)
    return {
        "first_response_at": moment(answers[0]["Created"]) if answers else None,
        "escalated_at": moment(moves[0]["Created"]) if moves else None,
        "reopen_count": sum(before in ENDED and after == "open" for before, after in turns),
        "replies": len(answers),
        "handled_by": handler,
        "self_service": answers[0]["Creator"]["id"] in words.bots if answers else handler == "automation" or None,
    }


def on_hold(words: Words, ticket: Json, until: datetime | None) -> float | None:
    """Seconds from the opening that a ticket stood in a status of waiting; None where a change of status is missing."""
    if until is None:
        return None
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
