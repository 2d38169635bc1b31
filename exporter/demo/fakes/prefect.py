"""A fake Prefect 3: its REST API over flow runs that a simulation adds to while it is served."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from aiohttp import web

from exporter.demo.fakes.fault import Faults, Handler

LIMIT = 200
NAMES = {
    "SCHEDULED": "Scheduled",
    "PENDING": "Pending",
    "RUNNING": "Running",
    "PAUSED": "Paused",
    "CANCELLING": "Cancelling",
    "COMPLETED": "Completed",
    "FAILED": "Failed",
    "CRASHED": "Crashed",
    "CANCELLED": "Cancelled",
}
Json = dict[str, Any]
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass
class Prefect:
    """One server. With `token` it is a Cloud workspace, with `password` a server behind basic authentication.

    `release`: 3.4.0 leaves runs that have not begun out where it compares their start. `csrf`: what is posted needs a
    token that is given to a client by name, for as long as `csrf_tokens` holds it.
    """

    token: str = ""
    password: str = ""
    release: Literal["3.4.0", "3.8.8"] = "3.8.8"
    csrf: bool = False
    forbidden: frozenset[str] = frozenset()  # what the workspace does not let one read, such as deployments
    csrf_tokens: dict[str, str] = field(default_factory=dict)  # by client
    flows: dict[str, dict[str, Any]] = field(default_factory=dict)
    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by flow run
    faults: Faults = field(default_factory=Faults)
    made: int = 0

    @property
    def path(self) -> str:
        """What the API's address has after the host."""
        return f"/api/accounts/{UUID(int=1)}/workspaces/{UUID(int=2)}" if self.token else "/api"

    def add_deployment(
        self, flow: str, name: str, at: datetime, *, tags: tuple[str, ...] = (), pool: str = "k8s"
    ) -> str:
        """A deployment of a flow (made if it is new); its id."""
        stamp = at.isoformat().replace("+00:00", "Z")
        owner = next((key for key, row in self.flows.items() if row["name"] == flow), None) or self._id()
        self.flows[owner] = {"id": owner, "created": stamp, "updated": stamp, "name": flow, "tags": [], "labels": {}}
        key = self._id()
        self.deployments[key] = {
            "id": key,
            "created": stamp,
            "updated": stamp,
            "name": name,
            "flow_id": owner,
            "paused": False,
            "schedules": [],
            "tags": list(tags),
            "work_pool_name": pool,
            "created_by": None,
            "status": "READY",
        }
        return key

    def schedule(self, deployment: str, at: datetime, *, parent: str | None = None, automatic: bool = False) -> str:
        """A flow run that is to begin at `at`; its id."""
        key, stamp = self._id(), text(at)
        self.runs[key] = {
            "id": key,
            "created": stamp,
            "name": "made-up",
            "flow_id": self.deployments[deployment]["flow_id"],
            "deployment_id": deployment,
            "tags": list(self.deployments[deployment]["tags"]),
            "parent_task_run_id": parent,
            "run_count": 0,
            "expected_start_time": stamp,
            "start_time": None,
            "end_time": None,
            "total_run_time": 0.0,
            "auto_scheduled": automatic,
            "created_by": None,
            "work_pool_name": self.deployments[deployment]["work_pool_name"],
        }
        self.states[key] = []
        self.state(key, "SCHEDULED", at)
        return key

    def state(self, run: str, kind: str, at: datetime, *, name: str = "", message: str | None = None) -> None:
        """The run enters a state, as Prefect's orchestration would have it."""
        row = self.runs[run]
        state = {"id": self._id(), "type": kind, "name": name or NAMES[kind], "timestamp": text(at), "message": message}
        resumed = row.get("state_name") == "Resuming"
        if kind == "RUNNING":
            row["run_count"] += 0 if resumed else 1
            row["start_time"] = row["start_time"] or text(at)
        row["end_time"] = text(at) if kind in ENDED else None
        if kind in ENDED and row["start_time"] is None:
            row["start_time"] = text(at)  # as Prefect does for one cancelled before it began
        row |= {"state": state, "state_id": state["id"], "state_type": kind, "state_name": state["name"]}
        row["updated"] = text(at)
        self.states[run].append(state)

    def execute(self, deployment: str, at: datetime, seconds: float, kind: str = "COMPLETED", *, tries: int = 1) -> str:
        """A whole flow run that fails and is tried again until the last try ends as `kind`; its id."""
        run, lasts = self.schedule(deployment, at), timedelta(seconds=seconds)
        for number in range(1, tries + 1):
            self.state(run, "RUNNING", at)
            at += lasts
            if number < tries:
                self.state(run, "SCHEDULED", at, name="AwaitingRetry", message="Flow run encountered an exception")
                at += lasts
        self.state(run, kind, at)
        return run

    def delete(self, run: str) -> None:
        del self.runs[run]
        del self.states[run]

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(), self._authenticated, self._protected])
        app.router.add_get(f"{self.path}/csrf-token", self._csrf_token)
        if not self.token:  # Cloud does not tell
            app.router.add_get(f"{self.path}/admin/version", self._version)
        app.router.add_post(f"{self.path}/flow_runs/filter", self._filter_runs)
        app.router.add_post(f"{self.path}/flows/filter", self._filter_flows)
        app.router.add_post(f"{self.path}/deployments/filter", self._filter_deployments)
        app.router.add_get(f"{self.path}/flow_run_states/", self._run_states)
        return app

    @property
    def _authenticated(self) -> Any:
        basic = "Basic " + base64.b64encode(self.password.encode()).decode()
        wanted = f"Bearer {self.token}" if self.token else basic if self.password else None

        @web.middleware
        async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
            if wanted and request.headers.get("Authorization") != wanted:
                return web.json_response({"exception_message": "Unauthorized"}, status=401)
            if self.token and request.method == "POST" and request.content_length is None:
                return web.json_response({"exception_message": "Length Required"}, status=411)
            if self.forbidden & set(request.path.split("/")):
                return web.json_response({"detail": "Forbidden"}, status=403)
            return await handler(request)

        return authenticated

    @property
    def _protected(self) -> Any:
        @web.middleware
        async def protected(request: web.Request, handler: Handler) -> web.StreamResponse:
            client, token = (request.headers.get(f"Prefect-Csrf-{word}") for word in ("Client", "Token"))
            if self.csrf and request.method == "POST":
                if not token:
                    return web.json_response({"detail": "Missing CSRF token."}, status=403)
                if not client:
                    return web.json_response({"detail": "Missing client identifier."}, status=403)
                if self.csrf_tokens.get(client) != token:
                    return web.json_response({"detail": "Invalid CSRF token or client identifier."}, status=403)
            return await handler(request)

        return protected

    async def _version(self, _request: web.Request) -> web.Response:
        return web.json_response(self.release)

    async def _csrf_token(self, request: web.Request) -> web.Response:
        if not self.csrf:
            return web.json_response({"detail": "CSRF protection is disabled."}, status=422)
        if not (client := request.query.get("client")):
            return web.json_response({"exception_message": "Invalid request received."}, status=422)
        self.csrf_tokens[client] = f"token-{self._id()}"
        return web.json_response({"client": client, "token": self.csrf_tokens[client]})

    async def _filter_runs(self, request: web.Request) -> web.Response:
        question = await request.json()
        wanted, coalesced = question.get("flow_runs") or {}, self.release != "3.4.0"
        rows = list(filter(fitting(wanted, coalesced=coalesced), self.runs.values()))
        if question.get("sort", "ID_DESC") == "END_TIME_DESC":
            rows.sort(key=lambda row: instant(row["end_time"]), reverse=True)
        else:
            rows.sort(key=lambda row: str(row["id"]), reverse=True)
        return page(rows, question)

    async def _filter_flows(self, request: web.Request) -> web.Response:
        return page(list(self.flows.values()), await request.json())

    async def _filter_deployments(self, request: web.Request) -> web.Response:
        return page(list(self.deployments.values()), await request.json())

    async def _run_states(self, request: web.Request) -> web.Response:
        return web.json_response(self.states.get(request.query["flow_run_id"], []))

    def _id(self) -> str:
        """Ids in no order, as Prefect's are."""
        self.made += 1
        return str(UUID(int=(self.made * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128))


def fitting(wanted: Json, *, coalesced: bool = True) -> Callable[[Json], bool]:
    """Whether a flow run fits the filter. `coalesced`: what has not begun is taken to begin when it is expected to."""
    state, parent = wanted.get("state", {}), wanted.get("parent_task_run_id", {}).get("is_null_")
    one_of = {
        "id": wanted.get("id", {}).get("any_"),
        "state_type": state.get("type", {}).get("any_"),
        "state_name": state.get("name", {}).get("any_"),
    }
    chosen = [(name, frozenset(words)) for name, words in one_of.items() if words is not None]
    others = frozenset(state.get("name", {}).get("not_any_", ()))
    begins = ("start_time", "expected_start_time") if coalesced else ("start_time",)
    columns = {"start_time": begins, "expected_start_time": ("expected_start_time",), "end_time": ("end_time",)}
    spans = [(names, within(wanted[name])) for name, names in columns.items() if wanted.get(name)]

    def fits(row: Json) -> bool:
        for name, words in chosen:
            if row[name] not in words:
                return False
        for names, inside in spans:
            if not inside(next(filter(None, map(row.get, names)), None)):
                return False
        return row["state_name"] not in others and (parent is None or parent == (row["parent_task_run_id"] is None))

    return fits


def within(span: Json) -> Callable[[str | None], bool]:
    """Whether a moment is in a span; `after_` and `before_` are inclusive."""
    if "is_null_" in span:
        return lambda moment: bool(span["is_null_"]) == (moment is None)
    after, before = (instant(span[name]) if span.get(name) else None for name in ("after_", "before_"))

    def inside(moment: str | None) -> bool:
        at = instant(moment) if moment else None
        return at is not None and (after is None or after <= at) and (before is None or at <= before)

    return inside


def page(rows: list[dict[str, Any]], question: dict[str, Any]) -> web.Response:
    limit, offset = question.get("limit", LIMIT), question.get("offset", 0)
    if limit > LIMIT:
        detail = "Invalid limit: must be less than or equal to 200."
        return web.json_response({"detail": detail}, status=422)
    return web.json_response(rows[offset : offset + limit])


def text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def instant(moment: str) -> datetime:
    return datetime.fromisoformat(moment)
