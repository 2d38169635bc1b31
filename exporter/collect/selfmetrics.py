"""Metrics about the exporter itself: its sources, evaluations, store and exports. Not in the registry of KPIs."""

import platform
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from exporter.collect.receive_metrics import ReceiveMetrics
from exporter.collect.source_metrics import SourceMetrics
from exporter.store.fault import KINDS


class Health:
    """Every metric, created once. Series whose labels the config determines are 0 from the start."""

    def __init__(self, *, version: str, revision: str = "unknown") -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library does not type it
        registry = self.registry = CollectorRegistry()
        build = Info("outcome_exporter_build", "Version of the running exporter.", registry=registry)
        build.info({"version": version, "revision": revision, "pythonversion": platform.python_version()})
        self.sources = SourceMetrics(registry)
        self.received = ReceiveMetrics(registry)
        self.evaluation = EvaluationMetrics(registry)
        self.store = StoreMetrics(registry)
        self.reload = ReloadMetrics(registry)
        self.otlp = OtlpMetrics(registry)
        self.reports = ReportMetrics(registry)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)


class EvaluationMetrics:
    """Metrics about evaluations."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = Gauge(
            "outcome_evaluation_duration_seconds", "Duration of the last evaluation.", registry=registry
        )
        self._last = Gauge(
            "outcome_evaluation_last_timestamp_seconds",
            "Time at which the published values were computed.",
            registry=registry,
        )
        self._interval = Gauge(
            "outcome_evaluation_interval_seconds", "Configured time between two evaluations.", registry=registry
        )
        self._failures = Counter(
            "outcome_evaluation_failures",
            "Evaluations that failed; the previous values stay published.",
            registry=registry,
        )
        self._series = Gauge("outcome_series", "Number of KPI series that are published.", registry=registry)
        self._limit = Gauge(
            "outcome_series_limit",
            "Configured limit on the number of KPI series (limits.series); beyond it, values of labels are combined.",
            registry=registry,
        )
        self._folded = Gauge(
            "outcome_series_folded",
            "Values of a label that are combined in other to keep within the limits.",
            ["kpi", "label"],
            registry=registry,
        )
        self._first = Gauge(
            "outcome_kpi_first_published_timestamp_seconds",
            "Time at which a KPI had values for the first time in this store. Without a sample it never had any.",
            ["kpi"],
            registry=registry,
        )
        self._short = Gauge(
            "outcome_distribution_shortened",
            "How far a distribution was reduced to keep within the limits: "
            "1 to the window of its alert, 2 to that window and by team only.",
            ["kpi"],
            registry=registry,
        )

    def configured(self, seconds: float, series: int) -> None:
        """Sets the configured interval between evaluations, and the limit on series."""
        self._interval.set(seconds)
        self._limit.set(series)

    def succeeded(
        self,
        at: datetime,
        seconds: float,
        *,
        series: int,
        folded: Mapping[tuple[str, str], int],
        shortened: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """`folded`: (kpi, label) -> values folded into `other`. `shortened`: kpi -> how little of its distribution."""
        self._duration.set(seconds)
        self._last.set(at.timestamp())
        self._series.set(series)
        self._folded.clear()
        for (kpi, label), values in folded.items():
            self._folded.labels(kpi, label).set(values)
        self._short.clear()
        for kpi, level in shortened.items():
            self._short.labels(kpi).set(level)

    def published(self, first: Mapping[str, datetime]) -> None:
        """`first`: KPI -> when it had values for the first time."""
        self._first.clear()
        for kpi, at in first.items():
            self._first.labels(kpi).set(at.timestamp())

    def failed(self, seconds: float) -> None:
        self._duration.set(seconds)
        self._failures.inc()


class StoreMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Gauge("outcome_store_records", "Number of records in the store.", ["record"], registry=registry)
        self._size = Gauge("outcome_store_size_bytes", "Size of the store on disk.", registry=registry)
        self._deleted = Counter(
            "outcome_store_records_deleted",
            "Records deleted because they were older than the retention.",
            registry=registry,
        )
        self._usable = Gauge(
            "outcome_store_usable",
            "1 if the store's file was usable at the last evaluation, 0 otherwise.",
            registry=registry,
        )
        self._usable.set(1)  # whoever publishes has opened it
        self._faults = Counter(
            "outcome_store_faults",
            "Evaluations that found the store's file unusable, by fault.",
            ["fault"],
            registry=registry,
        )
        for kind in KINDS:
            self._faults.labels(kind)

    def looked_at(self, fault: str | None) -> None:
        """Sets the fault of the store's file, or None."""
        self._usable.set(fault is None)
        if fault:
            self._faults.labels(fault).inc()

    def measured(self, counts: Mapping[str, int], size: int) -> None:
        for record, count in counts.items():
            self._records.labels(record).set(count)
        self._size.set(size)

    def deleted(self, count: int) -> None:
        self._deleted.inc(count)


class ReloadMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._well = Gauge(
            "outcome_config_last_reload_successful",
            "1 if the last load of the config succeeded, 0 otherwise.",
            registry=registry,
        )
        self._last = Gauge(
            "outcome_config_last_reload_success_timestamp_seconds",
            "Time at which the config was last loaded successfully.",
            registry=registry,
        )

    def succeeded(self, at: datetime) -> None:
        self._well.set(1)
        self._last.set(at.timestamp())

    def failed(self) -> None:
        self._well.set(0)


class OtlpMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._exports = Counter("outcome_otlp_exports", "Exports over OTLP that were attempted.", registry=registry)
        self._failures = Counter("outcome_otlp_export_failures", "Exports over OTLP that failed.", registry=registry)
        self._rejected = Counter(
            "outcome_otlp_rejected_points",
            "Data points that the receiver rejected in exports that it accepted.",
            registry=registry,
        )

    def attempted(self) -> None:
        self._exports.inc()

    def failed(self) -> None:
        self._failures.inc()

    def rejected(self, points: int) -> None:
        self._rejected.inc(points)


class ReportMetrics:
    """Metrics about scheduled reports, by name; step: written or delivered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("report", "step")
        self._last = Gauge(
            "outcome_report_last_success_timestamp_seconds",
            "Time at which a scheduled report was last written, or delivered.",
            labels,
            registry=registry,
        )
        self._failures = Counter(
            "outcome_report_failures",
            "Scheduled reports that could not be written, or not be delivered; each attempt counts.",
            labels,
            registry=registry,
        )

    def known(self, report: str, step: str) -> None:
        """Makes the counter of a report 0."""
        self._failures.labels(report, step)

    def succeeded(self, report: str, step: str, at: datetime) -> None:
        self._last.labels(report, step).set(at.timestamp())

    def failed(self, report: str, step: str) -> None:
        self._failures.labels(report, step).inc()
