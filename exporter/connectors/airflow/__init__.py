"""Airflow: a DAG run is a run, what is cleared is a new attempt of it, a DAG is a workflow.

API      REST API v2 of Airflow 3, v1 of 2.6 and later: the server says which. Airflow 3: `auth` with the method login,
         which gets a token at /auth/token, or a token_file. Airflow 2: username and password_file (its [api]
         auth_backends must include airflow.api.auth.backend.basic_auth). Managed services: their token, as token_file.
Access   A user of its own with a role of its own: can read on DAGs, DAG Runs and Audit Logs. Airflow's own roles lack
         Audit Logs, but for Admin (and Viewer of the simple auth manager of Airflow 3). Without them there is no rate
         of retries or of success at the first attempt, and nothing is known of what people did by hand. Of DAGs that
         the user may not read, Airflow shows nothing, and does not say that there are any.
Polls    Every ten minutes all DAGs. New lines of the event log about runs that were cleared, marked or deleted. Runs
         changed since the last poll, with an overlap; of one that somebody has touched, its lines in the event log. At
         first all open runs, then those that ended, latest first. A quiet poll is two requests.
Cursor   changed: the latest time that a run tells of itself, never later than the poll. recent: the last of those runs.
         until: while the history is read, how far it is. log: the last lines of the event log. asked: runs that were
         touched, with the state in which they are stored. failed: when the last failed runs began and ended. owed:
         runs whose lines could not be read. dags: their ids.
Blind    Retries of single tasks. Clears that the event log does not name, unless they followed a failure that was seen
         before: on the command line, in the lists of 2.x (Browse), of earlier or later runs along with one, or before
         the log was cleaned. The exact times of attempts that were never seen: they are those of their tasks. Runs that
         `airflow db clean` removed stay, and so do those of a deleted DAG. Waits for a person's answer: after
         `run_timeout` they count as abandoned. Airflow 2: tasks that people marked in its pages; when a run was queued;
         which runs `dags test` made; before 2.9, what people did. A change that becomes visible later than `overlap`.
Checked  Recorded answers of 2.11.0 and 3.3.2; a real 3.3.2 in the tests, a real 2.11.0 on demand; both specifications.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from exporter.collect import paging
from exporter.collect.auth import Scheme
from exporter.collect.changes import Changes
from exporter.collect.contract import Cursor, Page
from exporter.collect.details import Details
from exporter.collect.finding import Finding, look
from exporter.collect.http import Answer, AuthFailed, Client, Gone, NotUnderstood, SourceError
from exporter.collect.query import Query
from exporter.connectors.airflow.mapping import (
    EVERY_ACT,
    TASK,
    Act,
    Attempt,
    Words,
    attempts,
    born_at,
    changed_at,
    key_of,
    line_of,
    only_attempt,
    run,
    sound,
    workflow,
)
from exporter.records import Json, Read, Record, Run, Workflow, instant
from exporter.records.unreadable import ODD

RECORDS = (Run, Workflow)
AUTH = Scheme(token_url="/auth/token", body="json")  # noqa: S106 - an address
NOUN = "run"
ABOUT_ONCE = timedelta(minutes=10)  # how long the release and the DAGs are remembered
MOST_ASKED = 2_000  # touched runs that the cursor knows
MOST_FAILED = 1_000  # failed runs that the cursor knows
MOST_LINES = 2_000  # of the event log that the cursor knows
UNTOUCHED: Json = {"acts": (), "past": 0}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be set for one Airflow."""

    page_size: Annotated[int, Field(ge=1, le=1000)] = 100  # Airflow silently gives fewer where its limit is lower
    overlap_seconds: Annotated[int, Field(ge=0)] = 600  # how far back changes are read again
    bots: tuple[str, ...] = ()  # users that are automations: what they clear or mark is no human override
    business_tasks: tuple[str, ...] = ()  # ids of tasks that fail where work is rejected: a business exception
    default_owner: str = "airflow"  # the owner of DAGs that name none, as [operators] default_owner


