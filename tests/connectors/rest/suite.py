"""A call centre for the contract suite: calls that were answered, and one that goes on, listed page by page."""

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from exporter.collect.http import Auth
from exporter.connectors.rest import Options
from exporter.connectors.rest.pages import Paging
from exporter.connectors.rest.place import Since
from exporter.records.columns import Rule
from tests.connectors.world import AT, World
from tests.fakes.rest import CallCentre

COLUMNS = {
    "id": Rule(field="number"),
    "updated_at": Rule(field="modified"),
    "opened_at": Rule(field="started"),
    "resolved_at": Rule(field="ended"),
    "outcome": Rule(field="state.name", map={"done": "resolved", "hung up": "abandoned", "ringing": "open"}),
    "category": Rule(query="tags[?kind=='topic'].label | [0]"),
    "requester": Rule(field="caller"),
}
TOKENS = Paging(
    style="token", next="meta.next_cursor", parameter="cursor", size_parameter="per_page", more="meta.has_more"
)


def centre(**others: Any) -> CallCentre:
    """Fourteen calls in the month before AT, from number 101; the last goes on."""
    made = CallCentre(**others)
    for number in range(13):
        made.take(AT - timedelta(days=30 - 2 * number), queue=("billing", "returns")[number % 2])
    made.take(AT - timedelta(minutes=2), lasts=None)
    return made


def options(**others: Any) -> Options:
    asked = {
        "record": "request",
        "endpoint": "/calls",
        "parameters": {"modified_since": "{since}"},
        "items": "data.calls",
        "paging": TOKENS,
        "page_size": 4,
        "since": Since(),
        "columns": COLUMNS,
    }
    return Options(**{**asked, **others})


def world(_folder: Path) -> World:
    made = centre()

    def unknown_word() -> str:
        made.calls[104]["state"] = {"name": "pondering"}
        return "104"

    def missing_time() -> str:
        made.calls[104]["started"] = None
        return "104"

    def delete() -> str:
        made.delete(104)
        return "104"

    def work(at: datetime) -> str:
        return str(made.take(at, lasts=timedelta(seconds=20)))

    def absurd() -> Callable[[], None]:
        made.calls[2**40] = {**made.calls[104], "number": 2**40, "modified": AT + timedelta(days=20_000)}
        return lambda: made.delete(2**40)

    def start_over() -> set[str]:
        made.calls.clear()
        made.last = 105
        return {work(AT + timedelta(minutes=minute)) for minute in range(7)}

    def zone(zone: tzinfo) -> None:
        made.zone = zone

    return World(
        app=made.app(),
        options=options(),
        auth=Auth("Authorization", "sesame"),
        path="/api",
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        about_one="nothing is asked about one item",
        place=lambda request: "cursor" in request.query,
        zone=zone,
        quiet_requests=1,
    )
