"""What invitees of Calendly's events are: items as its API writes them, and their records."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.connectors.calendly.mapping import AUTOMATED, CANCELED_BY, PLACES, STATUS
from exporter.records import Booking
from exporter.records.columns import Rule
from tests.connectors.truth import NO_TIME, Enum, Truth
from tests.connectors.world import AT
from tests.fakes.calendly import Calendly, text

ENUMS: tuple[Enum, ...] | str = "Calendly publishes its specification, and not for others to keep"
TECHNICAL = {"page_size", "lookback_seconds", "invitee_requests"}

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
MADE = datetime(2026, 3, 20, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def at(number: int) -> datetime:
    """When the event of a number starts; it ends half an hour later."""
    return NOON + number * MINUTE


class Calendar:
    """One organization's events, of which each has one invitee; both have a number."""

    def __init__(self) -> None:
        self.calendly = Calendly(last_id=0)
        self.last = 0

    def add(self, starts_at: datetime | None = None, event: Any = (), **changes: Any) -> int:
        """An event that was made on MADE; `changes`: of its invitee."""
        self.last += 1
        key = self.calendly.book(starts_at or at(self.last), MADE, **dict(event))
        invitee = self.calendly.invitees[key][f"{key}-1"]
        invitee |= changes
        return self.last

    def truth(self, what: str, records: Sequence[Booking], **others: Any) -> Truth:
        app, secret = self.calendly.app(), self.calendly.token
        return Truth(what=what, app=app, secret=("token", secret), records=records, **others)


def booking(number: int, starts_at: datetime | None = None, **columns: Any) -> Booking:
    """A booking that is presumed attended, but for what is said of it."""
    starts_at = starts_at or at(number)
    usual = {
        "id": f"EV{number}-1",
        "updated_at": MADE,
        "booked_at": MADE,
        "starts_at": starts_at,
        "ends_at": starts_at + 30 * MINUTE,
        "outcome": "attended",
        "attendance_marked": False,
        "attendance_due_at": starts_at + 30 * MINUTE + DAY,
        "channel": "video",
        "meeting_type": "Intro",
        "host": "hash of ana@example.com",
    }
    return Booking(**{**usual, **columns})


OPEN: dict[str, Any] = {"outcome": "unknown", "attendance_marked": None}
UPCOMING: dict[str, Any] = {"outcome": "upcoming", "attendance_marked": None}
CANCELLED: dict[str, Any] = {"outcome": "cancelled", "attendance_marked": None}
MOVED: dict[str, Any] = {"outcome": "rescheduled", "attendance_marked": None}
MISSED: dict[str, Any] = {"outcome": "no_show", "attendance_marked": True}
MARK = {"uri": "https://api.calendly.com/invitee_no_shows/1", "created_at": text(MADE)}


def truths(_folder: Path) -> Iterator[Truth]:
    yield outcomes()
    yield when_nobody_marked()
    yield who_cancelled()
    yield places()
    yield who_booked()
    yield groups()
    yield what_the_config_finds()
    yield one_user()
    yield what_cannot_be_read()


def outcomes() -> Truth:
    """Each status, of the invitee and of the event; marks; and moves, which are booked once."""
    calendar, later = Calendar(), AT + DAY
    off: dict[str, Any] = {"status": "canceled"}
    assert set(STATUS) == {"active", "canceled"}
    calendar.add()
    calendar.add(**off)
    calendar.add(event=off)
    calendar.add(**off, rescheduled=True, new_invitee="EV5-1")
    calendar.add(old_invitee="EV4-1")
    calendar.add(no_show=MARK)
    calendar.add(**off, no_show=MARK)
    calendar.add(rescheduled=True)  # and is there all the same
    calendar.add(later)
    calendar.add(later, **off)
    calendar.add(later, event=off, **off, rescheduled=True)
    records = [
        booking(1),
        booking(2, **CANCELLED),
        booking(3, **CANCELLED),
        booking(4, **MOVED),
        booking(5, booked_at=None),
        booking(6, **MISSED),
        booking(7, **MISSED),
        booking(8),
        booking(9, later, **UPCOMING),
        booking(10, later, **CANCELLED),
        booking(11, later, **MOVED),
    ]
    return calendar.truth("outcomes", records)


def when_nobody_marked() -> Truth:
    """A meeting is over at its end, and presumed to have been attended; that counts so much later, and not before."""
    calendar, half = Calendar(), 30 * MINUTE
    starts = [AT - half, AT - half + MINUTE, AT - half - 6 * HOUR, AT - half - 6 * HOUR + MINUTE, AT - HOUR]
    for start in starts:
        calendar.add(start)
    calendar.calendly.invitees["EV5"]["EV5-1"]["no_show"] = MARK
    told: list[dict[str, Any]] = [{}, UPCOMING, {}, {}, MISSED]
    records = [
        booking(number, start, attendance_due_at=start + half + 6 * HOUR, **told[number - 1])
        for number, start in enumerate(starts, 1)
    ]
    return calendar.truth("when nobody marked", records, options={"attended_after_seconds": 6 * 3600})


