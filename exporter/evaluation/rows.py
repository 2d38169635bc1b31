"""Rows of facts as SQL: those that hold at an instant, and what a measure makes of each. A figure adds them up; an
explanation shows them page by page.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.catalogue.kpi import listed
from exporter.catalogue.sql import Formula
from exporter.evaluation.business_time import UNASSIGNED, measured
from exporter.evaluation.compiled import Measure
from exporter.evaluation.plan import Plan


def rows_at(facts: str, plan: Plan, at: datetime, since: datetime | None = None) -> str:
    """SQL: the rows of facts at a time (UTC, without zone), as far back as `since`, or as the longest window."""
    since = since or at - timedelta(seconds=plan.windows[-1][1])
    return f"from {rows_of(facts, plan, since, at, at)}"


def rows_of(facts: str, plan: Plan, since: datetime, first: datetime, last: datetime) -> str:
    """SQL: the rows of facts that hold between two times."""
    rows = f"{facts}_facts({timestamp(since)}, {timestamp(first)}, {timestamp(last)})"
    return measured(rows, facts, plan, last.year)


def under_each(rows: str, label: str) -> str:
    """SQL: rows, each once under every value it has of a label."""
    return f'(select * exclude ("{label}"), unnest("{listed(label)}") as "{label}" from {rows})'


def segment_value(label: str) -> str:
    """SQL: a row's value of a label."""
    return f"""coalesce(nullif(trim("{label}"::varchar), ''), '{UNASSIGNED}')"""


def timestamp(at: datetime) -> str:
    """An instant without zone as an SQL literal."""
    return f"timestamp '{at.isoformat(sep=' ')}'"


def quoted(text: str) -> str:
    """A text within quotes."""
    return text.replace("'", "''")


@dataclass(frozen=True, kw_only=True)
class RowSource:
    """The rows of a measure in one window and segment, with what each counts for.

    Its columns beside those of the facts: x_counted (in the denominator, or in the figure), x_above (in the numerator),
    x_amount and x_weight (what it adds to them), x_placed (in the window), x_group (numerator, denominator, no, or
    elsewhere), x_why (why it does not count).
    """

    measure: Measure
    plan: Plan
    at: datetime  # UTC, without zone
    seconds: int  # of the window
    segment: Mapping[str, str]
    since: datetime | None = None  # what was over by then is not read; None: by the begin of the longest window

    @property
    def formula(self) -> Formula:
        """What is counted, over the rows of facts."""
        if not self.measure.formula:
            raise ValueError(f"{self.measure.name} is derived: it has no rows")
        return self.measure.formula

    @property
    def sums(self) -> Formula:
        """The same over these rows: what adds them up to the figure."""
        return self.formula.over_columns()

    def sql(self, but: Collection[str] = ()) -> str:
        """A SELECT of all rows of the segment. `but`: labels that may have any value."""
        kpi, formula, measure = self.measure.kpi, self.formula, self.measure
        placed, inside = self._placed(kpi.placed_by), self._placed(kpi.numerator_placed_by or kpi.placed_by)
        above = f"{formula.above} and {inside} and {self.has_all(kpi.numerator_labels)}"
        why = " ".join(f"when {condition} then '{quoted(reason)}'" for condition, reason in formula.refusals)
        segment = self.has_all(tuple(label for label in measure.labels if label not in but))
        return (
            f"select *, coalesce({formula.counted} and {placed}, false) as x_counted, "
            f"coalesce({above}, false) as x_above, coalesce({placed}, false) as x_placed, "
            f"{formula.amount} as x_amount, {formula.weight or 'null'} as x_weight, "
            "case when x_above then 'numerator' when x_counted then 'denominator' "
            "when x_placed then 'no' else 'elsewhere' end as x_group, "
            f"case when x_counted then null {why} end as x_why "
            f"{rows_at(kpi.facts, self.plan, self.at, self.since)} where {segment}"
        )

    def _placed(self, column: str | None) -> str:
        begin = self.at - timedelta(seconds=self.seconds)
        return f'"{column}" > {timestamp(begin)} and "{column}" <= {timestamp(self.at)}' if column else "true"

    def has_all(self, labels: tuple[str, ...]) -> str:
        """SQL: whether a row has the values of the segment, of some labels."""
        chosen = [(label, value) for label, value in self.segment.items() if label in labels]
        return " and ".join([self._has(label, quoted(value)) for label, value in chosen] or ["true"])

    def _has(self, label: str, value: str) -> str:
        """SQL: whether a row has a value of a label, or it among others."""
        if label != self.measure.kpi.several:
            return f"{segment_value(label)} = '{value}'"
        return f"list_contains(list_transform(\"{listed(label)}\", lambda s: {segment_value('s')}), '{value}')"
