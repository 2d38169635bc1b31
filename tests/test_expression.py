"""Conditions that users write, checked and run in a real database."""

import string
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.catalogue.expression import amount, predicate
from exporter.catalogue.expression_tree import READERS, SIMPLE
from exporter.catalogue.expression_types import ColumnKind, ExpressionError
from exporter.catalogue.regex import pattern_fault

COLUMNS: dict[str, ColumnKind] = {"category": "text", "team": "text", "replies": "number", "self_service": "boolean"}
ROWS = [
    ("password", "it", 0, True),
    ("Access", None, 3, False),
    ("it's", "emea", 9_223_372_036_854_775_807, None),
    ("a%b_c", "", None, True),
    (None, None, None, None),
]


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("create table t (category varchar, team varchar, replies bigint, self_service boolean)")
        connection.executemany("insert into t values (?, ?, ?, ?)", ROWS)
        yield connection


def answers(database: duckdb.DuckDBPyConnection, sql: str) -> list[Any]:
    return [row[0] for row in database.execute(f"select {sql} from t").fetchall()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("category in ('password', 'access')", [True, False, False, False, None]),
        ("category not in ('password')", [False, True, True, True, None]),
        ("lower(category) = 'access'", [False, True, False, False, None]),
        ("category = 'it''s'", [False, False, True, False, None]),
        ("CATEGORY ILIKE 'pass%'", [True, False, False, False, None]),
        ("category not like 'p%'", [False, True, True, True, None]),
        ("starts_with(category, 'pass') or contains(category, 'cc')", [True, True, False, False, None]),
        ("regexp_matches(category, '^[Aa]ccess$')", [False, True, False, False, None]),
        ("team is null", [False, True, False, False, True]),
        ("team is not null and not self_service", [False, False, None, False, False]),
        ("trim(coalesce(team, '')) = ''", [False, True, False, True, True]),
        ("team is not distinct from null", [False, True, False, False, True]),
        ("self_service", [True, False, None, True, None]),
        ("self_service is not true", [False, True, True, False, True]),
        ("replies between 1 and 5", [False, True, False, None, None]),
        ("replies * replies > 1e30", [False, False, True, None, None]),
        ("replies / 0 > 1", [None] * 5),
        ("replies % 2 = 1", [False, True, False, None, None]),
        ("-replies + 4 - 1 >= 0", [True, True, False, None, None]),
        ("case when replies = 0 then 'none' when replies < 5 then 'few' end = 'few'", [False, True, None, None, None]),
        ("case team when 'it' then true else false end", [True, False, False, False, False]),
        ("true", [True] * 5),
        ("category = 'password' or category = 'Access' and replies = 0", [True, False, False, False, None]),
    ],
)
def test_an_accepted_condition_means_what_it_says(
    database: duckdb.DuckDBPyConnection, text: str, expected: list[bool | None]
) -> None:
    assert answers(database, predicate(text, COLUMNS).sql) == expected
    assert answers(database, f"not {predicate(text, COLUMNS).sql}") == [
        None if each is None else not each for each in expected
    ]


def test_the_columns_used_are_told() -> None:
    assert predicate("Team = 'it' and (replies > 1 or replies < 0)", COLUMNS).columns == {"team", "replies"}


