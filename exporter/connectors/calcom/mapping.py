"""Cal.com: what its bookings mean. Pure; the package asks for them."""

import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.records import Booking, BookingOutcome, CancelledBy, Json, Read, instant
from exporter.records.unreadable import ODD, Words, value

STATUS = Words[BookingOutcome](
    "outcome",
    {
        "accepted": "attended",  # once it is over, if nobody was marked as absent
        "pending": "unknown",  # nobody has confirmed it
        "awaiting_host": "unknown",
        "cancelled": "cancelled",
        "rejected": "cancelled",
    },
)
NUMBER = re.compile(r"[-+0-9 ().]+")
UNKNOWN = "unknown"  # stands for each value of a host who has no account any more


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a booking is seen against. `moved`: uids of bookings whose place others have taken, as those say."""

    now: datetime
    attended_after: timedelta  # the end of a meeting that nobody marked
    web: str | None  # where people open bookings
    moved: Collection[str]


def bookings(context: Context, item: Json) -> Iterator[Read]:
    """A booking as a record; one with seats as a record for each seat."""
    attendees = item["attendees"]
    seats = [each for each in attendees if each.get("seatUid")]
    for seat in seats:
        key = f"{item['uid']}:{seat['seatUid']}"
        yield Read(booking(context, item, [seat], key, seated=True), {**item, "seat": seat})
    if not seats:
        yield Read(booking(context, item, attendees, item["uid"]), item)


def booking(context: Context, item: Json, attendees: Json, key: str, *, seated: bool = False) -> Booking:
    """A booking, or one seat of it, whose attendees are these."""
    ends_at = value("ends_at", instant, item["end"])
    due_at = ends_at + context.attended_after if ends_at else None
    outcome, marked = attendance(context, item, attendees, ends_at)
    by = value("cancelled_by", lambda item: canceller(item, attendees), item)
    event, host = item.get("eventType") or {}, (item.get("hosts") or [{}])[0].get("email")
    return Booking(
        id=key,
        url=f"{context.web}/booking/{item['uid']}" if context.web else None,
        updated_at=value("updated_at", instant, item.get("updatedAt")),
        # What takes the place of another was booked with that one, and is not booked twice. Of seats Cal.com tells when
        # the first was booked, who may have given it up since.
        booked_at=None if seated or item.get("rescheduledFromUid") else value("booked_at", instant, item["createdAt"]),
        starts_at=value("starts_at", instant, item["start"]),
        ends_at=ends_at,
        outcome=outcome,
        cancelled_by=by if outcome == "cancelled" else None,
        attendance_marked=marked,
        attendance_due_at=due_at,
        channel=value("channel", place, item.get("location")),
        meeting_type=event.get("slug"),
        host=None if host == UNKNOWN else host,
    )


def attendance(
    context: Context, item: Json, attendees: Json, ends_at: datetime | None
) -> tuple[BookingOutcome | None, bool | None]:
    """What became of a booking, and whether anybody marked who came: only absence can be marked."""
    outcome = STATUS[item["status"]]
    if outcome == "cancelled":
        return ("rescheduled" if is_moved(context, item) else outcome), None
    if outcome == "attended" and any(each["absent"] for each in invited(item, attendees)):
        return "no_show", True
    if outcome == "attended" and item.get("absentHost"):
        return "unknown", None  # it did not take place; whether guests are ever marked this does not tell
    if ends_at and ends_at > context.now:
        return "upcoming", None
    if outcome == "unknown" or not attendees or not ends_at:
        return "unknown", None
    return outcome, False  # which counts once it is due, whenever it is read


def is_moved(context: Context, item: Json) -> bool:
    """Whether another booking has taken its place; an occurrence of a series does not say so itself."""
    return bool(item["status"] == "cancelled" and (item.get("rescheduledToUid") or item["uid"] in context.moved))


def canceller(item: Json, attendees: Json) -> CancelledBy | None:
    """Who cancelled it; None where that is somebody else, such as an administrator, or is not known."""
    if item["status"] == "rejected":
        return "host"
    who = (item.get("cancelledByEmail") or "").lower()
    guests = invited(item, attendees)
    if who and who in addresses(item.get("hosts") or ()):
        return "host"
    if who and who in addresses(guests):
        return "invitee"
    return "host" if who and who in addresses(attendees) else None


def invited(item: Json, attendees: Json) -> Json:
    """The attendees without the other hosts of a team's meeting, whom Cal.com lists and marks among them. The booking
    form tells who is a guest; where nobody is found who filled it in, all attendees are."""
    with suppress(*ODD):
        booker = item["bookingFieldsResponses"]["email"].lower()
        named = {booker, *(each.lower() for each in item.get("guests") or ())}
        guests = [each for each in attendees if each["email"].lower() in named]
        if any(each["email"].lower() == booker for each in guests):
            return guests
    return attendees


def addresses(people: Json) -> set[str]:
    return {(each.get(name) or "").lower() for each in people for name in ("email", "displayEmail")}


def place(location: Json) -> str | None:
    """How people meet: an address, a number or a link itself would be a label of its own for each booking."""
    text = (location or "").strip()
    if text.startswith(("integrations:", "https://", "http://")):
        return "video"
    if text.lower() in ("phone", "userphone") or NUMBER.fullmatch(text):
        return "phone"
    return "in_person" if text else None
