"""A fake Cal.com: its API v2 over bookings that a simulation makes, moves and marks while it is served."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from exporter.base.clock import now
from exporter.demo.fakes.fault import Faults, Handler

MOST = 250
VERSION = "2024-08-13"
FILTERS = {  # of a time, its own end included
    "afterStart": ("start", 1),
    "beforeEnd": ("end", -1),
    "afterCreatedAt": ("createdAt", 1),
    "beforeCreatedAt": ("createdAt", -1),
    "afterUpdatedAt": ("updatedAt", 1),
    "beforeUpdatedAt": ("updatedAt", -1),
}
UNCOUNTED = ("afterCreatedAt", "beforeCreatedAt", "afterUpdatedAt", "beforeUpdatedAt")  # in totals
ORDERS = {"sortStart": "start", "sortEnd": "end", "sortCreated": "createdAt", "sortUpdatedAt": "updatedAt"}
OTHERS = {"status", "attendeeEmail", "attendeeName", "bookingUid", "eventTypeId", "eventTypeIds", "teamId", "teamsIds"}
PARAMETERS = {*FILTERS, *ORDERS, *OTHERS, "take", "skip"}
OLD = {"start": "startTime", "end": "endTime"}  # what an answer of another version calls them
MINUTE = timedelta(minutes=1)
Row = dict[str, Any]


@dataclass
class CalCom:
    """What one key sees. `scopes`: of a token had by OAuth; an API key may read all."""

    token: str = "cal_live_key"  # noqa: S105 - made up
    scopes: frozenset[str] = frozenset({"BOOKING_READ", "PROFILE_READ"})
    client: tuple[str, str] = ("exporter", "s3cret")
    refresh: str = "first"  # good for one access token, and for the next of its kind
    clock: Callable[[], datetime] = now
    limit: int = 120  # requests a minute
    bookings: dict[str, Row] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    misread: list[str] = field(default_factory=list)  # parameters that Cal.com passes over, and says nothing
    old_build: bool = False  # knows no filter or order by the last change
    strips_version: bool = False  # something in between removes the header
    used: dict[int, int] = field(default_factory=dict)  # requests by minute
    last_id: int = 1_000

    # What happens in the world.

    def book(
        self,
        starts_at: datetime,
        at: datetime,
        *,
        minutes: int = 30,
        slug: str = "intro",
        guest: str = "pat@example.com",
        host: str = "ana@example.com",
        seats: int = 0,
        series: str | None = None,
        **changes: Any,
    ) -> str:
        """A booking that somebody makes; its uid. `seats`: so many guests, each for themselves."""
        self.last_id += 1
        uid = f"uid{self.last_id}"
        row: Row = {
            "id": self.last_id,
            "uid": uid,
            "title": f"{minutes} min between Ana and Pat",
            "description": "",
            "hosts": [person(host) | {"id": 24, "username": host.partition("@")[0]}],
            "status": "accepted",
            "cancellationReason": "",
            "start": text(starts_at),
            "end": text(starts_at + minutes * MINUTE),
            "duration": minutes,
            "eventTypeId": 50,
            "eventType": {"id": 50, "slug": slug},
            "meetingUrl": "https://meet.example.com/v/1",
            "location": "https://meet.example.com/v/1",
            "absentHost": False,
            "createdAt": text(at),
            "updatedAt": text(at),
            "metadata": {},
            "rating": None,
            "icsUid": f"{uid}@Cal.com",
        }
        if seats:
            row["attendees"] = [attendee(f"guest{n}@example.com") | seat(f"{uid}-seat{n}") for n in range(1, seats + 1)]
        else:
            answers = {"bookingFieldsResponses": {"name": "Pat", "email": guest}, "guests": []}
            row |= {"cancelledByEmail": "", "attendees": [attendee(guest)], **answers}
        if series:
            row["recurringBookingUid"] = series
        self.bookings[uid] = row | changes
        return uid

    def change(self, uid: str, at: datetime, **changes: Any) -> None:
        """A booking changes, and says when."""
        self.bookings[uid] |= {**changes, "updatedAt": text(at)}

    def cancel(self, uid: str, at: datetime, by: str = "pat@example.com") -> None:
        self.change(uid, at, status="cancelled", cancelledByEmail=by, cancellationReason="no time")

    def move(self, uid: str, at: datetime, starts_at: datetime) -> str:
        """A booking is moved: it is cancelled, and another takes its place, whose uid this is."""
        row = self.bookings[uid]
        series, host = row.get("recurringBookingUid"), row["hosts"][0]["email"]
        new = self.book(starts_at, at, slug=row["eventType"]["slug"], host=host, series=series, rescheduledFromUid=uid)
        by = {"rescheduledByEmail": "pat@example.com"}
        # An occurrence of a series does not say what took its place.
        self.change(uid, at, status="cancelled", **({} if series else {"rescheduledToUid": new, **by}))
        return new

    def ask_to_move(self, uid: str, at: datetime) -> None:
        """Its host asks the guest for another time: until they choose one it is cancelled, and no more."""
        self.change(uid, at, status="cancelled", rescheduledByEmail="ana@example.com")

    def choose(self, uid: str, at: datetime, starts_at: datetime) -> str:
        """They do. The booking that was cancelled tells the new one from now on, and not that it has changed."""
        new = self.book(starts_at, at, rescheduledFromUid=uid)
        self.bookings[uid]["rescheduledToUid"] = new
        return new

    def mark(self, uid: str, at: datetime, *, absent: bool = True, place: int = 0) -> None:
        """A guest is marked as absent, or not any more. Their row is another than that of the booking."""
        row = self.bookings[uid]
        if text(at) < row["start"]:
            raise ValueError("nobody can be marked before the meeting")
        guests = [dict(each) for each in row["attendees"]]
        guests[place]["absent"] = absent
        row["attendees"] = guests

    def mark_host(self, uid: str, at: datetime) -> None:
        self.change(uid, at, absentHost=True)

    # What it answers.

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(), self._guarded])
        app.router.add_get("/v2/bookings", self._listed)
        app.router.add_get("/v2/me", self._me)
        app.router.add_post("/v2/auth/oauth2/token", self._token)
        return app

    @property
    def _guarded(self) -> Any:
        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.endswith("/token"):
                return await handler(request)
            at = self.clock()
            minute = int(at.timestamp()) // 60
            self.used[minute] = used = self.used.get(minute, 0) + 1
            left = {"Limit": self.limit, "Remaining": max(0, self.limit - used), "Reset": 60 - int(at.timestamp()) % 60}
            headers = {f"X-RateLimit-{word}-Default": str(number) for word, number in left.items()}
            if used > self.limit:
                answer: web.StreamResponse = error(request, 429, "ThrottlerException", "Too Many Requests")
            elif request.headers.get("Authorization") != f"Bearer {self.token}":
                answer = error(request, 401, "UnauthorizedException", "Your api key is not valid.")
            else:
                answer = await handler(request)
            answer.headers.update(headers)
            return answer

        return guarded

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if (form.get("client_id"), form.get("client_secret")) != self.client:
            return web.json_response({"error": "invalid_client"}, status=401)
        if form.get("grant_type") != "refresh_token" or form.get("refresh_token") != self.refresh:
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.refresh += "+"
        found = {"access_token": self.token, "refresh_token": self.refresh, "token_type": "bearer", "expires_in": 1800}
        return web.json_response(found)

    async def _me(self, request: web.Request) -> web.Response:
        if "PROFILE_READ" not in self.scopes:
            return error(request, 403, "ForbiddenException", "insufficient_scope: PROFILE_READ is required")
        me = {
            "id": 24,
            "username": "ana",
            "email": "ana@example.com",
            "timeZone": "Europe/Rome",
            "organizationId": None,
        }
        return web.json_response({"status": "success", "data": me})

    async def _listed(self, request: web.Request) -> web.Response:
        if "BOOKING_READ" not in self.scopes:
            return error(request, 403, "ForbiddenException", "insufficient_scope: BOOKING_READ is required")
        unknown = {"afterUpdatedAt", "beforeUpdatedAt", "sortUpdatedAt"} if self.old_build else set[str]()
        query = {name: value for name, value in request.query.items() if name in PARAMETERS - unknown}
        self.misread += sorted(set(request.query) - query.keys())
        if fault := mistake(query):
            return error(request, 400, "BadRequestException", fault)
        query |= {name: text(datetime.fromisoformat(query[name])) for name in FILTERS.keys() & query.keys()}
        rows = [row for row in self.bookings.values() if query.get("bookingUid") in (None, row["uid"])]
        counted = [row for row in rows if found(row, {k: v for k, v in query.items() if k not in UNCOUNTED})]
        rows = [row for row in rows if found(row, query)]
        order, way = next(((ORDERS[name], query[name]) for name in ORDERS if name in query), ("start", "asc"))
        rows.sort(key=lambda row: str(row[order] or ""), reverse=way == "desc")
        take, skip = int(query.get("take", 100)), int(query.get("skip", 0))
        page = rows[skip : skip + take]
        if self.strips_version or request.headers.get("cal-api-version") != VERSION:
            page = [older(row) for row in page]
        return web.json_response(
            {"status": "success", "data": page, "pagination": paged(len(counted), len(page), take, skip)}
        )


def mistake(query: Mapping[str, str]) -> str | None:
    """What of a question is refused."""
    for name, low, high in (("take", 1, MOST), ("skip", 0, 10**9)):
        number = query.get(name, str(low))
        if not number.isdecimal() or not low <= int(number) <= high:
            return f"{name} must not be greater than {high}" if number.isdecimal() else f"{name} must be a number"
    for name in FILTERS.keys() & query.keys():
        try:
            datetime.fromisoformat(query[name])
        except ValueError:
            return f"{name} must be a valid ISO 8601 date string"
    if any(query[name] not in ("asc", "desc") for name in ORDERS.keys() & query.keys()):
        return "a sort order must be either 'asc' or 'desc'"
    return None


def found(row: Row, query: Mapping[str, str]) -> bool:
    """Whether a booking is one of those asked for. One without the time that is asked about is none."""
    for name, (which, sign) in FILTERS.items():
        if name in query:
            at, bound = row[which], query[name]
            if at is None or (at < bound if sign > 0 else at > bound):
                return False
    return True


def older(row: Row) -> Row:
    """A booking in the form that comes where no version is asked for."""
    return {OLD.get(name, name): value for name, value in row.items()} | {"status": str(row["status"]).upper()}


def paged(total: int, returned: int, take: int, skip: int) -> Row:
    """Where a page stands among all, as far as they are counted."""
    return {
        "totalItems": total,
        "remainingItems": max(0, total - skip - returned),
        "returnedItems": returned,
        "itemsPerPage": take,
        "currentPage": skip // take + 1,
        "totalPages": -(-total // take),
        "hasNextPage": skip + returned < total,
        "hasPreviousPage": skip > 0,
    }


def error(request: web.Request, status: int, code: str, message: str) -> web.Response:
    body = {"status": "error", "timestamp": text(now()), "path": request.path_qs}
    return web.json_response({**body, "error": {"code": code, "message": message, "details": {}}}, status=status)


def person(email: str) -> Row:
    return {"name": email.partition("@")[0].title(), "email": email, "displayEmail": email, "timeZone": "Europe/Rome"}


def attendee(email: str) -> Row:
    return person(email) | {"language": "en", "absent": False}


def seat(uid: str) -> Row:
    return {"seatUid": uid, "bookingFieldsResponses": {}, "metadata": {}}


def nobody() -> Sequence[Row]:
    """The hosts of a booking whose host has no account any more."""
    return [dict.fromkeys(("id", "name", "email", "displayEmail", "username"), "unknown")]


def text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
