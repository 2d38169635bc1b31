"""What every connector must do. A platform joins by a suite.py: see tests/connectors/world.py."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import UTC, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pytest

from exporter.cli.preflight import AHEAD
from exporter.collect.auth import Scheme
from exporter.collect.contract import Needs, needs
from exporter.collect.http import (
    Auth,
    AuthFailed,
    NotUnderstood,
    RateLimited,
    SourceError,
    Unavailable,
)
from exporter.demo.fakes.fault import Faults, Trouble
from exporter.records import SEGMENTS, Workflow
from exporter.render.connectors import WORDS
from tests.connectors import unfinished
from tests.connectors.source import (
    EVERY,
    HTTP_NAMES,
    LATER,
    NAMES,
    Source,
    connector,
    ids,
    instants,
    served,
    speaks_http,
    without,
)
from tests.connectors.truth import folder_of
from tests.connectors.world import AT


@pytest.mark.parametrize("name", EVERY)
def test_the_header_says_what_it_must(name: str) -> None:
    unfinished.refuse(folder_of(name))
    lines = (connector(name).__doc__ or "").splitlines()

    assert list(WORDS) == [line.split()[0] for line in lines if line[:1].isalpha()][1:]
    assert all(len(line.split()) > 1 for line in lines if line.startswith(WORDS))


@pytest.mark.parametrize("name", EVERY)
def test_options_are_a_frozen_dataclass(name: str) -> None:
    options = connector(name).Options

    assert is_dataclass(options)
    assert options.__hash__ is not None  # as frozen dataclasses have, and others have not


@pytest.mark.parametrize("name", NAMES)
async def test_records_are_well_formed(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        await source.poll()

        assert source.records
        for (kind, key), record in source.records.items():
            assert kind in source.connector.RECORDS
            assert isinstance(key, str)
            assert key
            assert record.source == ""
            assert all(getattr(record, segment) is None for segment in SEGMENTS)
            assert record.url is None or record.url.startswith("http")
            for instant in instants(record):
                assert instant.tzinfo is UTC
            for instant in instants(record, but=AHEAD):
                assert instant < AT


@pytest.mark.parametrize("name", NAMES)
async def test_dying_after_any_page_loses_nothing(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as whole:
        pages = await whole.poll()

        assert pages > 2
        for died_after in range(1, pages):
            again = Source(whole.connector, whole.world, whole.url, Faults())
            await again.poll(pages=died_after)
            await again.poll()

            assert whole.records == again.records
            assert whole.cursor == again.cursor


@pytest.mark.parametrize("name", HTTP_NAMES)
async def test_failing_at_any_request_loses_nothing(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as whole:
        await whole.poll()
        requests = len(whole.faults.requests)
        await whole.poll(at=LATER)

        for failed_at in range(requests):
            again = Source(whole.connector, whole.world, whole.url, whole.faults)
            whole.faults.coming.extend([None] * failed_at + [503])
            with suppress(Unavailable):  # a question about one item fails for that item alone
                await again.poll()
            whole.faults.coming.clear()
            await again.poll(at=LATER)

            assert whole.records == again.records
            assert whole.cursor == again.cursor


@pytest.mark.parametrize("name", NAMES)
async def test_a_second_poll_changes_nothing_and_asks_little(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        await source.poll()
        records, cursor = dict(source.records), source.cursor
        source.faults.requests.clear()
        await source.poll(at=AT + timedelta(minutes=1))

        assert records == source.records
        assert cursor == source.cursor
        assert len(source.faults.requests) <= source.world.quiet_requests


@pytest.mark.parametrize("name", HTTP_NAMES)
async def test_no_credential_is_said_to_be_refused(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        with pytest.raises(AuthFailed):
            await source.poll(auth=Auth("X-Nothing", "nothing"))

        assert source.records == {}


@pytest.mark.parametrize("name", HTTP_NAMES)
@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (401, AuthFailed),
        (403, AuthFailed),
        (302, AuthFailed),
        (500, Unavailable),
        (503, Unavailable),
        (422, NotUnderstood),
        ("garbage", NotUnderstood),
        ("half", NotUnderstood),
        ("cut", Unavailable),
    ],
)
async def test_trouble_is_named_and_leaves_what_was_stored(
    name: str, trouble: Trouble, error: type[SourceError], tmp_path: Path
) -> None:
    async with served(name, tmp_path) as source:
        await source.poll()
        records, cursor = dict(source.records), source.cursor
        source.faults.after = trouble
        with pytest.raises(error):
            await source.poll()

        assert records == source.records
        assert cursor == source.cursor


@pytest.mark.parametrize("name", HTTP_NAMES)
async def test_too_many_requests_says_until_when_to_wait(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        source.faults.after, source.faults.retry_after = 429, "3600"
        with pytest.raises(RateLimited) as caught:
            await source.poll()

        assert timedelta() <= caught.value.until - AT - timedelta(hours=1) < timedelta(minutes=1)


@pytest.mark.parametrize("name", HTTP_NAMES)
async def test_a_list_that_repeats_itself_is_not_read_for_ever(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        source.faults.after = "repeat"
        with pytest.raises(NotUnderstood):
            await source.poll()


@pytest.mark.parametrize("name", NAMES)
async def test_an_unknown_word_skips_one_item_and_keeps_the_others(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        await source.poll()
        expected, cursor = dict(source.records), source.cursor
        spoiled = source.world.unknown_word()
        source.records, source.cursor = {}, {}
        await source.poll()

        assert source.skipped > 0
        assert without(expected, spoiled) == without(source.records, spoiled)
        assert len(without(source.records, spoiled)) < len(expected)
        assert cursor.keys() == source.cursor.keys()


@pytest.mark.parametrize("name", NAMES)
async def test_a_missing_time_is_never_made_up(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        await source.poll()
        before = dict(source.records)
        spoiled = source.world.missing_time()
        source.records, source.cursor = {}, {}
        await source.poll()

        assert without(before, spoiled) == without(source.records, spoiled)
        for key, record in source.records.items():
            assert set(instants(record)) <= set(instants(before[key]))


@pytest.mark.parametrize("name", NAMES)
async def test_a_deleted_item_stops_nothing(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        await source.poll()
        before = dict(source.records)
        deleted = source.world.delete()
        await source.poll(at=AT + timedelta(minutes=1))

        assert without(before, deleted) == without(source.records, deleted)


@pytest.mark.parametrize("name", HTTP_NAMES)
@pytest.mark.parametrize(
    "trouble",
    [500, 503, 403, 404, 422, "garbage", "odd", "half", "cut", pytest.param("silence", marks=pytest.mark.slow)],
)
async def test_what_is_asked_about_one_item_fails_for_that_item_alone(
    name: str, trouble: Trouble, tmp_path: Path
) -> None:
    async with served(name, tmp_path) as source:
        if isinstance(source.world.about_one, str):
            pytest.skip(f"not of this platform: {source.world.about_one}")
        one, asks = source.world.about_one
        await source.poll()
        expected = dict(source.records)
        source.records, source.cursor = {}, {}
        source.timeout_seconds = 1 if trouble == "silence" else 10
        source.faults.about, source.faults.after = asks, trouble
        await source.poll()

        assert without(expected, one) == without(source.records, one)
        assert source.failed_details > 0 or trouble in (404, "odd")

        source.faults.requests.clear()
        records, cursor = dict(source.records), source.cursor
        await source.poll(at=AT + timedelta(minutes=1))

        assert records == source.records
        assert cursor == source.cursor
        assert source.failed_details == 0 or trouble == 404  # not at every poll

        source.faults.after, source.timeout_seconds = None, 10
        await source.poll(at=LATER)

        assert expected == source.records or trouble in (404, "odd")


@pytest.mark.parametrize("name", HTTP_NAMES)
async def test_a_log_in_page_in_place_of_details_is_a_refused_credential(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        if isinstance(source.world.about_one, str):
            pytest.skip(f"not of this platform: {source.world.about_one}")
        _, source.faults.about = source.world.about_one
        source.faults.after = 401
        with pytest.raises(AuthFailed):
            await source.poll()


@pytest.mark.parametrize("name", NAMES)
async def test_an_absurd_place_carries_nothing_away(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        await source.poll()
        undo = source.world.absurd()
        await source.poll(at=AT + timedelta(minutes=1))
        meanwhile = {source.world.work(AT + timedelta(minutes=minute)) for minute in range(2, 7)}
        await source.poll(at=AT + timedelta(minutes=10))
        seen_with_it = ids(source)
        undo()
        await source.poll(at=AT + timedelta(minutes=11))
        after = {source.world.work(AT + timedelta(minutes=minute)) for minute in range(12, 17)}
        await source.poll(at=AT + timedelta(minutes=20))

        assert meanwhile <= seen_with_it
        assert meanwhile | after <= ids(source)


@pytest.mark.parametrize("name", NAMES)
async def test_a_platform_set_up_anew_is_read_anew_and_what_is_stored_is_kept(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        await source.poll()
        before = dict(source.records)
        there = source.world.start_over()
        await source.poll(at=AT + timedelta(days=1))
        first = source.started_over
        fresh = Source(source.connector, source.world, source.url, Faults())
        await fresh.poll(at=AT + timedelta(days=1))
        await source.poll(at=AT + timedelta(days=1))

        assert there == {key for kind, key in fresh.records if kind is not Workflow}
        assert fresh.records.items() <= source.records.items()
        assert {key for key in before if key[0] is not Workflow} <= source.records.keys()
        assert first == source.started_over == (1 if speaks_http(name) else 0)  # files are known one by one


EARLIER: Mapping[str, Mapping[str, Any]] = {
    "n8n": {"newest": 1027, "open": ["1026", "1027"], "facts": {}, "workflows": {}, "read_at": AT.isoformat()},
    "prefect": {"ended": "2026-03-30T23:50:00+00:00", "open": [], "tried": {}, "deployments": []},
    "request-tracker": {"newest": 170, "seen": [168, 169, 170]},
}
"""Cursors as versions wrote them that believed one mark."""


@pytest.mark.parametrize("name", EARLIER)
async def test_a_cursor_of_an_earlier_version_is_gone_on_from(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as source:
        await source.poll()
        records, source.cursor = dict(source.records), EARLIER[name]
        await source.poll(at=AT + timedelta(minutes=1))

        assert records == source.records
        assert source.started_over == 0


@pytest.mark.parametrize("name", EVERY)
def test_what_a_connector_says_of_its_platform_is_of_its_kind_and_rightly_named(name: str) -> None:
    module = connector(name)
    said = needs(module)
    known = {each.name.upper() for each in fields(Needs)} | {"RECORDS"}
    almost = {
        word: get_close_matches(word, known, n=1, cutoff=0.75)
        for word in vars(module)
        if word.isupper() and word not in known
    }

    assert said.auth is None or isinstance(said.auth, Scheme)
    assert said.interval >= 5
    assert {word: near for word, near in almost.items() if near} == {}
