"""Request Tracker (RT 5.0.2 and later): a ticket is a request.

API      REST 2.0; a token or basic auth.
Access   A privileged user of its own, not a superuser, with ShowTicket, ShowTicketComments, SeeQueue and SeeCustomField
         on every queue that tickets are in or move to. It creates its token under Logged in as > Settings > Auth
         Tokens, for which it needs ManageAuthTokens; or an administrator does, under Admin > Users > (user) > Auth
         Tokens.
Polls    The first poll: GET /tickets that are active or changed since the start of the history, by id, and one search
         of /transactions for each 100 of them. Later ones: GET /transactions back beyond the last known ones, and for
         each 100 of them their tickets and the transactions of those. A quiet poll is two or three requests.
Cursor   recent: the newest transactions, by id, with their times, because a slow database transaction appears late,
         below newer ids.  after: during the first sync, the highest ticket id stored.  owed: tickets that could not be
         read, or whose history could not.
Blind    A ticket that was shredded, or moved where the user cannot see it, stays as last seen. So does, after a
         restore, a ticket opened since the backup, until another gets its id. A ticket whose history cannot be read
         counts as unanswered. If a ticket was resolved twice, only the last resolution is known. Replies written on a
         ticket before it was merged into another. A reply by a Cc counts as one by staff. Whether a deadline had been
         missed before it was moved. Time that nobody recorded on the ticket. Time on hold of an open ticket, or of one
         whose changes of status the user sees only in part; how much of it was in open hours. With
         $UseSQLForACLChecks off, 100 transactions in a row that the user may not see hide those after them.
Checked  Recorded answers of 5.0.3; a running 5.0.3. 5.0.8: a fake that pages as it does.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from exporter.collect import paging
from exporter.collect.auth import Scheme
from exporter.collect.contract import LATER, Cursor, Page
from exporter.collect.details import Details
from exporter.collect.finding import Finding, look
from exporter.collect.http import Answer, Client, NotUnderstood
from exporter.collect.recent import Recent
from exporter.connectors.request_tracker.mapping import Words, read
from exporter.records import Json, Read, Request, RequestOutcome
from exporter.records.unreadable import ODD

RECORDS = (Request,)
AUTH = Scheme(token=("Authorization", "token {}"))
FIELDS = {
    "tickets": "Status,Queue,Owner,Requestor,Priority,Created,Resolved,Due,LastUpdated,TimeWorked,SLA,CustomFields",
    "transactions": "Type,Field,OldValue,NewValue,Created,Creator,ObjectId",
}
CHANGES = "ObjectType = 'RT::Ticket' AND Type != 'EmailRecord' AND Type != 'CommentEmailRecord'"
HISTORY = "Type = 'Correspond' OR Type = 'Comment' OR Type = 'Status' OR (Type = 'Set' AND Field = 'Queue')"
OLDEST = (5, 0, 2)
EMPTY_PAGES = 100  # in a row; rows that the user may not see make some


@dataclass(frozen=True, kw_only=True)
class Options:
    queues: tuple[str, ...] = ()  # names; none = every queue the user sees. Name the second line's too
    bots: tuple[str, ...] = ()  # users that are automation
    escalation_queues: tuple[str, ...] = ()  # a move to one of these is an escalation; none = every move is
    statuses: Mapping[str, RequestOutcome] = field(default_factory=dict)  # of lifecycles other than RT's default
    # in which a ticket waits for its requester or a third party
    on_hold_statuses: tuple[str, ...] = field(default=("stalled",), metadata=LATER)
    page_size: Annotated[int, Field(ge=1, le=100)] = 100  # RT answers 100 to more
    overlap: Annotated[int, Field(ge=0, le=5000)] = 200  # the newest transactions, looked at again every poll


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    tiers = {str((await client.get(f"/REST/2.0/queue/{quote(q)}"))["id"]) for q in options.escalation_queues}
    words = Words(
        url=client.url, bots=options.bots, statuses=options.statuses, tiers=tiers, waiting=options.on_hold_statuses
    )
    tickets = Tickets(client, words, wanted(options), Details(client, cursor.get("owed", {})))
    details = tickets.details
    # Taken before the tickets are read: what happens meanwhile is looked at again.
    known = cursor["recent"] if "recent" in cursor else await newest_transactions(client, options.overlap)
    if "recent" not in cursor or "after" in cursor:
        # RT reads a date in the user's own time zone; a day more covers every zone.
        since = f"{client.since - timedelta(days=1):%Y-%m-%d %H:%M:%S}"
        query = f"{wanted(options)} AND (LastUpdated >= '{since}' OR Status = '__Active__')"
        expected = None
        async for found, left in search(client, "tickets", query, options.page_size, cursor.get("after", 0)):
            expected = expected or left
            reads = await tickets.reads(found)
            place = {"recent": known, "after": int(found[-1]["id"]), "owed": details.to_cursor()}
            yield Page(reads, place, total=expected)
        yield Page([], {"recent": known, "owed": details.to_cursor()})
    recent = Recent(known, options.overlap)
    async for transactions, _ in search(client, "transactions", CHANGES, options.page_size, max(recent.floor - 1, 0)):
        made = {t["id"]: t.get("Created") or None for t in transactions}
        changed = {int(t["ObjectId"]) for t in transactions if known.get(t["id"]) != made[t["id"]] or not made[t["id"]]}
        for id_, at in made.items():
            recent.saw(int(id_), at)
        known = {**known, **made}
        reads, gone = await tickets.named(changed)
        yield Page(reads, {"recent": known, "owed": details.to_cursor()}, gone)
    recent.check("transactions", {})
    reads, gone = await tickets.named(int(key) for key in details.again if key in details.owed)
    yield Page(reads, {"recent": recent.stamps(), "owed": details.to_cursor()}, gone)


async def check(client: Client, options: Options) -> list[Finding]:
    """The version, the queues that are named, and what the user sees of a ticket and of its history."""
    told, findings = await look("version", client.get("/REST/2.0/rt"), needs="to be a privileged user")
    if told:
        version = str(told.get("Version"))[:40]
        old = tuple(int(part) for part in re.findall(r"\d+", version)[:3]) < OLDEST
        findings.append(Finding("version", version + ("; RT 5.0.2 or later is needed" if old else ""), wrong=old))
    for name in dict.fromkeys((*options.queues, *options.escalation_queues)):
        findings += (await look(f"queue {name}", client.get(f"/REST/2.0/queue/{quote(name)}"), needs="SeeQueue"))[1]
    ticket, found = await first(client, "tickets", wanted(options), needs="ShowTicket on the queues")
    findings += found
    if ticket:
        if not ticket["Queue"].get("Name"):
            findings.append(Finding("queues", "are shown without their names; the user needs SeeQueue", wrong=True))
        if not ticket["CustomFields"]:
            findings.append(
                Finding("custom fields", "none is shown; where there are some, the user needs SeeCustomField")
            )
        change = f"({CHANGES}) AND ObjectId = {int(ticket['id'])}"
        findings += (await first(client, "transactions", change, needs="ShowTicket and ShowTicketComments"))[1]
    return findings


async def first(client: Client, what: str, query: str, *, needs: str) -> tuple[Json, list[Finding]]:
    """One of the things that a query finds. RT leaves out what a user may not see, and does not say so."""
    question: dict[str, str | int] = {"query": query, "orderby": "id", "order": "DESC", "per_page": 1}
    question |= {"orderby": "id", "fields": FIELDS[what], "fields[Queue]": "Name"}
    page, found = await look(what, client.ask(f"/REST/2.0/{what}", question), needs=needs)
    items = page.listed("items") if page else []
    none = Finding(what, f"none is shown; if there are any, the user needs {needs}", wrong=True)
    return (items[0] if items else None), found or [Finding(what, "the first page is read") if items else none]


def wanted(options: Options) -> str:
    """What finds the tickets of the queues that are named."""
    queues = f" AND {any_of('Queue', map(quoted, options.queues))}" if options.queues else ""
    return f"Type = 'ticket'{queues}"


async def newest_transactions(client: Client, depth: int) -> dict[str, str]:
    """Their ids and times."""
    path = "/REST/2.0/transactions"
    question: dict[str, str | int] = {"query": CHANGES, "orderby": "id", "order": "DESC", "fields": "Created"}
    answer = await client.ask(path, question | {"per_page": min(max(depth, 1), 100)})
    return {item["id"]: item.get("Created") for item in numbered(client, path, answer.listed("items"))}


async def search(
    client: Client, what: str, query: str, size: int = 100, after: int = 0
) -> AsyncIterator[tuple[list[Json], int | None]]:
    """Pages of what the query finds above the id `after`, in order of id; with each, how many were left, if known.

    Each page is asked for by the last id, not by number: rows that leave the result meanwhile would shift the pages.
    """
    path, fields = f"/REST/2.0/{what}", {"orderby": "id", "fields": FIELDS[what], "fields[Queue]": "Name"}

    def ask(place: int | None, offset: int, size: int) -> Awaitable[Answer]:
        if offset > EMPTY_PAGES * size:
            raise NotUnderstood(f"{path}: {EMPTY_PAGES} empty pages, and still another is named")
        place_in_list = {"per_page": size, "page": offset // size + 1}
        return client.ask(path, {"query": f"({query}) AND id > {place}", **place_in_list, **fields})

    def last(page: Answer) -> bool:
        # Without a total (rights checked row by row), RT before 5.0.5 names no next page where there is one, and later
        # ones name one behind an empty page. Never "until empty" by number: past the end some answer the last page.
        return not page.find("next_page") and (not page.items or page.find("total") is not None)

    async for page in paging.by_key(client, ask, items="items", key=number, begin=after, size=size, last=last):
        if items := numbered(client, path, page.items):
            yield items, page.find("total")


def number(item: Json) -> int | None:
    """The id of an item, where it is a number."""
    return int(item["id"]) if is_numbered(item) else None


class Tickets:
    """Reads tickets together with their transactions. One that cannot be read is owed, and costs no other."""

    def __init__(self, client: Client, words: Words, wanted: str, details: Details) -> None:
        self.client, self.words, self.wanted, self.details = client, words, wanted, details

    async def named(self, ids: Iterable[int]) -> tuple[list[Read], list[tuple[type[Request], str]]]:
        """The tickets of these ids, and those that are deleted, merged into another or in a queue that is not wanted:
        no search finds them."""
        asked = sorted(id_ for id_ in ids if self.details.may(str(id_)))

        async def question(some: Sequence[int]) -> list[Json]:
            query = f"{self.wanted} AND {any_of('id', some)}"
            return [ticket async for page, _ in search(self.client, "tickets", query) for ticket in page]

        found, failed = await self.details.several(asked, question)
        self.details.owe(map(str, failed))
        gone = [str(id_) for id_ in asked if id_ not in {*failed, *(int(ticket["id"]) for ticket in found)}]
        self.details.settle(gone)
        return await self.reads(found), [(Request, id_) for id_ in gone]

    async def reads(self, tickets: Sequence[Json]) -> list[Read]:
        """The tickets as requests; what is to be read in the history of one that cannot be read is unknown."""

        async def question(some: Sequence[int]) -> list[Json]:
            query = f"ObjectType = 'RT::Ticket' AND {any_of('ObjectId', some)} AND ({HISTORY})"
            return [each async for page, _ in search(self.client, "transactions", query) for each in page]

        asked = [int(ticket["id"]) for ticket in tickets if self.details.may(ticket["id"])]
        found, failed = await self.details.several(asked, question)
        history: dict[str, list[Json]] = {str(id_): [] for id_ in asked if id_ not in failed}
        for transaction in found:
            history.setdefault(str(transaction["ObjectId"]), []).append(transaction)
        self.details.owe(map(str, failed))
        self.details.settle(history)
        told = [ticket | {"Transactions": history.get(ticket["id"])} for ticket in tickets]
        return await self.client.mapped(told, partial(read, self.words))


def numbered(client: Client, path: str, items: Sequence[Json]) -> list[Json]:
    """The items with ids, as text, that are numbers, as RT's are. Others are left out and counted."""
    found = [item | {"id": str(int(item["id"]))} for item in items if is_numbered(item)]
    if items and not found:
        raise NotUnderstood(f"{path}: no item has a number as its id")
    client.each((item for item in items if not is_numbered(item)), no_number)
    return found


def is_numbered(item: Json) -> bool:
    with suppress(*ODD):
        return all(0 <= int(item[name]) < 2**63 for name in ("id", "ObjectId") if name == "id" or name in item)
    return False


def no_number(_item: Json) -> None:
    raise ValueError("no number as its id")


def any_of(column: str, values: Iterable[int | str]) -> str:
    return "(" + " OR ".join(f"{column} = {value}" for value in values) + ")"


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
