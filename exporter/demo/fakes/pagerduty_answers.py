"""PagerDuty: how its answers look, whatever they are about."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping

Row = dict[str, Any]

ACCEPT = "application/vnd.pagerduty+json;version=2"
MOST = 100  # of a larger limit nothing is said
COMMON = {"limit", "offset", "total"}
RANGE = {"since", "until", "time_zone"}
PARAMETERS: dict[str, set[str]] = {
    "/incidents": COMMON
    | RANGE
    | {"date_range", "incident_key", "service_ids[]", "team_ids[]", "user_ids[]", "urgencies[]"}
    | {"statuses[]", "sort_by", "include[]"},
    "/incidents/{id}": {"include[]"},
    "/incidents/{id}/log_entries": COMMON | RANGE | {"is_overview", "include[]"},
    "/log_entries": COMMON | RANGE | {"is_overview", "include[]", "team_ids[]"},
    "/priorities": COMMON,
}
"""Path -> the parameters that are published for it."""
SCOPES = {path: "priorities.read" if path == "/priorities" else "incidents.read" for path in PARAMETERS}
OF_LOG = {"incidents", "services", "channels", "teams"}
OF_INCIDENTS = {
    "acknowledgers",
    "agents",
    "assignees",
    "conference_bridge",
    "escalation_policies",
    "first_trigger_log_entries",
    "priorities",
    "services",
    "teams",
    "users",
}
INCLUDES = {
    "/incidents": OF_INCIDENTS,
    "/incidents/{id}": OF_INCIDENTS | {"custom_fields"},
    "/incidents/{id}/log_entries": OF_LOG,
    "/log_entries": OF_LOG,
}
STATUSES = {"triggered", "acknowledged", "resolved"}
SORTED = {"incident_number", "created_at", "resolved_at", "urgency"}
REFERENCES = {
    "acknowledgers": "acknowledgements",
    "agents": "last_status_change_by",
    "assignees": "assignments",
    "escalation_policies": "escalation_policy",
    "first_trigger_log_entries": "first_trigger_log_entry",
    "priorities": "priority",
    "services": "service",
    "teams": "teams",
}


def misread(path: str, query: MultiMapping[str]) -> list[str]:
    """What of a question is not published."""
    wrong = [f"unknown parameter {name}" for name in sorted(set(query) - PARAMETERS.get(path, set()))]
    wrong += [f"cannot include {name}" for name in query.getall("include[]", []) if name not in INCLUDES[path]]
    wrong += [f"unknown status {name}" for name in query.getall("statuses[]", []) if name not in STATUSES]
    if query.get("date_range", "all") != "all":
        wrong.append("date_range is all or nothing")
    return wrong


def span(
    query: Mapping[str, str], zone: tzinfo, present: datetime, usual: timedelta, longest: timedelta | None = None
) -> tuple[str, str] | web.Response:
    """The window that is asked for; of one end alone a month. Times without an offset are the account's."""
    mine = ZoneInfo(query["time_zone"]) if "time_zone" in query else zone
    try:
        ends = {name: datetime.fromisoformat(query[name]) for name in ("since", "until") if name in query}
    except ValueError:
        return refused(400, 2004, "Invalid time values in 'since' and/or 'until' parameters")
    told = {name: at if at.tzinfo else at.replace(tzinfo=mine) for name, at in ends.items()}
    since = told.get("since", told.get("until", present) - usual)
    until = told.get("until", since + usual)
    if since > until or (longest and until - since > longest):
        return refused(400, 2005, "Invalid Query Date Range")
    return text(since), text(until)


def sorted_by(rows: Sequence[Row], order: str) -> list[Row] | None:
    """The rows in an order such as created_at:asc; None where there is no such order."""
    keys = [each.partition(":") for each in order.split(",")]
    if len(keys) > 2 or any(name not in SORTED or way not in ("", "asc", "desc") for name, _, way in keys):
        return None
    found = list(rows)
    for name, _, way in reversed(keys):
        key = itemgetter(name) if name != "resolved_at" else lambda row: row["resolved_at"] or ""
        found.sort(key=key, reverse=way == "desc")
    return found


def page(
    request: web.Request, name: str, rows: Sequence[Row], wall: int, rendered: Callable[[Any], Any]
) -> web.Response:
    """One page of a list, as far as lists go."""
    query = request.query
    try:
        limit, offset = min(int(query.get("limit", 25)), MOST), int(query.get("offset", 0))
    except ValueError:
        return refused(400, 2001, "Invalid Input Provided", "limit and offset are numbers")
    if offset + limit > wall:
        said = f"Offset+limit exceeds maximum allowed value of {wall}. Please try to refine your search"
        return refused(400, 2002, "Arguments Caused Error", said)
    shown = [rendered(row) for row in rows[offset : offset + limit]]
    total = len(rows) if query.get("total") in ("true", "1") else None
    more = len(rows) > offset + limit
    return web.json_response({name: shown, "limit": limit, "offset": offset, "more": more, "total": total})


def refused(status: int, code: int, message: str, *errors: str) -> web.Response:
    error = {"message": message, "code": code, **({"errors": errors} if errors else {})}
    return web.json_response({"error": error}, status=status)


def reference(thing: Row) -> Row:
    """What names something that is not sent as a whole."""
    named = {name: thing.get(name) for name in ("id", "type", "summary", "self", "html_url")}
    return {**named, "type": f"{thing['type']}_reference"}


def included(given: Any, things: Mapping[str, Row]) -> Any:
    """What is referred to, as a whole: by itself, in a list, or within the elements of one."""
    if isinstance(given, list):
        return [included(each, things) for each in given]
    if not isinstance(given, dict):
        return given
    if "id" in given:
        return things.get(given["id"], given)
    return {name: included(each, things) if isinstance(each, dict) else each for name, each in given.items()}


def at_zone(name: str | None, zone: tzinfo) -> Callable[[Any], Any]:
    """Writes times as they are in a time zone: the one asked for or, failing that, another."""
    mine = ZoneInfo(name) if name else zone

    def written(given: Any) -> Any:
        if isinstance(given, dict):
            return {
                key: written(each) if is_time(key) or not isinstance(each, str) else each for key, each in given.items()
            }
        if isinstance(given, list):
            return [written(each) for each in given]
        return local(given, mine) if isinstance(given, str) else given

    return written if mine not in (UTC, ZoneInfo("UTC")) else lambda given: given


def is_time(name: str) -> bool:
    return name == "at" or name.endswith("_at")


def local(given: str, zone: tzinfo) -> str:
    try:
        return datetime.fromisoformat(given).astimezone(zone).isoformat()
    except ValueError:
        return given


def text(at: datetime) -> str:
    """A time as PagerDuty writes it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
