# ruff: noqa: E501 - the statements read best as they are
"""Records of every type by the million, made inside the store; and, for each type, the scan somebody would write by hand."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from exporter.config import read_config
from exporter.store import Store

AT = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = 100
MACROS = """
create or replace temp macro pick(i, salt, n) as (hash(salt || i) % n)::int;
create or replace temp macro began(i) as timestamp '2026-06-01' - to_seconds((hash('began' || i) % 8640000)::bigint);
create or replace temp macro later(t, i, salt, seconds) as t + to_seconds((hash(salt || i) % seconds)::bigint);
create or replace temp macro team(i) as 'team' || pick(i, 'team', 12);
"""
INSERTS: Mapping[str, str] = {
    "request": """opened_at, first_response_at, resolved_at, requester, category, team, handled_by, outcome, self_service, human_seconds, csat, reopen_count)
      select t, later(t, i, 'first', 3600), later(t, i, 'end', 200000), 'person' || pick(i, 'asks', 100000), 'category' || pick(i, 'cat', 12), team(i),
        ['automation', 'human', 'assisted'][1 + pick(i, 'by', 3)], 'resolved', pick(i, 'self', 2) = 0, pick(i, 'work', 3000), pick(i, 'csat', 5) / 4, pick(i, 'again', 9) // 8""",
    # Every tenth attempt is a second one.
    "run": """root_id, attempt, workflow, team, status, exception, queued_at, started_at, finished_at)
      select (i - i % 10 // 9)::varchar, 1 + i % 10 // 9, 'workflow' || (i // 10 % 40), 'team' || (i // 10 % 12),
        ['succeeded', 'succeeded', 'succeeded', 'failed'][1 + pick(i, 'status', 4)], 'none', began(i - i % 10 // 9) + to_minutes(i % 10 // 9 * 70) as t, later(t, i, 'wait', 60), later(t, i, 'end', 3600) + interval 1 minute""",
    "incident": """started_at, opened_at, detected_at, acknowledged_at, resolved_at, severity, service, tier, team, outage, recurrence_key)
      select t, t, later(t, i, 'seen', 900), later(t, i, 'ack', 1800), later(t, i, 'end', 90000), 'sev' || (1 + pick(i, 'sev', 5)), 'service' || pick(i, 'service', 40), 'gold', team(i),
        pick(i, 'out', 4) = 0, 'cause' || pick(i, 'cause', 5000)""",
    "change": """requested_at, first_commit_at, approved_at, deployed_at, result, service, environment, kind, team, automated)
      select t, t, later(t, i, 'ok', 90000), later(t, i, 'end', 200000), ['succeeded', 'succeeded', 'failed', 'rolled_back'][1 + pick(i, 'result', 4)], 'service' || pick(i, 'service', 40),
        'production', 'normal', team(i), pick(i, 'auto', 2) = 0""",
    "workflow": """name, enabled, team, owners, dependencies, exportable)
      select 'workflow' || i, true, team(i), ['owner' || pick(i, 'owner', 500)], ['system:s' || pick(i, 's', 300), 'api:a' || pick(i, 'a', 300)], true""",
    "booking": """requested_at, first_response_at, booked_at, starts_at, ends_at, outcome, channel, team, automated, value, currency)
      select t, later(t, i, 'first', 3600), later(t, i, 'booked', 90000), later(t, i, 'begins', 900000), later(t, i, 'begins', 900000) + interval 1 hour,
        ['attended', 'attended', 'no_show', 'cancelled'][1 + pick(i, 'outcome', 4)], 'web', team(i), pick(i, 'auto', 2) = 0, 100, 'EUR'""",
    "opportunity": """lead_at, contacted_at, booked_at, attended_at, won_at, amount, currency, channel, team)
      select t, later(t, i, 'met', 90000), later(t, i, 'booked', 200000), later(t, i, 'came', 900000), later(t, i, 'won', 2000000), pick(i, 'amount', 9000), 'EUR', 'web', team(i)""",
    "account": """tool, person, granted_at, first_success_at, last_active_at, team, mfa, privileged, disabled)
      select 'tool' || pick(i, 'tool', 5), 'person' || i, t, later(t, i, 'first', 900000), later(t, i, 'last', 5000000), team(i), 'weak', pick(i, 'admin', 20) = 0, false""",
    "activity": """tool, person, day, tasks_done, tasks_with_help, legacy_tasks, team)
      select 'tool' || pick(i // 40, 'tool', 5), 'person' || i // 40, date_trunc('day', t), pick(i, 'done', 20), pick(i, 'help', 5), pick(i, 'old', 5), team(i // 40)""",
    "audit": """occurred_at, kind, attributable, team)
      select t, ['privileged_action', 'policy_violation', 'policy_exception', 'manual_exception'][1 + pick(i, 'kind', 4)], pick(i, 'who', 9) > 0, team(i)""",
    "cost": """period_start, period_end, amount, currency, kind, workflow, team)
      select date_trunc('day', t), date_trunc('day', t) + interval 1 day, pick(i, 'amount', 900), 'EUR', ['licence', 'support', 'labour'][1 + pick(i, 'kind', 3)], 'workflow' || pick(i, 'workflow', 40), team(i)""",
    "service_level": """service, tier, measured_at, ratio, interval_seconds)
      select 'service' || pick(i, 'service', 40), 'gold', t, 1 - pick(i, 'down', 100) / 10000, 3600""",
}
"""Record -> the rest of the statement that inserts N of them over 100 days."""

