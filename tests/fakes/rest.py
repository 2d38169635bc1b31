"""A fake call centre with an API of the kind that many products have, in one of several styles.

    none    GET  the whole list
    page    GET  page, per_page            {"data": [...], "meta": {"page": 1, "pages": 3}}; 404 beyond the last page
    offset  POST limit, offset, filter     {"calls": [...], "total": 12}; never more than `cap`, whatever is asked for
    token   GET  cursor, per_page          {"data": {"calls": [...]}, "meta": {"next_cursor": "...", "has_more": true}}
    link    GET  per_page, cursor          [...], with the header Link
    url     GET  per_page, cursor          {"value": [...], "@next.link": "https://..."}

It refuses parameters that it does not know, pages that are too large, times in another format and cursors it never
gave, in its own words. Calls are listed by number, or with `newest_first` by the time of their last change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal

from aiohttp import web

from exporter.demo.fakes.fault import Faults

Style = Literal["none", "page", "offset", "token", "link", "url"]
PARAMETERS: Mapping[Style, frozenset[str]] = {
    "none": frozenset(),
    "page": frozenset({"page", "per_page"}),
    "offset": frozenset({"limit", "offset", "filter"}),
    "token": frozenset({"cursor", "per_page"}),
    "link": frozenset({"cursor", "per_page"}),
    "url": frozenset({"cursor", "per_page"}),
}
SHARED = frozenset({"modified_since", "after", "sort"})
LARGEST = 50
VERSION = "2026-01-01"


class Refused(Exception):  # noqa: N818 - named by what is wrong
    """An answer that is none: its status, and the name of what is wrong."""

    def __init__(self, status: int, code: str) -> None:
        self.status, self.code = status, code


@dataclass
class CallCentre:
    """The calls, and the style in which they are listed.

    `form`: how times are asked for: iso, epoch_ms, or a pattern. `cap`: the most items that it gives, where it does not
    say that it was asked for too many. `heeds`: whether it knows `modified_since` at all, or passes it over.
    """

    style: Style = "token"
    key: str = "sesame"
    header: str = "Authorization"
    form: str = "iso"
    zone: tzinfo = UTC
    cap: int = LARGEST
    newest_first: bool = False
    heeds: bool = True
    empty_is_null: bool = False
    versioned: bool = False
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    last: int = 100
    cursors: dict[str, int] = field(default_factory=dict)  # cursor -> how many items come before
    asked: list[dict[str, Any]] = field(default_factory=list)  # what each question held
    faults: Faults = field(default_factory=Faults)

    def take(self, at: datetime, *, lasts: timedelta | None = timedelta(minutes=5), queue: str = "billing") -> int:
        """A call that began then; None: it goes on. Its number."""
        self.last += 1
        end = at + lasts if lasts is not None else None
        self.calls[self.last] = {
            "number": self.last,
            "started": at,
            "ended": end,
            "modified": end or at,
            "state": {"name": "done" if end else "ringing"},
            "queue": {"name": queue},
            "caller": f"user{self.last % 4}@customer.test",
            "tags": [{"kind": "language", "label": "en"}, {"kind": "topic", "label": "invoice"}],
            "rating": {"stars": 4},
        }
        return self.last

    def hang_up(self, number: int, at: datetime, state: str = "done") -> None:
        self.calls[number] |= {"ended": at, "modified": at, "state": {"name": state}}

    def delete(self, number: int) -> None:
        del self.calls[number]

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware()])
        app.router.add_route("POST" if self.style == "offset" else "GET", "/api/calls", self._list)
        return app

    async def _list(self, request: web.Request) -> web.Response:
        try:
            return await self._answer(request)
        except Refused as refused:
            return web.json_response({"error": {"code": refused.code}}, status=refused.status)

    async def _answer(self, request: web.Request) -> web.Response:
        if request.headers.get(self.header) != self.key:
            raise Refused(401, "not_authenticated")
        if self.versioned and request.headers.get("X-Api-Version") != VERSION:
            raise Refused(400, "version_missing")
        asked: dict[str, Any] = dict(request.query) if request.method == "GET" else await request.json()
        self.asked.append(asked)
        if unknown := sorted(asked.keys() - PARAMETERS[self.style] - SHARED):
            raise Refused(400, f"unknown_parameter:{unknown[0]}")
        rows = self._rows({**asked, **asked.get("filter", {})})
        size = self._number(asked.get("per_page", asked.get("limit", len(rows))), 1, LARGEST)
        return getattr(self, f"_{self.style}")(request, asked, rows, min(size, self.cap))  # type: ignore[no-any-return]

    def _rows(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows = [*self.calls.values()]
        if self.heeds and asked.get("modified_since") is not None:
            since = self._time(asked["modified_since"])
            rows = [row for row in rows if row["modified"] >= since]
        if "after" in asked:
            rows = [row for row in rows if row["number"] > self._number(asked["after"], 0, 2**60)]
        if self.newest_first:
            rows.sort(
                key=lambda row: (row["modified"] or datetime.min.replace(tzinfo=UTC), row["number"]), reverse=True
            )
        return [{name: self._written(each) for name, each in row.items()} for row in rows]

    def _written(self, given: Any) -> Any:
        if not isinstance(given, datetime):
            return given
        local = given.astimezone(self.zone)
        if self.form == "epoch_ms":
            return round(given.timestamp() * 1000)
        return local.isoformat() if self.form == "iso" else local.strftime(self.form)

    def _time(self, given: Any) -> datetime:
        try:
            if self.form == "epoch_ms":
                if not isinstance(given, int):
                    raise Refused(400, "malformed_time")
                return datetime.fromtimestamp(given / 1000, UTC)
            if self.form == "iso":
                return datetime.fromisoformat(given).astimezone(UTC)
            return datetime.strptime(given, self.form).replace(tzinfo=self.zone).astimezone(UTC)
        except (ValueError, TypeError):
            raise Refused(400, "malformed_time") from None

    def _number(self, given: Any, least: int, most: int) -> int:
        if not str(given).isdecimal() or not least <= max(least, int(given)) <= most:
            raise Refused(400, "out_of_bounds")
        return max(least, int(given))

    def _none(self, _: web.Request, _asked: Any, rows: list[Any], _size: int) -> web.Response:
        return web.json_response(rows or (None if self.empty_is_null else []))

    def _page(self, _: web.Request, asked: Mapping[str, Any], rows: list[Any], size: int) -> web.Response:
        page, count = self._number(asked.get("page", 1), 1, 10**6), max(1, -(-len(rows) // size))
        if page > count:
            raise Refused(404, "no_such_page")
        data = rows[(page - 1) * size : page * size] or (None if self.empty_is_null else [])
        return web.json_response({"data": data, "meta": {"page": page, "pages": count}})

    def _offset(self, _: web.Request, asked: Mapping[str, Any], rows: list[Any], size: int) -> web.Response:
        offset = self._number(asked.get("offset", 0), 0, 10**6)
        return web.json_response({"calls": rows[offset : offset + size], "total": len(rows)})

    def _token(self, _: web.Request, asked: Mapping[str, Any], rows: list[Any], size: int) -> web.Response:
        begin, token = self._place(asked), self._next(asked, rows, size)
        meta = {"next_cursor": token or "end", "has_more": token is not None}
        return web.json_response({"data": {"calls": rows[begin : begin + size]}, "meta": meta})

    def _link(self, request: web.Request, asked: Mapping[str, Any], rows: list[Any], size: int) -> web.Response:
        begin, token = self._place(asked), self._next(asked, rows, size)
        links = {"Link": f'<{request.url.update_query(cursor=token)}>; rel="next"'} if token else {}
        return web.json_response(rows[begin : begin + size], headers=links)

    def _url(self, request: web.Request, asked: Mapping[str, Any], rows: list[Any], size: int) -> web.Response:
        begin, token = self._place(asked), self._next(asked, rows, size)
        more = {"@next.link": str(request.url.update_query(cursor=token))} if token else {}
        return web.json_response({"value": rows[begin : begin + size], **more})

    def _place(self, asked: Mapping[str, Any]) -> int:
        if "cursor" not in asked:
            return 0
        if asked["cursor"] not in self.cursors:
            raise Refused(400, "invalid_cursor")
        return self.cursors[asked["cursor"]]

    def _next(self, asked: Mapping[str, Any], rows: list[Any], size: int) -> str | None:
        """The cursor after a page; None where nothing follows."""
        end = self._place(asked) + size
        if end >= len(rows):
            return None
        token = f"c{end}"
        self.cursors[token] = end
        return token
