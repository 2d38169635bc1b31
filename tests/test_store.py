"""The store: what goes in comes out, once; equal rows are left alone; every fault of the file has its own text."""

import os
import signal
import stat
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.cli.ask import answered
from exporter.config import read_config
from exporter.records import RECORDS, Account, Booking, Record, Request, Run, Workflow, record_name, unchanging
from exporter.runtime import open_store
from exporter.store import Store, SyncState
from exporter.store.fault import CannotWrite, Damaged, DiskFull, InUse, NewerFormat, NotAStore, StoreError, fault
from exporter.store.table import Table
from tests import deadline

AT = datetime(2026, 3, 31, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as store:
        yield store


def run(number: int, **more: object) -> Run:
    known = {"workflow": f"w{number % 7}", "status": "succeeded", "started_at": AT + timedelta(seconds=number)}
    return Run(id=str(number), **{**known, **more})  # type: ignore[arg-type] # a test's shorthand


def rows(store: Store, query: str) -> list[tuple[object, ...]]:
    with store.reading() as reader:
        return reader.execute(query).fetchall()


def used_bytes(store: Store) -> int:
    """What the file holds after the log has been worked in."""
    with store.reading() as reader:
        reader.execute("checkpoint")
    return store.size()


def in_a_process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=deadline.seconds(60),
        check=False,
    )


# What goes in comes out

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INSTANT = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis wants bounds without a zone
VALUES = {
    "VARCHAR": TEXT,
    "BOOLEAN": st.booleans(),
    "BIGINT": st.integers(-(2**63), 2**63 - 1),
    "DOUBLE": st.floats(allow_nan=False, allow_infinity=False),
    "TIMESTAMP": INSTANT,
    "VARCHAR[]": st.lists(TEXT, max_size=3).map(tuple),
}


@st.composite
def records(draw: st.DrawFn) -> Record:
    record_type = draw(st.sampled_from(list(RECORDS.values())))
    values: dict[str, Any] = {
        name: draw(VALUES[sql_type] if sql_type == "VARCHAR[]" else st.none() | VALUES[sql_type])
        for name, sql_type in Table(record_type).columns.items()
        if name not in ("id", "source")
    }
    return record_type(id=draw(st.sampled_from("abcd")), **values)


def stored(store: Store) -> dict[tuple[type[Record], str], Record]:
    found = {}
    with store.reading() as reader:
        for name, record_type in RECORDS.items():
            names = [f.name for f in fields(record_type)]
            for row in reader.execute(f'select {", ".join(names)} from "{name}"').fetchall():
                values: list[Any] = [
                    v.replace(tzinfo=UTC) if isinstance(v, datetime) else tuple(v) if isinstance(v, list) else v
                    for v in row
                ]
                record = record_type(**dict(zip(names, values, strict=True)))
                assert (record_type, record.id) not in found
                found[record_type, record.id] = record
    return found


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pages=st.lists(st.lists(records(), max_size=6), min_size=1, max_size=4))
def test_pages_of_mixed_records_come_out_as_the_newest_of_each_id_went_in(
    tmp_path_factory: pytest.TempPathFactory, pages: list[list[Record]]
) -> None:
    with Store.open(tmp_path_factory.mktemp("mixed") / "store.duckdb") as store:
        expected: dict[tuple[type[Record], str], Record] = {}
        for page in pages:
            store.write("s", page, {})
            for record in page:
                known = {f.name: getattr(record, f.name) for f in fields(record)} | {"source": "s"}
                before = expected.get((type(record), record.id), record).updated_at
                if not (before and record.updated_at and record.updated_at < before):
                    expected[type(record), record.id] = type(record)(**known)

        assert expected == stored(store)
        assert store.write("s", list(expected.values()), {}) == 0


def test_of_two_records_with_one_id_in_a_page_the_last_wins(store: Store) -> None:
    changed = store.write("s", [run(1, status="running"), run(2), run(1, status="failed")], {})

    assert changed == 2
    assert rows(store, "select id, status from run order by id") == [("1", "failed"), ("2", "succeeded")]


def updated(day: int | None, status: str) -> Run:
    return run(1, status=status, updated_at=None if day is None else AT + timedelta(days=day))


