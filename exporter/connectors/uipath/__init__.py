"""UiPath Orchestrator: a queue item is a run, and so is a job that has no queue; queues and processes are workflows.

API      The OData API of Automation Cloud, Automation Suite or a standalone Orchestrator (2022.10 and later), url up to
         and with /orchestrator_ (standalone: the host alone); OAuth client credentials, or a personal access token.
Access   Automation Cloud: Admin > External applications > Add, confidential, application scopes OR.Folders.Read,
         OR.Queues.Read, OR.Jobs.Read and OR.Execution.Read. In the tenant give the application a role with Folders -
         View (Tenant > Manage access), and assign it to each folder with a role that has View on Queues,
         Transactions, Jobs, Processes and Triggers. Automation Suite and standalone: the same, with the token_url
         https://HOST/identity_/connect/token (standalone: https://HOST/identity/connect/token).
Polls    Hourly the folders, and the queues, processes and triggers of each. Of each folder the queue items, and the
         jobs, that were made or ended since the last poll or are at work; hourly those of 30 days that were reviewed,
         deleted, abandoned or postponed. Daily, which jobs worked on the last items of each queue. A quiet poll is two
         requests per folder. At most 50 requests per minute for queue items, and for jobs: half of what a tenant has.
Cursor   By folder and list what rows.py remembers. workflows: the ids of those that are known, by folder.
Blind    Jobs of a process that works through a queue: the queue items are the runs, so a job that fails before it takes
         an item is not counted (`jobs: all` counts both). When an item was deleted or reviewed: UiPath gives no time.
         The result of a deleted item, unless it had failed: it counts as cancelled. An abandoned item without an end
         time counts as ended 24 hours after it began, as UiPath describes it. A process whose only schedule or queue
         trigger is disabled counts as disabled, even if API triggers, events or Apps still start it. Items and jobs
         that retention deletes: they stay as last seen. What an attended robot does offline. Which job a duplicate was
         made from. An item that waits, or a job that is suspended, for longer than `run_timeout` counts as abandoned
         until it ends. Personal workspaces, and jobs started by Studio or Test Manager, are left out.
Checked  The published OpenAPI document (20.0) and documentation, and a fake that is held to them.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from exporter.collect.auth import Scheme
from exporter.collect.budget import Budget
from exporter.collect.contract import Cursor, Page
from exporter.collect.finding import Finding, look
from exporter.collect.http import Answer, Client, Forbidden, SourceError
from exporter.connectors.uipath.inventory import FOLDERS, Inventory, is_chosen, listed
from exporter.connectors.uipath.mapping import Folder, Jobs, job, process, queue, queue_item
from exporter.connectors.uipath.rows import ITEMS, JOBS, List, changed, of_folder
from exporter.records import Json, Run, Workflow

RECORDS = (Run, Workflow)
AUTH = Scheme(token_url="https://cloud.uipath.com/identity_/connect/token")  # noqa: S106 - an address
# Automation Cloud lets all who ask for one of these in a tenant have a hundred a minute.
BUDGETS = tuple(Budget(name=rows.what, paths=(rows.path,), requests=50) for rows in (ITEMS, JOBS))
INTERVAL = 300
NO_SUCH_FOLDER = 1100
NO_SUCH_COLUMN = re.compile(r"property named '(\w{1,40})'")
MOST_CHECKED = 20  # folders that are looked at before going live


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be set for one tenant."""

    folders: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)  # patterns of full names
    jobs: Jobs = "without_queue"  # which jobs are runs
    business_errors: tuple[str, ...] = ("BusinessRuleException",)  # words in what a faulted job says
    with_faults: Literal["succeeded", "failed"] = "succeeded"  # what a job is that succeeded "with faults"
    page_size: Annotated[int, Field(ge=1, le=1000)] = 1000  # Orchestrator gives no more; of queue items 100
    overlap_seconds: Annotated[int, Field(ge=0)] = 300


def judge(answer: Answer) -> SourceError | None:
    """Both a folder that is out of reach, and a column that a release does not have, make a request a wrong one."""
    if answer.find("errorCode") == NO_SUCH_FOLDER:
        return answer.forbidden("the application is not assigned to this folder, or the folder is gone")
    if lacking := NO_SUCH_COLUMN.search(str(answer.find("message"))):
        return answer.not_understood(f"this release of Orchestrator has no {lacking[1]}; 2022.10 or later is needed")
    return None


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    inventory = Inventory(client, options.folders, settings(options))
    await inventory.read()
    cursor, page = await workflows(client, inventory, cursor)
    yield page
    readable = 0
    for folder in inventory.folders:
        for rows in (ITEMS, JOBS):
            if (rows is JOBS and options.jobs == "none") or (
                rows is ITEMS and f"{folder.name}, queues" in client.lacking
            ):
                continue
            with client.optional(f"{folder.name}, {rows.what}"):
                async for page in read(client, options, inventory, folder, rows, cursor):
                    cursor = page.cursor
                    yield page
                readable += 1
    if not readable:
        raise Forbidden(next(iter(client.lacking.values())))
    yield Page([], cursor)


