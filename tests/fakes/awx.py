"""A fake AWX: its REST API over jobs, approvals and templates that tests add to while it is served.

It filters, sorts, cuts into pages and refuses as Django's views there do.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from aiohttp import web

from exporter.demo.fakes.fault import Faults, Handler

Row = dict[str, Any]

DEFAULT = 25
FIRST = {"job": 4001, "template": 7, "other": 1}  # ids
RESERVED = {"page", "page_size", "format", "order", "order_by", "search", "type", "count_disabled", "limit"}
KINDS: dict[str, Callable[[str], Any]] = {  # of the fields that may be asked for
    "id": int,
    "unified_job_template": int,
    **dict.fromkeys(("name", "status", "launch_type", "operation", "object1", "job_explanation"), str),
    **dict.fromkeys(("created", "modified", "started", "finished", "canceled_on", "timestamp"), datetime.fromisoformat),
    **dict.fromkeys(("failed", "enabled"), lambda text: {"true": True, "false": False}[text]),
}
LOOKUPS: dict[str, Callable[[Any, Any], bool]] = {
    "exact": lambda mine, asked: mine == asked,
    "gt": lambda mine, asked: mine is not None and mine > asked,
    "gte": lambda mine, asked: mine is not None and mine >= asked,
    "lt": lambda mine, asked: mine is not None and mine < asked,
    "lte": lambda mine, asked: mine is not None and mine <= asked,
    "in": lambda mine, asked: mine in asked,
    "isnull": lambda mine, asked: (mine is None) == asked,
}
ENDED = ("successful", "failed", "error", "canceled")
JOB_TYPES = {"job_template": "job", "workflow_job_template": "workflow_job", "project": "project_update"}
LOGIN = "Authentication credentials were not provided. To establish a login session, visit /api/login/."
LOST = "Task was marked as running but was not present in the job queue, so it has been marked as failed."


@dataclass
class Awx:
    """One installation. `platform`: it stands behind the gateway of Ansible Automation Platform."""

    platform: bool = False
    token: str = "sesame"
    password: str = "auditor:pa55"
    most: int = 200  # MAX_PAGE_SIZE
    auditor: bool = True  # else what is not in `shown` is left out of the lists
    shown: set[int] = field(default_factory=set)  # templates
    forbidden: frozenset[str] = frozenset()  # lists that a proxy in front of it refuses
    jobs: dict[int, Row] = field(default_factory=dict)
    approvals: dict[int, Row] = field(default_factory=dict)
    templates: dict[int, Row] = field(default_factory=dict)
    schedules: dict[int, Row] = field(default_factory=dict)
    stream: dict[int, Row] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    asked: list[dict[str, str]] = field(default_factory=list)  # the queries of lists
    ids: dict[str, Iterator[int]] = field(
        default_factory=lambda: {"job": count(4001), "template": count(7), "other": count(1)}
    )

    @property
    def path(self) -> str:
        return "/api/controller/v2" if self.platform else "/api/v2"

    def template(self, name: str, kind: str = "job_template", organization: str = "Platform", **changes: Any) -> int:
        """A template; its id."""
        key = next(self.ids["template"])
        self.templates[key] = {
            "id": key,
            "type": kind,
            "url": f"{self.path}/{kind}s/{key}/",
            "summary_fields": {"organization": {"id": 1, "name": organization, "description": ""}},
            "created": "2025-11-03T08:00:00.000000Z",
            "modified": "2025-12-01T08:00:00.000000Z",
            "name": name,
            "description": "",
            "last_job_run": None,
            "last_job_failed": False,
            "next_job_run": None,
            "status": "never updated",
            "webhook_service": "",
            **changes,
        }
        return key

    def schedule(self, template: int, *, enabled: bool = True, **changes: Any) -> int:
        key = next(self.ids["other"])
        name = f"schedule {key}"
        self.schedules[key] = {"id": key, "type": "schedule", "name": name, "unified_job_template": template}
        self.schedules[key] |= {"enabled": enabled, "rrule": "RRULE:FREQ=DAILY", "extra_data": {}, **changes}
        return key

    def launch(self, template: int, at: datetime, launch_type: str = "manual", within: int | None = None) -> int:
        """A job of a template, pending; `within`: a workflow job. Its id."""
        its, key, then = self.templates[template], next(self.ids["job"]), written(at)
        kind = JOB_TYPES[its["type"]]
        beside: Row = {"unified_job_template": {"id": template, "name": its["name"], "unified_job_type": kind}}
        beside |= {"organization": its["summary_fields"]["organization"]}
        if within:
            launch_type, parent = "workflow", self.jobs[within]
            beside["source_workflow_job"] = {word: parent[word] for word in ("id", "name", "status", "failed")}
        self.jobs[key] = {
            "id": key,
            "type": kind,
            "url": f"{self.path}/{kind}s/{key}/",
            "summary_fields": beside,
            "created": then,
            "modified": then,
            "name": its["name"],
            "description": "",
            "unified_job_template": template,
            "launch_type": launch_type,
            "status": "pending",
            "failed": False,
            "started": None,
            "finished": None,
            "canceled_on": None,
            "elapsed": 0.0,
            "job_explanation": "",
            "launched_by": {"id": 1, "name": "ana", "type": "user", "url": f"{self.path}/users/1/"},
            "extra_vars": "{}",
        }
        if kind == "job":
            self.jobs[key] |= {"artifacts": {}, "job_slice_number": 0, "job_slice_count": 1, "scm_revision": ""}
        elif kind == "workflow_job":
            self.jobs[key] |= {"is_sliced_job": False}
        return key

    def enter(self, job: int, status: str, at: datetime, **changes: Any) -> None:
        """A job enters a status, as its model saves it."""
        row, then = self.jobs[job], written(at)
        row |= {"status": status, "modified": then, "failed": status in ("failed", "error", "canceled")}
        if status == "running":
            row["started"] = row["started"] or then
        if status in ENDED:
            row["finished"] = row["finished"] or then
            template = self.templates.get(row["unified_job_template"])
            if template:
                template |= {"last_job_run": then, "last_job_failed": row["failed"], "status": status}
        row |= changes

    def execute(self, template: int, at: datetime, end: datetime, status: str = "successful", **changes: Any) -> int:
        """A job from launch to end; its id."""
        job = self.launch(template, at)
        self.enter(job, "running", at)
        self.enter(job, status, end, **changes)
        return job

    def approve(self, workflow_job: int, at: datetime) -> int:
        """A workflow job comes to a node that waits for a person; the id of the approval."""
        parent, key, then = self.jobs[workflow_job], next(self.ids["job"]), written(at)
        self.approvals[key] = {
            "id": key,
            "type": "workflow_approval",
            "summary_fields": {
                "workflow_job": {"id": workflow_job, "name": parent["name"], "description": ""},
                "source_workflow_job": {word: parent[word] for word in ("id", "name", "status", "failed")},
            },
            "created": then,
            "modified": then,
            "name": "Approve",
            "unified_job_template": parent["unified_job_template"],
            "launch_type": "workflow",
            "status": "pending",
            "failed": False,
            "started": then,
            "finished": None,
            "canceled_on": None,
            "timed_out": False,
        }
        return key

    def decide(self, approval: int, at: datetime, status: str = "successful", by: str = "bo") -> None:
        """Somebody decides, or nobody (`by` is empty): then it times out or is cancelled."""
        row = self.approvals[approval]
        row |= {"status": status, "finished": written(at), "modified": written(at), "failed": status != "successful"}
        row["timed_out"] = status == "failed" and not by
        if by:
            row["summary_fields"]["approved_or_denied_by"] = {
                "id": 7,
                "username": by,
                "first_name": "",
                "last_name": "",
            }

    def delete(self, job: int, at: datetime) -> None:
        """Somebody deletes a job."""
        row, key = self.jobs.pop(job), next(self.ids["other"])
        self.stream[key] = {"id": key, "type": "activity_stream", "timestamp": written(at), "operation": "delete"}
        self.stream[key] |= {"changes": {"name": row["name"], "id": job}, "object1": row["type"], "object2": ""}

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(), self._authenticated])
        lists: dict[str, Callable[[], Iterable[Row]]] = {
            "unified_jobs": self.jobs.values,
            "workflow_jobs": lambda: [row for row in self.jobs.values() if row["type"] == "workflow_job"],
            "workflow_approvals": self.approvals.values,
            "unified_job_templates": self.templates.values,
            "schedules": self.schedules.values,
            "activity_stream": self.stream.values,
        }

        def list_of(name: str, rows: Callable[[], Iterable[Row]]) -> Handler:
            async def answer(request: web.Request) -> web.Response:
                return self._listed(request, name, [row for row in rows() if self._may_see(name, row)])

            return answer

        for name, rows in lists.items():
            app.router.add_get(f"{self.path}/{name}/", list_of(name, rows))
        app.router.add_get(f"{self.path}/ping/", self._ping)
        app.router.add_get(f"{self.path}/me/", self._me)
        app.router.add_post("/o/token/" if self.platform else "/api/o/token/", self._token)
        return app

    @property
    def _authenticated(self) -> Any:
        wanted = {f"Bearer {self.token}", f"Basic {base64.b64encode(self.password.encode()).decode()}"}

        @web.middleware
        async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
            open_to_all = request.path.endswith(("/ping/", "/o/token/"))
            if not open_to_all and request.headers.get("Authorization") not in wanted:
                headers = {"WWW-Authenticate": "Bearer realm=api authorization_url=/api/o/authorize/"}
                return web.json_response({"detail": LOGIN}, status=401, headers=headers)
            if self.forbidden & set(request.path.split("/")):
                return refusal("You do not have permission to perform this action.", 403)
            return await handler(request)

        return authenticated

    def _may_see(self, name: str, row: Row) -> bool:
        if self.auditor:
            return True
        return name != "activity_stream" and row.get("unified_job_template", row["id"]) in self.shown

    async def _ping(self, _request: web.Request) -> web.Response:
        return web.json_response({"ha": False, "version": "24.6.1", "active_node": "awx-1", "instances": []})

    async def _me(self, _request: web.Request) -> web.Response:
        me = {"id": 3, "username": "exporter", "is_superuser": False, "is_system_auditor": self.auditor}
        return web.json_response({"count": 1, "next": None, "previous": None, "results": [me]})

    async def _token(self, request: web.Request) -> web.Response:
        """Takes forms alone, from a client that says who it is in a header."""
        form = await request.post()
        client = "Basic " + base64.b64encode(b"exporter:s3cret").decode()
        if request.headers.get("Authorization") != client or "client_secret" in form:
            return web.json_response({"error": "invalid_client"}, status=401)
        if (form.get("grant_type"), form.get("refresh_token")) != ("refresh_token", "first"):
            return web.json_response({"error": "invalid_grant"}, status=400)
        given = {"access_token": self.token, "expires_in": 31536000000, "refresh_token": "second", "scope": "read"}
        return web.json_response({**given, "token_type": "Bearer"})

    def _listed(self, request: web.Request, name: str, rows: list[Row]) -> web.Response:
        query = request.query
        self.asked.append(dict(query))
        try:
            found = ordered(filtered(rows, query.items()), query.get("order_by", query.get("order", "")))
            number, size = int(query.get("page", 1)), min(int(query.get("page_size", DEFAULT)), self.most)
        except KeyError as error:
            return refusal(f"{name} has no field named {error}", 400)
        except ValueError as error:
            return refusal(str(error), 400)
        total = self.most if "count_disabled" in query else len(found)
        if number < 1 or (number > 1 and ((number - 1) * size >= total or "count_disabled" in query)):
            return refusal("Invalid page.", 404)
        page = found[(number - 1) * size : number * size]
        if "count_disabled" in query:
            return web.json_response({"results": page})
        following = request.rel_url.update_query(page=number + 1, page_size=size)
        link = str(following) if number * size < total else None
        return web.json_response({"count": total, "next": link, "previous": None, "results": page})


def refusal(detail: str, status: int) -> web.Response:
    return web.json_response({"detail": detail}, status=status)


def filtered(rows: Iterable[Row], query: Iterable[tuple[str, str]]) -> list[Row]:
    """The rows for which all conditions hold, and of those with `or__` one."""
    every, some = list[Callable[[Row], bool]](), list[Callable[[Row], bool]]()
    for name, text in query:
        if name == "type":
            every.append(of_types(text.split(",")))
        elif name not in RESERVED:
            (some if name.startswith("or__") else every).append(condition(name.removeprefix("or__"), text))
    return [row for row in rows if all(it(row) for it in every) and (not some or any(it(row) for it in some))]


def of_types(types: Sequence[str]) -> Callable[[Row], bool]:
    return lambda row: row["type"] in types


def condition(name: str, text: str) -> Callable[[Row], bool]:
    plain = name.removeprefix("not__")
    path, _, word = plain.rpartition("__")
    path, lookup = (path, word) if word in LOOKUPS and path else (plain, "exact")
    if path == "type":  # what is asked for is compared sign by sign where a list is meant
        values = [*text] if lookup == "in" else text.replace("_", "")
        return lambda row: LOOKUPS[lookup](row["type"].replace("_", ""), values) != (plain != name)
    kind = KINDS[path]
    if lookup == "isnull":
        asked: Any = KINDS["enabled"](text)
    else:
        asked = [kind(each) for each in text.split(",")] if lookup == "in" else kind(text)

    return lambda row: LOOKUPS[lookup](held(row, path), asked) != (plain != name)


def held(row: Row, path: str) -> Any:
    """What the database holds."""
    kind = KINDS[path]
    return kind(row[path]) if isinstance(row.get(path), str) else row.get(path)


def ordered(rows: Sequence[Row], order: str) -> list[Row]:
    """In order of ids where nothing is said. What is empty comes last, and in descending order first."""
    found = sorted(rows, key=lambda row: row["id"])
    for name in reversed([each for each in order.split(",") if each]):
        path = name.removeprefix("-")
        found.sort(key=place(path), reverse=name != path)
    return found


def place(path: str) -> Callable[[Row], Any]:
    return lambda row: (held(row, path) is None, held(row, path) or 0)


def written(at: datetime) -> str:
    """As Django writes it: without a fraction where there is none."""
    return at.isoformat().replace("+00:00", "Z")
