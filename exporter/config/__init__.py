"""Reads the config file into frozen dataclasses. All mistakes are found at once, each with its line and path."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from exporter import __version__
from exporter.base import duration, strict_yaml
from exporter.base.strict_yaml import At, Mistakes
from exporter.catalogue.kpi import Kpi, catalogue
from exporter.collect.contract import Connector
from exporter.collect.source import Source
from exporter.config import choice
from exporter.config.baselines import ComparisonReader
from exporter.config.calendar import CalendarReader
from exporter.config.credential import Credentials
from exporter.config.intervention import interventions
from exporter.config.own_kpis import DefinitionReader
from exporter.config.reports import Scheduled, scheduled
from exporter.config.secret import Secret, SecretError, from_environment
from exporter.config.section import CostSection, LogSection, Whole, WorkflowSection
from exporter.config.setting import SettingReader
from exporter.config.shape import Checker
from exporter.config.source import Reader
from exporter.connectors import CONNECTORS
from exporter.evaluation.plan import (
    Plan,
    RecurringCost,
    ServiceSetting,
    Setting,
    SourceSetting,
    TeamSetting,
    WorkflowSetting,
)
from exporter.publish.cardinality import Limits
from exporter.publish.otlp_settings import OtlpSettings, address
from exporter.records import RECORDS, Request
from exporter.records.labels import DEFAULT_LABELS, LABELS
from exporter.store.person import SHORTEST_KEY


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """Where records are kept, and for how long."""

    path: Path
    retention_seconds: int
    threads: int
    memory_limit: str
    person_key: Secret | None = None  # of the hashes that persons are stored as; None: in a file beside the store


@dataclass(frozen=True, kw_only=True)
class Config:
    """A config without mistakes."""

    file: Path
    store: StoreSettings
    plan: Plan  # what to evaluate: KPIs, windows, labels, time-outs of runs
    sources: tuple[Source, ...]
    limits: Limits
    evaluation_interval_seconds: int
    otlp: OtlpSettings | None
    log: LogSection
    time_zone: str = "UTC"  # of the periods of reports
    reports: tuple[Scheduled, ...] = ()
    own: tuple[str, ...] = ()  # the KPIs that the config itself defines
    warnings: tuple[str, ...] = ()  # worth a line in the log, but no reason not to start


def read_config(path: Path) -> Config:
    """The config in a file, checked against the shipped catalogue and connectors. Raises Mistakes."""
    return load(path, catalogue(), CONNECTORS)


def load(
    path: Path | str,
    kpis: Mapping[str, Kpi],
    connectors: Mapping[str, Connector],
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """The config in a file. Raises Mistakes, which hold everything that is wrong."""
    document, mistakes = strict_yaml.read_yaml(path)
    checker = Checker(document, mistakes)
    if document.data is None:
        checker.wrong((), "this file is empty; it needs at least sources, see deploy/config.example.yaml")
    elif not isinstance(document.data, dict):
        checker.wrong((), "this is not a mapping; write sources: and so on, see deploy/config.example.yaml")
    else:
        config = _Loader(checker, Path(path), environ).config(document.data, kpis, connectors)
        if config and not checker.mistakes:
            return config
    raise Mistakes(checker.mistakes)


@dataclass
class _Loader:
    checker: Checker
    path: Path
    environ: Mapping[str, str]
    warnings: list[str] = field(default_factory=list)

    @property
    def credentials(self) -> Credentials:
        return Credentials(checker=self.checker, folder=self.path.parent, environ=self.environ, warn=self.warn)

    def warn(self, at: At, message: str) -> None:
        self.warnings.append(str(self.checker.document.mistake(at, message)))

    def config(
        self, data: Mapping[str, Any], shipped: Mapping[str, Kpi], connectors: Mapping[str, Connector]
    ) -> Config | None:
        whole = self.checker.read(Whole, data, ())
        if whole is None:
            return None
        hours = CalendarReader(self.checker)
        calendars = hours.calendars(whole.calendars)
        sources = self._sources(data, connectors, whole)
        labels = self._labels(whole)
        windows = self._windows(whole)
        own, one_by_one = DefinitionReader(self.checker, shipped), choice.one_by_one(data.get("kpis"))
        everything = {**shipped, **own.kpis(one_by_one)}
        chosen = choice.choice(self.checker, data.get("kpis"), everything, self.warn)
        comparison = ComparisonReader(self.checker, labels, everything, windows, whole.baselines)
        comparison.check()
        reader = SettingReader(
            self.checker, labels, everything, comparison, own.names, calendars, whole.min_coverage, chosen
        )
        settings, not_computed = reader.settings(one_by_one)
        self._fits(whole, windows, sources, settings)
        otlp = self._otlp(whole, data.get("otlp"))
        return Config(
            file=self.path,
            store=StoreSettings(
                path=self.path.parent / whole.store.path,
                retention_seconds=whole.store.retention,
                threads=whole.store.threads,
                memory_limit=whole.store.memory_limit,
                person_key=self._person_key(data.get("store")),
            ),
            plan=Plan(
                settings=settings,
                not_computed=not_computed,
                windows=windows,
                labels=labels,
                run_timeout=whole.run_timeout,
                person_day_seconds=whole.person_day,
                shared_cost=whole.shared_cost.by,
                workflows={name: self._workflow(each, ("workflows", name)) for name, each in whole.workflows.items()},
                services={
                    name: ServiceSetting(
                        downtime_cost_per_hour=each.downtime_cost.amount, currency=each.downtime_cost.currency
                    )
                    for name, each in whole.services.items()
                },
                teams={
                    name: TeamSetting(
                        capacity_seconds_per_week=each.capacity,
                        people=each.people,
                        calendar=hours.chosen(each.calendar, whole.calendars, ("teams", name)),
                    )
                    for name, each in whole.teams.items()
                },
                costs=[self._cost(each, ("costs", i)) for i, each in enumerate(whole.costs)],
                sources={each.name: setting for each in sources if (setting := _of_source(each)) != SourceSetting()},
                calendars=calendars,
                interventions=interventions(self.checker, whole, labels, settings),
            ),
            sources=tuple(sources),
            limits=Limits(**whole.limits.model_dump()),
            evaluation_interval_seconds=whole.evaluation_interval,
            otlp=otlp,
            log=whole.log,
            reports=scheduled(self.credentials, whole.reports, data.get("reports")),
            time_zone=hours.zone(whole.time_zone, ("time_zone",)),
            own=tuple(own.names),
            warnings=tuple(self.warnings),
        )

    def _sources(self, data: Mapping[str, Any], connectors: Mapping[str, Connector], whole: Whole) -> list[Source]:
        entries = data.get("sources")
        if not isinstance(entries, list) or not entries:
            self.checker.wrong(
                ("sources",), "write at least one source, with its name, its type and what the type needs"
            )
            return []
        credentials = replace(self.credentials, store=self.path.parent / whole.store.path)
        reader = Reader(checker=self.checker, credentials=credentials, connectors=connectors, calendars=whole.calendars)
        lines: dict[str, int] = {}
        for i, entry in enumerate(entries):
            name = entry.get("name") if isinstance(entry, dict) else None
            if isinstance(name, str) and name in lines:
                self.checker.wrong(
                    ("sources", i, "name"), f"line {lines[name]} already has a source of this name; choose another name"
                )
            elif isinstance(name, str):
                lines[name] = self.checker.document.line(("sources", i, "name"))
        read = [reader.source(entry, ("sources", i)) for i, entry in enumerate(entries)]
        return [source for source in read if source]

    def _workflow(self, section: WorkflowSection, at: At) -> WorkflowSetting:
        times = section.manual_time or ()
        if times and not section.manual_origin:
            self.checker.wrong((*at, "manual_time"), "say in manual_origin where this comes from; finance will ask")
        if times and times[-1] < times[0]:
            self.checker.wrong((*at, "manual_time"), "the range ends before it begins; write the shorter time first")
        if (section.rate is None) != (section.claim is None):
            self.checker.wrong(at, "rate and claim go together: what an hour is worth, and what becomes of it")
        return WorkflowSetting(
            run_timeout_seconds=section.run_timeout,
            manual_seconds_low=times[0] if times else None,
            manual_seconds_high=times[-1] if times else None,
            manual_origin=section.manual_origin,
            category=section.category,
            rate=section.rate.amount if section.rate else None,
            currency=section.rate.currency if section.rate else None,
            claim=section.claim,
        )

    def _cost(self, section: CostSection, at: At) -> RecurringCost:
        begin, last = section.from_, section.to
        if last and last < begin:
            self.checker.wrong((*at, "to"), "this is before from; write the last day on which it is paid for")
        if last and section.per == "once":
            self.checker.wrong((*at, "to"), "what is paid once has no last day; leave it out")
        return RecurringCost(
            **section.model_dump(exclude={"from_", "to"}),
            begins_at=datetime.fromisoformat(begin),
            ends_at=datetime.fromisoformat(last) + timedelta(days=1) if last else None,
        )

    def _labels(self, whole: Whole) -> dict[str, tuple[str, ...]]:
        """Record -> the columns that become labels."""
        for record, names in whole.labels.items():
            if record not in RECORDS:
                self.checker.unknown("record", record, list(RECORDS), ("labels", record))
                continue
            for i, name in enumerate(names):
                at: At = ("labels", record, i)
                if name not in LABELS[record]:
                    self.checker.wrong(
                        at, f"{name!r} cannot be a label; labels of {record}: {', '.join(LABELS[record])}"
                    )
                elif name in names[:i]:
                    self.checker.wrong(at, f"{name} is given twice; keep one of the two")
        return {**DEFAULT_LABELS, **{record: names for record, names in whole.labels.items() if record in RECORDS}}

    def _windows(self, whole: Whole) -> list[tuple[str, int]]:
        """(name, seconds), shortest first."""
        lengths = [duration.seconds(name) for name in whole.windows]
        retention = whole.store.retention
        for i, (name, length) in enumerate(zip(whole.windows, lengths, strict=True)):
            at: At = ("windows", i)
            if length % 3600:
                self.checker.wrong(at, "a window is a number of whole hours; write it like 12h or 7d")
            elif length in lengths[:i]:
                self.checker.wrong(
                    at, f"this is the same length as {whole.windows[lengths.index(length)]}; keep one of the two"
                )
            elif length > retention:
                at = at if at in self.checker.document.lines else ("store", "retention")
                message = f"the window {name} is longer than the {duration.text(retention)} that records are kept"
                self.checker.wrong(at, f"{message}; keep them at least as long")
        return sorted(zip(whole.windows, lengths, strict=True), key=lambda window: window[1])

    def _fits(
        self, whole: Whole, windows: list[tuple[str, int]], sources: list[Source], settings: Sequence[Setting]
    ) -> None:
        """Warns of settings that are allowed but hardly intended."""
        names, longest = {name for name, _ in windows}, windows[-1]
        with_threshold = [setting for setting in settings if setting.has_threshold]
        spikes = {"1d" for setting in settings if setting.kpi.spike}
        missing = sorted(({setting.kpi.window for setting in with_threshold} | spikes) - names, key=duration.seconds)
        if missing:
            self.warn(("windows",), f"without {' and '.join(missing)}, which alerts use; those alerts will stay silent")
        used = {source.calendar for source in sources} | {team.calendar for team in whole.teams.values()}
        for name in whole.calendars:
            if name not in used:
                self.warn(("calendars", name), "no source and no team has this calendar, so it is not used")
        if "team" not in whole.labels.get("request", ("team",)):
            for name in (name for name, team in whole.teams.items() if team.capacity or team.people):
                message = "KPIs by team are absent, because team is not among labels.request; add it there"
                self.warn(("teams", name), message)
        for i, source in enumerate(sources):
            if source.initial_history_seconds < longest[1]:
                message = f"shorter than the longest window: values over {longest[0]} will be too small at first"
                self.warn(("sources", i, "initial_history"), message)
        for setting in with_threshold:
            if not setting.kpi.alerts:
                command = (
                    f"`outcome-exporter rules --config.file {self.path} --output DIR` writes the rules of this config"
                )
                self.warn(
                    ("kpis", setting.kpi.name, "threshold"), f"no shipped alert rule uses this threshold; {command}"
                )

    def _otlp(self, whole: Whole, data: Any) -> OtlpSettings | None:
        """The OTLP settings; headers are read even if the rest of the section is wrong, to find every mistake."""
        headers: dict[str, str] = {}
        for part in ("headers", "header_files"):
            written = data.get(part) if isinstance(data, dict) else None
            for name, text in written.items() if isinstance(written, dict) else ():
                at: At = ("otlp", part, name)
                if name in headers:
                    self.checker.wrong(at, "this header is already given; keep one of the two")
                try:
                    headers[name] = self._header(part, str(text), at).reveal()
                except SecretError as error:
                    self.checker.wrong(at, str(error))
        otlp = whole.otlp
        if otlp is None:
            return None
        if isinstance(data, dict) and not {"endpoint", "metrics_endpoint"} & data.keys():
            self.checker.wrong(("otlp",), "endpoint is missing; write it like https://collector:4318")
        return OtlpSettings(
            endpoint=otlp.metrics_endpoint or address(otlp.endpoint or ""),
            instance=platform.node() or "host",
            version=__version__,
            headers=headers,
            interval_seconds=float(otlp.interval),
            compression=otlp.compression,
        )

    def _person_key(self, data: Any) -> Secret | None:
        key = self.credentials.secret(data, "person_key", ("store",)) if isinstance(data, dict) else None
        if key and len(key.reveal()) < SHORTEST_KEY:
            at: At = ("store", "person_key" if "person_key" in data else "person_key_file")
            self.checker.wrong(at, "this key is too short; make one with: openssl rand -hex 32")
            return None
        return key

    def _header(self, part: str, text: str, at: At) -> Secret:
        return (
            self.credentials.secret_file(text, at) if part == "header_files" else from_environment(text, self.environ)
        )


def _of_source(source: Source) -> SourceSetting:
    price, currency = source.claimed_resolution_price or (None, None)
    mapped = source.mapped.get(Request, frozenset())
    return SourceSetting(
        calendar=source.calendar,
        escalations_reported=True
        if "escalated_at" in mapped
        else False
        if "escalated_at" in getattr(source.options, "unfilled", frozenset())
        else None,
        claimed_resolution_price=price,
        currency=currency,
    )
