"""The demo's Request Tracker: the fake, with what an index is to a database, because it holds thousands of tickets."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from aiohttp import web

from exporter.demo.fakes.request_tracker import RequestTracker, transaction_item
from exporter.demo.fakes.request_tracker_rows import TICKET, TRANSACTION, Transaction

OF_TICKET = re.compile(r"\bObjectId = (\d+)")
OF_ID = re.compile(r"\bid = (\d+)")
ABOVE = re.compile(r"\bid > (\d+)")


@dataclass
class IndexedTracker(RequestTracker):
    """Looks at no rows but those that a query of the connector can mean; the query itself is still asked of each."""

    by_ticket: dict[int, list[Transaction]] = field(default_factory=lambda: defaultdict(list))

    def _add(self, ticket: int, *arguments: Any, **more: Any) -> None:
        super()._add(ticket, *arguments, **more)
        self.by_ticket[ticket].append(self.transactions[self.last_transaction])

    async def _tickets(self, request: web.Request) -> web.Response:
        rows = meant(self.tickets, request.query.get("query", ""))
        return await self._search(request, rows, TICKET, lambda row: self._ticket_item(row, request), totals=True)

    async def _transactions(self, request: web.Request) -> web.Response:
        query = request.query.get("query", "")
        numbers = [int(number) for number in OF_TICKET.findall(query)]
        found = [row for number in numbers for row in self.by_ticket[number]]
        rows = sorted(found, key=lambda row: row.id) if numbers else meant(self.transactions, query)
        return await self._search(
            request, rows, TRANSACTION, lambda row: transaction_item(row, request), totals=self.superuser
        )


def meant(rows: dict[int, Any], query: str) -> list[Any]:
    """The rows, which are kept in order of their ids, without most of those that the query leaves out."""
    numbers = [int(number) for number in OF_ID.findall(query)]
    if numbers:
        return [rows[number] for number in sorted(numbers) if number in rows]
    above = max((int(number) for number in ABOVE.findall(query)), default=0)
    # The newest are at the end: going back from there is short where only they are asked for.
    newest = next(reversed(rows), 0)
    return list(islice(reversed(rows.values()), max(0, newest - above)))[::-1]
