"""Zendesk: the lists beside the exports: what things are called, and what has been open for long."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from exporter.collect import paging
from exporter.collect.http import Answer, Client, Forbidden
from exporter.collect.query import Query
from exporter.connectors.zendesk.mapping import AI_AGENT, place_of
from exporter.connectors.zendesk.preflight import BACK, EXPORT
from exporter.records import Json
from exporter.records.unreadable import ODD

SEARCH = "/api/v2/search/export"
PLACES = "places of AI agents"  # in the memory
SHOW = "/api/v2/tickets/show_many"
AT_ONCE = 100  # of a page, and ids in one question
LISTS = {"group": "groups", "brand": "brands", "ticket_form": "ticket_forms"}
"""What a ticket names by its id -> the list with its name."""


def wanted(looked_at: Collection[str]) -> list[str]:
    """The lists of names that are read: those of brands and forms only where the config looks at them."""
    heads = {path.partition(".")[0] for path in looked_at}
    return ["groups", "ticket_fields", *(LISTS[what] for what in ("brand", "ticket_form") if what in heads)]


async def named(client: Client, lists: Sequence[str]) -> Json:
    """What groups, brands, forms and fields are called, by id; and what may not be read of it."""
    found: dict[str, dict[str, str]] = {name: {} for name in (*LISTS.values(), "ticket_fields")}
    refused = {}
    for name in lists:
        params: Query = {"exclude_deleted": "false"} if name == "groups" else {}
        try:
            found[name] = {
                str(each.get("id")): str(each.get("title") or each.get("name"))
                async for page in listed(client, f"/api/v2/{name}", params, name)
                for each in page.items
                if isinstance(each, dict)
            }
        except Forbidden as error:
            refused[name] = str(error)
    return {"names": found, "refused": refused}


async def open_for_long(client: Client, side_loads: str) -> AsyncIterator[Answer]:
    """Tickets that are not solved and have not changed since the history began: they are in no export of it."""
    day = client.since + timedelta(days=1)  # days are those of the account's time zone
    params = {"query": f"status<solved updated<{day:%Y-%m-%d}", "filter[type]": "ticket"}
    async for page in listed(client, SEARCH, params, "results"):
        ids = [str(each["id"]) for each in page.items if isinstance(each, dict) and type(each.get("id")) is int]
        if ids:
            answer = await client.ask(SHOW, {"ids": ",".join(ids), "include": side_loads})
            yield replace(answer, items=answer.listed("tickets"))


async def first_of_ai_agents(client: Client) -> dict[str, str]:
    """Where AI agents answer, from their first tickets: in the export of all tickets these may come after others."""
    start = int(min(client.since, client.at - BACK).timestamp())
    params: Query = {"support_type_scope": "ai_agent", "start_time": start, "per_page": AT_ONCE}
    return earliest({}, (await client.ask(EXPORT, params)).listed("tickets"))


def earliest(known: Mapping[str, str], tickets: Sequence[Json]) -> dict[str, str]:
    """Where AI agents answer -> when the first conversation was opened that is known to have had one there alone."""
    found = dict(known)
    for each in tickets:
        with suppress(*ODD):
            if each["support_type"] == AI_AGENT:
                place, at = place_of(each), each["created_at"]
                found[place] = min(at, found.get(place, at))
    return found


def listed(client: Client, path: str, params: Query, items: str) -> AsyncIterator[Answer]:
    return paging.by_token(
        client,
        path,
        params,
        items=items,
        next_in="meta.after_cursor",
        next_as="page[after]",
        size=AT_ONCE,
        size_as="page[size]",
        last=lambda page: page.find("meta.has_more") is not True,
    )
