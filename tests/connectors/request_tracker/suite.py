"""Request Tracker for the contract suite: tickets that were answered, escalated, opened again, rejected, left."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from exporter.collect.http import Auth
from exporter.connectors.request_tracker import Options
from exporter.demo.fakes.request_tracker import RequestTracker
from tests.connectors.world import AT, World


def instance() -> RequestTracker:
    """Eighteen tickets in the month before AT; ids from 1."""
    tracker, began = RequestTracker(queues=["General", "Support", "IT"]), AT - timedelta(days=30)
    for number in range(18):
        at, asker = began + timedelta(days=number), f"user{number % 5}@customer.test"
        ticket = tracker.create("Support", asker, at, due=at + timedelta(hours=8), fields={"Channel": ["web"]})
        agent = ("alice", "bob", "autobot")[number % 3]
        if number == 17:
            continue  # nobody has looked at it
        tracker.reply(ticket, agent, at + timedelta(minutes=30), minutes=5)
        if number % 6 == 2:
            tracker.move(ticket, "IT", "alice", at + timedelta(minutes=45))
            tracker.reply(ticket, "bob", at + timedelta(hours=1))
        tracker.set_status(ticket, "resolved", agent, at + timedelta(hours=2))
        if number % 6 == 3:
            tracker.reply(ticket, asker, at + timedelta(hours=3))
            tracker.set_status(ticket, "resolved", agent, at + timedelta(hours=4))
    rejected = tracker.create("Support", "user9@customer.test", AT - timedelta(days=2))
    tracker.set_status(rejected, "rejected", "alice", AT - timedelta(days=1))
    return tracker


def world(_folder: Path) -> World:
    tracker = instance()

    def unknown_word() -> str:
        tracker.tickets[4].status = "pondering"
        tracker.tickets[4].updated = AT - timedelta(days=1)
        return "4"

    def missing_time() -> str:
        tracker.tickets[4].created = None
        return "4"

    def delete() -> str:
        tracker.set_status(18, "deleted", "root", AT)
        return "18"

    def work(at: datetime) -> str:
        ticket = tracker.create("Support", "user1@customer.test", at)
        tracker.set_status(ticket, "resolved", "alice", at)
        return str(ticket)

    def absurd() -> Callable[[], None]:
        tracker.last_transaction, kept = 2**53, tracker.last_transaction
        tracker.comment(1, "alice", AT)
        far, tracker.last_transaction = tracker.last_transaction, kept
        return lambda: tracker.transactions.__delitem__(far)

    def start_over() -> set[str]:
        tracker.tickets.clear()
        tracker.transactions.clear()
        tracker.last_ticket, tracker.last_transaction = 5, 50
        return {work(AT + timedelta(minutes=minute)) for minute in range(7)}

    return World(
        app=tracker.app("/rt"),
        options=Options(page_size=5, overlap=20, bots=("autobot",)),
        auth=Auth("Authorization", f"token {tracker.token}"),
        path="/rt",
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        about_one=("5", lambda request: bool(re.search(r"ObjectId = 5\b", request.query.get("query", "")))),
        place="Request Tracker's lists are asked for by id",
        zone=lambda zone: setattr(tracker, "zone", zone),
        quiet_requests=6,
    )
