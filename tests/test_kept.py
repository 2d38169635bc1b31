"""What is kept beside records is what would be worked out now: after every kind of write, and whoever wrote."""

import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.__main__ import main
from exporter.config import read_config
from exporter.records import Part, Record, Request
from exporter.runtime import Memory, StoppedError, evaluated
from exporter.store import Store, kept
from exporter.store.pushed import Told
from exporter.store.status import SourceStatus
from tests.scenario import empty_store

AT = datetime(2026, 3, 31, tzinfo=UTC)
SOURCES = ["desk", "bot"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with empty_store(tmp_path) as store:
        yield store


def asked(number: int, hour: int, *, who: str | None = "ann", **more: Any) -> Request:
    """A request opened at an hour, which took one."""
    opened = AT + timedelta(hours=hour)
    known = {
        "category": "login",
        "handled_by": "human",
        "outcome": "resolved",
        "resolved_at": opened + timedelta(hours=1),
    }
    return Request(id=str(number), opened_at=opened, requester=who, **{**known, **more})


def again(store: Store) -> dict[str, datetime | None]:
    """When somebody came back after each request, as it is kept."""
    with store.reading() as reader:
        rows = reader.execute("select id, kept_again_at from request where kept is not null order by id").fetchall()
    return {id_: moment and moment.replace(tzinfo=UTC) for id_, moment in rows}


def pending(store: Store) -> int:
    """How many rows are not kept."""
    with store.reading() as reader:
        return int(reader.execute("select count(*) from request where kept is null").fetchall()[0][0])


def begin(store: Store) -> None:
    store.write("desk", [asked(1, 0), asked(2, 5), asked(3, 9), asked(4, 2, who="bob"), asked(5, 7, who=None)], {})
    store.keep(SOURCES)


def event(store: Store) -> None:
    store.add("bot", [Told(asked(9, 3), Part(at=AT))], [1], AT)


WRITES: dict[str, Callable[[Store], object]] = {
    "a later request": lambda store: store.write("desk", [asked(6, 3)], {}),
    "one of another source": lambda store: store.write("bot", [asked(1, 2)], {}),
    "another requester": lambda store: store.write("desk", [asked(2, 5, who="bob")], {}),
    "another category": lambda store: store.write("desk", [asked(2, 5, category="printer")], {}),
    "no category": lambda store: store.write("desk", [asked(2, 5, category=None)], {}),
    "a second end": lambda store: store.write("desk", [asked(1, 0, abandoned_at=AT + timedelta(hours=8))], {}),
    "discarded": lambda store: store.write("desk", [asked(2, 5, outcome="discarded")], {}),
    "an event": event,
    "gone": lambda store: store.write("desk", [], {}, gone=[(Request, "2")]),
    "a person erased": lambda store: store.erase_person("ann"),
    "a source erased": lambda store: store.erase_source("desk"),
    "what is old deleted": lambda store: store.retain(AT + timedelta(hours=7)),
}


@pytest.mark.parametrize("name", WRITES)
def test_what_is_kept_is_what_would_be_worked_out_after(name: str, store: Store) -> None:
    begin(store)
    WRITES[name](store)
    store.keep(SOURCES)

    assert (store.kept_wrong(SOURCES)["request"][1], pending(store)) == (0, 0)


def test_who_comes_back_is_kept_as_the_first_instant(store: Store) -> None:
    begin(store)
    store.write("desk", [asked(6, 3), asked(2, 5, who="bob")], {})
    store.keep(SOURCES)

    hours = {name: moment and (moment - AT) // timedelta(hours=1) for name, moment in again(store).items()}

    assert hours == {"1": 3, "2": None, "3": None, "4": 5, "5": None, "6": 9}


def test_what_is_kept_of_a_store_without_changes_is_not_touched(store: Store) -> None:
    begin(store)
    before = store.size()
    store.keep(SOURCES)

    assert store.size() == before


def test_a_source_that_left_the_config_is_nobodys_coming_back(store: Store) -> None:
    begin(store)
    store.write("bot", [asked(8, 2)], {})
    store.keep(SOURCES)
    with_bot = again(store)["1"]
    store.keep(["desk"])

    assert store.kept_wrong(["desk"])["request"][1] == 0
    assert (with_bot, again(store)["1"]) == (AT + timedelta(hours=2), AT + timedelta(hours=5))


def by_another_program(store: Store, *statements: str) -> Store:
    """The same store after a program that knows nothing of what is kept has written to it."""
    store.close()
    with duckdb.connect(store.path) as db:
        for each in statements:
            db.execute(each)
    return Store.open(store.path)


FOREIGN = {
    "a row": ["insert into request (key, source, id, requester, category, opened_at) "
              "values (1, 'desk', '7', (select requester from request where id = '1'), 'login', '2026-03-31 02:00')"],
    "a deletion": ["delete from request where id = '2'"],
    "a row in place of another": [
        f"create temp table had as select * exclude ({', '.join(kept.columns('request'))}) replace ('bob' as requester)"
        " from request where id = '2'",
        "delete from request where id = '2'",
        "insert into request by name from had",
    ],
    "an older store": [f'alter table request drop column "{name}"' for name in kept.columns("request")],
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_what_an_older_program_has_written_is_found(name: str, store: Store) -> None:
    begin(store)
    with by_another_program(store, *FOREIGN[name]) as reopened:
        reopened.keep(SOURCES)

        assert (reopened.kept_wrong(SOURCES)["request"][1], pending(reopened)) == (0, 0)


def test_working_out_goes_on_where_it_was_broken_off(store: Store) -> None:
    store.write("desk", [asked(i, i, who=f"person {i // 3}") for i in range(60)], {})
    store.keep(["desk"], most=20, stopping=after(1))
    done = 60 - pending(store)
    store.close()

    with Store.open(store.path) as reopened:
        left = pending(reopened)
        reopened.keep(["desk"])

        assert 0 < done < 60
        assert left == 60 - done
        assert reopened.kept_wrong(["desk"])["request"] == (60, 0)


def after(parts: int) -> Callable[[], bool]:
    """Says stop after so many parts."""
    asked_for = count()
    return lambda: next(asked_for) >= parts


def test_whoever_has_more_requests_than_a_part_is_worked_out_in_one(store: Store) -> None:
    begin(store)
    store.write("desk", [asked(2, 5, category="printer")], {})
    store.keep(SOURCES, most=2, stopping=after(10))

    assert (store.kept_wrong(SOURCES)["request"], notes(store)) == ((5, 0), [])


def test_a_writer_that_never_rests_is_not_followed_for_ever(store: Store) -> None:
    begin(store)
    store.write("desk", [asked(6, 3)], {})
    turns = count(7)

    def stopping() -> bool:
        number = next(turns)
        store.write("desk", [asked(number, number)], {})
        return number > 50

    store.keep(SOURCES, stopping=stopping)

    assert next(turns) < 12


def notes(store: Store) -> list[str | None]:
    """Whose others are to be looked at again."""
    with store.reading() as reader:
        return [who for (who,) in reader.execute("select distinct value from kept_touched").fetchall()]


def kept_times(store: Store) -> set[datetime]:
    """All times that are kept beside requests."""
    names = ", ".join(name for name in kept.columns("request") if name != kept.MARK)
    with store.reading() as reader:
        return {moment for row in reader.execute(f"select {names} from request").fetchall() for moment in row if moment}


@pytest.mark.parametrize("touched", [False, True], ids=["nothing waits", "a change waits"])
def test_of_a_person_who_was_erased_neither_name_nor_times_stay(store: Store, *, touched: bool) -> None:
    store.write("desk", [asked(n, n * 3, who=store.person("ann")) for n in range(3)], {})
    store.keep(SOURCES)
    before = kept_times(store)
    if touched:
        store.write("desk", [asked(1, 4, who=store.person("ann"))], {})
    store.erase_person("ann")

    assert (len(before), kept_times(store), notes(store)) == (2, set(), [None])
    store.keep(SOURCES)
    assert store.kept_wrong(SOURCES)["request"] == (3, 0)


def test_of_a_source_that_was_erased_no_time_stays_beside_others(store: Store) -> None:
    store.write("desk", [asked(1, 0)], {})
    store.write("bot", [asked(1, 5), asked(2, 6, who="bob")], {})
    store.keep(SOURCES)
    before = kept_times(store)
    store.erase_source("bot")

    assert (len(before), kept_times(store), set(notes(store))) == (1, set(), {"ann", None})


def test_on_a_full_disk_there_are_values_and_the_reason_is_said_once(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    made = read_config(Path(__file__).parent / "configs" / "valid" / "smallest.yaml")
    counted = [each for each in made.plan.settings if each.kpi.name == "requests"]
    made = replace(made, plan=replace(made.plan, settings=counted))
    memory, status = Memory(), SourceStatus(source="desk", records=frozenset({"request"}))
    store.write("desk", [asked(n, n) for n in range(9)], {})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        found = [evaluated(made, store, AT + timedelta(hours=12), [status], memory=memory) for _ in range(2)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    said = [record.getMessage() for record in caplog.records]
    later = evaluated(made, store, AT + timedelta(hours=12), [status], memory=memory)

    assert len(said) == 1
    assert said[0].startswith(f"store {store.path}: the disk is full")
    assert pending(store) == 0
    assert found[0].figures
    assert [found[0].figures, found[1].figures] == [later.figures] * 2


Change = tuple[int, int, str | None, str | None, int, bool]
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(0, 6),
        st.sampled_from(["ann", "bob", None]),
        st.sampled_from(["login", None]),
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=12,
)


def changed(change: Change) -> Record:
    number, hour, who, category, hours, human = change
    opened = AT + timedelta(hours=hour)
    ends = {0: (None, None), 1: (hour, None), 2: (hour + 1, hour + 3), 3: (None, hour + 2)}[hours]
    resolved, abandoned = (None if end is None else AT + timedelta(hours=end) for end in ends)
    return Request(
        id=str(number), opened_at=opened, requester=who, category=category, resolved_at=resolved,
        abandoned_at=abandoned, handled_by="human" if human else "automation",
    )  # fmt: skip


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_whatever_is_written_in_whatever_order_is_kept_right(pages: list[list[Change]]) -> None:
    with TemporaryDirectory() as folder, empty_store(Path(folder)) as store:
        for page in pages:
            store.write("desk", [changed(each) for each in page], {})
            store.keep(["desk"])

            assert store.kept_wrong(["desk"])["request"][1] == 0


def test_a_program_that_ends_does_not_wait_for_what_is_not_kept_yet(store: Store) -> None:
    made = read_config(Path(__file__).parent / "configs" / "valid" / "smallest.yaml")
    status = SourceStatus(source="desk", records=frozenset({"request"}))
    store.write("desk", [asked(n, n) for n in range(9)], {})

    with pytest.raises(StoppedError):
        evaluated(made, store, AT, [status], memory=Memory(stopping=lambda: True))
    assert pending(store) == 9


def check(folder: Path) -> tuple[int, list[str]]:
    """The exit code and what `check --store` prints of the store in a folder."""
    ended = CliRunner().invoke(main, ["check", "--store", "--config.file", str(folder / "outcome.yaml")])
    return ended.exit_code, [line for line in ended.output.splitlines() if line.startswith(("store", "  "))]


def test_what_is_kept_in_a_users_store_can_be_checked_and_is_worked_out_anew_where_it_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "outcome.duckdb"
    config = f"store: {{ path: {path} }}\nsources: [{{ name: desk, type: files, path: none.jsonl, record: request }}]\n"
    (tmp_path / "outcome.yaml").write_text(config)
    with Store.open(path) as store:
        begin(store)
        store.write("desk", [asked(6, 30, who="eve")], {})
    right = check(tmp_path)
    with duckdb.connect(path) as db:
        db.execute("update request set kept_again_at = '2020-01-01' where id in ('1', '2')")
    wrong = check(tmp_path)
    with Store.open(path) as store:
        store.keep(["desk"])

    said = f"store {path}: request: 5 of 6 records have kept results"
    new = "  1 have none yet: the next evaluation adds them"
    assert right == (0, [said, new, "  all are right"])
    assert wrong == (1, [said.replace("5 of", "6 of"), "  2 are wrong: the next evaluation works out all anew"])
    assert check(tmp_path) == (0, [said.replace("5 of", "6 of"), "  all are right"])
