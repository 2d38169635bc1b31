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
         as staff's. Whether a deadline that was moved had been missed. Time nobody booked on the ticket. Time on hold
         of a ticket that is open, or of whose changes of status the user sees only some; how much was in open hours.
         With $UseSQLForACLChecks off, 100 transactions in a row that the user may not see hide what follows.
Checked  Recorded answers of 5.0.3; a running 5.0.3.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from exporter.client import Client, NotUnderstood, listed
from exporter.connectors.contract import Cursor, Page
from exporter.connectors.request_tracker_records import Words, read
from exporter.records import Json, Read, Request, RequestOutcome

RECORDS = (Request,)
FIELDS = {
    "tickets": "Status,Queue,Owner,Requestor,Priority,Created,Resolved,Due,LastUpdated,TimeWorked,SLA,CustomFields",
    "transactions": "Type,Field,OldValue,NewValue,Created,Creator,ObjectId",
}
CHANGES = "ObjectType = 'RT::Ticket' AND Type != 'EmailRecord' AND Type != 'CommentEmailRecord'"
HISTORY = "Type = 'Correspond' OR Type = 'Comment' OR Type = 'Status' OR (Type = 'Set' AND Field = 'Queue')"
EMPTY_PAGES = 100  # in a row; rows that the user may not see make some


@dataclass(frozen=True, kw_only=True)
class Options:
    queues: tuple[str, ...] = ()  # names; none = every queue the user sees. Name the second line's too
    bots: tuple[str, ...] = ()  # users that are automation
    escalation_queues: tuple[str, ...] = ()  # a move to one of these is an escalation; none = every move is
    statuses: Mapping[str, RequestOutcome] = field(default_factory=dict)  # of lifecycles other than RT's default
    on_hold_statuses: tuple[str, ...] = ("stalled",)  # in which a ticket waits for its requester or a third party
    page_size: Annotated[int, Field(ge=1, le=100)] = 100  # RT answers 100 to more
    overlap: Annotated[int, Field(ge=0, le=5000)] = 200  # transaction ids looked at again every poll


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    tiers = {str((await client.get(f"/REST/2.0/queue/{quote(q)}"))["id"]) for q in options.escalation_queues}
    words = Words(
        url=client.url, bots=options.bots, statuses=options.statuses, tiers=tiers, waiting=options.on_hold_statuses
    )
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
        expected = None
        async for tickets, left in search(client, "tickets", query, size, cursor.get("after", 0)):
            expected = expected or left
            reads = await with_history(client, words, tickets)
            yield Page(reads, {"newest": newest, "after": int(tickets[-1]["id"])}, total=expected)
        yield Page([], {"newest": newest, "seen": []})
    seen = set(cursor.get("seen", ()))
    floor = newest - options.overlap
    async for transactions, _ in search(client, "transactions", CHANGES, size, max(floor, 0)):
        ids, about = numbers("/transactions", transactions, "id"), numbers("/transactions", transactions, "ObjectId")
        changed = {ticket for id_, ticket in zip(ids, about, strict=True) if id_ not in seen}
        query = f"{wanted} AND {any_of('id', changed)}"
        found = [t async for page, _ in search(client, "tickets", query) for t in page] if changed else []
        # Deleted, merged into another or moved to a queue that is not wanted: the search does not find it.
        gone = [(Request, str(id_)) for id_ in sorted(changed - {int(ticket["id"]) for ticket in found})]
        newest = max(newest, *ids)
        seen = {id_ for id_ in seen.union(ids) if id_ > newest - options.overlap}
        reads = await with_history(client, words, found)
        yield Page(reads, {"newest": newest, "seen": sorted(seen)}, gone)


async def newest_transaction(client: Client) -> int:
    path = "/REST/2.0/transactions"
    answer = await client.get(path, {"query": CHANGES, "orderby": "id", "order": "DESC", "per_page": 1})
    return max(numbers(path, listed(path, answer, "items"), "id"), default=0)


async def search(
    client: Client, what: str, query: str, size: int = 100, after: int = 0
) -> AsyncIterator[tuple[list[Json], int | None]]:
    """Pages of what the query finds above the id `after`, in order of id; with each, how many were left, if known.

    Each page is asked for by the last id, not by number: rows that leave the result meanwhile would shift the pages.
    """
    path, page = f"/REST/2.0/{what}", 1
    asked: dict[str, str | int] = {"orderby": "id", "per_page": size, "fields": FIELDS[what], "fields[Queue]": "Name"}
    while True:
        answer = await client.get(path, asked | {"query": f"({query}) AND id > {after}", "page": page})
        items = listed(path, answer, "items")
        ids = numbers(path, items, "id")
        if ids != sorted(ids) or (ids and ids[0] <= after):
            raise NotUnderstood(f"{path}: the items are not in the order asked for; is this RT 5.0.2 or later?")
        left = answer.get("total")
        if items:
            yield items, left
        # Without a total (rights checked row by row), RT before 5.0.5 names no next page where there is one, and later
        # ones name one behind an empty page. Never "until empty" by number: past the end some answer the last page.
        following = bool(answer.get("next_page"))
        if not following and (not items or left is not None):
            return
        if page > EMPTY_PAGES:
            raise NotUnderstood(f"{path}: {EMPTY_PAGES} empty pages, and still another is named")
        after, page = (ids[-1], 1) if items else (after, page + 1)


async def with_history(client: Client, words: Words, tickets: Sequence[Json]) -> list[Read]:
    """The tickets as requests, read together with their transactions."""
    if not tickets:
        return []
    history: dict[int, list[Json]] = defaultdict(list)
    query = f"ObjectType = 'RT::Ticket' AND {any_of('ObjectId', (int(t['id']) for t in tickets))} AND ({HISTORY})"
    async for transactions, _ in search(client, "transactions", query):
        for about, transaction in zip(numbers("/transactions", transactions, "ObjectId"), transactions, strict=True):
            history[about].append(transaction)
    told = [ticket | {"Transactions": history[int(ticket["id"])]} for ticket in tickets]
    return client.each(told, partial(read, words))


def numbers(path: str, items: Sequence[Json], name: str) -> list[int]:
    """Ids, which RT writes as text."""
    try:
        return [int(item[name]) for item in items]
    except (KeyError, ValueError, TypeError):
        raise NotUnderstood(f"{path}: an item without a number as its {name}") from None


def any_of(column: str, values: Iterable[int | str]) -> str:
    return "(" + " OR ".join(f"{column} = {value}" for value in values) + ")"


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
