"""Request Tracker's recorded answers: what the connector makes of 41 real tickets."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from statistics import mean, median

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.http import Client, HttpSettings
from exporter.connectors import request_tracker
from exporter.connectors.request_tracker import Options
from exporter.demo.fakes.request_tracker_sql import Column, condition
from exporter.records import Request
from tests.connectors.recording import Recording
from tests.figures import totals

HOUR = timedelta(hours=1)
ACTIVE = ("new", "open", "stalled")


def replayed() -> web.Application:
    """A server that answers our questions out of the recorded items, as they are."""
    recording = Recording("request-tracker-5.0.3")
    numbers = {"tickets": (2, 3, 4), "transactions": (39, 40, 41, 42, 43)}
    items = {
        what: [item for body in recording.bodies(*files) for item in body["items"]] for what, files in numbers.items()
    }
    columns = {name: Column(str, itemgetter(name)) for name in ("Status", "Type", "Field")}
    columns["id"] = Column(int, lambda item: int(item["id"]))
    columns["ObjectId"] = Column(int, lambda item: int(item["ObjectId"]))
    columns["LastUpdated"] = Column(datetime, lambda item: datetime.fromisoformat(item["LastUpdated"]))
    columns["ObjectType"] = Column(str, lambda _: "RT::Ticket")

    async def search(request: web.Request) -> web.Response:
        asked = request.query
        holds = condition(asked["query"], columns, {"__Active__": ACTIVE}, UTC)
        found = sorted(filter(holds, items[request.path.rpartition("/")[2]]), key=lambda item: int(item["id"]))
        if asked.get("order") == "DESC":
            found.reverse()
        shown = found[: int(asked["per_page"])]
        names = ["id", *asked.get("fields", "").split(",")]
        answer = {"total": None, "items": [{name: item.get(name, "") for name in names} for item in shown]}
        return web.json_response(answer)

    app = web.Application()
    app.router.add_get("/REST/2.0/{what}", search)
    return app


@pytest.fixture
async def requests() -> dict[int, Request]:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    async with TestServer(replayed()) as server:
        settings = HttpSettings(url=str(server.make_url("")))
        async with Client(settings, at=at, since=at - timedelta(days=30)) as client:
            poll = request_tracker.poll(client, Options(bots=("autobot",), page_size=15), {})
            reads = [read async for page in poll for read in page.reads]
            assert client.skipped.total() == 0
    return {int(read.record.id): read.record for read in reads if isinstance(read.record, Request)}


@pytest.mark.slow
def test_the_figures_are_those_of_what_was_done(requests: dict[int, Request], tmp_path: Path) -> None:
    found = totals(tmp_path, [*requests.values()], datetime(2026, 11, 22, tzinfo=UTC))

    # 22 resolved (6 by the bot, 2 after a reopening), 3 rejected; of the 4 that moved to another queue 3 are resolved.
    assert found["resolution_seconds"] == (32 * 3600, 22)
    assert found["automated_resolution_ratio"] == (6, 22)
    assert found["reopen_ratio"] == (2, 22)
    assert found["escalation_ratio"] == (3, 22 + 3)
    assert found["first_response_seconds"] == (19 * 3600, 30)
    assert found["backlog"] == (6 + 6 + 2, 0)
    assert found["requests"] == (39, 0)


def test_deleted_and_merged_tickets_are_not_there(requests: dict[int, Request]) -> None:
    assert {*range(1, 42)} - {29, 40} == {*requests}


def test_outcomes_are_those_of_the_tickets(requests: dict[int, Request]) -> None:
    assert Counter(resolved=22, open=14, abandoned=3) == Counter(each.outcome for each in requests.values())
    assert {26, 27, 28} == {key for key, each in requests.items() if each.abandoned_at}


def test_only_resolved_tickets_have_a_resolution(requests: dict[int, Request]) -> None:
    hours = [
        (each.resolved_at - each.opened_at) / HOUR for each in requests.values() if each.resolved_at and each.opened_at
    ]

    assert len(hours) == 22
    assert round(mean(hours), 4) == 1.4545
    assert median(hours) == 1
    assert [key for key, each in requests.items() if each.sla_breached] == []


def test_a_reopened_ticket_has_its_last_resolution_or_none(requests: dict[int, Request]) -> None:
    assert {key: each.reopen_count for key, each in requests.items() if each.reopen_count} == {
        12: 1,
        19: 1,
        20: 1,
        21: 1,
    }
    assert requests[12].resolved_at is None
    assert requests[21].resolved_at is None
    assert datetime(2026, 11, 19, 15, tzinfo=UTC) == requests[19].resolved_at


def test_queue_moves_are_escalations(requests: dict[int, Request]) -> None:
    assert {22, 23, 24, 25} == {key for key, each in requests.items() if each.escalated_at}
    assert datetime(2026, 11, 19, 22, tzinfo=UTC) == requests[22].escalated_at


def test_first_responses_are_the_first_replies_of_agents(requests: dict[int, Request]) -> None:
    hours = [
        (each.first_response_at - each.opened_at) / HOUR
        for each in requests.values()
        if each.first_response_at and each.opened_at
    ]

    assert len(hours) == 30
    assert round(mean(hours), 4) == 0.6333


def test_who_handled_a_ticket_shows_in_who_resolved_and_who_replied(requests: dict[int, Request]) -> None:
    def handled(by: str) -> set[int]:
        return {key for key, each in requests.items() if each.handled_by == by}

    assert {*range(13, 19)} == handled("automation")
    assert {22, 23, 24, 25} == handled("assisted")
    assert {*range(1, 13), 19, 20, 21} <= handled("human")
    assert {13, 14, 15, 16, 17, 18, 22, 23, 24, 25} == {key for key, each in requests.items() if each.self_service}


async def test_custom_fields_are_handed_on_by_name() -> None:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    async with TestServer(replayed()) as server:
        settings = HttpSettings(url=str(server.make_url("")))
        async with Client(settings, at=at, since=at - timedelta(days=30)) as client:
            poll = request_tracker.poll(client, Options(overlap=0), {})
            items = [read.item async for page in poll for read in page.reads]
    ratings: dict[bool, list[int]] = {True: [], False: []}
    for item in items:
        ratings[item["Owner"]["id"] == "autobot"] += map(int, item["CustomFields"]["CSAT"])

    assert (len(ratings[True]), mean(ratings[True])) == (4, 4.0)
    assert (len(ratings[False]), mean(ratings[False])) == (12, 3.75)
    assert {"web", "phone", "chat", "email"} >= {text for item in items for text in item["CustomFields"]["Channel"]}


@pytest.mark.parametrize("release", ["request-tracker-5.0.3", "request-tracker-6.0.0"])
def test_transactions_are_numbered_and_have_a_time_that_tells_them_from_others(release: str) -> None:
    recording = Recording(release)
    items = [item for body in recording.bodies(39, 40, 41, 42, 43) for item in body["items"]]
    ids = [int(item["id"]) for item in items]

    assert ids == sorted(ids)
    assert all(isinstance(item["Created"], str) and item["Created"].endswith("Z") for item in items)
    assert all(item["ObjectId"] for item in items)
