"""Lists of numbers come out of the database whole, and their median is found without putting them together."""

import statistics
from array import array

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.evaluation.arrow import lists
from exporter.evaluation.stats import FEW, median

NUMBERS = st.floats(-1e9, 1e9)


@given(st.lists(st.lists(NUMBERS, min_size=1).map(sorted), min_size=1, max_size=2 * FEW))
def test_the_median_of_sorted_pieces_is_that_of_all_values(pieces: list[list[float]]) -> None:
    found = median(tuple(array("d", piece) for piece in pieces))

    lower, upper = (f([n for piece in pieces for n in piece]) for f in (statistics.median_low, statistics.median_high))
    assert (lower if lower == upper else lower + (upper - lower) / 2) == found


def test_lists_of_many_rows_are_those_of_the_query_in_its_order() -> None:
    with duckdb.connect() as db:
        query = "select range(i % 4)::double[] as a, [i / 7] as b from range(300000) r(i) order by i"
        a, b = lists(db, query)

        assert db.execute("select 1").fetchall() == [(1,)]
    assert [list(map(float, range(i % 4))) for i in range(300_000)] == [each.tolist() for each in a]
    assert [[i / 7] for i in range(300_000)] == [each.tolist() for each in b]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("select [1::integer] as a", ValueError),
        ("select 1.5::double as a", ValueError),
        ("select [error('no such luck')::double] as a from range(5)", duckdb.Error),
        ("select [(case when i > 200000 then error('late') else i end)::double] from range(300000) r(i)", duckdb.Error),
    ],
)
def test_what_is_no_list_of_numbers_or_fails_is_an_error_and_the_connection_goes_on(
    query: str, error: type[Exception]
) -> None:
    with duckdb.connect() as db:
        with pytest.raises(error):
            lists(db, query)

        assert db.execute("select 1").fetchall() == [(1,)]


def test_a_query_without_rows_has_no_lists() -> None:
    with duckdb.connect() as db:
        assert lists(db, "select [1::double] as a where false") == [[]]
