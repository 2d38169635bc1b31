"""What the connector makes of recorded answers of a real Airflow 2.11.0 and 3.3.2: some forty runs of six DAGs."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.contract import needs
from exporter.collect.http import Client, HttpSettings
from exporter.connectors import airflow
from exporter.connectors.airflow import Options, poll
from exporter.connectors.airflow.mapping import key_of
from exporter.records import Read, Run, Workflow
from tests.connectors.recording import Recording
from tests.connectors.world import SINCE
from tests.figures import totals

LATER = datetime(2026, 11, 22, 5, tzinfo=UTC)
RELEASES = ("2.11.0", "3.3.2")


@dataclass
class Recorded:
    """What was read, and the recorded runs by id."""

    reads: list[Read]
    rows: Mapping[str, Any]
    release: str

    @property
    def runs(self) -> list[Run]:
        return [read.record for read in self.reads if isinstance(read.record, Run)]

    @property
    def last(self) -> dict[str, Run]:
        """By id: the runs as they stand, without their earlier attempts."""
        return {run.id: run for run in self.runs if run.id == run.root_id}


def dag_runs(rows: list[Any], request: web.Request) -> Any:
    """The recorded runs, filtered, in order and paged as asked."""
    query = request.query
    states, until = query.getall("state", ["success", "failed"]), query.get("end_date_lte")
    found = [
        row for row in rows if row["state"] in states and not (until and instant(row["end_date"]) > instant(until))
    ]
    if query["order_by"] == "-end_date":
        found.sort(key=lambda row: instant(row["end_date"]), reverse=True)
    start = int(query["offset"])
    return {"dag_runs": found[start : start + int(query["limit"])], "total_entries": len(found)}


def events(recording: Recording, request: web.Request) -> Any:
    """The recorded lines of the event log, as far as they are of the kind asked for."""
    query = request.query
    kinds = query.getall("included_events")
    kinds = kinds[0].split(",") if len(kinds) == 1 else kinds
    rows = [
        row
        for row in recording.bodies(35)[0]["event_logs"]
        if row["event"] in kinds and query.get("run_id") in (None, row["run_id"])
    ]
    start = int(query["offset"])
    return {"event_logs": rows[start : start + int(query["limit"])], "total_entries": len(rows)}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


READ: dict[str, Recorded] = {}
"""By release: the tests only look at it."""


@pytest.fixture(params=RELEASES)
async def recorded(request: pytest.FixtureRequest) -> Recorded:
    release: str = request.param
    if release not in READ:
        READ[release] = await read(release)
    return READ[release]


async def read(release: str) -> Recorded:
    recording = Recording(f"airflow-{release}")
    api = "/api/v1" if release.startswith("2") else "/api/v2"
    rows = [row for page in recording.bodies(8, 9, 10) for row in page["dag_runs"]]
    dags = [row for page in recording.bodies(3, 4) for row in page["dags"]]
    recording.answers = {
        f"GET {api}/dags": lambda _request, _body: {"dags": dags, "total_entries": len(dags)},
        f"GET {api}/dags/~/dagRuns": lambda asked, _body: dag_runs(rows, asked),
        f"GET {api}/eventLogs": lambda asked, _body: events(recording, asked),
    }
    async with TestServer(recording.app()) as server:
        settings = HttpSettings(url=str(server.make_url("")).rstrip("/"))
        async with Client(settings, at=LATER, since=SINCE, dialect=needs(airflow).dialect) as client:
            options = Options(page_size=10, business_tasks=("validate",))
            pages = [page async for page in poll(client, options, {})]

    assert recording.unknown == (["GET /api/v2/version"] if release.startswith("2") else [])
    assert client.skipped == {}
    reads = {(type(read.record), read.record.id): read for page in pages for read in page.reads}
    return Recorded([*reads.values()], {key_of(row): row for row in rows}, release)


async def test_runs_add_up(recorded: Recorded) -> None:
    three = recorded.release.startswith("3")
    expected = {
        ("invoice_sync", "succeeded"): 17,
        ("invoice_sync", "failed"): 3,
        ("invoice_validate", "succeeded"): 5,
        ("invoice_validate", "failed"): 4,
        ("slow_export", "succeeded"): 3,
        ("slow_export", "failed"): 1,
        ("slow_export", "running"): 2,
        ("slow_export", "waiting"): 1,
        ("skipper", "succeeded"): 2,
        ("minutely", "succeeded"): 3 if three else 5,
    }

    assert Counter((run.workflow, run.status) for run in recorded.last.values()) == expected
    assert recorded.last.keys() == recorded.rows.keys()


async def test_what_people_did_is_known_of_the_runs_they_did_it_with(recorded: Recorded) -> None:
    touched = {run.root_id for run in recorded.runs if run.human_override}

    assert touched == {
        "invoice_sync:cleared-then-ok",
        "invoice_validate:bad-then-cleared",
        "invoice_validate:bad-marked-success",
        "slow_export:killed-by-hand",
    }
    assert {run.human_override for run in recorded.runs} == {True, False}


async def test_what_was_cleared_has_two_attempts(recorded: Recorded) -> None:
    tries = {
        key: [
            (run.attempt, run.status, run.exception)
            for run in sorted(recorded.runs, key=lambda run: run.attempt or 0)
            if run.root_id == key
        ]
        for key in {run.root_id for run in recorded.runs if run.attempt != 1}
    }

    assert tries == {
        "invoice_sync:cleared-then-ok": [(1, "failed", "application"), (2, "succeeded", "none")],
        # Only the last hundred lines of the event log are recorded: what it was before is not among them.
        "invoice_validate:bad-then-cleared": [(1, None, None), (2, "failed", "business")],
    }


async def test_times_are_those_of_the_runs(recorded: Recorded) -> None:
    for key, run in recorded.last.items():
        row = recorded.rows[key]
        assert run.started_at == (instant(row["start_date"]) if row["start_date"] else None)
        assert run.finished_at == (instant(row["end_date"]) if row["end_date"] else None)
    first = next(run for run in recorded.runs if run.id == "invoice_sync:cleared-then-ok/1")
    second = recorded.last["invoice_sync:cleared-then-ok"]
    assert first.started_at
    assert first.finished_at
    assert second.queued_at
    assert second.started_at
    assert first.started_at < first.finished_at < second.queued_at < second.started_at


@pytest.mark.slow
async def test_the_figures_are_those_of_what_was_done(recorded: Recorded, tmp_path: Path) -> None:
    found = totals(tmp_path, [read.record for read in recorded.reads], LATER)
    succeeded = 30 if recorded.release.startswith("3") else 32

    assert found["completion_ratio"] == (succeeded, succeeded + 8)
    assert found["first_attempt_success_ratio"] == (succeeded - 1, succeeded + 8)  # one of them was cleared
    assert found["exception_ratio"] == (8 + 1, succeeded + 8)
    assert found["business_exception_ratio"] == (1, succeeded + 8)  # in the part of the log that is recorded
    assert found["override_ratio"] == (4, succeeded + 8)


async def test_dags_are_the_inventory(recorded: Recorded) -> None:
    found = {each.record.name: each.record for each in recorded.reads if isinstance(each.record, Workflow)}

    assert {name: each.enabled for name, each in found.items()} == {
        "invoice_sync": True,
        "invoice_validate": True,
        "minutely": False,  # paused
        "never_run": True,
        "skipper": True,
        "slow_export": True,
    }
    assert found["invoice_sync"].owners == ("finance",)
