"""What /explain shows of an explained value."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from exporter.explain.breaches import SEVERITIES
from exporter.explain.query import LARGEST_SIZE
from exporter.explain.roles import in_words
from exporter.explain.sentence import UNSURE, beyond, formula, limits, nouns, records, verdict
from exporter.explain.wording import TERMS, amount, assumed, baseline, cell, notes, numbers, telling, trust, value
from exporter.server.chart import Dot, Level, Mark, drawn, line_chart
from exporter.server.view import link

GROUPS = {"numerator": "in the numerator", "denominator": "in the denominator only", "no": "not counted"}
RANKS = (*SEVERITIES, UNSURE, "good", "")
"""Of what is beyond a threshold, worst first."""
FIRST = 8
"""So many values of a label are shown at once; the others unfold."""
LINES = {"critical": "2 4", "warning": "8 4", "target": "14 3 2 3", "baseline": "5 5"}
Row = Mapping[str, Any]


def page(answer: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of an answer."""
    kpi, counted = answer["kpi"], answer.get("counted")
    base = {**answer["segment"], "window": answer["window"]} | ({"at": answer["at"]} if answer["pinned"] else {})
    last, number = answer.get("pages", 1), answer.get("page", 1)
    words = numbers(answer)
    for told in ("value", "thresholds"):
        words.pop(told, None)
    return {
        "title": answer["title"],
        "kpi": kpi,
        "help": answer["help"],
        "details": answer["details"],
        "tags": [each for each in (answer["tier"], answer["indicator"] and f"{answer['indicator']} indicator") if each],
        "at": datetime.fromisoformat(answer["at"]),
        "pinned": answer["pinned"],
        "present": link(kpi, **base | {"at": None}),
        "windows": [
            (name, link(kpi, **base | {"window": name}), name == answer["window"]) for name in answer["windows"]
        ],
        "chosen": _chosen(answer, base),
        "apart": _apart(answer, base),
        "pickers": _pickers(answer, base),
        "value": _value(answer),
        "records_of": _records_of(answer),
        "verdict": verdict(answer),
        "limits": limits(answer),
        "numbers": words,
        "baselines": [
            (
                " ".join((each["baseline"].replace("_", " "), *each.get("split", {}).values())),
                baseline(each, answer["unit"]),
                _times(each),
            )
            for each in answer.get("baselines", ())
        ],
        "interventions": [
            (f"{_midnight(each['date']):%-d %B %Y}", f"{each['what']} ({each['place']})", each["text"])
            for each in answer.get("interventions", ())
        ],
        "weekdays": [(each["unusual"], each["text"]) for each in answer.get("weekdays", ())],
        "chart": _chart(answer),
        "formula": formula(answer),
        "definition": [(TERMS[name], text) for name, text in answer["definition"].items()],
        "assumptions": assumed(answer),
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
        "downloads": _downloads(answer, base, counted),
        "page": number,
        "pages": last,
        "previous": link(kpi, **base, counted=counted, page=number - 1) if number > 1 else None,
        "next": link(kpi, **base, counted=counted, page=number + 1) if number < last else None,
    }


def _value(answer: Row) -> str:
    numbers_of = answer["numbers"]
    known = numbers_of and numbers_of["value"] is not None
    return amount(answer, numbers_of["value"], days=answer["person_day_seconds"]) if known else "no value"


def _shown(answer: Row, number: float) -> str:
    """A number in the unit of a KPI, short enough for an axis."""
    unit = "" if answer["unit"] not in ("ratio", "seconds") else answer["unit"]
    text = value({"value": number, "unit": unit})
    return text.replace(".0%", "%").replace(".0 ", " ").removesuffix(".00")


def _records_of(answer: Row) -> str:
    """`of 4,560 requests`, where the value is of records."""
    n = records(answer)
    counts = answer["kind"] in ("ratio", "mean", "duration")
    return f"of {n:,.10g} {nouns(answer['record'], n)}" if n is not None and counts else ""


def _chart(answer: Row) -> dict[str, Any] | None:
    """The last weeks as a chart and as a table; without them, whether they are still being computed."""
    points = answer.get("history")
    if points is None:
        return None if answer["pinned"] or answer["numbers"] is None else {"svg": None, "rows": []}
    dots = [
        Dot(datetime.fromisoformat(point["at"]), point["value"], amount(answer, point["value"]))
        if point["value"] is not None
        else Dot(datetime.fromisoformat(point["at"]), None, "no value")
        for point in points
    ]
    levels = [Level(severity, level) for severity, level in answer["threshold"].items()]
    levels += [Level("target", answer["target"])] if answer["target"] is not None else []
    before = next((each for each in answer.get("baselines", ()) if each.get("value") is not None), None)
    levels += [Level("baseline", before["value"])] if before else []
    marks = [
        Mark(_midnight(day), f"{what} ({place})")
        for day, what, place in dict.fromkeys(map(_named_mark, answer.get("interventions", ())))
    ]
    svg = line_chart(
        dots,
        levels,
        title=_named(answer),
        summary=_summary(dots),
        shown=lambda number: _shown(answer, number),
        marks=marks,
    )
    texts = limits(answer) + ([f"baseline ({before['baseline'].replace('_', ' ')})"] if before else [])
    return {
        "svg": svg,
        "legend": [(kind, LINES[kind], text) for text in texts if (kind := text.split()[0])],
        "marks": [(f"{mark.at:%-d %B}", mark.text) for mark in drawn(marks, dots)],
        "rows": [(f"{dot.at:%Y-%m-%d}", dot.text) for dot in dots],
        "gap": svg != Markup() and any(dot.value is None for dot in dots),
    }


