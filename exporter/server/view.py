"""What the pages for people say: every KPI in words, and where a figure comes from."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from exporter.catalogue.kpi import parts
from exporter.evaluation.plan import Plan, Setting
from exporter.explain.wording import (
    TERMS,
    WHY,
    against,
    amount,
    baseline,
    cell,
    doubts,
    notes,
    numbers,
    telling,
    trust,
    value,
    why,
    with_median,
    withdrawn,
)

GROUPS = {"numerator": "in the numerator", "denominator": "in the denominator only", "no": "not counted"}


def link(kpi: str, **query: Any) -> str:
    """The page that explains a KPI."""
    return "/explain?" + urlencode({"kpi": kpi} | {name: given for name, given in query.items() if given})


def cards(plan: Plan, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What /kpis shows: a card for each KPI, with how it stands in the window that alerts look at."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["kpi"], []).append(row)
    made = [_card(setting, plan, found.get(setting.kpi.name, ())) for setting in plan.settings]
    fed = {card["record"] for card in made if card["standing"]}
    # What has figures comes first: the records that are fed, and the figures there are of each.
    return sorted(made, key=lambda card: (card["record"] not in fed, card["record"], not card["standing"]))


def _card(setting: Setting, plan: Plan, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kpi = setting.kpi
    windows = [name for name, _ in plan.windows]
    window = kpi.window if kpi.window in windows else windows[0]
    standing = []
    for row in rows:
        if row.get("absent") or row.get("window") not in (window, None):
            continue
        judged = against(dict(row))
        standing.append(
            {
                "split": ", ".join(row["split"].values()),
                "value": with_median(dict(row)),
                "n": "" if row.get("n") is None else f"{row['n']:,.10g}",
                "judged": judged,
                "baselines": [(each["baseline"], baseline(each, row["unit"])) for each in row.get("baselines", ())],
                "good": judged not in ("warning", "critical"),
            }
        )
    reason = next((why(row) for row in rows if row.get("absent")), None if rows else WHY["no_records"])
    at = window if kpi.windowed else "now"
    if rows and not standing and not reason and withdrawn(rows[0], at):
        reason = why(rows[0], at)
    coverage = rows[0]["coverage"] if rows else {}
    limits = setting.threshold.model_dump(exclude_none=True)
    unit = rows[0]["unit"] if rows else kpi.unit
    return {
        "kpi": kpi.name,
        "record": kpi.record.replace("_", " ").capitalize(),
        "title": kpi.title,
        "help": kpi.help,
        "series": kpi.series,
        "made_of": [*map(str, parts(kpi).values())],
        "guard": kpi.guard,
        "thresholds": [(severity, value({"value": limit, "unit": unit})) for severity, limit in limits.items()],
        "better": kpi.better,
        "window": window if kpi.windowed else "now",
        "standing": standing,
        "absent": reason,
        "doubts": doubts({**rows[0], "window": None if at == "now" else at}, at) if standing else [],
        "fields": [
            f"{name} ({by_window[at]:.1%})" if by_window.get(at, 1) < 1 else name
            for name, by_window in coverage.items()
        ],
        "href": link(kpi.name),
    }


def page(found: dict[str, Any]) -> dict[str, Any]:
    """What /explain shows of an answer."""
    kpi, counted = found["kpi"], found.get("counted")
    base = {**found["segment"], "window": found["window"]} | ({"at": found["at"]} if found["pinned"] else {})
    last = found.get("pages", 1)
    number = found.get("page", 1)
    return {
        "title": found["title"],
        "kpi": kpi,
        "help": found["help"],
        "details": found["details"],
        "windows": [(name, link(kpi, **base | {"window": name}), name == found["window"]) for name in found["windows"]],
        "window": found["window"],
        "segment": found["segment"],
        "apart": _apart(found, base),
        "judged": _judged(found),
        "whole": link(kpi, window=found["window"]) if found["segment"].keys() - {"basis", *found["apart"]} else None,
        "numbers": numbers(found),
        "baselines": [
            (
                " ".join((each["baseline"].replace("_", " "), *each.get("split", {}).values())),
                baseline(each, found["unit"]),
                _times(each),
            )
            for each in found.get("baselines", ())
        ],
        "definition": [(TERMS[name], text) for name, text in found["definition"].items()],
        "series": found["series"],
        "guard": [(name, link(name, window=found["window"])) for name in found["guard"]],
        "notes": notes(found),
        "trust": trust(found),
        "sources": [(s["source"], s["state"], cell(s["last_success"]) or "never") for s in found["sources"]],
        "parts": [_part(part, found) for part in found.get("parts", ())],
        "groups": _groups(found, base),
        "columns": [name.replace("_", " ") for name in _columns(found)],
        "records": [_record(row, found) for row in found.get("records", ())],
        "page": number,
        "pages": last,
        "previous": link(kpi, **base, counted=counted, page=number - 1) if number > 1 else None,
        "next": link(kpi, **base, counted=counted, page=number + 1) if number < last else None,
    }


def _times(each: Mapping[str, Any]) -> str:
    """From when to when a baseline is."""
    return ", ".join(f"{begin[:16]} to {end[:16]}".replace("T", " ") for begin, end in each["periods"])


def _part(part: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    told = part["numbers"]
    which = told and told["denominator" if part["part"] == "denominator" else "numerator"]
    return {
        "title": part["title"],
        "part": part["part"],
        "amount": "no value" if which is None else amount(part, which, summed=True),
        "href": link(part["kpi"], **part["segment"], window=found["window"]),
    }


def _apart(found: Mapping[str, Any], base: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(label=value, link) of each other value that the figure could be of, instead of the one shown."""
    made, labels = [], list(found["apart"])
    for i, (label, values) in enumerate(found["apart"].items()):
        # Another stage is left for another one: what follows is chosen anew.
        kept = {name: value for name, value in base.items() if name not in labels[i + 1 :]}
        others = (value for value in sorted(values) if value != found["segment"][label])
        made += [(f"{label}={value}", link(found["kpi"], **{**kept, label: value})) for value in others]
    return made


