"""Cal.com's own ways: marks that change nothing, moves that say nothing, an older form, filters passed over, limits."""

import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestServer

from exporter.collect.auth import Grant, RefreshToken
from exporter.collect.contract import needs
from exporter.collect.http import Auth, AuthFailed, Client, HttpSettings, NotUnderstood, RateLimited
from exporter.connectors import calcom
from exporter.connectors.calcom import Options, web_address
from exporter.demo.fakes.calcom import PARAMETERS, CalCom
from exporter.records import Booking
from tests.connectors.world import AT, SINCE
from tests.figures import totals
from tests.test_truth import SPECS

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
RATES = {"no_show_ratio", "attendance_ratio"}
KPIS = {*RATES, "booking_cancellation_ratio"}


class Poller:
    """Polls one account again and again, and stores as the poller does."""

    def __init__(self, cal: CalCom, **options: Any) -> None:
        self.cal, self.options = cal, Options(**options)
        self.records: dict[str, Booking] = {}
        self.cursor: Any = {}
        self.memory: Any = {}
        self.swept = list[set[str]]()
        self.requests = Counter[str]()

    async def poll(self, at: datetime = AT, auth: Auth | Grant | None = None, since: datetime = SINCE) -> int:
        """One poll; how many requests it took."""
        self.cal.faults.requests.clear()
        self.cal.clock = lambda: at
        async with TestServer(self.cal.app()) as server:
            url = str(server.make_url("")).rstrip("/")
            if isinstance(auth, RefreshToken):
                auth = RefreshToken(**{**vars(auth), "url": url + auth.url})
            http = HttpSettings(url=url, auth=auth or Auth.bearer(self.cal.token), attempts=1)
            dialect = needs(calcom).dialect
            async with Client(http, at=at, since=since, dialect=dialect, memory=self.memory) as client:
                ids = set[str]()
                async for page in calcom.poll(client, self.options, self.cursor):
                    self.records |= {read.record.id: read.record for read in page.reads}  # type: ignore[misc]
                    self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
                    self.memory = client.memory.changes() or self.memory
                    ids |= set(page.sweep.ids) if page.sweep else set()
                self.swept.append(ids)
        self.requests = Counter(self.cal.faults.requests)
        return len(self.cal.faults.requests)

    def of(self, uid: str) -> tuple[str | None, bool | None]:
        return self.records[uid].outcome, self.records[uid].attendance_marked


async def looked(cal: CalCom, **options: Any) -> list[tuple[str, bool]]:
    """What `check` finds, and what of it is wrong."""
    async with TestServer(cal.app()) as server:
        http = HttpSettings(url=str(server.make_url("")), auth=Auth.bearer(cal.token), attempts=1)
        async with Client(http, at=AT, since=SINCE, dialect=needs(calcom).dialect) as client:
            findings = await calcom.check(client, Options(**options))
    return [(each.what, each.wrong) for each in findings]


async def test_a_guest_who_is_marked_as_absent_is_found_although_the_booking_has_not_changed() -> None:
    cal = CalCom()
    uid = cal.book(AT - 5 * DAY, AT - 9 * DAY)
    cal.book(AT + DAY, AT - DAY)
    poller = Poller(cal)
    await poller.poll()
    before = poller.of(uid)
    cal.mark(uid, AT + MINUTE)
    await poller.poll(AT + 2 * MINUTE)
    too_early = poller.of(uid)
    await poller.poll(AT + HOUR)
    marked = poller.of(uid)
    cal.mark(uid, AT + HOUR, absent=False)
    await poller.poll(AT + 2 * HOUR)

    assert before == too_early == ("attended", False)
    assert marked == ("no_show", True)
    assert poller.of(uid) == ("attended", False)


async def test_a_meeting_that_nobody_marked_counts_once_the_time_to_mark_has_passed_whenever_it_is_read(
    tmp_path: Path,
) -> None:
    cal = CalCom()
    cal.mark(cal.book(AT - 3 * DAY, AT - 9 * DAY), AT - 2 * DAY)
    uid = cal.book(AT + HOUR, AT - DAY, minutes=60)
    poller, told = Poller(cal, attended_after_seconds=86_400), []
    for hours in (0, 1, 2, 3):
        await poller.poll(AT + hours * HOUR)
        told.append(poller.of(uid)[0])
    records, due_at = [*poller.records.values()], poller.records[uid].attendance_due_at
    counted = [
        totals(tmp_path, records, AT + 26 * HOUR - each, {"no_show_ratio"})["no_show_ratio"]
        for each in (MINUTE, timedelta())
    ]

    assert told == ["upcoming", "upcoming", "attended", "attended"]
    assert due_at == AT + 26 * HOUR
    assert counted == [(1, 1), (1, 2)]


