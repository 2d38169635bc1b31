"""What items of an API are: as a config describes them, and the records that they must become."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from exporter.records import RECORDS, Cost, Record, Request, person_columns
from exporter.records.columns import COLUMNS
from tests.connectors.truth import NO_TIME, Truth, hashed

ENUMS = "the words are those of the config"
TECHNICAL = {"endpoint", "parameters", "body", "headers", "items", "paging", "page_size", "absent", "since"}

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)


def truths(_folder: Path) -> Iterator[Truth]:
    for name, record in RECORDS.items():
        yield every_column(name, record)
    for form in FORMS:
        yield new_since(form)
    yield a_notation()
    yield addresses()
    yield words_and_what_is_none()


def api(*items: Any) -> web.Application:
    """One list."""

    async def listed(_: web.Request) -> web.Response:
        return web.json_response(items)

    app = web.Application()
    app.router.add_get("/", listed)
    return app


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def written(given: Any) -> Any:
    return given.isoformat() if isinstance(given, datetime) else given


def every_column(name: str, record: type[Record]) -> Truth:
    """A record with a value of its own in every column, and one item for each word that a column may hold."""
    columns = {each: column for each, column in COLUMNS[record].items() if each != "source"}
    items, made = [], []
    for number in range(max(len(column.words) for column in columns.values()) or 1):
        row: dict[str, Any] = {}
        for place, (each, column) in enumerate(columns.items(), 1):
            row[each] = {
                "text": sorted(column.words)[number % len(column.words)] if column.words else f"{each} {number}",
                "boolean": place % 2 == 0,
                "integer": place,
                "number": 0.25 if column.high <= 1 else place + 0.5,
                "instant": at(place),
                "texts": (f"{each} a", f"{each} b"),
            }[column.kind]
        person = {each: hashed(row[each]) for each in person_columns(record)}
        made.append(record(**{**row, **person}))
        items.append({"its": {f"{each}Of": written(given) for each, given in row.items()}})
    rules = {each: {"from": f"its.{each}Of"} for each in columns}
    options = {"record": name, "columns": rules, "since": {"order": "newest_first"}}
    return Truth(what=f"every column of {name}", app=api(*items), options=options, records=made)


FORMS: Mapping[str, tuple[str, Sequence[str]]] = {
    "iso": ("", ["2026-01-01T00:00:00Z"]),
    "epoch_s": ("", ["1767225600"]),
    "epoch_ms": ("", ["1767225600000"]),
    "%d.%m.%Y %H:%M": ("Asia/Tokyo", ["01.01.2026 09:00"]),
    "%Y-%m-%d": ("", ["2026-01-01"]),
}
"""Format -> time zone, and how the suite's first time is written in it."""


def new_since(form: str) -> Truth:
    """Asked for what is new in its own form, with other words around it."""
    zone, right = FORMS[form]

    async def listed(request: web.Request) -> web.Response:
        if request.query.getall("after") != [f"gte:{right[0]}", *right] or request.query["deep"] != "true":
            return web.json_response({"error": "malformed"}, status=400)
        return web.json_response([{"id": 7, "changed": "2026-03-30T12:00:00Z"}])

    app = web.Application()
    app.router.add_get("/", listed)
    parameters = {"after": ["gte:{since}", "{since}"], "deep": True}
    columns = {"updated_at": {"from": "changed"}}
    options: dict[str, Any] = {
        "record": "request",
        "columns": columns,
        "parameters": parameters,
        "since": {"format": form},
    }
    made = [Request(id="7", updated_at=NOON)]
    return Truth(
        what=f"since as {form}", app=app, options=options | ({"time_zone": zone} if zone else {}), records=made
    )


def a_notation() -> Truth:
    """Times without an offset, numbers with commas, and words for nothing."""
    items = [
        {"id": "a", "month": "01.02.2026", "sum": "1.234,5", "hours": "-"},
        {"id": "b", "month": "01.03.2026", "sum": "-20,25", "hours": "2,5"},
        {"month": "01.04.2026"},
    ]
    columns = {
        "period_start": {"from": "month"},
        "amount": {"from": "sum"},
        "effort_seconds": {"from": "hours", "unit": "hours"},
        "kind": {"value": "licence"},
    }
    options = {
        "record": "cost",
        "columns": columns,
        "time_zone": "Europe/Berlin",
        "time_format": "%d.%m.%Y",
        "decimal": ",",
        "thousands": ".",
        "nulls": ["-"],
    }
    made = [
        Cost(id="a", period_start=datetime(2026, 1, 31, 23, tzinfo=UTC), amount=1234.5, kind="licence"),
        Cost(
            id="b", period_start=datetime(2026, 2, 28, 23, tzinfo=UTC), amount=-20.25, effort_seconds=9000.0,
            kind="licence",
        ),
    ]  # fmt: skip
    said = ["id: there is no id at id"]
    return Truth(what="a notation", app=api(*items), options=options, records=made, left_out=said)


def addresses() -> Truth:
    """An item's own address stands over the one that is made of its id."""
    items = [{"id": "a/1", "html": None}, {"id": "b", "html": "https://x.test/b"}]
    options = {"record": "run", "columns": {"url": {"from": "html"}}, "web_url": "https://web.test/{id}/show"}
    made = [
        RECORDS["run"](id="a/1", url="https://web.test/a%2F1/show"),
        RECORDS["run"](id="b", url="https://x.test/b"),
    ]
    return Truth(what="addresses", app=api(*items), options=options, records=made)


def words_and_what_is_none() -> Truth:
    """Words by a table, a list by an expression, and items that cannot be read."""
    items: list[Any] = [
        {"number": 1, "state": "Done", "tags": [{"k": "topic", "v": "tax"}], "began": NOON.isoformat(), "stars": 5},
        {"number": 2, "state": "odd", "tags": None, "began": "n/a", "stars": 9},
        {"number": 3, "state": "odd", "tags": [], "began": None},
        {"number": None, "state": "Done"},
        {"number": "4\0", "state": "Done"},
        "5",
    ]
    columns = {
        "id": {"query": "number"},
        "outcome": {"from": "state", "map": {"done": "resolved"}, "otherwise": "open"},
        "category": {"query": "tags[?k=='topic'].v | [0]", "default": "other"},
        "opened_at": {"from": "began"},
        "csat": {"from": "stars", "scale": [1, 5]},
    }
    made = [
        Request(id="1", outcome="resolved", category="tax", opened_at=NOON, csat=1.0),
        Request(id="3", outcome="open", category="other"),
    ]
    said = [
        "csat: 9 is not between 1 and 5",
        f"opened_at: {NO_TIME}",
        "id: there is no id at number",
        "id: there is no id at number",
        "id: is empty or holds characters that cannot be printed",
    ]
    options = {"record": "request", "columns": columns}
    return Truth(what="words", app=api(*items), options=options, records=made, left_out=said)
