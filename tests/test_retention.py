"""No reading of a clock, however wrong, deletes what cannot be read again."""

import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.records import Booking, Request, Run
from exporter.store import Store
from exporter.store.retention import EVERY, FIRST_AFTER, Retention
from tests.program import command, running, value

AT = datetime(2026, 3, 31, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
KEPT = timedelta(days=400)
RECORDS = 500


@dataclass
class Clocks:
    """The clock on the wall, which somebody sets, and the one that nobody sets."""

    at: datetime = AT
    seconds: float = 1000.0

    def pass_by(self, time: timedelta) -> None:
        self.at += time
        self.seconds += time.total_seconds()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.duckdb") as store:
        yield store


def requests(newest: datetime, count: int = RECORDS, apart: timedelta = timedelta(days=1)) -> list[Request]:
    return [Request(id=str(n), opened_at=newest - n * apart) for n in range(count)]


def left(store: Store, clocks: Clocks, *, hours: int, kept: timedelta = KEPT) -> list[int]:
    """How many requests are left after each of some hours."""
    retention, counts = Retention(store, seconds=lambda: clocks.seconds), []
    for _ in range(hours):
        retention.round(clocks.at, kept)
        counts.append(store.counts()["request"])
        clocks.pass_by(HOUR)
    return counts


def test_nothing_is_deleted_in_the_first_hours_then_the_oldest_tenth_in_each_round(store: Store) -> None:
    store.write("s", requests(AT), {})
    first, every = FIRST_AFTER // HOUR, EVERY // HOUR

    counts = left(store, Clocks(), hours=first + 3 * every)

    assert counts == [500] * first + [450] * every + [405] * every + [404] * every  # 1 % tell how far it is
    with store.reading() as reader:
        oldest = reader.execute("select min(opened_at) from request").fetchall()[0][0].replace(tzinfo=UTC)
    assert oldest >= AT - KEPT - 5 * DAY


@pytest.mark.slow
@pytest.mark.parametrize("off", [500 * DAY, 9000 * DAY, -500 * DAY, -20 * 365 * DAY])
def test_a_clock_that_is_wrong_for_months_deletes_nothing_that_is_young_beside_the_newest_record(
    store: Store, off: timedelta
) -> None:
    store.write("s", requests(AT, count=390), {})

    assert {390} == set(left(store, Clocks(AT + off), hours=60))


@pytest.mark.slow
@pytest.mark.parametrize("absurd", [AT + 600 * DAY, datetime(9999, 1, 1, tzinfo=UTC)])
def test_records_far_in_the_future_do_not_make_the_others_old(store: Store, absurd: datetime) -> None:
    store.write("s", requests(AT, count=390), {})
    store.write("s", [Booking(id=str(n), booked_at=AT, starts_at=absurd) for n in range(300)], {})
    store.write("s", [Booking(id="absurd", starts_at=absurd)], {})

    assert {390} == set(left(store, Clocks(AT + 500 * DAY), hours=50))


def test_a_clock_that_jumps_is_waited_for_and_told_of(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.write("s", requests(AT), {})
    clocks = Clocks()
    retention = Retention(store, seconds=lambda: clocks.seconds)
    retention.round(clocks.at, KEPT)
    clocks.at += 3 * DAY
    clocks.pass_by(FIRST_AFTER)
    jumped = retention.round(clocks.at, KEPT)
    clocks.pass_by(FIRST_AFTER - HOUR)
    waiting = retention.round(clocks.at, KEPT)
    clocks.pass_by(HOUR)

    assert (jumped, waiting, retention.round(clocks.at, KEPT)) == (0, 0, 50)
    assert "the clock jumped by 3 days, 0:00:00; no records are deleted for 2:00:00" in caplog.messages


def test_what_is_deleted_is_told_and_history_is_whole_from_the_last_of_it_on(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store.write("s", [*requests(AT), *(Run(id=str(n), started_at=AT - n * DAY) for n in range(410))], {})
    store.succeeded("s", AT, AT - 1000 * DAY)
    left(store, Clocks(), hours=FIRST_AFTER // HOUR + 1)

    said = [message for message in caplog.messages if message.startswith("deleted")]
    assert said == ["deleted records older than 2025-02-20 00:00 UTC: request 50, run 5"]
    assert store.source("s").whole_since == AT - 405 * DAY


def test_a_store_of_hardly_any_records_deletes_none(store: Store) -> None:
    store.write("s", requests(AT - 900 * DAY, count=2), {})

    assert {2} == set(left(store, Clocks(), hours=30))


def test_a_source_read_by_a_clock_that_was_ahead_is_read_anew_and_keeps_its_records(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.begin("s", "print", AT + 500 * DAY)
    store.write("s", requests(AT), {"page": 1})
    store.succeeded("s", AT + 500 * DAY, AT + 380 * DAY)

    state = store.begin("s", "print", AT)
    assert (state.cursor, state.complete, state.last_success, state.whole_since) == ({}, False, None, None)
    assert store.counts()["request"] == RECORDS
    assert caplog.messages == [
        "source s: was last read in the future, by a wrong clock; it is read again from the beginning"
    ]


# The program under a clock that lies

CONFIG = """
store: { path: store.duckdb }
sources:
  - { name: desk, type: files, path: rows.csv, record: request, interval: 5s }
"""
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
lying = pytest.mark.skipif(not LIBRARIES, reason="needs the Debian package faketime")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    now = datetime.now(UTC)  # the rows are as old as the clock that is not faked says
    rows = [f"{n},{now - n * 18 * HOUR:%Y-%m-%dT%H:%M:%SZ}" for n in range(RECORDS)]
    (tmp_path / "rows.csv").write_text("\n".join(["id,opened_at", *rows]) + "\n")
    os.utime(tmp_path / "rows.csv", (0, 0))
    path = tmp_path / "outcome.yaml"
    path.write_text(CONFIG)
    return path


def wrong_clock(monkeypatch: pytest.MonkeyPatch, faketime: str, zone: str = "UTC") -> None:
    monkeypatch.setenv("LD_PRELOAD", str(LIBRARIES[0]))
    monkeypatch.setenv("FAKETIME", faketime)
    monkeypatch.setenv("TZ", zone)


@lying
@pytest.mark.parametrize(
    ("faketime", "zone"),
    [("+500d", "UTC"), ("-500d", "UTC"), ("@2006-01-01 00:00:00", "UTC"), ("@2026-10-25 02:59:58", "Europe/Berlin")],
    ids=["ahead", "back", "2006", "a night of a change of clocks"],
)
async def test_one_run_under_a_wrong_clock_costs_nothing(
    config: Path, monkeypatch: pytest.MonkeyPatch, faketime: str, zone: str
) -> None:
    with monkeypatch.context() as patched:
        wrong_clock(patched, faketime, zone)
        under_it, _, _ = await command("once", folder=config.parent)
    afterwards, out, err = await command("once", folder=config.parent)

    assert (under_it, afterwards) == (0, 0), err
    assert 'outcome_store_records{record="request"} 500.0' in out
    assert 'outcome_requests{category="unassigned",team="unassigned",window="7d"} 1' in out


@lying
async def test_days_under_a_clock_that_is_ahead_delete_nothing(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        wrong_clock(patched, "+500d x3000")  # hours pass in seconds
        async with running(config) as program:
            first = await program.until(lambda found: bool(value(found, "outcome_store_records", record="request")))
            a_day_later = (value(first, "outcome_evaluation_last_timestamp_seconds") or 0.0) + DAY.total_seconds()
            samples = await program.until(
                lambda found: (value(found, "outcome_evaluation_last_timestamp_seconds") or 0) > a_day_later
            )
            await program.stopped()

    assert value(samples, "outcome_evaluation_last_timestamp_seconds") > a_day_later  # type: ignore[operator] # there
    assert value(samples, "outcome_store_records", record="request") == RECORDS
    assert value(samples, "outcome_store_records_deleted_total") == 0


def test_the_library_that_fakes_clocks_is_where_the_tests_look() -> None:
    assert bool(LIBRARIES) == bool(shutil.which("faketime"))