async def test_where_nobody_marks_guests_there_is_no_rate_of_no_shows(tmp_path: Path) -> None:
    """Cal Video marks hosts by itself: that says nothing of guests."""
    cal = CalCom()
    uids = [cal.book(AT - (2 + number) * DAY, AT - 9 * DAY, seats=2 * (number == 1)) for number in range(4)]
    cal.book(AT + DAY, AT - DAY)
    cal.cancel(cal.book(AT - 3 * DAY, AT - 9 * DAY), AT - 4 * DAY)
    cal.move(cal.book(AT - 3 * DAY, AT - 9 * DAY), AT - 4 * DAY, AT - 2 * DAY)
    poller = Poller(cal)
    await poller.poll()
    nobody = totals(tmp_path, [*poller.records.values()], AT, KPIS)
    cal.mark_host(uids[3], AT)
    await poller.poll(AT + MINUTE)
    hosts = totals(tmp_path, [*poller.records.values()], AT, KPIS)
    cal.mark(uids[2], AT + MINUTE)
    await poller.poll(AT + HOUR)
    somebody = totals(tmp_path, [*poller.records.values()], AT + HOUR, KPIS)

    assert RATES.isdisjoint(nobody)
    assert RATES.isdisjoint(hosts)
    assert nobody["booking_cancellation_ratio"] == (1, 8)
    assert somebody["no_show_ratio"] == (1, 5)  # all from the one that was marked on


async def test_after_a_long_silence_all_that_has_ended_meanwhile_is_read() -> None:
    cal = CalCom()
    uid = cal.book(AT + HOUR, AT - DAY)
    poller = Poller(cal)
    await poller.poll()
    await poller.poll(AT + 60 * DAY)

    assert poller.of(uid) == ("attended", False)


async def test_a_booking_that_is_moved_is_told_by_itself_and_is_booked_once() -> None:
    cal = CalCom()
    old = cal.book(AT + DAY, AT - DAY)
    poller = Poller(cal)
    await poller.poll()
    new = cal.move(old, AT + MINUTE, AT + 2 * DAY)
    asked = await poller.poll(AT + 2 * MINUTE)

    assert (poller.of(old)[0], poller.of(new)[0]) == ("rescheduled", "upcoming")
    assert [each.booked_at for each in poller.records.values()] == [AT - DAY, None]
    assert asked == 1


async def test_an_occurrence_of_a_series_that_is_moved_later_does_not_say_so_and_stays_moved() -> None:
    cal = CalCom()
    old = cal.book(AT + DAY, AT - DAY, series="weekly")
    other = cal.book(AT + 8 * DAY, AT - DAY, series="weekly")
    poller = Poller(cal)
    await poller.poll()
    cal.cancel(old, AT + MINUTE)
    await poller.poll(AT + 2 * MINUTE)
    cancelled = poller.of(old)[0]
    cal.book(AT + 9 * DAY, AT + 6 * MINUTE)
    await poller.poll(AT + 7 * MINUTE)
    cal.book(AT + 3 * DAY, AT + 9 * MINUTE, series="weekly", rescheduledFromUid=old)
    asked = await poller.poll(AT + 10 * MINUTE)
    moved = poller.of(old)[0]
    cal.cancel(other, AT + 11 * MINUTE)
    await poller.poll(AT + 3 * DAY)  # reads the last days again

    assert (cancelled, moved, asked) == ("cancelled", "rescheduled", 2)
    assert (poller.of(old)[0], poller.of(other)[0]) == ("rescheduled", "cancelled")


async def test_a_booking_whose_host_asks_for_another_time_is_cancelled_until_the_guest_chooses_one() -> None:
    cal = CalCom()
    old = cal.book(AT + DAY, AT - DAY)
    poller = Poller(cal)
    await poller.poll()
    cal.ask_to_move(old, AT + MINUTE)
    await poller.poll(AT + 2 * MINUTE)
    waiting = poller.of(old)[0]
    new = cal.choose(old, AT + 3 * HOUR, AT + 5 * DAY)
    await poller.poll(AT + 3 * HOUR + MINUTE)

    assert (waiting, poller.of(old)[0], poller.of(new)[0]) == ("cancelled", "rescheduled", "upcoming")


