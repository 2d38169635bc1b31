"""Zendesk Support: a ticket is a request, also one that its AI agent handled alone.

API      Ticketing API v2 of zendesk.com, with OAuth client credentials. API tokens (user name EMAIL/token) work while
         the account still has them; Zendesk stops all of them on 30 April 2027.
Access   Make a user of its own with the role Admin: Zendesk gives exports to admins alone. Signed in as that user, make
         an OAuth client (Admin Center > Apps and integrations > APIs > OAuth clients), of the kind confidential. Its
         tokens act as the user who owns it; with the scope read they change nothing.
Polls    At first, by a search, what has been open and unchanged since before the history begins, and the first AI agent
         tickets. Then the cursor export of tickets, with AI agent tickets and metric sets, from the last cursor on;
         what changed in the last minute comes with the next poll. With `slas` before that the events of metrics. Every
         hour the names of groups and ticket fields, of brands and forms where the config looks at them; and whether the
         ten tickets that changed last still exist. A quiet poll is one request. Exports have a limit of their own, ten
         requests a minute, which all programs that export from the account share.
Cursor   after: the place in the export. recent: the ten tickets that changed last, with when they changed and were
         created. events: until when events were read. Remembered beside it: tickets with breaches; AI agent tickets,
         and when they were first seen as tickets of agents; on which channels and brands there were any, and since
         when.
Blind    Conversations with the AI agent, if the account hides them. Handovers by the AI agent: tickets do not record
         them. Once a channel and brand has had an AI agent ticket, every later messaging ticket of agents there counts
         as handed over, as Zendesk describes it, even one that an agent started; `ai_first` changes that. Users who
         gave up on the AI agent: its conversations count as resolved, even those that show only a greeting. Which
         conversations Zendesk bills: it decides up to 72 hours later, and the API does not say, so all count as
         claimed; `claimed` changes that. A ticket solved without an assignee or a reply counts as automation's, because
         Zendesk lets only rules and programs do that; who closed a ticket that was never solved stays unknown. Replies
         that an integration sends as an agent count as an agent's, unless `bots` names it. A ticket that `escalated`
         names counts as escalated when it was last assigned. How long agents worked, without the Time Tracking app. SLA
         breaches, without `slas`; a ticket without an SLA target counts as kept. First response times are exact to the
         minute, in messaging to the second. Suspended tickets: the API does not export them.
Checked  The published description of July 2026, and a fake that is held to it. No account has confirmed how events of
         metrics are ordered and withdrawn.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated

from pydantic import Field

from exporter.collect import paging
from exporter.collect.auth import Scheme
from exporter.collect.budget import Budget
from exporter.collect.contract import Cursor, Page
from exporter.collect.finding import Finding
from exporter.collect.http import Answer, Client, Forbidden, SourceError
from exporter.collect.mapping import Which
from exporter.collect.recent import WITNESSES, still_there
from exporter.connectors.zendesk.breaches import Breaches, is_last
from exporter.connectors.zendesk.lists import (
    LISTS,
    PLACES,
    SEARCH,
    SHOW,
    earliest,
    first_of_ai_agents,
    named,
    open_for_long,
    wanted,
)
from exporter.connectors.zendesk.mapping import AI_AGENT, DELETED, Account, request
from exporter.connectors.zendesk.preflight import BACK, EXPORT, EXPORTS, checked
from exporter.records import Json, Request, instant
from exporter.records.unreadable import ODD

RECORDS = (Request,)
AUTH = Scheme(token_url="/oauth/tokens", body="json")  # noqa: S106 - an address
BUDGETS = (Budget(name="exports", paths=(EXPORTS,), requests=10), Budget(name="search", paths=(SEARCH,), requests=100))
NOUN = "ticket"
HOUR = timedelta(hours=1)
MOST_KNOWN = 20_000  # AI agent tickets
ARCHIVED = timedelta(days=90)  # after 120 days tickets are archived, which not all lists show


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be set for one account."""

    bots: tuple[str, ...] = ()
    ai_first: tuple[Which, ...] | None = None
    automated: tuple[Which, ...] = (Which(field="tags", match="ai_agent_automated_resolution"),)
    claimed: tuple[Which, ...] = (
        Which(field="support_type", match=AI_AGENT),
        Which(field="tags", match="ai_agent_automated_resolution"),
    )
    escalated: tuple[Which, ...] = ()
    discarded: tuple[Which, ...] = (
        Which(field="tags", match="closed_by_merge|created_for_side_conversation"),
        Which(field="via.channel", match="sample_ticket"),
    )
    time_field: str = "Total time spent (sec)"
    slas: bool = False
    page_size: Annotated[int, Field(ge=1, le=1_000)] = 500

    @property
    def unfilled(self) -> frozenset[str]:
        """Zendesk has no word for an escalation: without `escalated` nobody knows of any."""
        return frozenset() if self.escalated else frozenset({"escalated_at"})


