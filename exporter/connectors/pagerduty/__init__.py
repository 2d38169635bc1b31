"""PagerDuty: an incident is an incident, and also, or only, a request where the options say so.

API      REST API v2, https://api.pagerduty.com or https://api.eu.pagerduty.com; an API key or an OAuth app.
Access   An administrator creates a read-only key of the account: Integrations > API Access Keys > Create New API Key,
         Read-only API Key. With fewer rights, an app: Integrations > App Registration > New App > OAuth 2.0, Scoped
         OAuth, with the scope incidents.read (and priorities.read, for `check --live` alone). It gets its tokens by
         client credentials, with the scopes as_account-REGION.SUBDOMAIN (REGION is us or eu) and incidents.read. A
         user's own key works, too; it shows the incidents that this user may see.
Polls    The log of the account since the last poll, and the incidents created since; at first in windows of less than
         10,000 incidents. By id, with their own log, incidents in the log that are older. Every hour all that are open;
         by id those that were open and are not listed any more. A quiet poll is two requests, a first one some 500 per
         10,000 incidents.
Cursor   seen: the latest entries of the log, each with its time. place: while the first poll is under way, up to when
         all is read. owed: incidents of which the log or the incident itself could not be read.
Blind    When the trouble began: PagerDuty knows only when it was notified. Which change caused an incident: PagerDuty
         only suspects one. Why an integration resolved an incident, because automation fixed it or because the problem
         went away: both count as resolved automatically. Whether a runbook or a workflow helped the responder. Which
         person acts through an integration: what it does counts as automation's. A priority, title or team that changes
         after the incident was resolved; until then, changes are seen within the hour. Alerts that opened no incident.
         How long people worked on an incident. A merged incident counts as the one it was merged into.
Checked  The published OpenAPI document of 2026-08; a fake that asks for as much and limits as it describes.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from exporter.collect.auth import Scheme
from exporter.collect.contract import Cursor, Page
from exporter.collect.details import Details
from exporter.collect.http import Answer, Client
from exporter.collect.recent import WITNESSES, still_there
from exporter.connectors.pagerduty.account import OPEN, Account, Log, named
from exporter.connectors.pagerduty.check import check as check
from exporter.connectors.pagerduty.mapping import RESOLVED, Entry, kinds_of, records
from exporter.connectors.pagerduty.options import Options as Options
from exporter.records import Incident, Json, Record, Request, instant
from exporter.records.unreadable import ODD

RECORDS = (Incident, Request)
AUTH = Scheme(
    api_key=("Authorization", "Token token={}"),
    token_url="https://identity.pagerduty.com/oauth/token",  # noqa: S106 - an address
)
HEADERS = {"Accept": "application/vnd.pagerduty+json;version=2"}
NOUN = "incident"
MOST_SEEN = 1000
BATCH = 100
LISTED_EVERY = timedelta(hours=1)

Span = tuple[datetime, datetime]


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    reader = Reader(client, options, cursor)
    async for page in reader.changed():
        yield page
    async for page in reader.by_id([key for key in reader.details.again if key in reader.details.owed]):
        yield page
    async for page in reader.still_open():
        yield page
    reader.remember()
    yield Page([], reader.cursor())


class Reader:
    """One poll: the log and the incidents, window by window, and what is remembered of them."""

    def __init__(self, client: Client, options: Options, cursor: Cursor) -> None:
        self.client, self.options, self.account = client, options, Account(client, options)
        self.details = Details(client, cursor.get("owed", {}))
        self.seen: dict[str, str] = dict(cursor.get("seen", {}))
        self.place = instant(cursor.get("place"))
        self.witnesses = {} if self.place else {key: self.seen[key] for key in latest(self.seen)[-WITNESSES:]}
        self.found: dict[str, str] = {}  # of the witnesses
        self.log: Log = {}  # of the window
        self.created: set[str] = set()  # in the window
        self.handled: set[str] = set()  # read in this poll with all of their log
        self.carried: Log = {}  # of incidents that were created in a window and go on after it
        self.waiting: dict[str, Json] = {}  # of these, those that have ended
        self.memory = client.memory["open"] or {}
        self.open: dict[str, str] = dict(self.memory.get("ids", {}))  # with when they last changed

    def cursor(self) -> Json:
        place = {"place": self.place.isoformat()} if self.place else {}
        return {"seen": self.seen, "owed": self.details.to_cursor(), **place}

    async def changed(self) -> AsyncIterator[Page]:
        """What was created since the last poll and what is older and has changed, window by window."""
        span, self.span = None, (self.begin(), self.client.at)

        def ask(begin: datetime, end: datetime) -> AsyncGenerator[Answer]:
            self.span = begin, end
            return self.account.incidents(begin, end)

        async for answer in self.account.windows(*self.span, ask):
            if span != self.span:
                if span:
                    async for page in self.older(span):
                        yield page
                span = self.span
                self.log, self.created = await self.account.log(*span), set()
                for key in self.carried.keys() & self.log.keys():
                    self.carried[key] |= self.log[key]
            yield await self.page(answer.items, span)
        if span:
            async for page in self.older(span):
                yield page
        self.place = None
        still_there(self.witnesses, self.found, "entries of the log", {})

    @property
    def overlap(self) -> timedelta:
        return timedelta(seconds=self.options.overlap_seconds)

    def begin(self) -> datetime:
        """From when on the log is read: the latest entries are to be found in it."""
        known = [at for each in self.seen.values() if (at := instant(each))]
        if self.place or not known:
            return min(self.place or self.client.since, self.client.at)
        begin = min(max(known) - self.overlap, *sorted(known)[-WITNESSES:], self.client.at)
        return begin.replace(microsecond=0)  # as incidents have their times

    async def page(self, items: Sequence[Json], span: Span) -> Page:
        """Incidents created in a window, with its log. Those that go on after it are carried into the next windows."""
        whole, others = dict[str, dict[str, Entry]](), list[Json]()
        for item in items:
            if not named(item) or not began(item, span[0]):
                others.append(item)
            elif self.over(item, span[1]):
                whole[item["id"]] = self.log.get(item["id"], {})
                others.append(item)
            else:
                self.carried[item["id"]] = self.log.get(item["id"], {})
                if item.get("status") not in OPEN:  # what is open comes once more, at the end
                    self.waiting[item["id"]] = item
        self.created |= {item["id"] for item in items if named(item)}
        return await self.read([item for item in others if not named(item) or item["id"] not in self.carried], whole)

    def over(self, item: Json, end: datetime) -> bool:
        """Whether nothing more has happened to an incident after a window, as far as that can be said."""
        with suppress(*ODD):
            changed = instant(item["last_status_change_at"])
            return end >= self.client.at or bool(RESOLVED.get(item["status"]) and changed and changed <= end)
        return end >= self.client.at

    async def older(self, span: Span) -> AsyncIterator[Page]:
        """What is in the log of a window and was created before it. Then all up to its end is read."""
        done = {key: item for key, item in self.waiting.items() if self.over(item, span[1])}
        if done:
            yield await self.read([*done.values()], self.carried)
        for key in done:
            del self.waiting[key], self.carried[key]
        self.handled |= done.keys()
        fresh = {key for key, its in self.log.items() if its.keys() - self.seen.keys()}
        async for page in self.by_id(sorted(fresh - self.created - self.handled - self.carried.keys())):
            yield page
        stamps = {each.id: each.at.isoformat() for its in self.log.values() for each in its.values()}
        self.found |= {key: stamps[key] for key in stamps.keys() & self.witnesses.keys()}
        known = {**self.seen, **stamps}
        kept = latest(known)[-MOST_SEEN:]
        floor = instant(known[kept[-1]]) if kept else None
        late = {key for key in kept if floor and (instant(known[key]) or floor) >= floor - self.overlap}
        self.seen = {key: known[key] for key in kept if key in late or key in kept[-WITNESSES:]}
        self.place = span[1]
        yield Page([], self.cursor())

    async def by_id(self, keys: Sequence[str]) -> AsyncIterator[Page]:
        """Single incidents, each with its own log."""
        due = [key for key in keys if self.details.may(key)]
        for some in (due[start : start + BATCH] for start in range(0, len(due), BATCH)):
            found = await self.details.ask(some, self.account.incident)
            self.details.owe(key for key in some if key not in found)
            gone = [key for key, item in found.items() if not item]
            self.details.settle(gone)
            for key in gone:
                self.open.pop(key, None)
            page = await self.read([item for item in found.values() if item], {}, single=True)
            yield replace(page, gone=[*page.gone, *((kind, key) for key in gone for kind in RECORDS)])

    async def still_open(self) -> AsyncIterator[Page]:
        """Now and then all that is open: what has changed beside the log, and what is not there any more."""
        listed = instant(self.memory.get("listed"))
        if listed and listed <= self.client.at < listed + LISTED_EVERY and not self.carried:
            return
        there = set[str]()
        async for answer in self.account.opened():
            there |= {item["id"] for item in answer.items if named(item)}
            changed = [item for item in answer.items if not named(item) or self.open.get(item["id"]) != stamp(item)]
            yield await self.read(changed, self.carried)
        async for page in self.by_id(sorted(self.open.keys() - there)):
            yield page
        self.memory = {"listed": self.client.at.isoformat()}

    def remember(self) -> None:
        self.client.memory["open"] = {"listed": self.memory["listed"], "ids": dict(self.open)}

    async def read(self, items: Sequence[Json], whole: Log, *, single: bool = False) -> Page:
        """Incidents as records. `whole`: the logs that are known; those of others are asked for."""
        ours = {item["id"]: item for item in items if named(item)}
        custom = self.account.custom and not single
        asked = {key for key in ours if custom or key not in whole}
        due = [key for key in asked if self.details.may(key)]
        missing = [key for key in due if key not in whole]
        logs = {**whole, **await self.details.ask(missing, self.account.log_of)}
        bodies = await self.details.ask(due, self.account.incident) if custom else {}
        failed = [key for key in due if key not in logs or (custom and key not in bodies)]
        known = {key: bodies.get(key) or item for key, item in ours.items() if key not in asked or key in due}
        self.handled.update(missing)
        self.details.owe(failed)
        self.details.settle(known.keys() - set(failed))
        odd = [(item, None) for item in items if not named(item)]
        told = [*odd, *((item, logs[key].values() if key in logs else None) for key, item in known.items())]
        reads = await self.client.mapped(told, partial(records, self.options))
        return Page(reads, self.cursor(), [each for item in known.values() for each in self.noted(item)])

    def noted(self, item: Json) -> list[tuple[type[Record], str]]:
        """Notes whether an incident is open; what it is not, or not any more."""
        with suppress(*ODD):  # what cannot be read is reported elsewhere, and stays
            kinds = kinds_of(self.options, item)
            if kinds and not RESOLVED.get(item["status"]):
                self.open[item["id"]] = stamp(item)
            else:
                self.open.pop(item["id"], None)
            possible = RECORDS if self.options.requests else (Incident,)
            return [(kind, item["id"]) for kind in possible if kind not in kinds]
        return []


def began(item: Json, begin: datetime) -> bool:
    """Whether an incident was created then or later; one of which nobody knows is nothing to ask about."""
    created = None
    with suppress(*ODD):
        created = instant(item["created_at"])
    return created is None or created >= begin


def stamp(item: Json) -> str:
    """When an incident last changed, however that is written."""
    with suppress(*ODD):
        return str(instant(item["updated_at"]))
    return ""


def latest(seen: Mapping[str, str]) -> list[str]:
    """Entries of the log in order of their times, the latest last."""
    return sorted(seen, key=lambda key: (seen[key], key))
