"""PromQL that writes text: values, counts and whole sentences as labels, since one cell can only show a label so."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from exporter.catalogue.kpi import Kpi

MINUTES = tuple(
    f"{name}_seconds" for name in ("first_response", "handle", "lead_response", "mtta", "mttd", "run", "queue")
)
DAYS = ("backlog_age_seconds", "cycle_seconds", "payback_seconds", "time_to_value_seconds")
"""Durations of which people speak in minutes, and in days; of all others in hours."""
REASONS = {
    "no_source": "no source feeds it",
    "initial_sync": "first sync is going on",
    "stale_source": "its source is stale",
    "no_records": "no records",
    "field_missing": "its records lack a field",
    "unreadable": "too much is unreadable",
    "switched_off": "switched off",
    "no_team_label": "its record has no teams",
}
"""Reason for absence -> what is shown in place of a value."""


@dataclass(frozen=True)
class Form:
    """How a KPI is written: multiplied by `scale`, rounded to `step`, with `suffix`."""

    scale: float
    step: float
    suffix: str

    @property
    def unit(self) -> str:
        """The Grafana unit of what is scaled."""
        return "percentunit" if self.suffix == " %" else f"suffix:{self.suffix}" if self.suffix else "locale"

    @property
    def decimals(self) -> int:
        return 0 if self.step >= 1 else 1 if self.step >= 0.1 else 2

    def scaled(self, expr: str) -> str:
        return expr if self.scale == 1 else f"({expr}) * {self.scale:.15g}"


def form(kpi: Kpi) -> Form:
    """One unit for each KPI, so that its values can be compared at a glance."""
    if kpi.name.endswith("_seconds"):
        of = (60.0, " min") if kpi.name in MINUTES else (86400.0, " d") if kpi.name in DAYS else (3600.0, " h")
        return Form(1 / of[0], 0.1, of[1])
    if kpi.name.endswith("_ratio"):
        return Form(100, 0.1, " %")
    if kpi.unit == "currency":
        return Form(1, 0.01 if "per" in kpi.name.split("_") else 1, "")
    return Form(1, 0.1 if kpi.divided or kpi.per else 1, " / day" if kpi.per == "day" else "")


def drawn(kpi: Kpi) -> Form:
    """The same for numbers that Grafana writes: it knows shares, and draws an axis of percents by itself."""
    how = form(kpi)
    return Form(1, how.step, how.suffix) if how.suffix == " %" else how


def joined(expr: str, label: str, text: str, *parts: str) -> str:
    """A label made of others: `{0}` in the text is the first of them."""
    made = f'label_join({expr}, "{label}", "\\u0001", {", ".join(quoted(part) for part in parts)})'
    text = re.sub(r"\{(\d)\}", lambda match: f"${{{int(match[1]) + 1}}}", text)
    pattern = "\\u0001".join(["(.*)"] * len(parts))
    return f'label_replace({made}, "{label}", "{text}", "{label}", "{pattern}")'


def quoted(text: str) -> str:
    return f'"{text}"'


def labelled(expr: str, label: str, text: str) -> str:
    """The same with one more label."""
    return f'label_replace({expr}, "{label}", "{text}", "", "")'


def written(expr: str, label: str, by: str, how: Form, text: str = "{}") -> str:
    """1 for each segment, with its value as a label; thousands are set apart."""
    grouping = f" by ({by})" if by else ""
    made = f'count_values{grouping} ("{label}", round({how.scaled(f"({expr})")}, {how.step:g}))'
    if how.step >= 1:
        for _ in range(2):  # thousands, then millions
            made = f'label_replace({made}, "{label}", "$1,$2", "{label}", "(-?[0-9]+)([0-9]{{3}}(?:,.*)?)")'
    shown = text.replace("{}", "$1" + how.suffix)
    return made if shown == "$1" else f'label_replace({made}, "{label}", "{shown}", "{label}", "(.*)")'


def mapped(expr: str, label: str, source: str, texts: Iterable[tuple[str, str]]) -> str:
    """A label whose text depends on another one."""
    for pattern, text in texts:
        expr = f'label_replace({expr}, "{label}", "{text}", "{source}", "{pattern}")'
    return expr


def address(expr: str, page: str, labels: Iterable[str] = ()) -> str:
    """A label `address`: a page of the exporter, asked for those of the labels that a segment has.

    Hidden in a table, where a link can use it: a link cannot leave out what a row lacks.
    """
    parts = []
    for i, label in enumerate(labels):
        parts.append(f"a{i}")
        expr = f'label_replace({expr}, "a{i}", "&{label}=$1", "{label}", "(.+)")'
        expr = f'label_replace({expr}, "a{i}", "&{label}=$1%26$2", "{label}", "([^&]*)&([^&]*)")'
    if not parts:
        return labelled(expr, "address", page)
    made = f'label_join({expr}, "address", "", {", ".join(map(quoted, parts))})'
    made = f'label_replace({made}, "address", "{page}$1", "address", "(.*)")'
    for part in parts:
        made = labelled(made, part, "")
    return made


def age(expr: str, label: str, by: str) -> str:
    """A length of time in the unit that suits it, as a label."""
    steps = ((0, 120, 1, " s"), (120, 7200, 60, " min"), (7200, 172800, 3600, " h"), (172800, 0, 86400, " d"))
    parts = []
    for least, most, seconds, suffix in steps:
        chosen = f"({expr})" + (f" >= {least}" if least else "") + (f" < {most}" if most else "")
        parts.append(written(chosen, label, by, Form(1 / seconds, 1 if seconds == 1 else 0.1, suffix)))
    return "(" + " or ".join(parts) + ")"
