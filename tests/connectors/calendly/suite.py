"""Calendly for the contract suite: a month of events that were kept, missed, moved and called off."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from exporter.collect.http import Auth
from exporter.connectors.calendly import Options
from tests.connectors.world import AT, World
from tests.fakes.calendly import Calendly

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def account() -> Calendly:
    """Fourteen events in the month before AT, one of them of a group, and one that is going on."""
    calendly = Calendly(limit=100_000)
    for number in range(11):
        starts = AT - (29 - 2 * number) * DAY
        key = calendly.book(starts, starts - 2 * DAY, guests=3 if number == 9 else 1)
        if number % 5 == 1:
            calendly.mark(key, starts + HOUR)
        if number == 6:
            calendly.cancel(key, starts - DAY)
    calendly.move(calendly.book(AT - 9 * DAY, AT - 12 * DAY), AT - 11 * DAY, AT - 8 * DAY)
    calendly.book(AT - timedelta(minutes=20), AT - 3 * DAY, minutes=20)
    return calendly


def world(_folder: Path) -> World:
    calendly = account()
    events, invitees = calendly.events, calendly.invitees
    fifth = [*events][4]

    def invitee(key: str) -> str:
        return next(iter(invitees[key]))

    def unknown_word() -> str:
        invitees[fifth][invitee(fifth)]["status"] = "pondering"
        return invitee(fifth)

    def missing_time() -> str:
        invitees[fifth][invitee(fifth)]["created_at"] = None
        return invitee(fifth)

    def delete() -> str:
        key = [*events][-1]
        own = invitee(key)
        del events[key], invitees[key]
        return own

    def work(at: datetime) -> str:
        return invitee(calendly.book(at, at, minutes=0))

    def absurd() -> Callable[[], None]:
        far = calendly.book(AT.replace(year=2199), AT)
        return lambda: events.__delitem__(far)

    def start_over() -> set[str]:
        events.clear()
        invitees.clear()
        calendly.last_id = 100
        return {work(AT - minute * timedelta(minutes=1)) for minute in range(7)}

    return World(
        app=calendly.app(),
        options=Options(page_size=3, attended_after_seconds=0),
        auth=Auth.bearer(calendly.token),
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        about_one=(invitee(fifth), lambda request: request.path.endswith(f"/{fifth}/invitees")),
        place=lambda request: "page_token" in request.query,
        zone="Calendly writes UTC, wherever people are",
        quiet_requests=24,  # what a poller remembers of events is not kept here
    )
