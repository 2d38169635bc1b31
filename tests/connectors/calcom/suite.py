"""Cal.com for the contract suite: a month of bookings that were kept, missed, moved and called off."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from exporter.collect.http import Auth
from exporter.connectors.calcom import Options
from exporter.demo.fakes.calcom import CalCom
from tests.connectors.world import AT, World

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def account() -> CalCom:
    """Twenty bookings in the month before AT, some of several seats or of a series; two are still to come."""
    cal = CalCom(limit=100_000)
    for number in range(16):
        starts = AT - (29 - 2 * number) * DAY if number < 15 else AT - HOUR
        uid = cal.book(starts, starts - 2 * DAY, slug=("intro", "demo")[number % 2], seats=2 if number == 9 else 0)
        if number % 5 == 1 or number == 10:
            cal.mark(uid, starts + HOUR)
        if number == 6:
            cal.cancel(uid, starts - DAY)
        if number == 8:
            cal.mark_host(uid, starts + HOUR)
    moved = cal.book(AT - 9 * DAY, AT - 12 * DAY)
    cal.move(moved, AT - 11 * DAY, AT - 8 * DAY)
    series = cal.book(AT - 26 * DAY, AT - 28 * DAY, series="weekly")
    cal.move(series, AT - 27 * DAY, AT - 6 * DAY)
    cal.book(AT - timedelta(minutes=20), AT - 3 * DAY, minutes=60)
    return cal


def world(_folder: Path) -> World:
    cal = account()
    fifth = [*cal.bookings][4]

    def unknown_word() -> str:
        cal.bookings[fifth]["status"] = "pondering"
        return fifth

    def missing_time() -> str:
        cal.bookings[fifth]["createdAt"] = None
        return fifth

    def delete() -> str:
        uid = [*cal.bookings][-1]
        del cal.bookings[uid]
        return uid

    def work(at: datetime) -> str:
        return cal.book(at, at, minutes=0)

    def absurd() -> Callable[[], None]:
        far = cal.book(AT, AT)
        cal.bookings[far]["updatedAt"] = "2199-01-01T00:00:00.000Z"
        return lambda: cal.bookings.__delitem__(far)

    def start_over() -> set[str]:
        cal.bookings.clear()
        cal.last_id = 1_000
        return {work(AT - minute * timedelta(minutes=1)) for minute in range(7)}

    return World(
        app=cal.app(),
        options=Options(page_size=5, attended_after_seconds=0),
        auth=Auth.bearer(cal.token),
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        about_one="a booking is asked for by itself only if it is moved after the first poll",
        place="Cal.com's lists are asked for by time and number",
        zone="Cal.com writes UTC, wherever people are",
        quiet_requests=2,
    )
