"""Calendly: what the invitees of its events mean. Pure; the package asks for them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.records import Booking, BookingOutcome, CancelledBy, Json, Read, instant
from exporter.records.unreadable import Words, value

STATUS = Words[BookingOutcome](  # of an invitee, and of an event
    "outcome",
    {
        "active": "attended",  # once it is over, if nobody marked them as a no-show
        "canceled": "cancelled",
    },
)
CANCELED_BY = Words[CancelledBy]("cancelled_by", {"host": "host", "invitee": "invitee"})
PLACES = Words[str | None](
    "channel",
    {
        "physical": "in_person",
        "outbound_call": "phone",
        "inbound_call": "phone",
        "google_conference": "video",
        "gotomeeting": "video",
        "microsoft_teams_conference": "video",
        "webex_conference": "video",
        "zoom_conference": "video",
        "custom": "other",
        "ask_invitee": "other",
    },
)
AUTOMATED = Words("automated", {"instant_book": True, "api": True})


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What an invitee is seen against."""

    now: datetime
    attended_after: timedelta  # the end of a meeting that nobody marked


def booking(context: Context, event: Json, invitee: Json) -> Read:
    """An invitee as a record. The config finds the event in it, as webhooks have it."""
    ends_at = value("ends_at", instant, event["end_time"])
    due_at = ends_at + context.attended_after if ends_at else None
    outcome, marked = attendance(context, event, invitee, ends_at)
    cancellation = invitee.get("cancellation") or event.get("cancellation") or {}
    by = value("cancelled_by", canceller, cancellation.get("canceler_type"))
    record = Booking(
        id=last_part(invitee["uri"]),
        updated_at=value("updated_at", instant, invitee.get("updated_at")),
        # Who moved a booking has booked it once, and not with every move.
        booked_at=None if invitee.get("old_invitee") else value("booked_at", instant, invitee["created_at"]),
        starts_at=value("starts_at", instant, event["start_time"]),
        ends_at=ends_at,
        cancelled_at=value("cancelled_at", instant, cancellation.get("created_at")),
        outcome=outcome,
        cancelled_by=by if outcome == "cancelled" else None,
        attendance_marked=marked,
        attendance_due_at=due_at,
        channel=value("channel", place, event.get("location")),
        meeting_type=event.get("name"),
        host=value("host", host, event.get("event_memberships")),
        automated=value("automated", automated, invitee),
    )
    return Read(record, {**invitee, "scheduled_event": event})


def attendance(
    context: Context, event: Json, invitee: Json, ends_at: datetime | None
) -> tuple[BookingOutcome, bool | None]:
    """What became of a booking, and whether anybody marked who came: only no-shows can be marked."""
    outcome, whole = STATUS[invitee["status"]], STATUS[event["status"]]
    if invitee.get("no_show"):
        return "no_show", True
    if outcome == "cancelled" and invitee.get("rescheduled"):
        return "rescheduled", None
    if "cancelled" in (outcome, whole):
        return "cancelled", None
    if not ends_at:
        return "unknown", None
    if ends_at > context.now:
        return "upcoming", None
    return outcome, False  # which counts once it is due, whenever it is read


def last_part(uri: Json) -> str:
    """What names a thing in its address."""
    name = str(uri).rpartition("/")[2]
    if not isinstance(uri, str) or not name:
        raise ValueError("no address")
    return name


def canceller(kind: Json) -> CancelledBy | None:
    return CANCELED_BY[kind] if kind else None


def place(location: Json) -> str | None:
    """How people meet."""
    return PLACES[location["type"]] if location else None


def host(memberships: Json) -> str | None:
    """The first host: newer answers have their mail address."""
    first = (memberships or [{}])[0]
    found: str | None = first.get("user_email") or first.get("user")
    return found


def automated(invitee: Json) -> bool | None:
    """Whether a program booked it; that a person booked it for the invitee is told, that the invitee did is not."""
    if invitee.get("invitee_scheduled_by"):
        return False
    method = invitee.get("scheduling_method")
    return AUTOMATED[method] if method else None
