"""Cal.com: a booking is a booking, one of several seats a booking for each.

API      API v2 with bookings of version 2024-08-13 (header cal-api-version), of Cal.com or of Cal.diy on a host of your
         own, built in 2025 or later. An API key, or OAuth with refresh tokens; sent as a bearer token.
Access   Settings > Security > API keys, as token_file; choose when it expires. The key sees the bookings of its user;
         those of others only if the user is an owner or admin of their team or organization. OAuth: Settings >
         Developer > OAuth clients, with the scope BOOKING_READ (and PROFILE_READ for `check --live`).
Polls    Bookings that changed, in the order of their last change, from a little before the newest known on: a quiet
         poll is one request. Every hour the bookings of the last days again, since to mark a guest as absent changes
         nothing else. Single bookings whose place another has taken, if they do not say so themselves. The first poll
         reads by start. Once a day the ids of all bookings from 90 days ago on.
Cursor   changed, recent: as in exporter.collect.changes. reread: when the last days were read again. owed: bookings
         that could not be asked for.
Blind    Who came: only absence can be marked. A meeting that nobody marked counts as attended `attended_after` its end,
         and only where its team has marked another in the 90 days before; outcome_coverage_ratio of attendance_mark is
         the share of meetings with a mark. Marks later than `lookback`. Whether the other guests of a booking came, if
         one of them is marked. When a booking was cancelled, and when a lead asked for it. A booking that takes the
         place of another has no time of booking, so that it is not counted twice; nor has a seat, as Cal.com tells only
         when the first was taken. A booking whose host did not come is neither attended nor a no-show; the booking
         form tells hosts from guests. Seats whose attendees are hidden from the key; a seat that was given up is
         deleted. Meetings of others to which the key's user is invited count, too: use a user who takes part in none.
         Double bookings and reminders. Bookings that were never updated, if they are changed by hand.
Checked  The published description and the source of 2026; a fake that answers as these say.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from exporter.collect import paging
from exporter.collect.auth import Scheme
from exporter.collect.changes import Changes
from exporter.collect.contract import Cursor, Page
from exporter.collect.details import Details
from exporter.collect.finding import Finding, look
from exporter.collect.http import Answer, Client, NotUnderstood
from exporter.collect.sweep import swept
from exporter.connectors.calcom.mapping import Context, bookings, invited, is_moved
from exporter.records import Booking, Json, Read, instant
from exporter.records.unreadable import ODD

RECORDS = (Booking,)
VERSION = "2024-08-13"
HEADERS = {"cal-api-version": VERSION}  # any other, and none, is silently answered in an older form
AUTH = Scheme(token_url="/v2/auth/oauth2/token")  # noqa: S106 - an address
NOUN = "booking"
BOOKINGS = "/v2/bookings"
REREAD_EVERY = timedelta(hours=1)
SWEPT_EVERY, SWEPT_BACK = timedelta(days=1), timedelta(days=90)
MOST_ASKED = 100  # single bookings in one poll
MOST_HELD = 5_000
MOST_MOVED = 5_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be set for one account."""

    attended_after_seconds: Annotated[int, Field(ge=0)] = 86_400
    lookback_seconds: Annotated[int, Field(ge=0)] = 14 * 86_400
    web_url: str = ""  # where people open bookings; of Cal.com itself it is known
    page_size: Annotated[int, Field(ge=1, le=250)] = 250
    overlap_seconds: Annotated[int, Field(ge=0)] = 120  # how far back changes are read again

    def faults(self) -> Sequence[str]:
        """What does not fit together."""
        if self.lookback_seconds < self.attended_after_seconds + REREAD_EVERY.total_seconds():
            return [
                "lookback must be an hour longer than attended_after at least; else nobody sees that a meeting is over"
            ]
        return []


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    changes = Changes(client, cursor, timedelta(seconds=options.overlap_seconds))
    first, reader = "changed" not in cursor, Reader(client, options, Details(client, cursor.get("owed", {})))
    async for answer in listed(client, options, "start" if first else "updatedAt", changes.since):
        reads = await reader.reads(answer.items, since=changes.since)
        # The cursor stays put until all is stored: dying half-way reads again, never skips.
        yield Page(reads, cursor)
        changes.saw(answer.items, changed="updatedAt", stamp="createdAt", key="uid")
    changes.check("bookings")
    last = instant(cursor.get("reread"))
    reread = client.at if first or not last or not last <= client.at < last + REREAD_EVERY else last
    if reread != last and not first:
        since = min(last or client.since, client.at) - timedelta(seconds=options.lookback_seconds)
        async for answer in listed(client, options, "start", since, beforeEnd=written(client.at)):
            yield Page(await reader.reads(answer.items), cursor)
    reads = await reader.again(first=first)
    cursor = {**changes.to_cursor(), "reread": reread.isoformat(), "owed": reader.details.to_cursor()}
    yield Page(reads, cursor)
    ids = partial(all_ids, client, options)
    async for page in swept(client, cursor, {Booking: "starts_at"}, ids, every=SWEPT_EVERY, back=SWEPT_BACK):
        yield page


