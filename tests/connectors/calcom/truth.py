"""What bookings of Cal.com are: items as its API writes them, and their records."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.connectors.calcom.mapping import STATUS
from exporter.demo.fakes.calcom import CalCom, attendee, nobody
from exporter.records import Booking
from exporter.records.columns import Rule
from tests.connectors.truth import NO_TIME, Enum, Truth
from tests.connectors.world import AT

SPEC = "calcom-v2-bookings.trimmed.json"
ENUMS = tuple(
    Enum(
        SPEC,
        f"components/schemas/{shape}_2024_08_13/properties/status/enum",
        STATUS,
        beyond={"awaiting_host": "of an instant meeting: the source writes it, the document does not list it"},
    )
    for shape in ("BookingOutput", "RecurringBookingOutput", "GetSeatedBookingOutput")
)
TECHNICAL = {"page_size", "overlap_seconds", "lookback_seconds"}

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
MADE = datetime(2026, 3, 20, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WEB = "https://cal.example.com"


def at(number: int) -> datetime:
    """When the booking of a number starts; it ends half an hour later."""
    return NOON + number * MINUTE


class Calendar:
    """One host's bookings, whose uids are numbers."""

    def __init__(self) -> None:
        self.cal = CalCom()

    def add(self, number: int, starts_at: datetime | None = None, **changes: Any) -> None:
        """A booking that was made on MADE, and changed on it."""
        uid = self.cal.book(starts_at or at(number), MADE, **changes)
        self.cal.bookings[str(number)] = self.cal.bookings.pop(uid) | {"uid": str(number)}

    def truth(self, what: str, records: Sequence[Booking], **others: Any) -> Truth:
        return Truth(what=what, app=self.cal.app(), secret=("api_key", self.cal.token), records=records, **others)


def booking(number: int, starts_at: datetime | None = None, **columns: Any) -> Booking:
    """A booking that is presumed attended, but for what is said of it."""
    starts_at = starts_at or at(number)
    usual = {
        "id": str(number),
        "updated_at": MADE,
        "booked_at": MADE,
        "starts_at": starts_at,
        "ends_at": starts_at + 30 * MINUTE,
        "outcome": "attended",
        "attendance_marked": False,
        "attendance_due_at": starts_at + 30 * MINUTE + DAY,
        "channel": "video",
        "meeting_type": "intro",
        "host": "hash of ana@example.com",
    }
    return Booking(**{**usual, **columns})


OPEN: dict[str, Any] = {"outcome": "unknown", "attendance_marked": None}
UPCOMING: dict[str, Any] = {"outcome": "upcoming", "attendance_marked": None}
CANCELLED: dict[str, Any] = {"outcome": "cancelled", "attendance_marked": None}
MOVED: dict[str, Any] = {"outcome": "rescheduled", "attendance_marked": None}
MISSED: dict[str, Any] = {"outcome": "no_show", "attendance_marked": True}


def truths(_folder: Path) -> Iterator[Truth]:
    yield words()
    yield when_nobody_marked()
    yield who_stayed_away()
    yield several_hosts()
    yield moved()
    yield who_cancelled()
    yield places()
    yield seats()
    yield what_the_config_finds()
    yield where_people_open_it()
    yield what_cannot_be_read()


def words() -> Truth:
    """Every status, before and after the meeting. What nobody has confirmed was not attended."""
    calendar, later = Calendar(), AT + DAY
    for number, status in enumerate(STATUS, 1):
        calendar.add(number, status=status)
        calendar.add(10 + number, later, status=status)
    assert list(STATUS) == ["accepted", "pending", "awaiting_host", "cancelled", "rejected"]
    records = [
        booking(1),
        booking(2, **OPEN),
        booking(3, **OPEN),
        booking(4, **CANCELLED),
        booking(5, **CANCELLED, cancelled_by="host"),
        booking(11, later, **UPCOMING),
        booking(12, later, **UPCOMING),
        booking(13, later, **UPCOMING),
        booking(14, later, **CANCELLED),
        booking(15, later, **CANCELLED, cancelled_by="host"),
    ]
    return calendar.truth("each status", records)


def when_nobody_marked() -> Truth:
    """A meeting is over at its end, and presumed to have been attended; that counts so much later, and not before."""
    calendar, half = Calendar(), timedelta(minutes=30)
    starts = {1: AT - half, 2: AT - half + MINUTE, 3: AT - half - 6 * HOUR, 4: AT - half - 6 * HOUR + MINUTE}
    for number, start in starts.items():
        calendar.add(number, start)
    told = {1: {}, 2: UPCOMING, 3: {}, 4: {}}
    records = [
        booking(number, start, **{"attendance_due_at": start + half + 6 * HOUR, **told[number]})
        for number, start in starts.items()
    ]
    return calendar.truth("when nobody marked", records, options={"attended_after_seconds": 6 * 3600})


