"""ServiceNow: incidents, requested items and interactions are requests, some incidents service interruptions too.

API      Table API v2, values as they are stored (UTC), not as they are displayed; OAuth client credentials, an API key
         (x-sn-apikey) or basic authentication, which instances restrict since June 2026.
Access   A user of its own, "web service access only", with the roles snc_read_only and itil; or, with less, with
         snc_read_only, sn_incident_read, sn_request_read and sn_change_read, and read ACLs on interaction, task_sla,
         metric_instance and metric_definition. Besides a read ACL on sys_audit_delete, for deletions. Where a table has
         query_range or query_match ACLs, the user must pass those for sys_updated_on, sys_id, opened_at and active.
         OAuth: System OAuth > Application Registry > Create an OAuth API endpoint for external clients, grant type
         Client Credentials, with this user as OAuth application user.
Polls    Deletions; then each table in order of sys_updated_on and sys_id, from the last row known on, and the ten rows
         before it; with each page the agreements of its tasks, the tasks of its items and, of incidents that were
         reassigned or are interruptions, the metrics, for 150 rows per request. First also what is active and older. A
         quiet poll is one request per table and one for deletions. Once a day the ids of 90 days.
Cursor   tables: for each the time of the newest row and the ten newest rows; while what is older is read, where that
         ends. deleted: the time of the newest deletion. owed: rows of which what is asked beside could not be read.
Blind    Rows, columns and whole tables that the user may not see. What writes rows without changing sys_updated_on.
         When an incident was escalated or acknowledged, unless the instance has the metric definitions on
         assignment_group and incident_state: whether one that changed hands was escalated is unknown then, as it is of
         requested items and interactions. When a virtual agent handed over. Satisfaction surveys. Time on hold of a
         task without an agreement, and while it is open. An actual end that nobody recorded: the planned one counts, at
         most the closing. Outages and affected services beyond the first. Archived rows stay as last seen. Incidents
         that a caller opens again after closing are new ones.
Checked  The published documentation of the Australia release; a fake that queries, hides and limits as it describes.
"""

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from exporter.collect import paging
from exporter.collect.auth import Scheme
from exporter.collect.contract import Cursor, Page
from exporter.collect.details import Details
from exporter.collect.finding import Finding
from exporter.collect.http import Answer, Client, Forbidden, SourceError
from exporter.collect.mapping import Which
from exporter.collect.recent import WITNESSES, still_there
from exporter.collect.sweep import swept
from exporter.connectors.servicenow.mapping import is_incident, is_request, read
from exporter.connectors.servicenow.preflight import checked
from exporter.connectors.servicenow.rows import (
    DAWN,
    ID,
    MOST,
    UPDATED,
    asked,
    has_place,
    is_last,
    listed,
    path,
    walk,
    written,
)
from exporter.connectors.servicenow.words import CLOSE_CODES, OUTCOMES, STAGES, Stage, Words, over
from exporter.records import Change, ChangeResult, Incident, Json, Read, Record, Request, RequestOutcome, instant
from exporter.records.unreadable import ODD

Table = Literal["incident", "sc_req_item", "interaction", "change_request"]

RECORDS = (Request, Incident, Change)
AUTH = Scheme(api_key=("x-sn-apikey", "{}"), token_url="/oauth_token.do")  # noqa: S106 - an address
COMMON = "sys_id,sys_updated_on,sys_created_on,number,state,opened_at,closed_at"
TASK = "contact_type,priority,time_worked,opened_by,assigned_to,assigned_to.user_name,closed_by,closed_by.user_name"
SERVICE = "business_service.name,cmdb_ci.name"
FIELDS: dict[Table, tuple[str, ...]] = {
    "incident": (
        COMMON,
        TASK,
        SERVICE,
        "resolved_at,resolved_by,resolved_by.user_name,reopen_count,reassignment_count,category,subcategory",
        "caller_id,cmdb_ci,problem_id,parent_incident,caused_by",
    ),
    "sc_req_item": (COMMON, TASK, "approval,cat_item.name,requested_for"),
    "interaction": (COMMON, "type,virtual_agent,agent_chat,opened_for,assigned_to,assigned_to.user_name"),
    "change_request": (COMMON, SERVICE, "type,close_code,approval,approval_set,work_end,end_date,sys_created_by"),
}
AT_ONCE = 150  # ids in one question: an address of 8 kB is refused
SWEEP_EVERY, SWEEP_BACK = timedelta(days=1), timedelta(days=90)
COLUMN = re.compile(r"\w+(\.\w+)*")


