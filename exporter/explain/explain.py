"""Where a figure comes from: the records behind a KPI in one window and segment, which of them count, and why not."""

import re
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from exporter.baselines.compare import reduced
from exporter.catalogue.kpi import Kpi, kept_apart, labels_of, listed, parts
from exporter.catalogue.sql import LIST, ONE, formula, total, words
from exporter.evaluation import loss
from exporter.evaluation.add import merge
from exporter.evaluation.breach import resolve
from exporter.evaluation.business_time import UNASSIGNED, on_each_basis
from exporter.evaluation.context import Connection, prepare, utc
from exporter.evaluation.coverage import answer, coverage, needed_on, unattributed
from exporter.evaluation.derived import derive
from exporter.evaluation.figure import Figure, summable
from exporter.evaluation.instant import (
    DAY,
    Scan,
    countable,
    scans,
    segment_value,
    stood,
    timestamp,
    unfits,
    with_configured,
)
from exporter.evaluation.plan import Feed, Plan, Setting
from exporter.explain.query import GROUPS, Question, Unexplained, setting_of
from exporter.explain.summary import Fed, standing, valued
from exporter.publish.cardinality import OTHER
from exporter.publish.families import unit as unit_of
from exporter.records import RECORDS, person_columns
from exporter.records.labels import LABEL_NAMES

PERSONAL = {column for record in RECORDS.values() for column in person_columns(record)}
NAME = re.compile(r"'(?:[^']|'')*'|\"?([a-zA-Z_][a-zA-Z0-9_]*)\"?")


def explain(
    connection: Connection, plan: Plan, at: datetime, sources: Sequence[Fed], feeds: Sequence[Feed], asked: Question
) -> dict[str, Any]:
    """The answer, ready for JSON: definition, numbers, freshness, then a page of records. Raises Unexplained."""
    setting = _on_basis(setting_of(plan, asked.kpi), asked, plan)
    kpi = setting.kpi
    names = {kpi.name, *loss.whole(kpi, plan.kpis)}
    read = countable(replace(plan, settings=[s for s in plan.settings if s.kpi.name in names]), {})
    prepare(connection, plan, at, with_configured(plan, feeds), {s.kpi.facts for s in read})
    kind = _Derived if kpi.kind == "derived" else _Records
    made = kind(connection, plan, at, setting, asked)
    apart: dict[str, list[str]] = {}
    for label in kept_apart(kpi):
        # What makes no sum is shown one by one: what most is in comes first.
        if label != "basis" and (values := made.values(label)):
            apart[LABEL_NAMES.get(label, label)] = values
            if label not in asked.segment:
                made.asked = asked = replace(asked, segment={**asked.segment, label: values[0]})
    found: dict[str, Any] = {
        "kpi": kpi.name,
        "title": kpi.title,
        "help": kpi.help,
        "details": kpi.details,
        "kind": kpi.kind,
        "unit": kpi.unit or unit_of(kpi),
        "better": kpi.better,
        "guard": list(kpi.guard),
        "series": list(kpi.series),
        "definition": definition(setting),
        "at": at.isoformat(),
        "pinned": asked.at is not None,
        "window": asked.window if kpi.windowed else None,
        "windows": [name for name, _ in plan.windows] if kpi.windowed else [],
        "segment": {LABEL_NAMES.get(label, label): value for label, value in asked.segment.items()},
        "apart": apart,
        "threshold": resolve(setting, tuple(asked.segment.items())),
        "absent": unfits(plan, with_configured(plan, feeds)).get(kpi.name),
        "sources": [
            {
                "source": fed.source,
                "records": sorted(fed.records & kpi.fed_by),
                "last_success": _plain(fed.last_success),
                "state": standing(fed),
            }
            for fed in sources
            if fed.records & kpi.fed_by
        ],
        "notes": _notes(asked),
    }
    found |= _trust(connection, plan, at, setting, found["window"])
    windows = [name for name, _ in plan.windows]
    lost = loss.loss(kpi, plan.kpis, feeds, loss.losses(connection, plan, at, feeds))
    found["unreadable"] = loss.told(lost, windows, windowed=kpi.windowed)
    if not found["absent"] and loss.touches(lost, found["window"] or windows[-1], asked.segment.get("team")):
        found["absent"] = "unreadable"
    if not found["absent"] and any(each["too_rare"] for each in found["coverage"]):
        found["absent"] = "field_missing"
    return found | made.answer()


