"""A fake PagerDuty: its REST API, version 2, over incidents that a simulation adds to while it is served."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from operator import itemgetter
from typing import Any

from aiohttp import web

from exporter.base.clock import now
from exporter.demo.fakes.fault import Faults, Handler
from exporter.demo.fakes.pagerduty_answers import (
    ACCEPT,
    PARAMETERS,
    REFERENCES,
    SCOPES,
    Row,
    at_zone,
    included,
    misread,
    page,
    reference,
    refused,
    sorted_by,
    span,
    text,
)

QUIET = {"notify_log_entry", "assign_log_entry", "annotate_log_entry"}
"""Not among the most important changes to an incident."""
ON_DEMAND = ("custom_fields", "conference_bridge")
PRIORITIES = ("P1", "P2", "P3", "P4", "P5")


@dataclass
class PagerDuty:
    """One account. `rows`: incidents to begin with, as PagerDuty writes them."""

    rows: Iterable[Row] = ()
    api_key: str = "pagerduty-key"
    client: tuple[str, str] = ("exporter", "s3cret")
    account: str = "us.acme"
    scopes: frozenset[str] = frozenset({"incidents.read", "priorities.read"})  # of the app
    denied: frozenset[str] = frozenset()  # of the key
    priorities: Sequence[str] | None = PRIORITIES  # the most severe first; None: not part of the plan
    zone: tzinfo = UTC  # of the account
    clock: Callable[[], datetime] = now
    limit: int = 960  # requests in a minute
    wall: int = 10_000
    inclusive: bool = False  # whether both ends of a window are part of it, which is not published
    quiet: set[str] = field(default_factory=lambda: set(QUIET))
    faults: Faults = field(default_factory=Faults)
    incidents: dict[str, Row] = field(default_factory=dict)
    entries: list[Row] = field(default_factory=list)  # of the log, as they came
    things: dict[str, Row] = field(default_factory=dict)  # services, teams, users, policies, priorities: by id
    tokens: dict[str, frozenset[str]] = field(default_factory=dict)  # of the app, with their scopes
    minute: datetime | None = None
    used: int = 0
    last_id: int = 0

    def __post_init__(self) -> None:
        self.incidents |= {str(row["id"]): row for row in self.rows}
        for name in self.priorities or ():
            self.named("priority", name)

    # What a simulation does.

    def named(self, kind: str, name: str, **more: Any) -> str:
        """The id of a service, team, user, policy, integration or priority of that name; made where there is none."""
        for key, thing in self.things.items():
            if (thing["type"], thing["name"]) == (kind, name):
                thing.update(more)
                return key
        key = self._id("P", 6)
        links = {"self": f"https://api.pagerduty.com/{kind}s/{key}", "html_url": f"https://acme.pagerduty.com/{key}"}
        self.things[key] = {"id": key, "type": kind, "summary": name, "name": name, **links, **more}
        return key

    def trigger(
        self,
        title: str,
        at: datetime,
        *,
        service: str = "Shop",
        team: str | None = None,
        priority: str | None = None,
        by: str | None = None,
        channel: str = "api",
        **columns: Any,
    ) -> str:
        """An incident opens, by an event or by somebody; its id."""
        key, number = self._id("Q", 13), len(self.incidents) + 1
        policy = self.named("escalation_policy", f"{service} on call")
        its = self.named("service", service, escalation_policy=reference(self.things[policy]))
        rank = self.named("priority", priority) if priority else None
        self.incidents[key] = {
            "id": key,
            "type": "incident",
            "summary": f"[#{number}] {title}",
            "self": f"https://api.pagerduty.com/incidents/{key}",
            "html_url": f"https://acme.pagerduty.com/incidents/{key}",
            "incident_number": number,
            "title": title,
            "created_at": text(at),
            "updated_at": text(at),
            "status": "triggered",
            "incident_key": None,
            "service": reference(self.things[its]),
            "assignments": [],
            "assigned_via": "escalation_policy",
            "last_status_change_at": text(at),
            "resolved_at": None,
            "first_trigger_log_entry": None,
            "alert_counts": {"all": 1, "triggered": 1, "resolved": 0},
            "is_mergeable": True,
            "incident_type": {"name": "incident_default"},
            "escalation_policy": reference(self.things[policy]),
            "teams": [reference(self.things[self.named("team", team)])] if team else [],
            "pending_actions": [],
            "acknowledgements": [],
            "alert_grouping": None,
            "last_status_change_by": reference(self.things[its]),
            "priority": reference(self.things[rank]) if rank else None,
            "resolve_reason": None,
            "urgency": "high",
            **columns,
        }
        entry = self.note(key, "trigger", at, by, channel)
        self.incidents[key]["first_trigger_log_entry"] = reference(entry)
        return key

    def acknowledge(self, key: str, at: datetime, by: str | None = "ana", channel: str = "website") -> None:
        """Somebody takes it on; `by` None: an integration."""
        row = self._turn(key, "acknowledged", "acknowledge", at, by, channel)
        row["acknowledgements"].append({"at": text(at), "acknowledger": row["last_status_change_by"]})

    def unacknowledge(self, key: str, at: datetime) -> None:
        """Nobody has done anything for so long that it is triggered again."""
        self._turn(key, "triggered", "unacknowledge", at, None, "timeout")["acknowledgements"] = []

    def escalate(self, key: str, at: datetime, by: str | None = None) -> None:
        """It goes to the next in line, because nobody has taken it on or because somebody says so."""
        self.note(key, "escalate", at, by, "website" if by else "timeout")
        self.incidents[key]["updated_at"] = text(at)

    def resolve(self, key: str, at: datetime, by: str | None = "ana", channel: str | None = None) -> None:
        """Somebody resolves it, or an integration does; by the channel "timeout" PagerDuty itself."""
        row = self._turn(key, "resolved", "resolve", at, by, channel or ("website" if by else "api"))
        row |= {"resolved_at": text(at), "acknowledgements": [], "assignments": []}

    def reopen(self, key: str, at: datetime, by: str | None = "ana") -> None:
        self._turn(key, "triggered", "trigger", at, by, "website")["resolved_at"] = None

    def merge(self, key: str, into: str, at: datetime, by: str = "ana") -> None:
        """It was part of another incident."""
        self.resolve(key, at, by)
        other = self.incidents[into]
        reason = {"type": "merge_resolve_reason", "incident": {**reference(other), "type": "incident_reference"}}
        self.incidents[key]["resolve_reason"] = reason

    def change(self, key: str, at: datetime, **columns: Any) -> None:
        """A change that is not part of the log."""
        self.incidents[key] |= {"updated_at": text(at), **columns}

    def note(self, key: str, kind: str, at: datetime, by: str | None = None, channel: str = "website") -> Row:
        """An entry of the log, which may come later than the time it has."""
        row, entry = self.incidents[key], self._id("R", 25)
        agent = reference(self.things[self.named("user", by)]) if by else row["service"]
        made = {
            "id": entry,
            "type": f"{kind}_log_entry",
            "summary": f"{kind.capitalize()} by {agent['summary']}.",
            "self": f"https://api.pagerduty.com/log_entries/{entry}?incident_id={key}",
            "html_url": f"{row['html_url']}/log_entries/{entry}",
            "created_at": text(at),
            "agent": agent,
            "channel": {"type": channel},
            "service": row["service"],
            "incident": reference(row),
            "teams": row["teams"],
            "contexts": [],
            "event_details": {},
        }
        self.entries.append(made)
        return made

    def _turn(self, key: str, status: str, kind: str, at: datetime, by: str | None, channel: str) -> Row:
        entry, row = self.note(key, kind, at, by, channel), self.incidents[key]
        row |= {"status": status, "updated_at": text(at), "last_status_change_at": text(at)}
        row["last_status_change_by"] = entry["agent"]
        return row

    def _id(self, first: str, length: int) -> str:
        self.last_id += 1
        return f"{first}{self.last_id:0{length}X}"

    # What it answers.

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(), self._limited, self._allowed])
        for path, handler in {
            "/incidents": self._incidents,
            "/incidents/{id}": self._incident,
            "/incidents/{id}/log_entries": self._log,
            "/log_entries": self._log,
            "/priorities": self._priorities,
        }.items():
            app.router.add_get(path, handler)
        app.router.add_post("/oauth/token", self._token)
        return app

    @property
    def _limited(self) -> Any:
        @web.middleware
        async def limited(request: web.Request, handler: Handler) -> web.StreamResponse:
            present = self.clock()
            if self.minute is None or not self.minute <= present < self.minute + timedelta(minutes=1):
                self.minute, self.used = present, 0
            over, self.used = self.used >= self.limit, self.used + 1
            answer = refused(429, 2020, "Rate Limit Exceeded") if over else await handler(request)
            left = self.minute + timedelta(minutes=1) - present
            answer.headers["ratelimit-limit"] = str(self.limit)
            answer.headers["ratelimit-remaining"] = str(max(0, self.limit - self.used))
            answer.headers["ratelimit-reset"] = str(int(left.total_seconds()))
            return answer

        return limited

    @property
    def _allowed(self) -> Any:
        @web.middleware
        async def allowed(request: web.Request, handler: Handler) -> web.StreamResponse:
            """Credential, scope, version and parameters."""
            if request.path == "/oauth/token":
                return await handler(request)
            kind, _, secret = request.headers.get("Authorization", "").partition(" ")
            route = request.match_info.route.resource
            path = route.canonical if route else ""
            if kind == "Token" and secret == f"token={self.api_key}":
                may = SCOPES.get(path) not in self.denied
            elif kind == "Bearer" and secret in self.tokens:
                may = SCOPES.get(path) in self.tokens[secret]
            else:
                return refused(401, 2006, "Authentication failed")
            if not may:
                return refused(403, 2010, "Access Denied", f"Your token lacks the scope {SCOPES.get(path)}")
            if request.headers.get("Accept") != ACCEPT:
                return refused(400, 2001, "Invalid Input Provided", "Accept names no version")
            if wrong := misread(path, request.query):
                return refused(400, 2001, "Invalid Input Provided", *wrong)
            return await handler(request)

        return allowed

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post() if request.content_type == "application/x-www-form-urlencoded" else {}
        scopes = str(form.get("scope", "")).split()
        if (form.get("client_id"), form.get("client_secret")) != self.client:
            return web.json_response({"error": "invalid_client"}, status=401)
        if form.get("grant_type") != "client_credentials" or f"as_account-{self.account}" not in scopes:
            return web.json_response({"error": "invalid_scope"}, status=400)
        token = f"pdus+_{self._id('', 20)}"
        self.tokens[token] = frozenset(scopes) & self.scopes
        said = {"access_token": token, "scope": " ".join(scopes), "token_type": "bearer", "expires_in": 864_000}
        return web.json_response(said)

    async def _incidents(self, request: web.Request) -> web.Response:
        query, rows = request.query, [*self.incidents.values()]
        if query.get("date_range") != "all":
            found = span(query, self.zone, self.clock(), timedelta(days=30), longest=timedelta(days=184))
            if isinstance(found, web.Response):
                return found
            rows = self._within(rows, *found)
        if statuses := set(query.getall("statuses[]", [])):
            rows = [row for row in rows if row["status"] in statuses]
        if teams := set(query.getall("team_ids[]", [])):
            rows = [row for row in rows if teams & {team["id"] for team in row["teams"]}]
        if (ordered := sorted_by(rows, query.get("sort_by", "created_at:asc"))) is None:
            return refused(400, 2001, "Invalid Input Provided", "Sort by is not valid")
        local, includes = at_zone(query.get("time_zone"), UTC), query.getall("include[]", [])
        return page(request, "incidents", ordered, self.wall, lambda row: local(self._shown(row, includes)))

    async def _incident(self, request: web.Request) -> web.Response:
        row = self._of(request)
        if row is None:
            return refused(404, 2100, "Not Found", "Incident Not Found")
        shown = self._shown(row, request.query.getall("include[]", []))
        return web.json_response({"incident": at_zone(None, self.zone)(shown)})

    async def _log(self, request: web.Request) -> web.Response:
        query, rows = request.query, self.entries
        if "id" in request.match_info:
            row = self._of(request)
            if row is None:
                return refused(404, 2100, "Not Found", "Incident Not Found")
            rows = [entry for entry in rows if entry["incident"]["id"] == row["id"]]
        else:
            found = span(query, self.zone, self.clock(), timedelta(days=30))
            if isinstance(found, web.Response):
                return found
            rows = self._within(rows, *found)
        if query.get("is_overview") == "true":
            rows = [entry for entry in rows if entry["type"] not in self.quiet]
        if teams := set(query.getall("team_ids[]", [])):
            rows = [entry for entry in rows if teams & {team["id"] for team in entry["teams"]}]
        newest = sorted(rows, key=itemgetter("created_at"))[::-1]
        return page(request, "log_entries", newest, self.wall, at_zone(query.get("time_zone"), self.zone))

    async def _priorities(self, request: web.Request) -> web.Response:
        if self.priorities is None:
            return refused(402, 2014, "Missing Account Ability", "Account does not have the `priorities` ability")
        rows = [thing for thing in self.things.values() if thing["type"] == "priority"]
        return page(request, "priorities", rows, self.wall, at_zone(None, UTC))

    def _within(self, rows: Sequence[Row], since: str, until: str) -> list[Row]:
        if self.inclusive:
            return [row for row in rows if since <= row["created_at"] <= until]
        return [row for row in rows if since < row["created_at"] < until]

    def _of(self, request: web.Request) -> Row | None:
        """By its id or its number."""
        key = request.match_info["id"]
        by_number = (row for row in self.incidents.values() if str(row["incident_number"]) == key)
        return self.incidents.get(key) or next(by_number, None)

    def _shown(self, row: Row, includes: Sequence[str]) -> Row:
        """An incident with as much of what it refers to as is asked for."""
        entries = {entry["id"]: entry for entry in self.entries} if "first_trigger_log_entries" in includes else {}
        shown = {name: each for name, each in row.items() if name not in ON_DEMAND or name in includes}
        for name in includes:
            if name in REFERENCES and REFERENCES[name] in shown:
                shown[REFERENCES[name]] = included(shown[REFERENCES[name]], {**self.things, **entries})
        return shown


__all__ = ["PARAMETERS", "PagerDuty"]
