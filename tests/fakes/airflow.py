"""A fake Airflow, 2 or 3: what its REST API says of DAGs, runs and events that a test adds while it is served."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from aiohttp import web

from exporter.demo.fakes.fault import Handler

ORDERS = {  # by which a list can be put in order
    "dags": {"dag_id"},
    "dag_runs": {"id", "state", "dag_id", "start_date", "end_date", "updated_at", "conf"},
    "event_logs": {"event_log_id", "when", "dag_id", "run_id", "event", "owner"},
}
SECRET = "a secret of the server's, long enough for it"
PAGE = {"limit", "offset", "order_by"}
TAKES = {  # the parameters that the connector may send, of those that are published
    "dags": {*PAGE, "only_active", "exclude_stale", "paused", "tags"},
    "dag_runs": {*PAGE, "state", "updated_at_gte", "updated_at_lte", "start_date_gte", "end_date_gte", "end_date_lte"},
    "event_logs": {*PAGE, "dag_id", "run_id", "event", "owner", "before", "after", "included_events"},
}


@dataclass
class Airflow:
    """One server. The times of rows are datetimes; they are written as the release writes them when they are sent."""

    release: str = "3.3.2"
    user: str = "exporter"
    password: str = "pa55"
    at: datetime = datetime(2026, 3, 31, tzinfo=UTC)  # its clock
    secret: str = SECRET
    session_only: bool = False  # 2.x as it is installed: basic authentication is off
    forbidden: set[str] = field(default_factory=set)  # names of lists
    most: int = 100  # rows in a page, whatever is asked for
    dags: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    tries: dict[tuple[str, str], int] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)  # paths and parameters
    log_ins: int = 0
    meanwhile: Callable[[], None] = lambda: None  # happens after each page of runs
    last_line: int = 0
    silent: bool = False  # whether tasks write no lines
    open: bool = False  # to everybody: an auth backend that lets all in, as of 2.x

    @property
    def three(self) -> bool:
        return self.release.startswith("3.")

    # What happens there.

    def add_dag(
        self, dag_id: str, *, owners: Sequence[str] = ("airflow",), tags: Sequence[str] = (), **more: Any
    ) -> None:
        there = {"is_stale": False} if self.three else {"is_active": True}
        self.dags[dag_id] = {
            "dag_id": dag_id, "dag_display_name": dag_id, "is_paused": False, **there, "owners": [*owners],
            "tags": [{"name": tag, **({"dag_id": dag_id} if self.three else {})} for tag in tags],
            "has_import_errors": False, **more,
        }  # fmt: skip

    def trigger(self, dag_id: str, at: datetime, run_id: str = "", **more: Any) -> str:
        """One more run, queued; its key here and in the connector."""
        run_id = run_id or f"manual__{at.isoformat(timespec='microseconds')}"
        key = f"{dag_id}:{run_id}"
        only: dict[str, Any] = {"queued_at": at, "run_after": at, "logical_date": None, "triggered_by": "rest_api"}
        only = only if self.three else {"logical_date": at, "execution_date": at, "external_trigger": True}
        self.runs[key] = {
            "dag_id": dag_id, "dag_run_id": run_id, "state": "queued", "run_type": "manual", "conf": {}, "note": None,
            "start_date": None, "end_date": None, "last_scheduling_decision": None, **only, "updated_at": at, **more,
        }  # fmt: skip
        return key

    def start(self, key: str, at: datetime, task: str = "work") -> None:
        if self.runs[key]["state"] != "running":
            self.change(key, at, state="running", start_date=at, end_date=None)
        self.runs[key] |= {"last_scheduling_decision": at, "updated_at": at}
        self.tries[key, task] = self.tries.get((key, task), 0) + 1
        self.task(key, at, task, "running")

    def task(self, key: str, at: datetime, task: str, event: str) -> None:
        """What a task writes into the log."""
        if not self.silent:
            self.line(
                event, at, self.runs[key], owner="airflow", task_id=task, map_index=-1, try_number=self.tries[key, task]
            )

    def end(self, key: str, at: datetime, state: str = "success", task: str = "work") -> None:
        self.task(key, at, task, state)
        self.change(key, at, state=state, end_date=at, last_scheduling_decision=at)

    def execute(self, dag_id: str, at: datetime, state: str = "success", seconds: float = 5, **more: Any) -> str:
        """A run from its beginning to its end."""
        key = self.trigger(dag_id, at, **more)
        self.start(key, at + timedelta(seconds=1))
        self.end(key, at + timedelta(seconds=1 + seconds), state)
        return key

    def clear(self, key: str, at: datetime, by: str = "ana", *, event: str = "", preview: bool = False) -> None:
        """What somebody does in a page of the server; seen first as a preview, of which 3.x writes no line."""
        if not (preview and self.three):
            self.line(event or self.event("clear_dag_run"), at, self.runs[key], by, {"dry_run": preview})
        if not preview:
            self.reopen(key, at)

    def reopen(self, key: str, at: datetime) -> None:
        if self.runs[key]["state"] in ("success", "failed"):
            self.change(key, at, state="queued", start_date=None, end_date=None, last_scheduling_decision=None)
        if self.three:
            self.runs[key]["queued_at"] = at

    def mark(self, key: str, at: datetime, state: str, by: str = "ana") -> None:
        """Sets the state of a run by hand."""
        self.line(self.event("patch_dag_run", "update_dag_run_state"), at, self.runs[key], by, {"state": state})
        self.change(key, at, state=state, end_date=at)

    def delete(self, key: str, at: datetime, by: str = "ana") -> None:
        self.line(self.event("delete_dag_run"), at, self.runs.pop(key), by, {})

    def change(self, key: str, at: datetime, **changes: Any) -> None:
        self.runs[key] |= {"updated_at": at, **changes}

    def event(self, three: str, two: str = "") -> str:
        return three if self.three else f"api.{two or three}"

    def line(
        self, event: str, at: datetime, run: Mapping[str, Any], owner: str, extra: Any = None, **more: Any
    ) -> None:
        """One more line of the event log."""
        self.last_line += 1
        method = {"method": "POST"} if self.three and "task_id" not in more else {}
        self.log.append(
            {
                "event_log_id": self.last_line, "when": at, "dag_id": run.get("dag_id"), "task_id": None,
                "run_id": run.get("dag_run_id"), "map_index": None, "try_number": None, "event": event, "owner": owner,
                "extra": json.dumps({"host_name": "vm"} if extra is None else {**extra, **method}), **more,
            }
        )  # fmt: skip

    # What it says.

    @property
    def base(self) -> str:
        return "/api/v2" if self.three else "/api/v1"

    @property
    def headers(self) -> dict[str, str]:
        return {"Date": self.at.strftime("%a, %d %b %Y %H:%M:%S GMT")}

    def app(self, path: str = "") -> web.Application:
        app = web.Application(middlewares=[self._guard(f"{path}{self.base}")])
        api = f"{path}{self.base}"
        app.router.add_get(f"{api}/version", self._version)
        app.router.add_get(f"{api}/dags", self._dags)
        app.router.add_get(f"{api}/dags/~/dagRuns", self._runs)
        app.router.add_get(f"{api}/dags/{{dag_id}}/dagRuns/{{run_id}}", self._run)
        app.router.add_get(f"{api}/eventLogs", self._log)
        if self.three:
            app.router.add_post(f"{path}/auth/token", self._token)
        return app

    def token(self, life: timedelta = timedelta(days=1)) -> str:
        claims = {"sub": self.user, "iat": self.at, "exp": self.at + life, "n": self.log_ins}
        return jwt.encode(claims, self.secret, algorithm="HS256")

    def _guard(self, api: str) -> Any:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith(api) and not request.path.endswith("/version"):
                self.asked.append((request.path.removeprefix(api), dict(request.query)))
                if refusal := self._refused(request.headers.get("Authorization", "")):
                    return refusal
            return await handler(request)

        return guard

    def _refused(self, sent: str) -> web.Response | None:
        if self.open:
            return None
        if not self.three:
            good = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            return None if sent == good and not self.session_only else self.error(401, "Unauthorized")
        if not sent.startswith("Bearer "):
            return self.error(401, "Not authenticated")
        try:
            claims = jwt.decode(
                sent.removeprefix("Bearer "), self.secret, ["HS256"], options={"verify_exp": False, "verify_iat": False}
            )
        except jwt.PyJWTError:
            return self.error(403, "Invalid JWT token")
        return self.error(401, "Token Expired") if claims["exp"] <= self.at.timestamp() else None

    async def _token(self, request: web.Request) -> web.Response:
        said = await request.json()
        if (said.get("username"), said.get("password")) != (self.user, self.password):
            return self.error(401, "Invalid credentials")
        self.log_ins += 1
        return web.json_response({"access_token": self.token()}, status=201, headers=self.headers)

    async def _version(self, _request: web.Request) -> web.Response:
        return web.json_response({"version": self.release, "git_version": ".release"}, headers=self.headers)

    async def _dags(self, request: web.Request) -> web.Response:
        everything = "false" in (request.query.get("only_active"), request.query.get("exclude_stale"))
        there = [row for row in self.dags.values() if everything or row.get("is_active", not row.get("is_stale"))]
        return self._listed(request, "dags", there)

    async def _runs(self, request: web.Request) -> web.Response:
        states = request.query.getall("state", [])
        bounds = {name: text for name, text in request.query.items() if name.endswith(("_gte", "_lte"))}
        try:
            limits = {name: instant(text) for name, text in bounds.items()}
        except ValueError:
            return self.error(422 if self.three else 400, "Input should be a valid datetime")
        if self.three and set(states) - {"queued", "running", "success", "failed"}:
            return self.error(422, "Invalid value for state. Valid values are queued, running, success, failed")
        rows = [
            row
            for row in self.runs.values()
            if (not states or row["state"] in states) and all(self._within(row, *limit) for limit in limits.items())
        ]
        answer = self._listed(request, "dag_runs", rows)
        self.meanwhile()
        return answer

    def _within(self, row: Mapping[str, Any], bound: str, limit: datetime) -> bool:
        """What has no such date yet passes in 3.x, as if it were the present one."""
        moment = row[bound.rpartition("_")[0]] or (
            max(self.at, limit) if self.three and bound.endswith("_gte") else None
        )
        if moment is None:
            return self.three and self.at <= limit
        return bool(moment >= limit if bound.endswith("_gte") else moment <= limit)

    async def _run(self, request: web.Request) -> web.Response:
        row = self.runs.get(f"{request.match_info['dag_id']}:{request.match_info['run_id']}")
        return (
            web.json_response(self.written(row), headers=self.headers) if row else self.error(404, "DAGRun not found")
        )

    async def _log(self, request: web.Request) -> web.Response:
        query = request.query
        if "included_events" in query and self.release in ("2.6.3", "2.8.4"):
            return self.error(400, "Extra query parameter(s) included_events not in spec")
        events = query.getall("included_events", []) if self.three else query.get("included_events", "").split(",")
        rows = [
            row
            for row in self.log
            if (not any(events) or row["event"] in events)
            and all(row[name] == query[name] for name in ("dag_id", "run_id") if name in query)
            and ("after" not in query or row["when"] > instant(query["after"]))
        ]
        return self._listed(request, "event_logs", rows)

    def _listed(self, request: web.Request, name: str, rows: Sequence[Mapping[str, Any]]) -> web.Response:
        query = request.query
        if name in self.forbidden:
            return self.error(403, "Forbidden")
        if not self.three and (unknown := sorted(set(query) - TAKES[name])):
            return self.error(400, f"Extra query parameter(s) {', '.join(unknown)} not in spec")
        order = query.get("order_by", {"dags": "dag_id", "dag_runs": "id", "event_logs": "event_log_id"}[name])
        by, backwards = order.lstrip("-"), order.startswith("-")
        if by not in ORDERS[name]:
            said = f"Ordering with '{by}' is disallowed or the attribute does not exist on the model"
            return self.error(400, said)
        if by != "id":
            # As in PostgreSQL: what has none counts as the greatest.
            rows = sorted(rows, key=lambda row: (row[by] is None, row[by]), reverse=backwards)
        size = min(int(query.get("limit", 50 if self.three else 100)), self.most)
        start = int(query.get("offset", 0))
        more = {"total_entries_limit": None, "next_cursor": None, "previous_cursor": None} if self.three else {}
        page = [self.written(row) for row in rows[start : start + size]]
        return web.json_response({name: page, "total_entries": len(rows), **more}, headers=self.headers)

    def written(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row as the release writes it. When it was changed, no release tells."""
        return {name: self._text(value) for name, value in row.items() if name != "updated_at"}

    def _text(self, value: Any) -> Any:
        if not isinstance(value, datetime):
            return value
        text = value.isoformat()
        return text.replace("+00:00", "Z") if self.three else text

    def error(self, status: int, detail: str) -> web.Response:
        if self.three:
            said: Any = [{"type": "value_error", "loc": ["query"], "msg": detail}] if status == 422 else detail
            return web.json_response({"detail": said}, status=status, headers=self.headers)
        body = {"detail": detail, "status": status, "title": "Refused", "type": "about:blank"}
        return web.json_response(body, status=status, headers=self.headers)


def instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
