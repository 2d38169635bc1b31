"""The records behind a value: which of them count, in which part, and why others do not."""

from array import array
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from exporter.base.clock import DAY
from exporter.catalogue.facts import facts
from exporter.catalogue.kpi import listed, non_additive
from exporter.catalogue.sql import ONE
from exporter.evaluation.compiled import CompiledPlan, Measure
from exporter.evaluation.context import Connection, cut, utc
from exporter.evaluation.facts_schema import columns_of
from exporter.evaluation.figure import Figure
from exporter.evaluation.reach import bounded
from exporter.evaluation.rows import RowSource, segment_value
from exporter.explain.query import GROUPS, Question, Unexplained, no_label
from exporter.explain.summary import valued
from exporter.records import RECORDS, person_columns

PERSONAL = {column for record in RECORDS.values() for column in person_columns(record)}
TABLE = "explained"
"""A temporary table of the rows of a segment: they are read once, then added up and shown."""


class Records:
    """The rows behind a KPI that is not derived, in the window and segment of a question."""

    def __init__(
        self, connection: Connection, compiled: CompiledPlan, at: datetime, measure: Measure, asked: Question
    ) -> None:
        self.connection, self.asked, self.measure, self.kpi = connection, asked, measure, measure.kpi
        all_labels = (*measure.labels, *self.kpi.numerator_labels, *dict(measure.fixed))
        if unknown := set(asked.segment) - {*all_labels}:
            raise no_label(asked, unknown, all_labels)
        self.plan, self.at, self.seconds = compiled.plan, utc(at), dict(compiled.plan.windows)[asked.window]
        self.columns = deciding(measure, columns_of(self.kpi.facts))
        self.separate = [label for label in non_additive(self.kpi) if label in measure.labels]
        # Where nothing but the window is asked for, a cost is one row, and not one for each shorter window.
        cut(connection, replace(compiled.plan, windows=[(asked.window, self.seconds)]), at)
        self._keep()

    @property
    def source(self) -> RowSource:
        """The rows in the present segment, read back no further than they must be."""
        since = self.at - timedelta(seconds=self.seconds) if bounded(self.measure, self.plan) else None
        segment = self.asked.segment
        return RowSource(
            measure=self.measure, plan=self.plan, at=self.at, seconds=self.seconds, segment=segment, since=since
        )

    def _keep(self) -> None:
        """Reads the rows that are in the window, or whose time is unknown, whatever value they have of what makes no
        sum: which values there are is a question of its own.
        """
        lists = [listed(self.kpi.several)] if self.kpi.several else []
        names = dict.fromkeys(("source", "id", "url", *self.columns, *self.measure.labels, *lists))
        made = ("x_counted", "x_above", "x_amount", "x_weight", "x_group", "x_why")
        columns = ", ".join([*map(_name, names), *made])
        placed = f" or {_name(self.kpi.placed_by)} is null" if self.kpi.placed_by else ""
        self.connection.execute(
            f"create or replace temp table {TABLE} as select {columns} "
            f"from ({self.source.sql(but=self.separate)}) where x_placed{placed}"
        )

    def values(self, label: str) -> list[str]:
        """Those of a label that makes no sum, the most frequent first, whichever of them is asked for."""
        if label not in self.separate:
            return []
        others = self._chosen(each for each in self.separate if each != label)
        counted = f"from {TABLE} where x_counted and {others} group by 1 order by count(*) desc, 1"
        return [value for (value,) in self.connection.execute(f"select {segment_value(label)} {counted}").fetchall()]

    def _chosen(self, labels: Iterable[str]) -> str:
        return self.source.has_all(tuple(labels))

    def answer(self) -> dict[str, Any]:
        """The value and its parts, how many rows count, and a page of them."""
        sums, rows = self.source.sums, f"from {TABLE} where {self._chosen(self.separate)}"
        counts = ", ".join(f"count(*) filter (where x_group = '{group}')" for group in (*GROUPS, "elsewhere"))
        values = f"list_sort({sums.values})" if self.kpi.kind == "duration" else "null"
        query = f"select {sums.numerator}, {sums.denominator or 'null'}, {values}, {counts} {rows}"
        n, d, values, *numbers = self.connection.execute(query).fetchall()[0]
        n = float(n) / (self.seconds / DAY if self.kpi.per == "day" else 1)
        runs = (array("d", values),) if values else ()
        whole = Figure(self.kpi.name, None, (), n, None if d is None else float(d), values=runs)
        counted = dict(zip((*GROUPS, "elsewhere"), numbers, strict=True))
        shown = counted[self.asked.counted] if self.asked.counted else sum(numbers[:-1])
        pages = max(1, -(-shown // self.asked.size))
        if self.asked.page > pages:
            raise Unexplained(f"page {self.asked.page}: there {'is' if pages == 1 else 'are'} {pages}")
        return {
            "numbers": parts_of(self.measure, whole),
            "counts": counted,
            "columns": self._shown(),
            "records": self._page(rows),
            "counted": self.asked.counted,
            "page": self.asked.page,
            "pages": pages,
            "size": self.asked.size,
        }

    def _shown(self) -> list[str]:
        formula = self.source.formula
        amounts = {"amount": formula.amount != ONE, "weight": formula.weight not in (ONE, None)}
        added = [name for name, is_shown in amounts.items() if is_shown]
        # An amount may be a column of the record as it is; it is shown once.
        return [*dict.fromkeys(["counted", "source", "id", "url", *self.columns, *self._looked_up(), *added, "why"])]

    def _looked_up(self) -> dict[str, str]:
        """Column -> SQL of what is looked up for the rows that are shown."""
        return {each.name: each.sql for each in facts(self.kpi.facts).main.look_ups if each.beside in self.columns}

    def _page(self, rows: str) -> list[dict[str, Any]]:
        sql = {"counted": "x_group", "why": "x_why", "amount": "x_amount", "weight": "x_weight"}
        if self.kpi.several:
            sql[self.kpi.several] = f"array_to_string(\"{listed(self.kpi.several)}\", ', ')"
        later = self._looked_up()
        shown = [name for name in self._shown() if name not in later]
        groups = f"= '{self.asked.counted}'" if self.asked.counted else "<> 'elsewhere'"
        newest = self.kpi.placed_by or self.kpi.numerator_placed_by
        order = f'"{newest}" desc nulls last, ' if newest else ""
        columns = ", ".join(f"{sql.get(name) or _name(name)} as {_name(name)}" for name in shown)
        page = (
            f"select {columns}, row_number() over () as x_nth from (select * {rows} and x_group {groups} "
            f"order by list_position(['numerator', 'denominator', 'no'], x_group), {order}source, id, x_amount "
            f"limit {self.asked.size} offset {(self.asked.page - 1) * self.asked.size})"
        )
        looked_up = "".join(f", {what} as {_name(name)}" for name, what in later.items())
        result = self.connection.execute(f"select * exclude (x_nth){looked_up} from ({page}) shown order by x_nth")
        names = [*shown, *later]
        return [{name: plain(value) for name, value in zip(names, row, strict=True)} for row in result.fetchall()]


def deciding(measure: Measure, names: Iterable[str]) -> list[str]:
    """The columns of facts that decide whether a row counts (in predicates and values, times, labels), and those that
    facts always show. No person."""
    kpi, known = measure.kpi, {*names}
    times = [name for name in (kpi.placed_by, kpi.numerator_placed_by) if name]
    wanted = dict.fromkeys(
        (*times, *measure.columns, *measure.labels, *kpi.numerator_labels, *facts(kpi.facts).main.shows)
    )
    return [name for name in wanted if name in known and name not in {*PERSONAL, "source", "id", "url"}]


def parts_of(measure: Measure, figure: Figure) -> dict[str, Any]:
    """A value with its numerator and denominator, and what is known of how sure it is."""
    shown = {
        key: value for key, value in valued(measure.kpi, figure).items() if key in ("value", "lower", "upper", "median")
    }
    return {"numerator": figure.numerator, "denominator": figure.denominator} | shown


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def plain(value: Any) -> Any:
    """A value for JSON."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat() + "Z"
    return value
