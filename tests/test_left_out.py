"""What could not be read: kept across runs, told in words, and what it withdraws."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.catalogue import kpi
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan, Setting
from exporter.records import Request
from exporter.records.unreadable import MOST_UNREAD, Fault, LeftOut, Summary, quoted, summarized
from exporter.store import Store
from exporter.store.left_out import MOST, Noted
from exporter.store.status import SourceStatus
from exporter.store.table import naive
from tests.scenario import params

AT = datetime(2026, 3, 12, tzinfo=UTC)
ZONE = Fault("opened_at", "no_time_zone", "'2026-10-28 13:35' has no time zone", "Created")
WORD = Fault("outcome", "unknown_word", "'Solved' is none of open, resolved", "Status")
NUMBER = Fault("csat", "not_a_number", "'N/A' is not a number")


def row(number: int, *faults: Fault, whole: bool = True) -> LeftOut:
    return LeftOut(f"row {number}", f"line {number + 1}", faults or (ZONE,), whole=whole, scope="export.csv")


def noted(*rows: LeftOut, team: str | None = None) -> list[Noted]:
    return [Noted(each, team) for each in rows]


def records(count: int, team: str | None = None) -> list[Request]:
    return [Request(id=f"{team} {i}", opened_at=AT - timedelta(hours=2), team=team) for i in range(count)]


def evaluated(store: Store) -> Evaluation:
    """What is published of the requests of a store, as sources are judged by default."""
    feed = SourceStatus(source="desk", records=frozenset({"request"}), unread=store.unread("desk"))
    chosen = [kpi.catalogue()[name] for name in ("requests", "backlog")]
    plan = Plan(
        settings=[Setting(kpi=each, params=params(each, {}), min_coverage=0) for each in chosen],
        windows=[("1d", 86400)],
        labels={"request": ("team",)},
    )
    with store.reading() as reader:
        return evaluate(reader, plan, AT, [feed])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outcome.duckdb"


def test_all_that_is_wrong_is_said_in_one_line() -> None:
    rows = [row(i, ZONE, WORD) if i > 7 else row(i) for i in range(1, 1501)]

    expected = (
        "0 of 1,500 rows read; column Created: '2026-10-28 13:35' has no time zone (1,500 rows, first: line 2); "
        "column Status: 'Solved' is none of open, resolved (1,493 rows, first: line 9)"
    )
    assert expected == summarized(0, rows).describe("row")


def test_the_store_says_the_same_after_a_restart(path: Path) -> None:
    rows = [row(i, ZONE, WORD) if i > 7 else row(i) for i in range(1, 1501)]
    with Store.open(path) as store:
        store.note("desk", noted(*rows), [], AT)
    with Store.open(path) as store:
        assert summarized(0, rows).describe("row") == store.unread("desk").describe("row")


def test_reading_the_same_again_counts_nothing_twice(path: Path) -> None:
    with Store.open(path) as store:
        first = store.note("desk", noted(row(1), row(2)), [], AT)
        again = store.note("desk", noted(row(1), row(2), row(3)), [], AT)

        assert (len(first), len(again)) == (2, 1)
        assert store.unread("desk").lost == 3


def test_what_can_be_read_again_counts_no_longer(path: Path) -> None:
    with Store.open(path) as store:
        store.note("desk", noted(row(1), row(2), row(3, NUMBER, whole=False)), [], AT)
        store.note("desk", noted(row(2, WORD)), ["row 1", "row 3", "row 9"], AT)

        assert [(line.column, line.count) for line in store.unread("desk").lines] == [("outcome", 1)]


def test_a_part_that_is_read_anew_begins_with_nothing(path: Path) -> None:
    with Store.open(path) as store:
        store.note("desk", noted(row(1), row(2)), [], AT)
        counted = store.note("desk", noted(row(2)), [], AT, anew=["export.csv"])

        assert counted == []
        assert store.unread("desk").lost == 1


def test_another_config_begins_with_nothing(path: Path) -> None:
    with Store.open(path) as store:
        store.begin("desk", "one")
        store.note("desk", noted(row(1)), [], AT)
        store.begin("desk", "one")
        before = store.unread("desk").lost
        store.begin("desk", "other")

        assert (1, Summary()) == (before, store.unread("desk"))


@pytest.mark.slow
def test_the_table_is_bounded_and_says_at_least(path: Path) -> None:
    with Store.open(path) as store:
        with store.reading() as db:
            db.execute(
                "insert into left_out (source, key, column_name, reason, whole, noted_at)"
                " select 'desk', range, 'opened_at', 'no_time_zone', true, ? from range(?)",
                [naive(AT), MOST - 5],
            )
        added = store.note("desk", noted(*map(row, range(50))), [], AT)

        assert len(added) == 5
        assert store.unread("desk").describe("row").startswith(f"0 of at least {MOST:,} rows read; ")


def test_many_lost_rows_are_not_taken_for_few() -> None:
    assert Summary(read=2_000_000, lost=MOST).share > MOST_UNREAD


@pytest.mark.parametrize(("lost", "withdrawn"), [(5, False), (6, True)])
def test_figures_are_withdrawn_where_more_than_a_share_is_lost(path: Path, lost: int, withdrawn: bool) -> None:
    with Store.open(path) as store:
        store.write("desk", records(95), {})
        store.note("desk", noted(*map(row, range(lost))), [], AT)
        evaluation = evaluated(store)

        assert withdrawn == (evaluation.absent.get("requests") == "unreadable")
        assert withdrawn == (evaluation.absent.get("backlog") == "unreadable")


def test_what_one_team_lost_withdraws_no_other_team(path: Path) -> None:
    with Store.open(path) as store:
        store.write("desk", records(5, "Support"), {})
        store.note("desk", noted(*map(row, range(40)), team="Purchasing"), [], AT)
        evaluation = evaluated(store)

        assert {5.0} == {figure.numerator for figure in evaluation.figures}
        assert {"Support"} == {dict(figure.segment)["team"] for figure in evaluation.figures}


@pytest.mark.parametrize(("lost", "withdrawn"), [(5, False), (6, True)])
def test_what_is_lost_of_an_unknown_team_may_be_of_any(path: Path, lost: int, withdrawn: bool) -> None:
    with Store.open(path) as store:
        store.write("desk", [*records(50, "Support"), *records(45, "Purchasing")], {})
        store.note("desk", noted(*map(row, range(lost))), [], AT)
        evaluation = evaluated(store)

        assert (set() if withdrawn else {"Support", "Purchasing"}) == {
            dict(figure.segment)["team"] for figure in evaluation.figures
        }


def unplaced(count: int, team: str) -> list[Request]:
    """Requests of which nobody knows when they were opened."""
    return [Request(id=f"{team} {i}", closed_at=AT, team=team) for i in range(count)]


def test_a_kpi_without_records_is_not_called_unreadable_for_a_row_of_no_team(path: Path) -> None:
    with Store.open(path) as store:
        store.write("desk", unplaced(100, "Support"), {})
        store.note("desk", noted(row(1)), [], AT)

        assert evaluated(store).absent.get("requests") == "no_records"


def test_a_kpi_whose_only_team_lost_too_much_is_unreadable(path: Path) -> None:
    with Store.open(path) as store:
        store.write("desk", [*unplaced(100, "Support"), *records(5, "Purchasing")], {})
        store.note("desk", noted(row(1), team="Purchasing"), [], AT)

        assert evaluated(store).absent.get("requests") == "unreadable"


@pytest.mark.parametrize(("team", "any_team"), [(None, False), ("Support", True)])
def test_a_source_without_teams_withdraws_no_team_of_others(path: Path, team: str | None, *, any_team: bool) -> None:
    with Store.open(path) as store:
        store.write("desk", records(50, team), {})
        store.note("desk", noted(*map(row, range(40))), [], AT)

        assert any_team == bool(evaluated(store).sources["desk"].of_every)


def test_an_amount_that_cannot_be_read_counts_as_lost(path: Path) -> None:
    amount = Fault("amount", "not_a_number", "'1,900.00' is not a number")
    with Store.open(path) as store:
        store.write("desk", records(2), {})
        store.note("desk", noted(row(1, amount, whole=False), row(2, NUMBER, whole=False)), [], AT)
        store.note("desk", noted(row(3, NUMBER, whole=False)), [], AT)
        evaluation = evaluated(store)

        assert store.unread("desk").lost == 0
        assert evaluation.sources["desk"].of_all == {"1d"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Solved", "a text of 6 characters"),
        ("2026-10-28 13:35", "'2026-10-28 13:35'"),
        ("1,900.00", "'1,900.00'"),
        ("N/A", "'N/A'"),
        ("?", "'?'"),
        ("jane.doe1@example.com", "a text of 21 characters"),
        ("Jane Doe", "a text of 8 characters"),
        ("ghp0123456789abcdefghij0123", "a text of 27 characters"),
        ("x" * 5000, "a text of 5,000 characters"),
        ("a\n1", "a text of 3 characters"),
        (["Jane"], "a list"),
        ({"name": "Jane"}, "an object"),
        (10**30, "a huge number"),
        (float("nan"), "nan"),
    ],
)
def test_nothing_is_quoted_that_may_be_a_person_or_a_secret(given: object, expected: str) -> None:
    assert quoted(given) == expected


def test_the_words_of_a_status_are_quoted() -> None:
    assert quoted("waiting-vendor", word=True) == "'waiting-vendor'"
    assert quoted("jane.doe@example.com", word=True) == "a text of 20 characters"
    assert quoted("ghp0123456789abcdefghij0123", word=True) == "a text of 27 characters"