async def test_what_cannot_be_asked_for_by_itself_is_asked_again_later() -> None:
    cal = CalCom()
    old = cal.book(AT + DAY, AT - DAY)
    poller = Poller(cal)
    await poller.poll()
    cal.ask_to_move(old, AT + MINUTE)
    cal.book(AT + 9 * DAY, AT + 4 * MINUTE)
    await poller.poll(AT + 5 * MINUTE)
    cal.choose(old, AT + 8 * MINUTE, AT + 5 * DAY)
    cal.faults.about, cal.faults.after = lambda request: "bookingUid" in request.query, 500
    await poller.poll(AT + 9 * MINUTE)
    failed = poller.of(old)[0]
    cal.faults.after = None
    await poller.poll(AT + HOUR)

    assert (failed, poller.of(old)[0]) == ("cancelled", "rescheduled")
    assert poller.cursor["owed"] == {}


async def test_a_booking_that_the_key_may_not_see_is_asked_for_once() -> None:
    cal = CalCom()
    poller = Poller(cal)
    cal.book(AT - DAY, AT - 2 * DAY)
    await poller.poll()
    cal.book(AT + DAY, AT + MINUTE, rescheduledFromUid="somebody-elses")
    asked = [await poller.poll(AT + minutes * MINUTE) for minutes in (2, 30, 31)]

    assert asked == [2, 1, 1]


async def test_other_versions_of_the_answer_are_refused_with_words() -> None:
    cal = CalCom(strips_version=True)
    cal.book(AT - DAY, AT - 2 * DAY)
    poller = Poller(cal)
    with pytest.raises(NotUnderstood, match="does something in between remove the header cal-api-version: 2024-08-13"):
        await poller.poll()

    assert poller.records == {}


async def test_a_build_that_passes_over_the_order_of_changes_is_not_believed() -> None:
    cal = CalCom()
    for day in range(3):
        cal.book(AT - day * DAY, AT - (9 - day) * DAY)
    poller = Poller(cal)
    await poller.poll()
    cal.old_build = True

    with pytest.raises(NotUnderstood, match="not in the order asked for"):
        await poller.poll(AT + MINUTE)


async def test_pages_go_on_although_totals_do_not_heed_the_filters() -> None:
    cal = CalCom()
    uids = {cal.book(AT - hour * HOUR, AT - 9 * DAY - hour * HOUR) for hour in range(25)}
    poller = Poller(cal, page_size=10)
    first = await poller.poll()
    quiet = await poller.poll(AT + MINUTE)

    assert poller.records.keys() == uids
    assert (first, quiet) == (3, 1)


async def test_a_first_sync_is_a_request_for_each_page_and_a_quiet_poll_one() -> None:
    cal = CalCom()
    for number in range(2_500):
        cal.book(AT - 40 * DAY + number * MINUTE, AT - 50 * DAY + number * MINUTE)
    poller = Poller(cal)
    first = await poller.poll()
    quiet = await poller.poll(AT + MINUTE)

    assert len(poller.records) == 2_500
    assert (first, quiet) == (11, 1)
    assert cal.misread == []


async def test_a_booking_that_was_never_updated_is_read_by_its_start() -> None:
    cal = CalCom()
    cal.book(AT - DAY, AT - 9 * DAY)
    poller = Poller(cal)
    await poller.poll()
    uid = cal.book(AT - HOUR, AT - 8 * DAY, updatedAt=None)
    await poller.poll(AT + HOUR)

    assert poller.records[uid].updated_at is None


async def test_a_sweep_lists_seats_and_what_is_still_to_come() -> None:
    cal = CalCom()
    uid, seats = cal.book(AT + 90 * DAY, AT - DAY), cal.book(AT - DAY, AT - 9 * DAY, seats=2)
    old = cal.book(AT - 80 * DAY, AT - 81 * DAY)
    poller = Poller(cal, page_size=2)
    await poller.poll()
    await poller.poll(AT + DAY)

    assert poller.swept == [set(), {uid, f"{seats}:{seats}-seat1", f"{seats}:{seats}-seat2", old}]


