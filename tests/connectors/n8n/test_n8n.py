"""n8n's own ways: late rows, retries, rejections, old versions, and any order of events between polls."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.collect.http import Auth, Client, HttpSettings
from exporter.connectors.n8n import Options, poll
from exporter.connectors.n8n.mapping import dependencies, kind
from exporter.demo.fakes.n8n import N8n
from exporter.records import Record, Run, Workflow
from tests.connectors.world import AT, SINCE

BEGAN = AT - timedelta(days=1)


class Poller:
    """Polls one instance again and again, and stores as the poller does."""

    def __init__(self, n8n: N8n, **options: Any) -> None:
        self.n8n = n8n
        self.options = Options(**{"page_size": 3, "overlap": 3, "web_url": "https://n8n.example.test", **options})
        self.records: dict[tuple[type[Record], str], Record] = {}
        self.items: dict[str, Any] = {}
        self.cursor: Any = {}
        self.attempts = 4

    async def poll(self, at: datetime = AT) -> list[str]:
        """One poll; what was asked."""
        self.n8n.faults.requests.clear()
        async with TestServer(self.n8n.app()) as server:
            http = HttpSettings(
                url=str(server.make_url("/")), auth=Auth("X-N8N-API-KEY", self.n8n.key), attempts=self.attempts
            )
            async with Client(http, at=at, since=SINCE) as client:
                async for page in poll(client, self.options, self.cursor):
                    self.records |= {(type(read.record), read.record.id): read.record for read in page.reads}
                    self.items |= {read.record.id: read.item for read in page.reads}
                    for key in page.gone:
                        del self.records[key]
                    self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
        return [request.removeprefix("GET /api/v1") for request in self.n8n.faults.requests]

    def run(self, execution: int) -> Run:
        record = self.records[(Run, str(execution))]
        assert isinstance(record, Run)
        return record


async def test_a_long_run_is_stored_when_it_ends_however_many_came_after_it() -> None:
    n8n = N8n()
    flow = n8n.add_workflow("Export", BEGAN)
    long = n8n.start(flow, BEGAN)
    poller = Poller(n8n)
    await poller.poll()
    while_running = poller.run(long).status
    for minute in range(20):
        n8n.end(n8n.start(flow, BEGAN + timedelta(minutes=minute)), BEGAN + timedelta(minutes=minute + 1))
    await poller.poll()
    n8n.end(long, BEGAN + timedelta(hours=2))
    await poller.poll()

    assert while_running == "running"
    assert poller.run(long).status == "succeeded"
    assert poller.run(long).finished_at == BEGAN + timedelta(hours=2)
    assert poller.cursor["open"] == []


async def test_a_retry_leads_to_the_root_however_old() -> None:
    n8n = N8n()
    flow = n8n.add_workflow("Sync", BEGAN)
    first = n8n.start(flow, BEGAN)
    n8n.end(first, BEGAN, "error")
    for _ in range(10):
        n8n.end(n8n.start(flow, BEGAN), BEGAN)
    poller = Poller(n8n)
    await poller.poll()
    second = n8n.start(flow, AT - timedelta(hours=2), retry_of=first)
    n8n.end(second, AT - timedelta(hours=2), "error")
    third = n8n.start(flow, AT - timedelta(hours=1), retry_of=second)
    n8n.end(third, AT - timedelta(hours=1))
    await poller.poll()

    tries = [poller.run(execution) for execution in (first, second, third)]
    assert [run.root_id for run in tries] == [str(first)] * 3
    assert [run.attempt for run in tries] == [1, 2, 3]
    assert [run.status for run in tries] == ["failed", "failed", "succeeded"]


async def test_what_is_known_of_a_run_that_waits_is_not_taken_for_that_of_its_failure() -> None:
    n8n = N8n()
    flow = n8n.add_workflow("Sync", BEGAN)
    first = n8n.start(flow, BEGAN)
    n8n.end(first, BEGAN, "error")
    second = n8n.start(flow, BEGAN, retry_of=first)
    n8n.end(second, AT - timedelta(hours=1), "waiting")
    poller = Poller(n8n)
    await poller.poll()
    known = poller.cursor["facts"][str(second)]
    n8n.executions[second]["status"] = "error"  # on the way to its next step; the time stays
    n8n.data[second] = {"resultData": {"error": {"node": {"type": "n8n-nodes-base.stopAndError"}}}}
    await poller.poll(AT + timedelta(minutes=5))

    assert known["status"] == "waiting"  # also after a restart under a later release
    assert poller.run(second).exception == "business"


async def test_the_retry_of_a_deleted_run_is_still_a_second_attempt() -> None:
    n8n = N8n()
    flow = n8n.add_workflow("Sync", BEGAN)
    first = n8n.start(flow, BEGAN)
    n8n.end(first, BEGAN, "error")
    second = n8n.start(flow, BEGAN, retry_of=first)
    n8n.end(second, BEGAN)
    n8n.prune(first)
    poller = Poller(n8n)
    await poller.poll()

    assert (poller.run(second).root_id, poller.run(second).attempt) == (str(first), 2)


async def test_the_retry_of_a_test_is_no_work() -> None:
    n8n = N8n()
    flow = n8n.add_workflow("Sync", BEGAN)
    test = n8n.start(flow, BEGAN, mode="manual")
    n8n.end(test, BEGAN, "error")
    n8n.end(n8n.start(flow, BEGAN, retry_of=test), BEGAN)
    poller, with_tests = Poller(n8n), Poller(n8n, modes=("manual",))
    await poller.poll()
    await with_tests.poll()

    assert [key for key in poller.records if key[0] is Run] == []
    assert len([key for key in with_tests.records if key[0] is Run]) == 2


async def test_what_is_no_work_of_its_own_is_left_out() -> None:
    n8n = N8n()
    flow = n8n.add_workflow("Sync", BEGAN)
    for mode in ("integrated", "error", "manual", "evaluation", "internal", "cli"):
        n8n.end(n8n.start(flow, BEGAN, mode=mode), BEGAN)
    counted = [n8n.start(flow, BEGAN, mode=mode) for mode in ("trigger", "webhook", "chat", "agent")]
    poller = Poller(n8n)
    await poller.poll()

    assert {int(key) for kind_, key in poller.records if kind_ is Run} == set(counted)


async def test_failures_are_asked_for_their_kind_once() -> None:
    n8n = N8n()
    flow = n8n.add_workflow("Intake", BEGAN)
    rejected, broken = n8n.start(flow, BEGAN), n8n.start(flow, BEGAN)
    n8n.end(rejected, BEGAN, "error", business=True)
    n8n.end(broken, BEGAN, "error")
    poller = Poller(n8n)
    first = await poller.poll()
    second = await poller.poll()

    assert (poller.run(rejected).exception, poller.run(broken).exception) == ("business", "application")
    assert {f"/executions/{rejected}", f"/executions/{broken}"} <= set(first)
    assert second == ["/executions"] * 3


async def test_nothing_of_a_failures_data_is_handed_on() -> None:
    n8n = N8n()
    execution = n8n.start(n8n.add_workflow("Intake", BEGAN), BEGAN)
    n8n.end(execution, BEGAN, "error")
    poller = Poller(n8n)
    await poller.poll()

    assert "data" not in poller.items[str(execution)]
    assert "made up" not in repr((poller.items, poller.records, poller.cursor))


async def test_failures_are_not_asked_when_they_are_not_to_be_read() -> None:
    n8n = N8n()
    execution = n8n.start(n8n.add_workflow("Intake", BEGAN), BEGAN)
    n8n.end(execution, BEGAN, "error", business=True)
    poller = Poller(n8n, exceptions="unread")
    asked = await poller.poll()

    assert f"/executions/{execution}" not in asked
    assert (poller.run(execution).status, poller.run(execution).exception) == ("failed", None)


async def test_an_open_run_that_is_deleted_stays_as_it_was_seen() -> None:
    n8n = N8n()
    execution = n8n.start(n8n.add_workflow("Export", BEGAN), BEGAN)
    poller = Poller(n8n)
    await poller.poll()
    n8n.prune(execution)
    await poller.poll()

    assert poller.run(execution).status == "running"
    assert poller.cursor["open"] == []


async def test_a_new_workflow_is_known_by_name_at_once() -> None:
    n8n = N8n()
    n8n.add_workflow("Old", BEGAN)
    poller = Poller(n8n)
    await poller.poll()
    execution = n8n.start(n8n.add_workflow("New", BEGAN, tags=("team:it",), project="Desk"), BEGAN)
    asked = await poller.poll()

    assert "/workflows" not in asked
    assert (poller.run(execution).workflow, poller.run(execution).owner) == ("New", "Desk")
    assert poller.items[str(execution)]["tags"] == ["team:it"]


async def test_the_inventory_is_read_once_an_hour_and_forgets_what_is_deleted() -> None:
    n8n = N8n()
    kept, deleted = n8n.add_workflow("Kept", BEGAN), n8n.add_workflow("Deleted", BEGAN)
    poller = Poller(n8n)
    await poller.poll(AT)
    del n8n.workflows[deleted]
    soon = await poller.poll(AT + timedelta(minutes=59))
    then = await poller.poll(AT + timedelta(hours=1))

    assert "/workflows" not in soon
    assert "/workflows" in then
    assert [key for key in poller.records if key[0] is Workflow] == [(Workflow, kept)]


async def test_a_first_sync_ends_where_the_history_is_to_begin() -> None:
    n8n = N8n()
    flow = n8n.add_workflow("Sync", SINCE)
    for day in range(-30, 30):
        n8n.end(n8n.start(flow, SINCE + timedelta(days=day)), SINCE + timedelta(days=day))
    poller = Poller(n8n)
    await poller.poll()

    oldest = min(run.started_at for run in poller.records.values() if isinstance(run, Run) and run.started_at)
    assert SINCE - timedelta(days=3) <= oldest <= SINCE


async def test_an_old_version_is_read_as_far_as_it_tells() -> None:
    n8n = N8n(old=True)
    flow = n8n.add_workflow("Sync", BEGAN)
    crashed, running, waits = (n8n.start(flow, BEGAN) for _ in range(3))
    n8n.end(crashed, BEGAN, "crashed")
    n8n.wait(waits, BEGAN)
    n8n.end(n8n.start(flow, BEGAN), BEGAN)
    poller = Poller(n8n)
    await poller.poll()
    n8n.end(running, AT)  # never seen while it ran, and not the newest when it ends
    await poller.poll()

    assert poller.run(crashed).status == "failed"
    assert poller.run(running).status == "succeeded"


@pytest.mark.parametrize(
    ("execution", "expected"),
    [
        ({"data": {"resultData": {"error": {"node": {"type": "n8n-nodes-base.stopAndError"}}}}}, "business"),
        ({"data": {"resultData": {"error": {"node": {"type": "n8n-nodes-base.httpRequest"}}}}}, "application"),
        ({"data": {"resultData": {"error": {"message": "no node"}}}}, "application"),
        ({"data": {"resultData": {"error": {"type": "business"}}}}, "business"),
        (
            {
                "customData": {"exception_kind": "application"},
                "data": {"resultData": {"error": {"node": {"type": "n8n-nodes-base.stopAndError"}}}},
            },
            "application",
        ),
        ({"customData": {"exception_kind": "business"}, "data": {"resultData": {"error": {}}}}, "business"),
        ({"customData": {"exception_kind": "odd"}, "data": {"resultData": {"error": {"type": ["odd"]}}}}, None),
        ({"dataTooLargeToDisplay": True, "data": {}}, None),
        ({"data": None}, None),
        (None, None),
        ([], None),
    ],
)
def test_the_kind_of_a_failure(execution: Any, expected: str | None) -> None:
    assert kind(execution) == expected


def test_dependencies_are_what_a_workflow_reaches_out_to() -> None:
    nodes = [
        {"type": "n8n-nodes-base.webhook", "parameters": {"path": "x"}},
        {"type": "n8n-nodes-base.jira", "credentials": {"jiraApi": {"id": "1", "name": "Jira prod"}}},
        {"type": "n8n-nodes-base.httpRequest", "parameters": {"url": "https://erp.example.test:8443/a?key=1"}},
        {"type": "n8n-nodes-base.httpRequest", "parameters": {"url": "={{ $json.url }}"}},
        {"type": "@n8n/n8n-nodes-langchain.agent", "parameters": {}},
        {"type": "n8n-nodes-acme.rocket", "parameters": {}},
    ]

    assert dependencies(nodes) == (
        "api:erp.example.test",
        "credential:Jira prod",
        "plugin:n8n-nodes-acme",
        "system:jira",
    )


EVENT = st.tuples(
    st.sampled_from(
        ["start", "start", "succeed", "succeed", "fail", "reject", "cancel", "crash", "wait", "retry", "poll"]
    ),
    st.integers(0, 30),
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENT, max_size=40))
def test_whenever_it_is_polled_in_the_end_all_is_known(events: list[tuple[str, int]]) -> None:
    asyncio.run(lived_through(events))


async def lived_through(events: list[tuple[str, int]]) -> None:
    n8n, at = N8n(), BEGAN
    flows = [n8n.add_workflow(name, BEGAN) for name in ("A", "B")]
    poller = Poller(n8n)
    await poller.poll()
    for word, which in events:
        at += timedelta(minutes=1)
        going = [int(row["id"]) for row in n8n.executions.values() if row["status"] in ("running", "waiting")]
        failed = [int(row["id"]) for row in n8n.executions.values() if row["status"] == "error"]
        if word == "poll":
            await poller.poll()
        elif word == "start":
            n8n.start(flows[which % 2], at)
        elif word == "retry" and failed:
            original = failed[which % len(failed)]
            n8n.start(n8n.executions[original]["workflowId"], at, retry_of=original)
        elif word == "wait" and going:
            n8n.wait(going[which % len(going)], at)
        elif word in ENDS and going:
            n8n.end(going[which % len(going)], at, ENDS[word], business=word == "reject")
    await poller.poll()
    fresh = Poller(n8n)
    await fresh.poll()

    assert poller.records == fresh.records


ENDS = {"succeed": "success", "fail": "error", "reject": "error", "cancel": "canceled", "crash": "crashed"}
