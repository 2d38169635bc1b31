"""UiPath: how rows of a folder are asked for, and which of them may have changed since the last poll.

Rows come in the order of their ids, which never changes: a row that changes while pages are read moves none.

State: mark (the latest time known of a row, never later than when the walk over the rows began), recent (the rows of
which that is known, with when they were made), checked (when rows were last read of which no time tells that they
changed). While a walk is under way: begun, place (the id that was read last) and newest (the future `recent`).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from exporter.collect import paging
from exporter.collect.http import Answer, Client
from exporter.collect.recent import WITNESSES, still_there
from exporter.records import Json, instant
from exporter.records.unreadable import ODD

FOLDER = "X-UIPATH-OrganizationUnitId"
CHECKED_EVERY, CHECKED_BACK = timedelta(hours=1), timedelta(days=30)
KEPT = timedelta(days=7)  # UiPath deletes what ended longer ago, where it is told to keep it for no longer
MOST_APART = 50  # queues that are left out of a question; it may have a hundred expressions


class List(NamedTuple):
    """A list of rows that begin and end."""

    name: str  # in the cursor
    what: str
    path: str
    most: int  # rows of a page; more are refused
    ended: str  # the column that tells when a row ended
    open: str  # which rows have not ended
    busy: str  # which of these change without a time that tells so
    silent: str = ""  # which rows may have changed, made since {since}, or deferred to later than {now}
    select: str = ""


ITEMS = List(
    name="items",
    what="queue items",
    path="/odata/QueueItems",
    most=100,
    ended="EndProcessing",
    open="Status eq 'New' or Status eq 'InProgress'",
    busy="Status eq 'InProgress'",
    silent=(
        "(CreationTime ge {since} and (Status eq 'Abandoned' or Status eq 'Deleted' or ReviewStatus ne 'None'"
        " or (Status eq 'Retried' and EndProcessing eq null))) or (Status eq 'New' and DeferDate ge {now})"
    ),
    select=(
        "Id,Key,QueueDefinitionId,Status,ReviewStatus,Reference,ProcessingExceptionType,CreationTime,DeferDate,"
        "StartProcessing,EndProcessing,RetryNumber,ManualAncestorId,ManualRetryNumber"
    ),
)
JOBS = List(
    name="jobs",
    what="jobs",
    path="/odata/Jobs",
    most=1000,
    ended="EndTime",
    open="EndTime eq null",
    busy="EndTime eq null",
)
CONTENTS = {"SpecificContent", "Output", "Analytics", "Progress", "Priority", "DueDate", "RiskSlaDate", "RobotId"}
"""What a config may map of queue items beside; it is asked for only then."""


def pages(
    client: Client,
    path: str,
    folder: int | None,
    condition: str = "",
    *,
    size: int = 1000,
    begin: int = 0,
    select: str = "",
) -> AsyncGenerator[Answer]:
    """The rows of a list in the order of their ids, those after an id."""

    async def ask(place: int | None, _offset: int, size: int) -> Answer:
        where = f"Id gt {place}" + (f" and ({condition})" if condition else "")
        params: dict[str, str | int] = {
            "$filter": where,
            "$orderby": "Id",
            "$top": size,
            **({"$select": select} if select else {}),
        }
        return await client.ask(path, params, headers=of_folder(folder))

    return paging.by_key(client, ask, items="value", key=id_of, begin=begin, size=size)


def of_folder(folder: int | None) -> dict[str, str]:
    """The header that says which folder is asked about."""
    return {FOLDER: str(folder)} if folder is not None else {}


async def changed(
    client: Client, rows: List, folder: int, known: Json, *, overlap: timedelta, size: int, apart: Sequence[int] = ()
) -> AsyncIterator[tuple[Sequence[Json], Json]]:
    """The rows that may have changed, and the state after each page. `apart`: queues whose items are not wanted."""
    resumed = "begun" in known
    begun = instant(known.get("begun")) or now(client)
    newest: dict[str, list[str]] = dict(known.get("newest", {}))
    mark, checked, found = instant(known.get("mark")), instant(known.get("checked")), dict[str, str | None]()
    due = checked is None or not checked <= begun < checked + CHECKED_EVERY
    where = condition(rows, mark and min(mark, begun) - overlap, client.since, begun if due else None)
    if apart:
        where = f"({where}) and " + " and ".join(f"QueueDefinitionId ne {key}" for key in apart[:MOST_APART])
    asked = rows.select and ",".join([rows.select, *sorted(CONTENTS & {path.split(".")[0] for path in client.paths})])
    recent, place = known.get("recent", {}), known.get("place", 0)
    async for answer in pages(client, rows.path, folder, where, size=min(size, rows.most), begin=place, select=asked):
        stamps = {str(row["Id"]): its for row in answer.items if (its := stamp(row, rows.ended))}
        found |= {key: made for key, (_, made) in stamps.items() if key in recent}
        # What lies ahead must not carry the mark away: what ends until then would never be read.
        newest |= {key: its for key, its in stamps.items() if its[0] <= begun.isoformat()}
        newest = dict(sorted(newest.items(), key=lambda each: (each[1][0], int(each[0])))[-WITNESSES:])
        place = max((key for row in answer.items if (key := id_of(row)) is not None), default=place)
        yield answer.items, {**known, "begun": begun.isoformat(), "place": place, "newest": newest}
    if mark and not resumed and mark > begun - KEPT:
        still_there(recent, found, rows.what, {})
    ends = [at for each in newest.values() if (at := instant(each[0]))]
    mark = max([*ends, *([min(mark, begun)] if mark else [])], default=None)
    kept = {key: made for key, (at, made) in newest.items() if mark and (instant(at) or mark) >= mark - overlap}
    state = {"mark": mark and mark.isoformat(), "recent": kept}
    yield [], state | {"checked": (begun if due or not checked else checked).isoformat()}


def condition(rows: List, floor: datetime | None, since: datetime, checked: datetime | None) -> str:
    """Which rows may have changed since `floor`; None: which there are of the history, and open ones however old.

    `checked`: the present, where it is time to look for what has changed without a time that tells so.
    """
    begin = written(floor or since)
    parts = [f"CreationTime ge {begin}", f"{rows.ended} ge {begin}", rows.busy if floor else rows.open]
    if floor and checked and rows.silent:
        parts.append(rows.silent.format(since=written(checked - CHECKED_BACK), now=written(checked)))
    return " or ".join(parts)


def stamp(row: Json, ended: str) -> list[str] | None:
    """When a row was made or ended, whichever is later, and when it was made."""
    with suppress(*ODD):
        times = [at for at in (instant(row["CreationTime"]), instant(row[ended])) if at]
        return [max(times).astimezone(UTC).isoformat(), row["CreationTime"]] if id_of(row) is not None else None
    return None


def id_of(row: Json) -> int | None:
    key = row.get("Id") if isinstance(row, dict) else None
    return key if isinstance(key, int) else None


def now(client: Client) -> datetime:
    """The present, by the slower of their clock and ours; to the minute, for the overlap is longer."""
    return client.at + timedelta(minutes=min(int((client.clock_offset_seconds or 0.0) / 60), 0))


def written(at: datetime) -> str:
    """A time as a filter takes it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
