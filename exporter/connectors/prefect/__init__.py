"""Prefect: a flow run is a run, its retries are attempts, a deployment is a workflow.

API      Prefect 3, server or Cloud, at the url in PREFECT_API_URL; bearer token, basic authentication, or none. If the
         server requires CSRF tokens, one is fetched.
Access   Cloud: the API key of a service account (Team plan and above; otherwise of a user) with the workspace role
         Viewer, as token_file. A server has no roles: username and password_file as in PREFECT_SERVER_API_AUTH_STRING,
         or neither if that is not set.
Polls    Flows and deployments; runs that have not ended, except those scheduled for later; runs that ended, latest
         first, back beyond the last known ones; by id, runs that were open and are in neither list; the states of
         retried runs.
Cursor   ended: the latest end stored, never later than the poll. recent: some of the last that ended. open: ids that
         had not ended. owed: runs whose states could not be read. tried: recently retried runs, with the state in which
         they are stored. While a history is read: until, how far it is; latest, the future `ended`; and newest, the
         future `recent`.
Blind    Retries of single tasks. Who cancelled or resumed a run, or set a state by hand. The state in which an attempt
         failed, if the flow retries by itself (its message is seen). Who owns a deployment. Flows that run without a
         deployment are not workflows. Sub-flows are parts of a run. A renamed deployment begins a new series; runs of a
         deleted one are named after their flow. A run that began and ended between two polls, by a clock that is slow
         by more than `overlap_seconds`.
Checked  Recorded answers of 3.8.8; a real 3.8.8 in the tests. Before 3.4.1: a fake that compares times as they do.
"""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated
from uuid import uuid4

from pydantic import Field

from exporter.collect import paging
from exporter.collect.contract import Cursor, Page
from exporter.collect.details import Details
from exporter.collect.finding import Finding, look
from exporter.collect.http import Answer, Client, Forbidden, Gone, NotUnderstood
from exporter.collect.recent import WITNESSES, still_there
from exporter.connectors.prefect.mapping import (
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
from exporter.records.unreadable import ODD

RECORDS = (Run, Workflow)
TOP_LEVEL = {"parent_task_run_id": {"is_null_": True}}
OPEN = {  # of what is scheduled not the plain Scheduled: up to a hundred runs are planned ahead
    "type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]},
    "name": {"not_any_": ["Scheduled"]},
}
SKEW = timedelta(minutes=5)  # by which our own clock may be set back between two polls


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
    client.headers_if_forbidden = partial(csrf_headers, client)
    web = options.web_url or web_address(client.url)
    words = Words(options.business_states, options.business_messages, options.failed_states)
    details = Details(client, cursor.get("owed", {}))
    flows, deployments = await everything(client, options, "/flows"), await everything(client, options, "/deployments")
    known = [item for item in deployments if named(item)]
    names, there = described([item for item in flows if named(item)], known), sorted(item["id"] for item in known)
    gone = [(Workflow, key) for key in cursor.get("deployments", ()) if key not in there]
    yield Page(await client.mapped(deployments, lambda item: workflow(item, names, web)), cursor, gone=gone)
    tried, still = dict(cursor.get("tried", {})), set(cursor.get("open", ()))
    unseen, went_on, first = still | {*details.again}, "until" in cursor, "ended" not in cursor
    async for items, place in batches(client, options, cursor, unseen):
        ours = [item for item in items if sound(item)]
        unseen.difference_update(item["id"] for item in ours)
        still.update(item["id"] for item in ours if item["state_type"] not in ENDED)
        still.difference_update(item["id"] for item in ours if item["state_type"] in ENDED)
        pairs = await with_attempts(client, items, tried, details)
        # Only the place in the history moves before all is stored: dying half-way reads again, never skips.
        cursor = {**cursor, **place, "tried": dict(tried), "owed": details.to_cursor()}
        reads = await client.mapped(pairs, lambda pair: run(pair[0], pair[1], names, words, web))
        # What is open came first, then what ended, latest first.
        yield Page(reads, cursor, whole_since=instant(place.get("until")) if first else None)
    still -= unseen  # deleted on the platform: what is stored of them stays
    details.settle(unseen)
    latest = instant(cursor.get("latest") or cursor.get("ended"))
    # A worker's clock that is ahead must not carry the mark away: what ends until then would never be read.
    ended = min(latest, client.at).isoformat() if latest else None
    floor = since(client, options, ended)
    recent = [key for key, end in cursor.get("newest", {}).items() if end >= floor]
    tried = {key: fact for key, fact in tried.items() if key in still or (fact["end_time"] or "") >= floor}
    marks = {"ended": ended, "recent": recent, "open": sorted(still), "tried": tried, "owed": details.to_cursor()}
    if went_on:  # what has ended since it was broken off is newer than all that was read now
        async for page in poll(client, options, {**marks, "deployments": there}):
            yield page
    else:
        yield Page([], {**marks, "deployments": there}, whole_since=client.since)


async def check(client: Client, _options: Options) -> list[Finding]:
    """The version of a server, the first page of each resource, and the states of one run."""
    client.headers_if_forbidden = partial(csrf_headers, client)
    findings = list[Finding]()
    with suppress(Gone, Forbidden):  # Cloud does not tell it
        version = str(await client.get("/admin/version"))[:40]
        old = "" if version.startswith("3.") else "; Prefect 3 is needed"
        findings.append(Finding("version", version + old, wrong=bool(old)))
    for what in ("flows", "deployments", "flow_runs"):
        role = f"the right to read {what.replace('_', ' ')}: in Prefect Cloud a role such as Viewer in this workspace"
        page, found = await look(what, client.ask(f"/{what}/filter", json={"limit": 1}), needs=role)
        items = page.listed() if page else []
        findings += found or [Finding(what, "the first page is read" if items else "there is none yet")]
        for item in items if what == "flow_runs" else ():
            states = client.get("/flow_run_states/", {"flow_run_id": item["id"]})
            findings += (await look("states of a run", states, needs=role))[1]
    return findings


async def csrf_headers(client: Client) -> Mapping[str, str]:
    """What a server wants to see that protects itself from forged requests; it tells it to whoever asks."""
    name = str(uuid4())
    with suppress(Gone, NotUnderstood, *ODD):  # it has none: what was refused was not refused for that
        answer = await client.get("/csrf-token", {"client": name})
        return {"Prefect-Csrf-Client": name, "Prefect-Csrf-Token": str(answer["token"])}
    return {}


async def everything(client: Client, options: Options, path: str) -> list[Json]:
    pages = paging.by_offset(client, f"{path}/filter", json={"sort": "NAME_ASC"}, size=options.page_size)
    items = [item async for page in pages for item in page.items]
    if items and not any(map(named, items)):
        raise NotUnderstood(f"{path}/filter: items without id and name; is this Prefect 3?")
    return items


def named(item: Json) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), str) and isinstance(item.get("name"), str)


