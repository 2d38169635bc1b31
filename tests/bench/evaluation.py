"""The whole catalogue on N records of each type, against one hand-written scan of that type, as a Markdown table.

    python -m tests.bench.evaluation [rows [record ...]]      1000000, and every record type, without
    python -m tests.bench.evaluation --defaults [rows ...]    with the memory and the one thread a store has by default

The second of two evaluations, the best of three scans; what is kept beside records is worked out before. Each record
type has a process of its own: its memory is known.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from exporter.catalogue import kpi
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan, Setting
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests.bench.records import AT, INSERTS, LABELS, by_hand, insert
from tests.scenario import WINDOWS, params

ROOM = {"threads": 2, "memory_limit": "4GB"}
HEAD = "| records | KPIs | figures | evaluation | one scan by hand | times | peak memory |\n" + 7 * "|---" + "|"


def best(times: int, work: Callable[[], object]) -> float:
    """Seconds of the quickest of some tries."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def plan(record: str) -> Plan:
    """Every KPI that needs nothing but one record type."""
    chosen = [k for k in kpi.catalogue().values() if set(k.needs) == {record} and k.kind != "derived"]
    return Plan(
        settings=[Setting(kpi=k, params=params(k, {})) for k in chosen],
        windows=sorted(WINDOWS.items(), key=lambda item: item[1]),
        labels=LABELS,
    )


def measure(rows: int, record: str, room: dict[str, object]) -> str:
    """A line of the table."""
    sources, chosen = [SourceStatus(source="bench", records=frozenset({record}))], plan(record)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.duckdb"
        with Store.open(path, threads=2, memory_limit="4GB") as store, store.reading() as reader:
            insert(reader, record, rows)
            store.keep(["bench"])
        before = peak()
        opened = Store.open(path, **room)  # type: ignore[arg-type]  # two settings of two types
        with opened as store, store.reading() as reader:
            scan = best(3, lambda: reader.execute(by_hand(record)).fetchall())
            figures = len(evaluate(reader, chosen, AT, sources).figures)
            ours = best(1, lambda: evaluate(reader, chosen, AT, sources))
    memory = f"{peak()} MB" if peak() > before else f"below {before} MB"
    return (
        f"| {rows:,} {record} | {len(chosen.settings)} | {figures:,} | {ours:.2f} s | {scan:.3f} s "
        f"| {ours / scan:.0f} | {memory} |"
    )


def peak() -> int:
    """The most memory this process had so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(arguments: list[str]) -> None:
    room = {} if "--defaults" in arguments else ROOM
    given = [text for text in arguments if text != "--defaults"]
    rows, records = int(given[0]) if given else 1_000_000, given[1:] or [*INSERTS]
    if len(records) == 1:
        print(measure(rows, records[0], room), flush=True)  # noqa: T201 - a bench prints
        return
    print(HEAD, flush=True)  # noqa: T201 - a bench prints
    for record in records:
        options = ["--defaults"] if not room else []
        subprocess.run([sys.executable, "-m", "tests.bench.evaluation", *options, str(rows), record], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
