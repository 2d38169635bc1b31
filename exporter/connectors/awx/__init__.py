"""AWX and Ansible Automation Platform: a job or workflow job is a run, a template is a workflow.

API      Version 2 of AWX and of the automation controller, at https://HOST/api/v2; from Ansible Automation Platform 2.5
         on at https://HOST/api/controller/v2. Bearer token, basic authentication where it is still allowed, or the
         refresh token of an OAuth application: token_url https://HOST/api/o/token/, from 2.5 on https://HOST/o/token/.
Access   A user of type System Auditor, from Ansible Automation Platform 2.5 on Platform Auditor: AWX leaves out,
         without a word, what others may not see. Log in as this user and create a token with the scope Read and no
         application: user name > User details > Tokens; from Platform 2.5 on Access Management > Users > the user.
Polls    Every hour templates and schedules. Approvals that ended or are pending; jobs that have not ended; jobs that
         ended, by when they ended, from an overlap on; by id, those that had not ended and are in neither list. Every
         hour the jobs that somebody deleted. A quiet poll is three requests.
Cursor   changed: the latest end stored, never later than the poll. recent: the jobs that ended last. open: ids that had
         not ended. decided: workflow jobs of late in which a person decided, with their end. resumed: open ones that
         have gone on after an approval, with the time of it. looked: when deleted jobs were looked for.
Blind    Which job a relaunch repeats: a relaunch is a run of its own, so there is no retry rate and no rate of success
         at the first attempt. Whether a failure is a business exception, unless the playbook says so with set_stats.
         Jobs that AWX cleaned up before they were read; the schedule "Cleanup Job Schedule" says after how many days.
         Who owns a template. Which templates a workflow consists of. A renamed template starts a new series. A bulk
         launch counts as one run. Jobs that a user deleted, unless the credential can read the activity stream: they
         stay as last seen. A job that started and ended between two polls, if the clock of AWX is slow by more than
         `overlap`.
Checked  The source of AWX 24 and of its filters; a fake that filters, sorts and refuses as they do.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Literal

from pydantic import Field

from exporter.collect import paging
from exporter.collect.auth import Scheme
from exporter.collect.changes import Changes
from exporter.collect.contract import Cursor, Page
from exporter.collect.http import Answer, Client, Gone, SourceError
from exporter.collect.query import Query
from exporter.connectors.awx.check import ACTIVITY, APPROVALS, JOBS, SCHEDULES, TEMPLATES, is_object
from exporter.connectors.awx.check import check as check
from exporter.connectors.awx.mapping import (
    OPEN,
    Site,
    decision,
    described,
    finished_at,
    run,
    sound,
    upward,
    workflow,
)
from exporter.records import Json, Read, Record, Run, Workflow, instant

RECORDS = (Run, Workflow)
AUTH = Scheme(client_in="header")
NOUN = "job"
MOST = 200  # items per page; AWX gives no more, and does not say that it gives fewer than asked
FEWEST = 25  # what it gives if nothing is asked for: a shorter page is the last, whatever else is set there
HOURLY = timedelta(hours=1)
NO_PAGE = "Invalid page."
Other = Literal["ad_hoc_command", "project_update", "inventory_update", "system_job"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be set for one installation."""

    count: Literal["workflows", "jobs"] = "workflows"
    also: tuple[Other, ...] = ()
    approvals: Literal["wait", "time_out"] = "wait"
    automation_users: tuple[str, ...] = ()
    exception_artifact: str = "exception_kind"
    unused_after_seconds: Annotated[int, Field(ge=0)] = 90 * 86400
    web_url: str = ""
    page_size: Annotated[int, Field(ge=1, le=MOST)] = MOST
    overlap_seconds: Annotated[int, Field(ge=0)] = 600

    @property
    def types(self) -> str:
        return ",".join(("job", *(("workflow_job",) if self.count == "workflows" else ()), *self.also))

    @property
    def which(self) -> dict[str, str]:
        """Which jobs are runs. Not `type__in`: AWX takes its words for letters, and finds nothing."""
        own = {"not__launch_type": "workflow"} if self.count == "workflows" else {}
        return {"type": self.types, **own}


def judge(answer: Answer) -> SourceError | None:
    """Lists are always there: where one is not, the url is another."""
    if answer.status == 404 and answer.find("detail") != NO_PAGE:
        return answer.not_understood(
            "nothing is there; the url must end with /api/v2, or from Ansible Automation Platform 2.5 on with"
            " /api/controller/v2"
        )
    return None


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    templates = Templates(client, options)
    reads, gone = await templates.read()
    yield Page(reads, cursor, gone)
    jobs = Jobs(client, options, cursor, templates.site)
    async for page in jobs.read():
        yield page
    looked = instant(cursor.get("looked"))
    if looked is None or not looked <= client.at < looked + HOURLY:
        deleted = await jobs.deleted(looked) if looked else []
        jobs.marks["looked"] = client.at.isoformat()
        yield Page([], jobs.marks, deleted)


