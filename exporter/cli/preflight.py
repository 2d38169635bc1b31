"""`check --live`: reads a little of each source, stores nothing, and prints a report."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta

from rich.console import Console
from rich.table import Table

from exporter.base.errors import SourceError
from exporter.collect import mapping
from exporter.collect.account import Accounts
from exporter.collect.contract import needs
from exporter.collect.finding import Finding
from exporter.collect.http import Client
from exporter.collect.source import Source
from exporter.collect.unseen import MOST_ITEMS, unseen
from exporter.records import SEGMENTS, Json, Record, record_name
from exporter.records.unreadable import LeftOut, Summary, counted, summarized

PAGES = 4
SECONDS = 60.0
TOLERATED_OFFSET = 60.0
HISTORY = timedelta(days=30)
PLUMBING = {"id", "source", "url"}
AHEAD = ("starts_at", "ends_at", "attendance_due_at")  # times of a booking that may well lie ahead


@dataclass
class Probe:
    """What one source answered."""

    source: str
    fault: str | None = None
    findings: Sequence[Finding] = ()  # of the connector's own check
    records: Counter[str] = field(default_factory=Counter)
    filled: dict[str, Counter[str]] = field(default_factory=dict)
    unread: Summary = field(default_factory=Summary)  # what could not be read
    noun: str = "item"
    items: list[Json] = field(default_factory=list)  # some of those read
    unseen: Sequence[tuple[str, str]] = ()  # paths of the config that none of them has, with the nearest that they have
    future: int = 0  # records with a time that lies ahead: a sign of a wrong time zone
    newest: datetime | None = None
    clock_offset_seconds: float | None = None

    @property
    def well(self) -> bool:
        """Whether nothing needs attention before going live."""
        right = abs(self.clock_offset_seconds or 0.0) <= TOLERATED_OFFSET
        wrong = any(finding.wrong for finding in self.findings)
        return self.fault is None and right and not wrong and not self.unread.lost

    def add(self, record: Record, at: datetime) -> None:
        """Counts one record."""
        name = record_name(type(record))
        self.records[name] += 1
        values = {f.name: getattr(record, f.name) for f in fields(record)}
        self.filled.setdefault(name, Counter()).update(key for key, value in values.items() if value not in (None, ()))
        moments = [v for key, v in values.items() if isinstance(v, datetime) and key not in AHEAD]
        self.future += any(moment > at + timedelta(minutes=5) for moment in moments)
        past = [moment for moment in moments if moment <= at]
        self.newest = max([*past, *([self.newest] if self.newest else [])], default=None)


async def ask(source: Source, at: datetime, accounts: Accounts) -> Probe:
    """Probes a source with its first pages, as a poll without a cursor would get them."""
    probe, left_out = Probe(source.name, noun=source.noun), list[LeftOut]()
    client = source.client(at=at, since=at - HISTORY, accounts=accounts)
    try:
        async with asyncio.timeout(SECONDS), client:
            check = needs(source.connector).check
            if check:
                probe.findings = await check(client, source.options)
            await first_pages(source, client, probe, left_out)
    except SourceError as error:
        probe.fault = str(error)
    except TimeoutError:
        probe.fault = f"the first {PAGES} pages did not arrive within {SECONDS:.0f} s"
    except Exception as error:  # noqa: BLE001 - told, like any other finding
        probe.fault = f"unexpected {type(error).__name__}: this is a bug in the exporter"
    left_out += client.left_out()
    probe.items += [each.item for each in left_out if each.whole]
    probe.unseen = unseen(source.paths | getattr(source.options, "paths", frozenset()), probe.items)
    probe.unread = summarized(probe.records.total(), left_out)
    probe.clock_offset_seconds = client.clock_offset_seconds
    return probe


async def first_pages(source: Source, client: Client, probe: Probe, left_out: list[LeftOut]) -> None:
    """Reads the first pages and counts which columns their records fill."""
    pages = source.connector.poll(client, source.options, {})
    async with aclosing(pages):  # type: ignore[type-var] # a connector's poll is an async generator
        count = 0
        async for page in pages:
            records, _, more = mapping.records(page.reads, source.mapping, lambda text: text)
            for record in records:
                probe.add(record, client.at)
            probe.items += [read.item for read in page.reads[: MOST_ITEMS - len(probe.items)]]
            left_out += more
            count += 1
            if count == PAGES:
                break


async def probe(sources: Sequence[Source], at: datetime, console: Console) -> bool:
    """Probes all sources at once and prints a report. Returns whether nothing needs attention."""
    accounts = Accounts()
    found = await asyncio.gather(*(ask(source, at, accounts) for source in sources))
    for each in found:
        print_probe(each, console)
    return all(each.well for each in found)


def print_probe(probe: Probe, console: Console) -> None:
    """Prints a few lines about a source, and a table of how often its columns are filled."""
    answers = "answers" if not probe.unread.lost else "answers, but some of it cannot be read"
    answers = (
        "answers, but something that is needed is missing" if any(each.wrong for each in probe.findings) else answers
    )
    console.print(f"{probe.source}: {probe.fault or answers}", style="bold", markup=False)
    for finding in probe.findings:
        console.print(f"  {finding.what}: {finding.text}", style="red" if finding.wrong else None, markup=False)
    if probe.clock_offset_seconds is not None:
        far = abs(probe.clock_offset_seconds) > TOLERATED_OFFSET
        note = "; correct the clocks, or new records look old or lie in the future" if far else ""
        console.print(f"  clock: {probe.clock_offset_seconds:+.0f} s relative to this machine{note}", markup=False)
    if probe.newest:
        console.print(f"  newest time: {probe.newest:%Y-%m-%d %H:%M:%S} UTC", markup=False)
    if probe.future:
        console.print(
            f"  {counted(probe.future, 'record')} with a time in the future: is the time zone right?", markup=False
        )
    if left_out := probe.unread.describe(probe.noun):
        console.print(f"  {left_out}", markup=False)
    for path, near in probe.unseen:
        nearest = f"; the nearest is {near}" if near else ""
        console.print(f"  {path}: not in any of {counted(len(probe.items), probe.noun)}{nearest}", markup=False)
    for name, count in sorted(probe.records.items()):
        table = Table(
            box=None, title=f"  {name}: share of {count} records that have", title_justify="left", show_header=False
        )
        for column, share in shares(probe, name):
            table.add_row("   ", column, f"{share:.0%}")
        console.print(table)


def shares(probe: Probe, name: str) -> list[tuple[str, float]]:
    """(column, share of the records that have it), fullest first; segments always, others where any has it."""
    filled, count = probe.filled[name], probe.records[name]
    columns = dict.fromkeys([*SEGMENTS, *(column for column, _ in filled.most_common())])
    pairs = [(column, filled[column] / count) for column in columns if column not in PLUMBING]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
