"""Values, KPIs and explanations in words, for the terminal and for web pages."""

import operator
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
WHY = {
    "no_source": "no source",
    "initial_sync": "first sync",
    "stale_source": "stale source",
    "no_records": "no records",
    "unreadable": "too many records of a source could not be read",
    "field_missing": "field missing",
    "switched_off": "computed from a KPI that is switched off",
    "no_team_label": "computed by team, and team is not a label of its record",
    "no_history": "records do not reach back that far",
    "period_not_over": "the period is not over",
    "definition_changed": "the definition changed and its records are gone",
    "no_match": "no segment has both sides",
    "failed": "failed, see the log",
}
UNSURE = "beyond, but few records"
"""A value beyond a threshold, of too few records for an alert."""

MOST_ASSUMPTIONS = 12
"""So many are shown to people."""

TERMS = {
    "facts": "Rows",
    "placed_by": "Window by",
    "numerator_placed_by": "Numerator: window by",
    "numerator": "Numerator",
    "minus": "Less",
    "denominator": "Denominator",
    "where": "Counted where",
    "value": "Value of a record",
    "weight": "Weight",
    "aggregate": "Combined by",
    "per": "Per",
}
"""The parts of a definition, in words."""


def why(row: Mapping[str, Any], window: str | None = None) -> str:
    """Why a KPI has no value; if fields are missing, which ones, and how often they are filled."""
    found = "unreadable" if window in row["unreadable"]["all"] else "field_missing"
    reason = row.get("absent") or ("initial_sync" if window in row["waiting"] else found)
    few = lacking(row, window)
    text = f"{WHY.get(reason, reason)}: {few}" if reason == "field_missing" and few else WHY.get(reason, reason)
    return "; ".join((text, *partial(row)))


def withdrawn(row: Mapping[str, Any], window: str) -> bool:
    """Whether a KPI has no value in a window because records or fields are missing there, or still to be read."""
    return window in row["waiting"] or window in row["unreadable"]["all"] or bool(lacking(row, window))


def doubts(row: Mapping[str, Any], window: str | None) -> list[str]:
    """What is missing from a value: whole files, and teams too many of whose records could not be read."""
    return [*partial(row), *unread_teams(row, window if row["window"] else "now")]


def partial(row: Mapping[str, Any]) -> list[str]:
    """The sources that have files that cannot be read."""
    return [
        f"partial: {count:,} {'file' if count == 1 else 'files'} of {source} cannot be read"
        for source, count in row["partial"].items()
    ]


def unread_teams(row: Mapping[str, Any], window: str | None) -> list[str]:
    """The teams whose values are withdrawn in a window, and why."""
    teams = [team for team, windows in row["unreadable"]["teams"].items() if window in windows]
    return [f"without {', '.join(teams)}: too many records could not be read"] if teams else []


def lacking(row: Mapping[str, Any], window: str | None = None) -> str:
    """The fields that are filled too rarely in a window (None: in the last window that has one)."""
    few = [
        (name, each, ratio)
        for name, by_window in row["coverage"].items()
        for each, ratio in by_window.items()
        if ratio < row["min_coverage"] and window in (None, each)
    ]
    last = few[-1][1] if few else None
    shown = ", ".join(f"{name} {ratio:.1%}" for name, each, ratio in few if each == last)
    return f"{shown} of records, {row['min_coverage']:.0%} needed" if few else ""


def value(row: dict[str, Any]) -> str:
    """A value in its unit, for people."""
    number, unit = row["value"], row["unit"]
    if number is None:
        return "-"
    if unit == "ratio":
        return f"{number:.1%}"
    if unit == "seconds":
        return worked(number, day) if (day := row.get("person_day_seconds")) else length(number)
    if unit == "currency":
        return f"{number:,.2f} {row.get('currency') or ''}".rstrip()
    return counted(number, unit)


def worked(seconds: float, day_seconds: float) -> str:
    """Working time in hours, and in the days of a person."""
    days = seconds / day_seconds
    return f"{seconds / 3600:,.1f} h ({days:,.1f} person-{'day' if f'{days:.1f}' == '1.0' else 'days'})"


def counted(number: float, unit: str) -> str:
    """A number with what it is a number of: `412 requests`, `1 person`."""
    text = f"{number:,.2f}" if number % 1 else f"{number:,.0f}"
    noun, _, rest = unit.partition(" ")
    if noun == "score":
        return text
    if text == "1":
        noun = "person" if noun == "people" else re.sub("ie$", "y", noun.removesuffix("s"))
    return " ".join(filter(None, (text, noun, rest)))


def with_median(row: dict[str, Any]) -> str:
    """A value, and the median beside the mean of a duration."""
    middle = row.get("median")
    return value(row) if middle is None else f"{value(row)} (median {value(row | {'value': middle})})"


def difference(each: Mapping[str, Any], unit: str) -> str:
    """The difference between a value and its baseline, with its sign."""
    amount = each["difference"]
    if amount is None:
        return "-"
    if unit == "ratio":
        return f"{amount * 100:+.1f} points"
    return f"{'-' if amount < 0 else '+'}{value({'value': abs(amount), 'unit': unit})}"


