"""PagerDuty: an incident is an incident, and also, or only, a request where the options say so.

API      REST API v2, https://api.pagerduty.com or https://api.eu.pagerduty.com; an API key or an OAuth app.
Access   An administrator creates a read-only key of the account: Integrations > API Access Keys > Create New API Key,
         Read-only API Key. With less rights, an app: Integrations > App Registration > New App > OAuth 2.0, Scoped
         OAuth, with the scope incidents.read (and priorities.read, for `check --live` alone). It gets its tokens by
         client credentials, with the scopes as_account-REGION.SUBDOMAIN (REGION is us or eu) and incidents.read. A
         user's own key works, too; it shows the incidents that this user may see.
Polls    The log of the account since the last poll, and the incidents created since; at first in windows of less than
         10,000 incidents. By id, with their own log, incidents in the log that are older. Every hour all that are open;
         by id those that were open and are not listed any more. A quiet poll is two requests.
Cursor   seen: the latest entries of the log, each with its time. place: while the first poll is under way, up to when
         all is read. owed: incidents of which the log or the incident itself could not be read.
Blind    Changes of priority, title or teams that nobody made part of the log: found within the hour while the incident
         is open, and never afterwards. When trouble began before PagerDuty knew. The change that caused an incident:
         PagerDuty only suspects one. Whether a runbook or a workflow helped: what a person acknowledges and an
         integration resolves counts as not remediated by automation. What a person did in the name of an integration.
         Merged incidents count as the one they were merged into. Alerts that opened no incident. Time at work.
Checked  The published OpenAPI document of 2026-08; a fake that asks for as much and limits as it describes.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import quote

from exporter.collect import paging
from exporter.collect.auth import Scheme
from exporter.collect.contract import Cursor, Page
from exporter.collect.details import Details
from exporter.collect.http import Answer, Client, Gone, NotUnderstood
from exporter.collect.query import Scalar
from exporter.collect.recent import WITNESSES, still_there
from exporter.connectors.pagerduty.check import check as check
from exporter.connectors.pagerduty.mapping import RESOLVED, Entry, entry, kinds_of, records
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
WALL = 10_000  # of a list: a page that would end beyond it is refused
LONGEST = timedelta(days=150)  # six months at most
BORDER = timedelta(seconds=1)  # whether both ends of a window are part of it is not published
MOST_SEEN = 1000
BATCH = 100
LISTED_EVERY = timedelta(hours=1)
OPEN = [word for word, over in RESOLVED.items() if not over]
INCLUDES = {
    "service": "services",
    "teams": "teams",
    "escalation_policy": "escalation_policies",
    "priority": "priorities",
    "first_trigger_log_entry": "first_trigger_log_entries",
    "assignments": "assignees",
    "acknowledgements": "acknowledgers",
    "last_status_change_by": "agents",
    "conference_bridge": "conference_bridge",
}
"""Fields of an incident that are references unless more is asked for, and what that is called."""
REFERENCE = {"id", "summary"}  # what is sent anyway
CUSTOM = "custom_fields"  # sent only with a single incident

Span = tuple[datetime, datetime]


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    reader = Reader(client, options, cursor)
    async for page in reader.changed():
        yield page
    async for page in reader.by_id(reader.details.again):
        yield page
    async for page in reader.still_open():
        yield page
    reader.remember()
    yield Page([], reader.cursor())


class Reader:
    """One poll: the log and the incidents, window by window, and what is remembered of them."""

    def __init__(self, client: Client, options: Options, cursor: Cursor) -> None:
        self.client, self.options = client, options
        self.details = Details(client, cursor.get("owed", {}))
        self.seen: dict[str, str] = dict(cursor.get("seen", {}))
        self.place = instant(cursor.get("place"))
        self.witnesses = {} if self.place else dict(latest(self.seen)[-WITNESSES:])
        self.found: dict[str, str] = {}  # of the witnesses
        self.log: dict[str, dict[str, Entry]] = {}  # of the window, by incident
        self.created: set[str] = set()  # in the window
        self.handled: set[str] = set()  # read in this poll with all of their log
        self.carried: dict[str, dict[str, Entry]] = {}  # the logs of those created in a window that go on after it
        self.waiting: dict[str, Json] = {}  # of these, those that have ended
        self.memory = client.memory["open"] or {}
        self.open: dict[str, str] = dict(self.memory.get("ids", {}))  # with when they last changed
        which = [each.field for each in (*options.requests, *options.not_incidents)]
        paths = [path.split(".") for path in (*client.paths, *which)]
        deep = [path for path in paths if not REFERENCE.issuperset(part for part in path[1:] if not part.isdecimal())]
        wanted = {path[0] for path in deep if path[0] in INCLUDES}
        self.includes = sorted(INCLUDES[name] for name in wanted)
        self.custom = any(path[0] == CUSTOM for path in paths)

    def cursor(self) -> Json:
        place = {"place": self.place.isoformat()} if self.place else {}
        return {"seen": self.seen, "owed": self.details.to_cursor(), **place}

    async def changed(self) -> AsyncIterator[Page]:
        """What was created since the last poll and what is older and has changed, window by window."""
        span, self.span = None, (self.begin(), self.client.at)

        def ask(begin: datetime, end: datetime) -> AsyncGenerator[Answer]:
            self.span = begin, end
            return self.incidents(begin, end)

        async for answer in self.windows(*self.span, ask):
            if span != self.span:
                if span:
                    async for page in self.older(span):
                        yield page
                span = self.span
                self.log, self.created = await self.entries(*span), set()
                for key in self.carried.keys() & self.log.keys():
                    self.carried[key] |= self.log[key]
            yield await self.page(answer.items, span)
        if span:
            async for page in self.older(span):
                yield page
        self.place = None
        still_there(self.witnesses, self.found, "entries of the log", {})

    def begin(self) -> datetime:
        """From when on the log is read: the latest entries are to be found in it."""
        known = [at for each in self.seen.values() if (at := instant(each))]
        if self.place or not known:
            return min(self.place or self.client.since, self.client.at)
        return min(max(known) - self.overlap, *sorted(known)[-WITNESSES:], self.client.at)

    async def entries(self, begin: datetime, end: datetime) -> dict[str, dict[str, Entry]]:
        """The log of a window, by incident and id."""

        def ask(begin: datetime, end: datetime) -> AsyncGenerator[Answer]:
            return self.listed("/log_entries", "log_entries", {**between(begin, end), "is_overview": "true"})

        log: dict[str, dict[str, Entry]] = {}
        async for answer in self.windows(begin, end, ask):
            for raw in answer.items:
                if each := self.logged(raw):
                    log.setdefault(each.incident, {})[each.id] = each
        return log

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
        kept = latest({**self.seen, **stamps})[-MOST_SEEN:]
        floor = instant(kept[-1][1]) if kept else None
        self.seen = {
            key: stamp
            for number, (key, stamp) in enumerate(reversed(kept))
            if number < WITNESSES or not floor or (instant(stamp) or floor) >= floor - self.overlap
        }
        self.place = span[1]
        yield Page([], self.cursor())

    async def by_id(self, keys: Sequence[str]) -> AsyncIterator[Page]:
        """Single incidents, each with its own log."""
        due = [key for key in keys if self.details.may(key)]
        for some in (due[start : start + BATCH] for start in range(0, len(due), BATCH)):
            found = await self.details.ask(some, self.body)
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
        if listed and listed <= self.client.at < listed + LISTED_EVERY:
            return
        there = set[str]()
        async for answer in self.opened():
            there |= {item["id"] for item in answer.items if named(item)}
            changed = [item for item in answer.items if not named(item) or self.open.get(item["id"]) != stamp(item)]
            yield await self.read(changed, self.carried)
        async for page in self.by_id(sorted(self.open.keys() - there)):
            yield page
        self.memory = {"listed": self.client.at.isoformat()}

    def remember(self) -> None:
        self.client.memory["open"] = {"listed": self.memory["listed"], "ids": dict(self.open)}

    async def read(
        self, items: Sequence[Json], whole: Mapping[str, Mapping[str, Entry]], *, single: bool = False
    ) -> Page:
        """Incidents as records. `whole`: the logs that are known; those of others are asked for."""
        ours = {item["id"]: item for item in items if named(item)}
        custom = self.custom and not single
        asked = {key for key in ours if custom or key not in whole}
        due = [key for key in asked if self.details.may(key)]
        missing = [key for key in due if key not in whole]
        logs = {**whole, **await self.details.ask(missing, self.log_of)}
        bodies = await self.details.ask(due, self.body) if custom else {}
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

    # What is asked.

    def incidents(self, begin: datetime, end: datetime, **more: Scalar | Sequence[Scalar]) -> AsyncGenerator[Answer]:
        """Those created in a window."""
        return self.listed("/incidents", "incidents", {**self.by_age, **between(begin, end), **more})

    @property
    def by_age(self) -> dict[str, Scalar | Sequence[Scalar]]:
        return {"sort_by": "created_at:asc", **({"include[]": self.includes} if self.includes else {})}

    async def opened(self) -> AsyncIterator[Answer]:
        """All that are open, however old; in windows where a list cannot show them all."""
        asked = {"statuses[]": OPEN}
        async for answer in self.listed("/incidents", "incidents", {**self.by_age, **asked, "date_range": "all"}):
            if (total(answer) or 0) < self.most:
                yield answer
                continue
            oldest = instant(answer.items[0]["created_at"]) or self.client.since

            def ask(begin: datetime, end: datetime) -> AsyncGenerator[Answer]:
                return self.incidents(begin, end, **asked)

            async for part in self.windows(oldest, self.client.at, ask):
                yield part
            return

    def windows(
        self, begin: datetime, end: datetime, ask: Callable[[datetime, datetime], AsyncGenerator[Answer]]
    ) -> AsyncIterator[Answer]:
        return paging.windows(self.client, begin, end, ask, self.most, total=total, longest=LONGEST)

    def listed(self, path: str, items: str, params: Mapping[str, Scalar | Sequence[Scalar]]) -> AsyncGenerator[Answer]:
        teams = {"team_ids[]": self.options.teams} if self.options.teams else {}
        asked = {"time_zone": "UTC", "total": "true", **teams, **params}
        return paging.by_offset(self.client, path, asked, items=items, size=self.options.page_size, last=is_last)

    @property
    def most(self) -> int:
        """So many of a list come with whole pages."""
        return WALL // self.options.page_size * self.options.page_size

    @property
    def overlap(self) -> timedelta:
        return timedelta(seconds=self.options.overlap_seconds)

    async def body(self, key: str) -> Json:
        """A single incident; None where there is no such any more."""
        includes = [*self.includes, *([CUSTOM] if self.custom else [])]
        with suppress(Gone):
            answer = await self.client.ask(f"/incidents/{quote(key)}", {"include[]": includes} if includes else None)
            if not named(found := answer.find("incident")):
                raise NotUnderstood(f"{answer.where}: the answer contains no incident")
            return found
        return None

    async def log_of(self, key: str) -> dict[str, Entry]:
        path, asked = f"/incidents/{quote(key)}/log_entries", {"time_zone": "UTC", "is_overview": "true"}
        pages = paging.by_offset(self.client, path, asked, items="log_entries", size=100, last=is_last)
        return {each.id: each async for page in pages for raw in page.items if (each := self.logged(raw))}

    def logged(self, raw: Json) -> Entry | None:
        return self.client.learnt("log_entries", entry, raw)


def between(begin: datetime, end: datetime) -> dict[str, Scalar]:
    return {"since": f"{begin - BORDER:%Y-%m-%dT%H:%M:%SZ}", "until": f"{end:%Y-%m-%dT%H:%M:%SZ}"}


def total(answer: Answer) -> int | None:
    found = answer.find("total")
    return found if isinstance(found, int) else None


def is_last(answer: Answer) -> bool:
    return answer.find("more") is not True


def named(item: Json) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), str)


def began(item: Json, begin: datetime) -> bool:
    """Whether an incident was created then or later."""
    with suppress(*ODD):
        created = instant(item["created_at"])
        return created is not None and created >= begin
    return False


def stamp(item: Json) -> str:
    """When an incident last changed, however that is written."""
    with suppress(*ODD):
        return str(instant(item["updated_at"]))
    return ""


def latest(seen: Mapping[str, str]) -> list[tuple[str, str]]:
    """Entries of the log and their times, the latest last."""
    return sorted(seen.items(), key=lambda each: (each[1], each[0]))