def judge(answer: Answer) -> SourceError | None:
    """A refusal in Airflow's own words."""
    if answer.status == 403 and answer.find("detail") == "Invalid JWT token":  # such as after a change of its secret
        return AuthFailed(f"{answer.where}: HTTP 403: the token is not valid; check it, or log in with method: login")
    if answer.status == 401 and answer.where.partition("/api/")[2].startswith("v1"):
        return AuthFailed(
            f"{answer.where}: HTTP 401: the credential is refused; check it, and that [api] auth_backends of Airflow"
            " includes airflow.api.auth.backend.basic_auth"
        )
    if answer.status == 400 and answer.where.endswith("/api/v1/eventLogs"):
        return answer.forbidden("the event log cannot be asked for some events only; that takes Airflow 2.9")
    return None


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    api = await client.memory.remembered("api", ABOUT_ONCE, partial(api_of, client))
    dags = await client.memory.remembered("dags", ABOUT_ONCE, partial(all_dags, client, options, api))
    runs = Runs(client, options, api, dags, cursor)
    gone: list[tuple[type[Record], str]] = [(Workflow, key) for key in cursor.get("dags", ()) if key not in runs.dags]
    yield Page(await client.mapped(dags, partial(workflow, words=runs.words, web=client.url)), cursor, gone)
    log, gone = await runs.acts(cursor.get("log", {}))
    deleted = {key for _, key in gone}
    recent = {key: born for key, born in cursor.get("recent", {}).items() if key not in deleted}
    cursor = {**cursor, "log": log, **({"recent": recent} if "recent" in cursor else {})}
    yield Page(await runs.again(), {**cursor, **runs.marks()}, gone)
    changes = Changes(client, cursor, timedelta(seconds=options.overlap_seconds))
    first = "changed" not in cursor
    async for page in runs.open() if first else runs.changed(changes.since):
        see(changes, page.items)
        # The cursor stays where it was until all is stored: dying half-way reads again, never skips.
        yield Page(await runs.reads(page.items), {**cursor, **runs.marks()})
    known: Json = {"log": log, "dags": sorted(by_id(dags))}
    if not first:
        changes.check("runs")
        known |= changes.to_cursor()
    until = instant(cursor.get("until"))
    if first or until:
        async for page, place in runs.history(until):
            see(changes, page.items if first else ())
            known |= changes.to_cursor()
            # Before anything has an end, there is no place to go on from.
            begun = {**known, "until": place.isoformat()} if place else cursor
            yield Page(await runs.reads(page.items), {**begun, **runs.marks()}, whole_since=place)
    yield Page([], {**known, **changes.to_cursor(), **runs.marks()}, whole_since=client.since)


async def check(client: Client, _options: Options) -> list[Finding]:
    """The release, and the first page of each resource."""
    api = await api_of(client)
    findings = [Finding("version", str((await client.ask(f"{api}/version")).find("version"))[:40])]
    log = {"limit": 1, "included_events": included(api, EVERY_ACT)}
    for what, path, query, needs in (
        ("DAGs", "/dags", {"limit": 1}, "can read on DAGs"),
        ("DAG runs", "/dags/~/dagRuns", {"limit": 1}, "can read on DAG Runs"),
        ("event log", "/eventLogs", log, "can read on Audit Logs; without it, there is no rate of retries"),
    ):
        page, found = await look(what, client.ask(f"{api}{path}", query), needs=needs)
        count = page.find("total_entries") if page else None
        findings += found or [Finding(what, f"the first page is read; {count} in all")]
        if what == "DAGs" and count == 0:
            findings[-1] = Finding(what, "none: the user needs a role with can read on DAGs", wrong=True)
    return findings


