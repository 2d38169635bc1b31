"""A KPI as SQL over its rows: which rows count, and what each adds. Values and explanations share it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from exporter.catalogue.kpi import BUCKETS, Kpi

ONE = "1"
EXACT = "decimal(38, 12)"
LIST = "list("
"""Begins an aggregate whose parts are put together, not added up."""


@dataclass(frozen=True, slots=True)
class Formula:
    """`counted`: the rows in the denominator, or in the figure where it has none; `above`: those in the numerator."""

    counted: str
    above: str
    value: str  # what a row is about, before it is weighed
    amount: str  # what a row adds to the numerator
    weight: str | None  # what a row adds to the denominator; None where there is no denominator
    refusals: tuple[tuple[str, str], ...]  # (condition, reason): why a row is not counted, first that holds
    aggregate: str = "sum"

    @property
    def numerator(self) -> str:
        """The aggregate that is the numerator."""
        return total(self.amount, self.above, self.aggregate)

    @property
    def denominator(self) -> str | None:
        """The aggregate that is the denominator."""
        return None if self.weight is None else total(self.weight, self.counted)

    @property
    def values(self) -> str:
        """The aggregate that is the list of values."""
        return f"{LIST}try_cast({self.value} as double)) filter (where {self.above})"

    def over_columns(self) -> "Formula":
        """The same over rows that have its parts as columns: x_counted, x_above, x_amount, x_weight."""
        amount = ONE if self.amount == ONE else "x_amount"
        weight = self.weight if self.weight in (None, ONE) else "x_weight"
        return replace(self, counted="x_counted", above="x_above", value=amount, amount=amount, weight=weight)

    def at_most(self, bound: float) -> str:
        """How many rows have a value up to a bound."""
        return total(ONE, f"{self.above} and {self.value} <= {bound}")


def formula(kpi: Kpi, params: Mapping[str, str]) -> Formula:
    """The SQL of a KPI that is not derived, with `params` as configured."""

    def sql(text: str | None) -> str:
        # Brackets: `a or b` joined with `and` is another question.
        return "(" + (text or "").format_map(params) + ")"

    def told(key: str) -> str:
        """In the words of the declaration, parameters filled in."""
        return words(kpi, key).format_map(params)

    if kpi.kind == "ratio":
        counted = sql(kpi.denominator)
        weight = sql(kpi.weight) if kpi.weight else ONE
        refusals = [(f"not coalesce({counted}, false)", f"outside: {told('denominator')}")]
        if kpi.weight and not kpi.signed:
            counted += f" and {weight} >= 0"
            refusals.append((f"coalesce({weight}, -1) < 0", f"not known, or below zero: {told('weight')}"))
        return Formula(counted, f"{counted} and {sql(kpi.numerator)}", ONE, weight, weight, tuple(refusals))
    counted = sql(kpi.where)
    refusals = [(f"not coalesce({counted}, false)", f"outside: {told('where')}")]
    if kpi.kind == "count" or (kpi.kind == "state" and not kpi.value):
        return Formula(counted, counted, ONE, ONE, None, tuple(refusals))
    value = sql(kpi.value)
    # What a user reckons may be too large for an exact sum: then it is not known, rather than nothing.
    counted += f" and {f'try_cast({value} as {EXACT})' if kpi.written else value} is not null"
    refusals.append((f"{value} is null", f"not known: {told('value')}"))
    if kpi.kind == "duration":
        # A length below zero (resolved before it was opened) is a fault in the data, not a short time.
        counted += f" and {value} >= 0"
        refusals.append((f"{value} < 0", f"below zero: {told('value')}"))
    amount, weight = value, ONE
    if kpi.weight:
        weight = sql(kpi.weight)
        amount = f"{value} * {weight}"
        counted += f" and {f'try_cast({amount} as {EXACT})' if kpi.written else weight} is not null and {weight} >= 0"
        refusals.append((f"coalesce({weight}, -1) < 0", f"not known, or below zero: {told('weight')}"))
    return Formula(
        counted,
        counted,
        value,
        amount,
        None if kpi.kind in ("sum", "state") else weight,
        tuple(refusals),
        kpi.aggregate,
    )


def measures(kpi: Kpi, params: Mapping[str, str], *, medians: bool) -> list[str]:
    """The aggregates of a value: numerator, denominator, then of a duration the list of its values, from which both
    medians and buckets are made, or without `medians` the counts per bucket.

    A sum comes with the number of its rows: amounts of 0 are known, and that is not to be told from no rows by the sum.
    """
    of_kpi = formula(kpi, params)
    counts: list[str] = []
    if kpi.kind == "duration":
        counts = [of_kpi.values] if medians else [of_kpi.at_most(bound) for bound in BUCKETS]
    counts += [total(ONE, of_kpi.counted)] if kpi.kind == "sum" else []
    return [of_kpi.numerator, *([of_kpi.denominator] if of_kpi.denominator else []), *counts]


def total(amount: str, where: str, aggregate: str = "sum") -> str:
    """An aggregate over the rows for which a condition holds."""
    if amount == ONE:
        # Twice as fast as FILTER, which cuts every column of the scan for each of a hundred counts.
        return f"count(case when {where} then 1 end)"
    # Sums of decimals come out alike in any order, sums of doubles do not. What is no number counts as not known.
    return f"coalesce({aggregate}(case when {where} then try_cast({amount} as {EXACT}) end), 0)"


def words(kpi: Kpi, key: str) -> str:
    """A predicate or value as it was written in the declaration."""
    return kpi.written.get(key) or str(getattr(kpi, key) or "")
