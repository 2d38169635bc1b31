"""n8n: an execution is a run.

API      Public REST API v1, header X-N8N-API-KEY.
Access   Settings > n8n API > Create an API key, as an owner or admin: the key of any other user silently sees less.
         If scopes can be chosen (Enterprise): execution:list, execution:read, workflow:list and workflow:read.
         Otherwise a key may do everything that its user may; protect it like a password. n8n Cloud has no API during a
         trial.
Polls    Executions that run or wait; then executions, newest first: all of them up to 2,500, otherwise the latest ones,
         and once an hour older ones that ended late. By id: those that were open and are in neither list, the origins
         of retries, and the data of failures (of which only the kind is kept). From time to time the workflows.
Cursor   recent: the newest executions, by id, with their ends. open: ids that had not ended. facts: what was requested
         about the last retries and failures. owed: executions whose details could not be read. whole: whether the list
         is short. swept_at: when it was last read further back. workflows, read_at: names, tags and projects.
Blind    Runs that are not saved, or are pruned between two polls. Time in the queue. Who pressed retry; approvals and
         other human decisions. Retries of single nodes. When a crashed run died. The kind of a failure whose data is
         hidden. Until mid 2026, n8n does not list executions that wait in the memory of the process that began them,
         and before 1.112 none that run. These are unknown until they end; they are found within an hour after that, if
         they are among the last 25,000. After n8n was set up again, a new run replaces an old one with the same id. A
         renamed workflow begins a new series; workflows of the same name share one.
Checked  Recorded answers of 2.40.7; a real 2.40.7 in the tests, on demand. 1.x: a fake that hides what 1.123.81 hid.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from exporter.collect import paging
from exporter.collect.auth import Scheme
from exporter.collect.contract import Cursor, Page
from exporter.collect.details import Details
from exporter.collect.finding import Finding, look
from exporter.collect.http import Client, Forbidden, Gone, NotUnderstood, TooLarge
from exporter.collect.recent import Recent
from exporter.connectors.n8n.mapping import DESCRIPTION, MODES, OPEN, description, kind, project, run, team, workflow
from exporter.records import ExceptionKind, Json, Run, Workflow, instant
from exporter.records.unreadable import ODD

RECORDS = (Run, Workflow)
AUTH = Scheme(api_key=("X-N8N-API-KEY", "{}"))
SWEEP_EVERY = timedelta(hours=1)
SWEEP_EXECUTIONS = 25_000  # n8n keeps 10,000 unless told otherwise
SHORT = 2_500  # a list that is no longer is read whole at every poll
SKEW = timedelta(hours=1)  # by which clocks may differ
LONGEST_ID = 18  # digits
LONGEST_CHAIN = 100  # of retries; a longer one is none


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be set for one instance."""

    api_path: str = "/api/v1"
    web_url: str = ""  # where people open n8n, if not at the configured url
    page_size: Annotated[int, Field(ge=1, le=250)] = 250  # n8n answers 400 above 250
    overlap: Annotated[int, Field(ge=0, le=5000)] = (
        200  # the newest executions read again at every poll: a run enters the list only when it ends
    )
    inventory_seconds: Annotated[int, Field(ge=60)] = (
        3600  # how old the list of workflows may be; it brings every node of every workflow
    )
    exceptions: Literal["read", "unread"] = "read"  # ask for a failed run's data, which says of which kind it is
    modes: tuple[str, ...] = ()  # further modes that count as runs, such as "manual"


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    web, old = options.web_url or client.url, cursor.get("workflows", {})
    about, read_at = dict(old), instant(cursor.get("read_at"))
    details = Details(client, cursor.get("owed", {}))
    if not read_at or client.at - read_at >= timedelta(seconds=options.inventory_seconds):
        about, read_at, projects = {}, client.at, dict[str, str]()
        async for items in pages(client, options, "/workflows", excludePinnedData="true"):
            await name_projects(client, options, items, projects, details)
            reads = await client.mapped(items, lambda item: workflow(item, projects, web))
            about |= {read.record.id: {word: read.item[word] for word in DESCRIPTION} for read in reads}
            yield Page(reads, cursor)
        yield Page([], cursor, gone=[(Workflow, known) for known in old if known not in about])
    reading = Reading(client, options, cursor, details)
    facts, still = dict(cursor.get("facts", {})), set(cursor.get("open", ()))
    async for items in reading.batches({"workflows": about}):
        ours = [item for item in items if sound(item) and (MODES[item["mode"]] or item["mode"] in options.modes)]
        mapped = partial(run, about=about, facts=await learn(client, options, ours, about, facts, details), web=web)
        # The cursor stays put until every page is stored: dying half-way reads again, never skips.
        yield Page(await client.mapped(items, partial(mapped, modes=options.modes)), cursor)
        still.update(item["id"] for item in ours if item["status"] in OPEN)
        still.difference_update(item["id"] for item in ours if item["status"] not in OPEN)
    still -= reading.gone  # what is stored of them stays
    places, lowest = reading.places()
    facts = {key: fact for key, fact in facts.items() if int(key) >= lowest or key in still}
    places |= {"open": sorted(still, key=int), "facts": facts, "owed": details.to_cursor()}
    yield Page([], {**places, "workflows": about, "read_at": read_at.isoformat()})


