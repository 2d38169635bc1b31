"""Zendesk for the contract suite: tickets answered, merged, opened again, left to the AI agent, or deleted."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from exporter.collect.http import Auth
from exporter.connectors.zendesk import Options
from exporter.demo.fakes.zendesk import Zendesk
from tests.connectors.world import AT, World

BEGAN = AT - timedelta(days=30)
MINUTE = timedelta(minutes=1)
FIFTH = 105


def account() -> Zendesk:
    """Eighteen tickets and conversations in the month before AT; ids from 101."""
    zendesk = Zendesk(clock=lambda: AT + timedelta(days=2))
    for number in range(18):
        at, asker = BEGAN + timedelta(days=number), f"user{number % 5}"
        if number % 6 == 3:
            chat = zendesk.converse(asker, at)
            if number % 4 == 1:
                zendesk.hand_over(chat, "Support", at + 2 * MINUTE)
            else:
                zendesk.close(chat, at + 9 * MINUTE)
                continue
        else:
            chat = zendesk.open(asker, at, group="Support", priority="normal", type="question")
        if number == 17:
            continue  # nobody has looked at it
        zendesk.move(chat, "pending", at + 5 * MINUTE)
        zendesk.solve(chat, ("alice", "bot")[number % 2], at + 60 * MINUTE)
        if number == 7:
            zendesk.move(chat, "open", at + 70 * MINUTE)
            zendesk.solve(chat, "alice", at + 90 * MINUTE)
        if number % 3 == 1:
            zendesk.close(chat, at + timedelta(days=4))
        if number == 8:
            zendesk.merge(zendesk.open(asker, at), chat, at + 61 * MINUTE)
    zendesk.delete(zendesk.open("spammer", BEGAN), BEGAN + MINUTE)
    return zendesk


def world(_folder: Path) -> World:
    zendesk = account()

    def unknown_word() -> str:
        zendesk.tickets[FIFTH]["status"] = "pondering"
        return str(FIFTH)

    def missing_time() -> str:
        zendesk.tickets[FIFTH]["created_at"] = None
        return str(FIFTH)

    def delete() -> str:
        zendesk.delete(FIFTH, AT)
        return str(FIFTH)

    def work(at: datetime) -> str:
        ticket = zendesk.open("user1", at)
        zendesk.solve(ticket, "alice", at)
        return str(ticket)

    def absurd() -> Callable[[], None]:
        far = zendesk.open("user1", AT)
        zendesk.tickets[far]["generated_timestamp"] = 7_226_582_400  # in 2199
        return lambda: zendesk.tickets.__delitem__(far)

    def start_over() -> set[str]:
        zendesk.tickets.clear()
        zendesk.last_ticket = FIFTH - 1
        return {work(AT + timedelta(minutes=minute)) for minute in range(7)}

    return World(
        app=zendesk.app(),
        options=Options(page_size=5, bots=(str(zendesk.id_of("users", "bot")),)),
        auth=Auth.bearer(zendesk.token),
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        about_one="nothing is asked about single tickets",
        place=lambda request: "cursor" in request.query,
        zone="Zendesk writes UTC, wherever its users are",
    )
