"""How each source is, as the landing page shows it: in one word, and in words what is wrong and what comes next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from exporter.base.clock import NEVER
from exporter.collect.poll import Progress
from exporter.collect.poller import LastPoll
from exporter.explain.summary import lacking
from exporter.store.status import SourceStatus

State = Literal["failing", "stale", "unreadable", "partial", "first sync", "re-reading", "fresh"]
WORST_FIRST: Sequence[State] = (
    "failing", "stale", "unreadable", "partial", "first sync", "re-reading", "fresh",
)  # fmt: skip
LEVELS: Mapping[State, str] = {
    "failing": "critical",
    "stale": "critical",
    "unreadable": "critical",
    "partial": "warning",
    "first sync": "busy",
    "re-reading": "busy",
    "fresh": "good",
}
REASONS = {
    "auth": "the credential is refused",
    "rate_limited": "the platform asks to slow down",
    "unavailable": "the platform cannot be reached",
    "not_understood": "the answer is not understood",
    "gone": "what was asked for is gone",
    "partial": "only a part could be read",
    "store": "the store cannot be used",
    "bug": "a fault of the exporter",
}
"""Why a poll fails, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceLine:
    """A source, as the landing page shows it. `error`: why its last poll failed; `next_at`: when it is polled again."""

    name: str
    kind: str
    state: State
    last_success_at: datetime | None
    error: str = ""
    next_at: datetime | None = None
    notes: Sequence[str] = ()  # how far a first sync is, what is left out, which labels records lack

    @property
    def level(self) -> str:
        """`critical`, `warning`, `busy` or `good`."""
        return LEVELS[self.state]


def line(status: SourceStatus, kind: str, last: LastPoll | None, progress: Progress | None) -> SourceLine:
    """The line of a source."""
    failed = last is not None and last.reason is not None
    return SourceLine(
        name=status.source,
        kind=kind,
        state=_state(status, last),
        last_success_at=status.last_success,
        error=f"{REASONS.get(last.reason or '', last.reason)}: {last.text}" if last and failed else "",
        next_at=last.next_at if last and failed else None,
        notes=[note for note in _notes(status, progress) if note],
    )


def worst_first(lines: Sequence[SourceLine]) -> list[SourceLine]:
    """Sources that need somebody come first."""
    return sorted(lines, key=lambda each: (WORST_FIRST.index(each.state), each.name))


def _state(status: SourceStatus, last: LastPoll | None) -> State:
    if (
        last
        and last.reason
        and last.reason != "partial"
        and not (last.reason == "rate_limited" and not status.complete)
    ):
        return "failing"
    if not status.complete:
        return "first sync"
    if status.stale:
        return "stale"
    if status.unreadable:
        return "unreadable"
    if (last and last.reason) or status.unread.lost or status.unread.files:
        return "partial"
    return "re-reading" if status.rereading else "fresh"


def _notes(status: SourceStatus, progress: Progress | None) -> list[str]:
    sync = ""
    if not status.complete:
        done = f"{progress.records:,} records read" if progress else "nothing has been read yet"
        expected = f" of about {progress.expected:,}" if progress and progress.expected else ""
        since = f"{status.whole_since:%Y-%m-%d %H:%M} UTC"
        so_far = f"; everything since {since} is there, and shorter windows have values"
        sync = done + expected + (so_far if status.whole_since < NEVER else "")
    rereading = "its items are being read again, because a release corrected their mapping"
    unmapped = lacking(status)
    return [
        sync,
        rereading if status.rereading else "",
        status.unread.describe(status.noun),
        f"Not mapped: {unmapped}" if unmapped else "",
    ]
