"""The status of a source: what the store remembers of it, compared with its config."""

from datetime import datetime

from exporter.base.clock import NEVER
from exporter.collect.source import Source
from exporter.records import record_name
from exporter.store import Store
from exporter.store.status import SourceStatus
from exporter.store.unmapped import Unmapped, counted


def status(source: Source, store: Store, at: datetime) -> SourceStatus:
    """The status of a source at a time, as the store knows it now."""
    state = store.source(source.name)
    # Under another fingerprint what is stored is not yet what is configured.
    ours = state.fingerprint == source.fingerprint
    ready_since = state.ready_since if ours and state.revision == source.revision else None
    return SourceStatus(
        source=source.name,
        records=frozenset(map(record_name, source.records)),
        complete=state.complete and ours,
        whole_since=(state.whole_since if state.complete and ours else ready_since) or NEVER,
        most_unread=source.most_unread,
        max_staleness_seconds=source.max_staleness_seconds,
        noun=source.noun,
        last_success=state.last_success,
        unread=store.unread(source.name),
        unmapped=unmapped(source, store),
        # Before anything is pushed there is no history that a source could lack.
        begun=frozenset(name for name, count in store.counts(source.name).items() if count) if source.door else None,
        rereading=state.complete and (state.rereading or state.revision != source.revision),
    ).as_of(at)


def unmapped(source: Source, store: Store) -> tuple[Unmapped, ...]:
    """How many of its records lack a label that the config fills."""
    if not any(source.labelled.values()):
        return ()
    with store.reading() as reader:
        return tuple(counted(reader, source.name, source.labelled))
