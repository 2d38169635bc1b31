"""Zendesk: what `check --live` looks at."""

from datetime import timedelta

from exporter.collect.finding import Finding, look
from exporter.collect.http import Client
from exporter.records import Json

EXPORTS = "/api/v2/incremental/"
EXPORT = f"{EXPORTS}tickets/cursor"
EVENTS = f"{EXPORTS}ticket_metric_events"
BACK = timedelta(minutes=2)  # an export may not begin later than a minute ago, by their clock
FEW = 100
ADMIN = "the role Admin for the user who owns the OAuth client, and the scope read"


async def checked(client: Client, time_field: str, *, slas: bool) -> list[Finding]:
    """Who asks, the first page of tickets with what comes beside them, and the lists of names."""
    me, findings = await look("user", client.get("/api/v2/users/me"), needs="the scope read")
    role = ((me or {}).get("user") or {}).get("role")
    if me and role != "admin":
        findings += [Finding("user", f"its role is {role}; Zendesk gives exports to admins alone", wrong=True)]
    start = int(client.since.timestamp())
    question: dict[str, int | str] = {
        "start_time": start,
        "support_type_scope": "all",
        "include": "metric_sets",
        "per_page": FEW,
    }
    page, found = await look("tickets", client.ask(EXPORT, question), needs=ADMIN)
    tickets = page.listed("tickets") if page else []
    metrics = bool(page and page.find("metric_sets")) or any(each.get("metric_set") for each in rows(tickets))
    if found:
        findings += found
    elif not tickets:
        findings += [Finding("tickets", "there are none since then")]
    elif not metrics:
        text = "no metric set comes with the tickets; without it nothing says when they were answered or solved"
        findings += [Finding("tickets", text, wrong=True)]
    else:
        findings += [Finding("tickets", "the first page is read")]
    if tickets and not any(each.get("support_type") == "ai_agent" for each in rows(tickets)):
        text = "none among the first tickets; if an AI agent answers, let the account show its conversations as tickets"
        findings += [Finding("AI agent tickets", text)]
    if slas:
        _, found = await look("slas", client.ask(EVENTS, {"start_time": start}), needs=ADMIN)
        findings += found or [Finding("slas", "the first page of events is read")]
    _, found = await look("groups", client.ask("/api/v2/groups", {"page[size]": 1}), needs="the scope read")
    findings += found or [Finding("groups", "the first page is read")]
    fields, found = await look("ticket fields", client.get("/api/v2/ticket_fields"), needs="the scope read")
    titles = [each.get("title") for each in rows((fields or {}).get("ticket_fields"))]
    if not found and time_field not in titles:
        text = f"no field is called {time_field}; without the Time Tracking app the time that agents spend is unknown"
        found = [Finding("ticket fields", text)]
    return findings + found


def rows(found: Json) -> list[Json]:
    return [each for each in found or () if isinstance(each, dict)]