@pytest.mark.parametrize("one_page", [True, False], ids=["one page", "two pages"])
@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (updated(2, "succeeded"), updated(1, "running"), "succeeded"),
        (updated(1, "running"), updated(2, "succeeded"), "succeeded"),
        (updated(1, "running"), updated(1, "failed"), "failed"),
        (updated(None, "running"), updated(1, "failed"), "failed"),
        (updated(1, "failed"), updated(None, "running"), "running"),
        (updated(9000, "failed"), updated(1, "running"), "running"),
    ],
    ids=["older last", "newer last", "the same instant", "unknown first", "unknown last", "beyond belief first"],
)
def test_an_older_state_never_replaces_a_newer_one(
    store: Store, first: Run, second: Run, kept: str, one_page: bool
) -> None:
    at = AT + timedelta(days=3)
    for page in [[first, second]] if one_page else [[first], [second]]:
        store.write("s", page, {}, at=at)

    assert [(kept,)] == rows(store, "select status from run")


def test_a_state_that_was_kept_does_not_count_as_a_change(store: Store) -> None:
    store.write("s", [updated(2, "succeeded"), run(2)], {})

    assert store.write("s", [updated(1, "running"), run(3)], {}) == 1


def test_the_same_id_in_two_sources_is_two_records(store: Store) -> None:
    store.write("one", [run(1)], {})
    store.write("two", [run(1, status="failed")], {})

    assert rows(store, "select source, status from run order by 1") == [("one", "succeeded"), ("two", "failed")]


def test_ids_with_the_same_short_key_are_told_apart(store: Store) -> None:
    # crc32 of a source, a zero byte and an id: these two collide.
    seen: dict[int, str] = {}
    pair = next(
        (seen[key], str(n))
        for n in range(10**6)
        if (key := zlib.crc32(f"s\0{n * 2654435761}".encode())) in seen or seen.setdefault(key, str(n)) is None
    )
    first, second = (str(int(n) * 2654435761) for n in pair)
    store.write("s", [Run(id=first, status="failed")], {})

    assert store.write("s", [Run(id=second, status="succeeded")], {}) == 1
    assert store.write("s", [Run(id=second, status="cancelled")], {}, gone=[]) == 1
    store.write("s", [], {}, gone=[(Run, second)])
    assert [(first, "failed")] == rows(store, "select id, status from run")


def test_only_rows_that_differ_are_counted_and_written(store: Store) -> None:
    store.write("s", [run(n) for n in range(10)], {})

    assert store.write("s", [run(n) for n in range(10)], {}) == 0
    assert store.write("s", [run(n, owner="ops" if n == 3 else None) for n in range(10)], {}) == 1
    assert store.write("s", [run(3)], {}) == 1  # back to unknown
    assert store.counts()["run"] == 10


def test_a_row_of_a_release_without_digests_is_compared_once_and_known_from_then_on(store: Store) -> None:
    store.write("s", [run(1), run(2)], {})
    before = rows(store, "select id, row_digest from run order by id")
    with store.reading() as reader:
        reader.execute("update run set row_digest = null")

    assert store.write("s", [run(1), run(2, status="cancelled")], {}) == 1
    assert store.write("s", [run(1), run(2)], {}) == 1
    assert before == rows(store, "select id, row_digest from run order by id")


def test_who_was_erased_is_there_again_when_the_platform_still_names_them(store: Store) -> None:
    asked = Request(id="1", requester=store.person("ada@example.org"))
    store.write("s", [asked], {})
    store.erase_person("ada@example.org")

    assert rows(store, "select requester from request") == [(None,)]
    assert store.write("s", [asked], {}) == 1
    assert store.write("s", [asked], {}) == 0


@pytest.mark.slow
def test_a_write_larger_than_a_chunk_is_one_write(store: Store) -> None:
    many = [run(n) for n in range(45_000)]

    assert store.write("s", many, {}) == 45_000
    assert store.write("s", many, {}) == 0
    assert store.counts()["run"] == 45_000


def test_what_a_platform_no_longer_has_is_deleted_with_the_page(store: Store) -> None:
    store.write("s", [run(1), run(2), Request(id="1")], {})
    store.write("other", [run(1)], {})
    store.write("s", [run(3)], {"n": 1}, gone=[(Run, "1"), (Run, "never seen")])

    assert rows(store, "select source, id from run order by all") == [("other", "1"), ("s", "2"), ("s", "3")]
    assert store.counts()["request"] == 1


