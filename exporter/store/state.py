"""The state of each source: how far it was read, and since when its history is complete."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from exporter.store.table import Database, naive

AHEAD = timedelta(days=1)  # how far the clock of a platform may be ahead of ours


@dataclass(frozen=True, slots=True)
class SyncState:
    """The state of a source between polls and across restarts."""

    cursor: Mapping[str, Any]
    complete: bool  # the first full sync is done
    last_success: datetime | None
    fingerprint: str | None
    whole_since: datetime | None = None  # from when on its records are all there; None where that is not known
    anew: bool = False  # the platform is not what it was, and is being read from the beginning
    memory: Mapping[str, Any] = field(default_factory=dict)  # what its connector remembers beside the cursor
    revision: int = 1  # of the mapping that its connector read it with
    rereading: bool = False  # that was corrected, and not all has been read again
    ready_since: datetime | None = None  # from when on its records are all there while its first full sync goes on

    def ahead(self, at: datetime) -> bool:
        """Whether the source was read long after this instant."""
        return self.last_success is not None and self.last_success > at + AHEAD


class Ready(NamedTuple):
    """What a first full sync has brought so far: everything from `since` on, as it was at `at`, the begin of a poll."""

    since: datetime
    at: datetime


def make(db: Database) -> None:
    """Makes the table where there is none, or adds to it the columns that it has gained."""
    db.execute(
        "create table if not exists source_state (source VARCHAR primary key, cursor VARCHAR not null,"
        " complete BOOLEAN not null, last_success TIMESTAMP, fingerprint VARCHAR)"
    )
    db.execute("alter table source_state add column if not exists whole_since TIMESTAMP")
    columns = "anew BOOLEAN", "memory VARCHAR", "revision INTEGER", "rereading BOOLEAN", "ready_since TIMESTAMP"
    for column in columns:
        db.execute(f"alter table source_state add column if not exists {column}")


def names(db: Database) -> list[str]:
    """The sources that are stored."""
    return [name for (name,) in db.execute("select source from source_state order by source").fetchall()]


def of(db: Database, source: str) -> SyncState:
    """The state of a source; an unknown one has never been read."""
    rows = db.execute(
        "select cursor, complete, fingerprint, last_success, whole_since, ready_since, coalesce(anew, false),"
        " coalesce(memory, '{}'), coalesce(revision, 1), coalesce(rereading, false) from source_state where source = ?",
        [source],
    ).fetchall()
    if not rows:
        return SyncState({}, False, None, None)
    cursor, complete, fingerprint, *times, anew, memory, revision, rereading = rows[0]
    last_success, whole_since, ready_since = (moment and moment.replace(tzinfo=UTC) for moment in times)
    return SyncState(
        json.loads(cursor),
        complete,
        last_success,
        fingerprint,
        whole_since,
        anew=anew,
        memory=json.loads(memory),
        revision=revision,
        rereading=rereading,
        ready_since=ready_since,
    )


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
        "update source_state set cursor = '{}', memory = null, complete = false, last_success = null,"
        " whole_since = null, ready_since = null where source = ?",
        [source],
    )


def configured(db: Database, source: str, fingerprint: str, revision: int) -> bool:
    """A source as it is configured now; whether it is to be read anew.

    Under another fingerprint it counts as never synced. With another revision of its mapping alone what is stored is
    still what is configured: it stands until all is read again.
    """
    inserted = db.execute(
        """insert into source_state (source, cursor, complete, fingerprint, revision) values (?, '{}', false, ?, ?)
        on conflict (source) do update set cursor = '{}', memory = null, complete = false, rereading = false,
        ready_since = null, fingerprint = excluded.fingerprint, revision = excluded.revision
        where fingerprint is distinct from excluded.fingerprint returning source""",
        [source, fingerprint, revision],
    ).fetchall()
    corrected = db.execute(
        """update source_state set cursor = '{}', memory = null, rereading = complete, ready_since = null,
        revision = $revision
        where source = $source and coalesce(revision, 1) <> $revision returning source""",
        {"source": source, "revision": revision},
    ).fetchall()
    return bool(inserted or corrected)


def remember(db: Database, source: str, memory: Mapping[str, Any]) -> None:
    """What the connector of a source remembers beside its cursor."""
    db.execute("update source_state set memory = ? where source = ?", [json.dumps(memory, sort_keys=True), source])


def start_over(db: Database, source: str, cursor: Mapping[str, Any]) -> None:
    """A source is read anew from there on."""
    db.execute(
        "update source_state set cursor = ?, memory = null, anew = true, ready_since = null where source = ?",
        [json.dumps(cursor, sort_keys=True), source],
    )


def succeeded(db: Database, source: str, at: datetime, since: datetime | None) -> None:
    """A poll that began at `at` has brought everything; the first one everything from `since` on."""
    db.execute(
        "update source_state set complete = true, anew = false, rereading = false, ready_since = null,"
        " last_success = ?, whole_since = coalesce(whole_since, ?) where source = ?",
        [naive(at), since and naive(since), source],
    )


def ready(db: Database, source: str, ready: Ready) -> None:
    """So much is there while the first full sync goes on."""
    db.execute(
        "update source_state set ready_since = ?, last_success = if(ready_since is null, ?, last_success)"
        " where source = ? and not complete",
        [naive(ready.since), naive(ready.at), source],
    )


def went_on(db: Database, source: str, at: datetime) -> None:
    """A poll that began at `at` has brought all that is new; of the past there is more."""
    db.execute("update source_state set last_success = ? where source = ?", [naive(at), source])


def deleted_until(db: Database, last: datetime) -> None:
    """Records up to a time, in UTC without a zone, are deleted: only what came after it is all there."""
    for since in ("whole_since", "ready_since"):
        db.execute(f"update source_state set {since} = ? where {since} < ?", [last, last])


def forget(db: Database, source: str) -> None:
    """Forgets a source."""
    db.execute("delete from source_state where source = ?", [source])
