"""A fake Zendesk Support: its API v2 over tickets that a simulation works on while it is served."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from exporter.base.clock import now
from exporter.demo.fakes.fault import Faults, Handler
from exporter.demo.fakes.zendesk_answers import (
    FEW,
    MOST,
    PARAMETERS,
    SIDE_LOADS,
    Row,
    after,
    cut,
    position,
    refused,
    restricted,
    seconds,
    written,
)

DURATIONS = (
    "first_resolution_time_in_minutes",
    "full_resolution_time_in_minutes",
    "agent_wait_time_in_minutes",
    "requester_wait_time_in_minutes",
    "on_hold_time_in_minutes",
    "reply_time_in_minutes",
)
WAITS = {
    "new": ("requester_wait_time_in_minutes",),
    "open": ("requester_wait_time_in_minutes",),
    "pending": ("agent_wait_time_in_minutes",),
    "hold": ("requester_wait_time_in_minutes", "on_hold_time_in_minutes"),
}
"""What the time in a status counts as."""
UNSOLVED = ("new", "open", "pending", "hold")
EXPORT = "/api/v2/incremental/tickets/cursor"


@dataclass
class Zendesk:
    """One account, as the user sees it whom the OAuth client or the token belongs to."""

    token: str = "zendesk-token"  # noqa: S105 - made up
    client: tuple[str, str] = ("exporter", "s3cret")
    basic: tuple[str, str] | None = None  # an address with /token, and an API token, where the account still has one
    role: str = "admin"
    scopes: frozenset[str] = frozenset({"read"})
    clock: Callable[[], datetime] = now
    nested: bool = False  # metric sets come within the tickets, not beside them
    exports_left: int | None = None  # until the next minute begins
    lacking: frozenset[str] = frozenset()  # what the plan or the role does not include, such as brands
    tickets: dict[int, Row] = field(default_factory=dict)
    metric_sets: dict[int, Row] = field(default_factory=dict)
    named: dict[str, dict[int, Row]] = field(default_factory=dict)  # groups, brands, ... by list and id
    ids: dict[tuple[str, str], int] = field(default_factory=dict)  # by list and name
    metric_events: list[Row] = field(default_factory=list)
    events_at_once: int = MOST
    faults: Faults = field(default_factory=Faults)
    misread: list[str] = field(default_factory=list)  # questions that Zendesk would take otherwise than they are meant
    last_ticket: int = 100
    last_id: int = 39_771_663_000_000

    # What happens on the account.

    def id_of(self, kind: str, name: str) -> int:
        """The id of a group, brand, organization, ticket field, ticket form or user; made where there is none."""
        if (kind, name) not in self.ids:
            column = "title" if kind == "ticket_fields" else "name"
            self.last_id += 1
            row = {"id": self.last_id, column: name, "url": f"https://acme.zendesk.com/{kind}"}
            self.named.setdefault(kind, {})[self.last_id] = row
            self.ids[kind, name] = self.last_id
        return self.ids[kind, name]

    def open(self, requester: str, at: datetime, *, channel: str = "email", group: str = "", **columns: Any) -> int:
        """A ticket of somebody; its id. `custom`: values of custom fields by their title."""
        self.last_ticket += 1
        key, custom = self.last_ticket, columns.pop("custom", {})
        values = [{"id": self.id_of("ticket_fields", name), "value": value} for name, value in custom.items()]
        row: Row = {
            "url": f"https://acme.zendesk.com/api/v2/tickets/{key}.json",
            "id": key,
            "external_id": None,
            "via": {"channel": channel, "source": {"from": {}, "to": {}, "rel": None}},
            "created_at": written(at),
            "type": None,
            "subject": "Help",
            "description": "Help",
            "priority": None,
            "status": "new",
            "requester_id": self.id_of("users", requester),
            "assignee_id": None,
            "organization_id": None,
            "group_id": self.id_of("groups", group) if group else None,
            "brand_id": self.id_of("brands", "Acme"),
            "ticket_form_id": None,
            "problem_id": None,
            "has_incidents": False,
            "is_public": True,
            "tags": [],
            "custom_fields": values,
            "fields": values,
            "satisfaction_rating": {"score": "unoffered"},
            "from_messaging_channel": channel == "native_messaging",
            "support_type": "agent",
            **columns,
        }
        if isinstance(row["organization_id"], str):
            row["organization_id"] = self.id_of("organizations", row["organization_id"])
        self.tickets[key] = row
        metrics: Row = {"id": 9_000_000 + key, "ticket_id": key, "created_at": written(at), "updated_at": written(at)}
        metrics |= dict.fromkeys(("reopens", "replies", "assignee_stations"), 0)
        metrics |= {"group_stations": 1 if group else 0, "status_updated_at": written(at)}
        times = ("initially_assigned_at", "assigned_at", "solved_at", "latest_comment_added_at")
        metrics |= dict.fromkeys(times) | {name: {"calendar": None, "business": None} for name in DURATIONS}
        self.metric_sets[key] = metrics | {"reply_time_in_seconds": {"calendar": None}}
        self._touch(key, at)
        return key

    def converse(self, requester: str, at: datetime, **columns: Any) -> int:
        """A conversation that the AI agent begins: a ticket that nobody can write to."""
        usual = {"channel": "native_messaging", "support_type": "ai_agent", "status": "open"}
        return self.open(requester, at, **{**usual, **columns})

    def hand_over(self, key: int, group: str, at: datetime) -> None:
        """The AI agent gives up: from now on it is a ticket like any other."""
        self.change(key, at, support_type="agent", group_id=self.id_of("groups", group))

    def change(self, key: int, at: datetime, **columns: Any) -> None:
        """Something of a ticket changes."""
        self.tickets[key] |= columns
        self._touch(key, at)

    def tag(self, key: int, at: datetime, *tags: str) -> None:
        self.change(key, at, tags=[*self.tickets[key]["tags"], *tags])

    def assign(self, key: int, who: str, at: datetime) -> None:
        metrics = self.metric_sets[key]
        metrics |= {"assigned_at": written(at), "assignee_stations": metrics["assignee_stations"] + 1}
        metrics["initially_assigned_at"] = metrics["initially_assigned_at"] or written(at)
        self.change(key, at, assignee_id=self.id_of("users", who))

    def reply(self, key: int, at: datetime, *, public: bool = True) -> None:
        """An agent writes: to everybody, or for agents alone. The first public reply is the first response."""
        metrics = self.metric_sets[key] | {"latest_comment_added_at": written(at)}
        passed = seconds(at) - seconds(self.tickets[key]["created_at"])
        if public and not metrics["replies"]:
            metrics["reply_time_in_minutes"] = {"calendar": passed // 60, "business": passed // 60}
            if self.tickets[key]["from_messaging_channel"]:
                metrics["reply_time_in_seconds"] = {"calendar": passed}
        self.metric_sets[key] = metrics | {"replies": metrics["replies"] + public}
        self._touch(key, at)

    def move(self, key: int, status: str, at: datetime) -> None:
        """A ticket enters a status."""
        row, metrics = self.tickets[key], self.metric_sets[key]
        passed = (seconds(at) - seconds(metrics["status_updated_at"])) // 60
        for name in WAITS.get(row["status"], ()):
            before = metrics[name]["calendar"] or 0
            metrics[name] = {"calendar": before + passed, "business": (before + passed) // 2}
        if row["status"] == "solved" and status not in ("solved", "closed"):
            metrics["reopens"] += 1
        if status == "solved":
            metrics["solved_at"] = written(at)
            minutes = (seconds(at) - seconds(row["created_at"])) // 60
            metrics["full_resolution_time_in_minutes"] = {"calendar": minutes, "business": minutes // 2}
        metrics["status_updated_at"] = written(at)
        self.change(key, at, status=status)

    def solve(self, key: int, who: str, at: datetime) -> None:
        """An agent answers and solves a ticket, which becomes theirs."""
        if not self.tickets[key]["assignee_id"]:
            self.assign(key, who, at)
        self.reply(key, at)
        self.move(key, "solved", at)

    def close(self, key: int, at: datetime) -> None:
        """Closed is the end: nothing opens the ticket again."""
        self.move(key, "closed", at)

    def rate(self, key: int, score: str, at: datetime) -> None:
        self.change(key, at, satisfaction_rating={"id": key, "score": score, "comment": "", "reason": None})

    def merge(self, key: int, into: int, at: datetime) -> None:
        """Somebody had written twice."""
        self.tag(key, at, "closed_by_merge")
        self.close(key, at)
        self._touch(into, at)

    def delete(self, key: int, at: datetime) -> None:
        """What is left of a ticket says that it was deleted; so it is with what is marked as spam."""
        keep = ("id", "url", "created_at")
        self.tickets[key] = {name: self.tickets[key][name] for name in keep} | {"status": "deleted"}
        self.metric_sets.pop(key, None)
        self._touch(key, at)

    def breach(self, key: int, at: datetime, due: datetime, metric: str = "reply_time") -> int:
        """A target is set that will be missed then; the id of the event. It does not change the ticket."""
        return self._event(key, "breach", at, due, metric)

    def meet(self, event: int, at: datetime) -> None:
        """The target is met: its breach is withdrawn."""
        row = next(row for row in self.metric_events if row["id"] == event)
        self.metric_events.append({**row, "deleted": True, "written": seconds(at)})
        self._event(row["ticket_id"], "fulfill", at, at, row["metric"])

    def _event(self, key: int, kind: str, at: datetime, time: datetime, metric: str) -> int:
        number = 926_232_000_000 + len(self.metric_events)
        row = {"id": number, "ticket_id": key, "metric": metric, "instance_id": 1, "type": kind, "time": written(time)}
        self.metric_events.append({**row, "written": seconds(at)})
        return number

    def _touch(self, key: int, at: datetime) -> None:
        self.tickets[key] |= {"updated_at": written(at), "generated_timestamp": seconds(at)}

    # What it answers.

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(), self._guarded])
        app.router.add_get(EXPORT, self._export)
        app.router.add_get("/api/v2/incremental/ticket_metric_events", self._events)
        app.router.add_get("/api/v2/tickets/show_many", self._show_many)
        app.router.add_get("/api/v2/search/export", self._search)
        app.router.add_get("/api/v2/users/me", self._me)
        app.router.add_get("/api/v2/{list:groups|brands|ticket_fields|ticket_forms}", self._listed)
        app.router.add_post("/oauth/tokens", self._oauth)
        return app

    @property
    def _guarded(self) -> Any:
        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path != "/oauth/tokens":
                said = request.headers.get("Authorization", "")
                user, secret = self.basic or ("", "")
                basic = "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
                if said != f"Bearer {self.token}" and not (self.basic and said == basic):
                    return refused(401, "invalid_token", error_description="The access token provided is expired.")
                if "read" not in self.scopes:
                    return refused(403, "Forbidden", description="Missing the following required scopes: read")
                known = PARAMETERS.get(request.path.removeprefix("/api/v2/"), ())
                self.misread += [f"{request.path} has no {name}" for name in request.query if name not in known]
            answer = await handler(request)
            answer.headers.update({"x-rate-limit": "700", "x-rate-limit-remaining": "699"})
            return answer

        return guarded

    async def _oauth(self, request: web.Request) -> web.Response:
        asked = await request.json() if request.content_type == "application/json" else {}
        if asked.get("grant_type") != "client_credentials":
            return refused(400, "unsupported_grant_type")
        if (asked.get("client_id"), asked.get("client_secret")) != self.client:
            return refused(401, "invalid_client")
        # With a scope that is not known there is a token all the same; it is good for nothing.
        self.scopes = frozenset(str(asked.get("scope", "")).split())
        said = {"access_token": self.token, "token_type": "bearer", "scope": asked.get("scope"), "expires_in": 1800}
        return web.json_response(said)

    def _metered(self) -> web.Response | None:
        """What all exports share: ten requests a minute, and a role."""
        if self.role != "admin":
            return restricted()
        if self.exports_left is None:
            return None
        self.exports_left -= 1
        if self.exports_left >= 0:
            return None
        text = "Number of allowed incremental export API requests per minute exceeded"
        answer = refused(429, "APIRateLimitExceeded", description=text)
        answer.headers["Retry-After"] = "42"
        return answer

    async def _export(self, request: web.Request) -> web.Response:
        if refusal := self._metered():
            return refusal
        query, ends_at = request.query, seconds(self.clock() - timedelta(minutes=1))
        try:
            size, place = int(query.get("per_page", MOST)), position(query, ends_at)
        except ValueError as error:
            return refused(400, str(error), description="The question cannot be answered")
        loads = [name for name in query.get("include", "").split(",") if name]
        self.misread += [f"side-load {name}" for name in loads if name not in SIDE_LOADS]
        self.misread += [f"per_page {size}"] * (not 1 <= size <= MOST)
        scope = query.get("support_type_scope", "agent")
        rows = [
            row
            for row in self.tickets.values()
            if row["generated_timestamp"] <= ends_at
            and (row["generated_timestamp"], row["id"]) > place
            and scope in ("all", row.get("support_type", scope))
        ]
        rows.sort(key=lambda row: (row["generated_timestamp"], row["id"]))
        page = rows[:size]
        token = after(page[-1]["generated_timestamp"], page[-1]["id"]) if page else query.get("cursor")
        address = f"{request.url.origin()}{EXPORT}.json?cursor={token}" if token else None
        said = {"after_cursor": token, "after_url": address, "before_cursor": None, "before_url": None}
        body = said | self._with(page, loads) | {"end_of_stream": len(rows) <= size}
        return web.json_response(body)

    def _with(self, page: list[Row], loads: list[str]) -> Row:
        """Tickets, and what is to be loaded beside them."""
        body: Row = {"tickets": page}
        if "metric_sets" in loads and self.nested:
            body["tickets"] = [{**row, "metric_set": self.metric_sets.get(row["id"])} for row in page]
        elif "metric_sets" in loads:
            body["metric_sets"] = [self.metric_sets[row["id"]] for row in page if row["id"] in self.metric_sets]
        if "organizations" in loads:
            known = self.named.get("organizations", {})
            keys = dict.fromkeys(row.get("organization_id") for row in page)
            body["organizations"] = [known[key] for key in keys if key in known]
        return body

    async def _events(self, request: web.Request) -> web.Response:
        """Events since a time; those of the second at which a page ends come again with the next."""
        if refusal := self._metered():
            return refusal
        if "ticket_metric_events" in self.lacking:
            return restricted()
        start, ends_at = int(request.query["start_time"]), seconds(self.clock() - timedelta(minutes=1))
        if start > ends_at:
            return refused(400, "StartTimeTooRecent", description="Too recent start_time")
        rows = sorted(self.metric_events, key=lambda row: (row["written"], row["id"]))
        rows = [row for row in rows if start <= row["written"] <= ends_at]
        page = rows[: self.events_at_once]
        end = page[-1]["written"] if page else start
        said = {"count": len(page), "end_time": end, "end_of_stream": len(rows) <= len(page)}
        link = f"{request.url.origin()}{request.path}?start_time={end}"
        events = [{name: value for name, value in row.items() if name != "written"} for row in page]
        return web.json_response({"ticket_metric_events": events, **said, "next_page": link})

    async def _show_many(self, request: web.Request) -> web.Response:
        """Up to a hundred tickets; not those of the AI agent, nor when the system changed them."""
        keys = [int(key) for key in request.query.get("ids", "").split(",") if key.isdecimal()]
        if not keys or len(keys) > FEW:
            return refused(400, "TooManyValues", description="ids takes at most 100 values")
        found = [
            {name: value for name, value in row.items() if name != "generated_timestamp"}
            for key in keys
            if (row := self.tickets.get(key)) and row["status"] != "deleted" and row["support_type"] != "ai_agent"
        ]
        loads = request.query.get("include", "").split(",")
        return web.json_response(self._with(found, loads) | {"count": len(found), "next_page": None})

    async def _search(self, request: web.Request) -> web.Response:
        """Understands one query: what is not solved and was updated before a day."""
        asked = re.fullmatch(r"status<solved updated<(\d{4}-\d\d-\d\d)", request.query.get("query", ""))
        if not asked or request.query.get("filter[type]") != "ticket":
            return refused(422, "RecordInvalid", description="Invalid search")
        rows = [
            {"result_type": "ticket", "id": row["id"], "status": row["status"]}
            for row in self.tickets.values()
            if row["status"] in UNSOLVED and row["updated_at"] < asked[1] and row["support_type"] == "agent"
        ]
        return cut(request, "results", rows)

    async def _me(self, _request: web.Request) -> web.Response:
        return web.json_response({"user": {"id": 1, "role": self.role, "time_zone": "UTC"}})

    async def _listed(self, request: web.Request) -> web.Response:
        name = request.match_info["list"]
        if name in self.lacking:
            return restricted()
        return cut(request, name, list(self.named.get(name, {}).values()))
