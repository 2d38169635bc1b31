"""What every connector must do about lists and clocks: see tests/connectors/world.py."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from exporter.collect.http import AuthFailed, NotUnderstood
from tests.connectors.source import HTTP_NAMES, NAMES, Source, ids, instants, served
from tests.connectors.world import AT

ZONE = "Africa/Casablanca"
NIGHTS = {"back": datetime(2026, 2, 15, 2, tzinfo=UTC), "forward": datetime(2026, 3, 22, 2, tzinfo=UTC)}
"""When the clocks of that zone are set back by an hour, and forward."""


@pytest.mark.parametrize("name", NAMES)
async def test_more_items_of_one_instant_than_fit_a_page_are_all_read(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        await source.poll()
        there = {source.world.work(AT + timedelta(minutes=1)) for _ in range(3 * source.world.options.page_size)}
        await source.poll(at=AT + timedelta(minutes=10))
        anew = Source(source.connector, source.world, source.url, source.faults)
        await anew.poll(pages=2, at=AT + timedelta(minutes=10))
        await anew.poll(at=AT + timedelta(minutes=10))

        assert there <= ids(source)
        assert source.records == anew.records


@pytest.mark.parametrize("name", HTTP_NAMES)
async def test_a_credential_that_runs_out_in_the_middle_loses_nothing(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as whole:
        await whole.poll()
        again = Source(whole.connector, whole.world, whole.url, whole.faults)
        whole.faults.coming.extend([None] * (len(whole.faults.requests) // 2) + [401])
        with pytest.raises(AuthFailed):
            await again.poll()
        stored = dict(again.records)
        await again.poll()

        assert stored.items() <= whole.records.items()
        assert whole.records == again.records
        assert whole.cursor == again.cursor


@pytest.mark.parametrize("name", NAMES)
async def test_a_place_in_a_list_that_is_not_valid_any_more_loses_nothing(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as whole:
        if isinstance(whole.world.place, str):
            pytest.skip(f"not of this platform: {whole.world.place}")
        await whole.poll()
        again = Source(whole.connector, whole.world, whole.url, whole.faults)
        whole.faults.about, whole.faults.after = whole.world.place, 400
        with pytest.raises(NotUnderstood):
            await again.poll()
        whole.faults.after = None
        await again.poll()

        assert whole.records == again.records
        assert whole.cursor == again.cursor


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine stands in the zone."""
    monkeypatch.setenv("TZ", ZONE)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def night(source: Source, changed: datetime) -> None:
    """Work every quarter of an hour around the change is read with its times, however late a history is to begin."""
    quarters = [changed + timedelta(minutes=15 * quarter) for quarter in range(-8, 9)]
    done = {source.world.work(at): at for at in quarters}
    await source.poll()
    late = Source(source.connector, source.world, source.url, source.faults)
    await late.poll(since=changed)

    found = {key: instants(record) for (_, key), record in source.records.items() if key in done}

    assert {key: min(times) for key, times in found.items()} == done
    assert all(max(times) - min(times) < timedelta(minutes=1) for times in found.values())
    assert {key for key, at in done.items() if at >= changed} <= ids(late)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("clocks", NIGHTS)
async def test_a_night_on_which_our_clocks_change_moves_no_time(name: str, clocks: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        await night(source, NIGHTS[clocks])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("clocks", NIGHTS)
async def test_a_night_on_which_the_platforms_clocks_change_moves_no_time(
    name: str, clocks: str, tmp_path: Path
) -> None:
    async with served(name, tmp_path) as source:
        if isinstance(source.world.zone, str):
            pytest.skip(f"not of this platform: {source.world.zone}")
        source.world.zone(ZoneInfo(ZONE))
        await night(source, NIGHTS[clocks])
