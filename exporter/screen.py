"""What people see in the terminal: the table of KPIs, and how far a first sync is."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from exporter.poll import Progress as Step
from exporter.poll import Show

WHY = {
    "no_source": "no source",
    "initial_sync": "first sync",
    "stale_source": "stale source",
    "no_records": "no records",
    "field_missing": "field missing",
    "switched_off": "made of a KPI that is switched off",
}


def kpi_table(rows: Sequence[dict[str, Any]], window: str, at: datetime, console: Console | None = None) -> None:
    """Prints a line for every KPI: its value in one window, the interval, n and how fresh it is."""
    table = Table(title=f"KPIs over {window} (states: now)", title_justify="left", box=None, pad_edge=False)
    table.add_column("KPI", no_wrap=True)
    for name in ("value", "95 % interval", "n", "fresh"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("thresholds", no_wrap=True)
    for row in rows:
        if "absent" in row:
            table.add_row(row["kpi"], "-", "", "", age(row["fresh_at"], at), WHY.get(row["absent"], row["absent"]))
        elif row["window"] in (window, None):
            table.add_row(*line(row, at))
    (console or Console(soft_wrap=True)).print(table)


def line(row: dict[str, Any], at: datetime) -> tuple[str, ...]:
    """The cells of a row that has a value."""
    split = ", ".join(row["split"].values())
    interval = "" if row.get("lower") is None else f"{row['lower']:.1%} to {row['upper']:.1%}"
    n = "" if row.get("n") is None else f"{row['n']:,.0f}"
    name = f"{row['kpi']} ({split})" if split else row["kpi"]
    return name, value(row), interval, n, age(row["fresh_at"], at), against(row)


def value(row: dict[str, Any]) -> str:
    """A value in its unit, for people."""
    number, unit = row["value"], row["unit"]
    if number is None:
        return "-"
    if unit == "ratio":
        return f"{number:.1%}"
    if unit == "seconds":
        return length(number)
    if unit == "currency":
        return f"{number:,.2f}"
    return f"{number:,.2f}" if number % 1 else f"{number:,.0f}"


def length(seconds: float) -> str:
    """A length of time in the largest unit that leaves more than one and a half of it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def age(moment: str | None, at: datetime) -> str:
    """How long ago."""
    return "never" if moment is None else length(max(0.0, (at - datetime.fromisoformat(moment)).total_seconds()))


def against(row: dict[str, Any]) -> str:
    """Which threshold is broken, judged as the alerts do: by the end of the interval that speaks for the value."""
    judged = row.get("lower" if row["better"] == "lower" else "upper")
    judged = row["value"] if judged is None else judged
    for severity in ("critical", "warning"):
        threshold = row["threshold"].get(severity)
        if threshold is None or judged is None:
            continue
        if judged > threshold if row["better"] == "lower" else judged < threshold:
            return severity
    return "within" if any(v is not None for v in row["threshold"].values()) else ""


@contextmanager
def progress() -> Iterator[Show | None]:
    """Bars of first syncs on a terminal; nothing where standard error is none."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(step: Step) -> None:
            if step.source not in tasks:
                tasks[step.source] = bars.add_task(f"first sync of {step.source}", total=step.expected)
            bars.update(tasks[step.source], completed=step.records, total=step.expected)

        yield show
