"""Runs the tests of a config: items through the mapping of their source, records through the evaluation of a KPI."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from exporter.base.errors import SourceError
from exporter.collect import mapping
from exporter.collect.contract import needs
from exporter.collect.source import Source
from exporter.config import Config
from exporter.config.cases import Cases, KpiCase, MappingCase, column_value, records_of
from exporter.evaluation.compiled import narrowed
from exporter.explain.query import Unexplained, question
from exporter.explain.wording import WHY
from exporter.records import Read, Record, record_name
from exporter.records.unreadable import Fault, attempt
from exporter.runtime import explained
from exporter.store import Store
from exporter.store.status import SourceStatus


@dataclass(frozen=True)
class Outcome:
    """One test: what it is called, and what differs from what it expects."""

    name: str
    differences: tuple[str, ...]


def run_cases(config: Config, cases: Cases) -> Iterator[Outcome]:
    """Runs all tests, one after the other."""
    for i, case in enumerate(cases.mapping, 1):
        yield Outcome(f"mapping {i}{_called(case.name)}", tuple(_of_mapping(config, case)))
    if cases.kpis:
        with TemporaryDirectory() as folder:
            for i, each in enumerate(cases.kpis, 1):
                with Store.open(Path(folder) / f"{i}.duckdb") as store:
                    name = f"kpis {i}{_called(each.name or each.kpi)}"
                    yield Outcome(name, tuple(_of_kpi(config, each, store)))


def _called(name: str | None) -> str:
    return f" ({name})" if name else ""


def _of_mapping(config: Config, case: MappingCase) -> Iterator[str]:
    source = next(each for each in config.sources if case.source in (None, each.name))
    kind = next(each for each in source.records if case.type in (None, record_name(each)))
    try:
        record, faults = _read(source, kind, case.item)
    except SourceError as error:  # of the whole file, such as a column that nobody knows
        yield str(error)
        return
    why = {fault.column: fault.text for fault in faults}
    if record is None:
        if case.refused is None:
            yield "the item is refused: " + "; ".join(f"{column}: {text}" for column, text in why.items())
        elif case.refused not in why:
            yield f"refused: expected {case.refused}, got {', '.join(why)}"
        return
    if case.refused is not None:
        yield f"refused: expected {case.refused}, but the item becomes a record"
        return
    for name, given in (case.record or {}).items():
        expected, got = column_value(kind, name, given), getattr(record, name)
        if expected != got:
            reason = f" ({why[name]})" if name in why else ""
            yield f"{name}: expected {_shown(expected)}, got {_shown(got)}{reason}"


def _read(source: Source, kind: type[Record], item: Mapping[str, Any]) -> tuple[Record | None, tuple[Fault, ...]]:
    """The record of an item, and what of it cannot be read. Without the connector's own part where that needs more."""
    read_item = needs(source.connector).read_item
    read, faults, broken = attempt(
        lambda given: read_item(source.options, given) if read_item else Read(kind(id="item"), given), item
    )
    if broken or read is None:
        return None, faults
    records, _, left_out = mapping.records([replace(read, faults=faults)], source.mapping, lambda person: person)
    return (records[0] if records else None), tuple(fault for each in left_out for fault in each.faults)


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else ", ".join(value) if isinstance(value, tuple) else str(value)


def _of_kpi(config: Config, case: KpiCase, store: Store) -> Iterator[str]:
    at = datetime.fromisoformat(case.at)
    plan = narrowed(config.plan, [case.kpi])
    statuses = []
    for name, rows in case.records.items():
        # As of the first source that brings such records: its calendar counts.
        of = (each.name for each in config.sources if name in map(record_name, each.records))
        source = next(of, "test")
        store.write(source, records_of(name, rows), {})
        statuses.append(SourceStatus(source=source, records=frozenset({name}), last_success=at))
    query = {"kpi": case.kpi, "at": case.at, "window": case.window or "", **case.segment}
    try:
        answer = explained(replace(config, plan=plan), store, at, statuses, question(query, plan))
    except Unexplained as error:
        yield str(error)
        return
    numbers = answer["numbers"] or {}
    got = {"value": None if answer["absent"] else numbers.get("value"), "n": numbers.get("denominator")}
    for key in ("value", "n"):
        expected = getattr(case, key)
        if key in case.model_fields_set and not _same(expected, got[key]):
            reason = f" ({WHY.get(answer['absent'], answer['absent'])})" if answer["absent"] else ""
            yield f"{key}: expected {_shown(expected)}, got {_shown(got[key])}{reason}"


def _same(expected: float | None, got: float | None) -> bool:
    if expected is None or got is None:
        return expected is got
    return isclose(expected, got, rel_tol=1e-6, abs_tol=1e-9)
