"""How a source stands in the store: whether what it has brought is whole, recent and readable."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from exporter.collect.source import Source
from exporter.records.unreadable import MOST_UNREAD, Summary
from exporter.store import Store


@dataclass(frozen=True, slots=True)
class SourceFreshness:
    """Whether what a source has brought is whole and recent: what evaluation may build on."""

    source: str
    complete: bool
    last_success: datetime | None
    max_staleness_seconds: float
    whole_since: datetime | None = None  # from when on its history is whole; None where that is not known
    unread: Summary = field(default_factory=Summary)  # what is left out
    most_unread: float = MOST_UNREAD
    noun: str = "item"
    rereading: bool = False  # its mapping was corrected, and not all has been read again

    @property
    def unreadable(self) -> bool:
        """Whether more of its records are lost than may be."""
        return self.unread.share > self.most_unread

    def stale(self, at: datetime) -> bool:
        """Whether the source has not answered for too long."""
        return self.last_success is None or at - self.last_success > timedelta(seconds=self.max_staleness_seconds)


def freshness(source: Source, store: Store) -> SourceFreshness:
    """How a source stands in the store."""
    state = store.source(source.name)
    return SourceFreshness(
        source.name,
        # Under another fingerprint what is stored is not yet what is configured.
        complete=state.complete and state.fingerprint == source.fingerprint,
        last_success=state.last_success,
        max_staleness_seconds=source.max_staleness_seconds,
        whole_since=state.whole_since,
        unread=store.unread(source.name),
        most_unread=source.most_unread,
        noun=source.noun,
        rereading=state.complete and (state.rereading or state.revision != source.revision),
    )