async def check(client: Client, options: Options) -> list[Finding]:
    """The first page of each resource, one item of each, and whether the release is an old one."""
    findings = list[Finding]()
    for what, one_ in (("executions", "execution"), ("workflows", "workflow")):
        path = f"{options.api_path}/{what}"
        page, found = await look(what, client.ask(path, {"limit": 1}), needs=f"the scope {one_}:list")
        items = page.listed("data") if page else []
        few = "none is shown; a key shows only what its user may see, so use that of an owner or admin"
        findings += found or [Finding(what, "the first page is read" if items else few)]
        for item in items:
            findings += (await look(f"one {one_}", client.ask(f"{path}/{item['id']}"), needs=f"the scope {one_}:read"))[
                1
            ]
    if not findings[0].wrong:
        with suppress(Gone, Forbidden):
            findings.append(Finding("release", await release(client, options)))
    return findings


async def release(client: Client, options: Options) -> str:
    """n8n tells its version to nobody who asks with a key; what it understands tells how old it is."""
    try:
        await client.get(f"{options.api_path}/executions", {"limit": 1, "status": "running"})
    except NotUnderstood as error:
        if error.status != 400:
            raise
        return "older than 1.112: runs that are under way are unknown until they end"
    return "1.112 or later"


async def name_projects(
    client: Client, options: Options, items: Sequence[Json], names: dict[str, str], details: Details
) -> None:
    """The list of workflows tells a project's id, one workflow of it tells its name."""
    first = dict[str, str]()
    for item in items:
        its = project(item).get("id", "")
        if isinstance(its, str) and its not in ("", *names) and isinstance(item.get("id"), str):
            first.setdefault(its, item["id"])
    found = await details.ask(first.values(), lambda key: one(client, options, f"/workflows/{key}"))
    names |= {its: team(found.get(key)) or its for its, key in first.items()}


class Reading:
    """The executions of one poll: which are read, and what is learnt of the list as a whole."""

    def __init__(self, client: Client, options: Options, cursor: Cursor, details: Details) -> None:
        self.client, self.options, self.details = client, options, details
        self.recent = Recent(cursor.get("recent", {}), options.overlap)
        self.unseen = set(cursor.get("open", ()))
        self.gone: set[str] = set()  # deleted on the platform
        self.lowest = 0  # id listed
        self.swept_at, self.whole = instant(cursor.get("swept_at")), bool(cursor.get("whole"))

    async def batches(self, anew: Mapping[str, Json]) -> AsyncIterator[Sequence[Json]]:
        """All that may have changed. What is open comes first: it may end, and so enter the list, while we read."""
        for status in ("running", "waiting"):
            try:
                async for items in pages(self.client, self.options, "/executions", status=status):
                    yield self.seen(items)
            except NotUnderstood as error:
                if error.status != 400:  # before 1.112 one cannot ask for what is running
                    raise
        async for items in self.listed(anew):
            yield self.seen(items)
        left = sorted({key for key in self.unseen if self.details.may(key)} | {*self.details.again}, key=int)
        found = await self.details.ask(left, lambda key: one(self.client, self.options, f"/executions/{key}"))
        self.details.owe(key for key in left if key not in found)
        self.gone = {key for key, item in found.items() if item is None}
        self.details.settle(self.gone)
        yield [item for item in found.values() if item is not None]

    def seen(self, items: Sequence[Json]) -> Sequence[Json]:
        self.unseen.difference_update(item["id"] for item in items if sound(item))
        return items

    async def listed(self, anew: Mapping[str, Json]) -> AsyncIterator[Sequence[Json]]:
        """The list, newest first: a short one whole, a long one down to what is known, once an hour further back."""
        recent, oldest, count, checked = self.recent, self.client.since.isoformat(), 0, False
        due = self.swept_at is None or self.client.at - self.swept_at >= SWEEP_EVERY
        most = SWEEP_EXECUTIONS if due else SHORT if self.whole else 0
        async for items in pages(self.client, self.options, "/executions"):
            for item in filter(sound, items):
                recent.saw(int(item["id"]), item.get("stoppedAt") if item["status"] not in OPEN else None)
            yield [item for item in items if not sound(item) or self.wanted(item)]
            count += len(items)
            last = next((item for item in reversed(items) if sound(item)), None)
            self.lowest = int(last["id"]) if last else self.lowest
            known = last is not None and self.lowest < recent.floor
            if known and not checked:
                recent.check("executions", anew)
                checked = True
            ended = last is not None and str(last.get("startedAt") or "9") < oldest
            if ended or (known and count >= most):
                break
        else:
            ended = True
        if not checked:
            recent.check("executions", anew)
        self.whole, self.swept_at = ended and count <= SHORT, self.client.at if due else self.swept_at

    def places(self) -> tuple[Json, int]:
        """What the cursor is to hold; the lowest id that the next poll reads again."""
        newest = self.recent.stamps()
        lowest = self.lowest if self.whole else min(map(int, newest), default=0)
        swept = self.swept_at.isoformat() if self.swept_at else None
        return {"recent": newest, "whole": self.whole, "swept_at": swept}, lowest

    def wanted(self, item: Json) -> bool:
        """Is it new, or may it have changed since the list was last read further back?"""
        if self.whole or self.swept_at is None or int(item["id"]) >= self.recent.floor or item["status"] in OPEN:
            return True
        with suppress(*ODD):
            ended = instant(item["stoppedAt"])
            return ended is None or ended >= self.swept_at - SKEW
        return True


