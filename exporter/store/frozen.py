"""Fixed baselines, computed once and kept in the store for longer than the records."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.store.table import Database, naive

Part = tuple[str, bool, tuple[tuple[str, str], ...], float, float | None]
"""(KPI, whether it has windows, segment, numerator, denominator)"""


@dataclass(frozen=True, slots=True)
class FrozenBaseline:
    """The figures of one KPI over a period (or of its parts), with the definition by which they were computed."""

    kpi: str
    fingerprint: str
    begins_at: datetime
    ends_at: datetime
    computed_at: datetime
    parts: tuple[Part, ...]


def make(db: Database) -> None:
    """Makes the table where there is none."""
    db.execute(
        "create table if not exists frozen_baseline (kpi VARCHAR not null, baseline VARCHAR not null,"
        " fingerprint VARCHAR not null, begins_at TIMESTAMP not null, ends_at TIMESTAMP not null,"
        " computed_at TIMESTAMP not null, part VARCHAR not null, windowed BOOLEAN not null, segment VARCHAR not null,"
        " numerator DOUBLE not null, denominator DOUBLE)"
    )


def put(db: Database, frozen: Iterable[FrozenBaseline]) -> None:
    """Keeps these in place of what there was of their KPIs. Works inside the caller's transaction."""
    for each in frozen:
        db.execute("delete from frozen_baseline where kpi = ? and baseline = 'fixed'", [each.kpi])
        period = [naive(moment) for moment in (each.begins_at, each.ends_at, each.computed_at)]
        for part, windowed, segment, numerator, denominator in each.parts:
            db.execute(
                "insert into frozen_baseline values (?, 'fixed', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [each.kpi, each.fingerprint, *period, part, windowed, json.dumps(segment), numerator, denominator],
            )


def kept(db: Database) -> dict[str, FrozenBaseline]:
    """Everything kept, by KPI."""
    rows = db.execute(
        "select kpi, fingerprint, begins_at, ends_at, computed_at, part, windowed, segment, numerator, denominator"
        " from frozen_baseline where baseline = 'fixed' order by part, segment"
    ).fetchall()
    parts: dict[tuple[str, str, datetime, datetime, datetime], list[Part]] = {}
    for *head, part, windowed, segment, numerator, denominator in rows:
        pairs = tuple((label, value) for label, value in json.loads(segment))
        kpi, fingerprint, *times = head
        begins, ends, computed = (moment.replace(tzinfo=UTC) for moment in times)
        parts.setdefault((kpi, fingerprint, begins, ends, computed), []).append(
            (part, windowed, pairs, numerator, denominator)
        )
    return {head[0]: FrozenBaseline(*head, tuple(values)) for head, values in parts.items()}
