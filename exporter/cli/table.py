"""The table of KPIs on a terminal: by group, what is beyond a threshold first, then why others have no value."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from exporter.catalogue.group import GROUPS, TIERS
from exporter.evaluation.plan import NOBODY
from exporter.explain.wording import UNSURE, against, age, difference, doubts, value, why, withdrawn

Row = dict[str, Any]
LEVELS = ("critical", "warning", UNSURE)
"""Worst first."""
STYLES = {"critical": "bold red", "warning": "yellow", UNSURE: "dim"}
NUMBERS = ("value", "median", "95 % interval", "n", "target")
OPTIONAL = ("median", "target")
ROLES = ("tier", "indicator", "business owner", "technical owner", "reviewed")
WIDEST = 110  # of a list of names


def kpi_table(
    rows: Sequence[Row],
    window: str,
    at: datetime,
    console: Console | None = None,
    *,
    every: bool = False,
    roles: bool = False,
) -> None:
    """Prints the KPIs with their values in one window. `every`: also those that no source feeds. `roles`: whose."""
    out = console or Console(soft_wrap=True)
    if not rows:  # what runs answers before its first evaluation, too
        out.print("No value is computed yet: the exporter is starting. Ask again in a moment", highlight=False)
        return
    width = min(out.width, WIDEST)
    shown = [row for row in rows if every or (row["chosen"] and row.get("absent") != "no_source")]
    valued = by_kpi(row for row in shown if "absent" not in row and row["window"] in (window, None))
    ages = {age(row["fresh_at"], at) for of in valued.values() for row in of}
    if valued:
        made = table(valued, at, roles=roles, fresh=len(ages) > 1)
        # Whole figures, however narrow the terminal is: a number cut off is another number.
        out.width = max(out.width, Measurement.get(out, out.options.update(width=100_000), made).maximum)
        read = f", read {ages.pop()} ago" if len(ages) == 1 and "never" not in ages else ""
        out.print(f"[italic]KPIs over {window} (states: now){read}[/]", highlight=False)
        out.print(made)
    reasons: dict[str, list[str]] = {}
    for name, of in by_kpi(shown).items():
        if name not in valued:
            reasons.setdefault(reason(of[0], window), []).append(name)
    for line in (*without_value(reasons, width), *unread(shown), *hidden(rows, shown)):
        out.print(line, highlight=False)


def by_kpi(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """KPI -> its rows."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["kpi"], []).append(row)
    return found