def judge(answer: Answer) -> SourceError | None:
    """A refusal in Zendesk's own words. `error` is a text, or an object where a role or a plan is the matter."""
    error = answer.find("error")
    said = f"{error} {answer.find('description')}"
    if answer.status == 403:
        lacks = "the token lacks the scope read" if "scopes" in said else "the user is no admin, or the plan lacks it"
        return answer.forbidden(lacks)
    if answer.status == 404 and isinstance(error, dict) and "help desk" in said:
        return answer.not_understood("there is no help desk at this address; is the url right?")
    if answer.status == 409 or (answer.status in (400, 422) and "StartTimeTooRecent" in said):
        return answer.unavailable("it is to be asked again a little later")
    if answer.status == 400 and "cursor" in said.lower():
        return answer.start_over("the place in the export is not valid any more")
    return None


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    looked_at = [*client.paths, *(each.field for each in chosen_by(options))]
    lists = wanted(looked_at)
    names = await client.memory.remembered(f"names of {' '.join(lists)}", HOUR, partial(named, client, lists))
    for resource, refusal in names["refused"].items():
        with client.optional(resource):
            raise Forbidden(refusal)
    if options.ai_first is None and client.memory[PLACES] is None:
        client.memory[PLACES] = await first_of_ai_agents(client)
    tickets = Tickets(client, options, names["names"])
    if options.slas:
        async for mark in tickets.events(cursor.get("events")):
            cursor = {**cursor, "events": mark}
            yield Page([], cursor)
    organizations = any(path.startswith("organization.") for path in looked_at)
    side_loads = "metric_sets,organizations" if organizations else "metric_sets"
    if "after" not in cursor:
        async for answer in open_for_long(client, side_loads):
            yield Page(await client.mapped(tickets.whole(answer), partial(request, tickets.account)), cursor)
    recent: dict[str, Sequence[Json]] = cursor.get("recent", {})
    known = dict(recent)
    async for answer in exported(client, options, side_loads, cursor.get("after")):
        found = tickets.whole(answer)
        gone = {str(each["id"]) for each in found if is_ticket(each) and each["status"] == DELETED}
        known = {key: its for key, its in known.items() if key not in gone}
        recent = newest({**{key: its for key, its in recent.items() if key not in gone}, **stamps(found)})
        after = answer.find("after_cursor") or cursor.get("after")
        cursor = {**cursor, "recent": recent, **({"after": after} if after else {})}
        reads = await client.mapped(found, partial(request, tickets.account))
        yield Page(reads, cursor, [(Request, key) for key in sorted(gone)])
    await client.memory.remembered("there", HOUR, partial(witnessed, client, known))
    yield Page([], cursor)


async def check(client: Client, options: Options) -> list[Finding]:
    """The user, the scope, and the first page of each list."""
    return await checked(client, options.time_field, slas=options.slas)


def exported(client: Client, options: Options, side_loads: str, after: str | None) -> AsyncIterator[Answer]:
    """The tickets that have changed since a place in the export, or since the history begins."""
    start = int(min(client.since, client.at - BACK).timestamp())
    return paging.by_token(
        client,
        EXPORT,
        {"support_type_scope": "all", "include": side_loads},
        items="tickets",
        first={"cursor": after} if after else {"start_time": start},
        next_in="after_cursor",
        next_as="cursor",
        size=options.page_size,
        size_as="per_page",
        last=is_last,
    )


