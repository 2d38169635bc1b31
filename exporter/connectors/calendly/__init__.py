"""Calendly: an invitee of an event is a booking, so that a group event is several.

API      API v2 at https://api.calendly.com. A personal access token, or OAuth, whose refresh tokens are good for one
         use each; sent as a bearer token.
Access   Integrations & apps > API and webhooks > Personal access tokens, with the scopes scheduled_events:read and
         users:read, as token_file. Of an owner or admin of the organization; that of a member sees their own
         events only, with `scope: user`.
Polls    Whose token it is. All events from `lookback` ago on, those to come included, a hundred per request: none can
         be asked for by its last change. The invitees of each event that is new or has changed, one request each. Those
         of events of the last days again, at most every hour, since to mark a no-show may change nothing else. The
         first polls read back from there, latest first. At most `invitee_requests` in a poll; the next goes on.
Cursor   at: the hour of the last poll. until: how far back the history has been read. recent: the events made last, to
         know the account by. owed: events whose invitees could not be read.
Blind    Who came: only no-shows can be marked. A meeting that nobody marked counts as attended `attended_after` its
         end, and only where its team has marked another in the 90 days before; outcome_coverage_ratio of
         attendance_mark is the share of meetings with a mark. Marks later than `lookback`, and cancellations of
         meetings longer ago. When a lead asked for a meeting: submissions of routing forms are not read. A booking that
         takes the place of another has no time of booking, so that it is not counted twice. Invitees that were deleted
         for their privacy stay as last seen. With `scope: user`, to which organization an event belongs: those of
         organizations that the user has left count, too. Double bookings and reminders. Where people open a booking.
Checked  The published documentation; a fake that answers as it says.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from exporter.collect import paging
from exporter.collect.auth import Scheme
from exporter.collect.contract import Cursor, Page
from exporter.collect.details import Details
from exporter.collect.finding import Finding, look
from exporter.collect.http import Answer, Client, Gone, NotUnderstood, SourceError
from exporter.collect.recent import WITNESSES, still_there
from exporter.connectors.calendly.mapping import Context, booking, last_part
from exporter.records import Booking, Json, Read, instant
from exporter.records.unreadable import ODD

RECORDS = (Booking,)
AUTH = Scheme(token_url="https://auth.calendly.com/oauth/token", client_in="header")  # noqa: S106 - an address
NOUN = "invitee"
INTERVAL = 300  # each poll lists all that is to come
EVENTS = "/scheduled_events"
REREAD_EVERY = timedelta(hours=1)
MINUTE = timedelta(minutes=1)  # whether bounds are included is not published
DAY = timedelta(days=1)
MOST_CHECKED = 20
NEEDS = "the scope scheduled_events:read"
MEMBER = "of a whole organization only an owner or admin may read events; write `scope: user` for those of one member"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be set for one organization or user."""

    scope: Literal["organization", "user"] = "organization"
    attended_after_seconds: Annotated[int, Field(ge=0)] = 86_400
    lookback_seconds: Annotated[int, Field(ge=0)] = 14 * 86_400
    invitee_requests: Annotated[int, Field(ge=100)] = 1_000  # a poll
    page_size: Annotated[int, Field(ge=1, le=100)] = 100

    def faults(self) -> Sequence[str]:
        """What does not fit together."""
        if self.lookback_seconds < self.attended_after_seconds + DAY.total_seconds():
            return [
                "lookback must be a day longer than attended_after at least; else nobody sees that a meeting is over"
            ]
        return []


def judge(answer: Answer) -> SourceError | None:
    """A refusal of the list of events, in words."""
    if answer.status == 403 and answer.where.endswith(EVENTS):
        return answer.forbidden(f"the token needs {NEEDS}; {MEMBER}")
    return None


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    me = await client.memory.remembered("me", DAY, lambda: whose(client, options))
    events = Events(client, options, me, Details(client, cursor.get("owed", {})), cursor.get("recent", {}))
    before, until = instant(cursor.get("at")), instant(cursor.get("until"))
    begin = min(client.at, before or client.at) - timedelta(seconds=options.lookback_seconds)
    async for reads in events.current(begin):
        yield Page(reads, {**cursor, "owed": events.details.to_cursor()}, whole_since=until or client.at)
    events.check(begin)
    cursor = {**cursor, "recent": events.witnesses()}
    if until is None and not events.behind:
        until = begin
    if until and until > client.since:
        async for reads, place in events.history(until):
            cursor = {**cursor, "until": place.isoformat(), "owed": events.details.to_cursor()}
            yield Page(reads, cursor, whole_since=place)
            until = place
    reads = [*await events.again(), *await events.ended()]
    events.remember()
    # What is left of the current events keeps the place from which they are listed.
    at = before if events.behind and before else client.at.replace(minute=0, second=0, microsecond=0)
    marks = {"at": at.isoformat(), "until": until and until.isoformat(), "owed": events.details.to_cursor()}
    yield Page(reads, {**cursor, **marks}, whole_since=until or client.at)


