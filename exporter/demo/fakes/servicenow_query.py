"""The part of ServiceNow's encoded queries that is understood by the fake: conditions over rows, and their order."""

import re
from collections.abc import Callable, Iterable, Mapping

Row = Mapping[str, str]
Value = Callable[[Row, str], str | None]
"""What a row holds under a name, which may lead through references; None: there is no such column."""
Test = Callable[[str], bool]

CONDITION = re.compile(r"([\w.]+?)(ISEMPTY|ISNOTEMPTY|STARTSWITH|NOT IN|IN|LIKE|!=|>=|<=|=|>|<)(.*)", re.DOTALL)
NUMBER = re.compile(r"-?\d{1,9}")


def selected(rows: Iterable[Row], query: str, value: Value) -> list[Row]:
    """The rows that a query finds, in the order it asks for, else by id. `^NQ` joins whole queries, `^OR` binds tighter
    than `^`, and a condition on a column that is not there is left out without a word."""
    orders = re.findall(r"\^?ORDERBY(DESC)?([\w.]+)", query)
    alternatives = [
        [conditions(group) for group in re.split(r"\^(?!OR)", part) if group]
        for part in re.sub(r"\^?ORDERBY(DESC)?[\w.]+", "", query).split("^NQ")
    ]
    found = [row for row in rows if any(all(holds(row, group, value) for group in groups) for groups in alternatives)]
    found.sort(key=lambda row: row["sys_id"])
    for descending, name in reversed(orders):
        found.sort(key=lambda row: comparable(value(row, name) or ""), reverse=bool(descending))
    return found


def conditions(group: str) -> list[tuple[str, Test]]:
    """A column and what is asked of it, of each condition of a group."""
    matches = (CONDITION.fullmatch(one) for one in group.split("^OR") if one)
    return [(match[1], test(match[2], match[3])) for match in matches if match]


def holds(row: Row, group: list[tuple[str, Test]], value: Value) -> bool:
    """Whether one of the conditions of a group does."""
    known = False
    for name, true_of in group:
        found = value(row, name)
        if found is not None:
            if true_of(found):
                return True
            known = True
    return not known


def test(sign: str, given: str) -> Test:
    """A condition on the text of a column."""
    words, other = given.split(","), comparable(given)
    tests: dict[str, Test] = {
        "IN": lambda found: found in words,
        "NOT IN": lambda found: found not in words,
        "ISEMPTY": lambda found: not found,
        "ISNOTEMPTY": bool,
        "=": lambda found: comparable(found) == other,
        "!=": lambda found: comparable(found) != other,
        ">": lambda found: comparable(found) > other,
        ">=": lambda found: comparable(found) >= other,
        "<": lambda found: comparable(found) < other,
        "<=": lambda found: comparable(found) <= other,
        "STARTSWITH": lambda found: found.startswith(given),
        "LIKE": lambda found: given in found,
    }
    return tests[sign]


def comparable(text: str) -> tuple[int, int, str]:
    """Numbers come before texts, and are compared as numbers."""
    return (0, int(text), "") if NUMBER.fullmatch(text) else (1, 0, text)
