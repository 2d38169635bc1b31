"""Jira Cloud for the contract suite: issues that were answered, escalated, opened again, left, and some still open."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exporter.collect.http import Auth
from exporter.connectors.jira import Options
from tests.connectors.world import AT, World
from tests.fakes.jira import Jira

FIRST = "10001"


def site(*, cloud: bool = True) -> Jira:
    """Eighteen issues in the month before AT; ids from 10001. The fourth has more comments than are sent along."""
    jira, began = Jira(cloud=cloud, at=AT, comments_sent=3), AT - timedelta(days=30)
    for number in range(18):
        at, asker = began + timedelta(days=number), f"customer-{number % 5}"
        kind = ("[System] Service request", "[System] Incident", "[System] Change")[number % 3]
        issue = jira.create(asker, at, kind=kind)
        worker = ("agent-bob", "agent-carl", "app-rules")[number % 3]
        if number == 17:
            continue  # nobody has looked at it
        jira.comment(issue, worker, at + timedelta(minutes=30))
        for minute in range(4 if number == 3 else 0):
            jira.comment(issue, asker, at + timedelta(minutes=31 + minute))
        if number % 6 == 1:
            jira.move(issue, "Escalated", worker, at + timedelta(minutes=45))
        jira.move(issue, "Completed" if number % 3 == 2 else "Resolved", worker, at + timedelta(hours=2))
        if number % 6 == 4:
            jira.move(issue, "In progress", asker, at + timedelta(hours=3))
            jira.move(issue, "Resolved", worker, at + timedelta(hours=4))
    left = jira.create("customer-9", AT - timedelta(days=2))
    jira.move(left, "Canceled", "customer-9", AT - timedelta(days=1))
    return jira


def auth(jira: Jira) -> Auth:
    return Auth.basic(jira.user, jira.token) if jira.cloud else Auth.bearer(jira.token)


def world(_folder: Path) -> World:
    jira = site()

    def unknown_word() -> str:
        jira.issues["10006"].fields["status"]["statusCategory"]["key"] = "pondering"
        return "10006"

    def missing_time() -> str:
        jira.issues["10006"].fields["created"] = None
        return "10006"

    def delete() -> str:
        del jira.issues["10018"]
        return "10018"

    def work(at: datetime) -> str:
        issue = jira.create("customer-1", at)
        jira.move(issue, "Resolved", "agent-bob", at)
        return issue

    def absurd() -> Callable[[], None]:
        far = jira.create("customer-1", AT)
        jira.issues[far].fields["updated"] = datetime(2199, 1, 1, tzinfo=UTC)
        return lambda: jira.issues.__delitem__(far)

    def start_over() -> set[str]:
        jira.issues.clear()
        jira.last_id = 10_004
        return {work(AT + timedelta(minutes=minute)) for minute in range(7)}

    return World(
        app=jira.app("/jira"),
        options=Options(page_size=5, bots=("app-other",)),
        auth=auth(jira),
        path="/jira",
        unknown_word=unknown_word,
        missing_time=missing_time,
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        about_one=("10004", lambda request: request.path.endswith("/issue/10004/comment")),
        place="a token is part of what is sent, and is given for one poll only",
        zone=lambda zone: setattr(jira, "zone", zone),
        quiet_requests=7,  # four of them once an hour
    )
