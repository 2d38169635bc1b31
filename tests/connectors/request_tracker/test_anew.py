"""Request Tracker restored or odd: what is read anew, whose history cannot be read, words nobody knows."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiohttp.test_utils import TestServer

from exporter.base.errors import StartOver
from exporter.collect.http import Auth, Client, HttpSettings
from exporter.connectors import request_tracker
from exporter.connectors.request_tracker import Options
from exporter.demo.fakes.request_tracker import RequestTracker
from tests.connectors.request_tracker.test_traps import AT, HOUR, Desk, many


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    tracker = RequestTracker(queues=["General", "Support", "IT"])
    async with TestServer(tracker.app()) as server:
        yield Desk(tracker, str(server.make_url("")).rstrip("/"))


async def anew(desk: Desk, options: Options) -> str:
    """Polls as the poller does; why it began anew, or nothing."""
    try:
        await desk.poll(options)
    except StartOver as error:
        desk.cursor = error.cursor
        await desk.poll(options)
        return str(error)
    return ""


def restored(tracker: RequestTracker, *, to: int) -> None:
    """As it was when it had so many tickets; of what came later nothing is left."""
    last = max(key for key, each in tracker.transactions.items() if each.ticket <= to)
    tracker.tickets = {key: each for key, each in tracker.tickets.items() if key <= to}
    tracker.transactions = {key: each for key, each in tracker.transactions.items() if key <= last}
    tracker.last_ticket, tracker.last_transaction = to, last


async def test_tickets_opened_after_a_restore_are_read_though_their_transactions_have_ids_of_before(desk: Desk) -> None:
    many(desk.tracker, 60)
    options = Options(overlap=30)
    await desk.poll(options)
    restored(desk.tracker, to=20)
    for _ in range(20):
        desk.tracker.create("Support", "new@customer.test", AT)
    why = await anew(desk, options)

    assert why.startswith("of the 10 newest transactions read before, 10 are gone or changed")
    assert {key for key, each in desk.stored.items() if each.requester == "new@customer.test"} == {
        str(number) for number in range(21, 41)
    }
    assert len(desk.stored) == 60


async def test_a_restored_tracker_that_passed_the_old_mark_unseen_is_read_anew(desk: Desk) -> None:
    many(desk.tracker, 60)
    options = Options(overlap=30)
    await desk.poll(options)
    restored(desk.tracker, to=20)
    for _ in range(90):
        desk.tracker.create("Support", "new@customer.test", AT)
    why = await anew(desk, options)

    assert "10 are gone or changed" in why
    assert sum(each.requester == "new@customer.test" for each in desk.stored.values()) == 90


async def test_what_a_few_ids_of_before_stand_for_now_is_looked_at(desk: Desk) -> None:
    many(desk.tracker, 60)
    options = Options(overlap=30)
    await desk.poll(options)
    restored(desk.tracker, to=59)
    ticket = desk.tracker.create("Support", "new@customer.test", AT)
    why = await anew(desk, options)

    assert why == ""
    assert desk.stored[str(ticket)].requester == "new@customer.test"


async def test_a_ticket_whose_history_cannot_be_read_is_there_without_it(desk: Desk) -> None:
    many(desk.tracker, 9)
    desk.tracker.set_status(4, "resolved", "alice", AT - HOUR)
    desk.tracker.faults.about = lambda request: "ObjectId = 4 " in request.query["query"].replace(")", " ")
    desk.tracker.faults.after = 500
    await desk.poll()
    request = desk.stored["4"]

    assert (request.outcome, request.resolved_at) == ("resolved", AT - HOUR)
    assert (request.first_response_at, request.replies, request.reopen_count) == (None, None, None)
    assert (request.handled_by, request.on_hold_seconds) == (None, None)
    assert [key for key, each in desk.stored.items() if each.replies != 1] == ["4"]
    assert list(desk.cursor["owed"]) == ["4"]


async def test_a_changed_ticket_that_cannot_be_read_is_not_taken_for_deleted(desk: Desk) -> None:
    many(desk.tracker, 9)
    await desk.poll()
    desk.tracker.set_status(4, "resolved", "alice", AT)
    desk.tracker.set_status(5, "resolved", "alice", AT)
    desk.tracker.faults.about = lambda request: "(id = 4" in request.query["query"]
    desk.tracker.faults.after = 500
    await desk.poll()

    assert desk.gone == set()
    assert (desk.stored["4"].outcome, desk.stored["5"].outcome) == ("open", "resolved")


async def test_a_status_of_another_lifecycle_is_named(desk: Desk) -> None:
    many(desk.tracker, 5)
    desk.tracker.set_status(3, "waiting-vendor", "alice", AT)
    settings = HttpSettings(url=desk.url, auth=Auth("Authorization", f"token {desk.tracker.token}"))
    async with Client(settings, at=AT, since=AT - timedelta(days=30)) as client:
        reads = [read async for page in request_tracker.poll(client, Options(), {}) for read in page.reads]
        texts = {fault.text for each in client.left_out() for fault in each.faults if each.whole}

    assert {read.record.id for read in reads} == {"1", "2", "4", "5"}
    assert texts == {"'waiting-vendor' is none of new, open, stalled, resolved, rejected"}