PLACED = {
    "request": "resolved_at",
    "incident": "resolved_at",
    "change": "deployed_at",
    "run": "finished_at",
    "booking": "starts_at",
    "opportunity": "won_at",
    "account": "granted_at",
    "activity": "day",
    "audit": "occurred_at",
    "cost": "period_end",
    "service_level": "measured_at",
}
BY_HAND: Mapping[str, str] = {
    "request": """team, category, count(*) filter (where handled_by = 'automation'),
      count(*) filter (where handled_by = 'human'), count(*) filter (where self_service), count(*) filter (where outcome = 'resolved'),
      count(*) filter (where reopen_count > 0), count(*) filter (where escalated_at is not null), count(requester),
      sum(epoch(resolved_at - opened_at)), sum(epoch(first_response_at - opened_at))""",
    "run": """workflow, team, count(*) filter (where status = 'succeeded'), count(*) filter (where status = 'failed'),
      count(*) filter (where exception = 'business'), count(*) filter (where exception = 'application'),
      count(*) filter (where human_override), count(*) filter (where attempt > 1), count(distinct root_id), min(started_at),
      sum(epoch(finished_at - started_at))""",
    "incident": """team, service, severity, count(*) filter (where auto_remediated), sum(epoch(resolved_at - started_at)),
      sum(epoch(detected_at - started_at)), sum(epoch(acknowledged_at - opened_at)), count(*) filter (where outage), count(distinct recurrence_key)""",
    "change": """team, service, count(*) filter (where result = 'succeeded'), count(*) filter (where result = 'failed'),
      count(*) filter (where result = 'rolled_back'), count(*) filter (where automated), sum(epoch(deployed_at - requested_at))""",
    "workflow": "team, count(*) filter (where enabled), count(*) filter (where len(owners) = 1), sum(len(dependencies))",
    "booking": """team, channel, count(*) filter (where outcome = 'attended'), count(*) filter (where outcome = 'no_show'),
      count(*) filter (where automated), sum(value), sum(epoch(booked_at - requested_at)), sum(epoch(first_response_at - requested_at))""",
    "opportunity": "team, channel, sum(amount), count(contacted_at), count(booked_at), count(attended_at), count(won_at), sum(epoch(won_at - lead_at))",
    "account": "tool, team, count(*) filter (where privileged), count(*) filter (where mfa = 'weak'), count(first_success_at), sum(epoch(first_success_at - granted_at))",
    "activity": "team, sum(tasks_done), sum(tasks_with_help), sum(legacy_tasks), count(distinct person)",
    "audit": "team, kind, count(*) filter (where attributable)",
    "cost": "team, workflow, kind, sum(amount), sum(effort_seconds)",
    "service_level": "service, tier, sum(ratio * interval_seconds), sum(interval_seconds)",
}
"""Record -> what one plain scan of the last 90 days would count."""
LABELS: Mapping[str, list[str]] = {
    "request": ["team", "category"],
    "run": ["workflow", "team"],
    "incident": ["team", "severity"],
    "change": ["team"],
    "workflow": ["team"],
    "booking": ["team", "channel"],
    "opportunity": ["team", "channel"],
    "account": ["tool", "team"],
    "activity": ["tool", "team"],
    "audit": ["team", "kind"],
    "cost": ["team", "kind"],
    "service_level": ["service", "tier"],
}


def by_hand(record: str) -> str:
    """The scan of one record type."""
    placed = PLACED.get(record)
    begin, end = "timestamp '2026-06-01' - interval 90 day", "timestamp '2026-06-01'"
    where = f"where {placed} > {begin} and {placed} <= {end}" if placed else ""
    return f'select count(*), {BY_HAND[record]} from "{record}" {where} group by all'


def insert(connection: duckdb.DuckDBPyConnection, record: str, rows: int, source: str = "bench") -> None:
    """Puts rows of one record type into a store, past the door that compares each with what is there."""
    connection.execute(MACROS)
    columns, query = INSERTS[record].split(")", 1)
    values = query.strip().removeprefix("select").strip()
    connection.execute(
        f'insert into "{record}" (key, source, id, {columns}) '
        f"select i, '{source}', i::varchar, {values} from (select i, began(i) as t from range(?) r(i))",
        [rows],
    )


SHARES = {
    "request": 0.4,
    "run": 0.4,
    "incident": 0.02,
    "change": 0.03,
    "workflow": 0.0001,
    "booking": 0.04,
    "opportunity": 0.03,
    "account": 0.01,
    "activity": 0.05,
    "audit": 0.015,
    "cost": 0.003,
    "service_level": 0.0019,
}
"""Of all records, how many are of a type."""
SOURCE = "  - {{ name: {record}, type: files, path: {record}.jsonl, record: {record}, max_staleness: 3650d }}\n"


def stored(folder: Path, records: int) -> Path:
    """A config beside a store that was filled at AT."""
    path = folder / "outcome.yaml"
    labels = "".join(f"  {record}: [{', '.join(names)}]\n" for record, names in LABELS.items())
    sources = "".join(SOURCE.format(record=record) for record in INSERTS)
    path.write_text(f"store: {{ path: bench.duckdb }}\nlabels:\n{labels}sources:\n{sources}")
    config = read_config(path)
    with Store.open(config.store.path, threads=2, memory_limit="4GB") as store:
        with store.reading() as reader:
            for record, share in SHARES.items():
                insert(reader, record, int(records * share), source=record)
        for source in config.sources:
            store.begin(source.name, source.fingerprint)
            store.succeeded(source.name, AT)
    return path