class Reader:
    """The bookings of one poll, and which of them have been moved: some do not say so, and the one that came does."""

    def __init__(self, client: Client, options: Options, details: Details) -> None:
        self.client, self.options, self.details = client, options, details
        self.known: dict[str, None] = dict.fromkeys(client.memory["moved"] or ())  # moved, and do not say so
        self.named = set[str]()  # by bookings that took their places
        self.new = set[str]()  # by new ones
        self.seen = set[str]()  # cancelled, and need not be asked for
        self.held = dict[str, Json]()  # cancelled, and perhaps moved: what comes later in this poll may say so
        after = timedelta(seconds=options.attended_after_seconds)
        web = options.web_url.rstrip("/") or web_address(client.url)
        self.context = partial(Context, now=client.at, attended_after=after, web=web)

    async def reads(self, items: Sequence[Json], since: datetime | None = None, *, last: bool = False) -> list[Read]:
        """Bookings as records. `since`: those that were made later are new. `last`: none come later."""
        for item in items:
            with suppress(*ODD):
                if before := item.get("rescheduledFromUid"):
                    self.named.add(before)
                    if since and (instant(item["createdAt"]) or since) > since:
                        self.new.add(before)
        context = self.context(moved=self.named | self.known.keys())
        ready = [item for item in items if last or not self.holds(item, context)]
        for item in ready:
            with suppress(*ODD):
                if is_moved(context, item):
                    self.seen.add(item["uid"])
                    if not item.get("rescheduledToUid"):
                        self.known[item["uid"]] = None
        return await self.client.mapped(ready, partial(bookings, context))

    def holds(self, item: Json, context: Context) -> bool:
        """Whether it waits for the end of the poll: an occurrence of a series does not say that it was moved."""
        with suppress(*ODD):
            waits = item["status"] == "cancelled" and bool(item.get("recurringBookingUid"))
            if waits and not is_moved(context, item) and len(self.held) < MOST_HELD:
                self.held[item["uid"]] = item
                return True
            self.held.pop(item["uid"], None)
        return False

    async def again(self, *, first: bool) -> list[Read]:
        """Those that were held, and those whose place was taken and that did not come in this poll."""
        late = set[str]() if first else self.new - self.seen - self.held.keys() - self.known.keys()
        keys = [key for key in sorted({*late, *self.details.again}) if self.details.may(key)]
        answers = await self.details.ask(keys[:MOST_ASKED], self.one)
        self.details.settle(answers)
        self.details.owe(key for key in keys if key not in answers)
        self.known |= dict.fromkeys(answers)
        reads = await self.reads([*self.held.values(), *(item for its in answers.values() for item in its)], last=True)
        self.client.memory["moved"] = [*self.known][-MOST_MOVED:]
        return reads

    async def one(self, uid: str) -> list[Json]:
        """The booking of this uid as a list shows it; none where the key may not see it."""
        return (await self.client.ask(BOOKINGS, {"bookingUid": uid, "take": 1})).listed("data")


