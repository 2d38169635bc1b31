"""Request Tracker against a fake: paging without totals, late transactions, tickets that vanish, who did what."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collect.http import Auth, AuthFailed, Client, Gone, HttpSettings, NotUnderstood, Unavailable
from exporter.connectors import request_tracker
from exporter.connectors.request_tracker import Options
from exporter.demo.fakes.request_tracker import RequestTracker
from exporter.records import Request

AT = datetime(2026, 3, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BOT = Options(bots=("autobot",))


@dataclass
class Desk:
    """A tracker being served, and what is stored of it."""

    tracker: RequestTracker
    url: str
    cursor: Mapping[str, Any] = field(default_factory=dict)
    stored: dict[str, Request] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    items: list[Any] = field(default_factory=list)
    skipped: int = 0

    async def poll(self, options: Options = BOT, *, pages: int = 1_000_000, days: int = 30) -> int:
        """Polls and stores, at most so many pages; how many requests were made."""
        before = len(self.tracker.faults.requests)
        settings = HttpSettings(url=self.url, auth=Auth("Authorization", f"token {self.tracker.token}"), attempts=1)
        async with Client(settings, at=AT, since=AT - timedelta(days=days)) as client:
            async for page in request_tracker.poll(client, options, self.cursor):
                self.stored |= {r.record.id: r.record for r in page.reads if isinstance(r.record, Request)}
                self.items += [read.item for read in page.reads]
                self.gone |= {key for _, key in page.gone}
                self.stored = {key: record for key, record in self.stored.items() if (Request, key) not in page.gone}
                self.cursor = page.cursor
                pages -= 1
                if not pages:
                    break
            self.skipped = client.skipped.total()
        return len(self.tracker.faults.requests) - before


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    tracker = RequestTracker(queues=["General", "Support", "IT"])
    async with TestServer(tracker.app()) as server:
        yield Desk(tracker, str(server.make_url("")).rstrip("/"))


def many(tracker: RequestTracker, count: int) -> None:
    """Tickets answered by alice, an hour apart."""
    for number in range(count):
        at = AT - HOUR * (count - number)
        tracker.reply(tracker.create("Support", f"u{number}@customer.test", at), "alice", at + HOUR / 2)


@pytest.mark.parametrize("release", ["5.0.3", "5.0.8"])
@pytest.mark.parametrize("superuser", [True, False])
@pytest.mark.parametrize("sees_comments", [True, False])
async def test_every_ticket_and_reply_is_read_with_or_without_totals(
    desk: Desk, release: Any, superuser: bool, sees_comments: bool
) -> None:
    desk.tracker.release, desk.tracker.superuser, desk.tracker.sees_comments = release, superuser, sees_comments
    many(desk.tracker, 230)
    for ticket in range(1, 231):
        desk.tracker.comment(ticket, "bob", AT - HOUR / 4)
    await desk.poll()

    assert len(desk.stored) == 230
    assert all(each.first_response_at for each in desk.stored.values())


async def test_ids_of_more_digits_come_after_those_of_fewer(desk: Desk) -> None:
    desk.tracker.last_ticket, desk.tracker.last_transaction = 95, 9_990
    many(desk.tracker, 12)
    await desk.poll(Options(page_size=3, overlap=4))

    assert set(desk.stored) == {str(number) for number in range(96, 108)}


async def test_a_quiet_poll_asks_little(desk: Desk) -> None:
    many(desk.tracker, 120)
    await desk.poll()

    assert await desk.poll() <= 3


async def test_one_change_among_many_tickets_costs_a_handful_of_requests(desk: Desk) -> None:
    many(desk.tracker, 120)
    await desk.poll()
    desk.tracker.set_status(7, "resolved", "alice", AT)

    assert await desk.poll() <= 7
    assert desk.stored["7"].resolved_at == AT


async def test_a_first_sync_of_many_tickets_asks_few_times_for_each_hundred(desk: Desk) -> None:
    many(desk.tracker, 400)

    assert await desk.poll(Options(overlap=0)) <= 4 * 6 + 3


async def test_open_tickets_older_than_the_history_are_read_and_closed_ones_are_not(desk: Desk) -> None:
    still_open = desk.tracker.create("Support", "a@customer.test", AT - timedelta(days=300))
    closed = desk.tracker.create("Support", "a@customer.test", AT - timedelta(days=300))
    desk.tracker.set_status(closed, "resolved", "alice", AT - timedelta(days=299))
    await desk.poll(Options(overlap=0))

    assert set(desk.stored) == {str(still_open)}


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "Europe/Berlin"])
async def test_the_time_zone_of_the_user_loses_nothing(desk: Desk, zone: str) -> None:
    desk.tracker.zone = ZoneInfo(zone)
    ticket = desk.tracker.create("Support", "a@customer.test", AT - timedelta(days=30, hours=-1))
    desk.tracker.set_status(ticket, "resolved", "alice", AT - timedelta(days=30, hours=-1))
    await desk.poll(Options(overlap=0))

    assert set(desk.stored) == {str(ticket)}


async def test_a_transaction_that_shows_up_late_is_not_missed(desk: Desk) -> None:
    many(desk.tracker, 5)
    desk.tracker.reply(3, "bob", AT)
    late = desk.tracker.transactions
    held = {key: late.pop(key) for key in [key for key, each in late.items() if each.created == AT]}
    desk.tracker.comment(5, "alice", AT)
    await desk.poll()
    late |= held
    await desk.poll()

    assert desk.stored["3"].replies == 2


async def test_what_changes_during_the_first_sync_is_looked_at_again(desk: Desk) -> None:
    many(desk.tracker, 9)
    options = Options(page_size=3, overlap=5)
    await desk.poll(options, pages=1)
    desk.tracker.set_status(1, "resolved", "alice", AT)
    desk.tracker.set_status(2, "deleted", "alice", AT)
    await desk.poll(options)

    assert desk.stored["1"].resolved_at == AT
    assert set(desk.stored) == {"1", "3", "4", "5", "6", "7", "8", "9"}


async def test_deleted_and_merged_tickets_are_gone_and_a_restored_one_is_back(desk: Desk) -> None:
    many(desk.tracker, 4)
    await desk.poll()
    desk.tracker.set_status(1, "deleted", "root", AT)
    desk.tracker.merge(2, 3, "root", AT)
    await desk.poll()

    assert set(desk.stored) == {"3", "4"}

    desk.tracker.set_status(1, "open", "root", AT)
    await desk.poll()

    assert set(desk.stored) == {"1", "3", "4"}
    assert desk.stored["1"].reopen_count == 0


async def test_a_ticket_moved_to_a_queue_that_is_not_wanted_is_gone(desk: Desk) -> None:
    many(desk.tracker, 2)
    options = Options(queues=("Support", "It's \\ odd"))
    await desk.poll(options)
    desk.tracker.move(1, "IT", "alice", AT)
    await desk.poll(options)

    assert set(desk.stored) == {"2"}


async def test_queues_the_user_may_not_see_are_left_out(desk: Desk) -> None:
    many(desk.tracker, 2)
    desk.tracker.create("HR", "a@customer.test", AT)
    desk.tracker.sees = {"Support"}
    await desk.poll()

    assert set(desk.stored) == {"1", "2"}


async def test_reminders_are_not_requests(desk: Desk) -> None:
    many(desk.tracker, 2)
    desk.tracker.tickets[2].type = "reminder"
    await desk.poll()

    assert set(desk.stored) == {"1"}


async def test_a_page_that_breaks_off_is_asked_for_again(desk: Desk) -> None:
    many(desk.tracker, 2)
    desk.tracker.faults.coming.extend([None, "half"])
    await desk.poll()

    assert set(desk.stored) == {"1", "2"}


@pytest.mark.parametrize("trouble", [400, "garbage"])
async def test_nonsense_is_not_understood(desk: Desk, trouble: Any) -> None:
    many(desk.tracker, 2)
    desk.tracker.faults.coming.extend([None, trouble])

    with pytest.raises(NotUnderstood):
        await desk.poll()


async def test_a_server_that_ignores_the_question_is_not_read_for_ever() -> None:
    async def same(_: web.Request) -> web.Response:
        items = [{"type": "transaction", "id": str(key), "ObjectId": "1"} for key in (5, 6)]
        return web.json_response({"items": items, "total": 100, "next_page": "/REST/2.0/tickets?page=2"})

    app = web.Application()
    app.router.add_get("/REST/2.0/{what}", same)
    async with TestServer(app) as server:
        tracker = RequestTracker()
        with pytest.raises(NotUnderstood):
            await Desk(tracker, str(server.make_url("")).rstrip("/")).poll()


async def test_empty_pages_without_end_are_not_read_for_ever() -> None:
    async def empty(_: web.Request) -> web.Response:
        return web.json_response({"items": [], "total": None, "next_page": "/REST/2.0/tickets?page=2"})

    app = web.Application()
    app.router.add_get("/REST/2.0/{what}", empty)
    async with TestServer(app) as server:
        with pytest.raises(NotUnderstood):
            await Desk(RequestTracker(), str(server.make_url("")).rstrip("/")).poll()


async def test_the_first_sync_says_how_many_tickets_it_will_bring(desk: Desk) -> None:
    many(desk.tracker, 12)
    settings = HttpSettings(url=desk.url, auth=Auth("Authorization", f"token {desk.tracker.token}"))
    async with Client(settings, at=AT, since=AT - timedelta(days=1)) as client:
        totals = [page.total async for page in request_tracker.poll(client, Options(page_size=5, overlap=0), {})]

    assert totals[:4] == [12, 12, 12, None]


async def test_an_item_without_an_id_is_not_understood() -> None:
    async def odd(_: web.Request) -> web.Response:
        return web.json_response({"items": [{"type": "ticket"}], "total": 1})

    app = web.Application()
    app.router.add_get("/REST/2.0/{what}", odd)
    async with TestServer(app) as server:
        with pytest.raises(NotUnderstood):
            await Desk(RequestTracker(), str(server.make_url("")).rstrip("/")).poll()


async def test_a_wrong_base_path_says_that_nothing_is_there(desk: Desk) -> None:
    desk.url += "/elsewhere"

    with pytest.raises(Gone):
        await desk.poll()


async def test_a_log_in_page_is_a_refused_credential(desk: Desk) -> None:
    settings = HttpSettings(url=desk.url, auth=Auth("Authorization", "token wrong"), attempts=1)
    async with (
        aiohttp.ClientSession(headers={"User-Agent": "Mozilla/5.0"}) as http,
        Client(settings, http=http, at=AT, since=AT) as client,
    ):
        with pytest.raises(AuthFailed):
            [page async for page in request_tracker.poll(client, BOT, {})]


async def test_basic_auth_works_too(desk: Desk) -> None:
    many(desk.tracker, 1)
    settings = HttpSettings(url=desk.url, auth=Auth.basic("exporter", "password"))
    async with Client(settings, at=AT, since=AT - timedelta(days=1)) as client:
        reads = [read async for page in request_tracker.poll(client, BOT, {}) for read in page.reads]

    assert {read.record.id for read in reads} == {"1"}


async def test_an_outage_in_the_middle_keeps_what_was_stored(desk: Desk) -> None:
    many(desk.tracker, 9)
    desk.tracker.faults.coming.extend([None] * 6 + [503] * 99)
    with pytest.raises(Unavailable):
        await desk.poll(Options(page_size=3))
    desk.tracker.faults.coming.clear()
    stored = len(desk.stored)
    await desk.poll(Options(page_size=3))

    assert 0 < stored < 9
    assert len(desk.stored) == 9


async def test_an_unset_date_is_none(desk: Desk) -> None:
    ticket = desk.tracker.create("Support", "a@customer.test", AT)
    await desk.poll()
    request = desk.stored[str(ticket)]

    assert (request.resolved_at, request.closed_at, request.sla_breached) == (None, None, None)
    assert (request.handled_by, request.self_service, request.human_seconds) == (None, None, None)


async def test_a_ticket_opened_again_has_no_resolution_although_the_date_stays(desk: Desk) -> None:
    many(desk.tracker, 1)
    desk.tracker.set_status(1, "resolved", "alice", AT - HOUR / 4)
    desk.tracker.reply(1, "u0@customer.test", AT)
    await desk.poll()
    request = desk.stored["1"]

    assert (request.outcome, request.resolved_at, request.reopen_count, request.replies) == ("open", None, 1, 1)


async def test_a_rejected_ticket_was_not_resolved(desk: Desk) -> None:
    many(desk.tracker, 1)
    desk.tracker.set_status(1, "rejected", "alice", AT)
    await desk.poll()
    request = desk.stored["1"]

    assert (request.outcome, request.resolved_at, request.abandoned_at) == ("abandoned", None, AT)


async def test_statuses_of_other_lifecycles_count_as_configured_and_others_are_skipped(desk: Desk) -> None:
    many(desk.tracker, 3)
    desk.tracker.set_status(1, "deployed", "alice", AT)
    desk.tracker.tickets[1].resolved = AT
    desk.tracker.set_status(2, "duplicate", "alice", AT)
    desk.tracker.set_status(3, "pondering", "alice", AT)
    await desk.poll(Options(statuses={"deployed": "resolved", "duplicate": "discarded"}))

    assert {key: each.outcome for key, each in desk.stored.items()} == {"1": "resolved", "2": "discarded"}
    assert desk.stored["1"].resolved_at == AT
    assert desk.skipped > 0


async def test_an_answer_is_the_first_reply_that_is_neither_the_requestors_nor_the_systems(desk: Desk) -> None:
    ticket = desk.tracker.create("Support", "a@customer.test", AT - HOUR * 4)
    desk.tracker.reply(ticket, "RT_System", AT - HOUR * 4)
    desk.tracker.reply(ticket, "a@customer.test", AT - HOUR * 3)
    desk.tracker.comment(ticket, "bob", AT - HOUR * 2)
    desk.tracker.reply(ticket, "alice", AT - HOUR)
    await desk.poll()

    assert desk.stored[str(ticket)].first_response_at == AT - HOUR


async def test_a_ticket_answered_and_resolved_by_a_bot_was_automated(desk: Desk) -> None:
    ticket = desk.tracker.create("Support", "a@customer.test", AT - HOUR)
    desk.tracker.reply(ticket, "autobot", AT)
    desk.tracker.set_status(ticket, "resolved", "autobot", AT)
    await desk.poll()
    request = desk.stored[str(ticket)]

    assert (request.handled_by, request.self_service, request.human_seconds) == ("automation", True, 0)


@pytest.mark.parametrize("closer", ["alice", "autobot", "RT_System"])
async def test_a_bots_answer_and_a_persons_is_assistance(desk: Desk, closer: str) -> None:
    ticket = desk.tracker.create("Support", "a@customer.test", AT - HOUR)
    desk.tracker.reply(ticket, "autobot", AT)
    desk.tracker.reply(ticket, "alice", AT, minutes=7)
    desk.tracker.set_status(ticket, "resolved", closer, AT)
    await desk.poll()
    request = desk.stored[str(ticket)]

    assert (request.handled_by, request.self_service, request.human_seconds) == ("assisted", True, 420)


async def test_a_person_answering_and_a_cron_job_closing_is_human_work(desk: Desk) -> None:
    many(desk.tracker, 1)
    desk.tracker.set_status(1, "resolved", "RT_System", AT)
    await desk.poll()

    assert (desk.stored["1"].handled_by, desk.stored["1"].self_service) == ("human", False)


async def test_a_cron_job_closing_what_nobody_touched_is_automation(desk: Desk) -> None:
    ticket = desk.tracker.create("Support", "a@customer.test", AT - HOUR)
    desk.tracker.set_status(ticket, "resolved", "RT_System", AT)
    await desk.poll()

    assert desk.stored[str(ticket)].handled_by == "automation"


async def test_a_bot_that_only_sorts_tickets_does_not_handle_them(desk: Desk) -> None:
    ticket = desk.tracker.create("General", "a@customer.test", AT - HOUR)
    desk.tracker.move(ticket, "Support", "autobot", AT - HOUR)
    desk.tracker.reply(ticket, "alice", AT)
    desk.tracker.set_status(ticket, "resolved", "alice", AT)
    await desk.poll()

    assert desk.stored[str(ticket)].handled_by == "human"


async def test_a_requestor_who_closes_the_ticket_was_handled_by_nobody(desk: Desk) -> None:
    ticket = desk.tracker.create("Support", "a@customer.test", AT - HOUR)
    desk.tracker.set_status(ticket, "resolved", "a@customer.test", AT)
    await desk.poll()

    assert desk.stored[str(ticket)].handled_by is None


async def test_only_a_move_to_a_named_queue_is_an_escalation_where_queues_are_named(desk: Desk) -> None:
    ticket = desk.tracker.create("General", "a@customer.test", AT - HOUR * 3)
    desk.tracker.move(ticket, "Support", "alice", AT - HOUR * 2)
    desk.tracker.move(ticket, "IT", "alice", AT - HOUR)
    await desk.poll()

    assert desk.stored["1"].escalated_at == AT - HOUR * 2

    desk.cursor = {}
    await desk.poll(Options(escalation_queues=("IT",)))

    assert desk.stored["1"].escalated_at == AT - HOUR


async def test_a_deadline_is_missed_only_by_an_end_after_it(desk: Desk) -> None:
    for late in (-1, 1):
        ticket = desk.tracker.create("Support", "a@customer.test", AT - HOUR * 3, due=AT - HOUR)
        desk.tracker.set_status(ticket, "resolved", "alice", AT - HOUR + timedelta(minutes=late))
    await desk.poll()

    assert (desk.stored["1"].sla_breached, desk.stored["2"].sla_breached) == (False, True)


async def test_the_item_keeps_the_platforms_words_with_custom_fields_by_name(desk: Desk) -> None:
    desk.tracker.create("Support", "a@customer.test", AT, fields={"Channel": ["web"], "CSAT": []})
    desk.tracker.create("Support", "a@customer.test", AT)
    await desk.poll(Options(overlap=0))

    assert [item["CustomFields"] for item in desk.items] == [{"Channel": ["web"], "CSAT": []}, {}]
    assert {item["Queue"]["Name"] for item in desk.items} == {"Support"}
    assert all("Subject" not in item for item in desk.items)


async def test_a_link_opens_the_ticket_below_the_configured_address(desk: Desk) -> None:
    many(desk.tracker, 1)
    await desk.poll()

    assert desk.stored["1"].url == f"{desk.url}/Ticket/Display.html?id=1"


async def test_the_time_a_ticket_was_stalled_is_its_time_on_hold_once_it_has_ended(desk: Desk) -> None:
    many(desk.tracker, 3)
    for ticket in (1, 2, 3):
        desk.tracker.set_status(ticket, "stalled", "alice", AT + HOUR)
        desk.tracker.set_status(ticket, "open", "alice", AT + 3 * HOUR)
    desk.tracker.set_status(1, "stalled", "alice", AT + 4 * HOUR)
    desk.tracker.set_status(1, "resolved", "alice", AT + 9 * HOUR)
    desk.tracker.set_status(2, "rejected", "alice", AT + 4 * HOUR)
    await desk.poll()
    held = {key: each.on_hold_seconds for key, each in desk.stored.items()}

    assert held == {"1": 7 * 3600.0, "2": 2 * 3600.0, "3": None}


async def test_other_statuses_may_be_those_on_hold_and_a_ticket_that_was_in_none_was_never_on_hold(desk: Desk) -> None:
    many(desk.tracker, 2)
    desk.tracker.set_status(1, "parked", "alice", AT + HOUR)
    desk.tracker.set_status(1, "stalled", "alice", AT + 2 * HOUR)
    for ticket in (1, 2):
        desk.tracker.set_status(ticket, "resolved", "alice", AT + 5 * HOUR)
    await desk.poll(Options(statuses={"parked": "open"}, on_hold_statuses=("parked",)))

    assert {key: each.on_hold_seconds for key, each in desk.stored.items()} == {"1": 3600.0, "2": 0.0}


async def test_time_on_hold_is_not_known_where_a_change_of_status_cannot_be_seen(desk: Desk) -> None:
    many(desk.tracker, 1)
    desk.tracker.set_status(1, "stalled", "alice", AT + HOUR)
    desk.tracker.set_status(1, "open", "alice", AT + 2 * HOUR)
    desk.tracker.set_status(1, "stalled", "alice", AT + 2 * HOUR)
    desk.tracker.set_status(1, "resolved", "alice", AT + 3 * HOUR)
    shown = {key: each for key, each in desk.tracker.transactions.items() if each.new != "open" or each.created <= AT}
    desk.tracker.transactions = shown
    await desk.poll()

    assert desk.stored["1"].on_hold_seconds is None