def who_stayed_away() -> Truth:
    """The guest, one of several, the host, both; before anything is presumed; and where guests are hidden."""
    calendar = Calendar()
    for number in range(1, 9):
        calendar.add(number, AT - HOUR if number == 6 else None)
    rows = calendar.cal.bookings
    for number in (1, 2, 4, 6, 8):
        rows[str(number)]["attendees"][0]["absent"] = True
    rows["2"]["attendees"].append(attendee("kim@example.com"))
    rows["3"]["absentHost"] = rows["4"]["absentHost"] = rows["7"]["absentHost"] = True
    rows["5"]["attendees"] = []
    rows["7"]["status"] = rows["8"]["status"] = "pending"
    records = [
        booking(1, **MISSED),
        booking(2, **MISSED),
        booking(3, **OPEN),
        booking(4, **MISSED),
        booking(5, **OPEN),
        booking(6, AT - HOUR, **MISSED),
        booking(7, **OPEN),
        booking(8, **OPEN),
    ]
    return calendar.truth("who stayed away", records)


def several_hosts() -> Truth:
    """Those beside the first stand among the attendees. That they stayed away, or called it off, no guest did."""
    calendar = Calendar()
    other: dict[str, Any] = attendee("Ben@example.com")
    absent = other | {"absent": True}
    guests: dict[str, Any] = {"guests": ["Kim@example.com"]}
    missed: dict[str, Any] = attendee("kim@example.com") | {"absent": True}
    pat: dict[str, Any] = attendee("pat@example.com")
    calendar.add(1, attendees=[pat, absent])
    calendar.add(2, attendees=[pat | {"absent": True}, other])
    calendar.add(3, attendees=[pat, other, missed], **guests)
    calendar.add(4, attendees=[pat, absent], bookingFieldsResponses={"email": "Pat@example.com"})
    calendar.add(5, attendees=[pat, absent], bookingFieldsResponses={"email": "somebody@example.com"})
    calendar.add(6, attendees=[pat, absent], bookingFieldsResponses=None)
    calendar.add(7, attendees=[pat, other], status="cancelled", cancelledByEmail="ben@example.com")
    calendar.add(8, attendees=[pat, other], status="cancelled", cancelledByEmail="pat@example.com")
    calendar.add(9, attendees=[pat, absent], guests=7)
    records = [
        booking(1),
        booking(2, **MISSED),
        booking(3, **MISSED),
        booking(4),
        booking(5, **MISSED),
        booking(6, **MISSED),
        booking(7, **CANCELLED, cancelled_by="host"),
        booking(8, **CANCELLED, cancelled_by="invitee"),
        booking(9, **MISSED),
    ]
    return calendar.truth("several hosts", records)


def moved() -> Truth:
    """Counted as booked once; what only the booking that came says; and what is no move."""
    calendar = Calendar()
    calendar.add(1, status="cancelled", rescheduledToUid="2")
    calendar.add(2, rescheduledFromUid="1")
    calendar.add(3, status="cancelled", recurringBookingUid="weekly")
    calendar.add(4, rescheduledFromUid="3", recurringBookingUid="weekly")
    calendar.add(5, rescheduledFromUid="6")
    calendar.add(6, status="cancelled", recurringBookingUid="weekly")
    calendar.add(7, status="cancelled", recurringBookingUid="weekly")
    calendar.add(8, rescheduledToUid="9")  # one of several guests has moved
    calendar.add(9, rescheduledFromUid="")
    calendar.add(10, status="rejected", rescheduledToUid="9")
    calendar.add(11, status="cancelled", rescheduledToUid="of a host whose bookings the key does not see")
    records = [
        booking(1, **MOVED),
        booking(2, booked_at=None),
        booking(3, **MOVED),
        booking(4, booked_at=None),
        booking(5, booked_at=None),
        booking(6, **MOVED),
        booking(7, **CANCELLED),
        booking(8),
        booking(9),
        booking(10, **CANCELLED, cancelled_by="host"),
        booking(11, **MOVED),
    ]
    return calendar.truth("moved", records)


