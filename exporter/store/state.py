"""What is remembered of each source: how far it was read, and since when all of it is there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from exporter.store.table import Database, naive

AHEAD = timedelta(days=1)  # how far the clock of a platform may be ahead of ours


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is remembered of a source between polls, and over a restart."""

    cursor: Mapping[str, Any]
    complete: bool  # the first full sync is done
    last_success: datetime | None
    fingerprint: str | None
    whole_since: datetime | None = None  # from when on its records are all there; None where that is not known
    anew: bool = False  # the platform is not what it was, and is being read from the beginning

    def ahead(self, at: datetime) -> bool:
        """Whether the source was read long after this instant."""
        return self.last_success is not None and self.last_success > at + AHEAD


def make(db: Database) -> None:
    """Makes the table where there is none, or adds to it the columns that it has gained."""
    db.execute(
        "create table if not exists source_state (source VARCHAR primary key, cursor VARCHAR not null,"
        " complete BOOLEAN not null, last_success TIMESTAMP, fingerprint VARCHAR)"
    )
    db.execute("alter table source_state add column if not exists whole_since TIMESTAMP")
    db.execute("alter table source_state add column if not exists anew BOOLEAN")


def of(db: Database, source: str) -> SourceState:
    """How a source stands; as one that was never read where it is not known."""
    rows = db.execute(
        "select cursor, complete, fingerprint, last_success, whole_since, coalesce(anew, false)"
        " from source_state where source = ?",
        [source],
    ).fetchall()
    if not rows:
        return SourceState({}, False, None, None)
    cursor, complete, fingerprint, *times, anew = rows[0]
    last_success, whole_since = (moment and moment.replace(tzinfo=UTC) for moment in times)
    return SourceState(json.loads(cursor), complete, last_success, fingerprint, whole_since, anew)


def go_on(db: Database, source: str, cursor: Mapping[str, Any]) -> None:
    """The next poll goes on from there."""
    db.execute(
        """insert into source_state (source, cursor, complete) values (?, ?, false) on conflict (source)
        do update set cursor = excluded.cursor where cursor is distinct from excluded.cursor""",
        [source, json.dumps(cursor, sort_keys=True)],
    )


def never_read(db: Database, source: str) -> None:
    """Nothing that was remembered of a source's reading holds."""
    db.execute(
        "update source_state set cursor = '{}', complete = false, last_success = null, whole_since = null"
        " where source = ?",
        [source],
    )


def configured(db: Database, source: str, fingerprint: str) -> None:
    """A source as it is configured now. Under another fingerprint it counts as never synced."""
    db.execute(
        """insert into source_state (source, cursor, complete, fingerprint) values (?, '{}', false, ?)
        on conflict (source) do update set cursor = '{}', complete = false, fingerprint = excluded.fingerprint
        where fingerprint is distinct from excluded.fingerprint""",
        [source, fingerprint],
    )


def start_over(db: Database, source: str, cursor: Mapping[str, Any]) -> None:
    """A source is read anew from there on."""
    db.execute(
        "update source_state set cursor = ?, anew = true where source = ?",
        [json.dumps(cursor, sort_keys=True), source],
    )


def succeeded(db: Database, source: str, at: datetime, since: datetime | None) -> None:
    """A poll that began at `at` has brought everything; the first one everything from `since` on."""
    db.execute(
        "update source_state set complete = true, anew = false, last_success = ?,"
        " whole_since = coalesce(whole_since, ?) where source = ?",
        [naive(at), since and naive(since), source],
    )


def deleted_until(db: Database, last: datetime) -> None:
    """Records up to a time, in UTC without a zone, are deleted: only what came after it is all there."""
    db.execute("update source_state set whole_since = ? where whole_since < ?", [last, last])


def forget(db: Database, source: str) -> None:
    """Forgets a source."""
    db.execute("delete from source_state where source = ?", [source])