EXAMPLE = "write one condition over columns, such as category in ('password', 'access')"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", f"this is not a single expression; {EXAMPLE}"),
        ("   ", f"this is not a single expression; {EXAMPLE}"),
        ("category in (select 1)", f"a query within a condition is not allowed; {EXAMPLE}"),
        ("exists (select 1)", f"a query within a condition is not allowed; {EXAMPLE}"),
        ("self_service or (select true)", f"a query within a condition is not allowed; {EXAMPLE}"),
        ("select true", f"a query within a condition is not allowed; {EXAMPLE}"),
        ("self_service union select true", f"a query within a condition is not allowed; {EXAMPLE}"),
        ("drop table request", f"'drop' is not allowed; {EXAMPLE}"),
        ("self_service; drop table request", "a semicolon is not allowed; write a single expression"),
        ("self_service;", "a semicolon is not allowed; write a single expression"),
        ("self_service -- always", "comments are not allowed; put them beside the expression"),
        ("self_service /* always */ or true", "comments are not allowed; put them beside the expression"),
        ("read_text('/etc/passwd') = ''", f"read_text() is not allowed; {EXAMPLE}"),
        ("read_csv('x')", f"read_csv() is not allowed; {EXAMPLE}"),
        ("getenv('HOME') = 'x'", f"getenv() is not allowed; {EXAMPLE}"),
        ("now() > '2026'", f"now() is not allowed; {EXAMPLE}"),
        ("random() < 1", f"rand() is not allowed; {EXAMPLE}"),
        ("count(*) > 1", f"count() looks at more than one row; {SIMPLE}"),
        ("row_number() over () = 1", f"a window (over ...) looks at more than one row; {SIMPLE}"),
        ("*", f"'star' is not allowed; {EXAMPLE}"),
        ("?", f"'placeholder' is not allowed; {EXAMPLE}"),
        ("$secret", f"'placeholder' is not allowed; {EXAMPLE}"),
        ("replies::boolean", f"cast() is not allowed; {EXAMPLE}"),
        ("request.category = 'x'", f"this form of 'column' is not allowed; {EXAMPLE}"),
        ("trim(both 'x' from category) = ''", f"this form of 'trim' is not allowed; {EXAMPLE}"),
        ("replies between symmetric 5 and 1", f"this form of 'between' is not allowed; {EXAMPLE}"),
        ("category ~ 'x'", "the operator ~ is not allowed; use like or regexp_matches"),
        ("category !~ 'x'", "the operator ~ is not allowed; use like or regexp_matches"),
        ("category glob 'x'", f"'glob' is not allowed; {EXAMPLE}"),
        ("category = E'\\x27'", f"'bytestring' is not allowed; {EXAMPLE}"),
        ("category = $$x$$", f"'rawstring' is not allowed; {EXAMPLE}"),
        ("category = any(['x'])", f"'any' is not allowed; {EXAMPLE}"),
        ("x -> x", f"json_extract() is not allowed; {EXAMPLE}"),
        ("categroy = 'x'", "there is no column 'categroy'; did you mean 'category'?"),
        ("category", f"this is a text, not a condition; {EXAMPLE}"),
        ("replies + 1", f"this is a number, not a condition; {EXAMPLE}"),
        ("category = 5", "category is a text and 5 is a number: they cannot be compared"),
        ("replies in (1, 'two')", "replies is a number and 'two' is a text: they cannot be compared"),
        ("case when true then 1 else 'x' end = 1", "1 is a number and 'x' is a text: they cannot be compared"),
        ("category and true", "category is a text where yes or no is needed"),
        ("lower(replies) = '1'", "replies is a number where a text is needed"),
        ("replies + category > 1", "category is a text where a number is needed"),
        ("category in ()", "write a list of values after 'in', such as in ('password', 'access')"),
        ("category in team", f"this form of 'in' is not allowed; {EXAMPLE}"),
        ("category is 5", "write null, true or false after 'is'"),
        ("replies > 1e999", "this number is too large"),
        (
            "category = 'x",
            f"this is not SQL: a quote or bracket is not closed, or a character is out of place; {EXAMPLE}",
        ),
        ("category in ('x'", f"this is not SQL: expecting ) at column 16; {EXAMPLE}"),
        ("between", f"this is not SQL: something is missing before column 7; {EXAMPLE}"),
        ("category = 'a\0b'", "this is longer than 2000 characters, or contains a zero character"),
        ("(" * 1500, "this is nested too deeply; write it more simply"),
        ("self_service or " * 200 + "true", "this is longer than 2000 characters, or contains a zero character"),
        ("regexp_matches(category, team)", "the pattern of regexp_matches must be a text in quotes"),
        (
            "regexp_matches(category, '(')",
            "this is not a regular expression: missing ): (; RE2 has no look-around and no back-references",
        ),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: str, expected: str) -> None:
    with pytest.raises(ExpressionError) as error:
        predicate(text, COLUMNS)

    assert str(error.value) == expected


def test_an_amount_is_a_number_for_each_row_and_nothing_else() -> None:
    found = amount("replies * 2 + case when self_service then 1 else 0 end", COLUMNS)

    assert found.columns == {"replies", "self_service"}
    for text in ("self_service", "category"):
        with pytest.raises(ExpressionError, match="not a number; write an amount"):
            amount(text, COLUMNS)


