"""A configured source: everything that polling needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from exporter.collect.account import Accounts
from exporter.collect.contract import Connector, needs
from exporter.collect.http import Client, HttpSettings
from exporter.collect.mapping import Fillers
from exporter.collect.reading import Observer
from exporter.collect.signature import Door
from exporter.records import Json, Record
from exporter.records.unreadable import MOST_UNREAD

RecordType = type[Record]
RecordTypes = tuple[RecordType, ...]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Everything that polling one source needs."""

    name: str
    type: str
    connector: Connector
    options: Any
    http: HttpSettings
    mapping: Fillers = field(repr=False, compare=False)  # the fingerprint tells of a change
    records: RecordTypes  # what it feeds
    labelled: Mapping[RecordType, Mapping[str, frozenset[str] | None]] = field(default_factory=dict, compare=False)
    # labels that the config fills, with the words of their maps (see collect.mapping)
    interval_seconds: int
    initial_history_seconds: int
    max_staleness_seconds: int
    max_data_age_seconds: int = 3 * 86400  # an alert speaks where its newest record is older
    most_unread: float = MOST_UNREAD
    calendar: str | None = None  # in whose hours its records are worked on
    claimed_resolution_price: tuple[float, str] | None = None  # amount and currency of what it says automation resolved
    noun: str = "item"  # what one thing is called that it brings
    door: Door | None = None  # what it demands of its senders, if it has any
    fingerprint: str  # another one: what was fetched so far no longer fits, fetch anew

    @property
    def mapped(self) -> Mapping[RecordType, frozenset[str]]:
        """The columns that the config fills, by type of record."""
        return {kind: frozenset(name for _, name, _, _ in filler.mapped) for kind, filler in self.mapping.items()}

    @property
    def paths(self) -> frozenset[str]:
        """Where in items the config looks: dotted paths."""
        return frozenset[str]().union(*(filler.paths for filler in self.mapping.values()))

    @property
    def route(self) -> str:
        """The path to which its senders POST; empty if it has none."""
        return needs(self.connector).route.format(source=self.name)

    @property
    def revision(self) -> int:
        """That of its connector's mapping. With another one all is read again."""
        return needs(self.connector).revision

    def client(
        self,
        *,
        at: datetime,
        since: datetime,
        observe: Observer | None = None,
        accounts: Accounts | None = None,
        memory: Mapping[str, Json] | None = None,
    ) -> Client:
        """Who asks it, during one poll that begins at `at`; a first sync wants what was since `since`.

        `accounts`: what it shares with other sources and with the polls before. `memory`: what its connector remembers.
        """
        return Client(
            self.http,
            at=at,
            since=since,
            observe=observe,
            mapped=self.mapped,
            paths=self.paths,
            dialect=needs(self.connector).dialect,
            account=accounts.of(self.http.url, self.http.auth) if accounts else None,
            memory=memory,
        )
