"""A store that was closed well opens again, however often and whatever was written in between."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.records import Request, Run
from exporter.store import Store, StoreError
from tests.program import command

pytestmark = pytest.mark.slow

AT = datetime(2026, 3, 31, tzinfo=UTC)
CYCLES = 20  # of each pattern
CYCLES_IN_TURN = 50
PATTERNS: dict[str, Callable[[Store, int], int]] = {}
"""Name -> what is done to the store in a cycle; returns how many runs there must be at its end."""


def pattern(function: Callable[[Store, int], int]) -> Callable[[Store, int], int]:
    PATTERNS[function.__name__] = function
    return function


def runs(first: int, last: int, **more: object) -> list[Run]:
    at = {"started_at": AT + timedelta(hours=first)}
    return [Run(id=str(n), url=str(n * 7919) * 9, **{**at, **more}) for n in range(first, last)]  # type: ignore[arg-type] # a test's shorthand


@pattern
def append_one(store: Store, cycle: int) -> int:
    store.write("s", runs(cycle, cycle + 1), {"n": cycle})
    return cycle + 1


@pattern
def append_many(store: Store, cycle: int) -> int:
    store.write("s", runs(cycle * 1_000, (cycle + 1) * 1_000), {"n": cycle})
    return (cycle + 1) * 1_000


@pattern
def change(store: Store, cycle: int) -> int:
    store.write("s", runs(0, 1_500, started_at=AT, attempt=cycle), {"n": cycle})
    return 1_500


@pattern
def delete(store: Store, cycle: int) -> int:
    """Grows, and shrinks again to nearly nothing."""
    store.write("s", runs(0, 1_500), {"n": cycle})
    store.write("s", [], {"n": -cycle}, gone=[(Run, str(n)) for n in range(cycle % 7, 1_500)])
    return cycle % 7


@pattern
def retention(store: Store, cycle: int) -> int:
    store.write("s", runs(cycle * 800, (cycle + 1) * 800, started_at=AT + timedelta(days=cycle)), {"n": cycle})
    store.retain(AT + timedelta(days=cycle - 1))
    return min(cycle + 1, 2) * 800


@pattern
def nothing_new(store: Store, cycle: int) -> int:
    store.begin("s", "print")
    store.succeeded("s", AT + timedelta(hours=cycle))
    return 0


@pattern
def a_reader_between(store: Store, cycle: int) -> int:
    """As a backfill beside the polls does."""
    with store.reading() as reader:
        reader.begin()
        reader.execute("create or replace temp table kept as from run")
        store.write("s", runs(cycle * 500, (cycle + 1) * 500), {"n": cycle})
        reader.commit()
    return (cycle + 1) * 500


@pytest.mark.parametrize("name", PATTERNS)
def test_a_store_opens_again_after_every_clean_cycle_with_all_that_was_in_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "store.duckdb"
    expected, found = [0], []
    troubles: list[StoreError | None] = []
    for cycle in range(CYCLES):
        with Store.open(path) as store:
            found.append(store.counts()["run"])
            expected.append(PATTERNS[name](store, cycle))
            troubles.append(store.trouble())
    with Store.open(path) as store:
        found.append(store.counts()["run"])

    assert expected == found
    assert set(troubles) == {None}


def test_all_patterns_in_turn_on_one_store(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    for cycle in range(CYCLES_IN_TURN):
        with Store.open(path) as store:
            list(PATTERNS.values())[cycle % len(PATTERNS)](store, cycle)
            store.write("s", [Request(id=str(cycle), opened_at=AT + timedelta(days=900))], {})
    with Store.open(path) as store:
        requests = store.counts()["request"]

        assert requests == CYCLES_IN_TURN


CONFIG = """
store: { path: store.duckdb }
sources:
  - { name: desk, type: files, path: rows.csv, record: request }
"""
ROUNDS = 6


async def test_the_program_starts_again_and_again_on_a_file_that_grows_by_a_row(tmp_path: Path) -> None:
    config, rows = tmp_path / "outcome.yaml", tmp_path / "rows.csv"
    config.write_text(CONFIG)
    rows.write_text("id,opened_at,resolved_at,outcome\n")
    told = []
    for number in range(ROUNDS):
        with rows.open("a") as opened:
            opened.write(f"{number},2026-03-0{number + 1}T10:00:00Z,2026-03-0{number + 1}T11:00:00Z,resolved\n")
        code, out, err = await command("once", "--at", "2026-03-20T00:00:00Z", folder=tmp_path)
        if number == ROUNDS - 2:
            code, out, err = await command(
                "backfill", "--from", "3d", "--to", "2026-03-20T00:00:00Z", "--step", "1d", folder=tmp_path
            )
        told.append((code, "damaged" in err, 'outcome_store_records{record="request"}' in out))
    with Store.open(tmp_path / "store.duckdb") as store:
        stored = store.counts()["request"]

    assert told == [(0, False, True)] * (ROUNDS - 2) + [(0, False, False), (0, False, True)]
    assert stored == ROUNDS
