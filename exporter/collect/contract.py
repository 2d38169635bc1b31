"""What a connector is: a module with RECORDS, Options and poll(). The contract test suite holds every one to it.

    RECORDS: tuple[type[Record], ...]        the record types it yields
    Options: a frozen dataclass              its own config keys, validated by pydantic; a default for each
    async def poll(client, options, cursor) -> AsyncIterator[Page]
    READS_ALL = True                         where the first poll reads everything there is, however old
    NOUN = "row"                             what one thing is called that it brings; "item" where it is not said

A connector keeps no state, reads no clock, logs nothing and retries nothing. It tells only how to ask and what an
answer means. Its module docstring has five words, each beginning a line: API, Polls, Cursor, Blind, Checked.

What cannot be read has one way: a mapping, called by `client.each`, reads every value with `value(column, read, given)`
of exporter.records.unreadable, and words with a table `Words(column, {theirs: ours})`. `each` decides what that costs:
the record where the column is vital (see exporter.records), else the value. What is asked beside items is read by
`client.learnt`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from exporter.collect.http import Client
from exporter.records import Read, Record

LATER = {"later": True}
"""Metadata of an option that came with a later release: at its default it does not make a stored source another one."""

Cursor = Mapping[str, Any]
"""Where to go on: JSON values only. Empty at the first poll."""


@dataclass(frozen=True, slots=True)
class Page:
    """Records and the cursor that is right once they are stored; both are stored in one transaction.

    `gone`: (record type, id) of items the platform no longer has.
    `anew`: scopes (see `Client.each`) that are read from their beginning with this page; what was left out of them
    before is forgotten.
    `total`: how many items the whole poll will bring, where the platform says so (for progress only).
    """

    reads: Sequence[Read]
    cursor: Cursor
    gone: Sequence[tuple[type[Record], str]] = field(default=())
    total: int | None = None
    anew: Sequence[str] = ()


class Poll(Protocol):
    """One poll from the cursor to the present, as pages in the order they may be stored."""

    def __call__(self, client: Client, options: Any, cursor: Cursor, /) -> AsyncIterator[Page]: ...
