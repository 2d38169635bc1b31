"""When each KPI was published for the first time, kept across restarts: one that never was cannot be missed."""

from collections.abc import Iterable
from datetime import UTC, datetime

from exporter.store.table import Database, naive


def make(db: Database) -> None:
    """Makes the table where there is none."""
    db.execute(
        "create table if not exists published_kpi (kpi VARCHAR primary key, first_published_at TIMESTAMP not null)"
    )


def of(db: Database) -> dict[str, datetime]:
    """KPI -> when it was published for the first time."""
    rows = db.execute("select kpi, first_published_at from published_kpi").fetchall()
    return {kpi: moment.replace(tzinfo=UTC) for kpi, moment in rows}


def add(db: Database, kpis: Iterable[str], at: datetime) -> None:
    """Notes KPIs that were never published before."""
    for kpi in kpis:
        db.execute("insert into published_kpi values (?, ?) on conflict do nothing", [kpi, naive(at)])
