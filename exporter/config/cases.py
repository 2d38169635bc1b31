"""The user's own tests of a config, in a file beside it: what an item must become, and what a KPI must be."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from exporter.base import strict_yaml
from exporter.base.strict_yaml import At, Mistakes
from exporter.config import Config
from exporter.config.section import Section, Text
from exporter.config.shape import Checker
from exporter.records import RECORDS, Record, instant, record_name
from exporter.records.columns import COLUMNS


def _time(text: str) -> str:
    try:
        instant(text)
    except ValueError:
        raise ValueError("write a time with its offset, like 2026-03-31T12:00:00Z") from None
    return text


class MappingCase(Section):
    """An item as its source gives it, and columns that its record must have; or the column why it is refused."""

    name: Text | None = None
    source: Text | None = None  # where the config has several
    type: Text | None = None  # of the record, where the source brings several
    item: Mapping[str, Any]
    record: Mapping[str, Any] | None = None
    refused: Text | None = None


class KpiCase(Section):
    """Records, and what a KPI must be at a time, in a window and segment."""

    name: Text | None = None
    kpi: Text
    at: Annotated[str, AfterValidator(_time)]
    window: Text | None = None
    segment: Mapping[str, str] = {}
    records: Annotated[Mapping[str, tuple[Mapping[str, Any], ...]], Field(min_length=1)]
    value: float | None = None
    n: float | None = None


class Cases(Section):
    """The whole file."""

    mapping: tuple[MappingCase, ...] = ()
    kpis: tuple[KpiCase, ...] = ()


def beside(config: Path) -> Path:
    """The file with the tests of a config: `outcome.tests.yaml` beside `outcome.yaml`."""
    return config.with_name(f"{config.stem}.tests{config.suffix}")


def read_cases(path: Path, config: Config) -> Cases:
    """The tests in a file. Raises Mistakes."""
    document, mistakes = strict_yaml.read_yaml(path)
    checker = Checker(document, mistakes)
    cases = checker.read(Cases, document.data or {}, ())
    for i, case in enumerate(cases.mapping if cases else ()):
        _check_mapping(checker, case, config, ("mapping", i))
    for i, kpi_case in enumerate(cases.kpis if cases else ()):
        _check_kpi(checker, kpi_case, config, ("kpis", i))
    if cases is not None and not cases.mapping and not cases.kpis:
        checker.wrong((), "there is no test; write at least one under mapping or kpis")
    if cases is None or checker.mistakes:
        raise Mistakes(checker.mistakes)
    return cases


def _check_mapping(checker: Checker, case: MappingCase, config: Config, at: At) -> None:
    sources = {source.name: source for source in config.sources}
    if case.source is None and len(sources) > 1:
        checker.wrong((*at, "source"), f"say which source the item is of: {', '.join(sources)}")
    elif case.source is not None and case.source not in sources:
        checker.unknown("source", case.source, [*sources], (*at, "source"))
    else:
        records = [record_name(kind) for kind in sources[case.source or next(iter(sources))].records]
        if case.type is None and len(records) > 1:
            checker.wrong((*at, "type"), f"say which record the item becomes: {', '.join(records)}")
        elif case.type not in (None, *records):
            checker.unknown("record", str(case.type), records, (*at, "type"))
        else:
            _check_columns(checker, case.record or {}, case.type or records[0], (*at, "record"))
    if (case.record is None) == (case.refused is None):
        checker.wrong(at, "say either what its record must be, or under refused the column that cannot be read")


def _check_kpi(checker: Checker, case: KpiCase, config: Config, at: At) -> None:
    known = [setting.kpi.name for setting in config.plan.settings]
    if case.kpi not in known:
        checker.unknown("KPI", case.kpi, known, (*at, "kpi"))
    if not {"value", "n"} & case.model_fields_set:
        checker.wrong(at, "say what it must be: value, n or both")
    for name, rows in case.records.items():
        if name not in RECORDS:
            checker.unknown("record", name, [*RECORDS], (*at, "records", name))
            continue
        for i, row in enumerate(rows):
            _check_columns(checker, row, name, (*at, "records", name, i))


def _check_columns(checker: Checker, values: Mapping[str, Any], record: str, at: At) -> None:
    columns = {name: each for name, each in COLUMNS[RECORDS[record]].items() if name != "source"}
    for name, given in values.items():
        if name not in columns:
            checker.unknown("column", name, [*columns], (*at, name))
        elif given is not None:
            try:
                columns[name].read(given)
            except ValueError as error:
                checker.wrong((*at, name), str(error))


def records_of(record: str, rows: tuple[Mapping[str, Any], ...]) -> list[Record]:
    """Rows of a test as records; `id` is made up where a row has none."""
    make: Callable[..., Record] = RECORDS[record]
    columns, made = COLUMNS[RECORDS[record]], []
    for i, row in enumerate(rows):
        values = {name: None if given is None else columns[name].read(given) for name, given in row.items()}
        made.append(make(**{"id": f"row {i + 1}", **values}))
    return made


def column_value(record: type[Record], name: str, given: Any) -> Any:
    """What is written for a column, as a record has it."""
    return None if given is None else COLUMNS[record][name].read(given)