def baseline(each: Mapping[str, Any], unit: str) -> str:
    """A baseline in words: its value and n, and the present value over the same segments."""
    if "absent" in each:
        return f"none: {WHY.get(each['absent'], each['absent'])}"
    n, n_now = ("" if each[key] is None else f" (n = {each[key]:,.10g})" for key in ("n", "n_now"))
    then, now = (value({"value": each[key], "unit": unit}) for key in ("value", "now"))
    return f"{then}{n}; now {now}{n_now}, {difference(each, unit)}"


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
    levels = [(name, level) for name in ("critical", "warning") if (level := row["threshold"].get(name)) is not None]

    def broken(number: float | None) -> str | None:
        worse = operator.gt if row["better"] == "lower" else operator.lt
        return next((name for name, level in levels if number is not None and worse(number, level)), None)

    bound = row.get("lower" if row["better"] == "lower" else "upper")
    if not row.get("few") and (severity := broken(row["value"] if bound is None else bound)):
        return severity
    # The value is, but of too few records to be sure: no alert fires.
    return UNSURE if broken(row["value"]) else "within" if levels else ""


def numbers(answer: dict[str, Any]) -> dict[str, str]:
    """A value and its parts in words, by name; empty if there is no value."""
    parts = answer["numbers"]
    if parts is None:
        return {}
    words = {"value": amount(answer, parts["value"], days=answer.get("person_day_seconds"))}
    if parts["denominator"] is not None:
        words["value"] += f" = {amount(answer, parts['numerator'], summed=True)} / {parts['denominator']:,.10g}"
    if parts.get("median") is not None:
        words["median"] = amount(answer, parts["median"])
    if parts.get("lower") is not None:
        words["95 % interval"] = f"{parts['lower']:.1%} to {parts['upper']:.1%}"
    if answer.get("target") is not None:
        words["target"] = amount(answer, answer["target"])
    if answer.get("threshold"):
        words["thresholds"] = ", ".join(
            f"{severity} {amount(answer, limit)}" for severity, limit in answer["threshold"].items()
        )
    return words


def trust(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How often each needed field is filled, by source, and the unattributed share."""
    shown = [
        (
            f"{each['record']}.{each['field']}",
            "no records that should have it"
            if each["ratio"] is None
            else f"filled on {each['ratio']:.1%}"
            + "".join(f", {source} {ratio:.1%}" for source, ratio in each["by_source"].items() if each["ratio"] < 1)
            + (f"; otherwise {each['instead']} is used" if each["instead"] and each["ratio"] < 1 else ""),
        )
        for each in answer["coverage"]
    ]
    nobody = answer["unattributed"]
    return shown + ([] if nobody is None else [("unattributed", f"{nobody:.1%}")])


def assumed(answer: Mapping[str, Any]) -> list[str]:
    """What a value rests on that nobody has measured, the first of it."""
    texts = [each["text"] for each in answer["assumptions"]]
    now, high = answer.get("numbers"), (answer.get("upper") or {}).get("numbers")
    if now and high and high["value"] not in (None, now["value"]):
        days = answer.get("person_day_seconds")
        texts.insert(0, f"at the upper end of manual time: {amount(answer, high['value'], days=days)}")
    rest = len(texts) - MOST_ASSUMPTIONS
    return texts[:MOST_ASSUMPTIONS] + ([f"{rest} more, which the JSON lists"] if rest > 0 else [])


def amount(answer: Mapping[str, Any], number: float, *, summed: bool = False, days: float | None = None) -> str:
    """A number in the unit of a KPI and the currency asked for; `summed`: what is divided to get it.

    `days`: the seconds of a person's day, of working time.
    """
    if summed and answer["unit"] not in ("seconds", "currency"):
        return f"{number:,.10g}"
    currency = answer["segment"].get("currency")
    return value({"value": number, "unit": answer["unit"], "currency": currency, "person_day_seconds": days})


def notes(answer: dict[str, Any]) -> list[str]:
    """What a reader should know before the records."""
    texts = [*answer["notes"]]
    if answer["absent"]:
        texts.append(f"Not published now: {WHY.get(answer['absent'], answer['absent'])}.")
    texts += [f"Published {each}." for each in unread_teams(answer, answer["window"] or "now")]
    # A column may be asked for twice, of different records: the worst says it.
    rare = {
        (each["column"], each["record"]): each["ratio"]
        for each in sorted(answer["coverage"], key=lambda each: each["ratio"] or 0.0, reverse=True)
        if each["too_rare"]
    }
    texts += [
        f"{column} of {record} is known on {ratio:.1%} of the records that should have it, "
        f"and {answer['min_coverage']:.0%} are needed: fill it under fields: of the source, "
        f"or lower the KPI's min_coverage."
        for (column, record), ratio in rare.items()
    ]
    if elsewhere := answer.get("counts", {}).get("elsewhere"):
        time = answer["definition"]["placed_by"]
        texts.append(f"{elsewhere:,} more records of this segment have no {time} yet, so they are in no window.")
    return texts


def telling(answer: dict[str, Any]) -> list[str]:
    """The columns of records that are not empty and do not repeat another column."""
    records = answer["records"]
    names = [name for name in answer["columns"] if any(row[name] not in (None, "") for row in records)]
    others = [[row[name] for row in records] for name in names if name != "amount"]
    return [name for name in names if name != "amount" or [row[name] for row in records] not in others]


def cell(content: Any) -> str:
    """A value of a record, for people."""
    if content is None:
        return ""
    if isinstance(content, bool):
        return "yes" if content else "no"
    if isinstance(content, str) and MOMENT.fullmatch(content):
        return f"{content[:10]} {content[11:19]}"
    return f"{content:,.10g}" if isinstance(content, float) else str(content)
