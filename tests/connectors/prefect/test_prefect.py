"""Prefect's own ways: attempts under one id, planned runs, late clocks, and any order of events between polls."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.collect.http import Auth, Client, HttpSettings, NotUnderstood
from exporter.connectors.prefect import SKEW, Options, poll, since, web_address
from exporter.connectors.prefect.mapping import Words, judged
from exporter.demo.fakes.prefect import ENDED, Prefect, page
from exporter.records import Record, Run, Workflow
from tests.connectors.world import AT, SINCE

BEGAN = AT - timedelta(days=1)


class Poller:
    """Polls one server again and again, and stores as the poller does."""

    def __init__(self, prefect: Prefect, **options: Any) -> None:
        self.prefect = prefect
        self.options = Options(**{"page_size": 3, "web_url": "https://prefect.example.test", **options})
        self.records: dict[tuple[type[Record], str], Record] = {}
        self.items: dict[str, Any] = {}
        self.cursor: Any = {}
        self.whole: list[tuple[datetime, set[str]]] = []  # from when on all was there, and what was

    async def poll(self, *, pages: int | None = None) -> list[str]:
        """One poll, or so many pages of it; what was asked."""
        self.prefect.faults.requests.clear()
        auth = Auth.bearer(self.prefect.token) if self.prefect.token else Auth()
        async with TestServer(self.prefect.app()) as server:
            http = HttpSettings(url=str(server.make_url(self.prefect.path)), auth=auth)
            async with Client(http, at=AT, since=SINCE) as client:
                came = 0
                async for brought in poll(client, self.options, self.cursor):
                    self.records |= {(type(read.record), read.record.id): read.record for read in brought.reads}
                    self.items |= {read.record.id: read.item for read in brought.reads}
                    for key in brought.gone:
                        del self.records[key]
                    self.cursor = msgspec.json.decode(msgspec.json.encode(brought.cursor))
                    if brought.whole_since:
                        self.whole.append((brought.whole_since, {id_ for kind, id_ in self.records if kind is Run}))
                    came += 1
                    if came == pages:
                        break
        return [request.removeprefix(f"POST {self.prefect.path}") for request in self.prefect.faults.requests]

    def tries(self, run: str) -> list[Run]:
        found = [record for record in self.records.values() if isinstance(record, Run) and record.root_id == run]
        return sorted(found, key=lambda each: each.attempt or 0)


async def test_the_tries_of_a_run_are_attempts_with_their_own_times() -> None:
    prefect = Prefect()
    run = prefect.execute(prefect.add_deployment("sync", "prod", BEGAN), BEGAN, 10, tries=3)
    poller = Poller(prefect)
    await poller.poll()

    tries = poller.tries(run)
    assert [each.id for each in tries] == [f"{run}/1", f"{run}/2", run]
    assert [each.status for each in tries] == ["failed", "failed", "succeeded"]
    assert [each.exception for each in tries] == ["application", "application", "none"]
    times = [(each.queued_at, each.started_at, each.finished_at) for each in tries]
    seconds = [tuple((moment - BEGAN).total_seconds() for moment in each if moment) for each in times]
    assert seconds == [(0, 0, 10), (10, 20, 30), (30, 40, 50)]


async def test_the_states_of_a_retried_run_are_asked_once() -> None:
    prefect = Prefect()
    deployment = prefect.add_deployment("sync", "prod", BEGAN)
    run = prefect.execute(deployment, AT - timedelta(minutes=5), 10, "FAILED", tries=2)
    poller = Poller(prefect)
    first = await poller.poll()
    second = await poller.poll()
    prefect.state(run, "SCHEDULED", AT, name="AwaitingRetry")
    third = await poller.poll()

    asked = f"GET {prefect.path}/flow_run_states/"
    assert [each.count(asked) for each in (first, second, third)] == [1, 0, 1]
    assert [each.status for each in poller.tries(run)] == ["failed", "failed", "waiting"]


async def test_a_run_that_a_person_tries_again_moves_on_under_its_id() -> None:
    prefect = Prefect()
    run = prefect.execute(prefect.add_deployment("sync", "prod", BEGAN), BEGAN, 10, "FAILED")
    poller = Poller(prefect)
    await poller.poll()
    before = [(each.id, each.status) for each in poller.tries(run)]
    prefect.state(run, "SCHEDULED", AT - timedelta(hours=3), name="AwaitingRetry")
    await poller.poll()
    waiting = [(each.id, each.status) for each in poller.tries(run)]
    prefect.state(run, "RUNNING", AT - timedelta(hours=2))
    prefect.state(run, "COMPLETED", AT - timedelta(hours=1))
    await poller.poll()

    assert before == [(run, "failed")]
    assert waiting == [(f"{run}/1", "failed"), (run, "waiting")]
    assert [(each.id, each.status) for each in poller.tries(run)] == [(f"{run}/1", "failed"), (run, "succeeded")]


async def test_a_pause_is_no_new_attempt() -> None:
    prefect = Prefect()
    run = prefect.schedule(prefect.add_deployment("sync", "prod", BEGAN), BEGAN)
    for minute, (kind, name) in enumerate(
        (("RUNNING", ""), ("PAUSED", ""), ("SCHEDULED", "Resuming"), ("RUNNING", ""), ("COMPLETED", ""))
    ):
        prefect.state(run, kind, BEGAN + timedelta(minutes=minute), name=name)
    poller = Poller(prefect)
    await poller.poll()

    assert [(each.status, each.attempt) for each in poller.tries(run)] == [("succeeded", 1)]


async def test_a_retried_run_whose_states_are_gone_still_counts_two_attempts() -> None:
    prefect = Prefect()
    run = prefect.execute(prefect.add_deployment("sync", "prod", BEGAN), BEGAN, 10, tries=2)
    prefect.states[run] = []
    poller = Poller(prefect)
    await poller.poll()

    first, last = poller.tries(run)
    assert (first.status, first.started_at, first.finished_at) == ("failed", BEGAN, None)
    assert (last.attempt, last.status, last.started_at) == (2, "succeeded", None)


async def test_planned_runs_and_sub_flows_are_left_out() -> None:
    prefect = Prefect()
    deployment = prefect.add_deployment("sync", "prod", BEGAN)
    for day in range(9):
        prefect.schedule(deployment, AT + timedelta(days=day), automatic=True)
    part = prefect.schedule(deployment, BEGAN, parent=str(UUID(int=9)))
    prefect.state(part, "COMPLETED", BEGAN)
    late = prefect.schedule(deployment, AT - timedelta(minutes=2), automatic=True)
    prefect.state(late, "SCHEDULED", AT - timedelta(minutes=1), name="Late")
    poller = Poller(prefect)
    await poller.poll()

    assert [key for kind, key in poller.records if kind is Run] == [late]
    assert (poller.tries(late)[0].status, poller.tries(late)[0].trigger) == ("waiting", "schedule")


async def test_one_cancelled_before_it_began_has_no_start() -> None:
    prefect = Prefect()
    run = prefect.schedule(prefect.add_deployment("sync", "prod", BEGAN), BEGAN)
    prefect.state(run, "CANCELLED", BEGAN + timedelta(minutes=1))
    poller = Poller(prefect)
    await poller.poll()

    (only,) = poller.tries(run)
    assert (only.status, only.started_at, only.finished_at) == ("cancelled", None, BEGAN + timedelta(minutes=1))


async def test_an_end_stamped_by_a_clock_that_is_behind_is_found_by_id() -> None:
    prefect = Prefect()
    deployment = prefect.add_deployment("sync", "prod", BEGAN)
    behind = prefect.schedule(deployment, AT - timedelta(hours=9))
    prefect.state(behind, "RUNNING", AT - timedelta(hours=9))
    prefect.execute(deployment, AT - timedelta(hours=1), 10)
    poller = Poller(prefect)
    await poller.poll()
    prefect.state(behind, "COMPLETED", AT - timedelta(hours=8))
    await poller.poll()

    assert poller.tries(behind)[0].status == "succeeded"
    assert poller.cursor["open"] == []


async def test_an_open_run_that_is_deleted_stays_as_it_was_seen() -> None:
    prefect = Prefect()
    run = prefect.schedule(prefect.add_deployment("sync", "prod", BEGAN), BEGAN)
    prefect.state(run, "RUNNING", BEGAN)
    poller = Poller(prefect)
    await poller.poll()
    prefect.delete(run)
    await poller.poll()

    assert poller.tries(run)[0].status == "running"
    assert poller.cursor["open"] == []


async def test_more_ends_in_one_instant_than_fit_a_page_are_all_read() -> None:
    prefect = Prefect()
    deployment = prefect.add_deployment("sync", "prod", BEGAN)
    runs = {prefect.execute(deployment, BEGAN, 10) for _ in range(11)}
    runs |= {prefect.execute(deployment, BEGAN + timedelta(hours=hour), 10) for hour in (-1, 1)}
    poller = Poller(prefect)
    await poller.poll()

    assert {key for kind, key in poller.records if kind is Run} == runs


async def test_a_long_history_goes_on_where_it_was_left() -> None:
    prefect = Prefect()
    deployment = prefect.add_deployment("sync", "prod", BEGAN)
    for minute in range(30):
        prefect.execute(deployment, BEGAN + timedelta(minutes=minute), 10)
    whole, broken = Poller(prefect, overlap_seconds=60), Poller(prefect, overlap_seconds=60)
    all_requests = len(await whole.poll())
    await broken.poll(pages=11)
    rest = len(await broken.poll())

    assert whole.records == broken.records
    assert rest < all_requests


async def test_a_history_that_goes_on_ends_with_what_is_new_since_it_was_broken_off() -> None:
    prefect = Prefect()
    deployment = prefect.add_deployment("sync", "prod", BEGAN)
    runs = {prefect.execute(deployment, BEGAN + timedelta(minutes=minute), 10) for minute in range(30)}
    poller = Poller(prefect)
    await poller.poll(pages=8)
    runs.add(prefect.execute(deployment, BEGAN + timedelta(hours=9), 10))
    await poller.poll()
    whole_since, there = poller.whole[-1]
    quiet = await poller.poll()

    assert (whole_since, there) == (SINCE, runs)
    assert len(quiet) == 4  # flows, deployments, what is open, what has ended


async def test_a_first_sync_says_from_when_on_all_is_read() -> None:
    prefect = Prefect()
    deployment = prefect.add_deployment("sync", "prod", BEGAN)
    ends = {prefect.execute(deployment, BEGAN + timedelta(minutes=n // 4), 10): n // 4 for n in range(30)}
    poller = Poller(prefect)
    await poller.poll(pages=8)
    await poller.poll()
    lacking = [
        {key for key, minute in ends.items() if BEGAN + timedelta(minutes=minute, seconds=10) > since} - there
        for since, there in poller.whole
    ]

    assert [since for since, _ in poller.whole] == sorted((since for since, _ in poller.whole), reverse=True)
    assert (len(poller.whole) > 8, poller.whole[-1][0]) == (True, SINCE)
    assert lacking == [set()] * len(lacking)


async def test_a_first_sync_ends_where_the_history_is_to_begin() -> None:
    prefect = Prefect()
    deployment = prefect.add_deployment("sync", "prod", SINCE - timedelta(days=99))
    prefect.execute(deployment, SINCE - timedelta(days=1), 10)
    inside = prefect.execute(deployment, SINCE + timedelta(days=1), 10)
    zombie = prefect.schedule(deployment, SINCE - timedelta(days=1))
    prefect.state(zombie, "RUNNING", SINCE - timedelta(days=1))
    poller = Poller(prefect)
    await poller.poll()

    assert [key for kind, key in poller.records if kind is Run] == [inside]


async def test_a_cloud_workspace_is_read_with_a_bearer_token() -> None:
    prefect = Prefect(token="pnu_made_up")
    run = prefect.execute(prefect.add_deployment("sync", "prod", BEGAN), BEGAN, 10)
    poller = Poller(prefect, web_url="")
    await poller.poll()

    link = f"https://app.prefect.cloud/account/{UUID(int=1)}/workspace/{UUID(int=2)}/runs/flow-run/{run}"
    assert poller.tries(run)[0].url == link


def test_people_open_a_server_beside_its_api() -> None:
    assert web_address("https://prefect.example.test/api") == "https://prefect.example.test"


async def test_what_runs_are_mapped_by() -> None:
    prefect = Prefect()
    deployment = prefect.add_deployment("sync", "prod", BEGAN, tags=("team:it",))
    run = prefect.execute(deployment, BEGAN, 10)
    poller = Poller(prefect)
    await poller.poll()

    words = ("tags", "flow_name", "deployment_name", "workflow_name")
    assert [poller.items[run][word] for word in words] == [["team:it"], "sync", "prod", "sync/prod"]
    assert poller.tries(run)[0].workflow == "sync/prod"


async def test_a_deployment_is_enabled_unless_paused_or_without_an_active_schedule() -> None:
    prefect = Prefect()
    keys = [prefect.add_deployment("sync", name, BEGAN) for name in ("by hand", "paused", "off", "on")]
    prefect.deployments[keys[1]]["paused"] = True
    prefect.deployments[keys[2]]["schedules"] = [{"active": False}]
    prefect.deployments[keys[3]]["schedules"] = [{"active": False}, {"active": True}]
    poller = Poller(prefect)
    await poller.poll()
    enabled = {record.name: record.enabled for record in poller.records.values() if isinstance(record, Workflow)}
    del prefect.deployments[keys[0]]
    await poller.poll()

    assert enabled == {"sync/by hand": True, "sync/paused": False, "sync/off": False, "sync/on": True}
    assert (Workflow, keys[0]) not in poller.records


class Forgetful(Prefect):
    """A server that answers every page of what ended with the first."""

    async def _filter_runs(self, request: web.Request) -> web.Response:
        question = await request.json()
        ended = [row for row in self.runs.values() if "end_time" in question["flow_runs"] and row["end_time"]]
        return page(sorted(ended, key=lambda row: str(row["end_time"]), reverse=True), {"limit": question["limit"]})


@pytest.mark.parametrize("minutes", [0, 1])
async def test_a_server_that_repeats_a_page_is_not_read_for_ever(minutes: int) -> None:
    prefect = Forgetful()
    deployment = prefect.add_deployment("sync", "prod", BEGAN)
    for number in range(9):
        prefect.execute(deployment, BEGAN + timedelta(minutes=minutes * number), 10)
    with pytest.raises(NotUnderstood, match=r"repeats|not in the order"):
        await Poller(prefect).poll()


WORDS = Words(("Rejected",), ("BusinessException",), ("RolledBack",))


@pytest.mark.parametrize(
    ("kind", "name", "message", "past", "expected"),
    [
        ("COMPLETED", "Completed", None, False, ("succeeded", "none")),
        ("COMPLETED", "Cached", None, False, ("succeeded", "none")),
        ("COMPLETED", "RolledBack", None, False, ("failed", "application")),
        ("COMPLETED", "Rejected", None, False, ("succeeded", "business")),
        ("FAILED", "Failed", None, False, ("failed", "application")),
        ("FAILED", "Failed", "Flow run encountered an exception: BusinessException: x", False, ("failed", "business")),
        ("FAILED", "Rejected", None, False, ("failed", "business")),
        ("FAILED", "TimedOut", "BusinessException", False, ("failed", "application")),
        ("CRASHED", "Crashed", "BusinessException", False, ("failed", "application")),
        ("CANCELLED", "Cancelled", None, False, ("cancelled", "none")),
        ("RUNNING", "Retrying", None, False, ("running", None)),
        ("CANCELLING", "Cancelling", None, False, ("running", None)),
        ("PAUSED", "Suspended", None, False, ("waiting", None)),
        ("PENDING", "Submitting", None, False, ("waiting", None)),
        ("SCHEDULED", "AwaitingRetry", "BusinessException", False, ("waiting", None)),
        ("SCHEDULED", "AwaitingRetry", "BusinessException", True, ("failed", "business")),
        ("SCHEDULED", "AwaitingRetry", None, True, ("failed", "application")),
    ],
)
def test_what_a_state_means(kind: str, name: str, message: str | None, past: bool, expected: tuple[str, str]) -> None:
    assert judged({"type": kind, "name": name, "message": message}, WORDS, past) == expected


EVENT = st.tuples(
    st.sampled_from(
        ["schedule", "start", "start", "COMPLETED", "FAILED", "CRASHED", "CANCELLED", "PAUSED", "retry", "poll"]
    ),
    st.integers(0, 30),
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENT, max_size=40))
def test_whenever_it_is_polled_in_the_end_all_is_known(events: list[tuple[str, int]]) -> None:
    asyncio.run(lived_through(events))


async def lived_through(events: list[tuple[str, int]]) -> None:
    prefect, at = Prefect(), BEGAN
    deployments = [prefect.add_deployment(name, "prod", BEGAN) for name in ("a", "b")]
    poller = Poller(prefect)
    await poller.poll()
    for word, which in events:
        at += timedelta(minutes=9)
        if word == "poll":
            await poller.poll()
        elif word == "schedule":
            prefect.schedule(deployments[which % 2], at)
        else:
            happen(prefect, word, which, at)
    await poller.poll()
    fresh = Poller(prefect)
    await fresh.poll()

    assert poller.records == fresh.records


def happen(prefect: Prefect, word: str, which: int, at: datetime) -> None:
    """One run that can moves on as the word says; nothing where none can."""
    may = {"start": ("SCHEDULED", "PAUSED"), "retry": ("FAILED", "CRASHED", "COMPLETED"), "PAUSED": ("RUNNING",)}
    before = may.get(word, ("SCHEDULED", "RUNNING", "PAUSED"))
    able = [key for key, row in prefect.runs.items() if row["state_type"] in before]
    if not able:
        return
    run = able[which % len(able)]
    if word == "retry":
        prefect.state(run, "SCHEDULED", at, name="AwaitingRetry")
    elif word == "start":
        if prefect.runs[run]["state_type"] == "PAUSED":
            prefect.state(run, "SCHEDULED", at, name="Resuming")
        prefect.state(run, "RUNNING", at)
    else:
        assert word in ENDED or word == "PAUSED"
        prefect.state(run, word, at)


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (None, SINCE),
        (AT - timedelta(seconds=1), AT - timedelta(seconds=61)),
        (AT + SKEW, AT + SKEW - timedelta(seconds=60)),
        (AT + SKEW + timedelta(seconds=1), SINCE),
    ],
    ids=["the first poll", "a poll before", "a clock that is a little ahead", "a clock that is far ahead"],
)
async def test_what_ended_shortly_before_the_last_poll_is_read_again(
    ended: datetime | None, expected: datetime
) -> None:
    client = Client(HttpSettings(url="http://unused"), at=AT, since=SINCE)

    assert since(client, Options(overlap_seconds=60), ended.isoformat() if ended else None) == expected.isoformat()