class Tickets:
    """The tickets of one poll, each with what belongs to it."""

    def __init__(self, client: Client, options: Options, names: Json) -> None:
        self.client, self.names, self.inferred = client, names, options.ai_first is None
        self.ai_since: dict[str, str] = dict(client.memory[PLACES] or {}) if self.inferred else {}
        self.known: dict[str, int | None] = dict(client.memory[AI_AGENT] or {})
        self.account = Account(
            url=client.url,
            bots=options.bots,
            discarded=options.discarded,
            ai_first=options.ai_first or (),
            ai_since=self.ai_since,
            automated=options.automated,
            claimed=options.claimed,
            escalated=options.escalated,
            time_field=options.time_field,
            at=client.at,
        )
        self.breaches: Breaches | None = None  # unknown

    async def events(self, mark: int | None) -> AsyncIterator[int]:
        """Reads which targets were missed; how far it is."""
        breaches = Breaches(self.client)
        with self.client.optional("slas"):
            async for read_until in breaches.read(mark):
                yield read_until
            self.breaches = breaches

    def whole(self, answer: Answer) -> list[Json]:
        """The tickets of a page, the latest state of each. Metric sets come beside the tickets, or within them."""
        metrics = by_id(answer.find("metric_sets"), "ticket_id")
        organizations = by_id(answer.find("organizations"), "id")
        latest = {each["id"] if is_ticket(each) else f"odd {number}": each for number, each in enumerate(answer.items)}
        if self.inferred:
            self.ai_since.update(earliest(self.ai_since, answer.items))
            self.client.memory[PLACES] = dict(self.ai_since)
        found = [self.one(each, metrics, organizations) if is_ticket(each) else each for each in latest.values()]
        self.client.memory[AI_AGENT] = dict([*self.known.items()][-MOST_KNOWN:])
        return found

    def one(self, ticket: Json, metrics: Mapping[Json, Json], organizations: Mapping[Json, Json]) -> Json:
        beside = {what: self.names[name].get(str(ticket.get(f"{what}_id"))) for what, name in LISTS.items()}
        titles, values = self.names["ticket_fields"], by_id(ticket.get("custom_fields"), "id")
        custom = {titles[key]: each.get("value") for key, each in values.items() if key in titles}
        return {
            **ticket,
            "metric_set": ticket.get("metric_set") or metrics.get(str(ticket["id"])),
            **{what: {"name": name} for what, name in beside.items() if name},
            "organization": organizations.get(str(ticket.get("organization_id"))),
            "custom": custom,
            "handed_over_at": self.handed_over_at(ticket),
            "breaches": self.breaches.of(ticket["id"]) if self.breaches else None,
        }

    def handed_over_at(self, ticket: Json) -> int | None:
        """When a ticket of the AI agent was first seen to be one of agents; None where it was never seen to be so."""
        key = str(ticket["id"])
        if ticket.get("support_type") == AI_AGENT:
            self.known.setdefault(key, None)
            if ticket["status"] == "closed":  # nobody can get it any more
                del self.known[key]
            return None
        if key in self.known:
            self.known[key] = self.known[key] or ticket.get("generated_timestamp")
        return self.known.get(key)


async def witnessed(client: Client, known: Mapping[str, Sequence[Json]]) -> bool:
    """StartOver where the account is another one than it was. What has not changed for long may be archived."""
    oldest = (client.at - ARCHIVED).timestamp()
    known = {key: its for key, its in known.items() if its[0] >= oldest}
    if known:
        answer = await client.ask(SHOW, {"ids": ",".join(known)})
        there = {str(each.get("id")): each.get("created_at") for each in answer.listed("tickets") if is_ticket(each)}
        still_there({key: created_at for key, (_, created_at) in known.items()}, there, "tickets", {})
    return True


def chosen_by(options: Options) -> Sequence[Which]:
    """Where in tickets the options look."""
    return (*(options.ai_first or ()), *options.automated, *options.claimed, *options.escalated, *options.discarded)


def stamps(tickets: Sequence[Json]) -> dict[str, Sequence[Json]]:
    """When tickets changed and were created, by id."""
    found: dict[str, Sequence[Json]] = {}
    for each in tickets:
        with suppress(*ODD):
            # Of those of the AI agent other lists may not know.
            if each["status"] != DELETED and each.get("support_type") != AI_AGENT and instant(each["created_at"]):
                found[str(each["id"])] = [int(each["generated_timestamp"]), each["created_at"]]
    return found


def newest(tickets: Mapping[str, Sequence[Json]]) -> dict[str, Sequence[Json]]:
    return dict(sorted(tickets.items(), key=lambda each: (each[1][0], each[0]))[-WITNESSES:])


def is_ticket(item: Json) -> bool:
    """Whether books can be kept on it. What is none is left out, and told of, where it is mapped."""
    return isinstance(item, dict) and type(item.get("id")) is int and isinstance(item.get("status"), str)


def by_id(rows: Json, column: str) -> dict[str, Json]:
    """Rows by a column of theirs; what is no list has none."""
    found = rows if isinstance(rows, list) else []
    return {str(each.get(column)): each for each in found if isinstance(each, dict)}
