# ruff: noqa: E501 - the statements read best as they are
"""The whole catalogue on N requests and N runs, against one hand-written scan of each table; ratios of one run.

python -m tests.bench.evaluation [rows ...]
"""

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from exporter import kpi
from exporter.evaluate import evaluate
from exporter.plan import Feed, Plan, Setting
from exporter.series import Limits, series
from exporter.store import Store
from tests.scenario import WINDOWS, params

AT = datetime(2026, 6, 1, tzinfo=UTC)

REQUESTS = """
insert into request (key, source, id, opened_at, first_response_at, resolved_at, requester, category, team, handled_by, outcome, self_service)
select i, 'bench', i::varchar, opened, opened + to_seconds((r * 3600)::bigint), opened + to_seconds((r * 200000)::bigint),
  'person' || (i % 100000), 'category' || (i % 12), 'team' || (i % 50), ['automation', 'human', 'assisted'][1 + i % 3], 'resolved', i % 2 = 0
from (select i, random() as r, timestamp '2026-06-01' - to_seconds((random() * 86400 * 100)::bigint) as opened from range(?) t(i))
"""
RUNS = """
insert into run (key, source, id, root_id, attempt, workflow, team, status, exception, started_at, finished_at)
select i, 'bench', i::varchar, (i - i % 10 // 9)::varchar, 1 + i % 10 // 9, 'workflow' || (i // 10 % 40), 'team' || (i // 10 % 15),
  ['succeeded', 'succeeded', 'succeeded', 'failed'][1 + i % 4], 'none', started, started + to_seconds((r * 3600)::bigint)
from (select i, random() as r, timestamp '2026-06-01' - to_seconds(((1 - i / ?) * 86400 * 100)::bigint) as started from range(?) t(i))
"""
BY_HAND = {
    "request": """select team, category, count(*), count(*) filter (where handled_by = 'automation'),
      count(*) filter (where handled_by = 'human'), count(*) filter (where self_service), count(*) filter (where outcome = 'resolved'),
      count(*) filter (where reopen_count > 0), count(*) filter (where escalated_at is not null), count(requester),
      sum(epoch(resolved_at - opened_at)), sum(epoch(first_response_at - opened_at)) from request
      where resolved_at > timestamp '2026-06-01' - interval 90 day and resolved_at <= timestamp '2026-06-01' group by all""",
    "run": """select workflow, team, count(*), count(*) filter (where status = 'succeeded'), count(*) filter (where status = 'failed'),
      count(*) filter (where exception = 'business'), count(*) filter (where exception = 'application'),
      count(*) filter (where human_override), count(*) filter (where attempt > 1), count(distinct root_id), min(started_at),
      sum(epoch(finished_at - started_at)) from run
      where finished_at > timestamp '2026-06-01' - interval 90 day and finished_at <= timestamp '2026-06-01' group by all""",
}


def best(times: int, work: Callable[[], object]) -> float:
    """Seconds of the quickest of some tries."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def plan(facts: set[str]) -> Plan:
    return Plan(
        settings=[
            Setting(kpi=k, params=params(k, {}), min_coverage=0) for k in kpi.catalogue().values() if k.facts in facts
        ],
        windows=sorted(WINDOWS.items(), key=lambda item: item[1]),
        labels={"request": ["team", "category"], "run": ["workflow", "team"]},
    )


def measure(rows: int, folder: Path) -> None:
    with Store.open(folder / f"{rows}.duckdb", threads=2, memory_limit="4GB") as store:
        reader: duckdb.DuckDBPyConnection = store.reader()
        reader.execute(REQUESTS, [rows])
        reader.execute(RUNS, [rows, rows])
        for record, facts in {"request": {"request"}, "run": {"run", "streak"}}.items():
            by_hand = best(3, lambda record=record: reader.execute(BY_HAND[record]).fetchall())  # type: ignore[misc]
            feeds = [Feed(source="bench", records=frozenset({record}))]
            chosen = plan(facts)
            ours = best(2, lambda chosen=chosen, feeds=feeds: evaluate(reader, chosen, AT, feeds))  # type: ignore[misc]
            evaluation = evaluate(reader, chosen, AT, feeds)
            made = best(2, lambda evaluation=evaluation, chosen=chosen: series(evaluation, chosen, Limits()))  # type: ignore[misc]
            print(  # noqa: T201 - a bench prints
                f"| {rows:,} {record} records, {len(chosen.settings)} KPIs, 4 windows, {len(evaluation.figures):,} figures "
                f"| {ours:.2f} s | {by_hand:.2f} s | {ours / by_hand:.1f} | series {made:.2f} s |"
            )
        reader.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for count in [int(text) for text in sys.argv[1:]] or [1_000_000]:
            measure(count, Path(name))
