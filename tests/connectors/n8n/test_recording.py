"""What the connector makes of the recorded answers of a real n8n 2.40.7: 111 executions of nine workflows."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.http import Auth, Client, HttpSettings
from exporter.connectors.n8n import Options, poll
from exporter.records import Read, Run, Workflow
from tests.connectors.recording import Recording
from tests.connectors.world import AT, SINCE
from tests.figures import totals

LATER = AT.replace(month=11, day=22, hour=5)


def executions(recording: Recording, request: web.Request) -> Any:
    """The lists, whatever the page size: running, waiting, and three pages of the others."""
    status = request.query.get("status")
    if status:
        return recording.bodies({"running": 11, "waiting": 12}[status])[0]
    pages = recording.bodies(6, 7, 8)
    return next(
        page
        for before, page in zip([None, *pages], pages, strict=False)
        if request.query.get("cursor") == (before and before["nextCursor"])
    )


def execution(recording: Recording, request: web.Request) -> Any:
    """One by id: what its list says, and for a failure the data recorded of another of the same workflow."""
    key = request.path.rpartition("/")[2]
    rows = [row for page in recording.bodies(6, 7, 8) for row in page["data"]]
    row = next((row for row in rows if row["id"] == key), None)
    if row and request.query.get("includeData"):
        recorded = {full["workflowId"]: full for full in recording.bodies(17, 18)}
        return {**recorded[row["workflowId"]], **row}
    return row


@pytest.fixture
async def reads() -> list[Read]:
    recording = Recording("n8n-2.40.7")
    workflows = [row for page in recording.bodies(1, 2, 3) for row in page["data"]]
    recording.answers = {
        "GET /api/v1/workflows": lambda _request, _body: {"data": workflows, "nextCursor": None},
        "GET /api/v1/executions": lambda request, _body: executions(recording, request),
        **{f"GET /api/v1/workflows/{row['id']}": lambda _request, _body: recording.bodies(5)[0] for row in workflows},
        **{
            f"GET /api/v1/executions/{number}": lambda request, _body: execution(recording, request)
            for number in range(1, 113)
        },
    }
    async with TestServer(recording.app()) as server:
        settings = HttpSettings(url=str(server.make_url("/")), auth=Auth("X-N8N-API-KEY", "key"))
        async with Client(settings, at=LATER, since=SINCE) as client:
            pages = [page async for page in poll(client, Options(), {})]

    assert recording.unknown == []
    assert client.skipped == {}
    return list({(type(read.record), read.record.id): read for page in pages for read in page.reads}.values())


def runs(reads: list[Read]) -> list[Run]:
    return [read.record for read in reads if isinstance(read.record, Run)]


async def test_statuses_add_up(reads: list[Read]) -> None:
    # Of 111 executions 4 are sub-workflows and 9 are the error workflow's; two crashed beside 16 errors.
    expected = {"succeeded": 87 - 4 - 9, "failed": 16 + 2, "cancelled": 2, "waiting": 2, "running": 2}

    assert Counter(run.status for run in runs(reads)) == expected
    assert len({run.id for run in runs(reads)}) == len(runs(reads))


async def test_workflows_add_up(reads: list[Read]) -> None:
    expected = {
        "Invoice intake": 48,
        "Customer sync": 23,
        "Approval wait": 5,
        "Slow export": 9,
        "Parent: order": 4,
        "Health poll": 9,
    }

    assert Counter(run.workflow for run in runs(reads)) == expected


async def test_retries_are_attempts_of_one_logical_run(reads: list[Read]) -> None:
    logical: dict[str | None, list[Run]] = {}
    for run in sorted(runs(reads), key=lambda run: run.attempt or 0):
        logical.setdefault(run.root_id, []).append(run)
    retried = {root: [run.status for run in tries] for root, tries in logical.items() if len(tries) > 1}

    assert len(logical) == 96
    assert retried == {"76": ["failed", "succeeded"], "77": ["failed", "failed"]}
    assert Counter(tries[0].status for tries in logical.values())["succeeded"] == 73


async def test_rejections_are_business_exceptions(reads: list[Read]) -> None:
    kinds = Counter((run.workflow, run.exception) for run in runs(reads) if run.status == "failed")
    expected = {
        ("Invoice intake", "business"): 9,
        ("Customer sync", "application"): 6 + 1,
        ("Slow export", "application"): 2,
    }

    assert kinds == expected


@pytest.mark.slow
async def test_the_figures_are_those_of_what_was_done(reads: list[Read], tmp_path: Path) -> None:
    found = totals(tmp_path, [read.record for read in reads], LATER)

    # 96 runs were started: 2 were cancelled, 4 are still open. One of the 15 errors was retried with success, one in
    # vain; 2 crashed; 9 were rejections.
    assert found["completion_ratio"] == (73 + 1, 96 - 2 - 4)
    assert found["first_attempt_success_ratio"] == (73, 90)
    assert found["exception_ratio"] == (15 + 2, 90)
    assert found["business_exception_ratio"] == (9, 90)
    assert found["application_exception_ratio"] == (6 + 2, 90)


async def test_a_crash_has_no_end(reads: list[Read]) -> None:
    unfinished = Counter(run.status for run in runs(reads) if run.finished_at is None)

    assert unfinished == {"failed": 2, "waiting": 2, "running": 2}
    assert all(run.updated_at for run in runs(reads))


async def test_workflows_are_the_inventory(reads: list[Read]) -> None:
    workflows = [read.record for read in reads if isinstance(read.record, Workflow)]

    assert len(workflows) == 9
    assert sum(bool(workflow.enabled) for workflow in workflows) == 7


async def test_runs_can_be_mapped_by_their_workflows_tags(reads: list[Read]) -> None:
    tags = {(read.item["workflow_name"], *read.item["tags"]) for read in reads if isinstance(read.record, Run)}

    assert ("Invoice intake", "team:finance") in tags
    assert ("Approval wait",) in tags


async def test_the_owner_of_a_personal_project_is_not_named(reads: list[Read]) -> None:
    assert not [read for read in reads if "@" in repr(read.record) or "@" in read.item["project"]]


@pytest.mark.parametrize(("release", "waits"), [("n8n-1.123.81", 0), ("n8n-2.40.7", 2)])
async def test_lists_show_and_hide_what_the_connector_relies_on(release: str, waits: int) -> None:
    recording = Recording(release)
    listed = [row for page in recording.bodies(6, 7, 8) for row in page["data"]]
    ids = [int(row["id"]) for row in listed]

    assert ids == sorted(ids, reverse=True)
    assert all(isinstance(row["id"], str) for row in listed)
    assert Counter(row["status"] for row in listed)["waiting"] == waits
    assert "running" not in {row["status"] for row in listed}
    assert {row["status"] for row in recording.bodies(11)[0]["data"]} == {"running"}
