"""Conditions and amounts that users write in SQL. They are checked node by node and generated anew, never run as text.

How they are read is in expression_tree.py, which takes a fifth of a second to load; most configs have none.
"""

from collections.abc import Mapping
from functools import cache, lru_cache

from exporter.catalogue.expression_types import EXAMPLE, KIND_NAMES, ColumnKind, Expression, ExpressionError


def predicate(text: str, columns: Mapping[str, ColumnKind]) -> Expression:
    """A boolean condition over `columns` (name -> kind). Raises ExpressionError for anything else."""
    expression, kind = _read(text, columns)
    if kind not in ("boolean", "null"):
        raise ExpressionError(f"this is {KIND_NAMES[kind]}, not a condition; {EXAMPLE}")
    return expression


def amount(text: str, columns: Mapping[str, ColumnKind]) -> Expression:
    """A numeric expression over `columns` (name -> kind). Raises ExpressionError for anything else."""
    expression, kind = _read(text, columns)
    if kind not in ("number", "null"):
        raise ExpressionError(f"this is {KIND_NAMES[kind]}, not a number; write an amount such as human_seconds * 2")
    return expression


def _read(text: str, columns: Mapping[str, ColumnKind]) -> tuple[Expression, str]:
    return _tree(text, tuple(columns.items()))


@lru_cache(4096)  # every KPI on the same facts is read again with each of the user's own
def _tree(text: str, columns: tuple[tuple[str, ColumnKind], ...]) -> tuple[Expression, str]:
    from exporter.catalogue import expression_tree  # noqa: PLC0415 - the parser takes long to load, and few need it

    return expression_tree.read(text, dict(columns))


@cache
def columns_of(sql: str) -> tuple[str, ...]:
    """The columns that our own SQL uses, in the order in which it names them."""
    from exporter.catalogue import expression_tree  # noqa: PLC0415 - loading sqlglot takes 0.2 s, and few need it

    return expression_tree.columns_of(sql)