async def api_of(client: Client) -> str:
    """Where the API is, and so which it is."""
    for api in ("/api/v2", "/api/v1"):
        with suppress(Gone):
            answer = await client.ask(f"{api}/version")
            if isinstance(answer.find("version"), str):
                return api
    raise NotUnderstood(
        "/api/v2/version and /api/v1/version: neither is there; the url is that of Airflow's pages, without /api"
    )


async def all_dags(client: Client, options: Options, api: str) -> list[Json]:
    """Those whose files are gone, too: they have runs."""
    query: Query = {"order_by": "dag_id", **({"exclude_stale": "false"} if three(api) else {"only_active": "false"})}
    pages = listed(client, f"{api}/dags", query, items="dags", size=options.page_size)
    return [item async for page in pages for item in page.items]


def by_id(dags: Sequence[Json]) -> dict[str, Json]:
    return {item["dag_id"]: item for item in dags if isinstance(item, dict) and isinstance(item.get("dag_id"), str)}


def three(api: str) -> bool:
    """Whether it is Airflow 3."""
    return api.endswith("/v2")


def included(api: str, events: Sequence[str]) -> str | list[str]:
    """How events are named in a question."""
    return [*events] if three(api) else ",".join(events)


def listed(client: Client, path: str, query: Query, *, items: str, size: int) -> AsyncGenerator[Answer]:
    """The pages of a list. Airflow may give fewer items than it was asked for: only their number tells the last."""
    count = 0

    def last(page: Answer) -> bool:
        nonlocal count
        count += len(page.items)
        return whole(page, count)

    return paging.by_offset(client, path, query, items=items, size=size, last=last)


def whole(page: Answer, count: int) -> bool:
    """Whether a list of so many items ends with this page."""
    total = page.find("total_entries")
    return not page.items or (isinstance(total, int) and count >= total)


def see(changes: Changes, items: Sequence[Json]) -> None:
    told = [{"id": key_of(item), "changed": changed_at(item), "born": born_at(item)} for item in items if sound(item)]
    changes.saw(told, changed="changed", stamp="born")


