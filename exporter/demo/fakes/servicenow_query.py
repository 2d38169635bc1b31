"""The part of ServiceNow's encoded queries that is understood by the fake: conditions over rows, and their order."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Row = Mapping[str, str]
Value = Callable[[Row, str], str | None]
"""What a row holds under a name, which may lead through references; None: there is no such column."""

CONDITION = re.compile(r"([\w.]+?)(ISEMPTY|ISNOTEMPTY|STARTSWITH|NOT IN|IN|LIKE|!=|>=|<=|=|>|<)(.*)", re.DOTALL)
NUMBER = re.compile(r"-?\d{1,9}")


def selected(rows: list[Row], query: str, value: Value) -> list[Row]:
    """The rows that a query finds, in the order it asks for, else by id. `^NQ` joins whole queries, `^OR` binds tighter
    than `^`, and a condition on a column that is not there is left out without a word."""
    orders = re.findall(r"\^?ORDERBY(DESC)?([\w.]+)", query)
    alternatives = [
        [[one for one in group.split("^OR") if one] for group in re.split(r"\^(?!OR)", part) if group]
        for part in re.sub(r"\^?ORDERBY(DESC)?[\w.]+", "", query).split("^NQ")
    ]
    found = [row for row in rows if any(all(holds(row, group, value) for group in groups) for groups in alternatives)]
    found.sort(key=lambda row: row["sys_id"])
    for descending, name in reversed(orders):
        found.sort(key=lambda row: comparable(value(row, name) or ""), reverse=bool(descending))
    return found


def holds(row: Row, group: list[str], value: Value) -> bool:
    """Whether one of the conditions of a group does."""
    told = [(value(row, match[1]), match[2], match[3]) for one in group if (match := CONDITION.fullmatch(one))]
    known = [(found, sign, given) for found, sign, given in told if found is not None]
    return not known or any(compared(found, sign, given) for found, sign, given in known)


def compared(found: str, sign: str, given: str) -> bool:
    if sign in ("IN", "NOT IN"):
        return (found in given.split(",")) is (sign == "IN")
    if sign in ("ISEMPTY", "ISNOTEMPTY"):
        return (not found) is (sign == "ISEMPTY")
    mine, other = comparable(found), comparable(given)
    return bool({
        "=": mine == other,
        "!=": mine != other,
        ">": mine > other,
        ">=": mine >= other,
        "<": mine < other,
        "<=": mine <= other,
        "STARTSWITH": found.startswith(given),
        "LIKE": given in found,
    }[sign])  # fmt: skip


def comparable(text: str) -> Any:
    """Numbers come before texts, and are compared as numbers."""
    return (0, int(text), "") if NUMBER.fullmatch(text) else (1, 0, text)