def _trust(connection: Connection, plan: Plan, at: datetime, setting: Setting, window: str | None) -> dict[str, Any]:
    """How far the figure can be believed."""
    by_name = {each.kpi.name: each for each in plan.settings}
    rule = setting.kpi.unattributed
    asked = [*map(coverage, needed_on(setting, by_name)), *([unattributed(setting, rule)] if rule else [])]
    counted: list[Figure] = []
    for facts in sorted({each.kpi.facts for each in asked}):
        counted += Scan(connection, plan, at, facts, [each for each in asked if each.kpi.facts == facts]).figures()
    return answer(setting, by_name, [name for name, _ in plan.windows], window, counted)


def _on_basis(setting: Setting, asked: Question, plan: Plan) -> Setting:
    """The KPI as it is counted on the basis that is asked for; the one that has its thresholds where none is."""
    asked_for = asked.segment.get("basis", setting.basis)
    bases = {dict(each.fixed).get("basis"): each for each in on_each_basis(setting, plan)}
    if setting.kpi.business and asked_for not in bases:
        lacks_calendar = "business" in asked_for and not plan.calendars
        why = "no calendar is configured" if lacks_calendar else "its time on hold is not subtracted"
        raise Unexplained(f"{setting.kpi.name} is not computed on the basis {asked_for}: {why}")
    return bases[asked_for] if setting.kpi.business else setting


def definition(setting: Setting) -> dict[str, str]:
    """What is counted, in the words of the declaration, parameters filled in."""
    kpi = setting.kpi
    texts = {
        "facts": None if kpi.kind == "derived" else kpi.facts,
        "placed_by": kpi.placed_by,
        "numerator_placed_by": kpi.numerator_placed_by,
        "numerator": words(kpi, "numerator"),
        "minus": kpi.minus,
        "denominator": words(kpi, "denominator"),
        "where": words(kpi, "where") if kpi.kind not in ("ratio", "derived") and kpi.where != "true" else None,
        "value": words(kpi, "value"),
        "weight": words(kpi, "weight"),
        "aggregate": "max" if kpi.aggregate == "max" else None,
        "per": str(kpi.per) if kpi.per else None,
    }
    return {name: text.format_map(setting.params) for name, text in texts.items() if text}


def _notes(asked: Question) -> list[str]:
    notes = []
    for label, value in asked.segment.items():
        published = LABEL_NAMES.get(label, label)
        if value == OTHER:
            notes.append(
                f"{published}=other combines the values beyond the series limit and cannot be "
                f"explained exactly: only records whose own {published} is `other` are shown."
            )
        if value == UNASSIGNED:
            notes.append(f"{published}=unassigned: records without a {published}.")
    return notes