def who_cancelled() -> Truth:
    """As the invitee's cancellation says, or else the event's; older ones say neither who nor when."""
    calendar, hour = Calendar(), MADE + HOUR
    kinds = [*CANCELED_BY]
    for kind in kinds:
        said = {"canceler_type": kind, "created_at": text(hour)}
        calendar.add(status="canceled", cancellation=said)
        calendar.add(event={"status": "canceled", "cancellation": said})
    calendar.add(status="canceled", cancellation={"canceled_by": "Pat", "reason": None})
    said = {"canceler_type": "invitee", "created_at": text(hour)}
    calendar.add(status="canceled", rescheduled=True, cancellation=said)
    calendar.add(
        event={"status": "canceled", "cancellation": {"canceler_type": "host"}}, status="canceled", cancellation=said
    )
    assert kinds == ["host", "invitee"]
    records = [
        booking(1, **CANCELLED, cancelled_by="host", cancelled_at=hour),
        booking(2, **CANCELLED, cancelled_by="host", cancelled_at=hour),
        booking(3, **CANCELLED, cancelled_by="invitee", cancelled_at=hour),
        booking(4, **CANCELLED, cancelled_by="invitee", cancelled_at=hour),
        booking(5, **CANCELLED),
        booking(6, **MOVED, cancelled_at=hour),
        booking(7, **CANCELLED, cancelled_by="invitee", cancelled_at=hour),
    ]
    return calendar.truth("who cancelled", records)


def places() -> Truth:
    """Every kind of location; none is told of some events."""
    calendar = Calendar()
    for kind in PLACES:
        calendar.add(event={"location": {"type": kind, "location": "Main Street 1"}})
    calendar.add(event={"location": None, "name": None})
    kinds = [
        *("in_person", "phone", "phone", "video", "video", "video", "video", "video", "other", "other"),
        None,
    ]
    records = [booking(number, channel=kind) for number, kind in enumerate(kinds, 1)]
    records[-1] = booking(len(kinds), channel=None, meeting_type=None)
    return calendar.truth("places", records)


def who_booked() -> Truth:
    """A person for the invitee, a program, or the invitee, of which nothing is told; and hosts of older answers."""
    calendar = Calendar()
    calendar.add(invitee_scheduled_by="https://api.calendly.com/users/U2")
    for method in AUTOMATED:
        calendar.add(scheduling_method=method)
    calendar.add(event={"event_memberships": [{"user": "https://api.calendly.com/users/U1"}, {"user": "U2"}]})
    calendar.add(event={"event_memberships": []})
    records = [
        booking(1, automated=False),
        booking(2, automated=True),
        booking(3, automated=True),
        booking(4, host="hash of https://api.calendly.com/users/U1"),
        booking(5, host=None),
    ]
    return calendar.truth("who booked", records)


def groups() -> Truth:
    """Each invitee is a booking. Who left is cancelled, and the others are not."""
    calendar = Calendar()
    calendar.add(event={"guests": 3})
    invitees = calendar.calendly.invitees["EV1"]
    invitees["EV1-2"] |= {"no_show": MARK}
    invitees["EV1-3"] |= {"status": "canceled"}
    records = [booking(1), booking(1, id="EV1-2", **MISSED), booking(1, id="EV1-3", **CANCELLED)]
    return calendar.truth("groups", records)


def what_the_config_finds() -> Truth:
    """The event is in every invitee."""
    calendar = Calendar()
    calendar.add(tracking={"utm_source": "newsletter", "salesforce_uuid": "003x"})
    fields = {
        "team": Rule(field="scheduled_event.event_memberships.0.user_name"),
        "region": Rule(field="tracking.utm_source"),
        "opportunity_id": Rule(field="tracking.salesforce_uuid"),
    }
    records = [booking(1, team="Ana Example", region="newsletter", opportunity_id="003x")]
    return calendar.truth("what the config finds", records, fields=fields)


def one_user() -> Truth:
    """Members may read what is their own."""
    calendar = Calendar()
    calendar.calendly.admin = False
    calendar.add()
    return calendar.truth("one user", [booking(1)], options={"scope": "user"})


def what_cannot_be_read() -> Truth:
    """The words and the times that place a booking cost it; anything else costs itself."""
    calendar = Calendar()
    calendar.add(status="pondering")
    calendar.add(event={"status": "pondering"})
    calendar.add(created_at="n/a")
    calendar.add(event={"end_time": "n/a"})
    calendar.add(updated_at="n/a")
    calendar.add(event={"location": {"type": "moon"}})
    calendar.add(status="canceled", cancellation={"canceler_type": "ghost", "created_at": "n/a"})
    calendar.add(scheduling_method="telepathy")
    calendar.add(uri=None)
    calendar.add(event={"event_memberships": "ana"})
    calendar.add(event={"uri": None})
    calendar.add(uri="https://api.calendly.com/")
    calendar.add(event={"start_time": "n/a"})
    known = [
        booking(4, ends_at=None, attendance_due_at=None, **OPEN),
        booking(5, updated_at=None),
        booking(6, channel=None),
        booking(7, **CANCELLED),
        booking(8),
        booking(10, host=None),
    ]
    said = [
        *[f"outcome: 'pondering' is none of {', '.join(STATUS)}"] * 2,
        f"booked_at: {NO_TIME}",
        f"ends_at: {NO_TIME}",
        f"starts_at: {NO_TIME}",
        f"updated_at: {NO_TIME}",
        f"channel: 'moon' is none of {', '.join(PLACES)}",
        f"cancelled_by: 'ghost' is none of {', '.join(CANCELED_BY)}",
        f"cancelled_at: {NO_TIME}",
        f"automated: 'telepathy' is none of {', '.join(AUTOMATED)}",
        "host: has another shape than expected",
        *["item: cannot be read (ValueError)"] * 3,
    ]
    return calendar.truth("what cannot be read", known, left_out=said)
