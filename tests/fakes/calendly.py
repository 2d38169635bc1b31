"""A fake Calendly: events and their invitees as its API v2 shows them, with its lists, limits and refusals."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from exporter.base.clock import now
from exporter.demo.fakes.fault import Faults, Handler

API = "https://api.calendly.com"
MOST = 100
PAGE = {"count", "page_token", "sort", "status"}
EVENTS = {*PAGE, "organization", "user", "group", "min_start_time", "max_start_time", "invitee_email"}
INVITEES = {*PAGE, "email"}
ORGANIZATION, USER = f"{API}/organizations/O1", f"{API}/users/U1"
DENIED = "You do not have permission to access this resource."
INVALID = "The supplied parameters are invalid."
Row = dict[str, Any]


@dataclass
class Calendly:
    """What one token sees. `bumps`: whether to mark a no-show changes the event, too, which is not published."""

    token: str = "pat"
    scopes: frozenset[str] = frozenset({"users:read", "scheduled_events:read"})
    admin: bool = True
    bumps: bool = False
    limit: int = 500  # requests a minute
    clock: Callable[[], datetime] = now
    events: dict[str, Row] = field(default_factory=dict)
    invitees: dict[str, dict[str, Row]] = field(default_factory=dict)  # by event
    places: dict[str, tuple[str, int]] = field(default_factory=dict)  # tokens of pages: of which question, from where
    faults: Faults = field(default_factory=Faults)
    used: dict[int, int] = field(default_factory=dict)
    last_id: int = 100

    # What happens in the world.

    def book(self, starts_at: datetime, at: datetime, *, minutes: int = 30, guests: int = 1, **changes: Any) -> str:
        """An event that somebody books, or a group of so many; its id. Its invitees are ID-1, ID-2 and so on."""
        self.last_id += 1
        key = f"EV{self.last_id}"
        self.events[key] = {
            "uri": f"{API}/scheduled_events/{key}",
            "name": "Intro",
            "status": "active",
            "start_time": text(starts_at),
            "end_time": text(starts_at + timedelta(minutes=minutes)),
            "event_type": f"{API}/event_types/ET1",
            "location": {"type": "zoom_conference", "status": "pushed", "join_url": "https://zoom.example.com/j/1"},
            "invitees_counter": {"total": guests, "active": guests, "limit": guests},
            "created_at": text(at),
            "updated_at": text(at),
            "event_memberships": [{"user": USER, "user_email": "ana@example.com", "user_name": "Ana Example"}],
            "event_guests": [],
            "calendar_event": None,
            **changes,
        }
        self.invitees[key] = {}
        for _ in range(guests):
            self.join(key, at)
        return key

    def join(self, key: str, at: datetime, **changes: Any) -> str:
        """One more invitee of an event; their id."""
        own = f"{key}-{len(self.invitees[key]) + 1}"
        self.invitees[key][own] = {
            "uri": f"{API}/scheduled_events/{key}/invitees/{own}",
            "email": "pat@example.com",
            "first_name": None,
            "last_name": None,
            "name": "Pat Example",
            "status": "active",
            "questions_and_answers": [],
            "timezone": "Europe/Rome",
            "event": f"{API}/scheduled_events/{key}",
            "created_at": text(at),
            "updated_at": text(at),
            "tracking": {"utm_source": None, "salesforce_uuid": None},
            "text_reminder_number": None,
            "rescheduled": False,
            "old_invitee": None,
            "new_invitee": None,
            "routing_form_submission": None,
            "payment": None,
            "no_show": None,
            "reconfirmation": None,
            "scheduling_method": None,
            "invitee_scheduled_by": None,
            **changes,
        }
        return own

    def cancel(self, key: str, at: datetime, by: str = "invitee", **changes: Any) -> None:
        """An event is cancelled, with all its invitees."""
        why = {"canceled_by": "Pat Example", "reason": "", "canceler_type": by, "created_at": text(at)}
        self.events[key] |= {"status": "canceled", "updated_at": text(at), "cancellation": why}
        for row in self.invitees[key].values():
            row |= {"status": "canceled", "updated_at": text(at), "cancellation": why, **changes}

    def leave(self, key: str, at: datetime, place: int) -> None:
        """An invitee of a group leaves it. The event tells how many are left, and no more."""
        row, counter = [*self.invitees[key].values()][place], self.events[key]["invitees_counter"]
        row |= {"status": "canceled", "updated_at": text(at)}
        self.events[key]["invitees_counter"] = {**counter, "active": counter["active"] - 1}

    def move(self, key: str, at: datetime, starts_at: datetime) -> str:
        """An event is moved: that is another event and another invitee; its id."""
        old = next(iter(self.invitees[key].values()))
        new = self.book(starts_at, at)
        invitee = next(iter(self.invitees[new].values()))
        invitee["old_invitee"] = old["uri"]
        self.cancel(key, at, rescheduled=True, new_invitee=invitee["uri"])
        return new

    def mark(self, key: str, at: datetime, *, place: int = 0, no_show: bool = True) -> None:
        """An invitee is marked as a no-show, or not any more."""
        row = [*self.invitees[key].values()][place]
        mark = {"uri": f"{API}/invitee_no_shows/{key}", "created_at": text(at)}
        row |= {"no_show": mark if no_show else None, "updated_at": text(at)}
        if self.bumps:
            self.events[key]["updated_at"] = text(at)

    # What it answers.

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(), self._guarded])
        app.router.add_get("/users/me", self._me)
        app.router.add_get("/scheduled_events", self._listed)
        app.router.add_get("/scheduled_events/{key}", self._event)
        app.router.add_get("/scheduled_events/{key}/invitees", self._invitees)
        return app

    @property
    def _guarded(self) -> Any:
        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            at = self.clock()
            minute = int(at.timestamp()) // 60
            self.used[minute] = used = self.used.get(minute, 0) + 1
            scope = "users:read" if request.path.startswith("/users") else "scheduled_events:read"
            if used > self.limit:
                answer: web.StreamResponse = web.json_response({}, status=429)
            elif request.headers.get("Authorization") != f"Bearer {self.token}":
                answer = refused(401, "Unauthenticated", "The access token is invalid")
            elif scope not in self.scopes:
                answer = refused(403, "Permission Denied", DENIED)
            else:
                answer = await handler(request)
            left = {"Limit": self.limit, "Remaining": max(0, self.limit - used), "Reset": 60 - int(at.timestamp()) % 60}
            answer.headers.update({f"X-RateLimit-{word}": str(number) for word, number in left.items()})
            return answer

        return guarded

    async def _me(self, _request: web.Request) -> web.Response:
        me = {"uri": USER, "name": "Ana Example", "timezone": "Europe/Rome", "current_organization": ORGANIZATION}
        return web.json_response({"resource": me})

    async def _event(self, request: web.Request) -> web.Response:
        row = self.events.get(request.match_info["key"])
        return web.json_response({"resource": row}) if row else gone()

    async def _listed(self, request: web.Request) -> web.Response:
        query = request.query
        if query.get("organization", ORGANIZATION) != ORGANIZATION or query.get("user", USER) != USER:
            return refused(403, "Permission Denied", "This user is not in your organization")
        if "organization" in query and not self.admin:
            return refused(403, "Permission Denied", DENIED)
        if not {"organization", "user", "group"} & set(query):
            return invalid("organization", "must be present")
        rows = [
            row
            for row in self.events.values()
            if query.get("min_start_time", "") <= row["start_time"] <= query.get("max_start_time", "~")
            and query.get("status") in (None, row["status"])
        ]
        return self._page(request, rows, EVENTS, "start_time")

    async def _invitees(self, request: web.Request) -> web.Response:
        rows = self.invitees.get(request.match_info["key"])
        return gone() if rows is None else self._page(request, [*rows.values()], INVITEES, "created_at")

    def _page(self, request: web.Request, rows: list[Row], parameters: set[str], by: str) -> web.Response:
        query = request.query
        if unknown := sorted(set(query) - parameters):
            return invalid(unknown[0], "is not allowed")
        count = query.get("count", "20")
        if not count.isdecimal() or not 1 <= int(count) <= MOST:
            return invalid("count", f"must be between 1 and {MOST}")
        field_, _, way = query.get("sort", f"{by}:asc").partition(":")
        if field_ != by or way not in ("asc", "desc"):
            return invalid("sort", "is invalid")
        asked = str(sorted((name, value) for name, value in query.items() if name not in ("page_token", "count")))
        start = 0
        if "page_token" in query:
            known, start = self.places.get(query["page_token"], ("", 0))
            if known != f"{request.path} {asked}":
                return invalid("page_token", "is invalid")
        rows.sort(key=lambda row: (str(row[by]), str(row["uri"])), reverse=way == "desc")
        page, token = rows[start : start + int(count)], None
        if len(rows) > start + int(count):
            token = f"place{len(self.places)}"
            self.places[token] = f"{request.path} {asked}", start + int(count)
        link = token and f"{API}{request.path}?page_token={token}"
        found = {"count": len(page), "next_page": link, "previous_page": None, "next_page_token": token}
        return web.json_response({"collection": page, "pagination": {**found, "previous_page_token": None}})


def refused(status: int, title: str, message: str, **more: Any) -> web.Response:
    return web.json_response({"title": title, "message": message, **more}, status=status)


def invalid(parameter: str, message: str) -> web.Response:
    return refused(400, "Invalid Argument", INVALID, details=[{"parameter": parameter, "message": message}])


def gone() -> web.Response:
    return refused(404, "Resource Not Found", "The server could not find the requested resource.")


def text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
