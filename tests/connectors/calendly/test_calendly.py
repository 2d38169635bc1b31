"""Calendly's own ways: nothing is listed by its last change, invitees cost a request each, marks may change nothing."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestServer

from exporter.base.errors import StartOver
from exporter.collect.auth import RefreshToken
from exporter.collect.contract import needs
from exporter.collect.http import Auth, AuthFailed, Client, Forbidden, HttpSettings, RateLimited
from exporter.connectors import calendly as connector
from exporter.connectors.calendly import Options
from exporter.records import Booking
from tests.connectors.world import AT, SINCE
from tests.fakes.calendly import Calendly
from tests.fakes.oauth import Identity
from tests.figures import totals

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
RATES = {"no_show_ratio", "attendance_ratio"}
KPIS = {*RATES, "booking_cancellation_ratio"}


class Poller:
    """Polls one organization again and again, and stores as the poller does."""

    def __init__(self, calendly: Calendly, **options: Any) -> None:
        self.calendly, self.options = calendly, Options(**options)
        self.records: dict[str, Booking] = {}
        self.cursor: Any = {}
        self.memory: Any = {}
        self.whole_since: datetime | None = None

    async def poll(self, at: datetime = AT, since: datetime = SINCE, auth: Auth | None = None) -> tuple[int, int]:
        """One poll; how many requests for events and for invitees it took."""
        self.calendly.faults.requests.clear()
        self.calendly.clock = lambda: at
        async with TestServer(self.calendly.app()) as server:
            http = settings(server, auth or Auth.bearer(self.calendly.token))
            dialect = needs(connector).dialect
            async with Client(http, at=at, since=since, dialect=dialect, memory=self.memory) as client:
                async for page in connector.poll(client, self.options, self.cursor):
                    self.records |= {read.record.id: read.record for read in page.reads}  # type: ignore[misc]
                    self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
                    self.memory = client.memory.changes() or self.memory
                    self.whole_since = page.whole_since
        asked = Counter(request.rpartition("/")[2] for request in self.calendly.faults.requests)
        return asked["scheduled_events"], asked["invitees"]

    def of(self, key: str) -> tuple[str | None, bool | None]:
        found = self.records[f"{key}-1"]
        return found.outcome, found.attendance_marked


def settings(server: Any, auth: Any) -> HttpSettings:
    return HttpSettings(url=str(server.make_url("")), auth=auth, attempts=1)


async def looked(calendly: Calendly, **options: Any) -> list[tuple[str, bool]]:
    """What `check` finds, and what of it is wrong."""
    async with TestServer(calendly.app()) as server:
        http = settings(server, Auth.bearer(calendly.token))
        async with Client(http, at=AT, since=SINCE, dialect=needs(connector).dialect) as client:
            findings = await connector.check(client, Options(**options))
    return [(each.what, each.wrong) for each in findings]


async def test_a_quiet_poll_lists_events_and_asks_for_no_invitees() -> None:
    calendly = Calendly()
    for number in range(250):
        calendly.book(AT - 9 * DAY + number * HOUR, AT - 20 * DAY)
    poller = Poller(calendly)
    first = await poller.poll()
    quiet = await poller.poll(AT + MINUTE)

    assert len(poller.records) == 250
    assert (first, quiet) == ((4, 250), (3, 0))  # the first also looks for what is older


async def test_an_event_that_changes_is_asked_about_again_and_no_other() -> None:
    calendly = Calendly()
    keys = [calendly.book(AT + day * DAY, AT - DAY) for day in (1, 2, 3)]
    poller = Poller(calendly)
    await poller.poll()
    calendly.cancel(keys[1], AT + MINUTE)
    _, asked = await poller.poll(AT + 2 * MINUTE)

    assert asked == 1
    assert [poller.of(key)[0] for key in keys] == ["upcoming", "cancelled", "upcoming"]


async def test_who_leaves_a_group_has_cancelled_although_the_event_does_not_say_that_it_has_changed() -> None:
    calendly = Calendly()
    key = calendly.book(AT + DAY, AT - DAY, guests=2)
    poller = Poller(calendly)
    await poller.poll()
    calendly.leave(key, AT + MINUTE, place=1)
    await poller.poll(AT + 2 * MINUTE)

    assert [poller.records[f"{key}-{place}"].outcome for place in (1, 2)] == ["upcoming", "cancelled"]


@pytest.mark.parametrize("bumps", [False, True])
async def test_a_mark_is_found_whether_or_not_it_changes_the_event(bumps: bool) -> None:
    calendly = Calendly(bumps=bumps)
    key = calendly.book(AT - 5 * DAY, AT - 9 * DAY)
    poller = Poller(calendly)
    await poller.poll()
    before = poller.of(key)
    calendly.mark(key, AT + MINUTE)
    await poller.poll(AT + 5 * MINUTE)
    soon = poller.of(key)
    await poller.poll(AT + HOUR)
    marked = poller.of(key)
    calendly.mark(key, AT + HOUR, no_show=False)
    await poller.poll(AT + 3 * HOUR)

    assert before == ("attended", False)
    assert soon == (("no_show", True) if bumps else before)
    assert marked == ("no_show", True)
    assert poller.of(key) == ("attended", False)


async def test_a_meeting_that_nobody_marked_counts_once_the_time_to_mark_has_passed_whenever_it_is_read(
    tmp_path: Path,
) -> None:
    calendly = Calendly()
    calendly.mark(calendly.book(AT - 3 * DAY, AT - 9 * DAY), AT - 2 * DAY)
    key = calendly.book(AT + HOUR, AT - DAY, minutes=60)
    poller, told = Poller(calendly, attended_after_seconds=86_400), []
    for hours in (0, 1, 2, 3):
        await poller.poll(AT + hours * HOUR)
        told.append(poller.of(key)[0])
    records, due_at = [*poller.records.values()], poller.records[f"{key}-1"].attendance_due_at
    counted = [
        totals(tmp_path, records, AT + 26 * HOUR - each, {"no_show_ratio"})["no_show_ratio"]
        for each in (MINUTE, timedelta())
    ]

    assert told == ["upcoming", "upcoming", "attended", "attended"]
    assert due_at == AT + 26 * HOUR
    assert counted == [(1, 1), (1, 2)]


async def test_where_nobody_marks_there_is_no_rate_of_no_shows(tmp_path: Path) -> None:
    calendly = Calendly()
    keys = [calendly.book(AT - (2 + number) * DAY, AT - 9 * DAY, guests=1 + (number == 1)) for number in range(4)]
    calendly.book(AT + DAY, AT - DAY)
    calendly.cancel(calendly.book(AT - 3 * DAY, AT - 9 * DAY), AT - 4 * DAY)
    calendly.move(calendly.book(AT - 3 * DAY, AT - 9 * DAY), AT - 4 * DAY, AT - 2 * DAY)
    poller = Poller(calendly)
    await poller.poll()
    nobody = totals(tmp_path, [*poller.records.values()], AT, KPIS)
    calendly.mark(keys[2], AT + MINUTE)
    await poller.poll(AT + HOUR)
    somebody = totals(tmp_path, [*poller.records.values()], AT + HOUR, KPIS)

    assert RATES.isdisjoint(nobody)
    assert nobody["booking_cancellation_ratio"] == (1, 8)
    assert somebody["no_show_ratio"] == (1, 5)  # all from the one that was marked on


async def test_after_a_long_silence_what_has_ended_meanwhile_is_listed() -> None:
    calendly = Calendly()
    key = calendly.book(AT + HOUR, AT - DAY)
    poller = Poller(calendly)
    await poller.poll()
    calendly.mark(key, AT + 2 * HOUR)
    await poller.poll(AT + 60 * DAY)

    assert poller.of(key) == ("no_show", True)


async def test_who_moves_a_booking_has_booked_once() -> None:
    calendly = Calendly()
    old = calendly.book(AT + DAY, AT - DAY)
    poller = Poller(calendly)
    await poller.poll()
    new = calendly.move(old, AT + MINUTE, AT + 2 * DAY)
    await poller.poll(AT + 2 * MINUTE)

    assert (poller.of(old)[0], poller.of(new)[0]) == ("rescheduled", "upcoming")
    assert [poller.records[f"{key}-1"].booked_at for key in (old, new)] == [AT - DAY, None]


async def test_a_first_sync_reads_what_is_recent_first_and_the_rest_in_later_polls() -> None:
    calendly = Calendly(limit=10_000)
    for number in range(300):
        calendly.book(AT + DAY - number * 6 * HOUR, AT - 80 * DAY)  # 14 days are 60 of them
    poller = Poller(calendly, invitee_requests=100)
    told, asked = list[tuple[int, datetime | None]](), list[int]()
    for minutes in range(5):
        asked.append((await poller.poll(AT + minutes * MINUTE))[1])
        told.append((len(poller.records), poller.whole_since))

    assert asked == [100, 100, 100, 4, 0]  # what stands at a border comes twice
    assert [count for count, _ in told] == [99, 198, 297, 300, 300]
    assert [at for _, at in told] == [AT + DAY - n * 6 * HOUR for n in (98, 197, 296)] + [SINCE, SINCE]


async def test_more_new_events_than_there_are_requests_for_wait_and_nothing_is_missed_meanwhile() -> None:
    calendly = Calendly(limit=10_000)
    for number in range(150):
        calendly.book(AT + number * HOUR, AT - 2 * DAY)
    poller = Poller(calendly, invitee_requests=100)
    await poller.poll()
    first = len(poller.records), poller.whole_since
    await poller.poll(AT + MINUTE)

    assert first == (100, AT)
    assert (len(poller.records), poller.whole_since) == (150, SINCE)


async def test_of_events_that_have_ended_those_due_are_asked_about_first_and_the_others_in_turn() -> None:
    calendly = Calendly(limit=10_000)
    keys = [calendly.book(AT - 10 * DAY + number * MINUTE, AT - 20 * DAY) for number in range(150)]
    due = calendly.book(AT - 23 * HOUR, AT - 20 * DAY)
    poller = Poller(calendly, invitee_requests=1_000)
    await poller.poll()
    for key in (*keys, due):
        calendly.mark(key, AT)
    poller.options = Options(invitee_requests=100)
    first = (await poller.poll(AT + 2 * HOUR))[1], poller.of(due)[0], marked(poller)
    second = (await poller.poll(AT + 2 * HOUR + MINUTE))[1], poller.of(due)[0], marked(poller)

    assert first == (100, "no_show", 100)
    assert second == (51, "no_show", 151)


def marked(poller: Poller) -> int:
    return sum(bool(record.attendance_marked) for record in poller.records.values())


async def test_a_group_larger_than_a_page_is_read_whole() -> None:
    calendly = Calendly()
    calendly.book(AT + DAY, AT - DAY, guests=23)
    poller = Poller(calendly, page_size=10)

    assert await poller.poll() == (2, 3)
    assert len(poller.records) == 23


async def test_invitees_that_cannot_be_read_are_asked_for_again_also_of_events_long_ago() -> None:
    calendly = Calendly()
    recent, old = calendly.book(AT - DAY, AT - 9 * DAY), calendly.book(AT - 40 * DAY, AT - 50 * DAY)
    calendly.faults.about, calendly.faults.after = lambda request: request.path.endswith("/invitees"), 500
    poller = Poller(calendly)
    await poller.poll()
    failed = dict(poller.records)
    calendly.faults.after = None
    await poller.poll(AT + HOUR)

    assert failed == {}
    assert poller.records.keys() == {f"{recent}-1", f"{old}-1"}
    assert poller.cursor["owed"] == {}


async def test_an_event_that_is_gone_when_it_is_asked_for_again_is_owed_nothing() -> None:
    calendly = Calendly()
    old = calendly.book(AT - 40 * DAY, AT - 50 * DAY)
    calendly.faults.about, calendly.faults.after = lambda request: request.path.endswith("/invitees"), 500
    poller = Poller(calendly)
    await poller.poll()
    owed = [*poller.cursor["owed"]]
    calendly.faults.after = None
    del calendly.events[old]
    await poller.poll(AT + HOUR)

    assert owed == [old]
    assert poller.cursor["owed"] == {}


async def test_a_hundred_bookings_between_two_polls_are_no_other_account() -> None:
    calendly = Calendly()
    for number in range(12):
        calendly.book(AT + number * DAY, AT - DAY)
    poller = Poller(calendly)
    await poller.poll()
    for number in range(150):
        calendly.book(AT + number * HOUR, AT + MINUTE)
    await poller.poll(AT + 2 * MINUTE)

    assert len(poller.records) == 162


async def test_another_account_is_read_from_its_beginning() -> None:
    calendly = Calendly()
    for number in range(12):
        calendly.book(AT + number * DAY, AT - DAY)
    poller = Poller(calendly)
    await poller.poll()
    calendly.events.clear()
    with pytest.raises(StartOver):
        await poller.poll(AT + MINUTE)


async def test_a_member_may_not_read_the_organization_and_is_told_what_to_write() -> None:
    with pytest.raises(Forbidden, match="only an owner or admin may read events; write `scope: user`"):
        await Poller(Calendly(admin=False)).poll()


async def test_a_token_that_is_not_valid_is_refused() -> None:
    with pytest.raises(AuthFailed):
        await Poller(Calendly()).poll(auth=Auth.bearer("other"))


async def test_a_used_up_limit_says_when_there_are_new_requests() -> None:
    calendly = Calendly(limit=0)
    with pytest.raises(RateLimited) as caught:
        await Poller(calendly).poll()

    assert timedelta(seconds=59) <= caught.value.until - AT <= timedelta(seconds=61)


async def test_refresh_tokens_are_good_for_one_use_and_the_newest_is_kept(tmp_path: Path) -> None:
    identity, calendly = Identity(basic=True), Calendly()
    key = calendly.book(AT - DAY, AT - 2 * DAY)
    kept = tmp_path / "token"
    async with TestServer(identity.app()) as tokens, TestServer(calendly.app()) as server:
        grant = RefreshToken(
            url=str(tokens.make_url("/oauth/token")),
            scheme=connector.AUTH,
            client_id="exporter",
            secret="s3cret/+",
            first="first",
            named="auth",
            file=kept,
        )
        identity.meanwhile = lambda: setattr(calendly, "token", [*identity.tokens][-1])
        async with Client(settings(server, grant), at=AT, since=SINCE, dialect=needs(connector).dialect) as client:
            found = [read.record.id async for page in connector.poll(client, Options(), {}) for read in page.reads]

    assert found == [f"{key}-1"]
    assert identity.refresh != "first"
    assert identity.refresh in kept.read_text()


async def test_a_check_says_what_is_allowed_and_whether_anybody_marks() -> None:
    calendly = Calendly()
    empty = await looked(calendly)
    calendly.book(AT - DAY, AT - 2 * DAY)

    assert empty == await looked(calendly) == [("user", False), ("events", False), ("marks", False)]
    assert await looked(Calendly(scopes=frozenset())) == [("user", True)]
    assert await looked(Calendly(scopes=frozenset({"users:read"}))) == [("user", False), ("events", True)]
    assert await looked(Calendly(admin=False)) == [("user", False), ("events", True)]
    assert ("events", False) in await looked(Calendly(admin=False), scope="user")


def test_marks_must_be_looked_for_longer_than_it_takes_to_presume() -> None:
    assert Options(lookback_seconds=172_800).faults() == []
    assert len(Options(lookback_seconds=172_799).faults()) == 1
