"""Looks now and then which items a platform still has, where it says of none that it was deleted.

    async def listed(since, place):          ids alone, as cheap as the platform has them
        params = {"created": f">={since.isoformat()}", "fields": "id", "token": place}
        async for answer in paging.by_token(...):
            yield [item["id"] for item in answer.items], answer.find("next")
    day = timedelta(days=1)
    async for page in swept(client, cursor, {Run: "queued_at"}, listed, every=day, back=90 * day):
        yield page

Put it at the end of a poll: `cursor` is what the poll ends with. What is missed is deleted once several sweeps have
missed it, and never where many are missed at once (see exporter.store.sweep); both are told of.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from exporter.base.errors import Gone, NotUnderstood
from exporter.collect.contract import Cursor, Page
from exporter.collect.http import Client
from exporter.records import Json, Record, instant
from exporter.store.sweep import Sweep

MOST_PAGES = 100  # in one poll; the rest at the next

Listed = Callable[[datetime | None, Json], AsyncIterator[tuple[Sequence[str], Json]]]
"""Lists the ids of records from an instant on (None: all), a page at a time, from a place on (None: the beginning).
With each page goes the place of the next; None where it is the last, or the platform has no place to go on from."""


async def swept(
    client: Client,
    cursor: Cursor,
    of: Mapping[type[Record], str | None],
    listed: Listed,
    *,
    every: timedelta,
    back: timedelta | None = None,
    most: int = MOST_PAGES,
    parts: Collection[str] = (),
    doubted: bool = False,
) -> AsyncIterator[Page]:
    """The pages of a sweep, where it is time for one; the first is due `every` after the first poll.

    `of`: the types of record whose ids are listed, each with the column of the time that `since` is about; None: there
    is none, as of an inventory. `back`: how far back is listed, less than the platform keeps; None: all there is. One
    that is broken off, or longer than `most` pages, goes on at its place at the next poll.

    `parts`: names of what is listed, such as repositories. While one is out of sight that was there within `back`,
    nothing counts as missed, and that is told of. Nor does anything of a type of record whose column the config fills:
    the list is not asked for by that time. Nor does anything while it is `doubted` that all is listed.
    """
    of = {kind: by for kind, by in of.items() if not (back and by and client.fills(kind, by))}
    if not of:
        return
    sweep = Sweep(of=of, begun=client.at, since=client.at - back if back else None)
    name = f"sweep {sweep.name}"
    state = client.memory[name] or {}
    begun, ended, went_on = instant(state.get("begun")), instant(state.get("ended")), state.get("place")
    oldest = (client.at - back).isoformat() if back else ""
    known = {part: at for part, at in state.get("parts", {}).items() if at > oldest}
    seen, away = {"parts": {**known, **dict.fromkeys(parts, client.at.isoformat())}}, sorted(known.keys() - set(parts))
    if away:
        client.lacking["deletions"] = f"{away[0]} is out of sight; nothing counts as deleted meanwhile"
    doubted = bool(away or doubted or state.get("doubted"))
    if begun is not None:
        sweep = Sweep(of=of, begun=begun, since=instant(state.get("since")))
    elif ended is None or ended > client.at:
        client.memory[name] = {"ended": client.at.isoformat(), **seen}
        yield Page([], cursor)
        return
    elif client.at < ended + every:
        return
    under_way = {"begun": sweep.begun.isoformat(), "since": sweep.since and sweep.since.isoformat(), "doubted": doubted}
    pages, place = 0, None
    try:
        async for ids, place in listed(sweep.since, went_on):
            pages += 1
            client.memory[name] = under_way | {"place": place, **seen}
            yield Page([], cursor, sweep=None if doubted else sweep.part(ids))
            if pages >= most and place is not None:
                return
    except (NotUnderstood, Gone):
        if went_on is not None:  # perhaps there is no such place any more: it begins anew at the next poll
            client.memory[name] = {"ended": (client.at - every).isoformat(), **seen}
            yield Page([], cursor)
        raise
    if place is not None:
        raise NotUnderstood(f"the list of all {sweep.name} ended before its last page")
    client.memory[name] = {"ended": client.at.isoformat(), **seen}
    yield Page([], cursor, sweep=None if doubted else sweep.part((), ended=True))
