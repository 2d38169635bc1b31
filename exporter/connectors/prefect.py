"""Prefect: a flow run is a run, its retries are attempts, a deployment is a workflow.

API      Prefect 3, server or Cloud, at the url that PREFECT_API_URL has; bearer token, basic authentication, or none.
Polls    Flows and deployments; runs that have not ended, but for those planned ahead; runs that ended, latest first,
         back over the last ones known; by id what was open and is in neither; the states of what was tried again.
Cursor   ended: the latest end stored. open: ids that had not ended. tried: retried runs of late, with the state they
         are stored in. While a history is read: until, how far it is, and latest, what becomes `ended`.
Blind    Retries of a single task. Who cancelled, resumed or set a state by hand. The state an attempt failed in when
         the flow retries by itself (its message is seen). Who owns a deployment. Flows that run without a deployment
         are no workflows. Sub-flows are parts of a run. A renamed deployment begins a new series.
Checked  Recorded answers of 3.8.8; a real 3.8.8 in the tests.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from exporter.client import Client, NotUnderstood, listed
from exporter.connectors.contract import Cursor, Page
from exporter.connectors.prefect_records import (
    ENDED,
    Attempt,
    Words,
    attempts,
    described,
    retried,
    run,
    sound,
    workflow,
)
from exporter.records import Json, Run, Workflow, instant

RECORDS = (Run, Workflow)
TOP_LEVEL = {"parent_task_run_id": {"is_null_": True}}
OPEN = {  # of what is scheduled not the plain Scheduled: up to a hundred runs are planned ahead
    "type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]},
    "name": {"not_any_": ["Scheduled"]},
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be set for one server or workspace."""

    web_url: str = ""  # where people open Prefect, if not where the url says
    page_size: Annotated[int, Field(ge=1, le=200)] = 200  # Prefect answers 422 above 200
    overlap_seconds: Annotated[int, Field(ge=0)] = (
        3600  # how far back ends are read again: the clock of the worker stamps them
    )
    business_states: tuple[str, ...] = ("BusinessException", "Rejected")  # names of states
    business_messages: tuple[str, ...] = ("BusinessException",)  # words in the message of a failure
    failed_states: tuple[str, ...] = ("RolledBack",)  # names of COMPLETED states that are failures


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    web = options.web_url or web_address(client.url)
    words = Words(options.business_states, options.business_messages, options.failed_states)
    flows, deployments = await everything(client, options, "/flows"), await everything(client, options, "/deployments")
    names, there = described(flows, deployments), sorted(item["id"] for item in deployments)
    gone = [(Workflow, known) for known in cursor.get("deployments", ()) if known not in there]
    yield Page(client.each(deployments, lambda item: workflow(item, names, web)), cursor, gone=gone)
    tried, still = dict(cursor.get("tried", {})), set(cursor.get("open", ()))
    unseen = set(still)
    async for items, place in batches(client, options, cursor, unseen):
        ours = [item for item in items if sound(item)]
        unseen.difference_update(item["id"] for item in ours)
        still.update(item["id"] for item in ours if item["state_type"] not in ENDED)
        still.difference_update(item["id"] for item in ours if item["state_type"] in ENDED)
        pairs = await with_attempts(client, items, tried)
        # Only the place in the history moves before all is stored: dying half-way reads again, never skips.
        cursor = {**cursor, **place, "tried": dict(tried)}
        yield Page(client.each(pairs, lambda pair: run(pair[0], pair[1], names, words, web)), cursor)
    still -= unseen  # deleted on the platform: what is stored of them stays
    ended = cursor.get("latest") or cursor.get("ended")
    floor = since(client, options, ended)
    tried = {key: fact for key, fact in tried.items() if key in still or (fact["end_time"] or "") >= floor}
    yield Page([], {"ended": ended, "open": sorted(still), "tried": tried, "deployments": there})