class Beside(NamedTuple):
    """What is asked beside rows: a table, the column in which it names them, and what of it."""

    table: str
    by: str
    fields: str
    also: str = ""


BESIDE = {
    "slas": Beside(
        "task_sla", "task", "task,stage,has_breached,end_time,pause_duration,business_pause_duration,sla.target"
    ),
    "tasks": Beside("sc_task", "request_item", "request_item,assigned_to,assigned_to.user_name"),
    "metrics": Beside(
        "metric_instance",
        "id",
        "id,definition.field,field_value,value,start",
        "^definition.type=field_value_duration^definition.fieldINassignment_group,incident_state,state",
    ),
}
WITH: dict[Table, tuple[str, ...]] = {"incident": ("slas", "metrics"), "sc_req_item": ("slas", "tasks")}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be set for one instance."""

    tables: tuple[Table, ...] = ("incident", "sc_req_item", "interaction", "change_request")
    incidents: tuple[Which, ...] = (Which(field="priority", match="[12]"),)
    not_requests: tuple[Which, ...] = ()
    automation_users: tuple[str, ...] = ()
    escalation_groups: tuple[str, ...] = ()
    states: Mapping[Table, Mapping[str, RequestOutcome]] = field(default_factory=dict)
    change_states: Mapping[str, Stage] = field(default_factory=dict)
    close_codes: Mapping[str, ChangeResult] = field(default_factory=dict)
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    overlap_seconds: Annotated[int, Field(ge=0)] = 300


def judge(answer: Answer) -> SourceError | None:
    """A transaction that takes longer than its quota ends with an error, also in the middle of a good answer."""
    error = answer.find("error")
    text = str(error.get("message")) if isinstance(error, dict) else ""
    if text.startswith("Transaction cancelled") or (answer.status == 200 and error):
        return answer.broken_off("the transaction took longer than its quota")
    if answer.status == 400 and text.startswith("Invalid table"):
        return answer.forbidden("the instance has no such table; its plugin may not be active")
    return None


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:
    reader = Reader(client, options, Details(client, cursor.get("owed", {})))
    async for gone, newest in deletions(client, options, cursor.get("deleted")):
        cursor = {**cursor, "deleted": newest, "tables": without(cursor.get("tables", {}), {key for _, key in gone})}
        yield Page([], cursor, gone)
    for table in options.tables:
        with client.optional(table):
            known = cursor.get("tables", {}).get(table, {})
            async for rows, place in changes(client, options, table, known):
                reads, gone = await reader.read(table, rows)
                cursor = {**cursor, "tables": {**cursor.get("tables", {}), table: place}}
                yield Page(reads, {**cursor, "owed": reader.details.to_cursor()}, gone)
    if client.lacking.keys() >= {*options.tables}:
        raise Forbidden(client.lacking[options.tables[0]])
    async for reads, gone in reader.again():
        yield Page(reads, {**cursor, "owed": reader.details.to_cursor()}, gone)
    cursor = {**cursor, "owed": reader.details.to_cursor()}
    yield Page([], cursor)
    of: dict[type[Record], str | None] = {Request: "opened_at", Incident: "opened_at", Change: "requested_at"}
    if not client.lacking.keys() & {*options.tables}:  # else all of a table would be missed
        async for page in swept(client, cursor, of, partial(ids, client, options), every=SWEEP_EVERY, back=SWEEP_BACK):
            yield page


async def check(client: Client, options: Options) -> list[Finding]:
    """What the user may read of each table, and of those asked beside."""
    tables: dict[str, tuple[str, ...]] = {table: FIELDS[table] for table in options.tables}
    beside = {BESIDE[name].table for table in options.tables for name in WITH.get(table, ())}
    return await checked(client, tables, [*sorted(beside), "sys_audit_delete"])


async def deletions(
    client: Client, options: Options, newest: str | None
) -> AsyncIterator[tuple[list[tuple[type[Record], str]], str]]:
    """What has been deleted since, and the time of the newest deletion. Only of tables that are audited."""
    begin, query = newest or written(client.since), f"tablenameIN{','.join(options.tables)}^"
    fields = ("sys_id,sys_created_on,tablename,documentkey",)
    with client.optional("sys_audit_delete"):
        pages = walk(client, "sys_audit_delete", fields, options.page_size, begin, also=query, by="sys_created_on")
        async for rows in pages:
            ours = [row for row in rows if row.get("tablename") in options.tables]
            gone = [(kind, str(row.get("documentkey"))) for row in ours for kind in kinds(row["tablename"])]
            yield gone, settled(client, options, rows[-1]["sys_created_on"])


def without(tables: Mapping[str, Json], gone: Collection[str]) -> Mapping[str, Json]:
    """The places in tables without rows that are gone: nobody need look for them."""
    return {
        table: {**place, "recent": {key: each for key, each in place.get("recent", {}).items() if key not in gone}}
        for table, place in tables.items()
    }


def kinds(table: Json) -> tuple[type[Record], ...]:
    """What records the rows of a table may be."""
    return (Change,) if table == "change_request" else (Request, Incident)


async def changes(
    client: Client, options: Options, table: Table, known: Json
) -> AsyncIterator[tuple[Sequence[Json], Json]]:
    """Rows that have changed, oldest change first, and where to go on after them.

    At first what is active and was changed before the history begins comes before what has been changed since.
    """
    fields = fields_of(client, options, table)
    recent: dict[str, list[str]] = known.get("recent", {})
    begin, before = known.get("mark"), known.get("before")
    if begin is None or before:
        before = before or written(client.since)
        if table != "interaction":  # a conversation is not left open for so long, and may have no such column
            query = f"active=true^{UPDATED}<{before}^"
            async for rows in walk(client, table, fields, options.page_size, begin or DAWN, also=query):
                yield rows, {"mark": rows[-1][UPDATED], "before": before}
        begin = before
    mark, newest, found = begin, dict[str, list[str]](), set[str]()
    oldest = min([begin, *(updated for _, updated in recent.values())])
    async for rows in walk(client, table, fields, options.page_size, oldest):
        stamps = {row[ID]: [str(row.get("sys_created_on")), row[UPDATED]] for row in rows}
        found |= {key for key, (made, _) in stamps.items() if key in recent and recent[key][0] == made}
        # What lies ahead is read again at every poll: it must not carry the mark away.
        newest |= {key: each for key, each in stamps.items() if each[1] <= now(client)}
        newest = dict(sorted(newest.items(), key=lambda each: (each[1][1], each[0]))[-WITNESSES:])
        mark = max([mark, *(settled(client, options, updated) for _, updated in newest.values())])
        late = written(client.at - timedelta(seconds=options.overlap_seconds))  # what else is to be told of it, may be
        unseen = [row for row in rows if row[UPDATED] >= late or stamps[row[ID]] != recent.get(row[ID])]
        yield unseen, {"mark": mark, "recent": newest}
    still_there(dict.fromkeys(recent), dict.fromkeys(found), f"rows of {table}", {})
    yield [], {"mark": mark, "recent": newest}


async def ids(
    client: Client, options: Options, since: datetime | None, place: Json
) -> AsyncIterator[tuple[Sequence[str], Json]]:
    """The ids of all tables that are read, of what was opened since."""
    names, (begin, after) = options.tables, place or (options.tables[0], "")
    for number in range(names.index(begin), len(names)):
        following = [names[number + 1], ""] if number + 1 < len(names) else None
        # What was never opened is there, too: a change is requested when it is made, then.
        query = f"opened_at>={written(since)}^ORopened_atISEMPTY^" if since else ""
        async for found, last in listed(client, query, names[number], after):
            yield found, [names[number], last] if last is not None else following
        after = ""


class Reader:
    """Reads rows with what is asked beside them. What cannot be read of one costs no other, and is asked for again."""

    def __init__(self, client: Client, options: Options, details: Details) -> None:
        self.client, self.options, self.details = client, options, details
        states = {str(table): own for table, own in options.states.items()}
        self.words = Words(
            url=client.url,
            bots=options.automation_users,
            tiers=options.escalation_groups,
            incidents=options.incidents,
            not_requests=options.not_requests,
            outcomes={name: over("outcome", usual, states.get(name, {})) for name, usual in OUTCOMES.items()},
            stages=over("result", STAGES, options.change_states),
            close_codes=over("result", CLOSE_CODES, options.close_codes),
        )

    async def read(self, table: Table, rows: Sequence[Json]) -> tuple[list[Read], list[tuple[type[Record], str]]]:
        """The rows as records, and the records that they were and are not any more."""
        asked_for = [row for row in rows if self.details.may(f"{table} {row[ID]}")]
        beside = {
            name: await self.beside(table, name, [row[ID] for row in asked_for if name != "metrics" or self.moved(row)])
            for name in WITH.get(table, ())
        }
        told = [{"id": row[ID], **row, **{name: found.get(row[ID]) for name, found in beside.items()}} for row in rows]
        reads = await self.client.mapped(told, partial(read, self.words, table))
        return reads, self.gone(rows) if table == "incident" else []

    def gone(self, rows: Sequence[Json]) -> list[tuple[type[Record], str]]:
        found = list[tuple[type[Record], str]]()
        for row in rows:
            with suppress(*ODD):  # what cannot be read is told of elsewhere, and stays
                found += [(Incident, row[ID])] * (not is_incident(self.words, row))
                found += [(Request, row[ID])] * (not is_request(self.words, row))
        return found

    def moved(self, row: Json) -> bool:
        """Whether there is something to be learnt of how an incident went from hand to hand."""
        with suppress(*ODD):
            return row.get("reassignment_count") not in ("", "0", None) or is_incident(self.words, row)
        return False

    async def beside(self, table: str, name: str, ids: Sequence[str]) -> Mapping[str, list[Json] | None]:
        """What is asked beside the rows of these ids; nothing of those of which that fails."""
        what = BESIDE[name]
        if not ids or not await self.readable(what.table):
            return {}

        async def question(some: Sequence[str]) -> list[Json]:
            params = asked(f"{what.by}IN{','.join(some)}{what.also}^ORDERBY{ID}", (ID, what.fields))
            pages = paging.by_offset(
                self.client, path(what.table), params, items="result", size=MOST,
                size_as="sysparm_limit", offset_as="sysparm_offset", last=is_last,
            )  # fmt: skip
            return [row async for page in pages for row in page.items]

        parts = [ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE)]
        answers = await self.client.gather(parts, lambda some: self.details.several(some, question))
        failed = {key for _, those in answers for key in those}
        found: dict[str, list[Json] | None] = {key: [] for key in ids if key not in failed}
        for row in (row for rows, _ in answers for row in rows if isinstance(row, dict)):
            if isinstance(rows_of := found.get(str(row.get(what.by))), list):
                rows_of.append(row)
        self.details.owe(f"{table} {key}" for key in ids if key in failed)
        return found

    async def readable(self, table: str) -> bool:
        """Whether the user may read a table. It is asked now and then, and not about each page."""

        async def ask() -> str:
            try:
                await self.client.ask(path(table), asked("", (ID,), 1))
            except Forbidden as error:
                return str(error)
            return ""

        refusal = await self.client.memory.remembered(f"refused {table}", timedelta(hours=1), ask)
        with self.client.optional(table):
            if refusal:
                raise Forbidden(refusal)
            return True
        return False

    async def again(self) -> AsyncIterator[tuple[list[Read], list[tuple[type[Record], str]]]]:
        """The rows of which something could not be read at earlier polls."""
        due = [key for key in self.details.again if key in self.details.owed]
        self.details.settle(due)  # who fails again is owed again
        for table in self.options.tables:
            keys = [key.partition(" ")[2] for key in due if key.startswith(f"{table} ")]
            if keys and table not in self.client.lacking:
                query = f"{ID}IN{','.join(keys)}^ORDERBY{ID}"
                answer = await self.client.ask(path(table), asked(query, fields_of(self.client, self.options, table)))
                found = [row for row in answer.listed("result") if has_place(row, UPDATED)]
                yield await self.read(table, found)


def fields_of(client: Client, options: Options, table: Table) -> list[str]:
    """What of a row is asked for: what we read, and what the config looks at."""
    which = [each.field for each in (*options.incidents, *options.not_requests)]
    return [*FIELDS[table], *(name for name in (*client.paths, *which) if COLUMN.fullmatch(name))]


def now(client: Client) -> str:
    """The time of day there, as far as their clock is ahead of ours."""
    return written(client.at + timedelta(seconds=1 + max(client.clock_offset_seconds or 0.0, 0.0)))


def settled(client: Client, options: Options, newest: str) -> str:
    """From when on to read at the next poll: what is written late may be some time older than the newest there is."""
    overlap = timedelta(seconds=options.overlap_seconds)
    at = instant(newest, UTC) or client.at
    return newest if at < client.at - overlap else written(at - overlap)
