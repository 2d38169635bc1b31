"""The figures that records come to: what tests on real servers and recordings compare with what was really done."""

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from exporter.catalogue import kpi
from exporter.evaluation.context import Connection
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan, Setting
from exporter.records import RECORDS, Record
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests.scenario import WINDOWS, params

Totals = dict[str, tuple[float, float]]
"""KPI -> its numerator and denominator over all segments; an absent KPI is left out."""


def totals(
    folder: Path, records: Sequence[Record], at: datetime, kpis: Collection[str] = (), min_coverage: float = 0
) -> Totals:
    """What records come to in the last 7 days."""
    with Store.open(folder / "figures.duckdb") as store:
        store.write("real", records, {})
        return stored(store, "real", at, kpis=kpis, min_coverage=min_coverage)


def stored(
    store: Store,
    source: str,
    at: datetime,
    window: str = "7d",
    kpis: Collection[str] = (),
    min_coverage: float = 0,
) -> Totals:
    """What the records of one source in a store come to in one window; in these KPIs, or in all. `min_coverage`: how
    many records must have what a KPI needs."""
    with store.reading() as reader:
        return read(reader, source, at, window, kpis, min_coverage)


def read(
    reader: Connection,
    source: str,
    at: datetime,
    window: str = "7d",
    kpis: Collection[str] = (),
    min_coverage: float = 0,
) -> Totals:
    """The same, by a reader of a store: opening one takes longer than most evaluations."""
    known = {name: each for name, each in kpi.catalogue().items() if not kpis or name in kpis}
    plan = Plan(
        settings=[Setting(kpi=each, params=params(each, {}), min_coverage=min_coverage) for each in known.values()],
        windows=sorted(WINDOWS.items(), key=lambda item: item[1]),
        labels={},
    )
    found = evaluate(reader, plan, at, [SourceStatus(source=source, records=frozenset(RECORDS))])
    sums: Totals = {}
    for figure in found.figures:
        if figure.window in (window, None) and dict(figure.segment).get("basis", "calendar") == "calendar":
            n, d = sums.get(figure.kpi, (0.0, 0.0))
            sums[figure.kpi] = n + figure.numerator, d + (figure.denominator or 0.0)
    return sums
