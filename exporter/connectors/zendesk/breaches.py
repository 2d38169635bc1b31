"""Zendesk: which tickets missed a target of an SLA policy, from the events of their metrics."""

from collections.abc import AsyncIterator, Awaitable

from exporter.collect import paging
from exporter.collect.http import Answer, Client
from exporter.connectors.zendesk.preflight import BACK, EVENTS
from exporter.records import Json
from exporter.records.unreadable import ITEM, Fault, LeftOut

NAME = "breaches"
FORGOTTEN = "breaches forgotten"
MOST_KNOWN = 20_000  # tickets with breaches


class Breaches:
    """The breaches known, by ticket: event -> time. One that lies ahead is withdrawn where its target is met."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.by_ticket: dict[str, dict[str, str]] = dict(client.memory[NAME] or {})
        self.forgotten: int = client.memory[FORGOTTEN] or 0  # of tickets up to this id breaches may be forgotten

    async def read(self, mark: int | None) -> AsyncIterator[int]:
        """Reads the events since a time, page by page; how far it is. Pages overlap by a second."""
        latest = int((self.client.at - BACK).timestamp())
        start = min(int(self.client.since.timestamp()) if mark is None else mark, latest)
        pages = paging.Pages(self.client, self.page, "ticket_metric_events", smaller=False)
        more = True
        while more:
            answer = await pages.at(start)
            for each in answer.items:
                self.saw(each)
            self.remember()
            end, more = answer.find("end_time"), not is_last(answer)
            if more and not (type(end) is int and end > start):
                text = f"the platform shows no more than {len(answer.items):,} events of one second"
                self.client.leave_out(LeftOut(f"events of {start}", "", (Fault(ITEM, "out_of_bounds", text),)))
                end = start + 1
            start = max(start, end) if type(end) is int else start
            pages.before = []  # all of the next page may stand at the border
            yield min(start, latest)

    def remember(self) -> None:
        """For the next polls, the tickets that missed a target last. In this poll the others are known, too."""
        self.client.memory[NAME] = dict([*self.by_ticket.items()][-MOST_KNOWN:])
        beyond = [int(key) for key in [*self.by_ticket][:-MOST_KNOWN] if key.isdecimal()]
        self.client.memory[FORGOTTEN] = max([self.client.memory[FORGOTTEN] or 0, *beyond])

    def page(self, start: int, _size: int) -> Awaitable[Answer]:
        return self.client.ask(EVENTS, {"start_time": start, "include_changes": "true"})

    def saw(self, event: Json) -> None:
        if isinstance(event, dict) and event.get("type") == "breach":
            ticket, key, known = str(event.get("ticket_id")), str(event.get("id")), dict[str, str]()
            known |= self.by_ticket.pop(ticket, {})
            known.pop(key, None)
            if not event.get("deleted"):
                known[key] = str(event.get("time"))
            if known:
                self.by_ticket[ticket] = known

    def of(self, ticket: int) -> list[str] | None:
        """When targets of a ticket were, or will be, missed; None where that may have been forgotten."""
        if str(ticket) not in self.by_ticket and ticket <= self.forgotten:
            return None
        return [*self.by_ticket.get(str(ticket), {}).values()]


def is_last(page: Answer) -> bool:
    """Whether an export ends with a page. An empty one may be followed by others."""
    return page.find("end_of_stream") is not False
