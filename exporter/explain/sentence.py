"""An explained value in sentences: how it is computed, and how it compares with its thresholds."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.explain.breaches import SEVERITIES
from exporter.explain.wording import amount

UNSURE = "unsure"
NOUNS = {
    "opportunity": "opportunities",
    "activity": "activity records",
    "audit": "audit records",
    "service_level": "service level records",
}
"""Records whose plural is no `s`."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What thresholds say to a value. `level`: critical, warning, unsure (beyond, but of too few records), good or "".

    `text`: the same in a sentence; empty where there is no threshold or no value.
    """

    level: str
    text: str


def nouns(record: str | None, count: float | None = None) -> str:
    """What the rows of a KPI are called, in the plural if there is not one."""
    if record is None:
        return "row" if count == 1 else "rows"
    words = record.replace("_", " ")
    return words if count == 1 else NOUNS.get(record, f"{words}s")


def side(better: str) -> str:
    """On which side of a threshold a value is bad."""
    return "above" if better == "lower" else "below"


def limit(answer: Row, severity: str, level: float) -> str:
    """`warning below 30.0%`."""
    return f"{severity} {side(answer['better'])} {amount(answer, level)}"


def limits(answer: Row) -> list[str]:
    """All thresholds with their direction, the worst first, then the target."""
    levels = answer["threshold"]
    found = [limit(answer, severity, levels[severity]) for severity in SEVERITIES if severity in levels]
    if answer.get("target") is not None:
        reached = {"lower": "at most", "higher": "at least"}.get(answer["better"], "is")
        found.append(f"target {reached} {amount(answer, answer['target'])}")
    return found


def beyond(row: Row, better: str, fewest: float | None) -> tuple[str | None, bool]:
    """(the worst threshold that a value is beyond, whether that is certain), judged as alerts do.

    `row`: value, its interval where there is one, denominator and thresholds.
    """
    levels = [(severity, row["threshold"][severity]) for severity in SEVERITIES if severity in row["threshold"]]
    worse = operator.gt if better == "lower" else operator.lt

    def broken(number: float | None) -> str | None:
        return next((severity for severity, level in levels if number is not None and worse(number, level)), None)

    few = fewest is not None and (row["denominator"] or 0.0) < fewest
    bound = row.get("lower" if better == "lower" else "upper")
    certain = None if few else broken(row["value"] if bound is None else bound)
    return certain or broken(row["value"]), certain is not None


def verdict(answer: Row) -> Verdict:
    """What thresholds say to an explained value."""
    numbers, levels = answer["numbers"], answer["threshold"]
    if not numbers or numbers["value"] is None or not levels or answer["better"] == "none":
        return Verdict("", "")
    severity, certain = beyond({**numbers, "threshold": levels}, answer["better"], answer["fewest"])
    if severity is None:
        return Verdict("good", f"Within its thresholds ({', '.join(limits(answer)[: len(levels)])}).")
    text = f"Beyond the {severity} threshold ({limit(answer, severity, levels[severity])})"
    if certain:
        return Verdict(severity, f"{text}.")
    n = records(answer)
    of = "with few records" if n is None else f"with {n:,.10g} {nouns(answer['record'], n)}"
    return Verdict(UNSURE, f"{text}, but {of} not certain: no alert.")


def records(answer: Row) -> float | None:
    """How many records an explained value is of; None where its denominator does not count them."""
    numbers, counts = answer["numbers"], answer.get("counts")
    if not numbers or not counts:
        return None
    counted = counts["numerator"] + (counts["denominator"] if numbers["denominator"] is not None else 0)
    return float(counted)


def formula(answer: Row) -> str:
    """How the value is computed, in a sentence with its numbers; empty if there is no value."""
    numbers = answer["numbers"]
    if not numbers or numbers["value"] is None:
        return ""
    return _derived(answer) if answer["kind"] == "derived" else _counted(answer)


def _counted(answer: Row) -> str:
    numbers, definition, kind = answer["numbers"], answer["definition"], answer["kind"]
    shown, n = amount(answer, numbers["value"], days=answer["person_day_seconds"]), records(answer) or 0.0
    of = f"{n:,.10g} {nouns(answer['record'], n)}"
    when = f" in the last {answer['window']}" if answer["window"] else " now"
    below = numbers["denominator"]
    from_them = "" if below == n else f", from {of}"
    if kind == "ratio":
        above = f"{numbers['numerator']:,.10g}"
        parts = f"{above} of {of}" if below == n else f"{above} divided by {below:,.10g}{from_them}"
        return f"{parts}{when}: {shown}."
    if below is not None:
        total = amount(answer, numbers["numerator"], summed=True)
        over = of if below == n else f"{below:,.10g}{from_them}"
        return f"The mean over {over}{when}: {total} / {below:,.10g} = {shown}."
    if kind == "sum" or "value" in definition:
        added = "largest" if "aggregate" in definition else "sum"
        return f"The {added} over {of}{when}: {shown}."
    return f"{of} counted{when}" + (f": {shown} a day." if "per" in definition else ".")


def _derived(answer: Row) -> str:
    words = {"numerator": "", "minus": " less ", "denominator": " divided by "}
    text = ""
    for role, part in zip(_roles(answer), answer["parts"], strict=True):
        numbers = part["numbers"]
        shown = numbers and numbers["denominator" if part["part"] == "denominator" else "numerator"]
        told = "no value" if shown is None else amount({**answer, "unit": part["unit"]}, shown, summed=True)
        whole = part["part"] == "numerator" and (not numbers or numbers["denominator"] is None)
        what = part["title"] if whole else f"the {part['part']} of {part['title']}"
        text += f"{words[role]}{what} ({told})"
    per = f", per {float(answer['definition']['per']):,.10g}" if "per" in answer["definition"] else ""
    return f"{text}{per}: {amount(answer, answer['numbers']['value'])}."


def _roles(answer: Row) -> list[str]:
    """What each part of a derived KPI is to it."""
    return [role for role in ("numerator", "minus", "denominator") if role in answer["definition"]]
