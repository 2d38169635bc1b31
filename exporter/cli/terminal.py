"""Tables, explanations and progress on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from exporter.collect.poll import Progress as Step
from exporter.collect.poll import Show
from exporter.explain.roles import in_words
from exporter.explain.wording import (
    TERMS,
    assumed,
    baseline,
    cell,
    notes,
    numbers,
    telling,
    trust,
)


def explanation(answer: dict[str, Any], console: Console | None = None) -> None:
    """Prints where a figure comes from: definition, numbers, freshness, then the records."""
    out = console or Console(soft_wrap=True)
    segment = " ".join(f"{label}={chosen}" for label, chosen in answer["segment"].items())
    at = f" at {cell(answer['at'][:19] + 'Z')} UTC" if answer["pinned"] else ""
    out.print(f"[bold]{escape(answer['title'])}[/] {answer['kpi']} {answer['window'] or 'now'}{at} {escape(segment)}")
    out.print(escape(answer["help"]))
    if answer["details"]:
        out.print(escape(answer["details"]))
    definition = {TERMS[name].lower(): text for name, text in answer["definition"].items()}
    for name, text in (*definition.items(), *(numbers(answer) or {"value": "no value"}).items(), *in_words(answer)):
        out.print(f"  {name}: {escape(text)}", highlight=False)
    for text in _compared(answer):
        out.print(f"  {escape(text)}", highlight=False)
    for source in answer["sources"]:
        last = cell(source["last_success"]) or "never"
        out.print(f"  source {escape(source['source'])}: last success {last}; {escape(source['state'])}")
    for name, text in trust(answer):
        out.print(f"  {name}: {escape(text)}", highlight=False)
    for text in assumed(answer):
        out.print(f"  assumes {escape(text)}", highlight=False)
    for note in notes(answer):
        out.print(f"  {escape(note)}", highlight=False)
    for part in answer.get("parts", ()):
        out.print(f"  part: explain {' '.join((part['kpi'], *(f'{k}={v}' for k, v in part['segment'].items())))}")
    if "records" not in answer:
        return
    table = Table(box=None, pad_edge=False)
    columns = sorted(telling(answer), key=lambda name: name.endswith("url"))  # links are long
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=True)
    for row in answer["records"]:
        table.add_row(*(escape(cell(row[column])) for column in columns))
    # Whole lines, however wide the terminal is: links and ids are there to be copied.
    out.width = max(out.width, Measurement.get(out, out.options.update(width=100_000), table).maximum)
    out.print(table)
    out.print(f"page {answer['page']} of {answer['pages']}")


def _compared(answer: dict[str, Any]) -> Iterator[str]:
    """The value beside baselines, interventions and its usual weekday."""
    for each in answer.get("baselines", ()):
        yield f"{' '.join((each['baseline'], *each.get('split', {}).values()))}: {baseline(each, answer['unit'])}"
    for each in answer.get("interventions", ()):
        yield f"{each['date']} {each['what']} ({each['place']}): {each['text']}"
    for each in answer.get("weekdays", ()):
        yield f"{'unusual' if each['unusual'] else 'usual'}: {each['text']}"


def every_page(page: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """An answer with the records of all its pages."""
    answer = page(1)
    for number in range(2, answer.get("pages", 1) + 1):
        answer["records"] += page(number)["records"]
    return answer


@contextmanager
def bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar, called with (done, total); nothing if standard error is not a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task(description, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def progress() -> Iterator[Show | None]:
    """Progress bars of first syncs; nothing if standard error is not a terminal."""
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