def table(valued: dict[str, list[Row]], at: datetime, *, roles: bool, fresh: bool) -> Table:
    """The KPIs that have a value; columns in which nothing would stand are left out."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("KPI", no_wrap=True)
    has = {name: any(row.get(name) is not None for of in valued.values() for row in of) for name in OPTIONAL}
    columns = {**dict.fromkeys(NUMBERS, True), **has, "read": fresh}
    for name in (name for name, is_shown in columns.items() if is_shown):
        made.add_column(name, justify="right", no_wrap=True)
    for name in (*(ROLES if roles else ()), "thresholds"):
        made.add_column(name, no_wrap=True)
    groups = [*GROUPS, *sorted({of[0]["group"] for of in valued.values()} - GROUPS.keys())]
    for group in groups:
        names = [name for name, of in valued.items() if of[0]["group"] == group]
        if names:
            made.add_row(f"[bold]{escape(group.upper())}[/]")
        for name in sorted(names, key=lambda name: rank(valued[name])):
            for row in valued[name]:
                numbers = [cell for column, cell in line(row, at).items() if columns[column]]
                made.add_row(called(row, valued[name]), *numbers, *(whose(row) if roles else ()), judged(row))
                for each in row.get("baselines", ()):
                    numbers = [cell for column, cell in then(row, each).items() if columns[column]]
                    others = [""] * (len(made.columns) - len(numbers) - 2)
                    made.add_row(f"  {each['baseline']}", *numbers, *others, since(row, each))
    return made


def rank(rows: Iterable[Row]) -> tuple[int, int]:
    """What is beyond a threshold first, the worst of it at the top; then headlines, drivers, controls."""
    levels, tiers = [*LEVELS, *("within", "")], [*TIERS, None]
    return min(min(levels.index(against(row)), len(LEVELS)) for row in rows), min(tiers.index(r["tier"]) for r in rows)


def called(row: Row, siblings: Sequence[Row]) -> str:
    """A KPI by its name, with what tells its rows apart; a basis that all have does not."""
    one_basis = len({each["split"].get("basis") for each in siblings}) == 1
    split = ", ".join(text for label, text in row["split"].items() if label != "basis" or not one_basis)
    return escape(f"{row['kpi']} ({split})" if split else row["kpi"])


def line(row: Row, at: datetime) -> dict[str, str]:
    """The numbers of a row, by column."""
    median = row.get("median")
    return {
        "value": value(row),
        "median": "" if median is None else value({**row, "value": median}),
        "95 % interval": "" if row.get("lower") is None else f"{row['lower']:.1%} to {row['upper']:.1%}",
        "n": "" if row["records"] is None else f"{row['records']:,.10g}",
        "target": aim(row),
        "read": age(row["fresh_at"], at),
    }


def whose(row: Row) -> list[str]:
    """What a KPI is for, and who answers for it."""
    owners = ("" if row[key] == NOBODY else escape(row[key]) for key in ("business_owner", "technical_owner"))
    return [row["tier"] or "", row["indicator"] or "", *owners, escape(row["cadence"])]


def judged(row: Row) -> str:
    """How a value stands against its thresholds, and what speaks against it."""
    level = against(row)
    words = f"[{STYLES[level]}]{level}[/]" if level in STYLES else level
    return "; ".join(filter(None, (words, *map(escape, doubts(row, row["window"])))))


def aim(row: Row) -> str:
    """The target, and whether it is met."""
    target, now = row["target"], row["value"]
    if target is None:
        return ""
    met = now is not None and (now <= target if row["better"] == "lower" else now >= target)
    return f"{value({**row, 'value': target})}{' met' if met else ''}"


def then(row: Row, baseline: Row) -> dict[str, str]:
    """The numbers of a baseline, by column."""
    n = "" if baseline["n"] is None or row["records"] is None else f"{baseline['n']:,.0f}"
    blank = dict.fromkeys((*NUMBERS, "read"), "")
    return blank | {"value": value({**row, "value": baseline["value"]}), "n": n}


def since(row: Row, baseline: Row) -> str:
    """The present value over the segments that both sides have, so not always the one above, and the difference."""
    return f"now {value({**row, 'value': baseline['now']})}, {difference(baseline, row['unit'])}"


def reason(row: Row, window: str) -> str:
    """Why a KPI has no value in a window."""
    if row.get("absent") == "no_source":
        needed = " or ".join((" and ".join(row["lacks"]), *row["instead"]))
        return f"no source gives {needed.replace('_', ' ')} records"
    if "absent" in row:
        return why(row)
    return why(row, window) if withdrawn(row, window) else f"no records in {window}"


def without_value(reasons: dict[str, list[str]], width: int) -> Iterator[str]:
    """The KPIs without a value, by reason."""
    if reasons:
        yield "\n[bold]NO VALUE[/]"
    for text, names in reasons.items():
        yield escape(text)
        yield textwrap.fill(escape(", ".join(names)), width, initial_indent="  ", subsequent_indent="  ")


def unread(shown: Iterable[Row]) -> Iterator[str]:
    """What to do where nothing has been read yet."""
    if {row.get("absent") for row in shown} - {"no_source"} == {"initial_sync"}:
        yield "\nThe first sync has not ended: is outcome-exporter run running? Ask again in a moment"


def hidden(rows: Iterable[Row], shown: Iterable[Row]) -> Iterator[str]:
    """What is not shown, and how to see it."""
    left_out = by_kpi(rows).keys() - by_kpi(shown).keys()
    unfed = {row["kpi"] for row in rows if row.get("absent") == "no_source"} & left_out
    beside = len(left_out - unfed)
    told = []
    if unfed:
        told.append(f"{len(unfed)} {'KPIs need' if len(unfed) > 1 else 'KPI needs'} records that no source gives")
    if beside:
        told.append(f"{beside} {'KPIs only come' if beside > 1 else 'KPI only comes'} with those that kpis.only names")
    if told:
        yield f"\n{'; '.join(told)}: outcome-exporter kpis --all"