def _named_mark(intervention: Row) -> tuple[str, str, str]:
    return intervention["date"], intervention["what"], intervention["place"]


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def _named(answer: Row) -> str:
    segment = ", ".join(f"{label} {chosen}" for label, chosen in answer["segment"].items() if label != "basis")
    return f"{answer['title']}{', ' if segment else ''}{segment}, week by week"


def _summary(dots: Iterable[Dot]) -> str:
    """A line in a sentence."""
    known = [dot for dot in dots if dot.value is not None]
    if not known:
        return ""
    low, high = min(known, key=lambda dot: dot.value or 0.0), max(known, key=lambda dot: dot.value or 0.0)
    return (
        f"From {known[0].text} on {known[0].at:%-d %B} to {known[-1].text} on {known[-1].at:%-d %B}; "
        f"lowest {low.text}, highest {high.text}."
    )


def _chosen(answer: Row, base: Row) -> list[tuple[str, str, str]]:
    """(label, value, link without it) of the labels that were asked for."""
    separate = {"basis", *answer["apart"]}
    return [
        (label, chosen, link(answer["kpi"], **{name: text for name, text in base.items() if name != label}))
        for label, chosen in answer["segment"].items()
        if label not in separate
    ]


def _pickers(answer: Row, base: Row) -> list[dict[str, Any]]:
    """For each label its values with theirs of the KPI, the worst first."""
    pickers = []
    for label, choices in answer["segments"].items():
        rows = sorted((_choice(answer, base, label, each) for each in choices), key=_rank)
        if len(rows) > 1:
            pickers.append({"label": label, "first": rows[:FIRST], "others": rows[FIRST:]})
    return pickers


def _rank(row: Row) -> tuple[int, float, str]:
    return RANKS.index(row["level"]), -row["size"], row["name"]


def _choice(answer: Row, base: Row, label: str, each: Row) -> dict[str, Any]:
    severity, certain = beyond(each, answer["better"], answer["fewest"])
    return {
        "name": each["name"],
        "level": ("" if severity is None else severity if certain else UNSURE),
        "text": "-" if each["value"] is None else amount(answer, each["value"]),
        "size": each["numerator"] if each["denominator"] is None else each["denominator"],
        "n": "" if each["denominator"] is None or not answer["counts_records"] else f"{each['denominator']:,.10g}",
        "current": answer["segment"].get(label) == each["name"],
        "href": link(answer["kpi"], **{**base, label: each["name"]}),
    }


def _downloads(answer: Row, base: Row, counted: str | None) -> list[tuple[str, str]]:
    """(what, link) of the data of this page."""
    rows = sum(answer["counts"][group] for group in GROUPS) if "counts" in answer else 0
    rows = answer["counts"][counted] if counted else rows
    most = f", the first {LARGEST_SIZE:,} records" if rows > LARGEST_SIZE else ""
    return [
        (f"{form.upper()}{most}", link(answer["kpi"], **base, counted=counted, format=form)) for form in ("csv", "json")
    ]


def _times(each: Row) -> str:
    """From when to when a baseline is."""
    return ", ".join(f"{begin[:16]} to {end[:16]}".replace("T", " ") for begin, end in each["periods"])


def _part(part: Row, answer: Row) -> dict[str, Any]:
    numbers_of = part["numbers"]
    which = numbers_of and numbers_of["denominator" if part["part"] == "denominator" else "numerator"]
    return {
        "title": part["title"],
        "part": part["part"],
        "amount": "no value" if which is None else amount({**answer, "unit": part["unit"]}, which, summed=True),
        "href": link(part["kpi"], **part["segment"], window=answer["window"]),
    }


def _apart(answer: Row, base: Row) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """(label, its values with links and whether it is shown) of labels that make no sum: one value is always chosen."""
    pickers, labels = [], list(answer["apart"])
    for i, (label, values) in enumerate(answer["apart"].items()):
        # Another stage is left for another one: what follows is chosen anew.
        others_of = {name: value for name, value in base.items() if name not in labels[i + 1 :]}
        links = [
            (each, link(answer["kpi"], **{**others_of, label: each}), each == answer["segment"][label])
            for each in sorted(values)
        ]
        pickers.append((label, links))
    return pickers


def _groups(answer: Row, base: Row) -> list[tuple[str, str, str, bool]]:
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


def _short(group: str, answer: Row) -> str:
    return group if answer["kind"] == "ratio" else ("no" if group == "no" else "yes")


def _words(group: str, answer: Row) -> str:
    return "counted" if group == "numerator" and answer["kind"] != "ratio" else GROUPS[group]


def _columns(answer: dict[str, Any]) -> list[str]:
    """The columns of the table; `url` is the link on `id`, and so with other ids."""
    return [name for name in telling(answer) if not name.endswith("url")] if "columns" in answer else []


def _record(row: Row, answer: dict[str, Any]) -> dict[str, Any]:
    cells = [(name, cell(row[name]), _link(name, row)) for name in _columns(answer)]
    return {
        "counted": row["counted"],
        "cells": [
            (name.replace("_", " "), _short(text, answer) if name == "counted" else text, url)
            for name, text, url in cells
        ],
    }


def _link(name: str, row: Row) -> str | None:
    """Where the record of an id is opened: `url` of `id`, `again_url` of `again_id`."""
    url = str(row.get(f"{name.removesuffix('id')}url") or "") if name.endswith("id") else ""
    # Whatever else a platform calls a link is not one to follow.
    return url if url.startswith(("https://", "http://")) else None