def test_numbers_that_are_none_and_ids_that_are_numbers_are_settled_on_the_way_in(store: Store) -> None:
    odd = Run(id=7, human_seconds=float("nan"), attempt=2.0, workflow=12)  # type: ignore[arg-type] # as platforms do

    assert [store.write("s", [odd], {}), store.write("s", [odd], {})] == [1, 0]
    assert rows(store, "select id, human_seconds, attempt, workflow from run") == [("7", None, 2, "12")]


def test_an_instant_is_stored_in_utc_and_one_without_zone_is_refused(store: Store) -> None:
    store.write("s", [Run(id="1", started_at=datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))))], {})

    assert [(datetime(2026, 1, 1),)] == rows(store, "select started_at from run")  # noqa: DTZ001 - as it is stored
    with pytest.raises(ValueError, match="without a time zone"):
        store.write("s", [Run(id="2", started_at=datetime(2026, 1, 1))], {})  # noqa: DTZ001 - what is refused


# Page and cursor


def test_page_and_cursor_are_stored_together_or_not_at_all(store: Store) -> None:
    store.write("s", [run(1)], {"page": 1})

    with pytest.raises(TypeError):
        store.write("s", [run(2)], {"page": object()})
    assert rows(store, "select id from run") == [("1",)]
    assert store.source("s").cursor == {"page": 1}


def test_a_cursor_comes_back_as_it_was(store: Store) -> None:
    cursor = {"since": "2026-01-01T00:00:00Z", "open": [1, 2], "deep": {"ü": None, "n": 1.5}}
    store.write("s", [], cursor)

    assert cursor == store.source("s").cursor
    assert SyncState({}, False, None, None) == store.source("never seen")


def test_state_outlives_a_restart(path: Path) -> None:
    with Store.open(path) as store:
        store.begin("s", "print")
        store.write("s", [run(1)], {"page": 1})
        store.succeeded("s", AT)
        hashed = store.person("anna@example.org")
    with Store.open(path) as store:
        assert SyncState({"page": 1}, True, AT, "print") == store.begin("s", "print")
        assert hashed == store.person("anna@example.org")
        assert {"run": AT + timedelta(seconds=1)} == store.newest("s", AT + timedelta(days=1))


def test_the_first_time_that_a_kpi_had_values_outlives_a_restart(path: Path) -> None:
    later = AT + timedelta(days=1)
    with Store.open(path) as store:
        first = store.first_published(["runs"], AT)
    with Store.open(path) as store:
        then = store.first_published(["runs", "backlog"], later)
        gone = store.first_published([], later + timedelta(days=1))

    assert first == {"runs": AT}
    assert then == gone == {"runs": AT, "backlog": later}


def test_another_fingerprint_forgets_the_cursor_and_keeps_the_records(store: Store) -> None:
    store.begin("s", "one")
    store.write("s", [run(1)], {"page": 1})
    store.succeeded("s", AT)

    assert SyncState({}, False, AT, "two") == store.begin("s", "two")
    assert store.counts()["run"] == 1


def test_a_person_is_a_hash_that_differs_from_store_to_store(store: Store, tmp_path: Path) -> None:
    with Store.open(tmp_path / "other.duckdb") as other:
        names = {store.person("anna"), store.person("bert"), other.person("anna")}

    assert len(names) == 3
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in names)


# Size and age


@pytest.mark.slow
def test_polling_the_same_a_hundred_times_does_not_grow_the_file(store: Store) -> None:
    page = [run(n) for n in range(500)]
    store.write("s", page, {"n": 1})
    store.succeeded("s", AT)
    before = used_bytes(store)
    for n in range(100):
        store.begin("s", "print")
        store.write("s", page, {"n": 1})
        store.succeeded("s", AT + timedelta(minutes=n))

    assert store.size() - before < 100_000  # the log of a hundred new times of success
    assert used_bytes(store) <= before + 512 * 1024


@pytest.mark.slow
def test_rows_that_change_at_every_poll_do_not_grow_the_file_for_ever(store: Store) -> None:
    store.write("s", [run(n) for n in range(20_000)], {})
    sizes = []
    for n in range(60):
        store.write("s", [run(k, human_seconds=float(n)) for k in range(20_000 - 2000, 20_000)], {"n": n})
        sizes.append(used_bytes(store))

    assert max(sizes[30:]) <= max(sizes[:30])
    assert store.counts()["run"] == 20_000


