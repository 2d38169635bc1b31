"""n8n: an execution is a run.

API      Public REST API v1, header X-N8N-API-KEY; the key of an owner or admin: others silently see less. Scopes:
         execution:list, execution:read, workflow:list, workflow:read.
Polls    What runs or waits; the executions, newest first, back over the last ids; by id what was open and is in
         neither, the origin of retries and the data of failures (only the kind is kept); now and then the workflows.
Cursor   newest: the highest id stored. open: ids that had not ended. facts: what was asked about the last retries and
         failures. workflows, read_at: names, tags and projects.
Blind    Runs that are not saved, or pruned between two polls. Time in queue. Who pressed retry; approvals and other
         human decisions. Retries of a single node. When a crashed run died. The kind of a failure whose data is not
         shown. Before 1.112, a run that more than `overlap` newer ones have passed when it ends. A renamed workflow
         begins a new series; workflows of one name share one.
Checked  Recorded answers of 2.40.7; a real 2.40.7 in the tests, on demand.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from exporter.client import Client, Gone, NotUnderstood
from exporter.connectors.contract import Cursor, Page
from exporter.connectors.n8n_records import DESCRIPTION, MODES, OPEN, description, kind, project, run, team, workflow
from exporter.records import Json, Run, Workflow, instant

RECORDS = (Run, Workflow)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be set for one instance."""

    api_path: str = "/api/v1"
    web_url: str = ""  # where people open n8n, if not at the configured url
    page_size: Annotated[int, Field(ge=1, le=250)] = 250  # n8n answers 400 above 250
    overlap: Annotated[int, Field(ge=0, le=5000)] = (
        200  # ids read again at every poll: a run enters the list only when it ends
    )
    inventory_seconds: Annotated[int, Field(ge=60)] = (
        3600  # how old the list of workflows may be; it brings every node of every workflow
    )
    exceptions: Literal["read", "unread"] = "read"  # ask for a failed run's data, which says of which kind it is
    modes: tuple[str, ...] = ()  # further modes that count as runs, such as "manual"


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    web, old = options.web_url or client.url, cursor.get("workflows", {})
    about, read_at = dict(old), instant(cursor.get("read_at"))
    if not read_at or client.at - read_at >= timedelta(seconds=options.inventory_seconds):
        about, read_at, projects = {}, client.at, dict[str, str]()
        async for items in pages(client, options, "/workflows", excludePinnedData="true"):
            await name_projects(client, options, items, projects)
            reads = client.each(items, lambda item: workflow(item, projects, web))
            about |= {read.record.id: {word: read.item[word] for word in DESCRIPTION} for read in reads}
            yield Page(reads, cursor)
        yield Page([], cursor, gone=[(Workflow, known) for known in old if known not in about])
    facts, still = dict(cursor.get("facts", {})), set(cursor.get("open", ()))
    newest, unseen = cursor.get("newest", 0), set(still)
    async for items in batches(client, options, newest, unseen):
        ours = [item for item in items if sound(item) and (MODES[item["mode"]] or item["mode"] in options.modes)]
        unseen.difference_update(item["id"] for item in ours)
        await learn(client, options, ours, about, facts)
        # The cursor stays put until every page is stored: dying half-way reads again, never skips.
        yield Page(client.each(items, lambda item: run(item, about, facts, options.modes, web)), cursor)
        newest = max([newest, *(int(item["id"]) for item in ours)])
        still.update(item["id"] for item in ours if item["status"] in OPEN)
        still.difference_update(item["id"] for item in ours if item["status"] not in OPEN)
    still -= unseen  # deleted on the platform: what is stored of them stays
    recent = {key: fact for key, fact in facts.items() if int(key) > newest - options.overlap or key in still}
    places = {"newest": newest, "open": sorted(still, key=int), "facts": recent}
    yield Page([], {**places, "workflows": about, "read_at": read_at.isoformat()})


async def name_projects(client: Client, options: Options, items: list[Json], names: dict[str, str]) -> None:
    """The list of workflows tells a project's id, one workflow of it tells its name."""
    first = {
        project(item).get("id", ""): item["id"] for item in items if project(item).get("id", "") not in ("", *names)
    }
    found = await client.gather([*first.values()], lambda key: one(client, options, f"/workflows/{key}"))
    names |= {key: team(item) or key for key, item in zip(first, found, strict=True)}


async def batches(client: Client, options: Options, known: int, unseen: set[str]) -> AsyncIterator[list[Json]]:
    """All that may have changed. What is open comes first: it may end, and so enter the list, while we read."""
    for status in ("running", "waiting"):
        try:
            async for items in pages(client, options, "/executions", status=status):
                yield items
        except NotUnderstood as error:
            if error.status != 400:  # before 1.112 one cannot ask for what is running
                raise
    oldest, floor = client.since.isoformat(), known - options.overlap
    async for items in pages(client, options, "/executions"):
        yield [item for item in items if not sound(item) or int(item["id"]) > floor]
        last = next((item for item in reversed(items) if sound(item)), None)
        if last and (int(last["id"]) <= floor or (last.get("startedAt") or "9") < oldest):
            break
    left = sorted(unseen, key=int)
    found = await client.gather(left, lambda key: one(client, options, f"/executions/{key}"))
    yield [item for item in found if item]


async def learn(
    client: Client, options: Options, items: list[Json], about: dict[str, Json], facts: dict[str, Json]
) -> None:
    """Asks for what the lists leave out: new workflows' names, where retries began, of what kind failures are."""
    new = sorted({item["workflowId"] for item in items} - about.keys())
    names = await client.gather(new, lambda key: one(client, options, f"/workflows/{key}"))
    about |= {key: description(found or {"id": key}, {}) for key, found in zip(new, names, strict=True)}
    odd = [item for item in items if item["mode"] == "retry" or item["status"] == "error"]
    odd = [item for item in odd if facts.get(item["id"], {}).get("status") != item["status"]]
    found = await client.gather(odd, lambda item: fact(client, options, item))
    facts |= {item["id"]: learned for item, learned in zip(odd, found, strict=True)}


async def fact(client: Client, options: Options, item: Json) -> Json:
    """One execution's place in its chain of retries, and its kind of exception."""
    root, attempt, mode, above, exception = item["id"], 1, item["mode"], item.get("retryOf"), None
    while above and attempt < 100:  # a longer chain is none
        original = await one(client, options, f"/executions/{above}") or {"mode": mode}
        root, attempt, mode, above = above, attempt + 1, original["mode"], original.get("retryOf")
    if item["status"] == "error" and options.exceptions == "read":
        with suppress(NotUnderstood):  # larger than we read
            exception = kind(await one(client, options, f"/executions/{item['id']}", includeData="true"))
    return {"status": item["status"], "root": root, "attempt": attempt, "mode": mode, "exception": exception}


def pages(client: Client, options: Options, path: str, **params: str) -> AsyncIterator[list[Json]]:
    question: dict[str, str | int] = {"limit": options.page_size, **params}
    return client.pages(options.api_path + path, question, items="data", next_in="nextCursor", next_as="cursor")


async def one(client: Client, options: Options, path: str, **params: str) -> Json:
    """One item by id; None where it is deleted."""
    with suppress(Gone):
        return await client.get(options.api_path + path, params)
    return None


def sound(item: Json) -> bool:
    """Can books be kept on this execution? One that cannot is skipped, and counted, where it is mapped."""
    if not isinstance(item, dict) or str(item.get("mode")) not in MODES or not str(item.get("id")).isdecimal():
        return False
    return isinstance(item.get("workflowId"), str) and isinstance(item.get("status"), str)
