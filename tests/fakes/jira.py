"""A fake Jira, Cloud or Data Center: what its REST interface says of issues that a test adds to while it is served."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from aiohttp import web

from tests.fakes.jira_jql import BadJqlError, Query

Handler = Callable[[web.Request], Any]

STATUSES = {  # name -> id and category
    "Open": ("1", "new"),
    "In progress": ("3", "indeterminate"),
    "Waiting for support": ("10101", "indeterminate"),
    "Waiting for customer": ("10102", "indeterminate"),
    "Escalated": ("10103", "indeterminate"),
    "Pending": ("10104", "indeterminate"),
    "Implementing": ("10111", "indeterminate"),
    "Odd": ("10199", "undefined"),
    "Resolved": ("10105", "done"),
    "Closed": ("10106", "done"),
    "Canceled": ("10107", "done"),
    "Completed": ("10108", "done"),
    "Failed": ("10109", "done"),
    "Declined": ("10110", "done"),
}
SD = "com.atlassian.servicedesk"
CUSTOM = {  # id -> name, type, and what only Cloud tells: its name in English
    "customfield_10010": ("Anfragetyp", f"{SD}:vp-origin", "Request Type"),
    "customfield_10105": ("Zufriedenheit", f"{SD}:sd-request-feedback", "Satisfaction"),
    "customfield_10106": ("Datum der Bewertung", f"{SD}:sd-request-feedback-date", "Satisfaction date"),
    "customfield_10111": ("Zeit bis zur Erledigung", f"{SD}:sd-sla-field", "Time to resolution"),
    "customfield_10112": ("Zeit bis zur Antwort", f"{SD}:sd-sla-field", "Time to first response"),
    "customfield_10120": ("Approvals", f"{SD}.approvals-plugin:sd-approvals", None),
    "customfield_10130": (
        "Affected services", "com.atlassian.jira.plugins.service-entity:service-entity-field-cftype", None,
    ),
    "customfield_10140": ("Severity", "com.atlassian.jira.plugin.system.customfieldtypes:select", None),
    "customfield_10141": ("Change type", "com.atlassian.jira.plugin.system.customfieldtypes:select", None),
    "customfield_10150": ("Team", "com.atlassian.jira.plugin.system.customfieldtypes:select", None),
    "customfield_10151": ("Support level", "com.atlassian.jira.plugin.system.customfieldtypes:select", None),
}  # fmt: skip
SYSTEM = ("summary", "status", "resolution", "priority", "assignee", "reporter", "created", "updated", "comment")
MEMBERS = {  # of questions; any other is refused
    "search/jql": {
        *("expand", "fields", "fieldsByKeys", "jql", "maxResults", "nextPageToken", "properties", "reconcileIssues"),
    },
    "changelog/bulkfetch": {"fieldIds", "issueIdsOrKeys", "maxResults", "nextPageToken"},
    "issue/bulkfetch": {"expand", "fields", "fieldsByKeys", "issueIdsOrKeys", "properties"},
    "search": {"expand", "fields", "fieldsByKeys", "jql", "maxResults", "properties", "startAt", "validateQuery"},
}


@dataclass
class Issue:
    """One issue. Times are datetimes here; they are written as Jira writes them when they are sent."""

    id: str
    key: str
    fields: dict[str, Any]
    properties: dict[str, Any] = field(default_factory=dict)
    histories: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Jira:
    """One site, as one account sees it. What people are, their names say: customer-ann, app-rules, agent-bob."""

    cloud: bool = True
    user: str = "exporter@example.test"
    token: str = "ATATT-token"
    zone: tzinfo = UTC  # of the account: times are written in it
    at: datetime = datetime(2026, 3, 31, tzinfo=UTC)  # its clock
    release: tuple[int, int, int] = (9, 12, 4)
    projects: dict[str, str] = field(default_factory=lambda: {"ITS": "service_desk", "DEV": "software"})  # key -> type
    sees: set[str] | None = None  # keys of projects; None: all
    lacks: set[str] = field(default_factory=set)  # keys of permissions
    scopes: frozenset[str] | None = None  # of the token; None: it has none, and may do what the account may
    plain: bool = False  # without Jira Service Management
    captcha: bool = False  # wanted after failed log-ins
    types: Sequence[str] = ("[System] Service request", "[System] Incident", "[System] Change")
    most: int = 100  # issues in one page, whatever is asked for
    most_histories: int = 10_000
    comments_sent: int = 20  # along with an issue
    allowed: int | None = None  # requests, before there are too many
    statuses: dict[str, tuple[str, str]] = field(default_factory=lambda: dict(STATUSES))
    issues: dict[str, Issue] = field(default_factory=dict)
    unindexed: set[str] = field(default_factory=set)  # ids that the search does not find yet
    out_of_order: set[str] = field(default_factory=set)  # ids that are sent only as a search finds them
    unsearchable: set[str] = field(default_factory=set)  # custom fields
    asked: list[tuple[str, Any]] = field(default_factory=list)  # paths below the API, with the body
    last_id: int = 10_000
    last_change: int = 50_000
    tokens: dict[str, tuple[str, Any]] = field(default_factory=dict)

    def person(self, name: str) -> dict[str, Any]:
        kind = {"customer": "customer", "app": "app", "gone": "unknown"}.get(name.partition("-")[0], "atlassian")
        if not self.cloud:
            return {"name": name, "key": f"JIRAUSER-{name}", "displayName": f"{name} herself", "active": True}
        return {"accountId": f"712020:{name}", "accountType": kind, "displayName": name, "active": True}

    def create(
        self,
        reporter: str | None,
        at: datetime,
        *,
        kind: str = "[System] Service request",
        project: str = "ITS",
        status: str = "Waiting for support",
        **fields: Any,
    ) -> str:
        """A new issue; its id."""
        self.last_id += 1
        key = str(self.last_id)
        its: dict[str, Any] = dict.fromkeys(CUSTOM)
        who = self.person(reporter) if reporter else None
        its |= {
            "summary": "Reset my password", "issuetype": {"id": "10012", "name": kind, "subtask": False},
            "project": {"key": project, "projectTypeKey": self.projects[project]}, "created": at, "updated": at,
            "status": self.status(status), "resolution": None, "resolutiondate": None, "priority": {"name": "Medium"},
            "reporter": who, "creator": who, "assignee": None, "components": [], "labels": [], "issuelinks": [],
            "timespent": None, "statuscategorychangedate": at, **fields,
        }  # fmt: skip
        self.issues[key] = Issue(key, f"{project}-{self.last_id - 10_000}", its)
        return key

    def status(self, name: str) -> dict[str, Any]:
        key, category = self.statuses[name]
        return {"id": key, "name": name, "statusCategory": {"id": 2, "key": category, "name": "Irgendwie"}}

    def changed(self, key: str, who: str | None, at: datetime, *items: tuple[str, Any, Any, str]) -> None:
        """Changes of fields in one go: the field, the ids before and after, and what it is called then."""
        self.last_change += 1
        told = [
            {
                "field": CUSTOM[name][0] if name in CUSTOM else name,
                **({"fieldId": name} if self.cloud else {}),
                "fieldtype": "jira",
                "from": old,
                "to": new,
                "toString": called,
            }
            for name, old, new, called in items
        ]
        author = self.person(who) if who else None
        self.issues[key].histories.append({"id": str(self.last_change), "author": author, "created": at, "items": told})
        self.issues[key].fields["updated"] = at

    def move(self, key: str, name: str, who: str, at: datetime, *, resolution: str | None = "Done") -> None:
        """Into another status; into one of the end with a resolution, out of it without."""
        its = self.issues[key].fields
        before, after = its["status"], self.status(name)
        items = [("status", before["id"], after["id"], name)]
        over, was = (each["statusCategory"]["key"] == "done" for each in (after, before))
        if over != was:
            its["statuscategorychangedate"] = at
            its["resolution"] = {"id": "10000", "name": resolution} if over and resolution else None
            its["resolutiondate"] = at if over and resolution else None
            items.append(("resolution", None if over else "10000", "10000" if over else None, resolution or ""))
        its["status"] = after
        self.changed(key, who, at, *items)

    def assign(self, key: str, to: str, who: str, at: datetime) -> None:
        self.issues[key].fields["assignee"] = self.person(to)
        self.changed(key, who, at, ("assignee", None, self.person(to).get("accountId", to), to))

    def comment(self, key: str, who: str, at: datetime, *, public: bool = True) -> None:
        self.last_change += 1
        shown = {"jsdPublic": public} if self.cloud else {}
        said = {"id": str(self.last_change), "author": self.person(who), "created": at, "updated": at, **shown}
        self.issues[key].comments.append(said)
        self.issues[key].fields["updated"] = at

    def rate(self, key: str, rating: Any, at: datetime) -> None:
        """By its requester. That does not change the issue."""
        self.issues[key].fields |= {"customfield_10105": rating, "customfield_10106": at}

    def app(self, path: str = "") -> web.Application:
        """The site, below a path where there is a context path or a gateway."""
        app = web.Application(middlewares=[self._guard])
        api = f"{path}/rest/api/{'3' if self.cloud else '2'}"
        app.router.add_get(f"{path}/rest/api/2/serverInfo", self._server_info)
        routes: dict[str, Handler] = {
            "issuetype": self._types,
            "myself": self._myself,
            "field": self._fields,
            "status": self._statuses,
            "mypermissions": self._mine,
        }
        routes |= {"project/{key}": self._project, "issue/{id}/comment": self._comments}
        for name, handler in routes.items():
            app.router.add_get(f"{api}/{name}", handler)
        if self.cloud:
            app.router.add_get(f"{api}/project/search", self._project_search)
            app.router.add_post(f"{api}/search/jql", self._search_by_token)
            app.router.add_post(f"{api}/changelog/bulkfetch", self._changelogs)
            app.router.add_post(f"{api}/issue/bulkfetch", self._bulk)
            for version in "23":
                app.router.add_route("*", f"{path}/rest/api/{version}/search", self._removed)
        else:
            app.router.add_get(f"{api}/project", self._project_list)
            app.router.add_post(f"{api}/search", self._search_by_number)
        return app

    @property
    def _guard(self) -> Any:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.asked.append((request.path.rpartition("/rest/api/")[2][2:], await body_of(request)))
            if self.allowed is not None:
                self.allowed -= 1
                if self.allowed < 0:
                    until = self.at.replace(minute=self.at.minute + 2)
                    headers = {"X-RateLimit-Reset": f"{until:%Y-%m-%dT%H:%MZ}", "RateLimit-Reason": "jira-burst-based"}
                    return web.Response(status=429, headers={"X-RateLimit-Remaining": "0", **headers, **self._date})
            if "Authorization" in request.headers and not self._knows(request):
                return web.Response(status=401, text="Client must be authenticated to access this resource.")
            if self.scopes is not None and scope(request.path) not in self.scopes:
                return web.json_response({"code": 401, "message": "Unauthorized; scope does not match"}, status=401)
            if self.captcha and self._knows(request):
                return web.Response(status=403, headers={"X-Authentication-Denied-Reason": "CAPTCHA_CHALLENGE"})
            try:
                return await handler(request)  # type: ignore[no-any-return]
            except BadJqlError as error:
                return refusal(400, str(error))

        return guard

    @property
    def _date(self) -> dict[str, str]:
        return {"Date": f"{self.at:%a, %d %b %Y %H:%M:%S} GMT"}

    def _knows(self, request: web.Request) -> bool:
        basic = "Basic " + base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
        return request.headers.get("Authorization") in (basic, f"Bearer {self.token}")

    def _visible(self, request: web.Request) -> set[str]:
        return set(self.projects if self.sees is None else self.sees) if self._knows(request) else set()

    async def _server_info(self, request: web.Request) -> web.Response:
        kind, numbers = ("Cloud", [1001, 0, 0]) if self.cloud else ("Server", [*self.release])
        web_ = str(request.url.origin()) + request.path.partition("/rest/")[0]
        version = ".".join(map(str, numbers))
        told = {"baseUrl": web_, "deploymentType": kind, "version": version, "versionNumbers": numbers}
        return web.json_response(told)

    async def _myself(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return web.Response(status=401, text="Client must be authenticated to access this resource.")
        return web.json_response({**self.person("agent-exporter"), "timeZone": str(self.zone)})

    async def _fields(self, _: web.Request) -> web.Response:
        found: list[dict[str, Any]] = [{"id": name, "name": name, "custom": False} for name in SYSTEM]
        for key, (name, kind, english) in CUSTOM.items():
            if self.plain and "servicedesk" in kind:
                continue
            schema = {"type": "any", "custom": kind, "customId": int(key[-5:])}
            told = {"untranslatedName": english} if self.cloud and english else {}
            found.append({"id": key, "name": name, "custom": True, "schema": schema, **told})
        found.append({"id": "customfield_10999", "name": "Of an app that is gone", "custom": True})
        return web.json_response([*found, {"id": "thumbnail", "name": "Images", "custom": False}])

    async def _statuses(self, _: web.Request) -> web.Response:
        return web.json_response([self.status(name) for name in self.statuses])

    async def _types(self, _: web.Request) -> web.Response:
        return web.json_response([{"id": str(n), "name": name, "subtask": False} for n, name in enumerate(self.types)])

    async def _project_list(self, request: web.Request) -> web.Response:
        return web.json_response([self._told(key) for key in sorted(self._visible(request))])

    def _told(self, key: str) -> dict[str, Any]:
        return {"id": "10010", "key": key, "name": key, "projectTypeKey": self.projects[key]}

    async def _project_search(self, request: web.Request) -> web.Response:
        if set(request.query) - {"startAt", "maxResults", "typeKey"}:
            return refusal(400, "unknown parameter")
        start, size = int(request.query.get("startAt", 0)), min(int(request.query.get("maxResults", 50)), 50)
        kind = request.query.get("typeKey")
        found = [self._told(key) for key in sorted(self._visible(request)) if kind in (None, self.projects[key])]
        page = found[start : start + size]
        return web.json_response({"startAt": start, "maxResults": size, "total": len(found), "values": page})

    async def _project(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        if key not in self._visible(request):
            return refusal(404, f"No project could be found with key '{key}'.")
        return web.json_response(self._told(key))

    async def _mine(self, request: web.Request) -> web.Response:
        asked = request.query["permissions"].split(",")
        return web.json_response(
            {"permissions": {key: {"key": key, "havePermission": key not in self.lacks} for key in asked}}
        )

    async def _removed(self, _: web.Request) -> web.Response:
        return refusal(410, "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API.")

    async def _search_by_token(self, request: web.Request) -> web.Response:
        asked = await body_of(request)
        if fault := unlike("search/jql", asked) or wrong_size(asked, 5000) or wrong_properties(asked):
            return refusal(400, fault)
        token, jql = asked.get("nextPageToken"), asked["jql"]
        if token and self.tokens.get(token, ("",))[0] != jql:
            return refusal(400, "The provided next page token is invalid or expired.")
        found, query = self._found(request, jql)
        found.sort(key=lambda issue: place_of(issue, query))
        if token:
            found = [issue for issue in found if place_of(issue, query) > self.tokens[token][1]]
        fields = asked.get("fields") or ["id"]
        size = asked.get("maxResults", 50)
        size = size if set(fields) <= {"id", "created"} else min(size, self.most)
        told: dict[str, Any] = {"issues": [self._sent(issue, asked, fields) for issue in found[:size]], "isLast": False}
        if len(found) > size:
            told["nextPageToken"] = f"token-{len(self.tokens)}"
            self.tokens[told["nextPageToken"]] = jql, place_of(found[size - 1], query)
        return web.json_response(told)

    async def _search_by_number(self, request: web.Request) -> web.Response:
        asked = await body_of(request)
        if fault := unlike("search", asked):
            return refusal(400, fault)
        found, query = self._found(request, asked["jql"], valid=asked.get("validateQuery", True))
        # The index is in order of whole seconds.
        found.sort(key=lambda issue: (place_of(issue, query)[0].replace(microsecond=0), -int(issue.id)))
        start, size = asked.get("startAt", 0), min(asked.get("maxResults", 50), self.most)
        page = [
            self._sent(issue, asked, asked.get("fields") or ["*navigable"]) for issue in found[start : start + size]
        ]
        return web.json_response({"startAt": start, "maxResults": size, "total": len(found), "issues": page})

    def _found(self, request: web.Request, jql: str, *, valid: bool = True) -> tuple[list[Issue], Query]:
        seen = self._visible(request)
        fields = {f"cf[{key[-5:]}]" for key in CUSTOM if key not in self.unsearchable}
        ids = {issue.id for issue in self.issues.values() if issue.fields["project"]["key"] in seen} if valid else None
        query = Query(jql, self.at, set(self.projects) if not self._knows(request) else seen, fields, ids)
        found = [
            each
            for each in self.issues.values()
            if each.fields["project"]["key"] in seen and each.id not in self.unindexed
        ]
        return [issue for issue in found if query.holds(row(issue))], query

    def _sent(self, issue: Issue, asked: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
        comments = issue.comments[: self.comments_sent] if self.cloud else issue.comments
        told = {"comments": comments, "total": len(issue.comments), "maxResults": len(comments), "startAt": 0}
        every = {**issue.fields, "comment": told, "description": {"type": "doc"}}
        if "*all" in wanted:
            fields = {name: its for name, its in every.items() if f"-{name}" not in wanted}
        else:
            fields = {name: its for name, its in every.items() if name in wanted}
        sent: dict[str, Any] = {"id": issue.id, "key": issue.key, "fields": fields}
        if "properties" in asked:
            sent["properties"] = {key: its for key, its in issue.properties.items() if key in asked["properties"]}
        if "changelog" in asked.get("expand", ()):
            count = len(issue.histories)
            newest_first = issue.histories[::-1]
            sent["changelog"] = {"startAt": 0, "maxResults": count, "total": count, "histories": newest_first}
        whole: dict[str, Any] = written(sent, self.zone)
        return whole

    async def _changelogs(self, request: web.Request) -> web.Response:
        asked = await body_of(request)
        keys, fields = asked.get("issueIdsOrKeys", []), asked.get("fieldIds")
        if fault := unlike("changelog/bulkfetch", asked) or wrong_size(asked, 10_000):
            return refusal(400, fault)
        if not 1 <= len(keys) <= 1000 or (fields is not None and (len(fields) > 10 or len(set(fields)) < len(fields))):
            return refusal(400, "issueIdsOrKeys must hold 1 to 1000, fieldIds at most 10 different ones")
        every = [
            (key, {**history, "items": items, "created": round(history["created"].timestamp() * 1000)})
            for key in keys
            if key in self.issues and self.issues[key].fields["project"]["key"] in self._visible(request)
            for history in self.issues[key].histories
            if (items := [item for item in history["items"] if fields is None or item["fieldId"] in fields])
        ]
        start, size = int(asked.get("nextPageToken", 0)), min(asked.get("maxResults", 1000), self.most_histories)
        logs = dict[str, list[Any]]()
        for key, history in every[start : start + size]:
            logs.setdefault(key, []).append(history)
        told: dict[str, Any] = {
            "issueChangeLogs": [{"issueId": key, "changeHistories": its} for key, its in logs.items()]
        }
        if start + size < len(every):
            told["nextPageToken"] = str(start + size)
        return web.json_response(told)

    async def _bulk(self, request: web.Request) -> web.Response:
        asked = await body_of(request)
        keys = asked.get("issueIdsOrKeys", [])
        if fault := unlike("issue/bulkfetch", asked) or wrong_properties(asked):
            return refusal(400, fault)
        if not 1 <= len(keys) <= 100:
            return refusal(400, "issueIdsOrKeys must hold 1 to 100")
        found = [self.issues[key] for key in keys if key in self.issues and key not in self.out_of_order]
        errors = [{"id": key, "errorMessage": "try again"} for key in keys if key in self.out_of_order]
        seen = [issue for issue in found if issue.fields["project"]["key"] in self._visible(request)]
        sent = [self._sent(issue, asked, asked.get("fields") or ["*navigable"]) for issue in seen]
        return web.json_response({"issues": sent, "issueErrors": errors})

    async def _comments(self, request: web.Request) -> web.Response:
        issue = self.issues.get(request.match_info["id"])
        if issue is None or issue.fields["project"]["key"] not in self._visible(request):
            return refusal(404, "Issue does not exist or you do not have permission to see it.")
        if issue.id in self.out_of_order:
            return refusal(503, "try again")
        if set(request.query) - {"startAt", "maxResults", "orderBy", "expand"}:
            return refusal(400, "unknown parameter")
        start, size = int(request.query.get("startAt", 0)), min(int(request.query.get("maxResults", 100)), 5000)
        page = issue.comments[start : start + size]
        told = {"startAt": start, "maxResults": size, "total": len(issue.comments), "comments": page}
        return web.json_response(written(told, self.zone))


async def body_of(request: web.Request) -> Any:
    return await request.json() if request.method == "POST" and await request.read() else {}


def scope(path: str) -> str:
    """Which scope is needed for a path."""
    return "read:jira-user" if path.endswith(("/myself", "/mypermissions")) else "read:jira-work"


def place_of(issue: Issue, query: Query) -> tuple[Any, int]:
    return issue.fields[query.order or "updated"], int(issue.id)


def row(issue: Issue) -> dict[str, Any]:
    """An issue by the names that a search knows its fields by."""
    its = issue.fields
    custom = {f"cf[{key[-5:]}]": its[key] for key in CUSTOM}
    category = its["status"]["statusCategory"]["key"]
    named = {"project": its["project"]["key"], "statusCategory": category, "id": issue.id}
    return {**custom, **named, "updated": its["updated"], "created": its["created"]}


def unlike(path: str, asked: Mapping[str, Any]) -> str:
    """What a question has that it must not have."""
    unknown = set(asked) - MEMBERS[path]
    return f'Unrecognized field "{min(unknown)}"' if unknown else ""


def wrong_size(asked: Mapping[str, Any], most: int) -> str:
    return "" if 1 <= asked.get("maxResults", 50) <= most else f"maxResults must be between 1 and {most}"


def wrong_properties(asked: Mapping[str, Any]) -> str:
    return "at most 5 properties" if len(asked.get("properties", ())) > 5 else ""


def written(given: Any, zone: tzinfo) -> Any:
    """As JSON: times as Jira writes them, in the zone of the account and without a colon in the offset."""
    if isinstance(given, datetime):
        here = given.astimezone(zone)
        return f"{here:%Y-%m-%dT%H:%M:%S}.{here.microsecond // 1000:03}{here:%z}"
    if isinstance(given, dict):
        return {key: written(its, zone) for key, its in given.items()}
    return [written(its, zone) for its in given] if isinstance(given, list) else given


def refusal(status: int, text: str) -> web.Response:
    return web.json_response({"errorMessages": [text], "errors": {}}, status=status)
