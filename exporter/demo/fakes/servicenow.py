"""A fake ServiceNow: its Table API over rows that a simulation adds to while it is served."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal
from urllib.parse import urlencode

from aiohttp import web

from exporter.demo.fakes.fault import Faults, Handler
from exporter.demo.fakes.servicenow_query import selected

Fields = dict[str, str]

COLUMNS = {
    "task": (
        "number state opened_at opened_by closed_at closed_by assigned_to assignment_group contact_type priority active"
        " approval approval_set made_sla time_worked reassignment_count business_service cmdb_ci work_start work_end"
        " company location"
    ),
    "incident": (
        "incident_state hold_reason caller_id category subcategory impact urgency severity resolved_at resolved_by"
        " close_code reopen_count reopened_time problem_id parent_incident caused_by rfc"
    ),
    "sc_req_item": "request cat_item requested_for stage",
    "sc_task": "request_item",
    "change_request": "type chg_model close_code risk start_date end_date unauthorized on_hold",
    "interaction": (
        "number state state_reason type virtual_agent agent_chat opened_at closed_at opened_for assigned_to"
        " assignment_group active"
    ),
    "task_sla": (
        "task sla stage has_breached start_time end_time planned_end_time pause_duration business_pause_duration"
    ),
    "contract_sla": "name target",
    "metric_instance": "definition id field field_value value start end calculation_complete",
    "metric_definition": "name table field type active",
    "sys_audit_delete": "tablename documentkey",
    "sys_user": "user_name name",
    "sys_user_group": "name",
    "sc_cat_item": "name",
    "cmdb_ci": "name",
    "sys_properties": "name value",
}
TASKS = ("incident", "sc_req_item", "sc_task", "change_request")
REFERENCES = {
    "opened_by": "sys_user",
    "closed_by": "sys_user",
    "resolved_by": "sys_user",
    "assigned_to": "sys_user",
    "caller_id": "sys_user",
    "requested_for": "sys_user",
    "opened_for": "sys_user",
    "assignment_group": "sys_user_group",
    "cat_item": "sc_cat_item",
    "cmdb_ci": "cmdb_ci",
    "business_service": "cmdb_ci",
    "task": "incident",
    "request_item": "sc_req_item",
    "caused_by": "change_request",
    "sla": "contract_sla",
    "definition": "metric_definition",
}
PREFIXES = {
    "incident": "INC",
    "sc_req_item": "RITM",
    "sc_task": "SCTASK",
    "change_request": "CHG",
    "interaction": "IMS",
}
NAMES = {"1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed", "8": "Canceled"}
DEFAULT_LIMIT = 10_000


@dataclass
class ServiceNow:
    """One instance, as one integration user sees it. Unknown parameters and columns are ignored, as there."""

    token: str = "made-up-token"  # noqa: S105 - made up
    api_key: str = "made-up-key"
    client: tuple[str, str] = ("exporter", "s3cret")
    basic: tuple[str, str] | None = None  # None: restricted, as on instances since June 2026
    tables: dict[str, dict[str, Fields]] = field(default_factory=lambda: {name: {} for name in COLUMNS})
    missing: set[str] = field(default_factory=set)  # tables of plugins that are not active
    denied: set[str] = field(default_factory=set)  # tables that answer 403
    hides: Callable[[str, Mapping[str, str]], bool] = lambda _table, _row: False  # rows that are left out silently
    hidden_columns: set[str] = field(default_factory=set)
    no_range: bool = False  # no ACL query_range: what compares and sorts is left out
    quota_rows: int | None = None  # a transaction that brings more rows is cancelled
    cancels: Literal["half", "whole", "refused"] = "half"  # how: half a list that is no JSON, JSON, or HTTP 500
    per_hour: int | None = None
    asked: int = 0
    audits: bool = True  # deletions
    faults: Faults = field(default_factory=Faults)
    last: int = 0
    names: dict[tuple[str, str], str] = field(default_factory=dict)  # table and name -> id
    definitions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("incident_state", "assigned_to", "assignment_group", "active"):
            more = {"table": "incident", "field": name, "type": "field_value_duration", "active": "true"}
            self.definitions[name] = self.add("metric_definition", datetime(2020, 1, 1, tzinfo=UTC), **more)

    # What a simulation does.

    def named(self, table: str, name: str) -> str:
        """The id of a user, group, catalogue item, service or agreement of that name; made where there is none."""
        known = self.names.get((table, name))
        if known and known in self.tables[table]:
            return known
        more = {"target": name} if table == "contract_sla" else {}
        return self.add(table, datetime(2020, 1, 1, tzinfo=UTC), **{named_by(table): name, "name": name}, **more)

    def add(self, table: str, at: datetime, /, **columns: str) -> str:
        """A new row; its id. Columns that refer to people and things take their names."""
        self.last += 1
        key = f"{self.last:032x}"
        usual = {"number": f"{PREFIXES.get(table, '')}{self.last:07}", "opened_at": stamp(at), "active": "true"}
        row = dict.fromkeys(columns_of(table), "") | (usual if table in PREFIXES else {})
        self.tables[table][key] = row | {
            "sys_id": key,
            "sys_created_on": stamp(at),
            "sys_updated_on": stamp(at),
            "sys_created_by": columns.pop("sys_created_by", "system"),
            "sys_mod_count": "0",
        }
        self._set(table, key, at, columns)
        if name := columns.get(named_by(table)):
            self.names.setdefault((table, name), key)
        return key

    def update(self, table: str, key: str, at: datetime, /, **columns: str) -> None:
        """Somebody changes a row."""
        row = self.tables[table][key]
        row |= {"sys_updated_on": stamp(at), "sys_mod_count": str(int(row["sys_mod_count"]) + 1)}
        self._set(table, key, at, columns)

    def open_incident(self, caller: str, at: datetime, **columns: str) -> str:
        usual = {
            "state": "1",
            "caller_id": caller,
            "opened_by": caller,
            "priority": "3",
            "contact_type": "self-service",
        }
        return self.add("incident", at, **{**usual, **columns})

    def resolve(self, key: str, who: str, at: datetime, **columns: str) -> None:
        """An incident is resolved; its agreements end."""
        done = {"state": "6", "resolved_at": stamp(at), "resolved_by": who, "close_code": "Solution provided"}
        self.update("incident", key, at, **{**done, **columns})
        for sla in self.tables["task_sla"].values():
            if sla["task"] == key and not sla["end_time"]:
                sla |= {"stage": "completed", "end_time": stamp(at)}

    def reopen(self, key: str, at: datetime) -> None:
        """`resolved_at` stays as it is, as on many instances."""
        count = int(self.tables["incident"][key]["reopen_count"] or 0) + 1
        self.update("incident", key, at, state="2", reopen_count=str(count), reopened_time=stamp(at))

    def agree(self, task: str, target: str, at: datetime, **columns: str) -> str:
        """An agreement is attached to a task: on its response or its resolution."""
        usual = {"stage": "in_progress", "has_breached": "false", "start_time": stamp(at)}
        return self.add("task_sla", at, task=task, sla=target, **{**usual, **columns})

    def request_item(self, user: str, item: str, at: datetime, **columns: str) -> str:
        usual = {"state": "1", "requested_for": user, "opened_by": user, "cat_item": item, "priority": "4"}
        return self.add("sc_req_item", at, **{**usual, **columns})

    def give_task(self, item: str, who: str, at: datetime) -> str:
        """A requested item gets a task, which is assigned to somebody."""
        return self.add("sc_task", at, request_item=item, assigned_to=who, state="1")

    def interact(self, user: str, at: datetime, **columns: str) -> str:
        """A chat that the virtual agent takes."""
        usual = {"state": "new", "type": "chat", "opened_for": user, "virtual_agent": "true", "agent_chat": "false"}
        return self.add("interaction", at, **{**usual, "assigned_to": "virtual.agent", **columns})

    def request_change(self, who: str, at: datetime, **columns: str) -> str:
        usual = {"state": "-5", "type": "normal", "approval": "not requested", "opened_by": who}
        return self.add("change_request", at, sys_created_by=who, **{**usual, **columns})

    def delete(self, table: str, key: str, at: datetime) -> None:
        del self.tables[table][key]
        if self.audits:
            self.add("sys_audit_delete", at, tablename=table, documentkey=key)

    def _set(self, table: str, key: str, at: datetime, columns: Fields) -> None:
        row = self.tables[table][key]
        before = row.get("assignment_group")
        for name, given in columns.items():
            target = REFERENCES.get(name)
            refers = given and target and target not in TASKS and given not in self.tables[target]
            row[name] = self.named(target, given) if refers and target else given
        if table != "incident":
            return
        row["incident_state"] = row["state"]
        if before and row["assignment_group"] != before:
            row["reassignment_count"] = str(int(row["reassignment_count"] or 0) + 1)
        for name in {"state", "assignment_group"} & columns.keys():
            column = "incident_state" if name == "state" else name
            group = self.tables["sys_user_group"].get(row[name], {})
            label = NAMES.get(row[name], row[name]) if name == "state" else group.get("name", "")
            more = {"id": key, "field": column, "field_value": row[name], "value": label, "start": stamp(at)}
            self.add("metric_instance", at, definition=self.definitions[column], **more)

    # What it answers.

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(), self._guarded])
        app.router.add_get("/api/now/v2/table/{table}", self._table)
        app.router.add_get("/api/now/stats/{table}", self._stats)
        app.router.add_post("/oauth_token.do", self._oauth)
        return app

    @property
    def _guarded(self) -> Any:
        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path == "/oauth_token.do":
                return await handler(request)
            said = request.headers.get("Authorization", "")
            basic = "Basic " + base64.b64encode(":".join(self.basic or ("", "")).encode()).decode()
            known = said == f"Bearer {self.token}" or request.headers.get("x-sn-apikey") == self.api_key
            if not (known or (self.basic and said == basic)):
                return refused(401, "User Not Authenticated", "Required to provide Auth information")
            if request.headers.get("Accept", "*/*") not in ("*/*", "application/json", "application/xml"):
                return refused(406, "Not acceptable", None)
            if len(request.path_qs) > 8192:
                return web.Response(status=414, text="Request-URI Too Long")
            self.asked += 1
            if self.per_hour is not None and self.asked > self.per_hour:
                detail = f"Rate limit of {self.per_hour} requests per hour for Table API exceeded"
                response = refused(429, "Rate limit exceeded", detail)
                response.headers.update({"Retry-After": "1800", "X-RateLimit-Limit": str(self.per_hour)})
                return response
            return await handler(request)

        return guarded

    async def _oauth(self, request: web.Request) -> web.Response:
        form = await request.post() if request.content_type == "application/x-www-form-urlencoded" else {}
        given = (form.get("client_id"), form.get("client_secret"))
        if form.get("grant_type") != "client_credentials" or given != self.client:
            return web.json_response({"error_description": "access_denied", "error": "server_error"}, status=401)
        said = {"access_token": self.token, "scope": "useraccount", "token_type": "Bearer", "expires_in": 1799}
        return web.json_response(said)

    async def _table(self, request: web.Request) -> web.Response:
        table, query = request.match_info["table"], request.query
        if refusal := self._refusal(table):
            return refusal
        try:
            limit, offset = int(query.get("sysparm_limit", DEFAULT_LIMIT)), int(query.get("sysparm_offset", 0))
        except ValueError:
            return refused(400, "Invalid value for sysparm_limit or sysparm_offset", None)
        found = selected(self.tables[table].values(), self._query(query), self._value)
        page = [row for row in found[offset : offset + limit] if not self.hides(table, row)]
        names = query.get("sysparm_fields", "").split(",") if query.get("sysparm_fields") else columns_of(table)
        values = [self._shown(row, names, request) for row in page]
        headers = {"X-Total-Count": str(len(found))}
        if len(found) > limit:
            headers["Link"] = links(request, limit, offset, len(found))
        if self.quota_rows is not None and len(page) > self.quota_rows:
            return cancelled(values[:1], self.cancels)
        return web.json_response({"result": values}, headers=headers)

    async def _stats(self, request: web.Request) -> web.Response:
        table = request.match_info["table"]
        if refusal := self._refusal(table):
            return refusal
        found = selected(self.tables[table].values(), self._query(request.query), self._value)
        count = sum(not self.hides(table, row) for row in found)
        return web.json_response({"result": {"stats": {"count": str(count)}}})

    def _refusal(self, table: str) -> web.Response | None:
        if table not in self.tables or table in self.missing:
            return refused(400, f"Invalid table {table}", None)
        if table in self.denied:
            return refused(403, "Insufficient rights to query records", None)
        return None

    def _query(self, query: Mapping[str, str]) -> str:
        text = query.get("sysparm_query", "")
        parts = [part for part in text.split("^") if not (self.no_range and (">" in part or "ORDERBY" in part))]
        return "^".join(parts)

    def _value(self, row: Mapping[str, str], name: str) -> str | None:
        """What a row holds under a name, which may lead through references."""
        column, _, rest = name.partition(".")
        if column not in row or not rest:
            return row.get(column)
        target = self.tables.get(REFERENCES.get(column, ""), {}).get(row[column])
        return (self._value(target, rest) if target else "") if column in REFERENCES else None

    def _shown(self, row: Mapping[str, str], names: Sequence[str], request: web.Request) -> dict[str, Any]:
        values = {name: self._value(row, name) for name in names if name not in self.hidden_columns}
        shown: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
        if request.query.get("sysparm_exclude_reference_link") != "true":
            for name in REFERENCES.keys() & shown.keys():
                if shown[name]:
                    link = f"{request.url.origin()}/api/now/table/{REFERENCES[name]}/{shown[name]}"
                    shown[name] = {"link": link, "value": shown[name]}
        if request.query.get("sysparm_display_value") in ("true", "all"):  # nobody should read these
            zone = timedelta(hours=-7)
            shown |= {name: local(text, zone) for name, text in shown.items() if is_time(text)}
        return shown


def named_by(table: str) -> str:
    """The column with the name by which people know a row."""
    return "user_name" if table == "sys_user" else "name"


@cache
def columns_of(table: str) -> Sequence[str]:
    common = ["sys_id", "sys_created_on", "sys_updated_on", "sys_created_by", "sys_mod_count"]
    return [*common, *(COLUMNS["task"].split() if table in TASKS else ()), *COLUMNS[table].split()]


def links(request: web.Request, limit: int, offset: int, total: int) -> str:
    """The header Link. There is no next page after the last."""
    last = (total - 1) // limit * limit
    places = {"first": 0, "next": offset + limit, "prev": offset - limit, "last": last}
    found = {rel: place for rel, place in places.items() if 0 <= place <= last or rel == "first"}
    query = {name: text for name, text in request.query.items() if name != "sysparm_offset"}
    base = f"{request.url.origin()}{request.path}"
    return ",".join(
        f'<{base}?{urlencode({**query, "sysparm_offset": str(place)})}>;rel="{rel}"' for rel, place in found.items()
    )


def refused(status: int, message: str, detail: str | None) -> web.Response:
    return web.json_response({"error": {"message": message, "detail": detail}, "status": "failure"}, status=status)


def cancelled(rows: list[dict[str, Any]], how: str) -> web.Response:
    """What a transaction leaves behind that takes too long."""
    message = "Transaction cancelled: maximum execution time exceeded"
    error = {"detail": f"{message}. Check logs for error trace.", "message": message}
    if how == "refused":
        return web.json_response({"error": error, "status": "failure"}, status=500)
    text = json.dumps({"result": rows, "error": error, "status": "failure"})
    return web.Response(text=text.replace("}],", "},],") if how == "half" else text, content_type="application/json")


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(" ", "seconds")[:19]


def is_time(text: Any) -> bool:
    return isinstance(text, str) and len(text) == 19 and text[4:5] == "-" and text[10:11] == " "


def local(text: str, zone: timedelta) -> str:
    return f"{datetime.fromisoformat(text) + zone:%Y-%m-%d %H:%M:%S}"
