"""Lists of what changed since an instant: where the next poll begins, and whether it is still the same list."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from exporter.base.errors import StartOver
from exporter.collect.changes import Changes
from exporter.collect.http import Client, HttpSettings
from tests.connectors.world import AT, SINCE

HOUR = timedelta(hours=1)


def changes(cursor: Any) -> Changes:
    return Changes(Client(HttpSettings(url="http://platform.test"), at=AT, since=SINCE), cursor, HOUR)


def item(key: int, changed_at: datetime, made: str = "then") -> dict[str, Any]:
    return {"id": key, "changed": changed_at.isoformat(), "made": made}


def saw(cursor: Any, *items: Any) -> Changes:
    found = changes(cursor)
    found.saw(items, changed="changed", stamp="made")
    return found


async def test_the_first_poll_begins_where_the_history_does_and_the_next_an_overlap_before_the_latest_change() -> None:
    first = saw({}, item(1, AT - 5 * HOUR), item(2, AT - 3 * HOUR), item(3, AT - 2 * HOUR))

    assert changes({}).since == SINCE
    assert first.to_cursor() == {"changed": (AT - 2 * HOUR).isoformat(), "recent": {"2": "then", "3": "then"}}
    assert changes(first.to_cursor()).since == AT - 3 * HOUR


async def test_a_change_that_lies_ahead_moves_nothing() -> None:
    found = saw({}, item(1, AT - HOUR), item(2, AT + HOUR))

    assert found.to_cursor() == {"changed": (AT - HOUR).isoformat(), "recent": {"1": "then"}}


async def test_where_nothing_changed_the_next_poll_begins_where_this_did() -> None:
    cursor = saw({}, item(1, AT - HOUR)).to_cursor()

    assert changes({}).to_cursor() == {}
    assert changes(changes(cursor).to_cursor()).since == AT - 2 * HOUR


async def test_an_item_that_cannot_be_read_is_passed_over() -> None:
    found = saw({}, "odd", {"id": 1}, {"id": 2, "changed": "soon", "made": "then"}, item(3, AT - HOUR))

    assert found.to_cursor() == {"changed": (AT - HOUR).isoformat(), "recent": {"3": "then"}}


async def test_items_that_are_gone_or_others_under_their_ids_mean_another_list() -> None:
    cursor = saw({}, *(item(key, AT - HOUR) for key in range(3))).to_cursor()

    saw(cursor, item(0, AT), item(1, AT)).check("items")  # one was deleted
    for anew in ([], [item(key, AT, made="now") for key in range(3)]):
        with pytest.raises(StartOver, match="newest items read before") as caught:
            saw(cursor, *anew).check("items")

        assert caught.value.cursor == {}


async def test_however_many_items_there_are_only_the_last_are_remembered() -> None:
    found = changes({})
    for page in range(30):
        found.saw([item(100 * page + n, AT - HOUR) for n in range(100)], changed="changed", stamp="made")

    assert len(found.to_cursor()["recent"]) == 10
    assert len(found._latest) <= 1000