class Templates:
    """What there is to launch; asked for every hour."""

    def __init__(self, client: Client, options: Options) -> None:
        self.client, self.options = client, options
        self.names: dict[str, str] = (client.memory["templates"] or {"value": {}})["value"]

    @property
    def site(self) -> Site:
        url, platform = self.client.url, self.client.url.endswith("/api/controller/v2")
        web = self.options.web_url or url.removesuffix("/api/controller/v2").removesuffix("/api/v2")
        return Site(web.rstrip("/"), platform, self.names, self.options.exception_artifact)

    async def read(self) -> tuple[list[Read], list[tuple[type[Record], str]]]:
        """The templates, where it is time to ask, and which are there no more."""
        before, items, schedules = self.names, list[Json](), dict[str, bool]()

        async def ask() -> Json:
            kinds = {
                "type": "job_template,workflow_job_template" if self.options.count == "workflows" else "job_template"
            }
            size = self.options.page_size
            items.extend([each async for page in listed(self.client, TEMPLATES, kinds, size) for each in page.items])
            async for page in listed(self.client, SCHEDULES, {}, size):
                for each in filter(is_object, page.items):
                    key = str(each.get("unified_job_template"))
                    schedules[key] = schedules.get(key, False) or each.get("enabled") is True
            return described([item for item in items if named(item)])

        self.names = await self.client.memory.remembered("templates", HOURLY, ask)
        site, used_since = self.site, self.client.at - timedelta(seconds=self.options.unused_after_seconds)
        reads = await self.client.mapped(items, lambda item: workflow(item, site, schedules, used_since))
        return reads, [(Workflow, key) for key in before if key not in self.names]


class Jobs:
    """The jobs of one poll, and what the cursor is to hold of them."""

    def __init__(self, client: Client, options: Options, cursor: Cursor, site: Site) -> None:
        self.client, self.options, self.site = client, options, site
        self.first, self.marks = "changed" not in cursor, dict(cursor)
        self.changes = Changes(client, dict(cursor), timedelta(seconds=options.overlap_seconds))
        self.open = set[str](cursor.get("open", ()))
        self.unseen = set(self.open)
        self.decided: dict[str, str] = dict(cursor.get("decided", {}))
        self.resumed: dict[str, str] = dict(cursor.get("resumed", {}))
        self.held = set[str]()

    async def read(self) -> AsyncIterator[Page]:
        """All that may have changed. What is open comes first: it may end meanwhile."""
        size, which = self.options.page_size, self.options.which
        if self.options.count == "workflows":
            await self.approvals()
        created = {"status__in": ",".join(OPEN), "created__gte": written(self.client.since)}
        async for page in listed(self.client, JOBS, {**which, **created}, size):
            yield await self.page(page.items)
        async for page in listed(self.client, JOBS, which, size, begin=self.changes.since):
            self.changes.saw([item for item in page.items if sound(item)], changed="finished", stamp="created")
            # In order of ends: what is stored is whole up to here.
            self.marks |= self.changes.to_cursor()
            yield await self.page(page.items)
        async for page in self.by_id(JOBS, {}, self.unseen):
            yield await self.page(page.items)
        self.changes.check("jobs")
        self.open -= self.unseen  # no longer to be seen; what is stored of them stays
        self.decided = {key: end for key, end in self.decided.items() if end or key in self.open}
        self.marks |= self.changes.to_cursor()
        yield await self.page([])

    async def page(self, items: Sequence[Json]) -> Page:
        """Jobs as runs, and the cursor that holds once they are stored."""
        for item in filter(sound, items):
            key, end = str(item["id"]), finished_at(item)
            self.unseen.discard(key)
            (self.open.add if item.get("status") in OPEN else self.open.discard)(key)
            if end and key in self.decided:
                self.decided[key] = end.isoformat()

        def read(item: Json) -> Read:
            key, wait = str(item["id"]), item.get("status") == "running" and self.options.approvals == "wait"
            since = instant(self.resumed.get(key)) if wait else None
            return run(item, self.site, override=self.override(key), held=wait and key in self.held, since=since)

        reads = await self.client.mapped(items, read)
        changed = instant(self.marks.get("changed"))
        floor = (changed - timedelta(seconds=self.options.overlap_seconds)).isoformat() if changed else ""
        decided = {key: end for key, end in self.decided.items() if not end or end >= floor}
        resumed = {key: at for key, at in self.resumed.items() if key in self.open}
        self.marks |= {"open": sorted(self.open), "decided": decided, "resumed": resumed}
        return Page(reads, dict(self.marks))

    def override(self, key: str) -> bool | None:
        """Whether a person decided in it; unknown where only the jobs of workflows are counted."""
        return key in self.decided if self.options.count == "workflows" else None

    async def approvals(self) -> None:
        """In which workflow jobs a person has decided, and which wait for one. Of nested ones the outermost counts."""
        since = {"or__finished__isnull": "true", "or__finished__gte": written(self.changes.since)}
        waits, decided, ended = set[str](), set[str](), list[tuple[datetime, str]]()
        async for page in listed(self.client, APPROVALS, {} if self.first else since, self.options.page_size):
            for item in page.items:
                key, by_person, end = self.client.learnt("human_override", self.decision, item) or (None, False, None)
                if key and by_person is not False:
                    (decided if by_person else waits).add(key)
                if key and end:
                    ended.append((end, key))
        parents = await self.parents(waits | decided | {key for _, key in ended})
        self.held = {outermost(key, parents) for key in waits}
        self.resumed |= {outermost(key, parents): end.isoformat() for end, key in sorted(ended)}
        for key in decided:
            self.decided.setdefault(outermost(key, parents), "")

    def decision(self, item: Json) -> tuple[str | None, bool | None, datetime | None]:
        return decision(item, self.options.automation_users)

    async def parents(self, keys: Collection[str]) -> dict[str, str]:
        """Of workflow jobs that are part of others, those others, up to the outermost."""
        parents, left = dict[str, str](), set(keys)
        while left:
            found = dict[str, str]()
            async for page in self.by_id("/workflow_jobs/", {"launch_type": "workflow"}, left):
                links = [self.client.learnt("human_override", upward, item) for item in page.items]
                found |= {key: up for key, up in filter(None, links) if up}
            left = set(found.values()) - parents.keys() - found.keys()
            parents |= found
        return parents

    async def deleted(self, since: datetime) -> list[tuple[type[Record], str]]:
        """The jobs that somebody has deleted since. Of what AWX cleans up by itself it does not tell, and it stays."""
        params = {"operation": "delete", "object1__in": self.options.types, "timestamp__gte": written(since - HOURLY)}
        found = list[tuple[type[Record], str]]()
        with self.client.optional("activity_stream"):
            async for page in listed(self.client, ACTIVITY, params, self.options.page_size):
                changes = [item.get("changes") for item in filter(is_object, page.items)]
                found += [(Run, str(each["id"])) for each in filter(is_object, changes) if "id" in each]
        return found

    async def by_id(self, path: str, params: Query, keys: Collection[str]) -> AsyncIterator[Answer]:
        """Those with these ids, as far as they are there."""
        left = sorted(keys, key=int)
        for start in range(0, len(left), FEWEST * 4):
            some = ",".join(left[start : start + FEWEST * 4])
            async for page in listed(self.client, path, {**params, "id__in": some}, self.options.page_size):
                yield page


