"""What a terminal shows of a proposal: what was found, what was guessed, and what nothing in the file tells."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from exporter.proposal import Proposal
from exporter.records.unreadable import counted

SHOWN_DAYS = 90  # how far the usual windows reach back


def lines(proposal: Proposal, output: Path, at: datetime) -> Iterator[str]:
    """The lines of the report; `output` is the config that was written."""
    yield from _found(proposal)
    yield from _not_found(proposal)
    if proposal.guesses:
        yield "\nGuessed, and marked GUESS in the config. A wrong guess makes wrong values:"
        yield from (f"  {guess.key}: {guess.text}" for guess in proposal.guesses)
    if proposal.sample.whole and proposal.newest and proposal.newest < at - timedelta(days=SHOWN_DAYS):
        day = proposal.newest + timedelta(days=1)
        yield f"\nThe newest row is of {proposal.newest:%Y-%m-%d}; values reach back {SHOWN_DAYS} days. Those of then:"
        yield f"  outcome-exporter once --config.file {output} --at {day:%Y-%m-%d}"


def _found(proposal: Proposal) -> Iterator[str]:
    sample = proposal.sample
    layout = "".join(f", {key} {value!r}" for key, value in sample.layout.items())
    rows = counted(len(sample.rows), "row") + ("" if sample.whole else " looked at")
    yield f"{sample.path}: {sample.kind}, {rows}, {counted(len(sample.names), 'column')}{layout}"
    if sample.broken:
        yield f"{counted(sample.broken, 'row')} cannot be read: check --live says why"
    yield f"A row is read as: {proposal.record}\n"
    width = max((len(each.theirs) for each in proposal.entries), default=0)
    yield from (f"  {each.theirs:{width}}  -> {each.column}" for each in proposal.entries)
    yield ""


def _not_found(proposal: Proposal) -> Iterator[str]:
    if proposal.ignored:
        yield f"Not read: {', '.join(proposal.ignored)}"
    if proposal.missing:
        yield f"Not found, so KPIs that need it stay out: {', '.join(proposal.missing)}"
    if proposal.days:
        yield f"Only days, so lengths of time are in whole days: {', '.join(proposal.days)}"
    if unknown := [f"{word!r} in {each.theirs}" for each in proposal.entries for word in each.unknown]:
        yield f"Not known, so rows with it are not read: {', '.join(unknown)}"
    if proposal.repeated_ids:
        yield f"{counted(proposal.repeated_ids, 'row')} without an id of its own: of rows with one id the last counts"
