"""REST: any list of an API that speaks JSON; the config says how it is asked, and which field is which column.

API      Whatever answers GET, or a POST that only searches, with JSON. Credentials: a bearer token (token_file), a key
         in a header of its own (api_key_file and header), user and password, or tokens that are obtained (auth).
Access   A user or client that may read the list and nothing else. If the API wants another word than Bearer before its
         token, write word and token to the file of api_key_file, and set header: Authorization.
Polls    One list, page by page: by page number, offset, token, header Link or the next address. With `since` only what
         is new or changed, either by sending the time (or id) of the last poll, less an overlap, or by reading a list
         that is newest first down to there. Without `since` the whole list, at every poll.
Cursor   changed, recent: as of exporter.collect.changes, if `since` names a time. recent: the highest ids, if it names
         id.
Blind    Details that only an answer about a single item has. Changes of items that the list no longer brings, such as
         those older than the overlap if it is asked by the time of creation. Deleted items, unless the list holds all
         there are (`absent: deleted`). Items that move within the list while its pages are read by number or offset: if
         you can, sort by id or time of creation.
Checked  A fake that pages in each of these ways, and refuses what it does not know.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta

from exporter import records
from exporter.collect.contract import Cursor, Page
from exporter.collect.finding import Finding, look
from exporter.collect.http import Answer, Client
from exporter.connectors.rest.mapping import reading
from exporter.connectors.rest.options import Options as Options
from exporter.connectors.rest.options import Since
from exporter.connectors.rest.pages import pages
from exporter.connectors.rest.place import place_of
from exporter.records import Read

RECORDS = tuple(records.RECORDS.values())
LOOKED_BACK = timedelta(days=7)
UNHEEDED = timedelta(days=1)  # an item older than asked for by more than that shows that nobody heeds the question


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    place, read = place_of(client, options, cursor), reading(options)
    async with aclosing(pages(client, options.paging, options.question(place.since))) as answers:
        async for answer in answers:
            reads = await client.mapped(answer.items, read)
            place.saw(reads)
            # The cursor stays put until every page is stored: dying half-way reads again, never skips.
            yield Page(reads, cursor, sweep=place.listed(answer.items, read))
            if place.passed(answer, reads):
                break
    place.check()
    yield Page([], place.to_cursor(), sweep=place.ended())


async def check(client: Client, options: Options) -> list[Finding]:
    """The first page, and whether the API heeds the time that it is asked from."""
    since = place_of(client, options, {}).since
    first, findings = await look("list", first_page(client, options, since), needs="the right to read this list")
    if first is not None:
        findings = [Finding("list", f"the first page is read: {len(first.items):,} items")]
        if options.since and options.since.by_time and options.since.order == "any":
            findings.append(await heeded(client, options, options.since))
    return findings


async def heeded(client: Client, options: Options, since: Since) -> Finding:
    """Whether the first page brings only what is new, when it is asked for that."""
    at = client.at - LOOKED_BACK
    page = await first_page(client, options, since.written(at, options.notation))
    times = [time_of(each, since) for each in await client.mapped(page.items, reading(options))]
    old = [each for each in times if each and each < at - UNHEEDED]
    if not old:
        return Finding("since", "what is older than asked for is not in the first page")
    text = f"asked for what is new since {at:%Y-%m-%d}, the API brings items of {min(old):%Y-%m-%d}; does it know this"
    return Finding("since", f"{text} parameter, and since.format?", wrong=True)


def time_of(read: Read, since: Since) -> datetime | None:
    found: datetime | None = getattr(read.record, since.column)
    return found


async def first_page(client: Client, options: Options, since: str | int) -> Answer:
    async with aclosing(pages(client, options.paging, options.question(since))) as answers:
        return await anext(answers)
