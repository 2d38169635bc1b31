"""Data for the page that explains a value."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from exporter.explain.roles import in_words
from exporter.explain.wording import (
    TERMS,
    against,
    amount,
    baseline,
    cell,
    notes,
    numbers,
    telling,
    trust,
)

GROUPS = {"numerator": "in the numerator", "denominator": "in the denominator only", "no": "not counted"}


def link(kpi: str, **query: Any) -> str:
    """The page that explains a KPI."""
    return "/explain?" + urlencode({"kpi": kpi} | {name: text for name, text in query.items() if text})


def page(answer: dict[str, Any]) -> dict[str, Any]:
    """What /explain shows of an answer."""
    kpi, counted = answer["kpi"], answer.get("counted")
    base = {**answer["segment"], "window": answer["window"]} | ({"at": answer["at"]} if answer["pinned"] else {})
    last = answer.get("pages", 1)
    number = answer.get("page", 1)
    return {
        "title": answer["title"],
        "kpi": kpi,
        "help": answer["help"],
        "details": answer["details"],
        "windows": [
            (name, link(kpi, **base | {"window": name}), name == answer["window"]) for name in answer["windows"]
        ],
        "window": answer["window"],
        "segment": answer["segment"],
        "apart": _apart(answer, base),
        "judged": _judged(answer),
        "whole": link(kpi, window=answer["window"]) if answer["segment"].keys() - {"basis", *answer["apart"]} else None,
        "numbers": numbers(answer),
        "baselines": [
            (
                " ".join((each["baseline"].replace("_", " "), *each.get("split", {}).values())),
                baseline(each, answer["unit"]),
                _times(each),
            )
            for each in answer.get("baselines", ())
        ],
        "definition": [(TERMS[name], text) for name, text in answer["definition"].items()],
        "roles": in_words(answer),
        "series": answer["series"],
        "guard": [(name, link(name, window=answer["window"])) for name in answer["guard"]],
        "notes": notes(answer),
        "trust": trust(answer),
        "sources": [(s["source"], s["state"], cell(s["last_success"]) or "never") for s in answer["sources"]],
        "parts": [_part(part, answer) for part in answer.get("parts", ())],
        "groups": _groups(answer, base),
        "columns": [name.replace("_", " ") for name in _columns(answer)],
        "records": [_record(row, answer) for row in answer.get("records", ())],
        "page": number,
        "pages": last,
        "previous": link(kpi, **base, counted=counted, page=number - 1) if number > 1 else None,
        "next": link(kpi, **base, counted=counted, page=number + 1) if number < last else None,
    }


def _times(each: Mapping[str, Any]) -> str:
    """From when to when a baseline is."""
    return ", ".join(f"{begin[:16]} to {end[:16]}".replace("T", " ") for begin, end in each["periods"])


def _part(part: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    numbers = part["numbers"]
    which = numbers and numbers["denominator" if part["part"] == "denominator" else "numerator"]
    return {
        "title": part["title"],
        "part": part["part"],
        "amount": "no value" if which is None else amount(part, which, summed=True),
        "href": link(part["kpi"], **part["segment"], window=answer["window"]),
    }


def _apart(answer: Mapping[str, Any], base: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(label=value, link) of each other value that the figure could be of, instead of the one shown."""
    links, labels = [], list(answer["apart"])
    for i, (label, values) in enumerate(answer["apart"].items()):
        # Another stage is left for another one: what follows is chosen anew.
        others_of = {name: value for name, value in base.items() if name not in labels[i + 1 :]}
        others = (value for value in sorted(values) if value != answer["segment"][label])
        links += [(f"{label}={value}", link(answer["kpi"], **{**others_of, label: value})) for value in others]
    return links


def _judged(answer: dict[str, Any]) -> str:
    """Which threshold the figure breaks, if any."""
    if not answer["numbers"] or not answer["threshold"]:
        return ""
    level = against(answer["numbers"] | {"threshold": answer["threshold"], "better": answer["better"]})
    return level if level in ("warning", "critical") else ""


def _groups(answer: Mapping[str, Any], base: Mapping[str, Any]) -> list[tuple[str, str, str, bool]]:
    """(words, how many, link, whether it is shown now) of each group of records that there can be."""
    if "counts" not in answer:
        return []
    counts, chosen = answer["counts"], answer["counted"]
    shown: list[tuple[str, int, str | None]] = [("all", sum(counts[group] for group in GROUPS), None)]
    shown += [(_words(group, answer), counts[group], group) for group in GROUPS if counts[group]]
    return [
        (words, f"{count:,}", link(answer["kpi"], **base, counted=group), group == chosen)
        for words, count, group in shown
    ]


def _short(group: str, answer: Mapping[str, Any]) -> str:
    return group if answer["kind"] == "ratio" else ("no" if group == "no" else "yes")


def _words(group: str, answer: Mapping[str, Any]) -> str:
    return "counted" if group == "numerator" and answer["kind"] != "ratio" else GROUPS[group]


def _columns(answer: dict[str, Any]) -> list[str]:
    """The columns of the table; `url` is the link on `id`."""
    return [name for name in telling(answer) if name != "url"] if "columns" in answer else []


def _record(row: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    url = str(row["url"] or "")
    cells = [(name.replace("_", " "), cell(row[name])) for name in _columns(answer)]
    return {
        "counted": row["counted"],
        "cells": [(name, _short(text, answer) if name == "counted" else text) for name, text in cells],
        # Whatever else a platform calls a link is not one to follow.
        "url": url if url.startswith(("https://", "http://")) else None,
    }