async def whose(client: Client, options: Options) -> dict[str, str]:
    """The parameter that says whose events are meant."""
    answer = await client.ask("/users/me")
    address = answer.find("resource.current_organization" if options.scope == "organization" else "resource.uri")
    if not isinstance(address, str):
        raise NotUnderstood(f"{answer.where}: the answer names no {options.scope}; is this the address of the API?")
    return {options.scope: address}


class Events:
    """The events of one poll. Of each its invitees are asked for, while there are requests left."""

    def __init__(
        self,
        client: Client,
        options: Options,
        whose: dict[str, str],
        details: Details,
        recent: Mapping[str, Sequence[str]],
    ) -> None:
        self.client, self.options, self.whose, self.details, self.recent = client, options, whose, details, recent
        self.found = dict[str, str]()  # of those known to be recent
        self.known: dict[str, Any] = client.memory["events"] or {}  # when each was changed and read
        self.left, self.behind = options.invitee_requests, False
        self.listed: dict[str, Json] = {}  # begun, and not cancelled
        self.made: dict[str, tuple[str, str]] = {}  # when the latest were made, and when they start
        self.read: dict[str, Any] = {}
        self.context = Context(now=client.at, attended_after=timedelta(seconds=options.attended_after_seconds))

    async def current(self, begin: datetime) -> AsyncIterator[list[Read]]:
        """Those from a time on that are new or have changed."""
        async for page in self.pages("asc", min_start_time=written(begin)):
            events = self.sound(page.items)
            for key, event in events.items():
                made, start = event.get("created_at"), starts_at(event)
                if isinstance(made, str) and start:
                    self.made[key] = made, start.isoformat()
                    self.found |= {key: made} if key in self.recent else {}
                if event.get("status") == "active" and start and start < self.client.at:
                    self.listed[key] = event
            self.made = dict(sorted(self.made.items(), key=lambda each: each[1])[-10 * WITNESSES :])
            self.read |= {key: self.known[key] for key in events if key in self.known}
            new = {
                key: event
                for key, event in events.items()
                if key not in self.known or self.known[key][0] != stamp(event)
            }
            self.behind = self.behind or len(new) > self.left
            yield await self.reads(new)

    async def history(self, until: datetime) -> AsyncIterator[tuple[list[Read], datetime]]:
        """Older ones, latest first, and down to when they have been read."""
        since = self.client.since
        async for page in self.pages("desc", min_start_time=written(since), max_start_time=written(until + MINUTE)):
            if self.left == 0:
                return
            events = dict([*self.sound(page.items).items()][: self.left])
            starts = [at for event in events.values() if (at := starts_at(event))]
            until = min([until, *starts])
            yield await self.reads(events), until
        if self.left:
            yield [], since

    async def again(self) -> list[Read]:
        """Those whose invitees could not be read before, and that did not come in this poll."""
        keys = [key for key in self.details.again if key in self.details.owed and self.details.may(key)]

        async def one(key: str) -> Json:
            with suppress(Gone):
                return (await self.client.ask(f"{EVENTS}/{key}")).find("resource")
            return None

        found = await self.details.ask(keys[: self.left], one)
        self.details.settle(key for key, event in found.items() if event is None)
        self.details.owe(key for key in keys if key not in found)
        return await self.reads({key: event for key, event in found.items() if event})

    async def ended(self) -> list[Read]:
        """Events that have begun, once more: first those whose attendance has become due, then the others in
        turn. A mark may change nothing but the invitee."""
        after = self.context.attended_after
        order = list[tuple[bool, float, str]]()
        for key, event in self.listed.items():
            if (known := self.read.get(key)) and known[1] <= (self.client.at - REREAD_EVERY).timestamp():
                with suppress(*ODD):
                    due_at = (instant(event["end_time"]) or self.client.at) + after
                    order.append((not known[1] < due_at.timestamp() <= self.client.at.timestamp(), known[1], key))
        return await self.reads({key: self.listed[key] for _, _, key in sorted(order)[: self.left]})

    async def reads(self, events: dict[str, Json]) -> list[Read]:
        """The invitees of events, as many as there are requests left for."""
        keys = [key for key in events if self.details.may(key)][: self.left]
        self.left -= len(keys)
        found = await self.details.ask(keys, self.invitees)
        self.details.settle(found)
        self.details.owe(key for key in keys if key not in found)
        now = int(self.client.at.timestamp())
        self.read |= {key: [stamp(events[key]), now] for key in found}
        pairs = [(events[key], invitee) for key, invitees in found.items() for invitee in invitees]
        return await self.client.mapped(pairs, lambda pair: booking(self.context, *pair))

    async def invitees(self, key: str) -> list[Json]:
        path = f"{EVENTS}/{key}/invitees"
        pages = by_token(self.client, path, {}, self.options.page_size)
        return [invitee async for page in pages for invitee in page.items]

    def pages(self, way: str, **span: str) -> AsyncGenerator[Answer]:
        params = {**self.whose, **span, "sort": f"start_time:{way}"}
        return by_token(self.client, EVENTS, params, self.options.page_size)

    def sound(self, items: Sequence[Json]) -> dict[str, Json]:
        """Events by what names them. Others are left out, and told of."""
        found = dict[str, Json]()

        def named(item: Json) -> None:
            found[last_part(item["uri"])] = item

        self.client.each(items, named)
        if items and not found:
            raise NotUnderstood(f"GET {EVENTS}: no event has an address; is this the address of the API?")
        return found

    def check(self, begin: datetime) -> None:
        """Whether it is still the account it was, by the events made last; those before `begin` are not listed now."""
        known = {key: made for key, (made, start) in self.recent.items() if (instant(start) or begin) > begin + MINUTE}
        still_there(known, self.found, "events", {})

    def witnesses(self) -> dict[str, Sequence[str]]:
        return {key: [*its] for key, its in [*self.made.items()][-WITNESSES:]}

    def remember(self) -> None:
        self.client.memory["events"] = self.read


