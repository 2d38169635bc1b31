"""Tells the demo's meetings to Cal.com."""

from datetime import datetime, timedelta

from exporter.demo.fakes.calcom import CalCom
from exporter.records import Booking

GUEST = "guest@example.com"
LATER = timedelta(days=2)  # to when a meeting is moved


class CalComTeller:
    """Meetings, with what their booking form was given. Guests and hosts who stay away are marked when it is over."""

    def __init__(self, platform: CalCom) -> None:
        self.platform = platform
        self.uids: dict[str, str] = {}  # until it is over

    def tell(self, meeting: Booking, at: datetime, heard_at: datetime) -> None:
        """What happened to a meeting at an instant; the platform changes when it hears of it."""
        if at == meeting.booked_at and meeting.starts_at:
            uid = self.uids[meeting.id] = self._book(meeting, meeting.starts_at, at)
            self.platform.change(uid, heard_at)
        elif at == meeting.cancelled_at:
            self._call_off(meeting, self.uids.pop(meeting.id), heard_at)
        elif at == meeting.ends_at and (uid := self.uids.pop(meeting.id, "")):
            if meeting.outcome == "no_show":
                self.platform.mark(uid, at)
            elif meeting.outcome == "unknown":
                self.platform.mark_host(uid, at)

    def _book(self, meeting: Booking, starts_at: datetime, at: datetime) -> str:
        told = {
            "requested": meeting.requested_at and meeting.requested_at.isoformat(timespec="seconds"),
            "answered": meeting.first_response_at and meeting.first_response_at.isoformat(timespec="seconds"),
            "channel": meeting.channel,
            "assistant": str(bool(meeting.automated)).lower(),
            "conflict": str(bool(meeting.conflict)).lower(),
            "reminders": str(meeting.reminders),
            "value": meeting.value and str(meeting.value),
            "currency": meeting.currency,
            "opportunity": meeting.opportunity_id,
        }
        return self.platform.book(
            starts_at,
            at,
            slug=f"{meeting.team}-{meeting.meeting_type}",
            guest=GUEST,
            host=meeting.host or "",
            metadata={name: text for name, text in told.items() if text is not None},
        )

    def _call_off(self, meeting: Booking, uid: str, at: datetime) -> None:
        if meeting.outcome == "rescheduled" and meeting.starts_at:
            new = self.platform.move(uid, at, meeting.starts_at + LATER)
            told = self.platform.bookings[uid]["metadata"]
            # Of a meeting that was moved nobody writes down again what it is about.
            kept = {name: text for name, text in told.items() if name not in ("value", "currency", "opportunity")}
            self.platform.bookings[new]["metadata"] = kept
        else:
            self.platform.cancel(uid, at, by=GUEST if meeting.cancelled_by == "invitee" else meeting.host or "")
