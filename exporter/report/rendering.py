"""Writes a report as Markdown, CSV or HTML; what it says is in `content`, how it says it in `sentence`."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from exporter.report import sentence
from exporter.report.content import Change, Line, Report, Reviewed, Told
from exporter.report.period import KINDS, REVIEW, NoSuchPeriod
from exporter.report.reader import READERS, Reader
from exporter.server.page import Pages, capital

COLUMNS = (
    "report", "period", "from", "to", "over", "kpi", "title", "place", "label", "segment", "unit", "currency", "value",
    "n", "lower", "upper", "median", "before", "n_before", "difference", "change", "p", "since", "own", "mix", "target",
    "reached", "baseline", "baseline_value", "baseline_n", "warning", "critical", "guard", "why_no_comparison",
    "day", "usual", "usual_lower", "usual_upper", "score",
)  # fmt: skip
NO_HEADLINE = "No headline has a value in this period; what could not be computed is listed below."
REVIEWED = "30, 60 and 90 days after a go-live: what came of it?"
NOTHING_UNUSUAL = "No day of a headline or driver was unlike the same weekday of the eight weeks before."
NOT_COMPARED = (
    "No day could be compared: that takes five of the eight same weekdays before it, and 20 records a day and team."
)
MOST_UNUSUAL = 5
MOST_SHORT = 4
"""Changes that are named in one line."""
MARKS = re.compile(r"[\\`*\[\]<>|]")
ESCAPED = {"<": "&lt;", ">": "&gt;"}
NOTHING_COMPARED = "There was nothing to compare, so nothing is said to have changed."


def nothing(report: Report) -> str:
    """What is said where no change is."""
    if report.better or report.worse or report.neither:
        return ""
    if all(line.absent for line in report.lines.values()):
        return NOTHING_COMPARED
    return f"Nothing that was looked at changed beyond chance from {report.earlier.removeprefix('in ')}."


def memo(report: Report) -> dict[str, Any]:
    """The report in words, part by part: what every format shows."""
    lead = report.lines.get(report.headline or "")
    first = next((name for told in (report.worse, report.better) for name in told.full), None)
    interest = READERS[report.reader]
    live = latest(report)
    what = f"{report.span.title}: {interest.question}"
    return {
        "title": REVIEWED if live else what,
        "live": live,
        "shown_of": report.span.title if live else "",
        "for": f"For {report.reader}" + ("s" if report.reader == "executive" else ""),
        "period": f"{report.span.title} ({report.zone})",
        "at": f"{report.at:%Y-%m-%d %H:%M} UTC",
        "headline": sentence.headline(lead, report.earlier) if lead else NO_HEADLINE,
        "first": "" if first in (None, report.headline) else sentence.short(report.lines[str(first)]) + ".",
        "notes": report.notes,
        "rows": [*rows(report)],
        "reviews": report.reviews,
        "interventions": report.interventions,
        "associations": report.associations,
        "unusual": unusual(report),
        "better": stories(report, report.better),
        "worse": stories(report, report.worse),
        "neither": stories(report, report.neither),
        "nothing": nothing(report),
        "actions": report.actions,
        "no_actions": "Nothing is surely beyond a threshold." if report.lines else "There was no value to judge.",
        "more_actions": report.more_actions,
        "missing": [capital(sentence.missing(reason, titles)) for reason, titles in report.missing],
        "sources": report.sources,
        "assumptions": [capital(each) for each in report.assumptions],
        "method": sentence.method(report),
    }


def unusual(report: Report) -> list[str]:
    """The days that were unlike their weekday; where there are none, whether any could be compared."""
    if report.reviews:
        return []
    if not report.compared_days:
        return [NOT_COMPARED]
    more = len(report.unusual) - MOST_UNUSUAL
    texts = [each.text for each in report.unusual[:MOST_UNUSUAL]]
    return (texts or [NOTHING_UNUSUAL]) + ([f"{more} more, which the CSV lists."] if more > 0 else [])


def latest(report: Report) -> str:
    """How the latest review that has found something ended; empty in a report without reviews."""
    for each in report.reviews:
        due = [stage for stage in each.stages if stage.texts]
        if due:
            return f"{capital(each.title)}. {due[-1].heading.partition(',')[0]}: {due[-1].lead}"
    return "No review has anything to say yet." if report.reviews else ""


def stories(report: Report, told: Told) -> list[str]:
    """What changed, the most important first; the last is all that is only named."""
    short = [sentence.short(report.lines[name]) for name in told.short[:MOST_SHORT]]
    more = len(told.short) - MOST_SHORT
    rest = f"; and {more} more, which the CSV lists" if more > 0 else ""
    return [sentence.story(report.lines[name]) for name in told.full] + (
        [f"Also: {'; '.join(short)}{rest}."] if short else []
    )


def rows(report: Report) -> Iterator[dict[str, Any]]:
    """The headline, the drivers and the controls as rows of a table."""
    places = {report.headline: "Headline"} | dict.fromkeys(report.drivers, "Driver")
    for line in report.shown:
        side = line.change.before if line.change else None
        yield {
            "kpi": line.kpi,
            "place": places.get(line.kpi, "Control"),
            "title": sentence.named(line),
            "value": sentence.shown(line.now.value, line.unit),
            "upper": sentence.upper(line, report.lines),
            "median": "" if line.now.median is None else sentence.shown(line.now.median, line.unit),
            "interval": sentence.interval(line),
            "n": "" if line.now.n is None else f"{line.now.n:,.10g}",
            "before": sentence.shown(side.value, line.unit) if side else "",
            "change": sentence.cell(line),
            "target": sentence.aimed(line),
            "limits": sentence.limits(line),
            "baselines": [sentence.baseline(each, line) for each in line.baselines],
            "guards": sentence.guards(line, report.lines),
        }


def markdown(report: Report) -> str:
    """The report as Markdown."""
    return "\n".join(_markdown(memo(report))).rstrip() + "\n"


def plain(text: str) -> str:
    """A text in which Markdown and HTML are shown as they are, for names come from strangers."""
    return MARKS.sub(lambda sign: ESCAPED.get(sign[0], f"\\{sign[0]}"), " ".join(text.split()))


def code(text: str) -> str:
    """A text as code, in a fence that is not in it."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _markdown(said: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"# {said['title']}", "", f"{said['for']}. {said['period']}. Computed {said['at']}.", "")
    yield from (f"> {note}\n" for note in said["notes"])
    yield from (f"**{plain(said['live'])}**", "") if said["live"] else ()
    for review in said["reviews"]:
        yield from _review(review)
    yield from (f"## {said['shown_of']}", "") if said["live"] else ()
    yield from (f"**{plain(said['headline'])}**", "")
    yield from (f"**{plain(said['first'])}**", "") if said["first"] else ()
    yield "| | KPI | Value | 95 % interval | n | Before | Change | Target, thresholds, baseline | Read beside it |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in said["rows"]:
        value = f"**{plain(row['value'])}**" + (f", {row['upper']}" if row["upper"] else "")
        value += f", median {row['median']}" if row["median"] else ""
        beside = "; ".join(filter(None, (row["target"], row["limits"], *row["baselines"])))
        rest = (row["interval"], row["n"], row["before"], row["change"], beside, ", ".join(row["guards"]))
        cells = (row["place"], plain(row["title"]), value, *map(plain, rest))
        yield f"| {' | '.join(cells)} |"
    yield from _listed("What got better", said["better"])
    yield from _listed("What got worse", said["worse"])
    yield from _listed("What else changed", said["neither"])
    yield from _listed("What was unusual", said["unusual"])
    yield from _listed("What was changed on purpose", said["interventions"])
    yield from _listed("Where most is automated", said["associations"])
    if said["nothing"]:
        yield from ("", "## What changed", "", said["nothing"])
    actions = [f"**{plain(each.what)}** {each.do} Records: {code(each.look)}" for each in said["actions"]]
    more = (
        [f"{said['more_actions']} more beyond a threshold; the command kpis lists them."]
        if said["more_actions"]
        else []
    )
    yield from _bullets("What to do next", [*actions, *more] or [said["no_actions"]])
    yield from _listed("What could not be computed", said["missing"])
    yield from _listed("Sources that need a look", said["sources"])
    yield from _listed("What the money and the time saved rest on", said["assumptions"])
    yield from ("", "## How to read this", "", said["method"])


