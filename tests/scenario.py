"""Reads a scenario file, feeds its records to a real store, and gives the samples that come out."""

import atexit
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, get_type_hints

from prometheus_client.parser import text_string_to_metric_families

from exporter.base import strict_yaml
from exporter.baselines.lookback import BaselineCache
from exporter.catalogue import kpi
from exporter.catalogue.kpi import Kpi
from exporter.config.calendar import CalendarReader
from exporter.config.section import CalendarSection
from exporter.config.shape import Checker
from exporter.evaluation.calendar import Calendar
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import (
    Baselines,
    Period,
    Plan,
    RecurringCost,
    ServiceSetting,
    Setting,
    SourceSetting,
    TeamSetting,
    WorkflowSetting,
)
from exporter.evaluation.stats import Distribution
from exporter.publish.cardinality import Limits
from exporter.publish.families import series
from exporter.records import RECORDS, Record
from exporter.store import Store
from exporter.store.status import SourceStatus

WINDOWS = {"1d": 86400, "7d": 7 * 86400, "30d": 30 * 86400, "90d": 90 * 86400}
SECONDS = {"h": 3600, "d": 86400}

FOLDER = Path(__file__).parent / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))
"""One for each KPI."""
TRAPS = sorted((FOLDER / "trap").glob("*.yaml"))
"""What goes wrong easily, named after it."""
COMPARED = sorted((FOLDER / "baseline").glob("*.yaml"))

Sample = tuple[str, frozenset[tuple[str, str]]]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def records(name: str, rows: list[dict[str, Any]]) -> list[Record]:
    """Rows of a scenario as records: times as UTC instants, ids as text."""
    kind = RECORDS[name]
    hints = get_type_hints(kind)
    times = {f.name for f in fields(kind) if "datetime" in str(hints[f.name])}
    converted = ({key: at(value) if key in times and value else value for key, value in row.items()} for row in rows)
    make: Callable[..., Record] = kind
    return [make(**row) for row in converted]


def params(declared: Kpi, given: Mapping[str, Any]) -> dict[str, str]:
    """A KPI's parameters as SQL texts, durations in seconds."""
    found: dict[str, str] = {}
    for name, param in declared.params.items():
        value = given.get(name, param.default)
        if value is None:
            continue
        found[name] = str(int(value[:-1]) * SECONDS[value[-1]]) if param.type == "duration" else str(value)
    return found


def recurring(given: Mapping[str, Any]) -> RecurringCost:
    """A recurring cost; its times as UTC without zone."""
    times = {key: datetime.fromisoformat(given[key]) for key in ("begins_at", "ends_at") if key in given}
    make: Callable[..., RecurringCost] = RecurringCost
    return make(**{**given, **times})


def baselines(given: Mapping[str, Any]) -> Baselines:
    """What a scenario compares with; `control` names the labels that the control group is summed over."""
    period = given.get("fixed")
    return Baselines(
        fixed=Period(begins_at=at(period["from"]), ends_at=at(period["to"]) + timedelta(days=1)) if period else None,
        previous="previous" in given,
        control=tuple(given.get("control", ())),
        weekday_median="weekday_median" in given,
    )


def calendars(given: Mapping[str, Any]) -> dict[str, Calendar]:
    """Calendars as they are written in a config."""
    checker = Checker(strict_yaml.Document({}, "scenario"))
    sections = {name: checker.read(CalendarSection, each, ()) for name, each in given.items()}
    found = CalendarReader(checker).calendars({name: each for name, each in sections.items() if each})
    assert checker.mistakes == []
    return found


def parts_of(name: str) -> set[str]:
    """The names of everything that a KPI is made of."""
    below = kpi.part_names(kpi.catalogue()[name])
    return {*below}.union(*map(parts_of, below))


def plan(scenario: Mapping[str, Any], only: str | None = None) -> Plan:
    """What a scenario configures: every KPI, or `only` one with what it is made of, which is much faster."""
    settings = scenario.get("settings", {})
    compared = {scenario.get("kpi"): baselines(scenario.get("baselines", {}))}
    catalogue = kpi.catalogue()
    names = {only, *parts_of(only)} if only else {*catalogue}
    labels = scenario.get("labels", ["team"])
    return Plan(
        settings=[
            Setting(
                kpi=k,
                params=params(k, settings),
                threshold=k.threshold,
                baselines=compared.get(k.name, Baselines()),
                # Rows of which something is not known are what scenarios are about; one about coverage says so.
                min_coverage=scenario.get("min_coverage", 0),
            )
            for k in catalogue.values()
            if k.name in names
        ],
        windows=sorted(WINDOWS.items(), key=lambda item: item[1]),
        labels=labels if isinstance(labels, Mapping) else dict.fromkeys(RECORDS, labels),
        shared_cost=settings.get("shared_cost", "none"),
        workflows={k: WorkflowSetting(**v) for k, v in settings.get("workflows", {}).items()},
        services={k: ServiceSetting(**v) for k, v in settings.get("services", {}).items()},
        teams={k: TeamSetting(**v) for k, v in settings.get("teams", {}).items()},
        costs=[recurring(each) for each in settings.get("costs", [])],
        sources={k: SourceSetting(**v) for k, v in settings.get("sources", {}).items()},
        calendars=calendars(settings.get("calendars", {})),
    )