async def batches(
    client: Client, options: Options, cursor: Cursor, unseen: set[str]
) -> AsyncIterator[tuple[Sequence[Json], Json]]:
    """All that may have changed, and how far the history is read. What is open comes first: it may end meanwhile."""
    # Not by `start_time`: before 3.4.1 that leaves out what has not begun.
    path, expected = "/flow_runs/filter", {"after_": client.since.isoformat()}
    question: Json = {"sort": "ID_DESC", "flow_runs": {**TOP_LEVEL, "state": OPEN, "expected_start_time": expected}}
    still_open = set[str]()
    async for page in paging.by_offset(client, path, json=question, size=options.page_size):
        still_open |= {item["id"] for item in page.items if sound(item)}
        yield page.items, {}
    async for items, place in history(client, options, cursor, still_open):
        yield items, place
    left = sorted(unseen)
    for start in range(0, len(left), options.page_size):
        asked = {"id": {"any_": left[start : start + options.page_size]}}
        yield (await client.ask(path, json={"limit": options.page_size, "flow_runs": asked})).listed(), {}


async def history(
    client: Client, options: Options, cursor: Cursor, still_open: set[str]
) -> AsyncIterator[tuple[Sequence[Json], Json]]:
    """What ended, latest first. What ends meanwhile moves nothing."""
    until, latest = instant(cursor.get("until")), instant(cursor.get("latest"))
    newest, recent = dict(cursor.get("newest", {}) if until else {}), dict.fromkeys(cursor.get("recent", ()), "")
    seen = still_open & recent.keys()
    floor = since(client, options, cursor.get("ended"))

    def ask(place: datetime | None, offset: int, size: int) -> Awaitable[Answer]:
        ended = {"after_": floor, **({"before_": place.isoformat()} if place else {})}
        question = {"limit": size, "offset": offset, "flow_runs": {**TOP_LEVEL, "end_time": ended}}
        return client.ask("/flow_runs/filter", json={"sort": "END_TIME_DESC", **question})

    pages = paging.by_key(client, ask, key=ended_at, begin=until, size=options.page_size, newest_first=True)
    async for page in pages:
        known = {item["id"]: end for item in page.items if (end := ended_at(item))}
        ends = [*known.values()]
        latest = latest or (ends[0] if ends else instant(cursor.get("ended")))
        until = ends[-1] if ends else until
        seen |= known.keys() & recent.keys()
        newest |= {key: end.isoformat() for key, end in [*known.items()][: WITNESSES - len(newest)]}
        place = {"until": until and until.isoformat(), "latest": latest and latest.isoformat(), "newest": newest}
        yield page.items, place
    if not cursor.get("until"):  # all down to the floor was seen in this poll
        still_there(recent, dict.fromkeys(seen, ""), "runs", {"deployments": cursor.get("deployments", ())})


def ended_at(item: Json) -> datetime | None:
    return instant(item["end_time"]) if sound(item) else None


async def with_attempts(
    client: Client, items: Sequence[Json], tried: dict[str, Json], details: Details
) -> list[tuple[Json, Attempt | None]]:
    """Each run with each of its attempts. The states of a retried run are asked for once, unless it has moved on."""
    told = [item for item in items if not sound(item) or tried.get(item["id"], {}).get("state_id") != item["state_id"]]
    again = {item["id"]: item for item in told if sound(item) and retried(item) and details.may(item["id"])}
    states = await details.ask(again, lambda key: client.get("/flow_run_states/", {"flow_run_id": key}))
    details.owe(key for key in again if key not in states)
    details.settle(states)
    tried |= {
        key: {"state_id": item["state_id"], "end_time": item["end_time"]}
        for key, item in again.items()
        if key in states
    }
    tries = [attempts(item, states.get(item["id"], ())) if sound(item) else [None] for item in told]
    return [(item, attempt) for item, its in zip(told, tries, strict=True) for attempt in its]


def since(client: Client, options: Options, ended: str | None) -> str:
    """From when on ends are read. A mark that lies ahead is none."""
    known = instant(ended)
    if known is None or known > client.at + SKEW:
        return client.since.isoformat()
    return (known - timedelta(seconds=options.overlap_seconds)).isoformat()


def web_address(url: str) -> str:
    """Where people open what has its API at this url."""
    cloud = url.partition("/api/accounts/")[2].replace("/workspaces/", "/workspace/")
    return f"https://app.prefect.cloud/account/{cloud}" if cloud else url.removesuffix("/api")
