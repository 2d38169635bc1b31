"""What is owed an answer, and what becomes of it where too much is."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from exporter.collect.contract import Cursor, Page
from exporter.collect.details import MOST_OWED, Details
from exporter.collect.http import Client
from exporter.collect.poll import poll_once
from exporter.collect.selfmetrics import Health
from tests.polled import connector, source
from tests.scenario import empty_store

AT = datetime(2026, 3, 31, tzinfo=UTC)


async def poll(client: Client, _options: Any, cursor: Cursor) -> AsyncIterator[Page]:
    details = Details(client, cursor.get("owed", {}))
    details.owe(str(n) for n in range(MOST_OWED + 3))
    yield Page([], {"owed": details.to_cursor()})


async def test_items_whose_details_are_given_up_are_counted_and_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    health = Health(version="0")
    with empty_store(tmp_path) as store:
        await poll_once(source(connector(poll)), store, health, AT)
        owed = store.source("flows").cursor["owed"]

    assert (len(owed), "2" in owed, "3" in owed) == (MOST_OWED, False, True)
    assert health.registry.get_sample_value("outcome_source_details_given_up_total", {"source": "flows"}) == 3
    assert [record.message for record in caplog.records] == [
        "source flows: details of 3 items stay unknown, because too many others wait for theirs"
    ]
