"""90 days of hourly history from a store of a million records, by the program itself: time, memory, size.

python -m tests.bench.backfill [records [days]]
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from exporter import figures
from exporter.store import Store
from tests.bench.records import AT, INSERTS, LABELS, insert

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
SOURCE = "  - {{ name: {record}, type: files, path: {record}.jsonl, record: {record}, max_staleness: 3650d }}\n"
PROGRAM = [sys.executable, "-m", "exporter"]


def made(folder: Path, records: int) -> Path:
    """A config beside a store that was filled at AT."""
    path = folder / "outcome.yaml"
    labels = "".join(f"  {record}: [{', '.join(names)}]\n" for record, names in LABELS.items())
    sources = "".join(SOURCE.format(record=record) for record in INSERTS)
    path.write_text(f"store: {{ path: bench.duckdb }}\nlabels:\n{labels}sources:\n{sources}")
    config = figures.read(path)
    with Store.open(config.store.path, threads=2, memory_limit="4GB") as store:
        reader = store.reader()
        for record, share in SHARES.items():
            insert(reader, record, int(records * share), source=record)
        reader.close()
        for source in config.sources:
            store.begin(source.name, source.fingerprint)
            store.succeeded(source.name, AT)
    return path


def measured(command: Sequence[str | Path]) -> tuple[float, int]:
    """(seconds, peak MB) of a program."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} ended with {status}")
    return time.perf_counter() - begun, usage.ru_maxrss // 1024


def main(records: int, days: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config, output, blocks = made(folder, records), folder / "history.om", folder / "blocks"
        arguments: list[str | Path] = [
            "backfill",
            "--config.file",
            config,
            "--from",
            f"{days}d",
            "--to",
            AT.isoformat(),
        ]
        seconds, memory = measured([*PROGRAM, *arguments, "--output", output])
        size = output.stat().st_size / 1e6
        print(f"| {days} days of hours from {records:,} records | {seconds:.0f} s, {memory} MB | {size:.0f} MB |")  # noqa: T201 - a bench prints
        if promtool := shutil.which("promtool"):
            blocks_of: list[str | Path] = [promtool, "tsdb", "create-blocks-from", "openmetrics", output, blocks]
            seconds, memory = measured(blocks_of)
            size = sum(path.stat().st_size for path in blocks.rglob("*") if path.is_file()) / 1e6
            print(f"| promtool, blocks of it | {seconds:.0f} s, {memory} MB | {size:.0f} MB |")  # noqa: T201 - a bench prints


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    main(*(given + [1_000_000, 90][len(given) :]))