def by_token(client: Client, path: str, params: dict[str, str], size: int) -> AsyncGenerator[Answer]:
    return paging.by_token(
        client,
        path,
        params,
        items="collection",
        next_in="pagination.next_page_token",
        next_as="page_token",
        size=size,
        size_as="count",
    )


def stamp(event: Json) -> Json:
    """What is another when an event has changed. Whether that somebody leaves a group counts as such is not published,
    so the number of those who are left is a part of it."""
    counter = event.get("invitees_counter")
    return [event.get("updated_at"), counter.get("active") if isinstance(counter, dict) else None]


def starts_at(event: Json) -> datetime | None:
    with suppress(*ODD):
        return instant(event["start_time"])
    return None


def written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


async def check(client: Client, options: Options) -> list[Finding]:
    """Whose the token is, the first page of events, and how many of the last invitees are marked as no-shows."""
    me, findings = await look("user", whose(client, options), needs="the scope users:read")
    if not me:
        return findings
    findings = [Finding("user", f"events of the {options.scope} are read")]
    events = Events(client, options, me, Details(client, {}), {})
    pages = events.pages("desc", max_start_time=written(client.at))
    page, found = await look("events", anext(pages), needs=f"{NEEDS}; {MEMBER}")
    await pages.aclose()
    if not page:
        return findings + found
    findings.append(Finding("events", "the first page is read" if page.items else "there is none yet"))
    known = [*events.sound(page.items)][:MOST_CHECKED]
    invitees = list[Json]()
    for key in known:
        some, found = await look("invitees", events.invitees(key), needs=NEEDS)
        if found:
            return findings + found
        invitees += some or []
    marked = sum(isinstance(each, dict) and bool(each.get("no_show")) for each in invitees)
    text = f"{marked} of {len(invitees)} invitees of the last {len(known)} events are marked as no-shows"
    return [*findings, Finding("marks", f"{text}{'' if marked else '; until somebody is, no-shows stay unknown'}")]