def listed(
    client: Client, options: Options, by: Literal["start", "updatedAt"], since: datetime, **others: str
) -> AsyncGenerator[Answer]:
    """Bookings in the order of a time, from an instant on. Each page is asked for by the last time of the one before:
    what changes meanwhile moves nothing."""
    after, order = ("afterStart", "sortStart") if by == "start" else ("afterUpdatedAt", "sortUpdatedAt")

    async def ask(place: datetime | None, offset: int, size: int) -> Answer:
        span = {after: written(place or since), order: "asc", **others}
        answer = await client.ask(BOOKINGS, {**span, "take": size, "skip": offset})
        if any(isinstance(item, dict) and "startTime" in item for item in answer.listed("data")):
            raise NotUnderstood(
                f"{answer.where}: bookings come in an older form; does something in between remove the header"
                f" cal-api-version: {VERSION}?"
            )
        return answer

    # Not by what it says of further pages: that does not heed some of the filters.
    return paging.by_key(
        client,
        ask,
        items="data",
        key=partial(time_of, by=by),
        begin=since.replace(microsecond=0),
        size=options.page_size,
    )


def time_of(item: Json, by: str) -> datetime | None:
    with suppress(*ODD):
        return instant(item[by])
    return None


async def all_ids(
    client: Client, options: Options, since: datetime | None, place: Json
) -> AsyncIterator[tuple[Sequence[str], Json]]:
    """The ids of all bookings that start after an instant, those to come included, for a sweep."""
    ids: list[str] | None = None
    async for answer in listed(client, options, "start", instant(place) or since or client.since):
        if ids is not None:  # another page follows
            yield ids, place
        ids = [key for item in answer.items for key in ids_of(item)]
        times = [at for item in answer.items if (at := time_of(item, "start"))]
        place = times[-1].isoformat() if times else place
    yield ids or [], None


def ids_of(item: Json) -> list[str]:
    """The ids of the records that a booking becomes."""
    with suppress(*ODD):
        seats = [each["seatUid"] for each in item["attendees"] if each.get("seatUid")]
        return [f"{item['uid']}:{seat}" for seat in seats] or [item["uid"]]
    return [item["uid"]] if isinstance(item, dict) and isinstance(item.get("uid"), str) else []


def written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def web_address(url: str) -> str | None:
    """Where people open what has its API at this url."""
    host = url.partition("://")[2].partition("/")[0]
    return f"https://app.{host.removeprefix('api.')}" if host in ("api.cal.com", "api.cal.eu") else None


async def check(client: Client, options: Options) -> list[Finding]:
    """Whose the key is, the first page of bookings in the form asked for, and whether anybody marks who stayed away."""
    me, findings = await look("user", client.ask("/v2/me"), needs="the scope PROFILE_READ, which no poll needs")
    if me:
        whole = "and those of its organization" if me.find("data.organizationId") else "of no organization"
        text = f"its time zone is {str(me.find('data.timeZone'))[:40]}; it sees its own bookings"
        findings.append(Finding("user", f"{text}, {whole} and teams only as their owner or admin"))
    since = client.at - timedelta(seconds=options.lookback_seconds)
    pages = listed(client, options, "start", since, beforeEnd=written(client.at))
    page, found = await look("bookings", anext(pages), needs="the scope BOOKING_READ")
    await pages.aclose()
    if not page:
        return findings + found
    past = [item for item in page.items if isinstance(item, dict) and item.get("status") == "accepted"]
    marked = sum(any(map(is_absent, invited(item, item.get("attendees") or ()))) for item in past)
    findings.append(Finding("bookings", f"the first page is read: {len(page.items)} of the last days"))
    if past and not marked:
        text = f"nobody is marked as absent in {len(past)} past bookings; until somebody is, no-shows stay unknown"
        return [*findings, Finding("marks", text, wrong=True)]
    return [*findings, Finding("marks", f"{marked} of {len(past)} past bookings are marked")]


def is_absent(attendee: Json) -> bool:
    return bool(isinstance(attendee, dict) and attendee.get("absent"))
