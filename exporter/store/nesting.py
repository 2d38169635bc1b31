"""How runs are nested: a run inside another one is part of it, however many spans are in between, in whatever order.

For each span of a trace it is remembered what it is inside of, and its run, if it is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.store.table import Database, naive

REMEMBERED = timedelta(days=1)
MOST_REMEMBERED = 500_000


@dataclass(frozen=True, slots=True)
class Nested:
    """A span, by numbers of 64 bits; `run`: the id of its run, if it is one, which is not counted inside another if
    `inner`."""

    trace: int
    span: int
    parent: int | None
    run: str | None = None
    inner: bool = False


def make(db: Database) -> None:
    """Makes the table where there is none."""
    db.execute(
        "create table if not exists nesting (source VARCHAR not null, trace UBIGINT not null, span UBIGINT not null,"
        " parent UBIGINT, run VARCHAR, inner_run BOOLEAN not null, came_at TIMESTAMP not null)"
    )


def add(db: Database, source: str, spans: Sequence[Nested], at: datetime) -> list[str]:
    """Remembers spans; the ids of runs in their traces that are inside other runs, as far as is known now."""
    if not spans:
        return []
    kinds = "UBIGINT", "UBIGINT", "UBIGINT", "VARCHAR", "BOOLEAN"
    sides = zip(*((each.trace, each.span, each.parent, each.run, each.inner) for each in spans), strict=True)
    unnested = ", ".join(f"unnest(?::{kind}[])" for kind in kinds)
    db.execute(f"insert into nesting select ?, {unnested}, ?", [source, *map(list, sides), naive(at)])
    found = db.execute(
        """with recursive spans as materialized (
            select distinct trace, span, parent, run, inner_run from nesting
            where source = ? and trace in (select unnest(?::UBIGINT[]))
        ), up as (
            select trace, run, parent from spans where inner_run and run is not null and parent is not null
            union
            select up.trace, up.run, s.parent from up join spans s on s.trace = up.trace and s.span = up.parent
            where s.run is null and s.parent is not null
        )
        select distinct up.run from up join spans s on s.trace = up.trace and s.span = up.parent
        where s.run is not null""",
        [source, list({each.trace for each in spans})],
    ).fetchall()
    return [run for (run,) in found]


def trim(db: Database, source: str, at: datetime) -> None:
    """Forgets what came long ago, and what is beyond the limit."""
    last = db.execute(
        "select max(came_at) from (select came_at from nesting where source = ? order by came_at desc offset ?)",
        [source, MOST_REMEMBERED],
    ).fetchall()[0][0]
    oldest = max(filter(None, (last, naive(at - REMEMBERED))))
    db.execute("delete from nesting where source = ? and came_at <= ?", [source, oldest])


def forget(db: Database, source: str) -> None:
    """Forgets a source."""
    db.execute("delete from nesting where source = ?", [source])