def _review(review: Reviewed) -> Iterator[str]:
    yield from (f"## {plain(capital(review.title))}", "")
    for stage in review.stages:
        yield from (f"**{stage.heading}.** {stage.lead}", "")
        yield from (f"- {plain(text)}" for text in stage.texts)
        yield from ("",) if stage.texts else ()


def _listed(heading: str, texts: Sequence[str]) -> Iterator[str]:
    yield from _bullets(heading, [*map(plain, texts)])


def _bullets(heading: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield from ("", f"## {heading}", "", *(f"- {text}" for text in texts))


def asked(query: Mapping[str, str]) -> tuple[str, Reader]:
    """(period, reader) of a query. Raises NoSuchPeriod."""
    if unknown := sorted(query.keys() - {"period", "for"}):
        raise NoSuchPeriod(f"{unknown[0]}: a report has no such parameter; it takes period, for and format")
    wanted = query.get("for") or next(iter(READERS))
    reader = next((each for each in READERS if each == wanted), None)
    if reader is None:
        raise NoSuchPeriod(f"for {wanted!r}: choose one of {', '.join(READERS)}")
    return query.get("period") or KINDS[0], reader


def page(report: Report, period: str) -> dict[str, Any]:
    """What the page shows."""
    choices = {"period": period, "periods": [*KINDS, REVIEW], "reader": report.reader, "readers": [*READERS]}
    return {"said": memo(report), **choices}


def html(report: Report) -> str:
    """The report as a page that needs no other file."""
    return Pages().other("report_file", said=memo(report))


def table(report: Report) -> str:
    """The values of the report, and of every segment behind a change, as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    written = [row for line in report.lines.values() for row in _values(line, report)] + [*_unusual(report)]
    writer.writerows({key: harmless(value) for key, value in row.items()} for row in written)
    return out.getvalue()


def _values(line: Line, report: Report) -> Iterator[dict[str, Any]]:
    span, places = report.span, {report.headline: "headline"} | dict.fromkeys(report.drivers, "driver")
    places |= dict.fromkeys(report.controls, "control")
    common = {
        "report": report.reader,
        "period": span.name,
        "from": span.begins_at.isoformat(),
        "to": span.until.isoformat(),
        "over": "yes" if span.over else "no",
        "kpi": line.kpi,
        "title": line.title,
        "place": places.get(line.kpi, ""),
        "unit": line.unit.name,
        "currency": line.unit.currency or "",
        "segment": ", ".join(line.of.values()),
    }
    now = line.now
    plain = {"value": now.value, "n": now.n, "lower": now.lower, "upper": now.upper, "median": now.median}
    compared = line.baselines[0] if line.baselines else None
    yield {
        **common,
        **plain,
        **(_changed(line.change) if line.change else {"why_no_comparison": line.absent}),
        "target": line.target,
        "reached": {True: "yes", False: "no", None: "" if line.target is None else "not certain"}[line.reached],
        "baseline": compared.kind if compared else "",
        "baseline_value": compared.change.before.value if compared else None,
        "baseline_n": compared.change.before.n if compared else None,
        **line.limits,
        "guard": " ".join(line.guards),
    }
    for each in line.split.segments if line.split and line.moved else ():
        yield {
            **common,
            "label": line.split.label if line.split else "",
            "segment": each.name,
            **(_changed(each.change) if each.change else {}),
            "own": each.contribution.own,
            "mix": each.contribution.mix,
        }


def _unusual(report: Report) -> Iterator[dict[str, Any]]:
    """A row for each KPI and team that was unusual, of the day on which it was most so."""
    for each in report.unusual:
        of, segment = each.worst, dict(each.worst.segment)
        line = report.lines.get(of.kpi)
        yield {
            "report": report.reader,
            "period": report.span.name,
            "kpi": of.kpi,
            "title": line.title if line else "",
            "place": "unusual",
            "label": "team" if "team" in segment else "",
            "segment": harmless(", ".join(text for label, text in of.segment if label not in ("basis", "currency"))),
            "unit": line.unit.name if line else "",
            "currency": segment.get("currency", ""),
            "value": of.value,
            "n": of.n,
            "day": " ".join(f"{day:%Y-%m-%d}" for day in each.days),
            "usual": of.usual,
            "usual_lower": of.lower,
            "usual_upper": of.upper,
            "score": of.score,
        }


def _changed(change: Change) -> dict[str, Any]:
    return {
        "value": change.now.value,
        "n": change.now.n,
        "lower": change.now.lower,
        "upper": change.now.upper,
        "before": change.before.value,
        "n_before": change.before.n,
        "difference": change.difference,
        "change": change.verdict,
        "p": change.p,
        "since": "" if change.since is None else f"{change.since.day:%Y-%m-%d}",
    }


def harmless(value: object) -> object:
    """A text that no spreadsheet takes for a formula, for names come from strangers; a number stays one."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


FORMATS: Mapping[str, Callable[[Report], str]] = {"html": html, "md": markdown, "csv": table}
"""The formats that are text."""


def render(report: Report, form: str) -> str:
    """The report in a format of FORMATS; a PDF is printed from its HTML, see `pdf`."""
    return FORMATS[form](report)