async def test_a_used_up_limit_says_when_there_are_new_requests() -> None:
    cal = CalCom(limit=1)
    for number in range(3):
        cal.book(AT - number * DAY, AT - 9 * DAY)
    cal.clock = lambda: AT
    cal.used = {int(AT.timestamp()) // 60: 1}
    poller = Poller(cal, page_size=1)
    with pytest.raises(RateLimited) as caught:
        await poller.poll()

    assert timedelta(seconds=59) <= caught.value.until - AT <= timedelta(seconds=61)


async def test_a_refresh_token_gets_an_access_token_and_the_newest_is_kept(tmp_path: Path) -> None:
    cal = CalCom()
    uid = cal.book(AT - DAY, AT - 2 * DAY)
    client, secret = cal.client
    kept = tmp_path / "token"
    scheme = calcom.AUTH
    grant = RefreshToken(
        url=scheme.token_url, scheme=scheme, client_id=client, secret=secret, first="first", named="auth", file=kept
    )
    poller = Poller(cal)
    await poller.poll(auth=grant)

    assert uid in poller.records
    assert cal.refresh in kept.read_text()


async def test_a_key_that_is_not_valid_is_refused() -> None:
    with pytest.raises(AuthFailed):
        await Poller(CalCom()).poll(auth=Auth.bearer("cal_other"))


async def test_a_check_says_whose_key_it_is_and_whether_anybody_marks() -> None:
    cal = CalCom()
    empty = await looked(cal)
    uid = cal.book(AT - DAY, AT - 2 * DAY)
    cal.mark_host(uid, AT)
    nobody = await looked(cal)
    cal.mark(uid, AT)
    somebody = await looked(cal)

    assert empty == [("user", False), ("bookings", False), ("marks", False)]
    assert nobody == [("user", False), ("bookings", False), ("marks", True)]
    assert somebody == [("user", False), ("bookings", False), ("marks", False)]


async def test_a_check_names_the_scopes_that_are_missing() -> None:
    assert await looked(CalCom(scopes=frozenset())) == [("user", True), ("bookings", True)]


async def test_a_check_finds_an_older_form() -> None:
    cal = CalCom(strips_version=True)
    cal.book(AT - DAY, AT - 2 * DAY)

    assert await looked(cal) == [("user", False), ("bookings", True)]


def test_marks_must_be_looked_for_longer_than_it_takes_to_presume() -> None:
    assert Options(lookback_seconds=90_000).faults() == []
    assert len(Options(lookback_seconds=89_999).faults()) == 1


@pytest.mark.parametrize(
    ("url", "web"),
    [
        ("https://api.cal.com", "https://app.cal.com"),
        ("https://api.cal.eu/", "https://app.cal.eu"),
        ("https://api.cal.example.com", None),
    ],
)
def test_where_people_open_bookings_is_known_of_cal_com_itself(url: str, web: str | None) -> None:
    assert web_address(url) == web


def test_the_fake_takes_the_parameters_that_are_published() -> None:
    spec = SPECS / "calcom-v2-bookings.trimmed.json"
    if not spec.exists():
        pytest.skip(f"{spec.name} is not beside the checkout")
    asked = json.loads(spec.read_text())["paths"]["/v2/bookings"]["get"]["parameters"]

    assert {each["name"] for each in asked if each["in"] == "query"} == PARAMETERS


def test_the_fake_answers_in_the_published_shape() -> None:
    spec = SPECS / "calcom-v2-bookings.trimmed.json"
    if not spec.exists():
        pytest.skip(f"{spec.name} is not beside the checkout")
    schemas = json.loads(spec.read_text())["components"]["schemas"]
    cal = CalCom()
    plain, series, seats = cal.book(AT, AT), cal.book(AT, AT, series="weekly"), cal.book(AT, AT, seats=1)
    shapes = {plain: "BookingOutput", series: "RecurringBookingOutput", seats: "GetSeatedBookingOutput"}
    published = {uid: schemas[f"{shape}_2024_08_13"] for uid, shape in shapes.items()}

    for uid, shape in published.items():
        row = cal.bookings[uid]
        assert set(shape["required"]) <= row.keys() <= shape["properties"].keys()
    [guest] = cal.bookings[seats]["attendees"]
    assert set(schemas["SeatedAttendee"]["required"]) <= guest.keys() <= schemas["SeatedAttendee"]["properties"].keys()