def test_times_are_compared_with_times_and_asked_whether_they_are_known() -> None:
    columns: dict[str, ColumnKind] = {"opened_at": "time", "resolved_at": "time", "replies": "number"}

    assert predicate("resolved_at > opened_at and resolved_at is not null", columns).columns == {
        "opened_at",
        "resolved_at",
    }
    with pytest.raises(ExpressionError, match="opened_at is a time and replies is a number: they cannot be compared"):
        predicate("opened_at > replies", columns)


@pytest.mark.parametrize(
    "pattern",
    ["(?=x)", "(?<!x)", r"(a)\1", "a*+", "(?>a)", "a{1001}", "(a{50}){50}", "a{,5}", r"\Z", "["],
)
def test_a_pattern_that_the_database_does_not_take_or_reads_otherwise_is_refused(pattern: str) -> None:
    assert pattern_fault(pattern) is not None


WORDS = st.sampled_from(["category", "team", "'password'", "'it''s'", "lower(category)", "coalesce(team, 'x')"])
TEXTS = WORDS | st.just("null")
NUMBERS = st.recursive(
    st.sampled_from(["replies", "0", "1.5", "2e3", "-replies", "case when self_service then 1 else replies end"]),
    lambda inner: st.builds("{} {} {}".format, inner, st.sampled_from(["+", "-", "*"]), inner),
    max_leaves=3,
)
CONDITIONS = st.recursive(
    st.sampled_from(["self_service", "true", "team is null", "self_service is not true"])
    | st.builds("{} {} {}".format, NUMBERS, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), NUMBERS)
    | st.builds("{} {} {}".format, WORDS, st.sampled_from(["=", "<>"]), WORDS)
    | st.builds("{} {} {}".format, TEXTS, st.sampled_from(["like", "not like", "ilike"]), TEXTS)
    | st.builds("{} {} ({}, {})".format, TEXTS, st.sampled_from(["in", "not in"]), TEXTS, TEXTS)
    | st.builds("{} {} {} and {}".format, NUMBERS, st.sampled_from(["between", "not between"]), NUMBERS, NUMBERS),
    lambda inner: (
        st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or"]), inner) | st.builds("not {}".format, inner)
    ),
    max_leaves=6,
)


@given(text=CONDITIONS)
@example(text="not team is null")
@example(text="not replies + 1 between 1 and 2 and self_service")
def test_a_condition_without_brackets_is_read_as_the_database_reads_it(
    database: duckdb.DuckDBPyConnection, text: str
) -> None:
    sql = predicate(text, COLUMNS).sql
    # Not where the database itself would overflow or lose digits.
    small = "from t where coalesce(replies, 0) < 100"

    assert (
        database.execute(f"select {sql} {small}").fetchall() == database.execute(f"select ({text}) {small}").fetchall()
    )


PIECES = """category team replies self_service 'x' 1 null true ( ) , and or not in is like between case when then else
end = < + - * / % || :: . [ ] select from coalesce( lower( regexp_matches( -- /* */ ; $1 ? ' " ~ @ x int"""


@given(
    pieces=st.lists(st.sampled_from(PIECES.split()), max_size=12)
    | st.lists(st.sampled_from(string.printable), max_size=30)
)
def test_whatever_is_written_it_is_refused_or_runs(database: duckdb.DuckDBPyConnection, pieces: list[str]) -> None:
    try:
        sql = predicate(" ".join(pieces), COLUMNS).sql
    except ExpressionError:
        return
    found = answers(database, sql)

    assert {type(each) for each in found} <= {bool, type(None)}


@given(pattern=st.text(st.sampled_from(list("ab(|)[]^-$.*+?{}\\dwsbAZ1,:i<=!P\n'é_ #")), max_size=12))
def test_a_pattern_that_is_taken_runs(database: duckdb.DuckDBPyConnection, pattern: str) -> None:
    if pattern_fault(pattern) is None:
        found = database.execute("select regexp_matches('ab', ?)", [pattern]).fetchall()
    else:
        found = [(False,)]

    assert found[0][0] in (True, False)


KNOWN = """Column Literal Boolean Null Paren And Or Not EQ NEQ LT LTE GT GTE NullSafeEQ NullSafeNEQ Is In Between Like
ILike Add Sub Mul Div Mod Neg Case Coalesce Lower Upper Trim StartsWith Contains RegexpLike"""


def test_only_known_nodes_are_read() -> None:
    assert {kind.__name__ for kind in READERS} == set(KNOWN.split())
