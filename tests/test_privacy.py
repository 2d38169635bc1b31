"""Who has the store cannot tell who is in it, and what was erased cannot be read in its file."""

import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from exporter.collect.mapping import apply, compiled
from exporter.records import Account, Activity, Booking, Change, Incident, Read, Record, Request, Run
from exporter.store import Store, rewrite
from exporter.store.person import KeyMissing, OtherKey, beside, is_address
from tests.program import command, running

AT = datetime(2026, 3, 31, tzinfo=UTC)
KEY = "5f" * 32
OTHER = "6e" * 32
ANNA = "Anna.Example@example.org"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.duckdb"


def traces(path: Path, *needles: str) -> list[str]:
    """Which of these texts can be read in any file beside the store, but for the key's own."""
    files = [
        each for each in path.parent.iterdir() if each.is_file() and each.suffix in (".duckdb", ".wal", ".rewrite")
    ]
    content = b"".join(each.read_bytes() for each in files)
    return [needle for needle in needles if needle.encode() in content]


# The key


def test_the_key_lies_beside_the_store_for_its_owner_only_and_not_in_it(path: Path) -> None:
    with Store.open(path) as store:
        store.write("s", [Request(id="1", requester=store.person("anna"))], {})
    key = beside(path).read_text().strip()

    assert len(bytes.fromhex(key)) == 32
    assert stat.S_IMODE(beside(path).stat().st_mode) == 0o600
    assert traces(path, key) == []


def test_two_stores_with_one_key_name_a_person_alike_and_with_two_keys_do_not(tmp_path: Path) -> None:
    names = []
    for number, key in enumerate((KEY, KEY, OTHER, None, None)):
        with Store.open(tmp_path / f"{number}.duckdb", person_key=key) as store:
            names.append(store.person("anna"))

    assert names[0] == names[1]
    assert len({*names}) == 4
    assert not beside(tmp_path / "0.duckdb").exists()


def test_a_store_without_its_key_is_refused_and_left_as_it_is(path: Path) -> None:
    Store.open(path).close()
    key = beside(path).read_text()
    beside(path).unlink()

    with pytest.raises(KeyMissing, match=rf"no file {beside(path)}; restore that file from a backup"):
        Store.open(path)
    assert not beside(path).exists()
    beside(path).write_text(key)
    Store.open(path).close()


def test_another_key_is_refused_because_everybody_would_be_counted_twice(path: Path) -> None:
    Store.open(path, person_key=KEY).close()

    with pytest.raises(OtherKey, match="with another person key; give it the key it was made with"):
        Store.open(path, person_key=OTHER)
    beside(path).write_text("short")
    with pytest.raises(OtherKey, match="fewer than 32 characters"):
        Store.open(path)
    Store.open(path, person_key=KEY).close()


def test_a_key_that_is_there_before_the_store_is_taken(path: Path) -> None:
    beside(path).write_text(f"{KEY}\n")
    with Store.open(path) as store:
        name = store.person("anna")
    with Store.open(path.with_name("other.duckdb"), person_key=KEY) as store:
        assert name == store.person("anna")


# A store of the first format


def first_format(path: Path, records: list[Record]) -> str:
    """A store as the first version wrote it: its key is in it, and ids are as they were read."""
    with Store.open(path, person_key=KEY) as store:
        store.write("s", [*records, Request(id="r", requester=store.person("anna"))], {"page": 1})
        store.succeeded("s", AT)
        name = store.person("anna")
    with duckdb.connect(path) as db:
        db.execute("delete from meta")
        db.execute("insert into meta values ('format', '1'), ('person_key', ?)", [KEY])
    return name


def addressed(number: int) -> list[Record]:
    account = f"Person{number}@example.org"
    return [
        Account(id=account, tool="crm", url=f"https://crm.example.org/users/person{number}%40example.org"),
        Account(id=str(number), tool="crm", url="https://crm.example.org/users/7"),
        Incident(id=f"i{number}", caused_by=f"deploy{number}@example.org"),
        Change(id=f"deploy{number}@example.org", deployed_at=AT),
    ]


def test_the_key_of_an_older_store_moves_out_and_nothing_of_it_stays(path: Path) -> None:
    name = first_format(path, [record for n in range(300) for record in addressed(n)])
    before = traces(path, KEY, "Person7@example.org")
    with Store.open(path) as store:
        counts = {record: count for record, count in store.counts().items() if count}
        state, kept = store.source("s"), store.person("anna")
        with store.reading() as reader:
            joined = reader.execute("select count(*) from incident join change on change.id = caused_by").fetchall()
            urls = reader.execute("select count(*) filter (url like '%person%'), count(url) from account").fetchall()

    assert before == [KEY, "Person7@example.org"]
    assert beside(path).read_text().strip() == KEY
    assert (name, {"page": 1}, True) == (kept, state.cursor, state.complete)
    assert counts == {"account": 600, "incident": 300, "change": 300, "request": 1}
    assert (joined, urls) == ([(300,)], [(0, 300)])
    assert traces(path, KEY, "Person7@example.org", "person7", "deploy7@", "example.org/users/person") == []


