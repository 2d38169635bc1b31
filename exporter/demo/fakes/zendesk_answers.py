"""A fake Zendesk: the form of its answers, its parameters, places in its lists and its refusals."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

Row = dict[str, Any]

MOST = 1_000  # tickets, or events, in one answer of an export
FEW = 100  # of other lists
LISTED = ("page[size]", "page[after]", "page[before]", "sort", "include", "exclude_deleted")
PARAMETERS = {
    "incremental/tickets/cursor": ("start_time", "cursor", "support_type_scope", "per_page", "include"),
    "incremental/ticket_metric_events": ("start_time", "include_changes", "exclude_deleted"),
    "tickets/show_many": ("ids", "include"),
    "search/export": ("query", "filter[type]", "page[size]", "page[after]"),
    "users/me": ("include",),
    "groups": LISTED,
    "brands": LISTED,
    "ticket_fields": LISTED,
    "ticket_forms": LISTED,
}
"""Those of each list. Of the cursor export `per_page` and `include` work, though the published document lacks them."""
SIDE_LOADS = ("metric_sets", "organizations", "users", "groups", "comment_count", "dates", "slas")


def position(query: Mapping[str, str], ends_at: int) -> tuple[int, int]:
    """After which time and ticket an export goes on. ValueError: the word of the refusal."""
    if "cursor" in query:
        try:
            at, _, key = base64.b64decode(query["cursor"], validate=True).decode().strip("|").partition("||")
            return int(float(at)), int(key)
        except (ValueError, binascii.Error):
            raise ValueError("InvalidCursor") from None
    start = int(query.get("start_time", "x") if query.get("start_time", "x").isdecimal() else -1)
    if start < 0:
        raise ValueError("StartTimeMissing")
    if start > ends_at:
        raise ValueError("StartTimeTooRecent")
    return start, 0


def after(at: int, key: int) -> str:
    return base64.b64encode(f"{at}.0||{key}|".encode()).decode()


def cut(request: web.Request, name: str, rows: list[Row]) -> web.Response:
    """A page of a list by cursor."""
    size, begin = int(request.query.get("page[size]", FEW)), int(request.query.get("page[after]") or 0)
    if not 1 <= size <= FEW:
        return refused(400, "InvalidPaginationParameter", description="page[size] must be between 1 and 100")
    more = len(rows) > begin + size
    meta = {"has_more": more, "after_cursor": str(begin + size), "before_cursor": None}
    return web.json_response({name: rows[begin : begin + size], "meta": meta, "links": {"prev": None, "next": None}})


def refused(status: int, error: str, **more: str) -> web.Response:
    return web.json_response({"error": error, **more}, status=status)


def restricted() -> web.Response:
    """Of a role or a plan: there `error` is an object."""
    text = "Access to this resource is restricted. Please contact the account administrator for assistance."
    return web.json_response({"error": {"title": "Forbidden", "message": text}}, status=403)


def written(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def seconds(at: datetime | str) -> int:
    """Since the beginning of 1970."""
    return int((datetime.fromisoformat(at) if isinstance(at, str) else at).timestamp())
