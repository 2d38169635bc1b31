"""Explains a value: the records behind a KPI in one window and segment, which of them count, and why others do not."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from exporter.baselines.compare import reduced
from exporter.catalogue.kpi import Kpi, listed, non_additive
from exporter.catalogue.sql import ONE, words
from exporter.evaluation import loss
from exporter.evaluation.add import merge
from exporter.evaluation.breach import resolve
from exporter.evaluation.business_time import UNASSIGNED
from exporter.evaluation.compiled import CompiledPlan, Measure, PartOf, compile_plan
from exporter.evaluation.context import Connection, prepare, utc
from exporter.evaluation.coverage import answer, needed_on
from exporter.evaluation.derived import derive
from exporter.evaluation.figure import Figure, summable
from exporter.evaluation.instant import (
    DAY,
    Scan,
    by_facts,
    countable,
    scans,
)
from exporter.evaluation.plan import Plan
from exporter.evaluation.readiness import unfits, waiting, with_configured
from exporter.evaluation.rows import RowSource, rows_at, segment_value
from exporter.explain.query import GROUPS, Question, Unexplained, setting_of
from exporter.explain.summary import standing, valued
from exporter.publish.cardinality import OTHER
from exporter.publish.families import unit as unit_of
from exporter.records import RECORDS, person_columns
from exporter.records.labels import LABEL_NAMES
from exporter.store.status import SourceStatus

PERSONAL = {column for record in RECORDS.values() for column in person_columns(record)}


def explain(
    connection: Connection,
    plan: Plan,
    at: datetime,
    sources: Sequence[SourceStatus],
    asked: Question,
) -> dict[str, Any]:
    """The explanation, ready for JSON: definition, numbers, freshness and a page of records. Raises Unexplained."""
    compiled = compile_plan(plan)
    measure = _on_basis(compiled, setting_of(plan, asked.kpi).kpi.name, asked)
    kpi = measure.kpi
    read = countable(compiled, compiled.by_name.keys() - measure.names)
    prepare(connection, plan, at, with_configured(plan, sources), {each.kpi.facts for each in read})
    kind = _Derived if measure.parts else _Records
    rows = kind(connection, compiled, at, measure, asked)
    separate: dict[str, list[str]] = {}
    for label in non_additive(kpi):
        # What makes no sum is shown one by one: what most is in comes first.
        if label != "basis" and (values := rows.values(label)):
            separate[LABEL_NAMES.get(label, label)] = values
            if label not in asked.segment:
                rows.asked = asked = replace(asked, segment={**asked.segment, label: values[0]})
    answer: dict[str, Any] = {
        "kpi": kpi.name,
        "title": kpi.title,
        "help": kpi.help,
        "details": kpi.details,
        "kind": kpi.kind,
        "unit": kpi.unit or unit_of(kpi),
        "better": kpi.better,
        "guard": list(kpi.guard),
        "series": list(kpi.series),
        "definition": definition(measure),
        "at": at.isoformat(),
        "pinned": asked.at is not None,
        "window": asked.window if kpi.windowed else None,
        "windows": compiled.windows if kpi.windowed else [],
        "segment": {LABEL_NAMES.get(label, label): value for label, value in asked.segment.items()},
        "apart": separate,
        "threshold": resolve(measure.setting, tuple(asked.segment.items())),
        "absent": unfits(plan, at, with_configured(plan, sources)).get(kpi.name),
        "sources": [
            {
                "source": source.source,
                "records": sorted(source.records & kpi.fed_by),
                "last_success": _plain(source.last_success),
                "state": standing(source),
            }
            for source in sources
            if source.records & kpi.fed_by
        ],
        "notes": _notes(asked),
    }
    answer |= _trust(connection, compiled, at, measure, answer["window"])
    if not answer["absent"] and answer["window"] in waiting(plan, at, sources).get(kpi.name, ()):
        answer["absent"] = "initial_sync"
    windows = compiled.windows
    lost = loss.loss(measure, sources, loss.losses(connection, plan, at, sources))
    answer["unreadable"] = loss.withdrawn(lost, windows, windowed=kpi.windowed)
    if not answer["absent"] and loss.touches(lost, answer["window"] or windows[-1], asked.segment.get("team")):
        answer["absent"] = "unreadable"
    if not answer["absent"] and any(each["too_rare"] for each in answer["coverage"]):
        answer["absent"] = "field_missing"
    return answer | rows.answer()


def _trust(
    connection: Connection, compiled: CompiledPlan, at: datetime, measure: Measure, window: str | None
) -> dict[str, Any]:
    """How far the value can be trusted."""
    checks = [compiled.coverage[field] for field in needed_on(measure)]
    checks += [check for name, check in compiled.unattributed.items() if name == measure.name]
    counted: list[Figure] = []
    for facts, measures in by_facts(check.measure for check in checks).items():
        counted += Scan(connection, compiled.plan, at, facts, measures).figures()
    return answer(measure, compiled.windows, window, counted)


def _on_basis(compiled: CompiledPlan, name: str, asked: Question) -> Measure:
    """The KPI on the requested basis; by default, the basis of its thresholds. Raises Unexplained."""
    measure = compiled.by_name[name]
    if not measure.kpi.business:
        return measure
    asked_for = asked.segment.get("basis", measure.setting.basis)
    bases = {each.basis: each for each in compiled.bases[name]}
    if asked_for not in bases:
        lacks_calendar = "business" in asked_for and not compiled.plan.calendars
        why = "no calendar is configured" if lacks_calendar else "its time on hold is not subtracted"
        raise Unexplained(f"{name} is not computed on the basis {asked_for}: {why}")
    return bases[asked_for]


def definition(measure: Measure) -> dict[str, str]:
    """The definition as declared, with parameters filled in."""
    kpi = measure.kpi
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
    return {name: text.format_map(measure.setting.params) for name, text in texts.items() if text}


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

    def __init__(
        self, connection: Connection, compiled: CompiledPlan, at: datetime, measure: Measure, asked: Question
    ) -> None:
        self.connection, self.plan, self.at, self.asked = connection, compiled.plan, utc(at), asked
        self.measure, self.kpi = measure, measure.kpi
        self.seconds = dict(self.plan.windows)[asked.window]
        self.columns = deciding(measure, self._names())

    def values(self, label: str) -> list[str]:
        """Those of a label, the most frequent first, whichever of them is asked for."""
        if label not in self.measure.labels:
            return []
        counted = f"from ({self._rows(but=label)}) where x_counted group by 1 order by count(*) desc, 1"
        result = self.connection.execute(f"select {segment_value(label)} {counted}").fetchall()
        return [value for (value,) in result]

    def _names(self) -> list[str]:
        columns = self.connection.execute(f"select * {rows_at(self.kpi.facts, self.plan, self.at)} limit 0").description
        return [str(column[0]) for column in columns or ()]

    def _rows(self, but: str = "") -> str:
        """Every row of the segment, with what it counts for. `but`: a label that may have any value."""
        measure = self.measure
        all_labels = (*measure.labels, *self.kpi.numerator_labels, *dict(measure.fixed))
        if unknown := set(self.asked.segment) - {*all_labels}:
            known = ", ".join(LABEL_NAMES.get(label, label) for label in all_labels) or "none"
            raise Unexplained(f"{self.kpi.name} has no label {', '.join(sorted(unknown))}; its labels are: {known}")
        return self._source().sql(but)

    def _source(self) -> RowSource:
        segment = self.asked.segment
        return RowSource(measure=self.measure, plan=self.plan, at=self.at, seconds=self.seconds, segment=segment)

    def answer(self) -> dict[str, Any]:
        rows, sums = self._rows(), self._source().sums
        counts = ", ".join(f"count(*) filter (where x_group = '{group}')" for group in (*GROUPS, "elsewhere"))
        values = sums.values if self.kpi.kind == "duration" else "null"
        query = f"select {sums.numerator}, {sums.denominator or 'null'}, {values}, {counts} from ({rows})"
        n, d, values, *numbers = self.connection.execute(query).fetchall()[0]
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
        formula = self._source().formula
        amounts = {"amount": formula.amount != ONE, "weight": formula.weight not in (ONE, None)}
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
        result = self.connection.execute(
            f"select {', '.join(sql.get(name) or _name(name) for name in shown)} from ({rows}) where x_group {groups} "
            f"order by list_position(['numerator', 'denominator', 'no'], x_group), {order}source, id, x_amount "
            f"limit {self.asked.size} offset {(self.asked.page - 1) * self.asked.size}"
        ).fetchall()
        return [{name: _plain(value) for name, value in zip(shown, row, strict=True)} for row in result]


class _Derived:
    """A KPI made of others: its own numbers, and those of its parts."""

    def __init__(
        self, connection: Connection, compiled: CompiledPlan, at: datetime, measure: Measure, asked: Question
    ) -> None:
        self.measure, self.kpi, self.asked, self.settings = measure, measure.kpi, asked, compiled.settings
        self.figures: list[Figure] = []
        counted = (each for name, bases in compiled.bases.items() if name in measure.names for each in bases)
        for facts, measures in by_facts(counted).items():
            for scan in scans(connection, compiled.plan, at, facts, measures):
                self.figures += scan.figures()
        for each in compiled.by_name.values():
            if each.parts and each.name in measure.names:
                self.figures += derive(each, self.figures)

    def values(self, label: str) -> list[str]:
        """Those of a label, the most frequent first, whichever of them is asked for."""
        wanted = {(name, value) for name, value in self.asked.segment.items() if name != label}
        mine = [f for f in self.figures if f.kpi == self.kpi.name and wanted <= {*f.segment}]
        counts = Counter(value for f in mine for name, value in f.segment if name == label)
        return sorted(counts, key=lambda value: (-counts[value], value))

    def answer(self) -> dict[str, Any]:
        known = {label for f in self.figures if f.kpi == self.kpi.name for label, _ in f.segment}
        unknown = set(self.asked.segment) - known
        if unknown and known:
            labels = ", ".join(sorted(LABEL_NAMES.get(label, label) for label in known))
            raise Unexplained(f"{self.kpi.name} has no label {', '.join(sorted(unknown))}; its labels are: {labels}")
        return {"numbers": self._sum(self.kpi), "parts": [self._part(part) for part in self.measure.parts]}

    def _part(self, part: PartOf) -> dict[str, Any]:
        name, which = part.reference
        kpi = part.measure.kpi if part.measure else None
        labels = {label for f in self.figures if f.kpi == name for label, _ in f.segment}
        segment = {LABEL_NAMES.get(k, k): v for k, v in self.asked.segment.items() if k in labels}
        return {
            "kpi": name,
            "part": which or "numerator",
            "title": kpi.title if kpi else name,
            "unit": (kpi.unit or unit_of(kpi)) if kpi else "",
            "segment": segment,
            "numbers": self._sum(kpi) if kpi else None,
        }

    def _sum(self, kpi: Kpi) -> dict[str, Any] | None:
        mine = [f for f in self.figures if f.kpi == kpi.name and f.window in (self.asked.window, None)]
        # Of one service, what counts under it; of all, every record once.
        one = any(setting.kpi.several in self.asked.segment for setting in self.settings.values())
        mine = [f for f in mine if not f.whole] if one else summable(mine)
        labels = {label for f in mine for label, _ in f.segment}
        wanted = {(label, value) for label, value in self.asked.segment.items() if label in labels}
        chosen = [f for f in mine if wanted <= set(f.segment)]
        if not chosen:
            return None
        [whole] = merge((replace(reduced(f, ()), window=None) for f in chosen), self.settings)
        return _numbers(kpi, whole)


def deciding(measure: Measure, names: Sequence[str]) -> list[str]:
    """The columns of facts that decide whether a row counts: in predicates and values, times, labels. No person."""
    kpi = measure.kpi
    times = [name for name in (kpi.placed_by, kpi.numerator_placed_by) if name]
    wanted = dict.fromkeys((*times, *measure.columns, *measure.labels, *kpi.numerator_labels))
    return [name for name in wanted if name in names and name not in {*PERSONAL, "source", "id", "url"}]


def _numbers(kpi: Kpi, figure: Figure) -> dict[str, Any]:
    shown = {key: value for key, value in valued(kpi, figure).items() if key in ("value", "lower", "upper", "median")}
    return {"numerator": figure.numerator, "denominator": figure.denominator} | shown


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat() + "Z"
    return value