def test_what_is_read_again_after_the_upgrade_replaces_what_was_stored(path: Path) -> None:
    first_format(path, addressed(1))
    with Store.open(path) as store:
        mapping = compiled({}, [Account, Incident, Change])
        read = [apply(Read(record, {}), mapping, store.person) for record in addressed(1)]

        assert store.write("s", read, {}) == 0


def test_an_older_store_under_another_configured_key_is_refused(path: Path) -> None:
    first_format(path, [])

    with pytest.raises(OtherKey, match="holds a person key of its own"):
        Store.open(path, person_key=OTHER)
    assert traces(path, KEY) == [KEY]
    Store.open(path, person_key=KEY).close()
    assert traces(path, KEY) == []


IN_A_PROCESS = "import sys; from exporter.store import Store; print('begins', flush=True); Store.open(sys.argv[1])"


def test_a_move_that_is_killed_at_any_moment_ends_at_the_next_start(path: Path) -> None:
    first_format(path, [record for n in range(3000) for record in addressed(n)])
    for attempt in range(12):
        with subprocess.Popen([sys.executable, "-c", IN_A_PROCESS, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            try:
                process.wait(0.04 * (attempt + 1))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    with Store.open(path) as store:
        counts = store.counts()

    assert (counts["account"], counts["change"], counts["request"]) == (6000, 3000, 1)
    assert beside(path).read_text().strip() == KEY
    assert traces(path, KEY, "Person7@example.org") == []
    assert [each.name for each in path.parent.iterdir() if "rewrite" in each.name or ".new" in each.name] == []


# Addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a@b.org", True), (" A@b ", True), ("@b", False), ("a@", False), ("a b@c", False), ("a@b@c", False), (7, False)],
)
def test_what_an_address_is(text: object, expected: bool) -> None:
    found = is_address(text)

    assert found is expected


def stored_as(record: Record, person: Callable[[str], str]) -> Record:
    return apply(Read(record, {}), compiled({}, [type(record)]), person)


def test_ids_that_are_addresses_are_stored_as_persons_are(path: Path) -> None:
    with Store.open(path) as store:
        person = store.person
        account = stored_as(Account(id=ANNA, person=ANNA.lower(), url=f"https://crm/{ANNA}"), person)
        run = stored_as(Run(id="7", root_id=ANNA, url="https://n8n/7"), person)

        hashed = store.person(ANNA.lower())

    assert isinstance(account, Account)
    assert isinstance(run, Run)
    assert (account.id, account.person, account.url) == (hashed, hashed, None)
    assert (run.id, run.root_id, run.url) == ("7", hashed, "https://n8n/7")


# Erasing


def people(store: Store, number: int) -> list[Record]:
    address = f"person{number}@example.org"
    hashed = store.person(address)
    at = AT - timedelta(days=number % 300)
    return [
        Account(id=hashed, person=hashed, tool="crm", granted_at=at, team=f"needle-team-{number}"),
        Activity(id=f"activity-needle-{number}", person=hashed, tool="crm", day=at),
        Request(id=f"request-{number}", requester=hashed, opened_at=at),
        Booking(id=f"booking-{number}", host=hashed, starts_at=at),
    ]


def test_an_erased_person_is_gone_from_records_and_file_and_nobody_else_is(path: Path) -> None:
    with Store.open(path) as store:
        store.write("s", [record for n in range(1000) for record in people(store, n)], {})
        hashed = store.person("person7@example.org")
    before = traces(path, hashed, "activity-needle-7")
    with Store.open(path) as store:
        found = store.erase_person(" Person7@example.org ")
        store.write("s", [record for n in (2000, 2001) for record in people(store, n)], {})
        counts = store.counts()
        with store.reading() as reader:
            nobody = reader.execute("select id from request where requester is null").fetchall()
        while_open = traces(path, hashed, "needle-team-7\0", "activity-needle-7\0")

    assert before == [hashed, "activity-needle-7"]
    assert found == {"account": 1, "activity": 1, "request": 1, "booking": 1}
    assert [counts[name] for name in ("account", "activity", "request", "booking")] == [1001, 1001, 1002, 1002]
    assert nobody == [("request-7",)]
    assert while_open == []
    assert traces(path, hashed) == []


def test_what_could_not_be_read_of_an_erased_person_is_forgotten(path: Path) -> None:
    with Store.open(path) as store:
        with store.reading() as reader:
            reader.execute(
                "insert into left_out (source, key, column_name, reason, whole, called, text, place, noted_at)"
                " select 's', i, 'day', 'bad_value', true, 'Day', 'of ' || who, who, now()::timestamp"
                " from (values (1, 'Anna@example.org'), (2, 'bert@example.org')) x(i, who)"
            )
        store.erase_person("anna@example.org")
        with store.reading() as reader:
            left = reader.execute("select place from left_out").fetchall()

    assert left == [("bert@example.org",)]
    assert traces(path, "Anna@") == []


def test_an_erased_source_leaves_nothing_and_others_stay(path: Path) -> None:
    with Store.open(path) as store:
        store.write("doomed", [Run(id=f"doomed-{n}", workflow=f"dwf-{n}") for n in range(4000)], {"mark": "needle"})
        store.write("kept", [Run(id=f"kept-{n}", workflow=f"kwf-{n}") for n in range(4000)], {"mark": "stays"})
        found = store.erase_source("doomed")
        state = store.source("doomed")

    assert found == {"run": 4000}
    assert state.cursor == {}
    assert traces(path, "doomed", "dwf", "needle", "kept-77", "stays") == ["kept-77", "stays"]


def test_what_retention_deleted_cannot_be_read_once_the_file_is_written_anew(path: Path) -> None:
    with Store.open(path) as store:
        old = [Run(id=f"old-{n}", started_at=AT - timedelta(days=500)) for n in range(5000)]
        store.write("s", [*old, *(Run(id=f"new-{n}", started_at=AT) for n in range(5000))], {})
        deleted = store.retain(AT - timedelta(days=400))
        with store.reading() as reader:
            reader.execute("select 1")
            while_read = store.rewrite()
        done, again = store.rewrite(), store.rewrite()
        count = store.counts()["run"]
        store.write("s", [Run(id="later")], {})

    assert deleted == {"run": 5000}
    assert (while_read, done, again, count) == (False, True, False, 5000)
    assert traces(path, "old-", "new-4999", "later") == ["new-4999", "later"]


SLOW = """
import sys
from exporter.store import Store
store = Store.open(sys.argv[1])
store.erase_source("doomed")
print("erased", flush=True)
"""


def test_erasing_that_is_killed_leaves_a_whole_store(path: Path) -> None:
    with Store.open(path) as store:
        for source in ("doomed", "kept"):
            store.write(source, [Run(id=f"{source}-{n}", url=str(n * 7919) * 5) for n in range(20_000)], {})
    for attempt in range(8):
        with subprocess.Popen([sys.executable, "-c", SLOW, str(path)], stdout=subprocess.PIPE) as process:
            deadline = time.monotonic() + 20
            while not rewrite.draft_of(path).exists() and process.poll() is None and time.monotonic() < deadline:
                pass
            try:
                process.wait(0.02 * attempt)
            except subprocess.TimeoutExpired:
                process.kill()
    with Store.open(path) as store:
        store.erase_source("doomed")

        assert store.counts()["run"] == 20_000
    assert traces(path, "doomed", "kept-19999") == ["kept-19999"]


# The program

CONFIG = """
store: { path: store.duckdb, person_key_file: key }
sources:
  - { name: crm, type: files, path: rows.csv, record: account }
"""
ROWS = """id,person,tool,granted_at
anna@example.org,Anna@example.org,crm,2026-03-01T00:00:00Z
7,b@example.org,crm,2026-03-01T00:00:00Z
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "rows.csv").write_text(ROWS)
    config = tmp_path / "outcome.yaml"
    config.write_text(CONFIG)
    return config


async def test_the_program_erases_a_person_and_a_source(config: Path, path: Path) -> None:
    folder = config.parent
    polled, _, _ = await command("once", folder=folder)
    neither = await command("erase", folder=folder)
    person = await command("erase", "--person", "ANNA@example.org", folder=folder)
    again = await command("erase", "--person", "anna@example.org", folder=folder)
    source = await command("erase", "--source", "crm", folder=folder)

    assert polled == 0
    assert not beside(path).exists()
    assert neither == (1, "", "outcome-exporter: give either --person or --source to say what to erase\n")
    assert person == (0, "erased: account 1\n", "")
    assert again == (0, "nothing to erase: no record matches\n", "")
    assert source == (
        0, "erased: account 1\n", "source crm is still configured, so the next poll reads its records again\n"
    )  # fmt: skip
    assert traces(path, "anna", "crm") == []


async def test_erasing_beside_a_running_exporter_is_refused_in_words(config: Path) -> None:
    async with running(config):
        code, out, err = await command("erase", "--source", "crm", folder=config.parent)

    assert (code, out) == (1, "")
    assert "in use by another process" in err
    assert "stop the other process" in err