def sources(scenario: Mapping[str, Any]) -> dict[str, dict[str, list[Record]]]:
    """Source -> record -> rows. A row is of the source it names, else of one called like its record."""
    found: dict[str, dict[str, list[Record]]] = {name: {name: []} for name in RECORDS if name in scenario}
    for name in (each for each in RECORDS if each in scenario):
        for row in scenario[name]:
            own = {key: value for key, value in row.items() if key != "source"}
            found.setdefault(row.get("source", name), {}).setdefault(name, []).extend(records(name, [own]))
    return found


def fed(store: Store, scenario: Mapping[str, Any]) -> list[SourceStatus]:
    """Writes the records of a scenario into a store."""
    given = sources(scenario)
    for name, of_source in given.items():
        store.write(name, [row for rows in of_source.values() for row in rows], {})
    return [SourceStatus(source=name, records=frozenset(of_source)) for name, of_source in given.items()]


@cache
def _empty() -> Path:
    folder = Path(mkdtemp(prefix="outcome-empty-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Store.open(folder / "store.duckdb").close()
    return folder


def empty_store(folder: Path) -> Store:
    """An open store with nothing in it, in an empty folder: a copy of one that was made before, as that is quicker."""
    assert not (folder / "store.duckdb").exists(), "to open a store again is Store.open()"
    shutil.copytree(_empty(), folder, dirs_exist_ok=True)
    return Store.open(folder / "store.duckdb")


@cache
def _of_all() -> tuple[Store, Connection]:
    """A store for all scenarios of this process, and a reader of it: opening one takes longer than most scenarios."""
    until_exit = ExitStack()
    atexit.register(until_exit.close)
    folder = until_exit.enter_context(TemporaryDirectory(prefix="outcome-scenarios-"))
    store = until_exit.enter_context(Store.open(Path(folder) / "store.duckdb"))
    return store, until_exit.enter_context(store.reading())


@contextmanager
def shared(path: Path) -> Iterator[tuple[dict[str, Any], list[SourceStatus], Connection]]:
    """A scenario, its sources, and a reader of a store that has its records until the end, and no others."""
    written, (store, reader) = load(path), _of_all()
    try:
        found = fed(store, written)
        if "request" in written:
            store.keep(source.source for source in found)
        yield written, found, reader
    finally:
        for name, of_source in sources(written).items():
            gone = [(type(row), row.id) for rows in of_source.values() for row in rows]
            store.write(name, [], {}, gone=gone)


def evaluated(path: Path, folder: Path) -> Evaluation:
    """What a scenario is evaluated to; what is compared with a fixed baseline in a store of its own, which keeps it."""
    if path not in COMPARED:
        with shared(path) as (written, of_scenario, reader):
            return evaluate(reader, plan(written, only=written["kpi"]), at(written["at"]), of_scenario)
    written = load(path)
    with empty_store(folder) as store:
        sources = fed(store, written)
        chosen, moment = plan(written, only=written["kpi"]), at(written["at"])
        with store.reading() as reader:
            evaluation = evaluate(reader, chosen, moment, sources)
            return replace(evaluation, baselines=BaselineCache().past(reader, store, chosen, moment, sources))


def samples(evaluation: Evaluation, scenario: Mapping[str, Any]) -> dict[Sample, float]:
    """Every sample of the scenario's KPI in its window, a distribution as its buckets."""
    declared = kpi.catalogue()[scenario["kpi"]]
    found: dict[Sample, float] = {}
    for family in series(evaluation, plan(scenario, only=scenario["kpi"]), Limits()).snapshot.families:
        if family.name not in (
            *declared.series,
            *declared.wholes.values(),
            *declared.compared,
            f"{declared.metric}_threshold",
        ):
            continue
        for values, value in family.samples:
            labels = frozenset(zip(family.labels, values, strict=True))
            if declared.windowed and ("window", scenario["window"]) not in labels:
                continue
            if isinstance(value, Distribution):
                for bound, count in value.buckets:
                    found[f"{family.name}_bucket", labels | {("le", f"{bound:g}")}] = float(count)
            else:
                found[family.name, labels] = value
    return found


def expected(scenario: Mapping[str, Any]) -> dict[Sample, float]:
    parsed = text_string_to_metric_families(scenario["expect"])
    return {(s.name, frozenset(s.labels.items())): float(s.value) for family in parsed for s in family.samples}


def load(path: Path) -> dict[str, Any]:
    return dict(strict_yaml.shipped(path).data)
