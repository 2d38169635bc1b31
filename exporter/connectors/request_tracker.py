"""Request Tracker (RT 5.0.2 and later): a ticket is a request.

API      REST 2.0; a token or basic auth. The user needs ShowTicket, ShowTicketComments, SeeQueue and SeeCustomField on
         every queue that tickets live in or move to; it need not be a superuser.
Polls    First: GET /tickets that are active or changed since the start of the history, by id, and for each 100 of them
         one search of /transactions. Then: GET /transactions above the last id known, and for each 100 of them the
         tickets they are about and those tickets' transactions. A quiet poll is two or three requests.
Cursor   newest: the highest transaction id stored.  seen: the ids just below it, because a slow database transaction
         shows up late, below newer ids.  after: during the first sync, the highest ticket id stored.
Blind    A ticket moved out of the user's sight, or shredded, stays as last seen. Of a ticket resolved twice only the
         last resolution is known. Replies written on a ticket before it was merged into another. A reply by a Cc counts
         as staff's. Whether a deadline that was moved had been missed. Time nobody booked on the ticket.
         With $UseSQLForACLChecks off, 100 transactions in a row that the user may not see hide what follows.
Checked  Recorded answers of 5.0.3; a running 5.0.3.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from exporter.client import Client, NotUnderstood, listed
from exporter.connectors.contract import Cursor, Page
from exporter.records import HandledBy, Json, Read, Request, RequestOutcome, instant

RECORDS = (Request,)
FIELDS = {
    "tickets": "Status,Queue,Owner,Requestor,Priority,Created,Resolved,Due,LastUpdated,TimeWorked,SLA,CustomFields",
    "transactions": "Type,Field,OldValue,NewValue,Created,Creator,ObjectId",
}
CHANGES = "ObjectType = 'RT::Ticket' AND Type != 'EmailRecord' AND Type != 'CommentEmailRecord'"
HISTORY = "Type = 'Correspond' OR Type = 'Comment' OR Type = 'Status' OR (Type = 'Set' AND Field = 'Queue')"
SYSTEM = "RT_System"  # acts for RT itself: opens a ticket at the first reply, closes it from a cron job
STATUS: dict[str, RequestOutcome] = {
    "new": "open",
    "open": "open",
    "stalled": "open",
    "resolved": "resolved",
    "rejected": "abandoned",
}
ENDED = ("resolved", "abandoned", "discarded")


@dataclass(frozen=True, kw_only=True)
class Options:
    queues: tuple[str, ...] = ()  # names; none = every queue the user sees. Name the second line's too
    bots: tuple[str, ...] = ()  # users that are automation
    escalation_queues: tuple[str, ...] = ()  # a move to one of these is an escalation; none = every move is
    statuses: Mapping[str, RequestOutcome] = field(default_factory=dict)  # of other lifecycles, beside or over STATUS
    page_size: Annotated[int, Field(ge=1, le=100)] = 100  # RT answers 100 to more
    overlap: Annotated[int, Field(ge=0, le=5000)] = 200  # transaction ids looked at again every poll


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    tiers = {str((await client.get(f"/REST/2.0/queue/{quote(q)}"))["id"]) for q in options.escalation_queues}
    wanted = "Type = 'ticket'"
    if options.queues:
        wanted += f" AND {any_of('Queue', map(quoted, options.queues))}"
    # Taken before the tickets are read: what happens meanwhile is looked at again.
    newest: int = cursor["newest"] if "newest" in cursor else await newest_transaction(client)
    size = options.page_size
    if "seen" not in cursor:
        # RT reads a date in the user's own time zone; a day more covers every zone.
        since = f"{client.since - timedelta(days=1):%Y-%m-%d %H:%M:%S}"
        query = f"{wanted} AND (LastUpdated >= '{since}' OR Status = '__Active__')"
        async for tickets in search(client, "tickets", query, size, cursor.get("after", 0)):
            reads = await with_history(client, options, tiers, tickets)
            yield Page(reads, {"newest": newest, "after": int(tickets[-1]["id"])})
        yield Page([], {"newest": newest, "seen": []})
    seen = set(cursor.get("seen", ()))
    floor = newest - options.overlap
    async for transactions in search(client, "transactions", CHANGES, size, max(floor, 0)):
        ids = {int(transaction["id"]) for transaction in transactions}
        changed = {int(transaction["ObjectId"]) for transaction in transactions if int(transaction["id"]) not in seen}
        query = f"{wanted} AND {any_of('id', changed)}"
        found = [t async for page in search(client, "tickets", query) for t in page] if changed else []
        # Deleted, merged into another or moved to a queue that is not wanted: the search does not find it.
        gone = [(Request, str(id_)) for id_ in sorted(changed - {int(ticket["id"]) for ticket in found})]
        newest = max(newest, *ids)
        seen = {id_ for id_ in seen | ids if id_ > newest - options.overlap}
        reads = await with_history(client, options, tiers, found)
        yield Page(reads, {"newest": newest, "seen": sorted(seen)}, gone)


async def newest_transaction(client: Client) -> int:
    path = "/REST/2.0/transactions"
    answer = await client.get(path, {"query": CHANGES, "orderby": "id", "order": "DESC", "per_page": 1})
    items = listed(path, answer, "items")
    return int(items[0]["id"]) if items else 0


async def search(client: Client, what: str, query: str, size: int = 100, after: int = 0) -> AsyncIterator[list[Json]]:
    """Pages of what the query finds above the id `after`, in order of id.

    Each page is asked for by the last id, not by number: rows that leave the result meanwhile would shift the pages.
    """
    path, page = f"/REST/2.0/{what}", 1
    asked: dict[str, str | int] = {"orderby": "id", "per_page": size, "fields": FIELDS[what], "fields[Queue]": "Name"}
    while True:
        answer = await client.get(path, asked | {"query": f"({query}) AND id > {after}", "page": page})
        items = listed(path, answer, "items")
        ids = [int(item["id"]) for item in items]
        if ids != sorted(ids) or (ids and ids[0] <= after):
            raise NotUnderstood(f"{path}: the items are not in the order asked for; is this RT 5.0.2 or later?")
        if items:
            yield items
        # Without a total (rights checked row by row), RT before 5.0.5 names no next page where there is one, and later
        # ones name one behind an empty page. Never "until empty" by number: past the end some answer the last page.
        following = bool(answer.get("next_page"))
        if not following and (not items or answer.get("total") is not None):
            return
        after, page = (ids[-1], 1) if items else (after, page + 1)


async def with_history(client: Client, options: Options, tiers: set[str], tickets: Sequence[Json]) -> list[Read]:
    """The tickets as requests, read together with their transactions."""
    if not tickets:
        return []
    history: dict[int, list[Json]] = defaultdict(list)
    query = f"ObjectType = 'RT::Ticket' AND {any_of('ObjectId', (int(t['id']) for t in tickets))} AND ({HISTORY})"
    async for transactions in search(client, "transactions", query):
        for transaction in transactions:
            history[int(transaction["ObjectId"])].append(transaction)
    told = [ticket | {"Transactions": history[int(ticket["id"])]} for ticket in tickets]
    return client.each(told, partial(read, client.url, options, tiers))


def read(url: str, options: Options, tiers: set[str], item: Json) -> Read:
    """A ticket, given with its transactions, as a request; the custom fields by name, for the segment mapping."""
    fields = {field["name"]: field["values"] for field in item["CustomFields"] or ()}  # "" where none may be seen
    return Read(request(url, options, tiers, item), item | {"CustomFields": fields})


def request(url: str, options: Options, tiers: set[str], ticket: Json) -> Request:
    statuses = {**STATUS, **options.statuses}
    outcome, history = statuses[ticket["Status"]], ticket["Transactions"]
    # `Resolved` is set by every inactive status and stays set when the ticket is opened again.
    ended_at = moment(ticket["Resolved"]) if outcome != "open" else None
    due_at = moment(ticket["Due"])
    moves = [t for t in history if t["Type"] == "Set" and (not tiers or t["NewValue"] in tiers)]
    turns = [(statuses.get(t["OldValue"]), statuses.get(t["NewValue"])) for t in history if t["Type"] == "Status"]
    ends = [t for t in history if t["Type"] == "Status" and statuses.get(t["NewValue"], "open") != "open"]
    staff = [t for t in history if t["Creator"]["id"] not in {SYSTEM, *(who["id"] for who in ticket["Requestor"])}]
    answers = [t for t in staff if t["Type"] == "Correspond"]
    handler = handled_by(options.bots, staff, ends)
    minutes = int(ticket["TimeWorked"] or 0)
    return Request(
        id=str(ticket["id"]),
        url=f"{url}/Ticket/Display.html?id={ticket['id']}",
        updated_at=moment(ticket["LastUpdated"]),
        kind="ticket",
        opened_at=moment(ticket["Created"]),
        first_response_at=moment(answers[0]["Created"]) if answers else None,
        resolved_at=ended_at if outcome == "resolved" else None,
        abandoned_at=ended_at if outcome == "abandoned" else None,
        closed_at=ended_at,
        escalated_at=moment(moves[0]["Created"]) if moves else None,
        reopen_count=sum(before in ENDED and after == "open" for before, after in turns),
        replies=len(answers),
        priority=ticket["Priority"] or None,
        requester=next((who["id"] for who in ticket["Requestor"] if who["type"] == "user"), None),
        handled_by=handler,
        outcome=outcome,
        self_service=answers[0]["Creator"]["id"] in options.bots if answers else handler == "automation" or None,
        # Nobody booked time: unknown, except where nobody had any to book.
        human_seconds=minutes * 60.0 if minutes or handler == "automation" else None,
        sla_breached=ended_at > due_at if ended_at and due_at else None,
    )


def handled_by(bots: Sequence[str], staff: Sequence[Json], ends: Sequence[Json]) -> HandledBy | None:
    """Who did the work: a person by any act, a bot by speaking or closing (not by sorting); None: nobody yet."""
    people = any(t["Creator"]["id"] not in bots for t in staff)
    bot = any(t["Creator"]["id"] in bots and (t["Type"] in ("Correspond", "Comment") or t in ends) for t in staff)
    if people:
        return "assisted" if bot else "human"
    return "automation" if bot or (ends and ends[-1]["Creator"]["id"] == SYSTEM) else None


def moment(text: str) -> datetime | None:
    """RT writes a date that is not set as the epoch."""
    return None if text.startswith("1970-01-01") else instant(text)


def any_of(column: str, values: Iterable[int | str]) -> str:
    return "(" + " OR ".join(f"{column} = {value}" for value in values) + ")"


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
