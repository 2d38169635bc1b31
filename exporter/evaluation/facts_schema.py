"""The columns of the rows of facts, and the kind of each, as DuckDB describes them over empty tables."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from exporter.base.deferred import Deferred
from exporter.catalogue import facts as catalogue
from exporter.catalogue.expression_types import ColumnKind
from exporter.evaluation.context import prepare, utc
from exporter.evaluation.plan import Plan
from exporter.evaluation.rows import rows_at
from exporter.records import RECORDS
from exporter.store.table import Table

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = Deferred("duckdb")

KINDS: Mapping[str, ColumnKind] = {"BOOLEAN": "boolean", "VARCHAR": "text", "TIMESTAMP": "time"}
NUMBERS = ("INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL")
HIDDEN = frozenset({"moment", "until"})
"""Columns that evaluation needs and that say nothing about a record."""


class Columns(Mapping[str, Mapping[str, ColumnKind]]):
    """Facts -> column -> kind. Each is looked up when first asked for: most configs have no KPI on most facts."""

    def __getitem__(self, facts: str) -> Mapping[str, ColumnKind]:
        if facts not in catalogue.every():
            raise KeyError(facts)
        return columns_of(facts)

    def __iter__(self) -> Iterator[str]:
        return iter(catalogue.every())

    def __len__(self) -> int:
        return len(catalogue.every())


@cache
def columns_of(facts: str) -> Mapping[str, ColumnKind]:
    """The columns of the rows of some facts, with their kinds; a list is no kind that an expression knows."""
    plan = Plan(settings=(), windows=[("1d", 86400)], labels={})
    at = datetime(2026, 1, 1, tzinfo=UTC)
    with duckdb.connect() as db:
        for record in RECORDS.values():
            Table(record).make(db)
        prepare(db, plan, at, [], [facts])
        rows = db.execute(f"describe select * {rows_at(facts, plan, utc(at))}").fetchall()
    kinds = {str(row[0]): _kind(str(row[1])) for row in rows}
    return {name: kind for name, kind in kinds.items() if kind and name not in HIDDEN}


def _kind(sql_type: str) -> ColumnKind | None:
    return "number" if sql_type.startswith(NUMBERS) else KINDS.get(sql_type)