def test_retention_deletes_what_is_wholly_past_and_keeps_inventory(store: Store) -> None:
    old, new = AT - timedelta(days=400), AT - timedelta(days=1)
    kept = [
        Run(id="runs on", started_at=old, finished_at=new),
        Run(id="no time at all"),
        Workflow(id="inventory", updated_at=old),
        Account(id="inventory", granted_at=old, last_active_at=old),
        Booking(id="to come", booked_at=old, starts_at=AT + timedelta(days=9)),
        Run(id="at the border", started_at=AT - timedelta(days=365)),
    ]
    store.write("s", [*kept, Run(id="old", started_at=old), Request(id="old", opened_at=old, updated_at=old)], {})

    assert store.retain(AT - timedelta(days=365)) == {"run": 1, "request": 1}
    assert {(type(record), record.id) for record in kept} == set(stored(store))


@pytest.mark.slow
def test_the_space_of_deleted_rows_is_used_again(store: Store) -> None:
    def month(number: int) -> list[Run]:
        start = AT + timedelta(days=30 * number)
        return [
            Run(id=f"{number}-{n}", url=f"https://example.org/{number}/{n * 7919}", started_at=start)
            for n in range(20_000)
        ]

    sizes = []
    for number in range(12):
        store.write("s", month(number), {})
        store.retain(AT + timedelta(days=30 * (number - 1)))
        sizes.append(used_bytes(store))

    assert store.counts()["run"] == 40_000
    assert max(sizes[6:]) <= 1.5 * max(sizes[:4])


def test_newest_leaves_the_future_out(store: Store) -> None:
    bookings = [
        Booking(id="a", booked_at=AT, starts_at=AT + timedelta(days=3)),
        Booking(id="b", booked_at=AT - timedelta(1)),
    ]
    store.write("s", bookings, {})

    assert {"booking": AT} == store.newest("s", AT + timedelta(hours=1)) == store.newest_of(bookings, AT)
    assert store.newest("other", AT) == {}


def test_threads_and_memory_are_as_configured(path: Path) -> None:
    with Store.open(path, threads=2, memory_limit="64MB") as store:
        limits = rows(store, "select current_setting('threads'), current_setting('memory_limit')")

    assert limits == [(2, "61.0 MiB")]


def test_a_reader_in_another_thread_sees_one_committed_state(store: Store) -> None:
    store.write("s", [run(1)], {})
    seen: list[int] = []
    with store.reading() as reader:

        def count() -> None:
            seen.append(reader.execute("select count(*) from run").fetchall()[0][0])

        reader.begin()
        thread = threading.Thread(target=count)
        thread.start()
        thread.join()
        store.write("s", [run(2)], {})
        count()
        reader.commit()
        count()

    assert seen == [1, 1, 2]


@pytest.mark.slow
def test_writers_in_many_threads_lose_nothing(store: Store) -> None:
    def write(source: int) -> None:
        for page in range(5):
            store.write(str(source), [run(page * 10 + n) for n in range(10)], {"page": page})

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [(str(n), 50) for n in range(6)] == rows(store, "select source, count(*) from run group by 1 order by 1")


# The file


@unchanging(kw_only=True)
class Old(Record):
    """A record type of an earlier version."""

    status: str | None = None


Old.__name__ = "Run"


def test_a_column_that_is_new_is_added_to_an_old_file(path: Path) -> None:
    with Store.open(path, records={"run": Old}) as store:
        store.write("s", [Old(id="1", status="failed"), Old(id="2", status="failed")], {})
    with Store.open(path) as store:
        store.write("s", [run(2)], {})

        assert rows(store, "select id, status, workflow from run order by id") == [
            ("1", "failed", None),
            ("2", "succeeded", "w2"),
        ]


def test_file_and_log_are_for_the_owner_only(path: Path) -> None:
    os.umask(before := os.umask(0o022))
    with Store.open(path) as store:
        store.write("s", [run(1)], {})

        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}

    assert modes == {"store.duckdb": 0o600, "store.duckdb.wal": 0o600, "store.duckdb.person-key": 0o600}
    after = os.umask(before)
    assert before == after


@pytest.mark.usefixtures("store")
def test_a_second_process_is_told_who_has_the_file(path: Path) -> None:
    found = in_a_process("import sys; from exporter.store import Store; Store.open(sys.argv[1])", str(path))

    last = found.stderr.strip().splitlines()[-1]
    assert f"exporter.store.fault.InUse: store {path}: in use by another process (PID {os.getpid()}); stop" in last