async def learn(
    client: Client,
    options: Options,
    items: list[Json],
    about: dict[str, Json],
    facts: dict[str, Json],
    details: Details,
) -> dict[str, Json]:
    """Asks for what the lists leave out: new workflows' names, where retries began, of what kind failures are.

    The facts of these items by id; what is known for good is added to `about` and `facts`.
    """
    may = {item["id"] for item in items if details.may(item["id"])}
    new = sorted({item["workflowId"] for item in items if item["id"] in may} - about.keys())
    names = await details.ask(new, lambda key: one(client, options, f"/workflows/{key}"))
    for key, found in names.items():
        if described := client.learnt("workflow", partial(description, projects={}), found or {"id": key}):
            about[key] = described
    odd = {item["id"]: item for item in items if item["mode"] == "retry" or item["status"] == "error"}
    stale = [key for key, item in odd.items() if not known(facts.get(key), item)]
    for key in stale:
        facts.pop(key, None)
    asked = [key for key in stale if key in may]
    origins = await details.ask(asked, lambda key: origin(client, options, odd[key]))
    failed = [key for key in asked if odd[key]["status"] == "error" and options.exceptions == "read"]
    kinds = await details.ask(failed, lambda key: exception(client, options, key))
    learnt = {}
    for key in stale:
        item = odd[key]
        # Of what a retry retries there is at least the id.
        unknown = {"root": item.get("retryOf") or key, "attempt": 2 if item.get("retryOf") else 1, "mode": item["mode"]}
        learnt[key] = {**of(item), **(origins.get(key) or unknown), "exception": kinds.get(key)}
        if key in origins and (key in kinds or key not in failed):
            facts[key] = learnt[key]
    whole = {item["id"] for item in items if item["id"] not in stale or item["id"] in facts}
    whole -= {item["id"] for item in items if item["workflowId"] not in about}
    details.settle(whole)
    details.owe(sorted(may - whole, key=int))
    return {**facts, **learnt}


def of(item: Json) -> Json:
    """Which state of an execution a fact is about."""
    return {"status": item["status"], "stoppedAt": item.get("stoppedAt")}


def known(fact: Json | None, item: Json) -> bool:
    """Is the fact about this state? Of an id that was given anew it is not."""
    return fact is not None and all(fact.get(word, its) == its for word, its in of(item).items())


async def origin(client: Client, options: Options, item: Json) -> Json:
    """An execution's place in its chain of retries."""
    root, attempt, mode, above = item["id"], 1, item["mode"], item.get("retryOf")
    while above and attempt < LONGEST_CHAIN and above != root:  # no run retries itself
        original = await one(client, options, f"/executions/{above}") or {"mode": mode}
        root, attempt, mode, above = above, attempt + 1, original["mode"], original.get("retryOf")
    return {"root": root, "attempt": attempt, "mode": mode}


async def exception(client: Client, options: Options, key: str) -> ExceptionKind | None:
    """Of what kind a failure was; None where its data does not say, or is larger than we read."""
    with suppress(TooLarge):
        return kind(await one(client, options, f"/executions/{key}", includeData="true"))
    return None


async def pages(client: Client, options: Options, path: str, **params: str) -> AsyncIterator[Sequence[Json]]:
    linked = partial(paging.by_token, items="data", next_in="nextCursor", next_as="cursor", size_as="limit")
    async for page in linked(client, options.api_path + path, params, size=options.page_size):
        yield page.items


async def one(client: Client, options: Options, path: str, **params: str) -> Json:
    """One item by id; None where it is deleted."""
    with suppress(Gone):
        return await client.get(options.api_path + path, params)
    return None


def sound(item: Json) -> bool:
    """Can books be kept on this execution? One that cannot is skipped, and counted, where it is mapped."""
    if not isinstance(item, dict) or str(item.get("mode")) not in MODES:
        return False
    if not isinstance(item.get("id"), str) or not item["id"].isdecimal() or len(item["id"]) > LONGEST_ID:
        return False
    return isinstance(item.get("workflowId"), str) and isinstance(item.get("status"), str)