def _judged(found: dict[str, Any]) -> str:
    """Which threshold the figure breaks, if any."""
    if not found["numbers"] or not found["threshold"]:
        return ""
    judged = against(found["numbers"] | {"threshold": found["threshold"], "better": found["better"]})
    return judged if judged in ("warning", "critical") else ""


def _groups(found: Mapping[str, Any], base: Mapping[str, Any]) -> list[tuple[str, str, str, bool]]:
    """(words, how many, link, whether it is shown now) of each group of records that there can be."""
    if "counts" not in found:
        return []
    counts, chosen = found["counts"], found["counted"]
    shown: list[tuple[str, int, str | None]] = [("all", sum(counts[group] for group in GROUPS), None)]
    shown += [(_words(group, found), counts[group], group) for group in GROUPS if counts[group]]
    return [
        (words, f"{count:,}", link(found["kpi"], **base, counted=group), group == chosen)
        for words, count, group in shown
    ]


def _short(group: str, found: Mapping[str, Any]) -> str:
    return group if found["kind"] == "ratio" else ("no" if group == "no" else "yes")


def _words(group: str, found: Mapping[str, Any]) -> str:
    return "counted" if group == "numerator" and found["kind"] != "ratio" else GROUPS[group]


def _columns(found: dict[str, Any]) -> list[str]:
    """The columns of the table; `url` is the link on `id`."""
    return [name for name in telling(found) if name != "url"] if "columns" in found else []


def _record(row: Mapping[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    url = str(row["url"] or "")
    cells = [(name.replace("_", " "), cell(row[name])) for name in _columns(found)]
    return {
        "counted": row["counted"],
        "cells": [(name, _short(text, found) if name == "counted" else text) for name, text in cells],
        # Whatever else a platform calls a link is not one to follow.
        "url": url if url.startswith(("https://", "http://")) else None,
    }