@pytest.mark.usefixtures("store")
def test_a_second_store_in_one_process_is_refused(path: Path) -> None:
    with pytest.raises(InUse, match="already in use"):
        Store.open(path, memory_limit="100MB")


def test_a_store_that_a_command_has_open_for_a_moment_is_waited_for(store: Store, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "outcome.yaml"
    file.write_text(f"store: {{ path: {path} }}\nsources: [{{ name: a, type: files, path: a.csv, record: request }}]\n")
    with open_store(read_config(file), tries=2, pause=store.close) as second:
        counts = second.counts()

    assert counts["request"] == 0


def test_an_exporter_that_has_the_store_but_does_not_answer_yet_is_asked_again(path: Path) -> None:
    def in_use() -> None:
        raise InUse(path, "in use by another process")

    answers = iter([None, None, ["a value"]])

    assert answered(lambda: next(answers), in_use, pause=lambda: None) == ["a value"]


@pytest.mark.parametrize("where", ["missing/store.duckdb", "a_file/store.duckdb", "a_folder"])
def test_a_place_that_cannot_hold_a_file_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "a_file").write_text("x")
    (tmp_path / "a_folder").mkdir()

    with pytest.raises(CannotWrite, match=str(tmp_path / where)):
        Store.open(tmp_path / where)


AS_NOBODY = """
import duckdb, os, sys  # what is loaded at first use lies where nobody may read
from exporter.store import Store, StoreError
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    Store.open(sys.argv[1])
except StoreError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "said"), [(0o555, None, "is not writable"), (0o777, 0o444, "the file is not")]
)
def test_a_place_without_permission_is_named(
    tmp_path: Path, folder_mode: int, file_mode: int | None, said: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for parent in (tmp_path, *list(tmp_path.parents)[:3]):
        if parent.owner() == folder.owner() and parent != Path("/tmp"):  # noqa: S108 - not made, only left alone
            parent.chmod(0o755)
    if file_mode is not None:
        Store.open(folder / "store.duckdb").close()
        (folder / "store.duckdb").chmod(file_mode)
    folder.chmod(folder_mode)

    found = in_a_process(AS_NOBODY, str(folder / "store.duckdb"))
    assert found.stderr == ""
    assert found.stdout.startswith(f"CannotWrite store {folder / 'store.duckdb'}: ")
    assert said in found.stdout
    assert "writable for the user that runs this program" in found.stdout


def filled(path: Path) -> bytes:
    with Store.open(path) as store:
        store.write("s", [Run(id=str(n), url=str(n * 7919)) for n in range(30_000)], {})
    return path.read_bytes()


@pytest.mark.parametrize(
    "garbage", [b"", b"hello", b"\0" * 20_000, bytes(range(256)) * 400], ids=["empty", "text", "zeros", "bytes"]
)
def test_a_file_that_is_not_a_database_is_refused_and_left_alone(path: Path, garbage: bytes) -> None:
    path.write_bytes(garbage)

    with pytest.raises(NotAStore, match=rf"store {path}: .*it was not changed: choose another path"):
        Store.open(path)
    assert garbage == path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("kept", [4096, 12_288, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused_and_left_alone(path: Path, kept: float) -> None:
    whole = filled(path)
    cut = whole[: int(kept * len(whole)) if kept < 1 else int(kept)]
    path.write_bytes(cut)

    with pytest.raises(Damaged, match=f"store {path}: .*damaged.*restore it from a backup"):
        Store.open(path)
    assert cut == path.read_bytes()


def test_a_damaged_block_is_named_when_it_is_read(path: Path) -> None:
    whole = bytearray(filled(path))
    for position in range(12_288 + 300, len(whole), 4096):
        whole[position] ^= 0x55
    path.write_bytes(whole)

    with pytest.raises(Damaged, match="restore it from a backup"), Store.open(path) as store:
        store.write("s", [run(n) for n in range(30_000)], {})


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    with duckdb.connect(path) as db:
        db.execute("create table t as select 1 as a")

    with pytest.raises(NotAStore, match="another program"):
        Store.open(path)


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    Store.open(path).close()
    with duckdb.connect(path) as db:
        db.execute("update meta set value = '3' where name = 'format'")

    with pytest.raises(NewerFormat, match=r"has format 3, .* up to 2 only; run the newer version again"):
        Store.open(path)


def test_a_file_of_a_newer_database_is_told_from_its_text() -> None:
    text = "IO Error: Trying to read a database file with version number 999, but we can only read versions up to 68."

    assert isinstance(fault(Path("x"), text), NewerFormat)
    assert fault(Path("x"), "Conversion Error: Could not convert string 'secret'") is None


def test_being_killed_while_writing_keeps_every_committed_page(path: Path) -> None:
    code = """
