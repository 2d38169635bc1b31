"""A fake Request Tracker: its REST 2.0 over tickets and transactions that a simulation adds to while it is served."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

from aiohttp import web

from exporter.demo.fakes.fault import Faults, Handler
from exporter.demo.fakes.request_tracker_rows import (
    API,
    TICKET,
    TRANSACTION,
    Ticket,
    Transaction,
    linked,
    ticket_fields,
    transaction_fields,
)
from exporter.demo.fakes.request_tracker_sql import BadQueryError, Column, Condition, condition

SYSTEM = "RT_System"
ACTIVE, INACTIVE = ("new", "open", "stalled"), ("resolved", "rejected", "deleted")


@dataclass
class RequestTracker:
    """One instance, as one API user sees it.

    `release`: 5.0.3 answers nothing past the last page and names no next page where it gives no total; 5.0.8 answers
    the last page again and finds out whether there is a next one.
    """

    token: str = "1-14-token"  # noqa: S105 - made up
    users: dict[str, str] = field(default_factory=lambda: {"exporter": "password"})
    release: Literal["5.0.3", "5.0.8"] = "5.0.3"
    superuser: bool = False  # only such a user gets the total of transactions
    sees: set[str] | None = None  # queues; None: all
    sees_comments: bool = True
    sees_queues: bool = True  # their names
    zone: tzinfo = UTC  # of the API user: how dates in a query are read
    queues: list[str] = field(default_factory=lambda: ["General"])
    tickets: dict[int, Ticket] = field(default_factory=dict)
    transactions: dict[int, Transaction] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    last_ticket: int = 0
    last_transaction: int = 50

    def create(
        self,
        queue: str,
        requestor: str,
        at: datetime,
        *,
        by: str = "",
        priority: int = 0,
        due: datetime | None = None,
        fields: Mapping[str, Sequence[str]] | None = None,
    ) -> int:
        """A new ticket, by e-mail of the requestor or entered by somebody; its id."""
        if queue not in self.queues:
            self.queues.append(queue)
        self.last_ticket += 1
        values = {name: list(value) for name, value in (fields or {}).items()}
        ticket = Ticket(self.last_ticket, queue, [requestor], by or requestor, at, at, priority=priority, due=due)
        ticket.fields = values
        self.tickets[ticket.id] = ticket
        self._add(ticket.id, "Create", ticket.creator, at)
        self._add(ticket.id, "EmailRecord", SYSTEM, at)
        return ticket.id

    def reply(self, ticket: int, who: str, at: datetime, *, minutes: int = 0) -> None:
        """Correspondence: from staff it opens a new ticket, from the requestor also a resolved one."""
        self._add(ticket, "Correspond", who, at, minutes=minutes)
        self._add(ticket, "EmailRecord", SYSTEM, at)
        status, asked = self.tickets[ticket].status, who in self.tickets[ticket].requestors
        if (status == "new" and not asked) or (status in ("resolved", "stalled") and asked):
            self.set_status(ticket, "open", SYSTEM, at)

    def comment(self, ticket: int, who: str, at: datetime, *, minutes: int = 0) -> None:
        self._add(ticket, "Comment", who, at, minutes=minutes)

    def set_status(self, ticket: int, status: str, who: str, at: datetime) -> None:
        """ "resolved", "open" again, "rejected", "deleted" ..."""
        found = self.tickets[ticket]
        self._add(ticket, "Status", who, at, "Status", found.status, status)
        if status in INACTIVE and found.status not in INACTIVE:
            found.resolved = at
        found.status = status

    def move(self, ticket: int, queue: str, who: str, at: datetime) -> None:
        if queue not in self.queues:
            self.queues.append(queue)
        found = self.tickets[ticket]
        self._add(ticket, "Set", who, at, "Queue", self._queue_id(found.queue), self._queue_id(queue))
        found.queue = queue

    def set_field(self, ticket: int, name: str, value: str, who: str, at: datetime) -> None:
        """A custom field, such as what a survey was answered with."""
        old = "".join(self.tickets[ticket].fields.get(name, []))
        self._add(ticket, "CustomField", who, at, name, old, value)
        self.tickets[ticket].fields[name] = [value]

    def merge(self, ticket: int, into: int, who: str, at: datetime) -> None:
        """Both tickets are told; the first is found by no search any more."""
        for each in (ticket, into):
            self._add(each, "AddLink", who, at, "MergedInto", new=f"fsck.com-rt://example.test/ticket/{into}")
        self.tickets[ticket].merged_into = into
        self.tickets[into].requestors += self.tickets[ticket].requestors

    def shred(self, ticket: int) -> None:
        """The ticket never was."""
        del self.tickets[ticket]
        self.transactions = {key: each for key, each in self.transactions.items() if each.ticket != ticket}

    def _add(
        self,
        ticket: int,
        kind: str,
        who: str,
        at: datetime,
        name: str = "",
        old: str = "",
        new: str = "",
        *,
        minutes: int = 0,
    ) -> None:
        self.last_transaction += 1
        key = self.last_transaction
        self.transactions[key] = Transaction(key, ticket, kind, who, at, name, old, new, minutes)
        self.tickets[ticket].updated = at
        self.tickets[ticket].minutes += minutes

    def app(self, path: str = "") -> web.Application:
        """The server, below a path where $WebPath is set."""
        app = web.Application(middlewares=[self.faults.middleware(), self._authenticated])
        for method in ("GET", "POST"):
            app.router.add_route(method, f"{path}{API}/tickets", self._tickets)
            app.router.add_route(method, f"{path}{API}/transactions", self._transactions)
        app.router.add_get(f"{path}{API}/ticket/{{id}}", self._ticket)
        app.router.add_get(f"{path}{API}/queue/{{name}}", self._queue)
        app.router.add_get(f"{path}{API}/rt", self._version)
        return app

    @property
    def _authenticated(self) -> Any:
        @web.middleware
        async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
            basic = {base64.b64encode(f"{u}:{p}".encode()).decode() for u, p in self.users.items()}
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            if (scheme == "token" and given == self.token) or (scheme == "Basic" and given in basic):
                return await handler(request)
            if "Mozilla" in request.headers.get("User-Agent", "") or "Cookie" in request.headers:
                return web.Response(status=302, headers={"Location": "/"})
            return message(401, "Unauthorized")

        return authenticated

    async def _tickets(self, request: web.Request) -> web.Response:
        rows = [
            ticket
            for ticket in self.tickets.values()
            if ticket.status != "deleted" and ticket.merged_into is None and self._visible(ticket)
        ]
        return await self._search(request, rows, TICKET, lambda row: self._ticket_item(row, request), totals=True)

    async def _transactions(self, request: web.Request) -> web.Response:
        rows = [row for _, row in sorted(self.transactions.items()) if self._visible(self.tickets[row.ticket])]
        return await self._search(
            request, rows, TRANSACTION, lambda row: transaction_item(row, request), totals=self.superuser
        )

    def _visible(self, ticket: Ticket) -> bool:
        return self.sees is None or ticket.queue in self.sees

    async def _search(
        self,
        request: web.Request,
        rows: Iterable[Any],
        columns: Mapping[str, Column],
        item: Callable[[Any], dict[str, Any]],
        *,
        totals: bool,
    ) -> web.Response:
        given = {**request.query, **(await request.post())}
        words = {"__Active__": ACTIVE, "__Inactive__": INACTIVE}
        try:
            text = str(given.get("query", ""))
            holds: Condition = condition(text, columns, words, self.zone) if text else lambda _: False
        except (BadQueryError, ValueError) as error:
            return message(400, f"{error} at /usr/share/request-tracker5/lib/RT/Tickets.pm line 3187.\n")
        found = [row for row in rows if holds(row)]
        if "orderby" in given:
            key = columns[str(given["orderby"])].value
            found.sort(key=key, reverse=str(given.get("order", "")).upper() == "DESC")
        per_page, number = min(whole(given.get("per_page"), 20), 100), whole(given.get("page"), 1)
        pages = -(-len(found) // per_page)
        if self.release == "5.0.8" and totals:
            number = max(1, min(number, pages))
        shown = [row for row in found[(number - 1) * per_page : number * per_page] if self._may_show(row)]
        answer: dict[str, Any] = {
            "count": len(shown),
            "page": number,
            "per_page": per_page,
            "pages": (pages or 0.0) if totals else None,
            "total": len(found) if totals else None,
            "items": [item(row) for row in shown],
        }
        if number < pages and (totals or self.release == "5.0.8"):
            answer["next_page"] = str(request.url.update_query({"page": str(number + 1)}))
        return web.json_response(answer)

    def _may_show(self, row: Any) -> bool:
        return self.sees_comments or not isinstance(row, Transaction) or row.kind != "Comment"

    def _ticket_item(self, ticket: Ticket, request: web.Request) -> dict[str, Any]:
        queue = {"Name": ticket.queue if self.sees_queues else "", "Lifecycle": "default"}
        wanted = request.query.get("fields[Queue]", "").split(",")
        queue = {name: queue.get(name, "") for name in wanted if name}
        item = linked(base(request), "ticket", str(ticket.id))
        return item | asked(request, ticket_fields(ticket, base(request), queue, self._queue_id(ticket.queue)))

    def _queue_id(self, name: str) -> str:
        return str(self.queues.index(name) + 1)

    async def _ticket(self, request: web.Request) -> web.Response:
        """One ticket; of a merged one the ticket it became part of. Deleted ones can be read."""
        key = request.match_info["id"]
        found = self.tickets.get(int(key)) if key.isdecimal() else None
        if found and found.merged_into:
            found = self.tickets[found.merged_into]
        if found is None:
            return message(404, "Not Found")
        if not self._visible(found):
            return message(403, "Forbidden")
        fields = ticket_fields(found, base(request), {}, self._queue_id(found.queue))
        return web.json_response({"id": found.id, **fields})

    async def _queue(self, request: web.Request) -> web.Response:
        """One queue, by name or id."""
        name = request.match_info["name"]
        if name.isdecimal() and 0 < int(name) <= len(self.queues):
            name = self.queues[int(name) - 1]
        if name not in self.queues:
            return message(404, "Not Found")
        if self.sees is not None and name not in self.sees:
            return message(403, "Forbidden")
        return web.json_response({"id": int(self._queue_id(name)), "Name": name, "Lifecycle": "default"})

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"Version": self.release})


def transaction_item(row: Transaction, request: web.Request) -> dict[str, Any]:
    item = linked(base(request), "transaction", str(row.id))
    return item | asked(request, transaction_fields(row, base(request)))


def asked(request: web.Request, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Only what was asked for is given; "" stands for what is not known or may not be seen."""
    return {name: fields.get(name, "") for name in request.query.get("fields", "").split(",") if name}


def base(request: web.Request) -> str:
    return str(request.url.origin()) + request.path.partition(API)[0]


def whole(text: Any, otherwise: int) -> int:
    """RT takes nonsense and 0 for the usual."""
    return int(text) if str(text).isdecimal() and int(text) else otherwise


def message(status: int, text: str) -> web.Response:
    return web.json_response({"message": text}, status=status)
