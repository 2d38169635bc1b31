"""What the connector makes of the recorded answers of a real Prefect 3.8.8: 52 flow runs of five flows."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.http import Auth, Client, HttpSettings
from exporter.connectors.prefect import Options, poll
from exporter.demo.fakes.prefect import ENDED, fitting, instant
from exporter.records import Read, Run, Workflow
from tests.connectors.recording import Recording
from tests.connectors.world import AT, SINCE
from tests.figures import totals

LATER = AT.replace(month=11, day=22, hour=5)


def flow_runs(recording: Recording, question: Any) -> Any:
    """The recorded runs, filtered and paged as asked."""
    rows = [row for page in recording.bodies(5, 6, 7, 16) for row in page]
    rows = list(filter(fitting(question["flow_runs"]), rows))
    if question.get("sort") == "END_TIME_DESC":
        rows.sort(key=lambda row: instant(row["end_time"]), reverse=True)
    return rows[question.get("offset", 0) :][: question["limit"]]


def states(recording: Recording, request: web.Request) -> Any:
    """The history of one run; of other retried runs none was recorded."""
    recorded: dict[str, Any] = {body[0]["state_details"]["flow_run_id"]: body for body in recording.bodies(21, 24, 25)}
    return recorded.get(request.query["flow_run_id"], [])


@pytest.fixture
async def reads() -> list[Read]:
    recording = Recording("prefect-3.8.8", prefix="/api")
    recording.answers = {
        "POST /flows/filter": lambda _request, _question: recording.bodies(3)[0],
        "POST /deployments/filter": lambda _request, _question: recording.bodies(4)[0],
        "POST /flow_runs/filter": lambda _request, question: flow_runs(recording, question),
        "GET /flow_run_states/": lambda request, _question: states(recording, request),
    }
    options = Options(page_size=10, business_messages=("ValueError:",))
    async with TestServer(recording.app()) as server:
        settings = HttpSettings(url=str(server.make_url("/api")), auth=Auth.basic("admin", "pw"))
        async with Client(settings, at=LATER, since=SINCE) as client:
            pages = [page async for page in poll(client, options, {})]

    assert recording.unknown == []
    assert client.skipped == {}
    return list({(type(read.record), read.record.id): read for page in pages for read in page.reads}.values())


def runs(reads: list[Read]) -> list[Run]:
    return [read.record for read in reads if isinstance(read.record, Run)]


def last_attempts(reads: list[Read]) -> list[Run]:
    return [run for run in runs(reads) if run.id == run.root_id]


async def test_statuses_add_up(reads: list[Read]) -> None:
    # Of 52 flow runs three are planned for the future, and two that are late wait to begin.
    expected = {"succeeded": 31, "failed": 7 + 2, "cancelled": 3, "running": 4, "waiting": 2}

    assert Counter(run.status for run in last_attempts(reads)) == expected


async def test_flows_add_up(reads: list[Read]) -> None:
    expected = {
        ("invoice-sync/prod", "succeeded"): 18,
        ("invoice-sync/prod", "failed"): 4,
        ("invoice-sync/prod", "waiting"): 2,
        ("invoice-validate/prod", "succeeded"): 3,
        ("invoice-validate/prod", "failed"): 3,
        ("onboard-user/prod", "succeeded"): 7,
        ("nightly-report/nightly", "succeeded"): 2,
        ("nightly-report/nightly", "cancelled"): 3,
        ("nightly-report/nightly", "running"): 4,
        ("hard-crash/prod", "failed"): 2,
        ("hard-crash/prod", "succeeded"): 1,
    }

    assert Counter((run.workflow, run.status) for run in last_attempts(reads)) == expected


async def test_a_flows_own_retries_are_attempts(reads: list[Read]) -> None:
    retried = [run for run in last_attempts(reads) if run.attempt != 1]
    firsts = [run for run in runs(reads) if run.id != run.root_id]

    assert [(run.workflow, run.attempt, run.status) for run in retried] == [("onboard-user/prod", 2, "succeeded")] * 4
    assert sorted(run.id for run in firsts) == sorted(f"{run.id}/1" for run in retried)
    assert {(run.status, run.attempt, run.exception) for run in firsts} == {("failed", 1, "application")}
    assert sum(run.status == "succeeded" and run.attempt == 1 for run in last_attempts(reads)) == 31 - 4


async def test_the_times_of_a_recorded_retry_are_those_of_its_states(reads: list[Read]) -> None:
    root = "58f94fab-4a1a-40b6-8075-5c123e42346c"
    first, second = sorted((run for run in runs(reads) if run.root_id == root), key=lambda run: run.attempt or 0)

    assert first.started_at == instant("2026-11-22T04:28:42.629659+00:00")
    assert first.finished_at == second.queued_at == instant("2026-11-22T04:28:42.767379+00:00")
    assert second.started_at == instant("2026-11-22T04:28:43.860065+00:00")
    assert second.finished_at == instant("2026-11-22T04:28:43.960072+00:00")


async def test_value_errors_are_business_exceptions_when_so_configured(reads: list[Read]) -> None:
    kinds = Counter((run.workflow, run.exception) for run in last_attempts(reads) if run.status == "failed")
    expected = {
        ("invoice-sync/prod", "application"): 4,
        ("invoice-validate/prod", "business"): 3,
        ("hard-crash/prod", "application"): 2,
    }

    assert kinds == expected


@pytest.mark.slow
async def test_the_figures_are_those_of_what_was_done(reads: list[Read], tmp_path: Path) -> None:
    found = totals(tmp_path, [read.record for read in reads], LATER)

    # 31 completed, 7 failed, 2 crashed; 4 of those completed needed the flow's own retry.
    assert found["completion_ratio"] == (31, 31 + 7 + 2)
    assert found["first_attempt_success_ratio"] == (31 - 4, 40)
    assert found["exception_ratio"] == (7 + 2 + 4, 40)


async def test_what_was_cancelled_before_it_began_has_no_start(reads: list[Read]) -> None:
    cancelled = [run for run in last_attempts(reads) if run.status == "cancelled"]

    assert sorted(run.started_at is None for run in cancelled) == [False, False, True]
    assert all(run.finished_at for run in cancelled)


async def test_deployments_are_the_inventory(reads: list[Read]) -> None:
    found = {read.record.name: read.record.enabled for read in reads if isinstance(read.record, Workflow)}
    expected = {
        "invoice-sync/prod": False,  # paused
        "invoice-validate/prod": True,
        "onboard-user/prod": True,
        "nightly-report/nightly": True,
        "hard-crash/prod": True,
    }

    assert found == expected


async def test_lengths_are_real(reads: list[Read]) -> None:
    lengths = [run.finished_at - run.started_at for run in last_attempts(reads) if run.finished_at and run.started_at]

    assert len(lengths) == 31 + 9 + 2 - 3  # of three retried runs the states were not recorded
    assert all(timedelta() < length < timedelta(minutes=5) for length in lengths)


@pytest.mark.parametrize("release", ["prefect-3.4.0", "prefect-3.8.8"])
async def test_every_recorded_run_is_expected_at_some_time_and_only_what_began_has_a_start(release: str) -> None:
    recording = Recording(release)
    rows = [row for page in recording.bodies(5, 6, 7, 16) for row in page]

    assert all(row["expected_start_time"] for row in rows)  # by which open runs are asked for
    assert {row["state_type"] for row in rows if not row["start_time"]} == {"SCHEDULED"}
    assert all(row["end_time"] for row in rows if row["state_type"] in ENDED)  # by which ended ones are