import sys
from datetime import UTC, datetime
from exporter.records import Run
from exporter.store import Store
store = Store.open(sys.argv[1])
for page in range(10**6):
    store.write("s", [Run(id=f"{page}-{n}") for n in range(100)], {"page": page})
    print(page, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = [int(process.stdout.readline()) for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().split()]
    with Store.open(path) as store:
        page = store.source("s").cursor["page"]

        assert page >= max(told)
        assert [(100 * (page + 1), 100 * (page + 1))] == rows(store, "select count(*), count(distinct id) from run")


FULL = """
import random, resource, sys
from exporter.records import Run
from exporter.store import Store, StoreError
def page(n): return [Run(id=f"{n}-{k}", url=random.Random(n * 1000 + k).randbytes(400).hex()) for k in range(500)]
store = Store.open(sys.argv[1])
store.write("s", page(0), {"page": 0})
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
n, errors = 0, []
while len(errors) < 5 and n < 500:
    try:
        store.write("s", page(n + 1), {"page": n + 1})
        n += 1
    except StoreError as error:
        errors.append(f"{type(error).__name__} {error}")
print(*sorted(set(errors)), sep="\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for _ in range(3):
    n += 1
    store.write("s", page(n), {"page": n})
assert store.source("s").cursor == {"page": n}, (store.source("s"), n)
assert store.counts()["run"] == 500 * (n + 1), (store.counts(), n)
print("went on")
"""


@pytest.mark.parametrize("limit", [1_000_000, 12_000_000, 17_500_000], ids=["log", "log later", "checkpoint"])
def test_after_a_full_disk_writing_goes_on_once_there_is_room(path: Path, limit: int) -> None:
    found = in_a_process(FULL, str(path), str(limit))

    assert found.stderr == ""
    *errors, last = found.stdout.strip().splitlines()
    assert [
        f"DiskFull store {path}: the disk is full; nothing that was stored is lost; "
        "free some space and the next poll continues"
    ] == errors
    assert last == "went on"


ANEW = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from exporter.records import Run
from exporter.store import Store, StoreError
path, now = Path(sys.argv[1]), datetime(2026, 3, 31, tzinfo=UTC)
store = Store.open(path)
for year in (2020, 2026):
    runs = [Run(id=f"{n}", url=str(n * 7919) * 50, started_at=now.replace(year=year)) for n in range(20_000)]
    store.write(f"of {year}", runs, {})
store.retain(now.replace(year=2021))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
try:
    store.rewrite()
except StoreError as error:
    print(type(error).__name__)
print(*(each.name for each in path.parent.iterdir() if "rewrite" in each.name))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(store.rewrite(), store.counts()["run"])
"""


def test_a_disk_too_full_to_write_the_file_anew_keeps_the_file_and_no_draft(path: Path) -> None:
    found = in_a_process(ANEW, str(path))

    assert found.stderr == ""
    assert found.stdout.split() == ["DiskFull", "True", "20000"]


def test_a_full_disk_at_the_first_start_leaves_nothing_half_made(path: Path) -> None:
    code = """
import resource, sys
from exporter.store import Store

resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
Store.open(sys.argv[1])
"""
    found = in_a_process(code, str(path))

    assert "exporter.store.fault.DiskFull" in found.stderr.strip().splitlines()[-1]
    assert list(path.parent.iterdir()) == []
    Store.open(path).close()


def test_every_fault_is_a_store_error() -> None:
    kinds = {InUse, CannotWrite, DiskFull, NewerFormat, Damaged, NotAStore}

    assert kinds <= set(StoreError.__subclasses__())
    assert len({kind.remedy for kind in kinds}) == len(kinds)


def test_record_tables_are_named_like_the_records(store: Store) -> None:
    assert set(RECORDS) == set(store.counts()) == {record_name(record_type) for record_type in RECORDS.values()}
