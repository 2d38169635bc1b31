"""Headers of facts files say what their SQL does, and a header that does not is refused with words."""

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from exporter.catalogue import facts as catalogue
from exporter.catalogue.facts import CREATE, FOLDER, HeaderError, Macro, facts, read
from exporter.catalogue.kpi import catalogue as kpis
from exporter.evaluation import facts_schema
from exporter.evaluation.plan import Plan

TABLE_MACROS = [(name, macro) for name in catalogue.every() for macro in facts(name).macros.values()]
ARGUMENTS = {"since", "from_at", "to_at"}


def body(name: str, macro: str) -> str:
    """The SELECT of a table macro."""
    statement = facts(name).sql.split(f"{CREATE}{macro}(")[1].split(CREATE)[0]
    return statement.partition(" as table\n")[2].strip().removesuffix(";")


def nodes(sql: str) -> list[dict[str, Any]]:
    """Every node of a SELECT as DuckDB itself reads it."""
    tree = json.loads(duckdb.execute("select json_serialize_sql(?)", [sql]).fetchall()[0][0])
    assert not tree["error"], tree

    def walked(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            yield node
        for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from walked(each)

    return [*walked(tree)]


def read_by(sql: str) -> set[str]:
    """The tables and macros of ours that a SELECT reads."""
    found = nodes(sql)
    own = {entry["key"] for node in found for entry in node.get("cte_map", {}).get("map", ())}
    tables = {node["table_name"] for node in found if node.get("type") == "BASE_TABLE"}
    calls = {node["function"]["function_name"] for node in found if node.get("type") == "TABLE_FUNCTION"}
    helpers = {helper for name in catalogue.every() for helper in facts(name).helpers}
    called = {node["function_name"] for node in found if node.get("type") == "FUNCTION"}
    return (tables - own) | calls | (called & helpers)


def test_every_facts_file_has_a_header_for_each_table_macro() -> None:
    files = {path.stem for path in FOLDER.glob("*.sql")}

    assert {name for name, _ in TABLE_MACROS} == files


@pytest.mark.parametrize(("name", "macro"), TABLE_MACROS, ids=lambda each: getattr(each, "name", None))
def test_a_header_names_all_that_its_rows_are_made_from(name: str, macro: Macro) -> None:
    found = read_by(body(name, macro.name)) - set(facts(name).helpers)

    assert found == {*macro.reads}, f"{macro.name}: write `-- from: {', '.join(sorted(found))}`"


@pytest.mark.parametrize(("name", "macro"), TABLE_MACROS, ids=lambda each: getattr(each, "name", None))
def test_a_header_names_every_parameter_its_rows_are_made_with(name: str, macro: Macro) -> None:
    variables = re.findall(r"getvariable\('(\w+?)(?:_seconds)?'\)", body(name, macro.name))

    assert {param.name for param in macro.params} == set(variables), f"{macro.name}: see getvariable in its SQL"


@pytest.mark.parametrize(("name", "macro"), TABLE_MACROS, ids=lambda each: getattr(each, "name", None))
def test_rows_are_constant_where_nothing_in_their_sql_asks_for_an_instant(name: str, macro: Macro) -> None:
    sql = body(name, macro.name).replace("to_at as moment", "moment")
    asked = {node["column_names"][-1] for node in nodes(sql) if node.get("type") == "COLUMN_REF"} & ARGUMENTS
    timed = bool(asked) or "spans" in macro.reads
    below = [catalogue.macro_of(each) for each in macro.reads if each in catalogue.table_macros()]
    constant = not timed and all(each.rows == "constant" for each in below)

    assert (macro.rows == "constant") == constant, f"{macro.name}: `rows` is {'' if constant else 'not '}constant"


@pytest.mark.parametrize(("name", "macro"), TABLE_MACROS, ids=lambda each: getattr(each, "name", None))
def test_rows_of_an_interval_say_until_when_they_hold(name: str, macro: Macro) -> None:
    sql = body(name, macro.name)
    ends = "null::timestamp as until" not in sql
    below = [catalogue.macro_of(each) for each in macro.reads if each in catalogue.table_macros()]

    # Rows that others are made of may have a beginning only.
    assert (macro.rows == "interval") == (ends or macro.name.endswith("_rows")), f"{macro.name}: see its column until"
    # What is made from facts of one instant changes while its row holds.
    assert not ends or macro.changes or all(each.rows == "interval" for each in below)


@pytest.mark.parametrize("name", catalogue.every())
def test_columns_that_a_header_names_are_there(name: str) -> None:
    main, columns = facts(name).main, facts_schema.Columns()[name]

    named = {*main.placed_by, *main.changes, *main.money, *(c for param in main.params for c in param.columns)}
    named |= main.looks_back or set()
    assert sorted(named - columns.keys()) == []
    assert {column: columns[column] for column in main.placed_by} == dict.fromkeys(main.placed_by, "time")
    assert {column: columns[column] for column in main.money} == dict.fromkeys(main.money, "number")
    assert not main.money or "currency" in columns


@pytest.mark.parametrize("name", catalogue.every())
def test_a_header_names_the_times_that_kpis_are_placed_by(name: str) -> None:
    mine = [each for each in kpis().values() if each.facts == name and each.kind != "derived"]
    times = {time for each in mine for time in (each.placed_by, each.numerator_placed_by) if time}

    assert times == {*facts(name).main.placed_by}


@pytest.mark.parametrize("name", catalogue.every())
def test_settings_that_a_header_names_are_there(name: str) -> None:
    tables = Plan(settings=(), windows=(), labels={}).tables
    for change in facts(name).main.changes.values():
        assert change.sql or change.configured, f"{name}: a column changes, and nothing says to what"
        assert change.configured is None or change.configured[0] in tables
    assert facts(name).main.rows == "interval" or not facts(name).main.changes


def test_a_parameter_has_one_owner() -> None:
    scopes = {(param.name, param.scope) for name in catalogue.every() for param in facts(name).params}

    assert scopes == {
        ("activation_window", "shared"),
        ("stale_after", "shared"),
        ("failure_window", "shared"),
        ("recontact_window", "longest"),
        ("run_timeout", "general"),
        ("shared_cost", "general"),
        ("person_day", "general"),
    }


GOOD = (
    "-- rows: instant\n-- from: run\ncreate or replace temp macro x_facts(since, from_at, to_at) as table\nfrom run;\n"
)


def test_a_header_is_read() -> None:
    [macro] = read("x", "-- For people: not read.\n-- money: cost, spent\n" + GOOD).macros.values()

    assert macro == Macro("x_facts", "instant", ("run",), money=("cost", "spent"))


@pytest.mark.parametrize(("said", "columns"), [("a, b", {"a", "b"}), ("nothing", set()), (None, None)])
def test_facts_look_back_for_all_their_columns_unless_they_say_for_which(said: str | None, columns: object) -> None:
    [macro] = read("x", (f"-- looks back: {said}\n" if said else "") + GOOD).macros.values()

    assert macro.looks_back == columns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("-- rows: instant\n", ""), "x.sql:2: x_facts needs one line `-- rows: ...` above it; it has 0"),
        (GOOD.replace("instant", "often"), "x.sql:1: rows: write interval, instant, constant, not 'often'"),
        ("-- form: run\n" + GOOD, "x.sql:1: a header has no 'form'; did you mean 'from'?"),
        ("-- params: stale_after\n" + GOOD, "x.sql:1: params: after the name comes shared, longest, general, as in "),
        ("-- changes: a if b\n" + GOOD, "x.sql:1: changes: after `if` comes a setting, such as "),
        (GOOD.replace("x_facts", "y_facts"), "x.sql: there is no table macro x_facts; write "),
    ],
)
def test_a_header_that_cannot_be_read_is_refused_with_words(text: str, message: str) -> None:
    with pytest.raises(HeaderError) as refused:
        read("x", text)

    assert message in str(refused.value)