class _Records:
    """The rows behind a KPI that is not derived."""

    def __init__(self, connection: Connection, plan: Plan, at: datetime, setting: Setting, asked: Question) -> None:
        self.connection, self.plan, self.at, self.setting, self.asked = connection, plan, utc(at), setting, asked
        self.kpi, self.formula = setting.kpi, formula(setting.kpi, setting.params)
        self.seconds = dict(plan.windows)[asked.window]
        self.names = self._names()
        self.columns = deciding(self.kpi, setting.params, self.names, plan)

    def values(self, label: str) -> list[str]:
        """Those of a label, the most frequent first, whichever of them is asked for."""
        if label not in labels_of(self.kpi, self.plan.labels):
            return []
        counted = f"from ({self._rows(but=label)}) where x_counted group by 1 order by count(*) desc, 1"
        found = self.connection.execute(f"select {segment_value(label)} {counted}").fetchall()
        return [value for (value,) in found]

    def _names(self) -> list[str]:
        found = self.connection.execute(f"select * {stood(self.kpi.facts, self.plan, self.at)} limit 0").description
        return [str(column[0]) for column in found or ()]

    def _segment(self, labels: Sequence[str]) -> str:
        chosen = [(label, value) for label, value in self.asked.segment.items() if label in labels]
        return " and ".join([self._has(label, _quoted(value)) for label, value in chosen] or ["true"])

    def _has(self, label: str, value: str) -> str:
        """SQL: whether a row has a value of a label, or it among others."""
        if label != self.kpi.several:
            return f"{segment_value(label)} = '{value}'"
        return f"list_contains(list_transform(\"{listed(label)}\", lambda s: {segment_value('s')}), '{value}')"

    def _placed(self, column: str | None) -> str:
        begin = self.at - timedelta(seconds=self.seconds)
        return f'"{column}" > {timestamp(begin)} and "{column}" <= {timestamp(self.at)}' if column else "true"

    def _rows(self, but: str = "") -> str:
        """Every row of the segment, with what it counts for. `but`: a label that may have any value."""
        kpi, made = self.kpi, self.formula
        labels = labels_of(kpi, self.plan.labels)
        all_labels = (*labels, *kpi.numerator_labels, *dict(self.setting.fixed))
        unknown = set(self.asked.segment) - {*all_labels}
        if unknown:
            known = ", ".join(LABEL_NAMES.get(label, label) for label in all_labels) or "none"
            raise Unexplained(f"{kpi.name} has no label {', '.join(sorted(unknown))}; its labels are: {known}")
        placed, inside = self._placed(kpi.placed_by), self._placed(kpi.numerator_placed_by or kpi.placed_by)
        why = " ".join(f"when {condition} then '{_quoted(reason)}'" for condition, reason in made.refusals)
        return (
            f"select *, coalesce({made.counted} and {placed}, false) as x_counted, "
            f"coalesce({made.above} and {inside} and {self._segment(kpi.numerator_labels)}, false) as x_above, "
            f"coalesce({placed}, false) as x_placed, {made.amount} as x_amount, {made.weight or 'null'} as x_weight, "
            f"case when x_above then 'numerator' when x_counted then 'denominator' "
            f"when x_placed then 'no' else 'elsewhere' end as x_group, "
            f"case when x_counted then null {why} end as x_why "
            f"{stood(kpi.facts, self.plan, self.at)} where {self._segment([each for each in labels if each != but])}"
        )

    def answer(self) -> dict[str, Any]:
        rows, made = self._rows(), self.formula
        below = total("x_weight" if made.weight != ONE else ONE, "x_counted") if made.weight else "null"
        above = total("x_amount" if made.amount != ONE else ONE, "x_above", made.aggregate)
        counts = ", ".join(f"count(*) filter (where x_group = '{group}')" for group in (*GROUPS, "elsewhere"))
        values = f"{LIST}x_amount::double) filter (where x_above)" if self.kpi.kind == "duration" else "null"
        asked = f"select {above}, {below}, {values}, {counts} from ({rows})"
        n, d, values, *numbers = self.connection.execute(asked).fetchall()[0]
        n = float(n) / (self.seconds / DAY if self.kpi.per == "day" else 1)
        runs = (array("d", values),) if values else ()
        whole = Figure(self.kpi.name, None, (), n, None if d is None else float(d), values=runs)
        counted = dict(zip((*GROUPS, "elsewhere"), numbers, strict=True))
        listed = counted[self.asked.counted] if self.asked.counted else sum(numbers[:-1])
        pages = max(1, -(-listed // self.asked.size))
        if self.asked.page > pages:
            raise Unexplained(f"page {self.asked.page}: there {'is' if pages == 1 else 'are'} {pages}")
        return {
            "numbers": _numbers(self.kpi, whole),
            "counts": counted,
            "columns": self._shown(),
            "records": self._page(rows),
            "counted": self.asked.counted,
            "page": self.asked.page,
            "pages": pages,
            "size": self.asked.size,
        }

    def _shown(self) -> list[str]:
        amounts = {"amount": self.formula.amount != ONE, "weight": self.formula.weight not in (ONE, None)}
        added = [name for name, is_shown in amounts.items() if is_shown]
        # An amount may be a column of the record as it is; it is shown once.
        return [*dict.fromkeys(["counted", "source", "id", "url", *self.columns, *added, "why"])]

    def _page(self, rows: str) -> list[dict[str, Any]]:
        sql = {"counted": "x_group", "why": "x_why", "amount": "x_amount", "weight": "x_weight"}
        if self.kpi.several:
            sql[self.kpi.several] = f"array_to_string(\"{listed(self.kpi.several)}\", ', ')"
        shown = self._shown()
        groups = f"= '{self.asked.counted}'" if self.asked.counted else "<> 'elsewhere'"
        newest = self.kpi.placed_by or self.kpi.numerator_placed_by
        order = f'"{newest}" desc nulls last, ' if newest else ""
        found = self.connection.execute(
            f"select {', '.join(sql.get(name) or _name(name) for name in shown)} from ({rows}) where x_group {groups} "
            f"order by list_position(['numerator', 'denominator', 'no'], x_group), {order}source, id, x_amount "
            f"limit {self.asked.size} offset {(self.asked.page - 1) * self.asked.size}"
        ).fetchall()
        return [{name: _plain(value) for name, value in zip(shown, row, strict=True)} for row in found]


class _Derived:
    """A KPI made of others: its own numbers, and those of its parts."""

    def __init__(self, connection: Connection, plan: Plan, at: datetime, setting: Setting, asked: Question) -> None:
        self.plan, self.kpi, self.asked = plan, setting.kpi, asked
        self.settings = {s.kpi.name: s for s in plan.settings}
        wanted = self._wanted(setting.kpi)
        self.figures: list[Figure] = []
        counted = [s for s in plan.settings if s.kpi.name in wanted and s.kpi.kind != "derived"]
        for facts in sorted({s.kpi.facts for s in counted}):
            for scan in scans(connection, plan, at, facts, [s for s in counted if s.kpi.facts == facts]):
                self.figures += scan.figures()
        for s in plan.settings:
            if s.kpi.name in wanted and s.kpi.kind == "derived":
                self.figures += derive(s.kpi, self.figures, plan)

    def values(self, label: str) -> list[str]:
        """Those of a label, the most frequent first, whichever of them is asked for."""
        wanted = {(name, value) for name, value in self.asked.segment.items() if name != label}
        mine = [f for f in self.figures if f.kpi == self.kpi.name and wanted <= {*f.segment}]
        found = Counter(value for f in mine for name, value in f.segment if name == label)
        return sorted(found, key=lambda value: (-found[value], value))

    def _wanted(self, kpi: Kpi) -> set[str]:
        below = (part.split(".")[0] for part in (parts(kpi) if kpi.kind == "derived" else ()))
        return {kpi.name}.union(*(self._wanted(self.settings[name].kpi) for name in below if name in self.settings))

    def answer(self) -> dict[str, Any]:
        known = {label for f in self.figures if f.kpi == self.kpi.name for label, _ in f.segment}
        unknown = set(self.asked.segment) - known
        if unknown and known:
            labels = ", ".join(sorted(LABEL_NAMES.get(label, label) for label in known))
            raise Unexplained(f"{self.kpi.name} has no label {', '.join(sorted(unknown))}; its labels are: {labels}")
        return {"numbers": self._sum(self.kpi), "parts": [self._part(part) for part in parts(self.kpi)]}

    def _part(self, part: str) -> dict[str, Any]:
        name, _, which = part.partition(".")
        setting = self.settings.get(name)
        labels = {label for f in self.figures if f.kpi == name for label, _ in f.segment}
        segment = {LABEL_NAMES.get(k, k): v for k, v in self.asked.segment.items() if k in labels}
        return {
            "kpi": name,
            "part": which or "numerator",
            "title": setting.kpi.title if setting else name,
            "unit": (setting.kpi.unit or unit_of(setting.kpi)) if setting else "",
            "segment": segment,
            "numbers": self._sum(setting.kpi) if setting else None,
        }

    def _sum(self, kpi: Kpi) -> dict[str, Any] | None:
        mine = [f for f in self.figures if f.kpi == kpi.name and f.window in (self.asked.window, None)]
        # Of one service, what counts under it; of all, every record once.
        one = any(setting.kpi.several in self.asked.segment for setting in self.settings.values())
        mine = [f for f in mine if not f.whole] if one else summable(mine)
        labels = {label for f in mine for label, _ in f.segment}
        wanted = {(label, value) for label, value in self.asked.segment.items() if label in labels}
        found = [f for f in mine if wanted <= set(f.segment)]
        if not found:
            return None
        [whole] = merge((replace(reduced(f, ()), window=None) for f in found), self.settings)
        return _numbers(kpi, whole)


def deciding(kpi: Kpi, params: Mapping[str, str], names: Sequence[str], plan: Plan) -> list[str]:
    """The columns of facts that decide whether a row counts: in predicates and values, times, labels. No person."""
    texts = (kpi.numerator, kpi.denominator, kpi.value, kpi.weight, kpi.where)
    used = [name for text in texts if text for name in NAME.findall(text.format_map(params))]
    times = [name for name in (kpi.placed_by, kpi.numerator_placed_by) if name]
    wanted = dict.fromkeys((*times, *used, *labels_of(kpi, plan.labels), *kpi.numerator_labels))
    return [name for name in wanted if name in names and name not in {*PERSONAL, "source", "id", "url"}]


def _numbers(kpi: Kpi, figure: Figure) -> dict[str, Any]:
    told = {key: value for key, value in valued(kpi, figure).items() if key in ("value", "lower", "upper", "median")}
    return {"numerator": figure.numerator, "denominator": figure.denominator} | told


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat() + "Z"
    return value
