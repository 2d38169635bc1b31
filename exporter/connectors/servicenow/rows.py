"""ServiceNow: how rows of its tables are asked for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from exporter.collect import paging
from exporter.collect.http import Answer, Client, NotUnderstood
from exporter.records import Json, instant
from exporter.records.unreadable import ODD

UPDATED = "sys_updated_on"
ID = "sys_id"
MOST = 10_000  # of few columns, in one answer
DAWN = "1970-01-01 00:00:00"


async def walk(
    client: Client, table: str, fields: Sequence[str], size: int, begin: str, *, also: str = "", by: str = UPDATED
) -> AsyncIterator[list[Json]]:
    """Rows from a time on, in order of it, page by page; of a second that fills a page the rest in order of their ids.

    No page is asked for by its number: rows that are changed meanwhile would shift the pages. Only where a whole page
    is hidden, as the platform leaves out what may not be seen after it has counted, the next one is.
    """

    def ask(place: tuple[str, int], size: int) -> Any:
        return client.ask(path(table), asked(place[0], fields, size, place[1]))

    pages, offset, second = paging.Pages(client, ask, "result", size), 0, ""
    query = f"{also}{by}>={begin}^ORDERBY{by}^ORDERBY{ID}"
    while True:
        answer = await pages.at((query, offset))
        rows, more = sound(client, answer, by), "next" in answer.links
        times = [row[by] for row in rows]
        if times != sorted(times) or any(time < begin or time != (second or time) for time in times):
            raise NotUnderstood(
                f"{answer.where}: the rows are not those asked for, or not in the order asked for; the user must pass"
                f" the ACLs query_range and query_match on {by} and {ID} of {table}"
            )
        if rows:
            yield rows
        if rows and times[0] == times[-1] and more:
            begin = second = times[-1]
            query, offset = f"{also}{by}={second}^{ID}>{rows[-1][ID]}^ORDERBY{ID}", 0
        elif rows and more:
            begin = times[-1]
            query, offset = f"{also}{by}>={begin}^ORDERBY{by}^ORDERBY{ID}", 0
        elif more:
            offset += pages.size
        elif second:
            query, offset, second = f"{also}{by}>{second}^ORDERBY{by}^ORDERBY{ID}", 0, ""
        else:
            return


def sound(client: Client, answer: Answer, by: str) -> list[Json]:
    """The rows that have an id and a time; others are left out and told of."""
    found = [row for row in answer.items if has_place(row, by)]
    if answer.items and not found:
        raise NotUnderstood(f"{answer.where}: no row has {ID} and {by}; the user must be allowed to read these columns")
    client.each((row for row in answer.items if not has_place(row, by)), no_place)
    return found


def has_place(row: Json, by: str) -> bool:
    with suppress(*ODD):
        return bool(row[ID]) and isinstance(row[ID], str) and bool(instant(row[by], UTC)) and len(row[by]) == len(DAWN)
    return False


def no_place(_row: Json) -> None:
    raise ValueError("no id, or no time of its last change")


async def listed(client: Client, query: str, table: str, after: str) -> AsyncIterator[tuple[list[str], str | None]]:
    """The ids of the rows that a query finds, in order of them, and after which to go on; None: there are no more."""
    offset, more = 0, True
    while more:
        rest = f"{ID}>{after}^" if after else ""
        answer = await client.ask(path(table), asked(f"{query}{rest}ORDERBY{ID}", (ID,), MOST, offset))
        found = [row[ID] for row in answer.listed("result") if isinstance(row, dict) and isinstance(row.get(ID), str)]
        more = not is_last(answer)
        offset, after = (0, found[-1]) if found else (offset + MOST, after)
        yield found, after if more else None


def is_last(page: Answer) -> bool:
    """Whether no page follows. A short one may be followed by others: what may not be seen is left out afterwards."""
    return "next" not in page.links


def path(table: str) -> str:
    return f"/api/now/v2/table/{table}"


def asked(query: str, fields: Sequence[str], size: int = MOST, offset: int = 0) -> dict[str, str | int]:
    """A question for rows: values as they are stored."""
    return {
        "sysparm_query": query,
        "sysparm_fields": ",".join(dict.fromkeys(",".join(fields).split(","))),
        "sysparm_limit": size,
        "sysparm_offset": offset,
        "sysparm_display_value": "false",
        "sysparm_exclude_reference_link": "true",
    }


def written(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
