"""The status of a source, as evaluation, explanations, pages and health read it. collect.status creates it."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf
from typing import Self

from exporter.base.clock import BEGINNING
from exporter.records.unreadable import MOST_UNREAD, Summary
from exporter.store.unmapped import Unmapped


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceStatus:
    """The record types that a source brings, and whether its data is complete, fresh and readable.

    `stale`: it had not answered for too long, at the instant for which this was made (see `as_of`). `whole_since`: from
    when on its history is whole. `most_unread`: the share of its records in a window that may be lost, because they
    cannot be read, before values are withdrawn.

    Two are equal where the same can be built on them: that a source has answered once more changes nothing.
    """

    source: str
    records: frozenset[str]
    complete: bool = True
    stale: bool = False
    whole_since: datetime = BEGINNING
    most_unread: float = MOST_UNREAD
    max_staleness_seconds: float = inf
    noun: str = "item"  # what one thing is called that it brings
    last_success: datetime | None = field(default=None, compare=False)
    unread: Summary = field(default_factory=Summary, compare=False)  # what is left out
    unmapped: tuple[Unmapped, ...] = field(default=(), compare=False)  # of the labels that the config fills
    begun: frozenset[str] | None = None  # the records whose history begins with it, if not all that it brings
    rereading: bool = field(default=False, compare=False)  # its mapping was corrected, and not all has been read again

    @property
    def unreadable(self) -> bool:
        """Whether more of its records are lost than its limit allows."""
        return self.unread.share > self.most_unread

    def as_of(self, at: datetime) -> Self:
        """The same status, with `stale` as of another time."""
        longest = timedelta(seconds=min(self.max_staleness_seconds, timedelta.max.total_seconds() / 2))
        return replace(self, stale=self.last_success is None or at - self.last_success > longest)
