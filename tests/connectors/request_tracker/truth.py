"""What tickets of Request Tracker are: items as its REST 2 writes them, and the records they must become."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.demo.fakes.request_tracker import SYSTEM, RequestTracker
from exporter.demo.fakes.request_tracker_rows import Ticket, Transaction
from exporter.records import Request
from exporter.records.columns import Rule
from tests.connectors.truth import HOST, NO_TIME, Truth, hashed, rewritten

ENUMS = "Request Tracker publishes no description of its API, and each instance may have statuses of its own"
TECHNICAL = {"page_size", "overlap"}

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
ASKER = "anna@customer.test"
Act = tuple[int, str, str, str, str]
"""Minute, user, type of transaction, and for a change what was before and after."""


def at(minute: int) -> datetime:
    """A minute after a ticket was created."""
    return NOON + timedelta(minutes=minute)


def changed(minute: int, who: str, old: str, new: str) -> Act:
    return minute, who, "Status", old, new


def moved(minute: int, who: str, old: str, new: str) -> Act:
    return minute, who, "Set", old, new


def said(minute: int, who: str, kind: str = "Correspond") -> Act:
    return minute, who, kind, "", ""


def ticket(number: int, status: str, *acts: Act, **columns: Any) -> tuple[Ticket, Sequence[Act]]:
    """A ticket of noon, with the end that RT keeps even of one that is open again, and what was done with it."""
    usual = {"queue": "Support", "requestors": [ASKER], "creator": ASKER, "created": NOON, "updated": at(50)}
    return Ticket(id=number, status=status, **{**usual, "resolved": at(40), **columns}), acts


def truth(
    what: str, tickets: Sequence[tuple[Ticket, Sequence[Act]]], records: Sequence[Request], **others: Any
) -> Truth:
    tracker = RequestTracker(queues=["General", "Support", "IT", "Sales", "Bob's \\ Desk"])
    for each, acts in tickets:
        tracker.tickets[each.id] = each
        for minute, who, kind, old, new in ((0, each.creator, "Create", "", ""), *acts):
            tracker.last_transaction += 1
            key, column = tracker.last_transaction, {"Status": "Status", "Set": "Queue"}.get(kind, "")
            tracker.transactions[key] = Transaction(key, each.id, kind, who, at(minute), column, old, new)
    app = tracker.app("/rt")
    return Truth(what=what, app=app, secret=("token", tracker.token), path="/rt", records=records, **others)


def request(number: int, outcome: str = "resolved", **columns: Any) -> Request:
    """A ticket that was resolved at once and by nobody, but for what is said of it."""
    ended = outcome != "open"
    usual = {
        "url": f"{HOST}/rt/Ticket/Display.html?id={number}",
        "kind": "ticket",
        "opened_at": NOON,
        "updated_at": at(50),
        "resolved_at": at(40) if outcome == "resolved" else None,
        "abandoned_at": at(40) if outcome == "abandoned" else None,
        "closed_at": at(40) if ended else None,
        "on_hold_seconds": 0.0 if ended else None,
        "outcome": outcome,
        "priority": "0",
        "requester": hashed(ASKER),
        "reopen_count": 0,
        "replies": 0,
    }
    return Request(id=str(number), **{**usual, **columns})


def truths(_folder: Path) -> Iterator[Truth]:
    yield statuses()
    yield statuses_of_another_lifecycle()
    yield handlers()
    yield escalations()
    yield escalations_to_named_queues()
    yield times_on_hold()
    yield times_on_hold_in_other_statuses()
    yield work_and_deadlines()
    yield wanted_queues()
    yield what_is_mapped()
    yield what_cannot_be_read()


def statuses() -> Truth:
    words = {"new": "open", "open": "open", "stalled": "open", "resolved": "resolved", "rejected": "abandoned"}
    tickets = [ticket(number, word) for number, word in enumerate(words, 1)]
    ends = [request(number, outcome) for number, outcome in enumerate(words.values(), 1)]
    more = [
        ticket(6, "open", changed(5, ASKER, "resolved", "open"), changed(9, ASKER, "rejected", "open")),
        ticket(7, "resolved", changed(5, ASKER, "resolved", "rejected"), changed(9, ASKER, "open", "stalled")),
    ]
    again = [request(6, "open", reopen_count=2), request(7, on_hold_seconds=None)]
    return truth("every status", [*tickets, *more], [*ends, *again])


def statuses_of_another_lifecycle() -> Truth:
    words = {"answered": "resolved", "left": "abandoned", "spam": "discarded", "triage": "open", "resolved": "open"}
    tickets = [ticket(number, word) for number, word in enumerate(words, 1)]
    tickets += [ticket(6, "triage", changed(5, ASKER, "spam", "triage"), changed(6, ASKER, "answered", "left"))]
    ends = [request(number, outcome) for number, outcome in enumerate(words.values(), 1)]
    return truth(
        "statuses of another lifecycle",
        tickets,
        [*ends, request(6, "open", reopen_count=1)],
        options={"statuses": words},
    )


def handlers() -> Truth:
    """Who did the work: a person by any act, a bot by speaking or closing, RT itself only by closing."""
    closed = changed(39, ASKER, "new", "resolved")
    cases: list[tuple[list[Act], dict[str, Any]]] = [
        ([], {}),
        ([closed], {}),
        ([said(5, ASKER), closed], {}),  # a customer's own reply is no answer
        ([said(5, SYSTEM), closed], {}),
        ([said(5, "bob"), closed], answered(5, "human", by_itself=False)),
        ([said(5, "bob", "Comment"), closed], {"handled_by": "human"}),
        ([moved(5, "bob", "3", "3"), closed], {"handled_by": "human", "escalated_at": at(5)}),
        ([said(5, "bot"), said(6, "bob"), closed], answered(5, "assisted", replies=2, by_itself=True)),
        ([said(5, "bob"), said(6, "bot"), closed], answered(5, "assisted", replies=2, by_itself=False)),
        ([said(5, "bot", "Comment"), said(6, "bob"), closed], answered(6, "assisted", by_itself=False)),
        ([said(5, "bob"), changed(39, "bot", "new", "resolved")], answered(5, "assisted", by_itself=False)),
        ([said(5, "bob"), changed(6, "bot", "new", "open"), changed(39, "bob", "open", "resolved")],
         answered(5, "human", by_itself=False)),
        ([said(5, "bot"), closed], answered(5, "automation", by_itself=True)),
        ([said(5, "bot", "Comment"), closed], {"handled_by": "automation", "human_seconds": 0.0, "self_service": True}),
        ([changed(39, "bot", "new", "resolved")],
         {"handled_by": "automation", "human_seconds": 0.0, "self_service": True}),
        ([changed(39, SYSTEM, "new", "resolved")],
         {"handled_by": "automation", "human_seconds": 0.0, "self_service": True}),
        ([changed(5, "bot", "new", "open"), changed(39, ASKER, "open", "resolved")], {}),  # it only sorts
        ([changed(5, "bot", "new", "parked"), changed(39, ASKER, "parked", "resolved")], {}),  # nobody knows that word
        ([changed(5, SYSTEM, "new", "resolved"), changed(6, ASKER, "resolved", "open"),
          changed(39, ASKER, "open", "resolved")], {"reopen_count": 1}),
    ]  # fmt: skip
    tickets = [ticket(number, "resolved", *acts) for number, (acts, _) in enumerate(cases, 1)]
    records = [request(number, **columns) for number, (_, columns) in enumerate(cases, 1)]
    return truth("who handled it", tickets, records, options={"bots": ("bot",)})


def answered(minute: int, handler: str, *, by_itself: bool, replies: int = 1) -> dict[str, Any]:
    work = {"human_seconds": 0.0} if handler == "automation" else {}
    return {
        "first_response_at": at(minute),
        "handled_by": handler,
        "self_service": by_itself,
        "replies": replies,
        **work,
    }


def escalations() -> Truth:
    """Every move to another queue is one, and the first counts."""
    acts = [moved(7, "bob", "2", "3"), moved(9, "bob", "3", "4")]
    return truth(
        "escalations",
        [ticket(1, "resolved", *acts), ticket(2, "resolved")],
        [request(1, escalated_at=at(7), handled_by="human"), request(2)],
    )


def escalations_to_named_queues() -> Truth:
    acts = [moved(7, "bob", "2", "3"), moved(9, "bob", "3", "4")]
    return truth(
        "escalations to named queues only",
        [ticket(1, "resolved", *acts), ticket(2, "resolved", acts[0])],
        [request(1, escalated_at=at(9), handled_by="human"), request(2, handled_by="human")],
        options={"escalation_queues": ("Sales",)},
    )


def on_hold() -> list[tuple[Ticket, Sequence[Act]]]:
    """Stalled for five minutes and then for three more; then until after it had been resolved; a change is missing."""
    closed = changed(40, ASKER, "open", "resolved")
    return [
        ticket(1, "resolved", changed(2, ASKER, "new", "stalled"), changed(7, ASKER, "stalled", "open"),
               changed(20, ASKER, "open", "stalled"), changed(23, ASKER, "stalled", "open"), closed),
        ticket(2, "resolved", changed(30, ASKER, "stalled", "open"), closed),
        ticket(3, "resolved", changed(31, ASKER, "new", "stalled"), changed(45, ASKER, "stalled", "resolved")),
        ticket(4, "resolved", changed(2, ASKER, "new", "stalled"), closed),
        ticket(5, "resolved", changed(2, ASKER, "new", "stalled"), changed(7, ASKER, "stalled", "open")),
        ticket(6, "resolved", changed(2, ASKER, "new", "pending"), changed(3, ASKER, "pending", "resolved")),
        ticket(7, "resolved", changed(42, ASKER, "new", "stalled"), changed(45, ASKER, "stalled", "resolved")),
        ticket(8, "open", changed(2, ASKER, "new", "stalled"), changed(7, ASKER, "stalled", "open")),
        ticket(9, "resolved", changed(2, ASKER, "new", "stalled"), changed(40, ASKER, "stalled", "resolved"),
               created=None),
    ]  # fmt: skip


def times_on_hold() -> Truth:
    minutes: list[float | None] = [8, 30, 9, None, None, 0, 0, None, None]
    return truth("times on hold", on_hold(), held(minutes))


def times_on_hold_in_other_statuses() -> Truth:
    """In those that are named, which `stalled` then is not."""
    minutes: list[float | None] = [0, 0, 0, None, None, 1, 0, None, None]
    return truth("times on hold", on_hold(), held(minutes), options={"on_hold_statuses": ("pending",)})


def held(minutes: Sequence[float | None]) -> list[Request]:
    found = [
        request(number, "open" if number == 8 else "resolved", on_hold_seconds=each and each * 60.0)
        for number, each in enumerate(minutes, 1)
    ]
    found[8] = request(9, opened_at=None, on_hold_seconds=None)
    return found


def work_and_deadlines() -> Truth:
    """Minutes booked; a deadline that was met to the minute, missed by one, or is still open."""
    tickets = [
        ticket(1, "resolved", said(5, "bob"), minutes=7, due=at(40), priority=50),
        ticket(2, "rejected", minutes=7, due=at(39)),
        ticket(3, "open", minutes=0, due=at(39)),
        ticket(4, "resolved", minutes=0, resolved=None, due=at(39)),
        ticket(5, "resolved", changed(39, SYSTEM, "new", "resolved"), minutes=3),
    ]
    seven = 7 * 60.0
    records = [
        request(1, **answered(5, "human", by_itself=False), human_seconds=seven, sla_breached=False, priority="50"),
        request(2, "abandoned", human_seconds=seven, sla_breached=True),
        request(3, "open"),
        request(4, resolved_at=None, closed_at=None, on_hold_seconds=None),
        request(5, handled_by="automation", self_service=True, human_seconds=180.0),
    ]
    return truth("work and deadlines", tickets, records)


def wanted_queues() -> Truth:
    odd = "Bob's \\ Desk"  # to be quoted in a query
    tickets = [ticket(1, "resolved"), ticket(2, "resolved", queue=odd), ticket(3, "resolved", queue="General")]
    return truth("wanted queues", tickets, [request(1), request(2)], options={"queues": ("Support", odd)})


def what_is_mapped() -> Truth:
    """What the config can find in a ticket; a requestor that is a group is nobody."""
    given = truth(
        "what tickets are described by",
        [
            ticket(1, "resolved", owner="bob", sla="gold", fields={"Channel": ["web"], "Team": ["crm", "it"]}),
            ticket(2, "resolved", requestors=["everybody", "carl@customer.test"]),
            ticket(3, "resolved", requestors=[], fields={"Team": []}),
        ],
        [
            request(1, team="crm", region="gold", business_unit="Support", cohort="bob", channel="web"),
            request(2, business_unit="Support", cohort="Nobody", requester=hashed("carl@customer.test")),
            request(3, business_unit="Support", cohort="Nobody", requester=None),
        ],
        fields={
            "team": Rule(field="CustomFields.Team"),
            "channel": Rule(field="CustomFields.Channel"),
            "business_unit": Rule(field="Queue.Name"),
            "region": Rule(field="SLA"),
            "cohort": Rule(field="Owner.id"),
        },
    )

    def group(body: dict[str, Any]) -> None:
        for item in body["items"]:
            for who in item["Requestor"]:
                who["type"] = "group" if who["id"] == "everybody" else who["type"]

    assert given.app
    rewritten(given.app, "/tickets", group)
    return given


def what_cannot_be_read() -> Truth:
    """The status and the times that place a ticket cost the ticket; anything else costs itself."""
    odd: dict[str, dict[str, Any]] = {
        "1": {"Created": "n/a"},
        "2": {"Resolved": "n/a"},
        "3": {"Status": "pondering"},
        "4": {"LastUpdated": "n/a"},
        "5": {"Due": "n/a"},
        "6": {"TimeWorked": "much"},
        "7": {"TimeWorked": "", "Priority": ""},
        "8": {"Requestor": [{"id": ASKER}]},
        "9": {"CustomFields": [5]},
        "17": {"TimeWorked": "much"},
        "13": {"id": 13},
        "14": {"id": "fourteen"},
        "15": {"id": str(2**63)},
        "16": {"id": "-16"},
    }
    closed = changed(40, "bob", "stalled", "resolved")
    tickets = [ticket(number, "resolved", said(5, "bob")) for number in range(1, 17)]
    tickets[9] = ticket(10, "resolved", said(5, "bob"), closed)
    tickets[10] = ticket(11, "resolved", closed)
    tickets[11] = ticket(12, "resolved", closed)
    tickets.append(ticket(17, "resolved", changed(40, SYSTEM, "new", "resolved")))
    by_bob = answered(5, "human", by_itself=False)
    given = truth(
        "what cannot be read",
        tickets,
        [
            request(4, **by_bob, updated_at=None),
            request(5, **by_bob),
            request(6, **by_bob),
            request(7, **by_bob, priority=None),
            request(8, **by_bob, requester=None),
            request(9, **by_bob),
            request(10, reopen_count=None, replies=None, on_hold_seconds=None),
            request(11, handled_by="human", on_hold_seconds=None),
            request(12, handled_by="human", on_hold_seconds=None),
            request(13, **by_bob),
            request(17, handled_by="automation", self_service=True),
        ],
        left_out=[
            f"opened_at: {NO_TIME}",
            f"on_hold_seconds: {NO_TIME}",
            f"closed_at: {NO_TIME}",
            "outcome: 'pondering' is none of new, open, stalled, resolved, rejected",
            f"updated_at: {NO_TIME}",
            f"sla_breached: {NO_TIME}",
            *["human_seconds: cannot be read (ValueError)"] * 2,
            "requester: 'type' is missing",
            "CustomFields: has another shape than expected",
            "replies: has another shape than expected",
            f"on_hold_seconds: {NO_TIME}",
            *["item: cannot be read (ValueError)"] * 3,
        ],
    )

    def spoil(body: dict[str, Any]) -> None:
        for item in body["items"]:
            item.update(odd.get(item["id"], {}))

    def spoil_history(body: dict[str, Any]) -> None:
        for item in body["items"]:
            if item.get("Type") == "Status":
                if item["ObjectId"] == "10":
                    item["Creator"] = None
                if item["ObjectId"] == "11":
                    item["Created"] = "n/a"
                if item["ObjectId"] == "12":
                    item["Created"] = "1970-01-01T00:00:00Z"

    assert given.app
    rewritten(given.app, "/tickets", spoil)
    rewritten(given.app, "/transactions", spoil_history)
    return given
