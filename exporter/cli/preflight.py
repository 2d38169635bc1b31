"""`check --live` reads the first pages of each source, as a poll without a cursor would get them."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import partial
from secrets import token_hex

from exporter.base.errors import SourceError, Unavailable
from exporter.collect import mapping
from exporter.collect.account import Accounts
from exporter.collect.contract import needs
from exporter.collect.finding import Finding
from exporter.collect.http import Client
from exporter.collect.source import Source
from exporter.collect.unseen import MOST_ITEMS, unseen
from exporter.records import SEGMENTS, Json, Record, record_name
from exporter.records.unreadable import LeftOut, Summary, summarized
from exporter.store.person import hashed

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
    error: SourceError | None = None  # of the fault, if that is one of reading
    kept: list[Record] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    whole: bool = True  # whether there are no more pages
    findings: Sequence[Finding] = ()  # of the connector's own check
    lacking: Mapping[str, str] = field(default_factory=dict)  # resource that may not be read -> why
    records: Counter[str] = field(default_factory=Counter)
    filled: dict[str, Counter[str]] = field(default_factory=dict)
    unread: Summary = field(default_factory=Summary)  # what could not be read
    noun: str = "item"
    items: list[Json] = field(default_factory=list)  # some of those read
    unseen: Sequence[tuple[str, str]] = ()  # paths of the config that none of them has, with the nearest that they have
    future: int = 0  # records with a time that lies ahead: a sign of a wrong time zone
    newest: datetime | None = None
    clock_offset_seconds: float | None = None

    def add(self, record: Record, at: datetime) -> None:
        """Counts one record."""
        self.kept.append(record)
        name = record_name(type(record))
        self.records[name] += 1
        values = {f.name: getattr(record, f.name) for f in fields(record)}
        self.filled.setdefault(name, Counter()).update(key for key, value in values.items() if value not in (None, ()))
        moments = {key: value for key, value in values.items() if isinstance(value, datetime)}
        self.future += any(moments[key] > at + timedelta(minutes=5) for key in moments.keys() - set(AHEAD))
        past = [moment for moment in moments.values() if moment <= at]
        self.newest = max([*past, *([self.newest] if self.newest else [])], default=None)


async def ask(source: Source, at: datetime, accounts: Accounts) -> Probe:
    """Probes a source with its first pages, as a poll without a cursor would get them."""
    probe = Probe(source.name, noun=source.noun)
    client = source.client(at=at, since=at - HISTORY, accounts=accounts)
    try:
        async with asyncio.timeout(SECONDS), client:
            check = needs(source.connector).check
            if check:
                probe.findings = await check(client, source.options)
            await first_pages(source, client, probe)
    except SourceError as error:
        probe.fault, probe.error = str(error), error
    except TimeoutError:
        probe.fault = f"the first {PAGES} pages did not arrive within {SECONDS:.0f} s"
        probe.error = Unavailable(probe.fault)
    except Exception as error:  # noqa: BLE001 - told, like any other finding
        probe.fault = f"unexpected {type(error).__name__}: this is a bug in the exporter"
    probe.left_out += client.left_out()
    probe.items += [each.item for each in probe.left_out if each.whole and isinstance(each.item, dict)]
    probe.unseen = unseen(source.paths | getattr(source.options, "paths", frozenset()), probe.items)
    probe.unread = summarized(probe.records.total(), probe.left_out)
    probe.lacking = dict(client.lacking)
    probe.clock_offset_seconds = client.clock_offset_seconds
    return probe


async def first_pages(source: Source, client: Client, probe: Probe) -> None:
    """Reads the first pages and counts which columns their records fill. A person is a hash of this run."""
    key = token_hex()
    pages = source.connector.poll(client, source.options, {})
    async with aclosing(pages):  # type: ignore[type-var] # a connector's poll is an async generator
        count = 0
        async for page in pages:
            records, _, more = mapping.records(page.reads, source.mapping, partial(hashed, key))
            for record in records:
                probe.add(record, client.at)
            probe.items += [read.item for read in page.reads[: MOST_ITEMS - len(probe.items)]]
            probe.left_out += more
            count += 1
            if count == PAGES:
                probe.whole = False
                break


async def probes(sources: Sequence[Source], at: datetime) -> list[Probe]:
    """Probes all sources at the same time."""
    accounts = Accounts()
    return await asyncio.gather(*(ask(source, at, accounts) for source in sources))


def shares(probe: Probe, name: str) -> list[tuple[str, float]]:
    """(column, share of the records that have it), fullest first; segments always, others where any has it."""
    filled, count = probe.filled[name], probe.records[name]
    columns = dict.fromkeys([*SEGMENTS, *(column for column, _ in filled.most_common())])
    pairs = [(column, filled[column] / count) for column in columns if column not in PLUMBING]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