class Runs:
    """The runs of one poll: which are read, and what the cursor is to hold of them."""

    def __init__(self, client: Client, options: Options, api: str, dags: Sequence[Json], cursor: Cursor) -> None:
        self.client, self.options, self.api = client, options, api
        self.words = Words(options.bots, options.business_tasks, options.default_owner)
        self.dags = by_id(dags)
        self.learnt = False  # whether the DAGs were asked for a second time
        self.details = Details(client, cursor.get("owed", {}))
        self.asked: dict[str, Json] = dict(cursor.get("asked", {}))
        self.failed: dict[str, Sequence[str | None]] = dict(cursor.get("failed", {}))
        self.logged = False  # whether the event log may be read

    def marks(self) -> Json:
        """What the cursor is to hold."""
        kept = [*self.asked][-MOST_ASKED:]
        failed = sorted(self.failed, key=lambda key: str(self.failed[key][1]))[-MOST_FAILED:]
        return {
            "asked": {key: self.asked[key] for key in kept},
            "failed": {key: self.failed[key] for key in failed},
            "owed": self.details.to_cursor(),
        }

    async def acts(self, known: Json) -> tuple[Json, list[tuple[type[Record], str]]]:
        """What was done with runs since the last poll: how far the log is read then, and what was deleted."""
        read_to, seen = instant(known.get("at")), set(known.get("seen", ()))
        overlap = timedelta(seconds=self.options.overlap_seconds)
        since = read_to - overlap if read_to else self.client.since
        events = list[Json]()
        with self.client.optional("event_log"):
            async for page in self.log({"after": since.isoformat(), "included_events": included(self.api, EVERY_ACT)}):
                events += page.items
            self.logged = True
        lines, gone = dict[int, datetime](), list[tuple[type[Record], str]]()
        for event in reversed(events):
            if (line := self.client.learnt("event_log", line_of, event)) is None:
                continue
            number, when, done = line
            if when <= self.client.at:  # one that lies ahead must not carry the mark away
                lines[number] = when
            for act in () if number in seen else done:
                gone += self.touched(act, named=bool(event.get("run_id")))
        read_to = max([*lines.values(), *([read_to] if read_to else [])], default=None)
        recent = [key for key, when in lines.items() if read_to and when >= read_to - overlap][-MOST_LINES:]
        return ({"at": read_to.isoformat(), "seen": recent} if read_to else {}), gone

    def touched(self, act: Act, *, named: bool) -> list[tuple[type[Record], str]]:
        """Notes that a run is to be looked at; what there is of it no more. `named`: its own lines tell of the act."""
        stored = self.asked.pop(act.key, UNTOUCHED)
        if act.kind == "delete":
            self.details.settle([act.key])
            return [(Run, act.key), *((Run, f"{act.key}/{number + 1}") for number in range(stored["past"]))]
        its = [act.at, act.kind, act.state, act.by]
        more = [] if named or its in stored["acts"] else [its]
        self.asked[act.key] = {**stored, "state": None, "acts": [*stored["acts"], *more]}
        return []

    async def reads(self, items: Sequence[Json]) -> list[Read]:
        """Runs as records, each of their attempts; without those that are stored as they are."""
        pairs = list[tuple[Json, Attempt | None]]()
        await self.learn({item["dag_id"] for item in items if sound(item)})
        for item in items:
            if sound(item):
                self.notice(item)
        fresh = [
            item for item in items if not sound(item) or self.asked.get(key_of(item), {}).get("state") != state(item)
        ]
        wanted = {key_of(item): item for item in fresh if sound(item) and self.wants_log(item)}
        tried = await self.details.ask(wanted, lambda key: self.attempts(wanted[key]))
        self.details.owe(key for key in wanted if key not in tried)
        self.details.settle(tried)
        for key, tries in tried.items():
            known = self.asked.pop(key, UNTOUCHED)["acts"]
            self.asked[key] = {"state": state(wanted[key]), "acts": known, "past": len(tries) - 1}
        for item in fresh:
            its: Sequence[Attempt | None] = tried.get(key_of(item)) or self.unlogged(item) if sound(item) else [None]
            pairs += [(item, attempt) for attempt in its]
        return await self.client.mapped(pairs, self.record)

    def notice(self, item: Json) -> None:
        """Keeps in mind that a run failed, and notices that it has begun again: not all clears are in the event log."""
        key = key_of(item)
        began, ended = self.failed.pop(key, (None, None))
        if began and began != item.get("start_date"):
            stored = self.asked.pop(key, UNTOUCHED)
            acts = [*stored["acts"], [ended, "clear", "failed", None, began]]
            self.asked[key] = {**stored, "state": None, "acts": acts}
        if item["state"] == "failed" and ended_at(item):
            self.failed[key] = item.get("start_date"), item["end_date"]

    def unlogged(self, item: Json) -> Sequence[Attempt]:
        """The attempts of a run whose lines in the event log are not read."""
        key = key_of(item)
        if known := self.acts_of(item):
            tries = attempts(item, None, known, self.words)
            self.asked[key] = {**self.asked[key], "past": len(tries) - 1}
            return tries
        touched = not self.logged or key in self.asked or key in self.details.owed
        return [only_attempt(item, None if touched else False)]

    def acts_of(self, item: Json) -> list[Act]:
        """What is known to have been done with a run, and is not in its own lines."""
        known = (self.asked.get(key_of(item)) or UNTOUCHED)["acts"]
        return [Act(item["dag_id"], item["dag_run_id"], *act) for act in known]

    async def learn(self, dag_ids: Collection[str]) -> None:
        """Asks for the DAGs again where runs are of one that is new: its tags say whose they are."""
        if not self.learnt and any(dag_id not in self.dags for dag_id in dag_ids):
            self.learnt = True
            self.dags = by_id(await all_dags(self.client, self.options, self.api))

    def record(self, pair: tuple[Json, Attempt | None]) -> Read | None:
        item, attempt = pair
        dag = self.dags.get(item["dag_id"], {}) if attempt else {}
        return run(item, attempt, dag, self.words, self.client.url)

    def wants_log(self, item: Json) -> bool:
        """Whether only the event log tells what became of a run."""
        key, rejects = key_of(item), bool(self.words.business_tasks) and item["state"] == "failed"
        return self.logged and self.details.may(key) and (key in self.asked or rejects)

    async def attempts(self, item: Json) -> list[Attempt]:
        """The attempts of a run, from all lines of the event log about it."""
        of: Query = {"dag_id": item["dag_id"], "run_id": item["dag_run_id"]}
        pages = self.log({**of, "included_events": included(self.api, [*TASK, *EVERY_ACT])})
        log = [event async for page in pages for event in page.items]
        return attempts(item, log, self.acts_of(item), self.words)

    def log(self, query: Query) -> AsyncGenerator[Answer]:
        # Newest first: what is added meanwhile moves the others down, so none is passed over.
        query = {**query, "order_by": "-event_log_id"}
        path, size = f"{self.api}/eventLogs", self.options.page_size
        return listed(self.client, path, query, items="event_logs", size=size)

    async def again(self) -> list[Read]:
        """Runs whose lines could not be read before."""
        keys = [key for key in self.details.again if key in self.details.owed] if self.logged else []
        found = await self.details.ask(keys, self.one)
        self.details.owe(key for key in keys if key not in found)
        self.details.settle(key for key, item in found.items() if item is None)
        return await self.reads([item for item in found.values() if item])

    async def one(self, key: str) -> Json:
        """A run by its id; None where it is there no more."""
        dag_id, _, run_id = key.partition(":")
        with suppress(Gone):
            return await self.client.get(f"{self.api}/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}")

    def open(self) -> AsyncGenerator[Answer]:
        """All that have not ended."""
        return self.listed({"state": ["queued", "running"], "order_by": "-updated_at"})

    def changed(self, since: datetime) -> AsyncGenerator[Answer]:
        """Those that were changed since. Latest first: one that changes meanwhile moves the others down only."""
        return self.listed({"updated_at_gte": since.isoformat(), "order_by": "-updated_at"})

    def listed(self, query: Query) -> AsyncGenerator[Answer]:
        path, size = f"{self.api}/dags/~/dagRuns", self.options.page_size
        return listed(self.client, path, query, items="dag_runs", size=size)

    async def history(self, until: datetime | None) -> AsyncIterator[tuple[Answer, datetime | None]]:
        """Those that ended, latest first, and how far back all are there."""
        count = 0

        def ask(place: datetime | None, offset: int, size: int) -> Awaitable[Answer]:
            nonlocal count
            count = offset
            # Not by state: a word that we do not know would hide its runs. In 3.x what has no end comes along.
            query: Query = {"end_date_gte": self.client.since.isoformat(), "order_by": "-end_date"}
            bound: Query = {"end_date_lte": place.isoformat()} if place else {}
            return self.client.ask(f"{self.api}/dags/~/dagRuns", {**query, **bound, "limit": size, "offset": offset})

        pages = paging.by_key(
            self.client,
            ask,
            items="dag_runs",
            key=ended_at,
            begin=until,
            size=self.options.page_size,
            newest_first=True,
            last=lambda page: whole(page, count + len(page.items)),
        )
        async for page in pages:
            ends = [end for item in page.items if (end := ended_at(item))]
            until = ends[-1] if ends else until
            yield page, until


def ended_at(item: Json) -> datetime | None:
    with suppress(*ODD):
        return instant(item["end_date"])
    return None


def state(item: Json) -> list[Json]:
    """Another one: there is more in its event log."""
    return [item["state"], item.get("start_date"), item.get("end_date")]