async def everything(client: Client, options: Options, path: str) -> list[Json]:
    pages = client.offset_pages(f"{path}/filter", json={"sort": "NAME_ASC"}, limit=options.page_size)
    items = [item async for items in pages for item in items]
    if not all(isinstance(item, dict) and {"id", "name"} <= item.keys() for item in items):
        raise NotUnderstood(f"{path}/filter: items without id and name; is this Prefect 3?")
    return items


async def batches(
    client: Client, options: Options, cursor: Cursor, unseen: set[str]
) -> AsyncIterator[tuple[list[Json], Json]]:
    """All that may have changed, and how far the history is read. What is open comes first: it may end meanwhile."""
    path, began = "/flow_runs/filter", {"after_": client.since.isoformat()}
    question: Json = {"sort": "ID_DESC", "flow_runs": {**TOP_LEVEL, "state": OPEN, "start_time": began}}
    async for items in client.offset_pages(path, json=question, limit=options.page_size):
        yield items, {}
    async for items, place in history(client, options, cursor):
        yield items, place
    left = sorted(unseen)
    for start in range(0, len(left), options.page_size):
        asked = {"id": {"any_": left[start : start + options.page_size]}}
        yield listed(path, await client.post(path, {"limit": options.page_size, "flow_runs": asked}), None), {}


async def history(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[tuple[list[Json], Json]]:
    """What ended, latest first. Each page asks for ends up to the last one's, so what ends meanwhile moves nothing."""
    until, latest, offset, items = instant(cursor.get("until")), instant(cursor.get("latest")), 0, None
    while True:
        ended = {"after_": since(client, options, cursor.get("ended"))}
        ended |= {"before_": until.isoformat()} if until else {}
        question = {"limit": options.page_size, "offset": offset, "flow_runs": {**TOP_LEVEL, "end_time": ended}}
        answer = await client.post("/flow_runs/filter", {"sort": "END_TIME_DESC", **question})
        before, items = items, listed("/flow_runs/filter", answer, None)
        ends = [end for item in items if sound(item) and (end := instant(item["end_time"]))]
        if ends and ((offset and items == before) or (until and ends[0] > until)):
            raise NotUnderstood("/flow_runs/filter: the page repeats; the list would never end")
        latest = latest or (ends[0] if ends else instant(cursor.get("ended")))
        last = ends[-1] if ends else until
        offset = offset + len(items) if last == until else 0  # more ends in one instant than fit a page
        until = last
        yield items, {"until": until and until.isoformat(), "latest": latest and latest.isoformat()}
        if len(items) < options.page_size:
            return


async def with_attempts(client: Client, items: list[Json], tried: dict[str, Json]) -> list[tuple[Json, Attempt | None]]:
    """Each run with each of its attempts. The states of a retried run are asked for once, unless it has moved on."""
    told = [item for item in items if not sound(item) or tried.get(item["id"], {}).get("state_id") != item["state_id"]]
    again = [item for item in told if sound(item) and retried(item)]
    histories = await client.gather(again, lambda item: client.get("/flow_run_states/", {"flow_run_id": item["id"]}))
    states = {item["id"]: found for item, found in zip(again, histories, strict=True)}
    tried |= {item["id"]: {"state_id": item["state_id"], "end_time": item["end_time"]} for item in again}
    tries = [attempts(item, states.get(item["id"])) if sound(item) else [None] for item in told]
    return [(item, attempt) for item, its in zip(told, tries, strict=True) for attempt in its]


def since(client: Client, options: Options, ended: str | None) -> str:
    """From when on ends are read."""
    known = instant(ended)
    return (known - timedelta(seconds=options.overlap_seconds) if known else client.since).isoformat()


def web_address(url: str) -> str:
    """Where people open what has its API at this url."""
    cloud = url.partition("/api/accounts/")[2].replace("/workspaces/", "/workspace/")
    return f"https://app.prefect.cloud/account/{cloud}" if cloud else url.removesuffix("/api")
