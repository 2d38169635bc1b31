"""A fake n8n: its public API v1 over workflows and executions that a simulation adds to while it is served."""

import base64
import json
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from aiohttp import web

from exporter.demo.fakes.fault import Faults, Handler

STATUSES = ("canceled", "crashed", "error", "new", "running", "success", "unknown", "waiting")
OLD_STATUSES = ("canceled", "error", "success", "waiting")
PARAMETERS = {"limit", "cursor", "status", "workflowId", "projectId", "includeData"}
NEW_PARAMETERS = {*PARAMETERS, "startedAfter", "startedBefore", "redactExecutionData", "ignoreDataSizeLimit"}


@dataclass
class N8n:
    """One instance. `old` behaves as before 1.112: fewer statuses, unknown parameters refused, waiting ones hidden."""

    key: str = "n8n-key"
    old: bool = False
    scopes: frozenset[str] | None = None  # of the key, such as execution:list; None: all
    workflows: dict[str, dict[str, Any]] = field(default_factory=dict)
    executions: dict[int, dict[str, Any]] = field(default_factory=dict)
    data: dict[int, dict[str, Any]] = field(default_factory=dict)  # by execution; only given with includeData
    custom_data: dict[int, dict[str, Any]] = field(default_factory=dict)  # by execution; lists leave it out
    faults: Faults = field(default_factory=Faults)
    last_id: int = 1000

    def add_workflow(
        self,
        name: str,
        at: datetime,
        *,
        tags: tuple[str, ...] = (),
        project: str = "Operations",
        systems: tuple[str, ...] = ("erp",),
    ) -> str:
        """A new active workflow that calls some systems; its id."""
        key = f"wf{len(self.workflows) + 1:04}"
        nodes = [{"name": "Webhook", "type": "n8n-nodes-base.webhook", "parameters": {"path": key}}]
        nodes += [calling(number, system) for number, system in enumerate(systems, 1)]
        owner = {"id": f"p-{project}", "name": project, "type": "team"}
        self.workflows[key] = {
            "id": key,
            "name": name,
            "active": True,
            "isArchived": False,
            "createdAt": stamp(at),
            "updatedAt": stamp(at),
            "nodes": nodes,
            "connections": {},
            "settings": {"executionOrder": "v1"},
            "tags": [{"id": f"t-{tag}", "name": tag} for tag in tags],
            "shared": [{"role": "workflow:owner", "projectId": owner["id"], "project": owner}],
        }
        return key

    def start(self, workflow: str, at: datetime, *, mode: str = "webhook", retry_of: int | None = None) -> int:
        """A new running execution; its id."""
        self.last_id += 1
        self.executions[self.last_id] = {
            "id": str(self.last_id),
            "finished": False,
            "mode": "retry" if retry_of else mode,
            "retryOf": str(retry_of) if retry_of else None,
            "retrySuccessId": None,
            "status": "running",
            "startedAt": stamp(at),
            "stoppedAt": None,
            "workflowId": workflow,
            "waitTill": None,
        }
        return self.last_id

    def wait(self, execution: int, at: datetime) -> None:
        """The execution parks until somebody calls."""
        self.executions[execution] |= {
            "status": "waiting",
            "stoppedAt": stamp(at),
            "waitTill": "3000-01-01T00:00:00.000Z",
        }

    def end(self, execution: int, at: datetime, status: str = "success", *, business: bool = False) -> None:
        """The execution ends: success, error, canceled or crashed. An error is a rejection (business) or accident."""
        row = self.executions[execution]
        row |= {"status": status, "stoppedAt": stamp(at), "finished": status == "success", "waitTill": None}
        if status == "success" and row["retryOf"]:
            self.executions[int(row["retryOf"])]["retrySuccessId"] = row["id"]
        if status == "error":
            node = "n8n-nodes-base.stopAndError" if business else "n8n-nodes-base.httpRequest"
            error = {"name": "NodeOperationError", "message": "made up", "node": {"name": "Node", "type": node}}
            self.data[execution] = {"resultData": {"error": error, "runData": {}}}

    def prune(self, execution: int) -> None:
        """The execution is deleted, as n8n does with old ones."""
        del self.executions[execution]

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(), self._authenticated])
        app.router.add_get("/api/v1/executions", self._executions)
        app.router.add_get("/api/v1/executions/{id}", self._execution)
        app.router.add_get("/api/v1/workflows", self._workflows)
        app.router.add_get("/api/v1/workflows/{id}", self._workflow)
        return app

    @property
    def _authenticated(self) -> Any:
        @web.middleware
        async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.headers.get("X-N8N-API-KEY") != self.key:
                return message(401, "unauthorized")
            *_, what = request.match_info.route.resource.canonical.removesuffix("/{id}").split("/")  # type: ignore[union-attr] # every route has one
            scope = f"{what.removesuffix('s')}:{'read' if 'id' in request.match_info else 'list'}"
            if self.scopes is not None and scope not in self.scopes:
                return message(403, "Forbidden")
            return await handler(request)

        return authenticated

    async def _executions(self, request: web.Request) -> web.Response:
        query = request.query
        for name in query:
            if name not in (PARAMETERS if self.old else NEW_PARAMETERS):
                return message(400, f"Unknown query parameter '{name}'")
        status, limit = query.get("status"), int(query.get("limit", 100))
        if status and status not in (OLD_STATUSES if self.old else STATUSES):
            return message(
                400, "request/query/status must be equal to one of the allowed values: " + ", ".join(OLD_STATUSES)
            )
        if self.old and limit > 250:
            return message(400, "request/query/limit must be <= 250")
        below = None
        if "cursor" in query:
            try:
                place = json.loads(base64.b64decode(query["cursor"], validate=True))
            except ValueError:
                return message(400, "An invalid cursor was provided")
            below, limit = int(place["lastId"]), place["limit"]
        ids = sorted(self.executions)
        ids = ids if below is None else ids[: bisect_left(ids, below)]
        rows = (self.executions[key] for key in reversed(ids))
        page = list(islice((row for row in rows if self._listed(row, query)), limit + 1))  # one more: is there a next?
        more, page = len(page) > limit, page[:limit]
        place = {"lastId": page[-1]["id"], "limit": limit} if more else None
        return web.json_response({"data": page, "nextCursor": encoded(place)})

    def _listed(self, row: dict[str, Any], query: Any) -> bool:
        """The list leaves out what is active in memory unless asked for by status."""
        if query.get("workflowId", row["workflowId"]) != row["workflowId"]:
            return False
        hidden = ("running", "waiting") if self.old else ("running",)
        wanted = query.get("status")
        if wanted is None or self.old:
            return row["status"] not in hidden and wanted in (
                None,
                row["status"],
                "error" if row["status"] == "crashed" else None,
            )
        return bool(row["status"] == wanted)

    async def _execution(self, request: web.Request) -> web.Response:
        key = request.match_info["id"]
        row = self.executions.get(int(key)) if key.isdecimal() else None
        if row is None:
            return message(404, "Not Found")
        full = {**row, "createdAt": row["startedAt"], "deletedAt": None}
        full["customData"] = self.custom_data.get(int(key), {})
        if request.query.get("includeData") == "true":
            full |= {"data": self.data.get(int(key), {"resultData": {"runData": {}}})}
        return web.json_response(full)

    async def _workflows(self, request: web.Request) -> web.Response:
        limit, offset = int(request.query.get("limit", 100)), 0
        if "cursor" in request.query:
            place = json.loads(base64.b64decode(request.query["cursor"]))
            limit, offset = place["limit"], place["offset"]
        rows = [{**row, "shared": [listed(shared) for shared in row["shared"]]} for row in self.workflows.values()]
        following = {"limit": limit, "offset": offset + limit} if len(rows) > offset + limit else None
        return web.json_response({"data": rows[offset : offset + limit], "nextCursor": encoded(following)})

    async def _workflow(self, request: web.Request) -> web.Response:
        row = self.workflows.get(request.match_info["id"])
        return web.json_response(row) if row else message(404, "Not Found")


def calling(number: int, system: str) -> dict[str, Any]:
    """A node that calls a system, with a credential of its own."""
    return {
        "name": "Call",
        "type": "n8n-nodes-base.httpRequest",
        "parameters": {"url": f"https://{system}.example.test/api"},
        "credentials": {"httpHeaderAuth": {"id": f"c{number}", "name": f"{system.upper()} key"}},
    }


def listed(shared: dict[str, Any]) -> dict[str, Any]:
    """Lists tell a project's id only."""
    return {key: value for key, value in shared.items() if key != "project"}


def stamp(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def encoded(place: dict[str, Any] | None) -> str | None:
    return base64.b64encode(json.dumps(place).encode()).decode() if place else None


def message(status: int, text: str) -> web.Response:
    return web.json_response({"message": text}, status=status)