def settings(options: Options) -> dict[str, Json]:
    """What the options say of the meaning of jobs."""
    return {
        "jobs": options.jobs,
        "business_errors": options.business_errors,
        "with_faults": options.with_faults,
    }


async def workflows(client: Client, inventory: Inventory, cursor: Cursor) -> tuple[Cursor, Page]:
    """Queues and processes, and those that are gone of folders that can still be read."""
    known, there = cursor.get("workflows", {}), dict[str, list[str]]()
    reads = []
    for folder, about in zip(inventory.folders, inventory.found, strict=True):
        mine = await client.mapped([*folder.queues.values()], partial(queue, folder=folder))
        mine += await client.mapped([*folder.processes.values()], partial(process, folder=folder))
        refused = known.get(str(folder.id), []) if {"queues", "processes"} & about["refused"].keys() else []
        there[str(folder.id)] = sorted({*refused, *(read.record.id for read in mine)})
        reads += mine
    now_there = {key for keys in there.values() for key in keys}
    gone = [(Workflow, key) for folder in there for key in known.get(folder, ()) if key not in now_there]
    cursor = {**cursor, "workflows": {**known, **there}}
    return cursor, Page(reads, cursor, gone)


async def read(
    client: Client, options: Options, inventory: Inventory, folder: Folder, rows: List, cursor: Cursor
) -> AsyncIterator[Page]:
    """The rows of one list of a folder that may have changed; after a walk that was broken off, what changed since."""
    key, name, overlap = str(folder.id), rows.name, timedelta(seconds=options.overlap_seconds)
    broken_off = True
    while broken_off:
        known = cursor.get("folders", {}).get(key, {}).get(name, {})
        broken_off = "begun" in known
        apart = sorted(folder.elsewhere) if rows is ITEMS else ()
        walk = changed(client, rows, folder.id, known, overlap=overlap, size=options.page_size, apart=apart)
        async for found, state in walk:
            if rows is ITEMS and not inventory.renewed and not folder.knows(found):
                await inventory.read(fresh=True)
                folder = next((each for each in inventory.folders if each.id == folder.id), folder)
                cursor, page = await workflows(client, inventory, cursor)
                yield page
            told = [{"id": row.get("Id"), **row} if isinstance(row, dict) else row for row in found]
            reads = await client.mapped(told, partial(queue_item if rows is ITEMS else job, folder=folder))
            folders = cursor.get("folders", {})
            cursor = {**cursor, "folders": {**folders, key: {**folders.get(key, {}), name: state}}}
            yield Page(reads, cursor)


async def check(client: Client, options: Options) -> list[Finding]:
    """The folders that the application sees, and the first page of each resource in each of them."""
    resources = (  # where they are had, and what is needed for that: a scope, and permissions in the folder
        ("QueueDefinitions", "OR.Queues.Read, and View on Queues"),
        ("QueueItems", "OR.Queues.Read, and View on Queues and Transactions"),
        ("Jobs", "OR.Jobs.Read, and View on Jobs"),
        ("Releases", "OR.Execution.Read, and View on Processes"),
        ("ProcessSchedules", "OR.Jobs.Read, and View on Triggers"),
    )
    needs = "the scope OR.Folders.Read, and a tenant role with View on Folders"
    folders, findings = await look("folders", listed(client, "/odata/Folders", None, FOLDERS), needs=needs)
    if folders is None:
        return findings
    chosen = [each for each in folders if is_chosen(each, options.folders)]
    names = ", ".join(str(each.get("FullyQualifiedName")) for each in chosen[:MOST_CHECKED])
    findings.append(Finding("folders", names or "none is shown; assign the application to them", wrong=not chosen))
    for pattern in options.folders:
        if not any(fnmatchcase(str(each.get("FullyQualifiedName")), pattern) for each in folders):
            findings.append(Finding("folders", f"no folder that the application sees is called {pattern}", wrong=True))
    for folder in chosen[:MOST_CHECKED]:
        for path, needed in resources:
            what = f"{folder['FullyQualifiedName']}, {path}"
            question = client.ask(f"/odata/{path}", {"$top": 1}, headers=of_folder(folder["Id"]))
            page, found = await look(what, question, needs=needed)
            first = "the first page is read" if page and page.listed("value") else f"none is shown; it needs {needed}"
            findings += found or [Finding(what, first)]
    if len(chosen) > MOST_CHECKED:
        findings.append(Finding("folders", f"{len(chosen)}; the first {MOST_CHECKED} were looked at"))
    return findings