def who_cancelled() -> Truth:
    """By the addresses of the host and the guest; empty and missing is nobody, another is somebody else."""
    calendar = Calendar()
    by = ("ana@example.com", "Pat@Example.com", "admin@example.com", "", None, "ana+1@example.com", "shown@example.com")
    for number, who in enumerate(by, 1):
        calendar.add(number, status="cancelled", cancelledByEmail=who)
    rows = calendar.cal.bookings
    rows["6"]["hosts"][0]["displayEmail"] = "Ana+1@example.com"
    rows["7"]["attendees"][0]["displayEmail"] = "shown@example.com"
    calendar.add(8, status="cancelled", hosts=nobody(), cancelledByEmail="")
    calendar.add(9, status="cancelled", hosts=[{"email": None}], cancelledByEmail="")
    del rows["5"]["cancelledByEmail"]
    calendar.add(10, cancelledByEmail="ana@example.com")  # and was not cancelled
    calendar.add(11, hosts=[])
    for number, who in enumerate(("ana@example.com", "pat@example.com", "pat@example.com", ""), 12):
        calendar.add(number, status="cancelled", cancelledByEmail=who)
    rows["12"]["hosts"][0]["displayEmail"] = rows["13"]["attendees"][0]["displayEmail"] = "shown@example.com"
    rows["14"]["hosts"] = None
    rows["14"]["attendees"][0]["displayEmail"] = rows["15"]["attendees"][0]["displayEmail"] = None
    told = {1: "host", 2: "invitee", 6: "host", 7: "invitee"}
    records = [booking(number, **CANCELLED, cancelled_by=told.get(number)) for number in range(1, 8)]
    records += [booking(number, **CANCELLED, host=None) for number in (8, 9)]
    records += [
        booking(10),
        booking(11, host=None),
        booking(12, **CANCELLED, cancelled_by="host"),
        booking(13, **CANCELLED, cancelled_by="invitee"),
        booking(14, **CANCELLED, cancelled_by="invitee", host=None),
        booking(15, **CANCELLED),
    ]
    return calendar.truth("who cancelled", records)


def places() -> Truth:
    """How people meet, and nothing that is somebody's own."""
    calendar = Calendar()
    found = {
        "integrations:daily": "video",
        "https://meet.example.com/x": "video",
        "http://meet.example.com/x": "video",
        "+1 (555) 01-00.2": "phone",
        "phone": "phone",
        "userPhone": "phone",
        "Main Street 1": "in_person",
        " ": None,
        None: None,
    }
    for number, location in enumerate(found, 1):
        calendar.add(number, location=location)
    calendar.add(10, eventType=None)
    records = [booking(number, channel=channel) for number, channel in enumerate(found.values(), 1)]
    return calendar.truth("places", [*records, booking(10, meeting_type=None)])


def seats() -> Truth:
    """Each guest is a booking. Their absence is theirs alone, and when they booked is not told."""
    calendar = Calendar()
    calendar.add(1, seats=2)
    calendar.cal.bookings["1"]["attendees"][1]["absent"] = True
    uids = [each["seatUid"] for each in calendar.cal.bookings["1"]["attendees"]]
    records = [booking(1, id=f"1:{uids[0]}", booked_at=None), booking(1, id=f"1:{uids[1]}", booked_at=None, **MISSED)]
    return calendar.truth("seats", records)


def what_the_config_finds() -> Truth:
    calendar = Calendar()
    calendar.add(1, bookingFieldsResponses={"country": "it"}, metadata={"opportunity": "006x"})
    calendar.add(2, seats=1)
    calendar.cal.bookings["2"]["attendees"][0]["bookingFieldsResponses"] = {"company": "acme"}
    fields = {
        "team": Rule(field="eventType.slug"),
        "region": Rule(field="bookingFieldsResponses.country"),
        "opportunity_id": Rule(field="metadata.opportunity"),
        "cohort": Rule(field="seat.bookingFieldsResponses.company"),
    }
    uid = calendar.cal.bookings["2"]["attendees"][0]["seatUid"]
    records = [
        booking(1, team="intro", region="it", opportunity_id="006x"),
        booking(2, id=f"2:{uid}", booked_at=None, team="intro", cohort="acme"),
    ]
    return calendar.truth("what the config finds", records, fields=fields)


def where_people_open_it() -> Truth:
    calendar = Calendar()
    calendar.add(1)
    records = [booking(1, url=f"{WEB}/booking/1")]
    return calendar.truth("where people open it", records, options={"web_url": f"{WEB}/"})


def what_cannot_be_read() -> Truth:
    """The word and the times that place a booking cost it; anything else costs itself."""
    calendar = Calendar()
    for number in range(1, 10):
        calendar.add(number)
    rows = calendar.cal.bookings
    rows["1"]["status"] = "pondering"
    rows["2"]["start"] = "n/a"
    rows["3"]["createdAt"] = "n/a"
    rows["4"]["end"] = "n/a"
    rows["5"]["updatedAt"] = None
    rows["6"]["updatedAt"] = "n/a"
    rows["7"]["location"] = 7
    rows["8"] |= {"status": "cancelled", "cancelledByEmail": 8}
    rows["9"]["uid"] = None
    known = [
        booking(4, ends_at=None, attendance_due_at=None, **OPEN),
        booking(5, updated_at=None),
        booking(6, updated_at=None),
        booking(7, channel=None),
        booking(8, **CANCELLED),
    ]
    said = [
        f"outcome: 'pondering' is none of {', '.join(STATUS)}",
        f"starts_at: {NO_TIME}",
        f"booked_at: {NO_TIME}",
        f"ends_at: {NO_TIME}",
        f"updated_at: {NO_TIME}",
        "channel: has another shape than expected",
        "cancelled_by: has another shape than expected",
        "id: None is not an id",
    ]
    return calendar.truth("what cannot be read", known, left_out=said)
