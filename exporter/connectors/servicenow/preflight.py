"""ServiceNow: what `check --live` looks at. The platform hides what a user may not see, and mostly does not say so."""

from collections.abc import Mapping, Sequence

from exporter.collect.finding import Finding, look
from exporter.collect.http import Answer, Client
from exporter.connectors.servicenow.rows import ID, UPDATED, asked, path, written
from exporter.records import Json

FEW = 20
NEEDS = {
    "incident": "the role sn_incident_read or itil",
    "sc_req_item": "the role sn_request_read or itil",
    "interaction": "a read ACL on the table interaction, and Agent Chat or Virtual Agent active",
    "change_request": "the role sn_change_read or itil",
    "task_sla": "the role itil, sla_manager or sla_admin; without it breaches, responses and time on hold are unknown",
    "sc_task": "the role sn_request_read or itil; without it nobody knows who did the work on requested items",
    "metric_instance": "a read ACL on it, as itil has; without it nobody knows when an incident was escalated",
    "sys_audit_delete": "a read ACL on it, which admin alone has at first; without it deletions are found within days",
}
"""What the user has to be allowed, by table."""
MEASURED = ("assignment_group", "incident_state")


async def checked(client: Client, tables: Mapping[str, Sequence[str]], beside: Sequence[str]) -> list[Finding]:
    """The version, the first page of each table with its columns, and whether what is asked beside is shown."""
    findings = await version(client)
    for table, fields in tables.items():
        findings += await first_page(client, table, fields)
    for table in beside:
        page, found = await look(table, client.ask(path(table), asked("", (ID,), 1)), needs=NEEDS[table])
        findings += found or [shown(table, page)]
    return findings + await measured(client) if "incident" in tables else findings


async def version(client: Client) -> list[Finding]:
    question = asked("name=glide.buildname", ("name,value",), 1)
    page, _ = await look("version", client.ask(path("sys_properties"), question), needs="a read ACL on sys_properties")
    names = [row.get("value") for row in rows_of(page)]
    return [Finding("version", str(names[0])[:40] if names else "is not shown to this user, which does no harm")]


async def first_page(client: Client, table: str, fields: Sequence[str]) -> list[Finding]:
    """Whether rows come, those and in the order asked for, none of them hidden, and with the columns that are read."""
    since, names = written(client.since), list(dict.fromkeys(",".join(fields).split(",")))
    query = f"{UPDATED}>={since}"
    question = asked(f"{query}^ORDERBY{UPDATED}^ORDERBY{ID}", fields, FEW)
    page, found = await look(table, client.ask(path(table), question), needs=NEEDS[table])
    rows, total = rows_of(page), int(page.headers.get("X-Total-Count") or 0) if page else 0
    if found or not page or not rows:
        return found or [shown(table, page)]
    times = [str(row.get(UPDATED)) for row in rows]
    if times != sorted(times) or times[0] < since:
        needs = f"the user must pass the ACLs query_range and query_match on {UPDATED} and {ID}"
        return [Finding(table, f"other rows come than those asked for, or in another order; {needs}", wrong=True)]
    if len(rows) < min(FEW, total):
        text = f"of the first {min(FEW, total)} rows {len(rows)} are shown; the user needs {NEEDS[table]}"
        return [Finding(table, text, wrong=True)]
    answer, _ = await look(
        table, client.ask(f"/api/now/stats/{table}", {"sysparm_count": "true", "sysparm_query": query}), needs=""
    )
    counted = str(answer.find("result.stats.count") if answer else None)
    if counted.isdecimal() and int(counted) < total:
        text = f"of {total:,} rows {int(counted):,} are counted for this user; it needs {NEEDS[table]}"
        return [Finding(table, text, wrong=True)]
    lacking = [name for name in names if not any(name in row for row in rows)]
    if lacking:
        text = f"without the columns {', '.join(lacking)}: they do not exist there, or the user may not read them"
        return [Finding(table, text, wrong=True)]
    return [Finding(table, "the first page is read")]


async def measured(client: Client) -> list[Finding]:
    """Whether the instance measures when an incident goes from group to group and from state to state."""
    question = asked("table=incident^type=field_value_duration^active=true", ("field,active",), FEW)
    needs = "a read ACL on metric_definition"
    page, found = await look("metrics", client.ask(path("metric_definition"), question), needs=needs)
    have = {row.get("field") for row in rows_of(page)}
    lacking = [name for name in MEASURED if name not in have]
    text = f"nothing measures {' and '.join(lacking)} of incidents; activate such metric definitions, or escalations"
    return found or ([Finding("metrics", f"{text} and acknowledgements stay unknown", wrong=True)] if lacking else [])


def shown(table: str, page: Answer | None) -> Finding:
    """Whether there is anything on a page."""
    if rows_of(page):
        return Finding(table, "is read")
    return Finding(table, f"nothing is shown; if there is something, the user needs {NEEDS[table]}", wrong=True)


def rows_of(page: Answer | None) -> list[Json]:
    found = page.find("result") if page else None
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
