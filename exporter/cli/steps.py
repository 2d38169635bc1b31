"""What `check --live` shows of a source, step by step, and how steps are laid out on a screen."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from textwrap import wrap
from typing import Literal

import click
from yarl import URL

from exporter.base.errors import AuthFailed, Forbidden, Partial, RateLimited, Unavailable
from exporter.cli.preflight import PAGES, TOLERATED_OFFSET, Probe, shares
from exporter.collect.auth import NOBODY
from exporter.collect.contract import needs
from exporter.collect.source import Source
from exporter.records.unreadable import FILE, ITEM, Problem, counted

Mark = Literal["ok", "note", "fix"]
COLOURS: dict[Mark, str] = {"ok": "green", "note": "yellow", "fix": "red"}
NAME_WIDTH = 11
OLD = timedelta(days=30)


@dataclass(frozen=True)
class Step:
    """One line of the screen: whether something must be done, what was looked at, and the result, with more below."""

    mark: Mark
    what: str
    text: str
    more: Sequence[str] = ()


def heading(source: Source) -> str:
    """A source by its name, its type and where it is."""
    where = URL(source.http.url).host if source.http.url else getattr(source.options, "path", "")
    return ", ".join(filter(None, (f"{source.name}: {source.type}", where)))


def steps(source: Source, probe: Probe, at: datetime) -> Iterator[Step]:
    """What was looked at in one source, in the order in which it can go wrong."""
    answered = bool(probe.records) or any(not each.wrong for each in probe.findings)
    if isinstance(probe.error, Unavailable | RateLimited) and not answered:
        yield Step("fix", "reach", str(probe.error))
        return
    yield from _reached(source, probe)
    yield from (Step("fix" if each.wrong else "ok", each.what, each.text) for each in probe.findings)
    for resource, why in probe.lacking.items():
        yield Step("note", "permission", f"{resource} cannot be read, so its values are unknown: {why}")
    # A credential that is refused is said above, and files that cannot be read below.
    elsewhere = isinstance(probe.error, AuthFailed | Partial)
    if probe.fault and not elsewhere and probe.fault not in {each.text for each in probe.findings}:
        yield Step("fix", "answer", probe.fault)
    yield from _times(source, probe, at)
    yield from _read(source, probe)
    yield from _refused(probe)
    for path, near in probe.unseen:
        nearest = f"; the nearest is {near}" if near else ""
        yield Step("note", "path", f"{path}: not in any of {counted(len(probe.items), probe.noun)}{nearest}")
    for record in sorted(probe.records):
        yield Step("ok", "filled", f"{record}: {_filled(probe, record)}")


def _reached(source: Source, probe: Probe) -> Iterator[Step]:
    if source.door:
        yield Step("ok", "receives", f"senders POST to {source.route}; there is nothing to read until they do")
        return
    if needs(source.connector).auth is None:
        return
    yield Step("ok", "reach", f"{URL(source.http.url).host} answers")
    if isinstance(probe.error, AuthFailed) and not isinstance(probe.error, Forbidden):
        yield Step("fix", "credential", str(probe.error))
        return
    nobody = source.http.auth == NOBODY
    yield Step("ok", "credential", "none is configured, and none is asked for" if nobody else "accepted")
    if isinstance(probe.error, Forbidden):
        yield Step("fix", "permission", str(probe.error))


def _times(source: Source, probe: Probe, at: datetime) -> Iterator[Step]:
    if probe.clock_offset_seconds is not None:
        far = abs(probe.clock_offset_seconds) > TOLERATED_OFFSET
        note = "; correct the clocks, or new records look old or lie in the future" if far else ""
        offset = f"{round(probe.clock_offset_seconds):+d} s relative to this machine{note}"
        yield Step("fix" if far else "ok", "clock", offset)
    notation = getattr(source.options, "notation", None)
    zone = notation.time_zone.key if notation and notation.time_zone else ""
    if probe.future:
        text = f"{counted(probe.future, 'record')} with a time in the future: is the time zone right?"
        yield Step("note", "time zone", f"{zone}; {text}" if zone else text)
    elif zone:
        yield Step("ok", "time zone", f"{zone}, for times that say none; no time lies in the future")
    elif probe.newest:
        yield Step("ok", "time zone", "every time says its own; none lies in the future")
    if probe.newest:
        old = at - probe.newest > OLD
        note = ", so windows that end now hold no records of it" if old else ""
        yield Step("note" if old else "ok", "newest", f"{probe.newest:%Y-%m-%d %H:%M} UTC{note}")


def _read(source: Source, probe: Probe) -> Iterator[Step]:
    if source.door or (probe.fault and not probe.records):
        return
    some = "" if probe.whole else f"; at most {PAGES} pages are read here"
    kinds = ", ".join(f"{counted(count, record)}" for record, count in sorted(probe.records.items()))
    yield Step("ok" if probe.records else "note", f"{probe.noun}s", f"{kinds or 'none'}{some}")


def _refused(probe: Probe) -> Iterator[Step]:
    unread, problems = probe.unread, probe.unread.lines
    files = [each for each in problems if each.reason == FILE]
    whole = [each for each in problems if each.whole and each not in files]
    values = [each for each in problems if not each.whole and each not in files]
    if files:
        yield Step("fix", "files", "some cannot be read", [each.text for each in files])
    if whole:
        total = counted(unread.read + unread.lost, probe.noun)
        text = f"{unread.lost:,} of {total} cannot be read; they are left out"
        yield Step("fix", "refused", text, [_problem(each, probe.noun) for each in whole])
    elif probe.records:
        yield Step("ok", "refused", "none")
    if values:
        text = f"values that cannot be read; their {probe.noun}s are kept without them"
        yield Step("note", "unknown", text, [_problem(each, probe.noun) for each in values])


def _problem(each: Problem, noun: str) -> str:
    where = "" if each.column == ITEM else f"column {each.called or each.column}: "
    return f"{counted(each.count, noun)}: {where}{each.text}{f' (first: {each.place})' if each.place else ''}"


def _filled(probe: Probe, record: str) -> str:
    """The columns of a record by the share of records that have them: `outcome 100%; team, region 0%`."""
    columns: dict[str, list[str]] = {}
    for column, share in shares(probe, record):
        columns.setdefault(f"{share:.0%}", []).append(column)
    return "; ".join(f"{', '.join(names)} {share}" for share, names in columns.items())


def lines(title: str, shown: Iterable[Step], width: int) -> Iterator[str]:
    """Steps below their title, in lines of at most `width`, coloured."""
    yield click.style(title, bold=True)
    indent = " " * (7 + NAME_WIDTH + 1)
    for step in shown:
        name = step.what if len(step.what) <= NAME_WIDTH else f"{step.what}:"
        first = f"{name:{NAME_WIDTH}} "
        text = wrap(f"{first}{step.text}", width - 7, subsequent_indent=indent[7:], break_on_hyphens=False)
        yield f"  {click.style(f'{step.mark:4}', fg=COLOURS[step.mark])} {text[0]}"
        yield from (f"       {line}" for line in text[1:])
        for each in step.more:
            yield from wrap(each, width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)