def listed(
    client: Client, path: str, params: Query, size: int, begin: datetime | None = None
) -> AsyncGenerator[Answer]:
    """A list in order of ids, or of ends from one on. AWX need not count it: each page is asked for by the last key."""

    async def by_end(place: datetime | None, offset: int, size: int) -> Answer:
        after: Query = {"finished__gte": written(place)} if place else {}
        return await page({**after, "order_by": "finished,id"}, offset, size)

    async def by_number(place: int | None, offset: int, size: int) -> Answer:
        return await page({**({"id__gte": place} if place else {}), "order_by": "id"}, offset, size)

    asked = came = size

    async def page(where: Query, offset: int, size: int) -> Answer:
        nonlocal asked, came
        # A list that is not counted has one page only.
        which: Query = {"page": offset // min(size, came) + 1} if offset else {"count_disabled": "true"}
        try:
            answer = await client.ask(path, {**params, **where, **which, "page_size": size})
        except Gone:
            if not offset:
                raise
            answer = Answer(
                where=path, status=HTTPStatus.OK, at=client.now, body={"results": []}
            )  # there is no such page
        asked, came = size, len(answer.listed("results"))
        return answer

    def last(_answer: Answer) -> bool:
        return came < min(asked, FEWEST)

    if begin:
        return paging.by_key(client, by_end, items="results", key=finished_at, begin=begin, size=size, last=last)
    return paging.by_key(client, by_number, items="results", key=number, begin=None, size=size, last=last)


def number(item: Json) -> int | None:
    key = item.get("id") if is_object(item) else None
    return key if type(key) is int else None


def named(item: Json) -> bool:
    return number(item) is not None and isinstance(item.get("name"), str)


def outermost(key: str, parents: Mapping[str, str]) -> str:
    """The workflow job that a job belongs to, however deep it lies in it."""
    for _ in parents:
        key = parents.get(key, key)
    return key


def written(moment: datetime) -> str:
    """A time as AWX writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
